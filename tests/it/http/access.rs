//! Who may ask, from where, and who is believed about that.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::client::{Answer, Client, post};
use crate::support::{SEED, Server, Signal, run, run_serve, waybill};
use serde_json::json;
use tempfile::TempDir;

const LOOKUP: &str = "/v1/shipments/DHL/TN12345678";

/// A folder with a file of secrets that only its owner can read.
pub(super) fn secrets(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secrets");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    (dir, path)
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn is_refused(answer: &Answer, detail: &str) {
    assert_eq!(answer.problem(401, "unauthorized"), detail);
    assert_eq!(answer.field("www-authenticate").as_deref(), Some("Bearer"));
}

#[test]
fn with_a_token_every_post_of_an_operator_shows_it() {
    let (_dir, path) = secrets("first-token-of-operators\n");
    let server = Server::start(SEED, &["--admin-token-file", text(&path), "--keep-previous"]);
    let post = |target: &str, fields: &[&str]| {
        server.admin_client().request("POST", target, &[&["Content-Length: 0"], fields].concat())
    };
    let first = "Authorization: Bearer first-token-of-operators";
    for target in ["/-/reload", "/-/reload?dry_run=true", "/-/rollback"] {
        is_refused(&post(target, &[]), "a token is needed: Authorization: Bearer TOKEN");
        is_refused(&post(target, &["Authorization: Bearer second-token"]), "the token is not valid");
        is_refused(
            &post(target, &["X-API-Key: first-token-of-operators"]),
            "a token is needed: Authorization: Bearer TOKEN",
        );
    }
    is_refused(
        &server.admin_client().request("DELETE", "/-/reload", &[]),
        "a token is needed: Authorization: Bearer TOKEN",
    );
    let cancelled = server.admin_client().request("DELETE", "/-/reload", &[first]);
    cancelled.problem(409, "no_reload_running");
    assert_eq!(server.state()["last_reload"], json!(null));
    assert_eq!(post("/-/reload", &[first]).status, 200);
    assert_eq!(post("/-/rollback", &[first]).status, 409);
    assert_eq!(post("/-/reload", &[first, "Origin: http://evil.example"]).status, 403);
    for target in ["/metrics", "/livez", "/readyz", "/-/dataset"] {
        assert_eq!(server.admin_get(target).status, 200, "{target}");
    }
    // The reload that the old token asks for is the last.
    std::fs::write(&path, "second-token-of-operators\n").unwrap();
    assert_eq!(post("/-/reload", &[first]).status, 200);
    is_refused(&post("/-/reload", &[first]), "the token is not valid");
    assert_eq!(post("/-/reload", &["Authorization: Bearer second-token-of-operators"]).status, 200);
    server.stop();
}

#[test]
fn other_hosts_reach_operators_only_with_a_token() {
    let (dir, path) = secrets("a-token-of-operators");
    std::fs::write(dir.path().join("data.csv"), SEED).unwrap();
    let refused = run_serve(&dir.path().join("data.csv"), &["--admin-listen", "0.0.0.0:0"]);
    assert_eq!(refused.code, Some(2));
    let server = Server::start(SEED, &["--admin-listen", "0.0.0.0:0", "--admin-token-file", text(&path)]);
    assert_eq!(server.admin_get("/metrics").status, 200);
    assert_eq!(server.admin_post("/-/reload").status, 401);
    server.stop();
}

#[test]
fn a_file_of_secrets_that_others_can_read_or_nobody_can_use_ends_the_start() {
    let (dir, path) = secrets("shop:0123456789abcdef\nno-key\n");
    let data = dir.path().join("data.csv");
    std::fs::write(&data, SEED).unwrap();
    let keys = || run_serve(&data, &["--api-keys-file", text(&path)]);
    let ended = keys();
    assert!(ended.code == Some(2) && ended.stderr.contains("secrets:2: expected name:key"), "{}", ended.stderr);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o604)).unwrap();
    let ended = keys();
    assert!(ended.code == Some(2) && ended.stderr.contains("is open to everybody (mode 604)"), "{}", ended.stderr);
    std::fs::remove_file(&path).unwrap();
    let ended = keys();
    assert!(ended.code == Some(2) && ended.stderr.contains("cannot read"), "{}", ended.stderr);
}

#[test]
fn with_keys_data_is_for_those_who_show_one_and_each_is_counted_by_name() {
    let (dir, path) = secrets("# shops\nshop:key-of-the-shop-1\ncrm:key-of-the-crm-01\n");
    let log = dir.path().join("access");
    let mut server = Server::start(SEED, &["--api-keys-file", text(&path), "--access-log", text(&log)]);
    let needed = "a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY";
    let mut client = server.client();
    for target in [
        LOOKUP,
        "/v1/shipments/TN12345678",
        "/v1/shipments",
        "/v1/facets",
        "/v1/dataset",
        "/shipment/list/",
        "/shipment/list",
    ] {
        is_refused(&client.get(target), needed);
        is_refused(&client.request("GET", target, &["X-API-Key: key-of-the-shop-2"]), "the key is not valid");
        let status = client.request("GET", target, &["X-API-Key: key-of-the-shop-1"]).status;
        assert!(status == if target == "/shipment/list" { 301 } else { 200 }, "{target}: {status}");
    }
    assert_eq!(client.request("HEAD", LOOKUP, &[]).status, 401);
    assert_eq!(client.request("HEAD", LOOKUP, &["authorization: bearer key-of-the-crm-01"]).status, 200);
    let batch = r#"{"lookups":[{"tracking_number":"TN12345678"}]}"#;
    client.send(post("/v1/lookup", &[], batch));
    is_refused(&client.answer_to("POST"), needed);
    client.send(post("/v1/lookup", &["X-API-Key: key-of-the-crm-01"], batch));
    assert_eq!(client.answer_to("POST").status, 200);
    for open in ["/livez", "/readyz", "/", "/browse", "/docs", "/openapi.json"] {
        assert_eq!(client.get(open).status, 200, "{open}");
    }
    // Whoever asks for what is not there learns no more than without keys.
    assert_eq!(client.get("/nothing").status, 404);

    let metrics = server.admin_get("/metrics");
    for line in [
        r#"waybill_http_key_requests_total{key="shop",result="ok"} 7"#,
        r#"waybill_http_key_requests_total{key="crm",result="ok"} 2"#,
        r#"waybill_http_requests_total{route="/v1/dataset",code="401"} 2"#,
    ] {
        assert!(metrics.text().lines().any(|other| other == line), "{line}: {}", metrics.text());
    }

    std::fs::write(&path, "crm:key-of-the-crm-02\n").unwrap();
    server.signal(Signal::HUP);
    server.wait_for("keys read again");
    assert_eq!(client.request("GET", LOOKUP, &["X-API-Key: key-of-the-crm-02"]).status, 200);
    is_refused(&client.request("GET", LOOKUP, &["X-API-Key: key-of-the-shop-1"]), "the key is not valid");
    assert_eq!(server.admin_post("/-/reload").json().get("secrets_not_read"), None);
    std::fs::write(&path, "nonsense\n").unwrap();
    server.signal(Signal::HUP);
    let error = server.wait_for("keys not read again; those from before still hold");
    assert!(
        error["error"]
            .as_str()
            .unwrap()
            .ends_with("secrets:1: expected name:key, the name of letters, digits, -, _ and ., 64 at most")
    );
    std::fs::write(&path, "# nobody\n").unwrap();
    assert_eq!(server.admin_post("/-/reload").json()["secrets_not_read"], json!(["keys"]));
    assert_eq!(client.request("GET", LOOKUP, &["X-API-Key: key-of-the-crm-02"]).status, 200);
    server.stop();
    let log = std::fs::read_to_string(&log).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let keys: Vec<serde_json::Value> =
        lines.filter_map(|mut line| line.get_mut("key").map(serde_json::Value::take)).collect();
    let count = |name: &str| keys.iter().filter(|key| *key == name).count();
    assert_eq!((count("shop"), count("crm"), keys.len()), (7, 4, 11));
}

#[test]
fn a_watch_looks_at_keys_too_and_a_metric_says_when_they_cannot_be_used() {
    let (_dir, path) = secrets("shop:key-of-the-shop-1");
    let mut server = Server::start(SEED, &["--api-keys-file", text(&path), "--watch", "50ms"]);
    let is_read = |server: &Server, is: u8| {
        let line = format!("waybill_secrets_last_read_successful{{files=\"keys\"}} {is}");
        let metrics = server.admin_get("/metrics");
        assert!(metrics.text().lines().any(|other| other == line), "{line}: {}", metrics.text());
    };
    is_read(&server, 1);
    std::fs::write(&path, "").unwrap();
    server.wait_for("keys not read again; those from before still hold");
    is_read(&server, 0);
    assert_eq!(server.client().request("GET", LOOKUP, &["X-API-Key: key-of-the-shop-1"]).status, 200);
    std::fs::write(&path, "shop:key-of-the-shop-2").unwrap();
    server.wait_for("keys read again");
    is_read(&server, 1);
    assert_eq!(server.client().request("GET", LOOKUP, &["X-API-Key: key-of-the-shop-1"]).status, 401);
    server.stop();
}

#[test]
fn sockets_in_the_file_system_serve_as_addresses_do() {
    let dir = tempfile::tempdir().unwrap();
    let (public, admin) = (dir.path().join("public"), dir.path().join("admin"));
    let (public_address, admin_address) =
        (format!("unix:{},mode=606", text(&public)), format!("unix:{}", text(&admin)));
    let arguments = ["--listen", &public_address, "--admin-listen", &admin_address];
    let mut command =
        waybill(&[&["serve", "--log-format", "json", "--data"], &["seed_data.csv"][..], &arguments].concat());
    let mut server = Server::spawn(&mut command, tempfile::tempdir().unwrap(), PathBuf::new());
    server.wait_for("serving");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&public), mode(&admin)), (0o606, 0o660));
    let mut client = Client::connect_unix(&public);
    let page = client.get("/v1/shipments?limit=1").json();
    assert_eq!(page["next"], "http://waybill.test/v1/shipments?limit=1&offset=1");
    client.send(post("/v1/lookup", &[], r#"{"lookups":[{"tracking_number":"TN12345678"}]}"#));
    assert_eq!(client.answer_to("POST").status, 200);
    let reloaded = Client::connect_unix(&admin).request("POST", "/-/reload", &["Content-Length: 0"]);
    assert_eq!(reloaded.json()["result"], "unchanged");

    assert_eq!(run(&mut waybill(&["health", &admin_address])).code, Some(0));
    assert_eq!(run(waybill(&["health"]).env("WAYBILL_LISTEN", &public_address)).code, Some(0));
    let second = run(&mut waybill(&["serve", "--data", "seed_data.csv", "--listen", &admin_address]));
    assert!(
        second.code == Some(2) && second.stderr.contains(&format!("cannot listen on unix:{}", text(&admin))),
        "{}",
        second.stderr
    );

    // What was asked before the end is answered, and nothing is left behind.
    client.send("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer_to("GET").status, 200);
    server.stop();
    client.expect_end();
    assert!(!public.exists() && !admin.exists());
    assert_eq!(run(&mut waybill(&["health", &admin_address])).code, Some(1));
}

#[test]
fn pages_of_named_origins_read_answers_and_ask_beforehand() {
    let server = Server::start(SEED, &["--cors-origin", "https://shop.example,http://localhost:3000"]);
    let mut client = server.client();
    let shared = |answer: &Answer| (answer.field("access-control-allow-origin"), answer.field("vary"));
    let etag = format!("If-None-Match: {}", client.get(LOOKUP).field("etag").unwrap());
    let some = |text: &str| Some(text.to_owned());
    for (target, fields, status) in [
        (LOOKUP, &[][..], 200),
        (LOOKUP, &[etag.as_str()], 304),
        ("/v1/shipments/none", &[], 404),
        ("/v1/shipments?x=", &[], 400),
    ] {
        for origin in ["https://shop.example", "http://localhost:3000"] {
            let answer = client.request("GET", target, &[fields, &[&format!("Origin: {origin}")]].concat());
            assert_eq!((answer.status, shared(&answer)), (status, (some(origin), some("origin"))), "{}", answer.head);
            let exposed = answer.field("access-control-expose-headers");
            assert_eq!(exposed.as_deref(), Some("etag, retry-after, x-request-id, ratelimit, ratelimit-policy"));
        }
        for other in [&["Origin: https://evil.example"][..], &["Origin: null"], &[]] {
            let answer = client.request("GET", target, &[fields, other].concat());
            assert_eq!((answer.status, shared(&answer)), (status, (None, some("origin"))), "{}", answer.head);
        }
    }
    let ask = |client: &mut Client, target: &str, origin: &str| {
        let fields = [origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"];
        client.request("OPTIONS", target, &fields)
    };
    let answer = ask(&mut client, "/v1/lookup", "Origin: https://shop.example");
    assert_eq!(
        (answer.status, shared(&answer)),
        (204, (some("https://shop.example"), some("origin"))),
        "{}",
        answer.head
    );
    assert_eq!(answer.field("access-control-allow-methods").as_deref(), Some("POST"));
    assert_eq!(
        answer.field("access-control-allow-headers").as_deref(),
        Some(
            "authorization, content-type, if-none-match, x-api-key, waybill-postcode, x-request-id, if-match, last-event-id"
        )
    );
    assert_eq!(answer.field("content-length"), None);
    assert_eq!(
        ask(&mut client, "/v1/lookup", "Origin: https://evil.example").problem(405, "method_not_allowed"),
        "this resource takes POST"
    );
    assert_eq!(ask(&mut client, "/nothing", "Origin: https://shop.example").status, 404);
    // Nobody's pages are to reload.
    let mut admin = server.admin_client();
    let answer = ask(&mut admin, "/-/reload", "Origin: https://shop.example");
    assert_eq!((answer.status, shared(&answer)), (405, (None, None)));
    server.stop();

    let server = Server::start(SEED, &["--cors-origin", "*"]);
    let answer = server.client().request("GET", LOOKUP, &["Origin: https://any.example"]);
    assert_eq!(shared(&answer), (some("*"), None));
    assert_eq!(shared(&server.get(LOOKUP)), (None, None));
    server.stop();

    let server = Server::start(SEED, &[]);
    let answer = server.client().request("GET", LOOKUP, &["Origin: https://shop.example"]);
    assert_eq!(shared(&answer), (None, None));
    assert_eq!(ask(&mut server.client(), "/v1/lookup", "Origin: https://shop.example").status, 405);
    server.stop();
}

#[test]
fn a_page_may_ask_beforehand_without_the_key_that_it_will_show() {
    let (_dir, path) = secrets("shop:key-of-the-shop-1");
    let server = Server::start(SEED, &["--api-keys-file", text(&path), "--cors-origin", "https://shop.example"]);
    let mut client = server.client();
    let origin = "Origin: https://shop.example";
    let asked = client.request("OPTIONS", LOOKUP, &[origin, "Access-Control-Request-Method: GET"]);
    assert_eq!(asked.status, 204);
    assert!(asked.field("access-control-allow-headers").unwrap().contains("x-api-key"));
    let refused = client.request("GET", LOOKUP, &[origin]);
    is_refused(&refused, "a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY");
    assert_eq!(refused.field("access-control-allow-origin").as_deref(), Some("https://shop.example"));
    server.stop();
}

#[test]
fn links_and_the_access_log_follow_what_trusted_proxies_say_and_nobody_else() {
    let standard = "Forwarded: for=198.51.100.7;proto=https;host=\"track.example:8443\"";
    let old =
        ["X-Forwarded-For: 203.0.113.9, 198.51.100.8", "X-Forwarded-Proto: https", "X-Forwarded-Host: track.example"];
    for (trusted, next, client) in [
        (
            "127.0.0.0/8",
            ["https://track.example:8443", "https://track.example", "http://waybill.test"],
            ["198.51.100.7", "198.51.100.8", "127.0.0.1"],
        ),
        ("10.0.0.0/8,unix", ["http://waybill.test"; 3], ["127.0.0.1"; 3]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("access");
        let server = Server::start(SEED, &["--trusted-proxy", trusted, "--access-log", text(&log)]);
        let both = [&[standard][..], &old].concat();
        for (fields, base) in [&[standard][..], &old, &both].into_iter().zip(next) {
            for path in ["/v1/shipments", "/shipment/list/"] {
                let page = server.client().request("GET", &format!("{path}?limit=1"), fields).json();
                assert_eq!(page["next"], format!("{base}{path}?limit=1&offset=1"), "{fields:?}");
            }
        }
        server.stop();
        let lines = std::fs::read_to_string(&log).unwrap();
        let mut clients: Vec<String> = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["client"].as_str().unwrap().to_owned())
            .collect();
        clients.sort_unstable();
        let mut expected = [client, client].concat();
        expected.sort_unstable();
        assert_eq!(clients, expected);
    }
}

#[test]
fn a_setting_of_access_that_cannot_be_used_says_what_is_expected() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    for (flag, value, expected) in [
        ("--cors-origin", "shop.example", "expected an origin such as https://shop.example"),
        ("--trusted-proxy", "10.0.0.0/33", "expected an address, a network such as 10.0.0.0/8, or unix"),
        ("--listen", "unix:", "expected a path after unix:"),
        ("--listen", "waybill:80", "expected an address such as 127.0.0.1:8080, 8080, :8080 or unix:/run/waybill.sock"),
        ("--admin-listen", "nobody", "unix:/run/waybill.sock, or off"),
    ] {
        let mut command = waybill(&["serve", flag, value]);
        let ended = run(command.arg("--data").arg(&data));
        assert!(ended.code == Some(2) && ended.stderr.contains(expected), "{flag}: {}", ended.stderr);
    }
}

#[test]
fn the_server_as_a_whole_tells_its_methods() {
    let (_dir, keys) = secrets("shop:first-key-of-a-shop\n");
    let allow = Some("GET, HEAD, POST, OPTIONS");
    for arguments in [&[][..], &["--api-keys-file", text(&keys), "--cors-origin", "*"]] {
        let server = Server::start(SEED, arguments);
        for mut client in [server.client(), server.admin_client()] {
            for fields in [&[][..], &["Origin: http://other.test", "Access-Control-Request-Method: GET"]] {
                let answer = client.request("OPTIONS", "*", fields);
                assert_eq!((answer.status, answer.field("allow").as_deref()), (204, allow), "{}", answer.head);
            }
        }
        server.stop();
    }
}
