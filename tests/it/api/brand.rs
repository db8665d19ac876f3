//! The pages with the brand of a shop.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{SEED, Server, Signal, run_serve};

const LOGO: &str =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 8 8\"><circle cx=\"4\" cy=\"4\" r=\"4\"/></svg>";
const FILE: &str = "name = 'Müller & Söhne'\nlogo = 'logo.svg'\naccent = '#7a1f5c'\nsupport-url = 'mailto:help@shop.example'\n\
                    privacy-url = 'https://shop.example/privacy?a=1&b=2'\ncurrency = 'EUR'\nshow-sku = false\nshow-prices = false\n\
                    [carrier-links]\nUPS = 'https://ups.example/{tracking_number}'\nDHL = false\n\
                    [texts.de]\ntitle = 'Wo bleibt meine <Bestellung>?'\nintro = 'Nummer eingeben.'\n";

/// A folder with a logo and the brand file `text`.
fn files(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("logo.svg"), LOGO).unwrap();
    let path = dir.path().join("brand.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn start(path: &Path, more: &[&str]) -> Server {
    Server::start(SEED, &[&["--brand", path.to_str().unwrap()], more].concat())
}

/// The content of the data block `id` of a page.
fn block(page: &str, id: &str) -> Value {
    let block = page.split_once(&format!("<script type=\"application/json\" id=\"{id}\">")).unwrap().1;
    serde_json::from_str(block.split_once("</script>").unwrap().0).unwrap()
}

/// What people and other sites see of a page: all but its scripts.
fn without_scripts(page: &str) -> String {
    let parts = page.split("<script").map(|part| part.split_once("</script>").map_or(part, |(_, rest)| rest));
    parts.collect()
}

#[test]
fn the_pages_have_name_logo_colours_and_links_of_the_shop() {
    let (_dir, path) = files(FILE);
    let server = start(&path, &[]);
    let page = server.get("/");
    let text = page.text();
    for part in [
        "<title>Track a parcel · Müller &amp; Söhne</title>",
        "<meta name=\"description\" content=\"Müller &amp; Söhne: ",
        "<meta property=\"og:title\" content=\"Track a parcel · Müller &amp; Söhne\">",
        "<meta property=\"og:site_name\" content=\"Müller &amp; Söhne\">",
        "<a class=\"brand\" href=\"/\"><img src=\"data:image/svg+xml;base64,",
        "alt=\"\">Müller &amp; Söhne</a>",
        "--accent:#7a1f5c;",
        "@media (prefers-color-scheme:dark){:root{--accent:#",
        "<a href=\"mailto:help@shop.example\">Help and contact</a>",
        "<a href=\"https://shop.example/privacy?a=1&amp;b=2\">Privacy</a>",
    ] {
        assert!(text.contains(part), "{part}: {}", without_scripts(text));
    }
    assert!(!without_scripts(text).to_lowercase().contains("waybill"), "{}", without_scripts(text));
    let policy = page.field("content-security-policy").unwrap();
    assert!(policy.contains("img-src 'self' data:;"), "{policy}");
    for path in ["/browse", "/docs"] {
        let page = server.get(path);
        assert!(page.text().contains("alt=\"\">Müller &amp; Söhne</a>"), "{path}");
        assert!(page.text().contains(" · Müller &amp; Söhne</title>"), "{path}");
    }
    assert!(server.get("/docs/page.css").text().contains("--accent: #7a1f5c;"));
    let missing = server.client().request("GET", "/nothing", &["Accept: text/html"]);
    assert!(missing.text().contains("<title>Not found · Müller &amp; Söhne</title>"), "{}", missing.text());
}

#[test]
fn the_tracking_page_shows_what_the_brand_says() {
    let (_dir, path) = files(FILE);
    let server = start(&path, &[]);
    let german = server.client().request("GET", "/", &["Accept-Language: de"]);
    assert!(german.text().contains("<h1>Wo bleibt meine &lt;Bestellung&gt;?</h1>"));
    assert!(german.text().contains("<p>Nummer eingeben.</p>"));
    assert!(server.get("/").text().contains("<h1>Where is my parcel?</h1>"));
    let settings = block(server.get("/").text(), "settings");
    assert_eq!(settings["links"]["ups"], "https://ups.example/{tracking_number}");
    assert_eq!((settings["links"].get("dhl"), settings["currency"].as_str()), (None, Some("EUR")));
    assert_eq!((settings["sku"].as_bool(), settings["prices"].as_bool()), (Some(false), Some(false)));
    assert!(settings["links"]["gls"].as_str().unwrap().starts_with("https://"));
    // The API is the same.
    assert!(server.get("/v1/shipments/DHL/TN12345678").text().contains("\"SKU\":\"LP123\""));
}

#[test]
fn without_a_brand_the_known_carriers_have_links() {
    let server = Server::start(SEED, &[]);
    let settings = block(server.get("/").text(), "settings");
    for carrier in
        ["dhl", "ups", "dpd", "fedex", "gls", "hermes", "postnl", "usps", "royal mail", "correos", "chronopost"]
    {
        let link = settings["links"][carrier].as_str().unwrap();
        assert!(link.starts_with("https://") && link.contains("{tracking_number}"), "{carrier}: {link}");
    }
    let (_dir, path) = files("carrier-links = false");
    assert_eq!(block(start(&path, &[]).get("/").text(), "settings"), json!({ "links": {} }));
}

#[test]
fn a_brand_that_cannot_be_used_is_refused_with_its_line() {
    let data = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(data.path(), SEED).unwrap();
    for (text, expected) in [
        ("name = 'a'\nacent = '#000'", "line 2: acent: no such key; did you mean accent?"),
        (
            "\naccent = '#ffcc00'",
            "line 2: accent: #ffcc00 has a contrast of 1.36 to the background #f5f3ee of light pages; links need 4.5 (WCAG 2.2, 1.4.3): take a darker colour",
        ),
        (
            "accent-dark = '#0e5e4e'",
            "line 1: accent-dark: #0e5e4e has a contrast of 2.11 to the background #1c2124 of dark",
        ),
        ("logo = 'missing.svg'", "line 1: logo: cannot read "),
        ("logo = 'brand.toml'", "is neither an SVG nor a PNG file"),
        (
            "support-url = 'javascript:alert(1)'",
            "line 1: support-url: \"javascript:alert(1)\" is no URL that begins with https://",
        ),
        ("[carrier-links]\nDHL = 'https://x/'", "line 2: carrier-links, DHL: \"https://x/\" has no {tracking_number}"),
        ("name = ", "line 1: "),
    ] {
        let (_dir, path) = files(text);
        let ended = run_serve(data.path(), &["--brand", path.to_str().unwrap()]);
        assert_eq!(ended.code, Some(2), "{text}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("brand file {}", path.display())), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{text}: {}", ended.stderr);
    }
    let ended = run_serve(data.path(), &["--brand", "/nowhere/brand.toml"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("brand file /nowhere/brand.toml: No such file"), "{}", ended.stderr);
}

#[test]
fn a_reload_reads_the_brand_again_and_keeps_the_old_one_where_that_is_bad() {
    let (_dir, path) = files("name = 'One'");
    let mut server = start(&path, &[]);
    let title = |server: &Server| {
        server.get("/").text().split_once("</title>").unwrap().0.split_once(" · ").unwrap().1.to_owned()
    };
    let etag = server.get("/").field("etag").unwrap();
    assert_eq!(title(&server), "One");
    std::fs::write(&path, "name = 'Two'").unwrap();
    assert_eq!(server.admin_post("/-/reload?dry_run=true").json().get("brand_not_read"), None);
    assert_eq!(title(&server), "One");
    assert_eq!(server.admin_post("/-/reload").json().get("brand_not_read"), None);
    assert_eq!(title(&server), "Two");
    assert_ne!(server.get("/").field("etag").unwrap(), etag);
    std::fs::write(&path, "name = 'Three'\naccent = '#eee'").unwrap();
    assert_eq!(server.admin_post("/-/reload").json()["brand_not_read"], json!(true));
    assert_eq!(title(&server), "Two");
    let line = server.wait_for("brand not read again; the pages stay as they are");
    assert!(line["error"].as_str().unwrap().contains("line 2: accent: #eeeeee has a contrast of 1."), "{line}");
    std::fs::write(&path, "name = 'Four'").unwrap();
    server.signal(Signal::HUP);
    server.wait_for("brand read again");
    assert_eq!(title(&server), "Four");
}
