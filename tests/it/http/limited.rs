//! What callers without a key see of a shipment with `--public-view limited`, and what a postcode shows them.

use std::fmt::Write;
use std::path::Path;

use crate::support::client::{Answer, Client, post};
use crate::support::{HEADER, Server, run_serve};
use serde_json::{Value, json};

use super::access::{secrets, text};

const KEY: &str = "X-API-Key: 0123456789abcdef-1";
const LIMITED: &[&str] = &["--public-view", "limited", "--anonymous", "lookup"];
const VARY: &str = "authorization, x-api-key, waybill-postcode";

/// Number, carrier, and the addresses of sender and receiver.
const SHIPMENTS: [[&str; 4]; 6] = [
    ["TN1", "DHL", "Street 1, 10115 Berlin, Germany", "Herengracht 1, 1016 AB Amsterdam, Netherlands"],
    ["TN1", "UPS", "nowhere", "Street 10, 75001 Paris, France"],
    ["TN2", "DHL", "Street 1, 10115 Berlin, Germany", "at the harbour"],
    ["TN3", "DHL", "Street 1, 10115 Berlin, Germany", "Street 3, 00-950 Warszawa, \"Poland\""],
    ["TN4", "DHL", "", "Street 4, 75001, France"],
    ["TN5", "DHL", "", "Street 4, 75001 Paris, France"],
];

fn data() -> String {
    SHIPMENTS.iter().fold(HEADER.to_owned() + "\n", |mut data, [number, carrier, from, to]| {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        writeln!(data, "{number},{carrier},{},{},Laptop,1,800,LP1,on its way", quoted(from), quoted(to)).unwrap();
        data
    })
}

/// A server on which callers without a key see the limited view, and those with `KEY` everything.
fn start(arguments: &[&str]) -> (tempfile::TempDir, Server) {
    let (dir, path) = secrets("shop:0123456789abcdef-1\n");
    let server = Server::start(data(), &[LIMITED, &["--api-keys-file", text(&path)], arguments].concat());
    (dir, server)
}

fn limited(number: &str, carrier: &str, countries: [Option<&str>; 2]) -> Value {
    json!({
        "tracking_number": number, "carrier": carrier, "status": "on its way",
        "sender_country": countries[0], "receiver_country": countries[1], "limited": true,
    })
}

fn with(shipment: &Value, member: &str, value: bool) -> Value {
    let mut shipment = shipment.clone();
    shipment[member] = value.into();
    shipment
}

fn ask(client: &mut Client, target: &str, postcode: &str) -> Answer {
    client.request("GET", target, &[&format!("Waybill-Postcode: {postcode}")])
}

fn batch(client: &mut Client, fields: &[&str], lookups: &Value) -> Answer {
    client.send(post("/v1/lookup", fields, &json!({ "lookups": lookups }).to_string()));
    client.answer_to("POST")
}

#[test]
fn without_a_key_there_are_number_carrier_status_and_countries() {
    let (_dir, server) = start(&[]);
    let mut client = server.client();
    let expected = concat!(
        r#"{"tracking_number":"TN1","carrier":"DHL","status":"on its way","sender_country":"Germany","#,
        r#""receiver_country":"Netherlands","limited":true}"#
    );
    assert_eq!(client.get("/v1/shipments/dhl/tn1").text(), expected);
    let ups = limited("TN1", "UPS", [None, Some("France")]);
    let all = format!(r#"{{"count":2,"results":[{expected},{}]}}"#, client.get("/v1/shipments/ups/tn1").text());
    assert_eq!(client.get("/v1/shipments/tn1").text(), all);
    assert_eq!(client.get("/v1/shipments/UPS/TN1").json(), ups);
    assert_eq!(client.get("/v1/shipments/DHL/TN2").json(), limited("TN2", "DHL", [Some("Germany"), None]));
    let quoted = limited("TN3", "DHL", [Some("Germany"), Some("\"Poland\"")]);
    assert_eq!(client.get("/v1/shipments/DHL/TN3").json(), quoted);
    let answer = batch(&mut client, &[], &json!([{"tracking_number":"TN1"},{"tracking_number":"none"}]));
    let results = answer.json()["results"].clone();
    assert_eq!(results[0]["shipments"], json!([limited("TN1", "DHL", [Some("Germany"), Some("Netherlands")]), ups]));
    assert_eq!(results[1]["shipments"], json!([]));
    client.get("/v1/shipments/DHL/none").problem(404, "shipment_not_found");
    for target in ["/v1/shipments", "/v1/facets?receiver_city=Paris", "/shipment/list/?tracking_number=TN1"] {
        client.get(target).problem(401, "unauthorized");
    }
    // With a key there is everything, postcode or not.
    let full = client.request("GET", "/v1/shipments/DHL/TN1", &[KEY, "Waybill-Postcode: wrong"]);
    assert_eq!(full.json()["receiver_address"], SHIPMENTS[0][3]);
    let full = batch(&mut client, &[KEY], &json!([{"tracking_number":"TN1","carrier":"DHL","postcode":"wrong"}]));
    assert_eq!(full.json()["results"][0]["shipments"][0]["receiver_address"], SHIPMENTS[0][3]);
    assert_eq!(server.metric(r#"waybill_http_postcodes_total{result="wrong"}"#), 0);
}

#[test]
fn the_postcode_of_the_receiver_shows_all_of_the_shipment() {
    let (_dir, server) = start(&[]);
    let mut client = server.client();
    for (target, postcodes) in [
        ("/v1/shipments/DHL/TN1", &["1016 AB", "1016ab", " 10-16a b "][..]),
        ("/v1/shipments/UPS/TN1", &["75001", "7 5 0 0 1"]),
        ("/v1/shipments/DHL/TN3", &["00-950", "00950"]),
        ("/v1/shipments/DHL/TN4", &["75001"]),
        ("/v1/shipments/TN3", &["00 950"]),
    ] {
        let full = client.request("GET", target, &[KEY]);
        for postcode in postcodes {
            let answer = ask(&mut client, target, postcode);
            assert_eq!((answer.status, answer.text()), (200, full.text()), "{target} {postcode}");
            let head = client.request("HEAD", target, &[&format!("Waybill-Postcode: {postcode}")]);
            assert_eq!((head.status, head.content_length()), (200, Some(full.body.len())), "{target} {postcode}");
        }
        let member = json!([{"tracking_number": full.json()["tracking_number"].as_str().unwrap_or("TN3"),
            "carrier": full.json()["carrier"].as_str().unwrap_or("DHL"), "postcode": postcodes[0]}]);
        let answer = batch(&mut client, &[], &member);
        let shipment = &answer.json()["results"][0]["shipments"][0];
        assert!(shipment["articles"].is_array() && shipment["limited"].is_null(), "{shipment}");
    }
    assert_eq!(server.metric(r#"waybill_http_postcodes_total{result="verified"}"#), 9 * 2 + 5);
    assert_eq!(server.metric(r#"waybill_http_postcodes_total{result="wrong"}"#), 0);
}

#[test]
fn a_wrong_postcode_is_said_to_be_and_an_address_without_one_is_verified_by_nothing() {
    let (_dir, server) = start(&[]);
    let mut client = server.client();
    for (target, postcode) in [
        ("/v1/shipments/DHL/TN1", "1016"),
        ("/v1/shipments/DHL/TN1", "10115"),
        ("/v1/shipments/DHL/TN2", "at the harbour"),
        ("/v1/shipments/DHL/TN4", "France"),
    ] {
        let expected = client.get(target).text().replace("true}", "true,\"verified\":false}");
        assert_eq!(ask(&mut client, target, postcode).text(), expected);
    }
    let results = ask(&mut client, "/v1/shipments/TN1", "99999").json()["results"].clone();
    assert!(results.as_array().unwrap().iter().all(|shipment| shipment["verified"] == false), "{results}");
    // One of blanks and hyphens is none.
    for none in ["", "-", " - "] {
        assert_eq!(ask(&mut client, "/v1/shipments/DHL/TN1", none).text(), client.get("/v1/shipments/DHL/TN1").text());
    }
    for none in [json!(null), json!(""), json!(" "), json!("-")] {
        let answer = batch(&mut client, &[], &json!([{"tracking_number":"TN1","carrier":"DHL","postcode":none}]));
        assert_eq!(answer.json()["results"][0]["shipments"][0].get("verified"), None);
    }
    let twice = ["Waybill-Postcode: 1016AB", "Waybill-Postcode: 1016AB"];
    let answer = client.request("GET", "/v1/shipments/DHL/TN1", &twice);
    assert_eq!(answer.problem(400, "invalid_parameter"), "Waybill-Postcode: given twice; once is allowed");
    client.send(b"GET /v1/shipments/DHL/TN1 HTTP/1.1\r\nHost: a\r\nWaybill-Postcode: \xe9\r\n\r\n");
    let detail = client.answer_to("GET").problem(400, "invalid_parameter");
    assert_eq!(detail, "Waybill-Postcode: its bytes are not UTF-8");
}

#[test]
fn what_stands_in_place_of_a_country_is_not_shown_and_opens_nothing() {
    let addresses = [
        ("Jane Doe, 350 Main Street, Springfield IL 62701", "350"),
        ("Jane Doe, 12 rue de la Paix, 75002 Paris", "12"),
        ("Via Roma 1, 00184 Roma, jane.doe@example.com", "00184"),
        ("Calle 1, 28013 Madrid, llamar 612 345 678", "28013"),
    ];
    let rows =
        (0..).zip(addresses).map(|(at, (address, _))| format!("TN{at},DHL,\"{address}\",\"{address}\",a,1,1,,x\n"));
    let server = Server::start(format!("{HEADER}\n{}", rows.collect::<Vec<_>>().concat()), LIMITED);
    let mut client = server.client();
    for (at, (address, postcode)) in (0..).zip(addresses) {
        let target = format!("/v1/shipments/DHL/TN{at}");
        let shown = client.get(&target).json();
        assert_eq!((&shown["sender_country"], &shown["receiver_country"]), (&Value::Null, &Value::Null), "{address}");
        assert_eq!(ask(&mut client, &target, postcode).json()["verified"], false, "{address}");
    }
}

#[test]
fn with_a_number_alone_a_postcode_is_wrong_only_where_it_verifies_nothing() {
    let (_dir, server) = start(&[]);
    let mut client = server.client();
    let dhl = limited("TN1", "DHL", [Some("Germany"), Some("Netherlands")]);
    let answer = ask(&mut client, "/v1/shipments/TN1", "75001");
    let results = answer.json()["results"].clone();
    assert_eq!((&results[0], &results[1]["receiver_address"]), (&dhl, &json!(SHIPMENTS[1][3])));
    assert!(answer.field("etag").unwrap().ends_with("-full\""));
    let lookups = json!([{"tracking_number":"TN1","postcode":"1016ab"},{"tracking_number":"TN5"},
        {"tracking_number":"TN1","carrier":"UPS","postcode":"1"}]);
    let results = batch(&mut client, &[], &lookups).json()["results"].clone();
    assert_eq!(results[0]["shipments"][0]["receiver_address"], SHIPMENTS[0][3]);
    let ups = limited("TN1", "UPS", [None, Some("France")]);
    assert_eq!(results[0]["shipments"][1], ups);
    assert_eq!(results[1]["shipments"], json!([limited("TN5", "DHL", [None, Some("France")])]));
    assert_eq!(results[2]["shipments"], json!([with(&ups, "verified", false)]));
    assert_eq!(server.metric(r#"waybill_http_postcodes_total{result="verified"}"#), 2);
    assert_eq!(server.metric(r#"waybill_http_postcodes_total{result="wrong"}"#), 1);
}

#[test]
fn caches_can_tell_the_views_apart_and_store_no_full_one() {
    for target in ["/v1/shipments/DHL/TN1", "/v1/shipments/TN1"] {
        let (_dir, server) = start(&[]);
        let mut client = server.client();
        let version = server.state()["version"].as_str().unwrap().to_owned();
        for (fields, tag, caching) in [
            (&[][..], "-limited", "no-cache"),
            (&["Waybill-Postcode: 1"], "-unverified", "no-cache"),
            (&["Waybill-Postcode: 1016AB"], "-full", "private, no-store"),
            (&[KEY], "", "private, no-cache"),
        ] {
            let tag = format!("\"{version}{tag}\"");
            for (condition, status) in [("X: x", 200), ("If-None-Match: ", 304), ("If-Match: ", 200)] {
                let condition =
                    if condition.ends_with(": ") { format!("{condition}{tag}") } else { condition.to_owned() };
                let answer = client.request("GET", target, &[fields, &[&condition]].concat());
                let said = (answer.field("etag"), answer.field("cache-control"), answer.field("vary"));
                let expected = (Some(tag.clone()), Some(caching.to_owned()), Some(VARY.to_owned()));
                assert_eq!((answer.status, said), (status, expected), "{target} {fields:?} {condition}");
            }
        }
        let other = format!("If-Match: \"{version}\"");
        assert_eq!(client.request("GET", target, &[&other]).status, 412);
        let other = format!("If-None-Match: \"{version}-full\", \"{version}\"");
        assert_eq!(client.request("GET", target, &[&other]).status, 200);
    }
    let (_dir, server) = start(&[]);
    let mut client = server.client();
    for (fields, status) in [(&[][..], 404), (&["X-API-Key: wrong"], 401)] {
        let answer = client.request("GET", "/v1/shipments/DHL/none", fields);
        assert_eq!((answer.status, answer.field("vary").as_deref()), (status, Some(VARY)));
        assert_eq!(answer.field("cache-control").as_deref(), Some("no-store"));
    }
    let lookup = |postcode| json!([{"tracking_number":"TN1","carrier":"DHL","postcode":postcode}]);
    for (postcode, caching) in [(Value::Null, "no-cache"), (json!("1016AB"), "private, no-store")] {
        let answer = batch(&mut client, &[], &lookup(postcode));
        let said = (answer.field("cache-control"), answer.field("vary"));
        assert_eq!(said, (Some(caching.to_owned()), Some(format!("accept-encoding, {VARY}"))));
    }
    // So it is with what only keys may ask for.
    for (fields, depends_on) in [(&[][..], VARY), (&[KEY], &format!("accept-encoding, {VARY}"))] {
        assert_eq!(client.request("GET", "/v1/shipments", fields).field("vary").as_deref(), Some(depends_on));
    }
    // A lookup that finds nothing is no wrong postcode.
    let both = json!([{"tracking_number":"TN1"},{"tracking_number":"none","postcode":"1"}]);
    assert!(batch(&mut client, &[], &both).field("etag").unwrap().ends_with("-limited\""));
    // What all see alike does not depend on it.
    assert_eq!(client.get("/v1/dataset").field("vary"), None);
}

/// What is wrong in the answer to a postcode after too many wrong ones.
fn assert_refused(answer: &Answer, quota: u32) {
    let detail = answer.problem(429, "rate_limited");
    assert!(detail.starts_with("too many wrong postcodes; try again in "), "{detail}");
    let seconds: u64 = answer.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&seconds));
    assert_eq!(answer.field("ratelimit-policy").unwrap(), format!("\"postcode\";q={quota};w=3600"));
    assert_eq!(answer.field("ratelimit").unwrap(), format!("\"postcode\";r=0;t={seconds}"));
    assert_eq!(answer.field("vary").as_deref(), Some(VARY));
}

#[test]
fn after_five_wrong_postcodes_a_client_shows_none_for_the_shipment_and_still_sees_the_limited_view() {
    let (_dir, server) = start(&[]);
    let mut client = server.client();
    // By any way to ask, and repeats too.
    assert_eq!(ask(&mut client, "/v1/shipments/DHL/TN1", "1").json()["verified"], false);
    assert_eq!(ask(&mut client, "/v1/shipments/DHL/TN1", "1").json()["verified"], false);
    assert_eq!(client.request("HEAD", "/v1/shipments/DHL/TN1", &["Waybill-Postcode: 1"]).status, 200);
    assert_eq!(ask(&mut client, "/v1/shipments/TN1", "1").status, 200);
    let lookups = json!([{"tracking_number":"tn1","carrier":"dhl","postcode":"1"}]);
    assert_eq!(batch(&mut client, &[], &lookups).status, 200);
    assert_eq!(ask(&mut client, "/v1/shipments/dhl/tn1?version=0", "1016AB").status, 410);
    for target in ["/v1/shipments/DHL/TN1", "/v1/shipments/TN1"] {
        assert_refused(&ask(&mut client, target, "1016AB"), 5);
        assert_refused(&ask(&mut client, target, "1"), 5);
        assert_eq!(client.get(target).status, 200);
        assert_eq!(client.request("GET", target, &[KEY, "Waybill-Postcode: 1"]).status, 200);
    }
    // The other carrier's shipment is another one, and a batch is refused as a whole.
    assert_eq!(ask(&mut client, "/v1/shipments/UPS/TN1", "75001").json()["receiver_address"], SHIPMENTS[1][3]);
    let both = json!([{"tracking_number":"TN1","carrier":"UPS","postcode":"75001"},
        {"tracking_number":"TN1","carrier":"DHL","postcode":"1016AB"}]);
    let refused = batch(&mut client, &[], &both);
    assert_refused(&refused, 5);
    assert!(!refused.text().contains("Paris"));
    assert_eq!(server.metric(r#"waybill_http_rate_limited_total{by="postcode"}"#), 5);
    assert_eq!(server.metric(r#"waybill_http_rate_limited_total{by="client"}"#), 0);
    assert_eq!(server.metric(r#"waybill_http_postcodes_total{result="wrong"}"#), 5);
}

#[test]
fn a_batch_guesses_no_more_than_single_requests_do() {
    let (_dir, server) = start(&[]);
    let mut client = server.client();
    let guess = |postcode: &str| json!({"tracking_number":"TN1","carrier":"DHL","postcode":postcode});
    let many: Vec<Value> = (0..6).map(|number| guess(&number.to_string())).collect();
    assert_refused(&batch(&mut client, &[], &json!(many)), 5);
    assert_refused(&ask(&mut client, "/v1/shipments/DHL/TN1", "1016AB"), 5);
    assert_eq!(server.metric(r#"waybill_http_postcodes_total{result="wrong"}"#), 5);
}

#[test]
fn a_client_has_twenty_wrong_postcodes_for_all_shipments() {
    let rows = (0..30).map(|number| format!("TN{number},DHL,,\"Street, 75001 Paris, France\",a,1,1,,x\n"));
    let data = HEADER.to_owned() + "\n" + &rows.collect::<String>();
    let server = Server::start(data, LIMITED);
    let mut client = server.client();
    // What does not exist is no guess.
    for _ in 0..30 {
        assert_eq!(ask(&mut client, "/v1/shipments/DHL/none", "1").status, 404);
    }
    for number in 0..20 {
        assert_eq!(ask(&mut client, &format!("/v1/shipments/DHL/TN{number}"), "1").status, 200);
    }
    for number in 0..30 {
        assert_refused(&ask(&mut client, &format!("/v1/shipments/DHL/TN{number}"), "75001"), 20);
    }
    assert_eq!(client.get("/v1/shipments/DHL/TN29").status, 200);
}

#[test]
fn all_clients_together_have_a_hundred_wrong_postcodes_for_a_shipment() {
    let (_dir, server) = start(&["--trusted-proxy", "127.0.0.1"]);
    let mut client = server.client();
    let mut ask = |address: String, postcode: &str| {
        let fields = [format!("X-Forwarded-For: {address}"), format!("Waybill-Postcode: {postcode}")];
        client.request("GET", "/v1/shipments/DHL/TN1", &[&fields[0], &fields[1]])
    };
    // Addresses of one network are one client.
    for host in 0..5 {
        assert_eq!(ask(format!("2001:db8::{host}"), "1").status, 200);
    }
    assert_refused(&ask("2001:db8::99".to_owned(), "1016AB"), 5);
    for number in 0..95 {
        assert_eq!(ask(format!("192.0.2.{number}"), "1").status, 200);
    }
    assert_refused(&ask("198.51.100.1".to_owned(), "1016AB"), 100);
}

#[test]
fn requests_at_the_same_time_guess_no_more_than_one_after_the_other() {
    let (_dir, server) = start(&["--threads", "4"]);
    let passed: usize = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..8)
            .map(|_| {
                let mut client = server.client();
                let mut guess = move || ask(&mut client, "/v1/shipments/DHL/TN1", "1").status == 200;
                scope.spawn(move || (0..10).filter(|_| guess()).count())
            })
            .collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).sum()
    });
    assert_eq!(passed, 5);
}

#[test]
fn postcodes_are_in_no_log_and_no_metric() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let (_dir, server) = start(&["--access-log", text(&log)]);
    let mut client = server.client();
    for postcode in ["1016AB", "424242"] {
        ask(&mut client, "/v1/shipments/DHL/TN1", postcode);
        batch(&mut client, &[], &json!([{"tracking_number":"TN1","postcode":postcode}]));
    }
    let metrics = server.admin_get("/metrics").text().to_owned();
    let said = server.end().concat();
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(logged.lines().count() >= 4, "{logged}");
    for text in [metrics, said, logged.clone()] {
        assert!(!text.contains("1016AB") && !text.contains("424242"), "{text}");
    }
    // The version is told without what the view adds to the tag.
    let line: Value = serde_json::from_str(logged.lines().next().unwrap()).unwrap();
    assert!(line["dataset"].as_str().is_some_and(|version| version.len() == 32), "{line}");
}

#[test]
fn many_carriers_of_one_number_are_shown_in_part_and_compared_with_no_postcode() {
    let rows = |count: u32| {
        let row = |at| format!("TN1,C{at},,\"Street, 75001 Paris, France\",a,1,1,,x\n");
        (0..count).map(row).collect::<Vec<_>>().concat()
    };
    let server = Server::start(format!("{HEADER}\n{}", rows(100)), LIMITED);
    let mut client = server.client();
    let all = client.get("/v1/shipments/TN1").json();
    assert_eq!((all["count"].as_u64(), all["results"].as_array().unwrap().len()), (Some(100), 100));
    assert!(all["results"].as_array().unwrap().iter().all(|shipment| shipment["limited"] == true));
    let full = ask(&mut client, "/v1/shipments/TN1", "75001").json();
    assert!(full["results"].as_array().unwrap().iter().all(|shipment| shipment["articles"].is_array()));
    server.replace(format!("{HEADER}\n{}", rows(101)));
    assert_eq!(server.reload().json()["result"], "ok");
    assert_eq!(client.get("/v1/shipments/TN1").json()["results"].as_array().unwrap().len(), 101);
    let detail = ask(&mut client, "/v1/shipments/TN1", "75001").problem(400, "invalid_parameter");
    assert_eq!(detail, "Waybill-Postcode: too many carriers use this number; name one");
    let lookups = json!([{"tracking_number":"TN2"},{"tracking_number":"TN1","postcode":"75001"}]);
    let detail = batch(&mut client, &[], &lookups).problem(400, "invalid_body");
    assert_eq!(detail, "lookups[1].postcode: too many carriers use this number; name one");
}

#[test]
fn where_everybody_sees_everything_postcodes_mean_nothing() {
    let server = Server::start(data(), &[]);
    let mut client = server.client();
    let plain = client.get("/v1/shipments/DHL/TN1");
    let answer = ask(&mut client, "/v1/shipments/DHL/TN1", "wrong");
    assert_eq!((answer.text(), answer.field("etag"), answer.field("vary")), (plain.text(), plain.field("etag"), None));
    let lookups = json!([{"tracking_number":"TN1","postcode":"wrong"},{"tracking_number":"TN1","postcode":null}]);
    let results = batch(&mut client, &[], &lookups).json()["results"].clone();
    assert_eq!(results[0], results[1]);
    for wrong in [json!(1016), json!(["1016AB"])] {
        let answer = batch(&mut client, &[], &json!([{"tracking_number":"TN1","postcode":wrong}]));
        let detail = answer.problem(400, "invalid_body");
        assert!(detail.starts_with("lookups[0].postcode: a string is expected"), "{detail}");
    }
}

#[test]
fn a_limited_view_is_refused_where_filters_would_tell_the_rest() {
    let (_dir, path) = secrets("shop:0123456789abcdef-1\n");
    let with_all = ["--public-view", "limited", "--anonymous", "all", "--api-keys-file", text(&path)];
    for arguments in [&["--public-view", "limited"][..], &["--public-view", "limited", "--anonymous", "all"], &with_all]
    {
        let refused = run_serve(Path::new("none.csv"), arguments);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("--public-view limited: callers without a key may filter by what it withholds")
        );
    }
    // With keys alone nobody sees it, and it does no harm.
    let server = Server::start(data(), &["--public-view", "limited", "--api-keys-file", text(&path)]);
    server.get("/v1/shipments/DHL/TN1").problem(401, "unauthorized");
}
