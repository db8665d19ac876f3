//! Clients that make the server hold memory or work: all that waits is bounded over all of them.

use serde_json::{Value, json};

use crate::support::client::{Broken, Client, post, request};
use crate::support::{DEADLINE, HEADER, Server, csv, row};
use std::time::Instant;

/// For time limits that a test must not meet.
const NEVER: &str = "10m";
/// The smallest budget.
const BUDGET: [&str; 8] =
    ["--max-buffered-bytes", "1MiB", "--write-timeout", NEVER, "--body-timeout", NEVER, "--threads", "1"];
const MONSTER: &str = "/v1/shipments/DHL/TN1";
const ARTICLES: usize = 100_000;

/// A shipment of many articles, 6 MB as JSON, and a small one.
fn monster() -> String {
    let mut rows = vec![row("TN1", "DHL"); ARTICLES];
    rows.push(row("TN2", "DHL"));
    csv(&rows)
}

/// What the monster becomes.
fn monster_json() -> String {
    let article = r#"{"name":"Laptop","quantity":1,"price":800,"SKU":"LP1"}"#;
    let head = r#"{"tracking_number":"TN1","carrier":"DHL","status":"scanned","sender_address":"from","receiver_address":"to","articles":["#;
    format!("{head}{}]}}", vec![article; ARTICLES].join(","))
}

fn held(server: &Server) -> u64 {
    server.metric("waybill_http_buffered_bytes")
}

/// Waits until nothing is held any more.
fn wait_until_nothing_is_held(server: &Server) {
    let begun = Instant::now();
    while held(server) > 0 {
        assert!(begun.elapsed() < DEADLINE, "{} bytes are held", held(server));
    }
}

#[test]
fn a_monster_is_answered_whole_by_every_route_and_its_size_by_head() {
    let server = Server::start(monster(), &[]);
    let shipment = monster_json();
    for (path, expected) in [
        (MONSTER.to_owned(), shipment.clone()),
        ("/v1/shipments/tn1".to_owned(), format!(r#"{{"count":1,"results":[{shipment}]}}"#)),
        (
            "/v1/shipments?tracking_number=tn1".to_owned(),
            format!(r#"{{"count":1,"next":null,"previous":null,"results":[{shipment}]}}"#),
        ),
    ] {
        let answer = server.get(&path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.text() == expected, "{path}: {} bytes instead of {}", answer.body.len(), expected.len());
        let mut client = server.client();
        let head = client.request("HEAD", &path, &[]);
        assert_eq!((head.status, head.content_length()), (200, Some(expected.len())), "{path}");
        assert_eq!(head.field("etag"), answer.field("etag"));
        // The connection goes on.
        let known = format!("If-None-Match: {}", answer.field("etag").unwrap());
        assert_eq!(client.request("GET", &path, &[&known]).status, 304, "{path}");
        assert_eq!(client.get("/v1/shipments/DHL/TN2").status, 200);
    }
    let body =
        json!({"lookups": [{"tracking_number": "TN2"}, {"tracking_number": "TN1", "carrier": "dhl"}]}).to_string();
    let mut client = server.client();
    client.send(post("/v1/lookup", &[], &body));
    let answer = client.answer_to("POST");
    assert!(
        answer.text().ends_with(&format!(r#"{{"tracking_number":"TN1","carrier":"dhl","shipments":[{shipment}]}}]}}"#))
    );
    wait_until_nothing_is_held(&server);
}

#[test]
fn a_shipment_of_few_long_articles_is_made_in_parts_too() {
    let long = row("TN1", "DHL").replace("Laptop", &"x".repeat(20_000));
    let server = Server::start(csv(&vec![long; 60]), &BUDGET);
    let whole = server.get("/v1/shipments/DHL/TN1");
    assert_eq!(whole.status, 200, "{}", whole.text());
    assert!(whole.body.len() > 1_200_000);
    let by_number = server.get("/v1/shipments/TN1");
    assert!(by_number.text() == format!(r#"{{"count":1,"results":[{}]}}"#, whole.text()));
    let mut client = server.client();
    assert_eq!(client.request("HEAD", "/v1/shipments/DHL/TN1", &[]).content_length(), Some(whole.body.len()));
    wait_until_nothing_is_held(&server);
}

#[test]
fn very_many_carriers_are_listed_off_the_worker() {
    let carriers: Vec<String> = (0..1500).map(|at| format!("Carrier {at}")).collect();
    let rows: Vec<String> = carriers.iter().map(|carrier| row("TN1", carrier)).collect();
    let server = Server::start(csv(&rows), &[]);
    let answer = server.get("/v1/dataset");
    assert_eq!((answer.status, &answer.json()["carriers"]), (200, &json!(carriers)));
    let mut client = server.client();
    assert_eq!(client.request("HEAD", "/v1/dataset", &[]).content_length(), Some(answer.body.len()));
    assert_eq!(client.request("GET", "/v1/dataset", &["If-None-Match: *"]).status, 304);
}

#[test]
fn answers_that_nobody_reads_are_bounded_in_sum_and_small_ones_go_on() {
    let server = Server::start(monster(), &BUDGET);
    let before = server.resident_bytes();
    let mut unread: Vec<Client> = (0..100).map(|_| server.client()).collect();
    let overloaded = unread.iter_mut().filter_map(|client| {
        client.send(request("GET", MONSTER, &[]));
        // The first bytes tell; the rest stays unread.
        let refused = client.starts_with("HTTP/1.1 503 ");
        refused.then(|| client.answer_to("GET"))
    });
    let overloaded: Vec<_> = overloaded.collect();
    // A response in parts takes 256 KiB and what is on its way.
    assert!((90..100).contains(&overloaded.len()), "{}", overloaded.len());
    for answer in &overloaded {
        assert_eq!(answer.field("retry-after").as_deref(), Some("1"));
        answer.problem(503, "overloaded");
    }
    assert!(held(&server) <= (2 << 20) + (10 << 16), "{} bytes are held", held(&server));
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes for {} unread answers", unread.len() - overloaded.len());
    assert_eq!(server.get("/v1/shipments/DHL/TN2").status, 200);
    drop(unread);
    wait_until_nothing_is_held(&server);
    assert!(server.get(MONSTER).text() == monster_json());
}

#[test]
fn bodies_that_stall_are_bounded_in_sum_and_take_what_has_come_of_them() {
    let server = Server::start(monster(), &BUDGET);
    let body = " ".repeat(600_000) + r#"{"lookups":[]}"#;
    let whole = post("/v1/lookup", &[], &body);
    // Heads that promise much take nothing.
    let mut promised: Vec<Client> = (0..50).map(|_| server.client()).collect();
    for client in &mut promised {
        client.send(&whole[..whole.len() - body.len() + 10]);
    }
    // Of a body everything counts.
    let begun = Instant::now();
    while held(&server) != 500 {
        assert!(begun.elapsed() < DEADLINE, "{} bytes are held", held(&server));
    }
    let mut first = server.client();
    first.send(&whole[..whole.len() - 1]);
    let begun = Instant::now();
    while held(&server) < body.len() as u64 - 1 {
        assert!(begun.elapsed() < DEADLINE);
    }
    assert!(held(&server) <= 1 << 20);
    let mut second = server.client();
    second.send(&whole[..whole.len() - 1]);
    let refused = second.answer_to("POST");
    refused.problem(503, "overloaded");
    assert_eq!(refused.field("connection").as_deref(), Some("close"));
    first.send(&whole[whole.len() - 1..]);
    assert_eq!(first.answer_to("POST").text(), r#"{"results":[]}"#);
    drop(promised);
    wait_until_nothing_is_held(&server);
}

#[test]
fn a_response_from_a_replaced_dataset_is_cut_off_when_the_next_load_begins() {
    let server = Server::start(monster(), &["--write-timeout", NEVER]);
    let mut slow = server.client();
    slow.send(request("GET", MONSTER, &[]));
    assert!(slow.starts_with("HTTP/1.1 200 "));
    server.replace(monster().replace("LP1", "LP2"));
    assert_eq!(server.reload().status, 200);
    let mut patient = server.client();
    patient.send(request("GET", MONSTER, &[]));
    assert!(patient.starts_with("HTTP/1.1 200 "));
    assert_eq!(server.reload().json()["result"], "unchanged");
    assert!(matches!(slow.try_answer_to("GET"), Err(Broken::Truncated(_))));
    assert!(patient.answer_to("GET").text() == monster_json().replace("LP1", "LP2"));
}

#[test]
fn a_response_from_a_dataset_that_was_replaced_just_now_is_whole_before_the_next_load() {
    let server = Server::start(monster(), &["--write-timeout", NEVER]);
    let mut reader = server.client();
    reader.send(request("GET", MONSTER, &[]));
    assert!(reader.starts_with("HTTP/1.1 200 "));
    server.replace(monster().replace("LP1", "LP2"));
    assert_eq!(server.reload().status, 200);
    server.replace(monster().replace("LP1", "LP3"));
    let mut admin = server.admin_client();
    // It has been read when the answer to the request before it is there.
    admin.send(request("GET", "/livez", &[]) + &request("POST", "/-/reload", &[]));
    assert_eq!(admin.answer_to("GET").status, 200);
    assert!(reader.answer_to("GET").text() == monster_json());
    assert_eq!(admin.answer_to("POST").json()["result"], "ok");
}

#[test]
fn a_connection_whose_answer_is_being_made_in_parts_is_not_idle() {
    // What takes long has two threads and is done in turns: parts of sixteen answers wait for each other.
    let arguments = ["--idle-timeout", "50ms", "--header-timeout", NEVER, "--write-timeout", NEVER, "--threads", "1"];
    let server = Server::start(monster(), &arguments);
    let expected = monster_json();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            let (mut client, expected) = (server.client(), &expected);
            scope.spawn(move || assert!(client.get(MONSTER).text() == expected));
        }
    });
}

#[test]
fn a_page_leaves_out_and_names_what_no_page_has_room_for() {
    // Each control character becomes six bytes of JSON.
    let name = "\u{1}".repeat(1_000_000);
    let mut file = format!("{HEADER}\n{}\n", row("TN1", "DHL"));
    for _ in 0..12 {
        file += &(row("Monster", "UPS").replace("Laptop", &name) + "\n");
    }
    file += &(row("TN2", "DHL") + "\n");
    let server = Server::start(&file, &[]);
    let one = server.get("/v1/shipments/UPS/monster");
    assert_eq!(one.status, 200);
    let bytes = one.body.len();
    assert!(bytes > 64 << 20, "{bytes}");
    for path in ["/v1/shipments", "/v1/shipments?limit=1000", "/shipment/list/"] {
        let page = server.get(path);
        assert_eq!(page.status, 200, "{path}");
        let json: Value = page.json();
        assert_eq!(json["count"], 3);
        let numbers: Vec<_> = json["results"].as_array().unwrap().iter().map(|one| &one["tracking_number"]).collect();
        assert_eq!(numbers, ["TN1", "TN2"]);
        let omitted = format!(r#"],"omitted":[{{"carrier":"UPS","tracking_number":"Monster","bytes":{bytes}}}]}}"#);
        assert!(page.text().ends_with(&omitted), "{}", page.text());
    }
    let next = server.get("/v1/shipments?limit=1&offset=1").json();
    assert_eq!((&next["results"], next["omitted"].as_array().unwrap().len()), (&json!([]), 1));
    assert!(next["next"].as_str().unwrap().ends_with("offset=2"));
}
