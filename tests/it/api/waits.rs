//! Lookups that wait until their shipment is another: `?wait=…`

use std::time::{Duration, Instant};

use crate::support::client::{Client, request};
use crate::support::{DEADLINE, SEED, Server, Signal, csv, row, row_with_status, secrets};

const CHANGES: [&str; 2] = ["--changes", "3"];

/// Two shipments, with these statuses.
fn file(first: &str, second: &str) -> String {
    csv(&[row_with_status("TN1", "DHL", first), row_with_status("TN2", "DHL", second)])
}

/// Looks up, who has the response of `version`.
fn wait(server: &Server, target: &str, version: &str) -> Client {
    let mut client = server.client();
    client.send(request("GET", target, &[&format!("If-None-Match: \"{version}\"")]));
    client
}

/// Returns when so many wait.
fn until_waiting(server: &Server, count: u64) {
    let started = Instant::now();
    while server.metric("waybill_changes_waits") != count {
        assert!(started.elapsed() < DEADLINE, "{}", server.metric("waybill_changes_waits"));
        std::thread::yield_now();
    }
}

#[test]
fn a_lookup_is_answered_when_its_own_shipment_is_another_and_not_before() {
    let server = Server::start(file("a", "a"), &CHANGES);
    let first = server.version();
    let (mut one, mut two) = (
        wait(&server, "/v1/shipments/dhl/tn1?wait=55", &first),
        wait(&server, "/v1/shipments/DHL/TN2?wait=55", &first),
    );
    until_waiting(&server, 2);
    let second = server.publish(file("b", "a"));
    let answer = one.answer_to("GET");
    assert_eq!((answer.status, answer.field("etag")), (200, Some(format!("\"{second}\""))));
    assert!(answer.text().contains("\"status\":\"b\""));
    assert!(two.is_silent_for(Duration::from_millis(600)));
    until_waiting(&server, 1);
    // It waits on from what it was compared with, whether or not that is forgotten.
    for status in ["c", "d", "e", "f"] {
        server.publish(file(status, "a"));
        assert!(two.is_silent_for(Duration::from_millis(300)));
    }
    server.publish(file("f", "b"));
    assert!(two.answer_to("GET").text().contains("\"status\":\"b\""));
    until_waiting(&server, 0);
    // Time that a client waits is none that the server takes.
    let of_route =
        r#"waybill_http_request_duration_seconds_bucket{route="/v1/shipments/{carrier}/{tracking_number}",le="0.25"}"#;
    assert_eq!(server.metric(of_route), 2);
    server.stop();
}

#[test]
fn a_shipment_that_goes_is_a_404() {
    let server = Server::start(file("a", "a"), &CHANGES);
    let first = server.version();
    let mut one = wait(&server, "/v1/shipments/DHL/TN1?wait=55", &first);
    until_waiting(&server, 1);
    server.publish(csv(&[row("TN2", "DHL")]));
    one.answer_to("GET").problem(404, "shipment_not_found");
    wait(&server, "/v1/shipments/DHL/TN1?wait=55", &first).answer_to("GET").problem(404, "shipment_not_found");
    server.stop();
}

#[test]
fn what_is_another_already_is_answered_at_once() {
    let server = Server::start(file("a", "a"), &CHANGES);
    let first = server.version();
    let second = server.publish(file("b", "a"));
    for known in [&*first, "0", "00000000000000000000000000000000"] {
        let answer = wait(&server, "/v1/shipments/DHL/TN1?wait=55", known).answer_to("GET");
        assert_eq!((answer.status, answer.field("etag")), (200, Some(format!("\"{second}\""))), "{known}");
    }
    let either = format!("If-None-Match: \"0\", W/\"{second}\"");
    assert_eq!(server.client().request("GET", "/v1/shipments/DHL/TN1?wait=1", &[&either]).status, 304);
    assert_eq!(server.client().request("GET", "/v1/shipments/DHL/TN1?wait=55", &["If-None-Match: *"]).status, 304);
    // The other one is as it was in both.
    let mut two = wait(&server, "/v1/shipments/DHL/TN2?wait=55", &first);
    until_waiting(&server, 1);
    server.publish(file("b", "b"));
    assert_eq!(two.answer_to("GET").status, 200);
    server.stop();
}

#[test]
fn when_the_time_is_over_nothing_was_modified() {
    let server = Server::start(file("a", "a"), &CHANGES);
    let first = server.version();
    let started = Instant::now();
    let mut client = wait(&server, "/v1/shipments/DHL/TN1?x=1&wait=1", &first);
    let answer = client.answer_to("GET");
    assert_eq!((answer.status, answer.field("etag")), (304, Some(format!("\"{first}\""))));
    assert!((Duration::from_secs(1)..DEADLINE).contains(&started.elapsed()), "{:?}", started.elapsed());
    // The connection goes on.
    assert_eq!(client.get("/v1/shipments/DHL/TN1").status, 200);
    server.stop();
}

#[test]
fn without_a_tag_or_the_flag_nobody_waits_and_unusable_times_are_refused() {
    let server = Server::start(file("a", "a"), &CHANGES);
    let first = server.version();
    assert_eq!(server.get("/v1/shipments/DHL/TN1?wait=55").status, 200);
    let mut of_version = wait(&server, &format!("/v1/shipments/DHL/TN1?wait=55&version={first}"), &first);
    assert_eq!(of_version.answer_to("GET").status, 304);
    assert_eq!(wait(&server, "/v1/shipments/TN1?wait=55", &first).answer_to("GET").status, 304);
    for wrong in ["0", "56", "-1", "", "1s", "99999999999999999999"] {
        let target = format!("/v1/shipments/DHL/TN1?wait={wrong}");
        let detail = wait(&server, &target, &first).answer_to("GET").problem(400, "invalid_parameter");
        assert_eq!(detail, "wait: seconds from 1 to 55 are expected");
        server.get(&target).problem(400, "invalid_parameter");
    }
    server.get("/v1/shipments/DHL/TN1?wait=1&wait=1").problem(400, "invalid_parameter");
    let without = Server::start(file("a", "a"), &[]);
    assert_eq!(wait(&without, "/v1/shipments/DHL/TN1?wait=55", &first).answer_to("GET").status, 304);
    server.stop();
    without.stop();
}

#[test]
fn a_client_without_a_key_has_twenty_places() {
    let keys = secrets("shop:key-of-the-shop\n");
    let keys = ["--api-keys-file", keys.path().to_str().unwrap(), "--anonymous", "all"];
    let server = Server::start(file("a", "a"), &[&CHANGES[..], &keys].concat());
    let first = server.version();
    let target = "/v1/shipments/DHL/TN1?wait=55";
    let mut waiting: Vec<Client> = (0..20).map(|_| wait(&server, target, &first)).collect();
    until_waiting(&server, 20);
    let refused = wait(&server, target, &first).answer_to("GET");
    refused.problem(503, "overloaded");
    assert_eq!(refused.field("retry-after").as_deref(), Some("1"));
    let mut with_key = server.client();
    with_key.send(request("GET", target, &["X-API-Key: key-of-the-shop", &format!("If-None-Match: \"{first}\"")]));
    until_waiting(&server, 21);
    server.publish(file("b", "a"));
    for client in waiting.iter_mut().chain([&mut with_key]) {
        assert_eq!(client.answer_to("GET").status, 200);
    }
    until_waiting(&server, 0);
    server.stop();
}

#[test]
fn all_who_wait_are_told_at_the_end_that_nothing_was_modified() {
    let mut server = Server::start(file("a", "a"), &CHANGES);
    let first = server.version();
    let mut waiting: Vec<Client> = (0..5).map(|_| wait(&server, "/v1/shipments/DHL/TN1?wait=55", &first)).collect();
    until_waiting(&server, 5);
    let started = Instant::now();
    server.signal(Signal::TERM);
    for client in &mut waiting {
        let answer = client.answer_to("GET");
        assert_eq!((answer.status, answer.field("connection").as_deref()), (304, Some("close")));
    }
    // The server lets clients close the connections.
    drop(waiting);
    assert_eq!(server.wait().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
}

#[test]
fn who_sees_a_limited_view_waits_for_what_that_shows() {
    let flags = ["--public-view", "limited", "--anonymous", "lookup"];
    let server = Server::start(SEED, &[&CHANGES[..], &flags].concat());
    let limited = server.get("/v1/shipments/DHL/TN12345678").field("etag").unwrap();
    let target = "/v1/shipments/DHL/TN12345678?wait=55";
    let mut one = wait(&server, target, limited.trim_matches('"'));
    until_waiting(&server, 1);
    server.publish(SEED.replace(
        "TN12345678,DHL,\"Street 1, 10115 Berlin, Germany\",\"Street 10, 75001 Paris, France\",Laptop,1",
        "TN12345678,DHL,\"Street 1, 10115 Berlin, Germany\",\"Street 10, 75001 Paris, France\",Laptop,2",
    ));
    assert!(one.is_silent_for(Duration::from_millis(600)));
    server.publish(SEED.replace("in-transit", "delivered"));
    let answer = one.answer_to("GET");
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("\"limited\":true") && answer.text().contains("delivered"), "{}", answer.text());
    // The tag of another view names another response.
    let now = answer.field("etag").unwrap();
    let full = now.trim_matches('"').trim_end_matches("-limited");
    assert_eq!(wait(&server, target, full).answer_to("GET").status, 200);
    server.stop();
}

#[test]
fn who_is_told_that_nothing_was_modified_has_the_tag_of_what_was_compared() {
    let server = Server::start(file("a", "a"), &CHANGES);
    let first = server.version();
    let mut all: Vec<Client> = (0..20).map(|_| wait(&server, "/v1/shipments/DHL/TN1?wait=1", &first)).collect();
    // The time of some is over between the publication and when they are compared.
    let last = all.last_mut().unwrap();
    assert!(last.is_silent_for(Duration::from_millis(900)));
    let second = server.publish(file("b", "a"));
    for client in &mut all {
        let answer = client.answer_to("GET");
        let tag = answer.field("etag").unwrap();
        let expected = if answer.status == 304 { &first } else { &second };
        assert_eq!(tag, format!("\"{expected}\""), "{}", answer.head);
    }
    server.stop();
}

#[test]
fn nobody_is_woken_by_reloads_that_are_forgotten_before_they_are_compared() {
    let server = Server::start(file("a", "a"), &["--changes", "1"]);
    let first = server.version();
    let mut one = wait(&server, "/v1/shipments/DHL/TN1?wait=55", &first);
    until_waiting(&server, 1);
    for status in ["b", "c", "d", "e", "f", "g", "h", "i"] {
        server.publish(file("a", status));
    }
    assert!(one.is_silent_for(Duration::from_millis(600)));
    server.publish(file("b", "i"));
    assert!(one.answer_to("GET").text().contains("\"status\":\"b\""));
    server.stop();
}

#[test]
fn what_is_large_wakes_nobody_either_as_long_as_it_stays_the_same() {
    // 300 articles, some 20 KB.
    let large = vec![row("TN1", "DHL"); 300];
    let file = |status: &str| csv(&[&large[..], &[row_with_status("TN2", "DHL", status)]].concat());
    let server = Server::start(file("a"), &["--changes", "1"]);
    let mut one = wait(&server, "/v1/shipments/DHL/TN1?wait=55", &server.version());
    until_waiting(&server, 1);
    for status in ["b", "c", "d", "e", "f", "g"] {
        server.publish(file(status));
    }
    assert!(one.is_silent_for(Duration::from_millis(600)));
    server.stop();
}

#[test]
fn heads_wait_too_and_keys_need_the_scope_of_lookups() {
    let keys = secrets("feed:key-of-feeds scope=feed\nlook:key-of-lookups scope=lookup\n");
    let server =
        Server::start(file("a", "a"), &[&CHANGES[..], &["--api-keys-file", keys.path().to_str().unwrap()]].concat());
    let known = format!("If-None-Match: \"{}\"", server.version());
    let target = "/v1/shipments/DHL/TN1?wait=55";
    let mut client = server.client();
    client.request("GET", target, &[&known, "X-API-Key: key-of-feeds"]).problem(403, "forbidden");
    client.request("GET", target, &[&known]).problem(401, "unauthorized");
    client.send(request("HEAD", target, &[&known, "X-API-Key: key-of-lookups"]));
    until_waiting(&server, 1);
    let second = server.publish(file("b", "a"));
    let answer = client.answer_to("HEAD");
    assert_eq!((answer.status, answer.field("etag")), (200, Some(format!("\"{second}\""))));
    assert!(answer.content_length() > Some(0));
    server.stop();
}

#[test]
fn of_several_versions_that_a_client_knows_the_latest_counts() {
    let server = Server::start(file("a", "a"), &CHANGES);
    let first = server.version();
    let second = server.publish(file("b", "a"));
    let known = format!("If-None-Match: \"{second}\", \"{first}\"");
    let mut client = server.client();
    client.send(request("GET", "/v1/shipments/DHL/TN1?wait=55", &[&known]));
    until_waiting(&server, 1);
    server.publish(file("c", "a"));
    assert_eq!(client.answer_to("GET").status, 200);
    server.stop();
}

#[test]
fn what_a_limited_view_does_not_show_wakes_nobody() {
    let flags = ["--public-view", "limited", "--anonymous", "lookup"];
    let server = Server::start(SEED, &[&CHANGES[..], &flags].concat());
    let limited = server.get("/v1/shipments/DHL/TN12345678").field("etag").unwrap();
    let mut one = wait(&server, "/v1/shipments/DHL/TN12345678?wait=55", limited.trim_matches('"'));
    until_waiting(&server, 1);
    server.publish(SEED.replace("Street 10, 75001 Paris", "Street 11, 75001 Paris"));
    assert!(one.is_silent_for(Duration::from_millis(600)));
    server.publish(SEED.replace("75001 Paris, France", "75001 Paris, Belgium"));
    let answer = one.answer_to("GET");
    assert!(answer.text().contains("\"receiver_country\":\"Belgium\""), "{}", answer.text());
    server.stop();
}

#[test]
fn a_wrong_postcode_is_told_and_counted_at_once_and_the_right_one_waits() {
    let flags = ["--public-view", "limited", "--anonymous", "lookup"];
    let server = Server::start(SEED, &[&CHANGES[..], &flags].concat());
    let current = server.version();
    let ask = |postcode: &str, tag: &str| {
        let mut client = server.client();
        let fields = [format!("Waybill-Postcode: {postcode}"), format!("If-None-Match: \"{current}-{tag}\"")];
        client.send(request("GET", "/v1/shipments/DHL/TN12345678?wait=55", &fields.each_ref().map(String::as_str)));
        client
    };
    let wrong = ask("99999", "full").answer_to("GET");
    assert!(wrong.text().contains("\"verified\":false"), "{}", wrong.text());
    let mut waiting = [ask("75001", "full"), ask("  ", "limited")];
    until_waiting(&server, 2);
    // Too many wrong ones: the right one is not compared any more, waiting or not.
    for _ in 0..4 {
        ask("99999", "full").answer_to("GET");
    }
    assert_eq!(server.metric(r#"waybill_http_postcodes_total{result="wrong"}"#), 5);
    assert_eq!(ask("75001", "full").answer_to("GET").status, 429);
    until_waiting(&server, 2);
    assert!(waiting.iter_mut().all(|client| client.is_silent_for(Duration::from_millis(1))));
    server.stop();
}
