//! What is asked for by a wrong name: parameters and paths.

use crate::support::{SEED, Server};

#[test]
fn an_unknown_parameter_is_refused_with_the_one_that_is_near() {
    let server = Server::start(SEED, &[]);
    let detail = |target: &str| server.get(target).problem(400, "invalid_parameter");
    for path in ["/v1/shipments", "/v1/facets"] {
        for (query, meant) in [
            ("carier=dhl", "did you mean carrier?"),
            ("Carrier=dhl", "did you mean carrier?"),
            ("status=delivered&tracking-number=TN1", "did you mean tracking_number?"),
            ("recevier_city=Paris", "did you mean receiver_city?"),
        ] {
            let detail = detail(&format!("{path}?{query}"));
            assert!(detail.ends_with(meant), "{detail}");
        }
        let detail = detail(&format!("{path}?q=1"));
        assert!(detail.starts_with("q: no such parameter; there are ") && !detail.contains("mean"), "{detail}");
    }
    let detail = server.admin_post("/-/reload?dryrun=true").problem(400, "invalid_parameter");
    assert!(detail.starts_with("dryrun: ") && detail.ends_with("did you mean dry_run?"), "{detail}");
}

/// What browsers send for a page.
const BROWSER: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
const UNKNOWN: [&str; 5] = ["/nothing", "/v1", "/v1/shipments/a/b/c", "/docs/nothing", "/metrics"];

#[test]
fn an_unknown_path_names_the_reference_and_gives_browsers_a_page() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for path in UNKNOWN {
        let detail = client.get(path).problem(404, "route_not_found");
        assert!(detail.contains("/docs"), "{path}: {detail}");
        for accept in ["Accept: */*", "Accept: application/json, text/html", "Accept: text/html;q=0, */*"] {
            assert_eq!(client.request("GET", path, &[accept]).problem(404, "route_not_found"), detail, "{accept}");
        }
        let page = client.request("GET", path, &[BROWSER]);
        assert_eq!((page.status, page.field("content-type").as_deref()), (404, Some("text/html; charset=utf-8")));
        assert_eq!((page.field("cache-control").as_deref(), page.field("etag")), (Some("no-store"), None));
        assert!(page.field("content-security-policy").unwrap().starts_with("default-src 'none'; "), "{}", page.head);
        for part in ["<nav class=\"site\"", "href=\"/docs\"", "<h1>"] {
            assert!(page.text().contains(part), "{path}: {part}");
        }
        assert!(!page.text().contains("{{") && !page.text().contains(path), "{path}");
        let head = client.request("HEAD", path, &[BROWSER]);
        assert_eq!((head.status, head.content_length()), (404, Some(page.body.len())));
    }
    // What is there in principle is no unknown path.
    for (path, status, code) in [
        ("/v1/shipments/DHL/nothing", 404, "shipment_not_found"),
        ("/v1/shipments/nothing", 404, "shipment_not_found"),
        ("/v1/shipments?x=1", 400, "invalid_parameter"),
        ("/v1/lookup", 405, "method_not_allowed"),
        ("/%zz", 400, "invalid_parameter"),
    ] {
        client.request("GET", path, &[BROWSER]).problem(status, code);
    }
}

#[test]
fn where_no_pages_are_served_an_unknown_path_names_none() {
    let server = Server::start(SEED, &["--pages", "off"]);
    for path in ["/nothing", "/docs", "/"] {
        let detail = server.client().request("GET", path, &[BROWSER]).problem(404, "route_not_found");
        assert!(!detail.contains("/docs"), "{detail}");
    }
    let detail = server.admin_client().request("GET", "/nothing", &[BROWSER]).problem(404, "route_not_found");
    assert!(!detail.contains("/docs"), "{detail}");
}

#[test]
fn all_pages_have_the_same_header() {
    let server = Server::start(SEED, &[]);
    let header = |path: &str| {
        let page = server.get(path).text().to_owned();
        let (_, header) = page.split_once("<header class=\"bar\">").unwrap_or_else(|| panic!("{path}: no header"));
        let header = header.split_once("</header>").unwrap().0.to_owned();
        let current = format!("<a href=\"{path}\" aria-current=\"page\">");
        assert_eq!(header.matches(&current).count(), 1, "{path}: {header}");
        header.replace(" aria-current=\"page\"", "")
    };
    assert_eq!((header("/browse"), header("/docs")), (header("/"), header("/")));
    let style = server.get("/docs/page.css");
    assert!(style.text().contains("nav.site a[aria-current]"), "{}", style.text());
}
