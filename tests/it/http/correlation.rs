//! `X-Request-Id` and `traceparent`: what ties a request to the records that others keep of it.

use crate::support::client::{post, request};
use crate::support::{SEED, Server};
use serde_json::Value;

const LOOKUP: &str = "/v1/shipments/DHL/TN12345678";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn traceparent(version: &str, rest: &str) -> String {
    format!("traceparent: {version}-{TRACE}-b7ad6b7169203331-01{rest}")
}

#[test]
fn the_id_of_a_request_comes_back_whatever_is_responded() {
    let server = Server::start(SEED, &["--cors-origin", "https://shop.example"]);
    let mut client = server.client();
    let etag = format!("If-None-Match: {}", client.get(LOOKUP).field("etag").unwrap());
    let batch = r#"{"lookups":[{"tracking_number":"TN12345678"}]}"#;
    let preflight = ["Origin: https://shop.example", "Access-Control-Request-Method: GET"];
    for (number, (method, target, fields, status)) in [
        ("GET", LOOKUP, &[][..], 200),
        ("HEAD", LOOKUP, &[], 200),
        ("GET", LOOKUP, &[etag.as_str()], 304),
        ("GET", "/v1/shipments/TN12345678", &[], 200),
        ("GET", "/v1/shipments/dhl/none", &[], 404),
        ("GET", "/v1/shipments?limit=1", &[], 200),
        ("GET", "/v1/facets?carrier=dhl&status=delivered", &[], 200),
        ("GET", "/v1/dataset", &[], 200),
        ("GET", "/shipment/list", &[], 301),
        ("GET", "/v1/shipments/%zz", &[], 400),
        ("GET", "/nothing", &[], 404),
        ("PUT", "/v1/dataset", &[], 405),
        ("OPTIONS", LOOKUP, &preflight, 204),
        ("OPTIONS", "*", &[], 204),
        ("GET", "/", &[], 200),
        ("GET", "/docs/page.js", &[], 200),
        ("GET", "/openapi.json", &[], 200),
        ("GET", "/readyz", &[], 200),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("{number}-{}", "~!\"\\{".repeat(3));
        let answer = client.request(method, target, &[fields, &[&format!("X-Request-ID: {id}")]].concat());
        assert_eq!((answer.status, answer.field("x-request-id")), (status, Some(id)), "{method} {target}");
    }
    for (body, status) in [(batch, 200), ("no JSON", 400)] {
        client.send(post("/v1/lookup", &["x-request-id: of-a-batch"], body));
        let answer = client.answer_to("POST");
        assert_eq!((answer.status, answer.field("x-request-id").as_deref()), (status, Some("of-a-batch")));
    }
    let mut admin = server.admin_client();
    for (method, target, status) in [
        ("GET", "/metrics", 200),
        ("GET", "/-/dataset", 200),
        ("POST", "/-/reload", 200),
        ("DELETE", "/-/reload", 409),
        ("GET", "/nothing", 404),
    ] {
        let answer = admin.request(method, target, &["X-Request-Id: of-an-operator"]);
        let id = answer.field("x-request-id");
        assert_eq!((answer.status, id.as_deref()), (status, Some("of-an-operator")), "{method} {target}");
    }
    // The last on its connection: its `Host` is not valid.
    client.send("GET / HTTP/1.1\r\nX-Request-Id: of-the-last\r\n\r\n");
    let answer = client.answer_to("GET");
    assert_eq!((answer.status, answer.field("x-request-id").as_deref()), (400, Some("of-the-last")));
    server.stop();
}

#[test]
fn what_is_no_id_does_not_come_back() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let (longest, too_long) = ("x".repeat(128), "x".repeat(129));
    for (fields, id) in [
        (vec![], None),
        (vec![longest.as_str()], Some(longest.as_str())),
        (vec!["  surrounded  "], Some("surrounded")),
        (vec![&too_long], None),
        (vec![""], None),
        (vec!["two words"], None),
        (vec!["a\tb"], None),
        (vec!["é"], None),
        (vec!["\u{9b}31m"], None),
        // Nobody knows which one counts.
        (vec!["one", "one"], None),
        (vec!["one", ""], None),
    ] {
        let fields: Vec<String> = fields.iter().map(|id| format!("X-Request-Id: {id}")).collect();
        let answer = client.request("GET", LOOKUP, &fields.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((answer.status, answer.field("x-request-id").as_deref()), (200, id), "{fields:?}");
    }
    server.stop();
}

/// A server that logs, and the members of the lines of `requests`.
fn logged(arguments: &[&str], requests: &[String]) -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let threads = ["--threads", "1", "--access-log", path.to_str().unwrap()];
    let server = Server::start(SEED, &[&threads, arguments].concat());
    let mut client = server.client();
    for request in requests {
        client.send(request);
        client.answer_to(request.split(' ').next().unwrap());
    }
    server.stop();
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn get(fields: &[&str]) -> String {
    request("GET", LOOKUP, fields)
}

#[test]
fn lines_of_the_access_log_have_the_ids_of_request_and_trace() {
    let (later, none) = (traceparent("cc", "-of-a-later-version"), "00000000000000000000000000000000");
    let wrong = [
        traceparent("ff", ""),
        traceparent("00", "-more"),
        traceparent("cc", "more"),
        traceparent("0", ""),
        traceparent("00", "").to_uppercase(),
        traceparent("00", "").replace(TRACE, none),
        traceparent("00", "").replace("b7ad6b7169203331", &none[..16]),
        traceparent("00", "").replace("-01", "-0g"),
        traceparent("00", "").replace("-01", ""),
        "traceparent:".to_owned(),
    ];
    let mut requests = vec![
        get(&["X-Request-Id: one", &traceparent("00", "")]),
        get(&["X-Request-Id: \"two\\", &later]),
        get(&["X-Request-Id: no id"]),
        get(&[&traceparent("00", ""), &traceparent("00", "")]),
    ];
    requests.extend(wrong.iter().map(|field| get(&[field])));
    let lines = logged(&[], &requests);
    let ids = |line: &Value| ["request_id", "trace_id"].map(|name| line.get(name).cloned());
    assert_eq!(ids(&lines[0]), [Some("one".into()), Some(TRACE.into())]);
    assert_eq!(ids(&lines[1]), [Some("\"two\\".into()), Some(TRACE.into())]);
    for (line, request) in lines[2..].iter().zip(&requests[2..]) {
        assert_eq!(ids(line), [None, None], "{request}");
    }
    assert_eq!(lines.len(), requests.len());
}

#[test]
fn lines_of_the_access_log_have_the_dataset_of_data() {
    let version = Server::start(SEED, &[]).state()["version"].clone();
    let requests = [
        (request("GET", LOOKUP, &[]), true),
        (request("HEAD", "/v1/shipments?limit=1", &[]), true),
        (request("GET", "/v1/shipments/none", &[]), true),
        (post("/v1/lookup", &[], r#"{"lookups":[{"tracking_number":"TN12345678"}]}"#), true),
        (request("GET", "/shipment/list/", &[]), true),
        (request("GET", "/openapi.json", &[]), false),
        (request("GET", "/readyz", &[]), false),
        (request("GET", "/nothing", &[]), false),
    ];
    let lines = logged(&[], &requests.clone().map(|(request, _)| request));
    for (line, (request, is_of_data)) in lines.iter().zip(&requests) {
        assert_eq!(line.get("dataset"), is_of_data.then_some(&version), "{request}");
    }
    assert_eq!(lines.len(), requests.len());
}

#[test]
fn slow_responses_are_logged_whatever_the_sample() {
    let requests = vec![get(&[]); 10];
    let count = |slow: &str| logged(&["--access-log-sample", "4", "--access-log-slow", slow], &requests).len();
    assert_eq!((count("0"), count("10m")), (10, 2));
}
