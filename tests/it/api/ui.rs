//! The pages that people look at, as they are on the wire. What they do is in `system/pages`.

use crate::support::client::Answer;
use crate::support::{SEED, Server, run_serve, waybill};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use waybill::stages::{Stage, StatusMapSource};

const PAGES: [&str; 2] = ["/", "/browse"];
const BYTES_MAX: usize = 40_000;
const DESK_BYTES_MAX: usize = 72_000;

/// The content of the one element with this name.
fn only<'a>(page: &'a str, name: &str) -> &'a str {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    assert_eq!(page.matches(&open).count(), 1, "{name}");
    page.split_once(&open).unwrap().1.split_once(&close).unwrap().0
}

fn assert_is_page(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.head);
    let field = |name: &str| answer.field(name).unwrap_or_else(|| panic!("no {name}: {}", answer.head));
    assert_eq!(field("content-type"), "text/html; charset=utf-8");
    assert_eq!(field("cache-control"), "no-cache");
    assert_eq!(field("x-content-type-options"), "nosniff");
    assert_eq!(field("referrer-policy"), "no-referrer");
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    // The tracking page alone loads another script.
    let later = include_str!("../../../src/http/assets/ui/later.min.js");
    let loads = answer.text().contains("/later.js");
    let policy = format!(
        "default-src 'none'; script-src {}{}; style-src {}; connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types {}",
        hash(only(answer.text(), "script")),
        if loads { format!(" {}", hash(later)) } else { String::new() },
        hash(only(answer.text(), "style")),
        if loads { "waybill" } else { "'none'" }
    );
    assert_eq!(field("content-security-policy"), policy);
}

#[test]
fn pages_may_run_their_own_script_and_nothing_else() {
    let server = Server::start(SEED, &[]);
    for path in ["/", "/?n=TN1&carrier=", "/browse", "/browse?carrier=DHL", "/%62rowse"] {
        assert_is_page(&server.get(path));
    }
    assert_ne!(server.get("/").body, server.get("/browse").body);
}

#[test]
fn the_tracking_page_alone_loads_another_script_which_is_public_as_it_is() {
    for arguments in [&[][..], &["--anonymous", "none"]] {
        let server = Server::start(SEED, arguments);
        let pages = PAGES.map(|path| server.get(path).text().contains("/later.js"));
        assert_eq!(pages, [true, false], "{arguments:?}");
        let script = server.get("/later.js");
        assert_eq!((script.status, script.text()), (200, include_str!("../../../src/http/assets/ui/later.min.js")));
        assert_eq!(script.field("content-type").as_deref(), Some("text/javascript; charset=utf-8"));
        assert_eq!(script.field("x-content-type-options").as_deref(), Some("nosniff"));
    }
}

#[test]
fn pages_are_small_and_need_nothing_else() {
    let server = Server::start(SEED, &[]);
    for path in PAGES {
        let page = server.get(path);
        let bytes_max = if path == "/" { BYTES_MAX } else { DESK_BYTES_MAX };
        assert!(page.body.len() < bytes_max, "{path}: {} bytes", page.body.len());
        // Links to carriers lead elsewhere; nothing is loaded by them.
        let text = page.text().split("id=\"settings\">").enumerate();
        let text: String =
            text.map(|(at, part)| if at == 0 { part } else { part.split_once("</script>").unwrap().1 }).collect();
        for foreign in
            ["https:", " src=\"http", " src=\"/", " style=", " onclick=", "@import", "url(", "{{", "innerHTML", "eval("]
        {
            assert!(!text.contains(foreign), "{path}: {foreign}");
        }
        // The namespace of a picture within the page is a name, not a place.
        let text = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("http:"), "{path}");
    }
}

#[test]
fn what_the_tracking_page_takes_usual_statuses_for_is_what_the_built_in_map_does() {
    let script = include_str!("../../../src/http/assets/ui/usual.js");
    let usual = script.split_once("const USUAL = {\n").unwrap().1.split_once("\n};").unwrap().0;
    let map = StatusMapSource::Builtin.read().unwrap();
    let mut stages = 0;
    for line in usual.lines() {
        let (stage, statuses) = line.trim().split_once(": ").unwrap();
        for status in statuses.trim_matches(['"', ',']).split(',') {
            assert_eq!(map.stage("", status).map(Stage::name), Some(stage), "{status}");
        }
        stages += 1;
    }
    assert_eq!(stages, Stage::ALL.len() - 1);
}

#[test]
fn a_known_page_is_answered_304() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let mut etags = Vec::new();
    for path in PAGES {
        let page = client.get(path);
        let etag = page.field("etag").unwrap();
        for method in ["GET", "HEAD"] {
            let answer = client.request(method, path, &[&format!("If-None-Match: {etag}")]);
            assert_eq!((answer.status, answer.field("etag")), (304, Some(etag.clone())), "{method} {path}");
            assert_eq!(answer.field("content-type"), None);
            assert_eq!(answer.field("content-security-policy"), page.field("content-security-policy"));
        }
        assert_eq!(client.request("GET", path, &["If-None-Match: \"other\""]).body, page.body);
        etags.push(etag);
    }
    assert_ne!(etags[0], etags[1]);
    // They are the program's, not the dataset's.
    assert!(!etags.contains(&client.get("/v1/dataset").field("etag").unwrap()));
    assert_eq!(Server::start(SEED, &[]).get("/").field("etag").as_ref(), Some(&etags[0]));
}

#[test]
fn pages_know_how_old_the_data_may_be() {
    for (arguments, expected) in [(&[][..], ""), (&["--max-data-age", "26h"], "93600")] {
        let server = Server::start(SEED, arguments);
        for path in PAGES {
            let page = server.get(path);
            assert!(page.text().contains(&format!(r#"<p id="age" data-max="{expected}">"#)), "{path}");
            assert_is_page(&page);
        }
    }
}

#[test]
fn pages_are_only_read() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for path in PAGES {
        let page = client.get(path);
        let head = client.request("HEAD", path, &[]);
        assert_eq!((head.status, head.content_length()), (200, Some(page.body.len())));
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = client.request(method, path, &["Content-Length: 0"]);
            answer.problem(405, "method_not_allowed");
            assert_eq!(answer.field("allow").as_deref(), Some("GET, HEAD"), "{method} {path}");
        }
    }
    server.admin_get("/").problem(404, "route_not_found");
    server.admin_get("/browse").problem(404, "route_not_found");
}

#[test]
fn without_pages_the_api_is_served_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    std::fs::write(&data, SEED).unwrap();
    let mut command = waybill(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--log-format", "json"]);
    command.env("WAYBILL_PAGES", "off").arg("--data").arg(&data);
    let mut by_variable = Server::spawn(&mut command, dir, data);
    by_variable.wait_for("serving");
    for server in [Server::start(SEED, &["--pages", "off"]), by_variable] {
        let mut client = server.client();
        for path in ["/", "/later.js", "/browse", "/docs", "/?n=TN1"] {
            for method in ["GET", "POST"] {
                client.request(method, path, &["Content-Length: 0"]).problem(404, "route_not_found");
            }
        }
        assert_eq!(client.get("/v1/shipments/DHL/TN12345678").status, 200);
        assert_ne!(client.get("/openapi.json").status, 404);
        assert_eq!(client.get("/readyz").status, 200);
    }
}

#[test]
fn pages_are_on_or_off() {
    let dir = tempfile::tempdir().unwrap();
    let ended = run_serve(&dir.path().join("data.csv"), &["--pages", "maybe"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--pages"), "{}", ended.stderr);
    let server = Server::start(SEED, &["--pages", "on"]);
    assert_is_page(&server.get("/"));
}

#[test]
fn search_engines_may_list_the_tracking_page_alone_and_no_number() {
    let server = Server::start(SEED, &[]);
    let robots = server.get("/robots.txt");
    assert_eq!(robots.text(), "User-agent: *\nAllow: /$\nDisallow: /\n");
    assert_eq!(robots.field("content-type").as_deref(), Some("text/plain; charset=utf-8"));
    let mut client = server.client();
    for path in ["/browse", "/docs", "/later.js", "/?n=TN1", "/?carrier=&n=TN1&n=TN2", "/?%6e=TN1"] {
        let page = client.get(path);
        assert_eq!(page.field("x-robots-tag").as_deref(), Some("noindex"), "{path}");
        let known = format!("If-None-Match: {}", page.field("etag").unwrap());
        let again = client.request("GET", path, &[&known]);
        assert_eq!((again.status, again.field("x-robots-tag").as_deref()), (304, Some("noindex")), "{path}");
    }
    for path in ["/", "/?utm_source=mail", "/?nn=1"] {
        assert_eq!(client.get(path).field("x-robots-tag"), None, "{path}");
    }
    // So they are without pages, too.
    let without_pages = Server::start(SEED, &["--pages", "off"]);
    assert_eq!(without_pages.get("/robots.txt").body, robots.body);
}

#[test]
fn the_tracking_page_links_to_what_its_visitors_may_see() {
    for (arguments, may_see) in
        [(&[][..], true), (&["--anonymous", "lookup"], false), (&["--anonymous", "none"], false)]
    {
        let server = Server::start(SEED, arguments);
        for page in ["/", "/?n=TN1"] {
            let text = server.get(page).text().to_owned();
            for link in ["href=\"/browse\"", "href=\"/docs\""] {
                assert_eq!(text.contains(link), may_see, "{arguments:?} {page} {link}");
            }
        }
        // Whoever knows of it, and has a key, goes there.
        assert_eq!((server.get("/browse").status, server.get("/docs").status), (200, 200));
    }
}
