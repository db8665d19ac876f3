//! The pages in the languages that they have.

use crate::support::client::Answer;
use crate::support::{SEED, Server};

const LANGUAGES: [(&str, &str); 6] = [
    ("en", "Where is my parcel?"),
    ("de", "Wo ist mein Paket?"),
    ("fr", "Où est mon colis ?"),
    ("es", "¿Dónde está mi paquete?"),
    ("it", "Dov’è il mio pacco?"),
    ("nl", "Waar is mijn pakket?"),
];
/// Most bytes of the tracking page, as it is and compressed.
const BYTES_MAX: usize = 40_000;
const COMPRESSED_BYTES_MAX: usize = 12_288;

fn assert_is_in(answer: &Answer, language: &str, heading: &str) {
    assert!(answer.text().contains(&format!("<html lang=\"{language}\">")), "{language}: {}", answer.head);
    assert!(answer.text().contains(&format!("<h1>{heading}</h1>")), "{language}");
    assert_eq!(answer.field("content-language").as_deref(), Some(language));
    assert_eq!(answer.field("vary").as_deref(), Some("accept-encoding, accept-language"));
    assert_eq!(answer.head.to_lowercase().matches("\nvary:").count(), 1, "{}", answer.head);
}

#[test]
fn a_page_comes_in_the_language_that_the_browser_prefers() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for (accepted, language) in [
        ("en-GB,en;q=0.9", 0),
        ("de-AT,de;q=0.9,en;q=0.8", 1),
        ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", 2),
        ("pl;q=0.9, ES;q=0.8", 3),
        ("de;q=0.2, it;q=0.3", 4),
        ("*;q=0.1, nl", 5),
        ("pl", 0),
        ("", 0),
    ] {
        let (tag, heading) = LANGUAGES[language];
        let page = client.request("GET", "/", &[&format!("Accept-Language: {accepted}")]);
        assert_is_in(&page, tag, heading);
        assert!(page.text().contains(&format!(" lang=\"{tag}\" hreflang=\"{tag}\" aria-current=\"true\">")), "{tag}");
    }
    assert_is_in(&client.get("/"), "en", LANGUAGES[0].1);
    let page = client.request("GET", "/browse", &["Accept-Language: de"]);
    assert_eq!(page.field("content-language").as_deref(), Some("de"));
    assert_eq!(page.field("vary").as_deref(), Some("accept-encoding, accept-language"));
}

#[test]
fn a_reader_chooses_another_language_by_a_link_without_a_cookie() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for (tag, heading) in LANGUAGES {
        for target in [format!("/?lang={tag}"), format!("/?n=TN1&lang={tag}&carrier=")] {
            let page = client.request("GET", &target, &["Accept-Language: nl, en"]);
            assert_is_in(&page, tag, heading);
            assert_eq!(page.field("set-cookie"), None);
            for (other, _) in LANGUAGES {
                assert!(page.text().contains(&format!("<a href=\"?lang={other}\" lang=\"{other}\"")), "{tag} {other}");
            }
        }
    }
    assert_is_in(&client.request("GET", "/?lang=xx", &["Accept-Language: it"]), "it", LANGUAGES[4].1);
}

#[test]
fn each_language_has_its_own_tag_in_each_coding() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let mut etags = Vec::new();
    for path in ["/", "/browse"] {
        for (tag, _) in LANGUAGES {
            for coding in ["identity", "gzip", "zstd"] {
                let fields = [format!("Accept-Language: {tag}"), format!("Accept-Encoding: {coding}")];
                let etag = client.request("GET", path, &[&fields[0], &fields[1]]).field("etag").unwrap();
                let known = format!("If-None-Match: {etag}");
                let again = client.request("GET", path, &[&fields[0], &fields[1], &known]);
                assert_eq!((again.status, again.field("etag").as_ref()), (304, Some(&etag)), "{path} {tag} {coding}");
                assert_eq!(again.field("content-language").as_deref(), Some(tag));
                assert_eq!(again.field("vary").as_deref(), Some("accept-encoding, accept-language"));
                let of_others = client.request("GET", path, &[&format!("Accept-Language: {tag}-x"), &known]);
                assert_eq!(of_others.status == 304, coding == "identity", "{path} {tag} {coding}");
                assert!(!etags.contains(&etag), "{path} {tag} {coding}: {etag}");
                etags.push(etag);
            }
        }
    }
}

#[test]
fn the_page_of_unknown_paths_is_in_that_language_too() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for (tag, title) in [("de", "Nicht gefunden"), ("nl", "Niet gevonden"), ("pl", "Not found")] {
        let page = client.request("GET", "/nothing", &["Accept: text/html", &format!("Accept-Language: {tag}")]);
        assert!(page.text().contains(&format!("<title>{title} · ")), "{}", page.text());
        let language = if tag == "pl" { "en" } else { tag };
        assert_eq!((page.status, page.field("content-language").as_deref()), (404, Some(language)));
        assert_eq!(page.field("vary").as_deref(), Some("accept-language"));
    }
    // Programs are told in English.
    let detail = client.request("GET", "/nothing", &["Accept-Language: de"]).problem(404, "route_not_found");
    assert_eq!(detail, "nothing is at this path; /docs describes the API");
}

#[test]
fn the_tracking_page_is_small_in_each_language() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for (tag, _) in LANGUAGES {
        let language = format!("Accept-Language: {tag}");
        let bytes = |coding: &str| {
            server.client().request("GET", "/", &[&language, &format!("Accept-Encoding: {coding}")]).body.len()
        };
        let plain = client.request("GET", "/", &[&language]).body.len();
        assert!(plain <= BYTES_MAX, "{tag}: {plain} bytes");
        for coding in ["gzip", "zstd"] {
            assert!(bytes(coding) <= COMPRESSED_BYTES_MAX, "{tag}: {} bytes of {coding}", bytes(coding));
        }
    }
}

#[test]
fn texts_that_a_script_uses_are_in_its_page() {
    let server = Server::start(SEED, &[]);
    // The tracking page has texts by number, in the order in which a line of its script names them.
    let minified = include_str!("../../../src/http/assets/ui/track.min.js");
    let numbered = minified.lines().find_map(|line| line.strip_prefix("// Texts: ")).unwrap();
    for (path, numbered, script) in [
        (
            "/",
            numbered,
            concat!(
                include_str!("../../../src/http/assets/ui/page.js"),
                include_str!("../../../src/http/assets/ui/card.js"),
                include_str!("../../../src/http/assets/ui/track.js"),
                include_str!("../../../src/http/assets/ui/key.js"),
                include_str!("../../../src/http/assets/ui/limited.js"),
                include_str!("../../../src/http/assets/ui/long.js"),
                include_str!("../../../src/http/assets/ui/follow.js"),
                include_str!("../../../src/http/assets/ui/share.js"),
            ),
        ),
        (
            "/browse",
            "",
            concat!(
                include_str!("../../../src/http/assets/ui/page.js"),
                include_str!("../../../src/http/assets/ui/key.js"),
                include_str!("../../../src/http/assets/ui/browse.js")
            ),
        ),
    ] {
        let page = server.get(path);
        let block = page.text().split_once("<script type=\"application/json\" id=\"texts\">").unwrap().1;
        let texts: serde_json::Value = serde_json::from_str(block.split_once("</script>").unwrap().0).unwrap();
        let keys = |call: &str| {
            script.split(call).skip(1).map(|rest| rest.split_once('"').unwrap().0.to_owned()).collect::<Vec<_>>()
        };
        let used: Vec<String> =
            [" t(\"", "(t(\"", "[t(\"", "{t(\"", "...pieces(\""].iter().flat_map(|call| keys(call)).collect();
        assert!(used.len() > 8, "{used:?}");
        for key in used {
            let number = numbered.split(' ').position(|other| other == key);
            let text = number.map_or(&texts[1][&key], |number| &texts[0][number]);
            assert!(!text.is_null(), "{path}: {key}");
        }
    }
}
