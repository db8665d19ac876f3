//! What `POST /v1/lookup` answers, asked of the real binary.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::client::{Answer, Client, post};
use crate::support::{SEED, Server, csv, row, shipment};
use serde_json::{Value, json};

const PATH: &str = "/v1/lookup";
const LOOKUPS_MAX: usize = 1000;
const ANSWER_BYTES_MAX: usize = 64 << 20;

fn ask(client: &mut Client, body: impl AsRef<str>) -> Answer {
    client.send(post(PATH, &[], body.as_ref()));
    client.answer_to("POST")
}

fn ask_of(server: &Server, body: impl AsRef<str>) -> Answer {
    ask(&mut server.client(), body)
}

/// Asks for numbers, of any carrier.
fn numbers(numbers: &[&str]) -> String {
    let lookups: Vec<Value> = numbers.iter().map(|number| json!({"tracking_number": number})).collect();
    json!({"lookups": lookups}).to_string()
}

/// What is answered to one lookup; `number` and `carrier` are JSON.
fn result(number: &str, carrier: &str, shipments: &[String]) -> String {
    format!(r#"{{"tracking_number":{number},"carrier":{carrier},"shipments":[{}]}}"#, shipments.join(","))
}

fn results(results: &[String]) -> String {
    format!(r#"{{"results":[{}]}}"#, results.join(","))
}

#[test]
fn the_answer_has_the_order_and_the_spelling_of_the_question() {
    let server = Server::start(csv(&[row("TN1", "DHL"), row("Ü2", "DHL"), row("TN1", "UPS")]), &[]);
    let body = r#"{"lookups":[
        {"tracking_number":"tn1","carrier":"ups"},
        {"tracking_number":" TN1\t"},
        {"carrier":null,"tracking_number":"\u00fc2"},
        {"tracking_number":"TN1","carrier":"DPD"},
        {"tracking_number":"a\"\\\/\u0001\ud83d\ude00","carrier":"\nx"},
        {"tracking_number":"TN1","carrier":"  DhL "},
        {"tracking_number":"tn1","carrier":"ups"}]}"#;
    let answer = ask_of(&server, body);
    let expected = [
        result(r#""tn1""#, r#""ups""#, &[shipment("TN1", "UPS")]),
        result(r#"" TN1\t""#, "null", &[shipment("TN1", "DHL"), shipment("TN1", "UPS")]),
        result(r#""ü2""#, "null", &[shipment("Ü2", "DHL")]),
        result(r#""TN1""#, r#""DPD""#, &[]),
        result(r#""a\"\\/\u0001😀""#, r#""\nx""#, &[]),
        result(r#""TN1""#, r#""  DhL ""#, &[shipment("TN1", "DHL")]),
        result(r#""tn1""#, r#""ups""#, &[shipment("TN1", "UPS")]),
    ];
    assert_eq!((answer.status, answer.text()), (200, results(&expected).as_str()));
    assert_eq!(answer.field("content-type").as_deref(), Some("application/json"));
}

#[test]
fn the_documented_batch_is_answered_as_documented() {
    let server = Server::start(csv(&[row("TN1", "DHL")]), &[]);
    let body = r#"{"lookups":[{"tracking_number":"TN1","carrier":"DHL"},{"tracking_number":"TN2"}]}"#;
    let expected = [result(r#""TN1""#, r#""DHL""#, &[shipment("TN1", "DHL")]), result(r#""TN2""#, "null", &[])];
    assert_eq!(ask_of(&server, body).text(), results(&expected));
}

#[test]
fn nothing_asked_is_nothing_answered() {
    let server = Server::start(SEED, &[]);
    let answer = ask_of(&server, r#"{"lookups":[]}"#);
    assert_eq!((answer.status, answer.text()), (200, r#"{"results":[]}"#));
}

#[test]
fn a_batch_has_the_fields_of_the_dataset_and_is_never_304() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let etag = client.get("/v1/dataset").field("etag").unwrap();
    let whole = ask(&mut client, numbers(&["TN12345678"]));
    for known in [etag.as_str(), "*"] {
        client.send(post(PATH, &[&format!("If-None-Match: {known}")], &numbers(&["TN12345678"])));
        let answer = client.answer_to("POST");
        assert_eq!((answer.status, &answer.body), (200, &whole.body));
        assert_eq!(answer.field("etag").as_ref(), Some(&etag));
        assert_eq!(answer.field("cache-control").as_deref(), Some("no-cache"));
    }
}

#[test]
fn other_methods_are_told_to_post() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"] {
        let answer = client.request(method, PATH, &[]);
        assert_eq!((answer.status, answer.field("allow").as_deref()), (405, Some("POST")), "{method}");
        if method != "HEAD" {
            answer.problem(405, "method_not_allowed");
        }
    }
    server.admin_client().request("POST", PATH, &["Content-Length: 0"]).problem(404, "route_not_found");
}

#[test]
fn a_query_is_ignored_and_the_path_is_taken_in_any_spelling() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for path in ["/v1/lookup?x=1", "/v1/%6cookup"] {
        client.send(post(path, &[], r#"{"lookups":[]}"#));
        assert_eq!(client.answer_to("POST").status, 200, "{path}");
    }
}

#[test]
fn what_is_wrong_with_a_body_is_named() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let mut many = vec!["TN1"; 18];
    many[17] = " ";
    let detail = ask(&mut client, numbers(&many)).problem(400, "invalid_body");
    assert_eq!(detail, "lookups[17].tracking_number: a string that is not blank is expected");
    for (body, start) in [
        ("", "the body is empty"),
        ("{", "the body is not JSON"),
        ("[]", "the body is no object"),
        (r#"{"lookups":[{"tracking_number":"1","carier":"DHL"}]}"#, "lookups[0].carier: unknown"),
        (r#"{"lookups":[{"tracking_number":"1","<b>\"\u0000":1}]}"#, "lookups[0].<b>\"\0: unknown"),
        (r#"{"lookups":[{"tracking_number":"1","carrier":""}]}"#, "lookups[0].carrier: "),
        (r#"{"lookups":[],"lookups":[]}"#, "lookups: duplicate"),
        (&"[".repeat(100_000), "the body is nested too deeply"),
    ] {
        let detail = ask(&mut client, body).problem(400, "invalid_body");
        assert!(detail.starts_with(start), "{detail}");
    }
    // None of them was the last on the connection.
    assert_eq!(client.get("/livez").status, 200);
}

#[test]
fn a_thousand_lookups_are_answered_and_one_more_is_too_many() {
    let server = Server::start(csv(&[row("TN1", "DHL")]), &[]);
    let mut client = server.client();
    let answer = ask(&mut client, numbers(&["TN1"; LOOKUPS_MAX]));
    let one = result(r#""TN1""#, "null", &[shipment("TN1", "DHL")]);
    assert_eq!(answer.text(), results(&vec![one; LOOKUPS_MAX]));
    let detail = ask(&mut client, numbers(&["TN1"; LOOKUPS_MAX + 1])).problem(413, "too_many_lookups");
    assert!(detail.contains("1001") && detail.contains("1000"), "{detail}");
    assert_eq!(client.get("/livez").status, 200);
}

/// One shipment whose article takes `bytes` to name.
fn large(bytes: usize) -> String {
    csv(&[row("TN1", "DHL").replace("Laptop", &"x".repeat(bytes)), row("TN2", "DHL")])
}

#[test]
fn an_answer_over_the_limit_is_refused_and_costs_no_memory() {
    let server = Server::start(large(900_000), &[]);
    let one = ask_of(&server, numbers(&["TN1"])).body.len() - results(&[]).len();
    // Each further one takes a comma.
    let fitting = (ANSWER_BYTES_MAX - results(&[]).len() + 1) / (one + 1);
    let before = server.resident_bytes();
    for _ in 0..5 {
        for asked in [fitting + 1, LOOKUPS_MAX] {
            ask_of(&server, numbers(&vec!["TN1"; asked])).problem(422, "answer_too_large");
        }
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < (ANSWER_BYTES_MAX / 2) as u64, "{grown} bytes");
    let answer = ask_of(&server, numbers(&vec!["TN1"; fitting]));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.len(), results(&[]).len() + fitting * (one + 1) - 1);
    assert_eq!(ask_of(&server, numbers(&["TN2"])).status, 200);
}

/// Shipments of two carriers, every fifth number of both, some twice in another case.
fn varied() -> String {
    let rows = (0..3000).flat_map(|number| {
        let first = row(&format!("TN{number}"), "DHL");
        let second = (number % 5 == 0).then(|| {
            row(&format!("tn{number}"), "Česká \"\"pošta").replace("Česká \"\"pošta", "\"Česká \"\"pošta\"\"\"")
        });
        [Some(first), second].into_iter().flatten()
    });
    csv(&rows.collect::<Vec<_>>())
}

#[test]
fn batches_are_what_single_lookups_are() {
    let server = Server::start(varied(), &[]);
    let mut client = server.client();
    let carriers = [None, Some("dhl"), Some(" ČESKÁ \"POŠTA\""), Some("nobody")];
    let mut draw = 1_usize;
    let mut next = |limit: usize| {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) % limit
    };
    for size in [1, 2, 7, 99, 100, 101, 300, 1000] {
        let lookups: Vec<(String, Option<&str>)> =
            (0..size).map(|_| (format!("tN{}", next(3300)), carriers[next(carriers.len())])).collect();
        let body = json!({"lookups": lookups.iter().map(|(number, carrier)| json!({"tracking_number": number, "carrier": carrier})).collect::<Vec<_>>()});
        let batch = ask(&mut client, body.to_string()).json();
        let batch = batch["results"].as_array().unwrap();
        assert_eq!(batch.len(), size);
        for ((number, carrier), result) in lookups.iter().zip(batch) {
            assert_eq!((&result["tracking_number"], &result["carrier"]), (&json!(number), &json!(carrier)));
            let single = match carrier {
                Some(carrier) => client.get(&format!("/v1/shipments/{}/{number}", encoded(carrier))),
                None => client.get(&format!("/v1/shipments/{number}")),
            };
            let expected = match (single.status, carrier) {
                (404, _) => json!([]),
                (_, Some(_)) => json!([single.json()]),
                (_, None) => single.json()["results"].clone(),
            };
            assert_eq!(result["shipments"], expected, "{number} {carrier:?}");
        }
    }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[test]
fn a_batch_is_answered_from_one_dataset_while_others_replace_it() {
    const SHIPMENTS: usize = 1000;
    const RELOADS: usize = 20;
    let file = |status: &str| {
        let rows = (0..SHIPMENTS).map(|number| row(&format!("TN{number}"), "DHL").replace("scanned", status));
        csv(&rows.collect::<Vec<_>>())
    };
    let files = [file("old"), file("new")];
    let server = Server::start(&files[0], &[]);
    let asked: Vec<String> = (0..SHIPMENTS).map(|number| format!("TN{number}")).collect();
    let body = numbers(&asked.iter().map(String::as_str).collect::<Vec<_>>());
    let short_body = numbers(&["TN1", "TN999"]);
    let is_over = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let clients = [&body, &short_body].map(|body| {
            let mut client = server.client();
            let is_over = &is_over;
            scope.spawn(move || {
                let mut seen = std::collections::BTreeSet::new();
                while !is_over.load(Ordering::Relaxed) {
                    let answer = ask(&mut client, body);
                    let [old, new] =
                        ["old", "new"].map(|status| answer.text().matches(&format!("\"status\":\"{status}\"")).count());
                    assert!(old == 0 || new == 0, "{old} and {new}");
                    assert_eq!(old + new, body.matches("TN").count());
                    seen.insert((answer.field("etag").unwrap(), old == 0));
                }
                seen
            })
        });
        for number in 1..=RELOADS {
            server.replace(&files[number % 2]);
            assert_eq!(server.reload().json()["result"], "ok");
        }
        is_over.store(true, Ordering::Relaxed);
        clients.map(|client| client.join().unwrap())
    });
    for seen in seen {
        // One version has one status.
        assert!(seen.len() <= 2, "{seen:?}");
    }
}
