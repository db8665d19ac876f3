//! What callers may ask for, by the scopes of their keys and without one, and how often.

use crate::support::client::{Answer, Client, post};
use crate::support::{SEED, Server, Signal, run, run_serve, waybill};

use super::access::{secrets, text};

const LOOKUP: &str = "/v1/shipments/DHL/TN12345678";
const NEEDED: &str = "a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY";

/// A batch of so many lookups.
fn batch(client: &mut Client, fields: &[&str], lookups: usize) -> Answer {
    let lookups = vec![r#"{"tracking_number":"TN12345678"}"#; lookups].join(",");
    client.send(post("/v1/lookup", fields, &format!(r#"{{"lookups":[{lookups}]}}"#)));
    client.answer_to("POST")
}

fn metric(server: &Server, name: &str) -> u64 {
    let metrics = server.admin_get("/metrics");
    let line = metrics.text().lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    line.unwrap_or_else(|| panic!("no {name}: {}", metrics.text())).parse().unwrap()
}

/// Sends requests until one is refused, and returns how many were not, and the refusal.
fn until_refused(mut ask: impl FnMut() -> Answer) -> (usize, Answer) {
    for passed in 0..10_000 {
        let answer = ask();
        if answer.status == 429 {
            return (passed, answer);
        }
        assert_eq!(answer.status, 200, "{}", answer.head);
    }
    panic!("nothing was refused");
}

#[test]
fn a_key_may_ask_for_what_its_scopes_name_and_for_the_version() {
    let (_dir, path) =
        secrets("look:0123456789abcdef-1 scope=lookup\nlist:0123456789abcdef-2 scope=list\nall:0123456789abcdef-3\n");
    let server = Server::start(SEED, &["--api-keys-file", text(&path)]);
    let mut client = server.client();
    let (look, list, all) =
        ("X-API-Key: 0123456789abcdef-1", "X-API-Key: 0123456789abcdef-2", "X-API-Key: 0123456789abcdef-3");
    for target in [LOOKUP, "/v1/shipments/TN12345678"] {
        assert_eq!(client.request("GET", target, &[look]).status, 200);
        let refused = client.request("GET", target, &[list]);
        assert_eq!(refused.problem(403, "forbidden"), "the key lacks the scope lookup");
        assert_eq!(refused.field("www-authenticate"), None);
    }
    assert_eq!((batch(&mut client, &[look], 21).status, batch(&mut client, &[list], 1).status), (200, 403));
    for target in ["/v1/shipments", "/v1/shipments.csv", "/v1/shipments.ndjson", "/v1/facets", "/shipment/list/"] {
        assert_eq!(client.request("GET", target, &[list]).status, 200);
        assert_eq!(client.request("GET", target, &[look]).problem(403, "forbidden"), "the key lacks the scope list");
    }
    for target in [LOOKUP, "/v1/shipments", "/v1/facets", "/shipment/list/"] {
        assert_eq!(client.request("GET", target, &[all]).status, 200);
    }
    for key in [look, list, all] {
        assert_eq!(client.request("GET", "/v1/dataset", &[key]).status, 200);
    }
    assert_eq!(metric(&server, r#"waybill_http_key_requests_total{key="list",result="forbidden"}"#), 3);
    assert_eq!(metric(&server, r#"waybill_http_key_requests_total{key="list",result="ok"}"#), 6);
    server.stop();
}

#[test]
fn a_key_for_feeds_alone_gets_the_version_and_no_shipment() {
    let (_dir, path) = secrets("feed:0123456789abcdef-1 scope=feed\n");
    let server = Server::start(SEED, &["--api-keys-file", text(&path)]);
    let mut client = server.client();
    let key = "X-API-Key: 0123456789abcdef-1";
    assert_eq!(client.request("GET", LOOKUP, &[key]).problem(403, "forbidden"), "the key lacks the scope lookup");
    assert_eq!(client.request("GET", "/v1/facets", &[key]).problem(403, "forbidden"), "the key lacks the scope list");
    assert_eq!(client.request("GET", "/v1/dataset", &[key]).status, 200);
    server.stop();
}

#[test]
fn without_a_burst_a_rate_is_one() {
    let (_dir, path) = secrets("shop:0123456789abcdef-1 rate=5/s\n");
    let with_keys = Server::start(SEED, &["--api-keys-file", text(&path)]);
    let of_clients = Server::start(SEED, &["--rate-limit", "5/s"]);
    let with_burst = Server::start(SEED, &["--rate-limit", "7/s,burst=20"]);
    for (server, fields, policy) in [
        (&with_keys, &["X-API-Key: 0123456789abcdef-1"][..], "\"key\";q=5;w=1"),
        (&of_clients, &[], "\"client\";q=5;w=1"),
        (&with_burst, &[], "\"client\";q=20;w=3"),
    ] {
        let mut client = server.client();
        let (_, refused) = until_refused(|| client.request("GET", LOOKUP, fields));
        assert_eq!(refused.field("ratelimit-policy").as_deref(), Some(policy));
    }
}

#[test]
fn metrics_tell_the_first_thousand_names_apart() {
    let lines: Vec<String> = (0..1002).map(|number| format!("n{number}:0123456789abcdef-{number}")).collect();
    let (_dir, path) = secrets(&lines.join("\n"));
    let server = Server::start(SEED, &["--api-keys-file", text(&path)]);
    let mut client = server.client();
    for number in [0, 999, 1000, 1001] {
        assert_eq!(client.request("GET", LOOKUP, &[&format!("X-API-Key: 0123456789abcdef-{number}")]).status, 200);
    }
    for (name, count) in [("n0", 1), ("n999", 1), ("other", 2)] {
        assert_eq!(metric(&server, &format!(r#"waybill_http_key_requests_total{{key="{name}",result="ok"}}"#)), count);
    }
    server.stop();
}

#[test]
fn what_a_key_gets_is_for_no_cache_that_others_share() {
    let (_dir, path) = secrets("shop:0123456789abcdef-1\n");
    let server = Server::start(SEED, &["--api-keys-file", text(&path), "--anonymous", "all"]);
    let mut client = server.client();
    let etag = format!("If-None-Match: {}", client.get(LOOKUP).field("etag").unwrap());
    for (fields, status) in [(&[][..], 200), (&[etag.as_str()], 304)] {
        for (key, expected) in [(&["X-API-Key: 0123456789abcdef-1"][..], "private, no-cache"), (&[], "no-cache")] {
            let answer = client.request("GET", LOOKUP, &[fields, key].concat());
            assert_eq!((answer.status, answer.field("cache-control").as_deref()), (status, Some(expected)));
            assert_eq!(answer.field("vary").as_deref(), Some("authorization, x-api-key"));
        }
    }
    server.stop();
}

#[test]
fn a_key_that_has_expired_is_as_good_as_none() {
    let (_dir, path) =
        secrets("old:0123456789abcdef-1 expires=2020-02-29\nnew:0123456789abcdef-2 expires=9998-12-31\n");
    let server = Server::start(SEED, &["--api-keys-file", text(&path)]);
    let mut client = server.client();
    let refused = client.request("GET", LOOKUP, &["X-API-Key: 0123456789abcdef-1"]);
    assert_eq!(refused.problem(401, "unauthorized"), "the key has expired");
    assert_eq!(client.request("GET", LOOKUP, &["X-API-Key: 0123456789abcdef-2"]).status, 200);
    assert_eq!(metric(&server, r#"waybill_http_key_requests_total{key="old",result="expired"}"#), 1);
    server.stop();
}

#[test]
fn a_new_key_is_printed_once_and_its_line_lets_it_in_without_having_it() {
    let made = run(&mut waybill(&[
        "key",
        "shop",
        "--scope",
        "lookup",
        "--rate",
        "100/s,burst=200",
        "--expires",
        "9998-12-31",
    ]));
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let printed = String::from_utf8(made.stdout).unwrap();
    let (key, line) = printed.trim_end().split_once('\n').unwrap();
    assert!(key.len() == 43 && !line.contains(key), "{printed}");
    let (hash, attributes) = line.split_once(' ').unwrap();
    assert!(hash.starts_with("shop:sha256=") && hash.len() == "shop:sha256=".len() + 64, "{line}");
    assert_eq!(attributes, "scope=lookup rate=100/s burst=200 expires=9998-12-31");
    let (_dir, path) = secrets(line);
    let server = Server::start(SEED, &["--api-keys-file", text(&path)]);
    let ask = |target: &str, key: &str| server.client().request("GET", target, &[&format!("X-API-Key: {key}")]).status;
    assert_eq!((ask(LOOKUP, key), ask("/v1/facets", key)), (200, 403));
    // What is in the file lets nobody in.
    assert_eq!(ask(LOOKUP, hash.strip_prefix("shop:").unwrap()), 401);
    server.stop();
    let other = String::from_utf8(run(&mut waybill(&["key", "shop"])).stdout).unwrap();
    assert!(!other.contains(key) && !other.trim_end().contains(' '), "{other}");
    for wrong in [
        &["a b"][..],
        &["shop", "--scope", "all"],
        &["shop", "--rate", "5"],
        &["shop", "--expires", "soon"],
        &["shop", "--expires", "2020-01-31"],
    ] {
        assert_eq!(run(&mut waybill(&[&["key"], wrong].concat())).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn without_a_key_lookups_and_small_batches_are_for_everybody_where_that_is_set() {
    let (_dir, path) = secrets("shop:0123456789abcdef-1\n");
    let with_keys = &["--api-keys-file", text(&path), "--anonymous", "lookup"][..];
    for arguments in [with_keys, &["--anonymous", "lookup"]] {
        let server = Server::start(SEED, arguments);
        let mut client = server.client();
        for target in [LOOKUP, "/v1/shipments/TN12345678", "/v1/dataset", "/", "/livez"] {
            assert_eq!(client.get(target).status, 200, "{target}");
        }
        for target in ["/v1/shipments", "/v1/facets", "/shipment/list/", "/shipment/list"] {
            assert_eq!(client.get(target).problem(401, "unauthorized"), NEEDED, "{target}");
        }
        assert_eq!(batch(&mut client, &[], 20).status, 200);
        let refused = batch(&mut client, &[], 21);
        assert_eq!(refused.problem(401, "unauthorized"), "a key is needed for more than 20 lookups in a batch");
        server.stop();
    }
    let server = Server::start(SEED, with_keys);
    let mut client = server.client();
    // Who shows a key that is none is not taken for somebody without one.
    for (key, status) in
        [("X-API-Key: 0123456789abcdef-1", 200), ("X-API-Key: wrong", 401), ("Authorization: Bearer x", 401)]
    {
        assert_eq!(client.request("GET", LOOKUP, &[key]).status, status, "{key}");
        assert_eq!(client.request("GET", "/v1/facets", &[key]).status, status, "{key}");
    }
    assert_eq!(client.request("GET", LOOKUP, &["Authorization: Basic eA=="]).status, 200);
    assert_eq!(batch(&mut client, &["X-API-Key: 0123456789abcdef-1"], 21).status, 200);
    server.stop();
    let server = Server::start(SEED, &["--anonymous", "none"]);
    assert_eq!((server.get(LOOKUP).status, server.get("/livez").status), (401, 200));
    server.stop();
}

#[test]
fn a_client_that_sends_too_much_is_told_when_to_come_back() {
    let server = Server::start(SEED, &["--rate-limit", "1/s,burst=90"]);
    let mut client = server.client();
    let (passed, refused) = until_refused(|| client.get(LOOKUP));
    // One a second comes on top.
    assert!((90..150).contains(&passed), "{passed}");
    assert_eq!(refused.problem(429, "rate_limited"), "more than 1/s,burst=90 for this client; try again in 1 s");
    assert_eq!(refused.field("retry-after").as_deref(), Some("1"));
    assert_eq!(refused.field("ratelimit-policy").as_deref(), Some(r#""client";q=90;w=90"#));
    assert_eq!(refused.field("ratelimit").as_deref(), Some(r#""client";r=0;t=1"#));
    for target in ["/livez", "/readyz", "/"] {
        assert_eq!(client.get(target).status, 200, "{target}");
    }
    assert!(metric(&server, r#"waybill_http_rate_limited_total{by="client"}"#) >= 1);
    // The connection is not what counts.
    let (passed, _) = until_refused(|| server.client().get(LOOKUP));
    assert!(passed < 60, "{passed}");
    server.stop();
}

#[test]
fn a_batch_costs_as_much_as_its_lookups_and_a_large_one_leaves_a_debt() {
    let server = Server::start(SEED, &["--rate-limit", "1/s,burst=100"]);
    let mut client = server.client();
    assert_eq!(batch(&mut client, &[], 60).status, 200);
    let refused = batch(&mut client, &[], 60);
    refused.problem(429, "rate_limited");
    assert!((1..=20).contains(&refused.field("retry-after").unwrap().parse().unwrap()), "{}", refused.head);
    // What was refused was not paid for.
    assert_eq!(batch(&mut client, &[], 40).status, 200);
    server.stop();
    let server = Server::start(SEED, &["--rate-limit", "1/s,burst=100"]);
    let mut client = server.client();
    assert_eq!(batch(&mut client, &[], 1000).status, 200);
    let refused = client.get(LOOKUP);
    refused.problem(429, "rate_limited");
    assert!((850..=901).contains(&refused.field("retry-after").unwrap().parse().unwrap()), "{}", refused.head);
    server.stop();
}

#[test]
fn a_client_is_an_address_as_trusted_proxies_name_it_and_of_version_6_a_network() {
    let server = Server::start(SEED, &["--rate-limit", "1/s,burst=40", "--trusted-proxy", "127.0.0.0/8"]);
    let mut client = server.client();
    let mut exhaust = |of: &str| {
        let field = format!("X-Forwarded-For: {of}");
        until_refused(|| client.request("GET", LOOKUP, &[&field])).0
    };
    assert!(exhaust("198.51.100.1") >= 40);
    assert!(exhaust("198.51.100.2") >= 40);
    assert!(exhaust("2001:db8:1:1::1") >= 40);
    let same_network = exhaust("2001:db8:1:1:ffff::2");
    assert!(same_network < 20, "{same_network}");
    assert!(exhaust("2001:db8:1:2::1") >= 40);
    server.stop();
}

#[test]
fn keys_have_rates_of_their_own_and_those_that_are_made_up_are_paid_for() {
    let (_dir, path) = secrets("slow:0123456789abcdef-1 rate=1/s burst=40\nfast:0123456789abcdef-2\n");
    let arguments = ["--api-keys-file", text(&path), "--anonymous", "lookup", "--rate-limit", "1/s,burst=60"];
    let mut server = Server::start(SEED, &arguments);
    let mut client = server.client();
    let (passed, refused) = until_refused(|| client.request("GET", LOOKUP, &["X-API-Key: 0123456789abcdef-1"]));
    assert!((40..60).contains(&passed), "{passed}");
    assert_eq!(refused.field("ratelimit-policy").as_deref(), Some(r#""key";q=40;w=40"#));
    assert!(metric(&server, r#"waybill_http_key_requests_total{key="slow",result="rate_limited"}"#) >= 1);
    assert!(metric(&server, r#"waybill_http_rate_limited_total{by="key"}"#) >= 1);
    // Reading the file again forgives nothing.
    server.signal(Signal::HUP);
    server.wait_for("keys read again");
    let (passed, _) = until_refused(|| client.request("GET", LOOKUP, &["X-API-Key: 0123456789abcdef-1"]));
    assert!(passed < 20, "{passed}");
    for _ in 0..200 {
        assert_eq!(client.request("GET", LOOKUP, &["X-API-Key: 0123456789abcdef-2"]).status, 200);
    }
    let guesses = (0..1000).map(|guess| client.request("GET", LOOKUP, &[&format!("X-API-Key: guess-{guess}")]));
    let statuses: Vec<u16> = guesses.map(|answer| answer.status).collect();
    let tried = statuses.iter().filter(|status| **status == 401).count();
    assert!((60..120).contains(&tried) && statuses.iter().all(|status| matches!(status, 401 | 429)), "{tried}");
    assert_eq!(client.get(LOOKUP).status, 429);
    server.stop();
}

#[test]
fn what_is_refused_is_paid_for_too() {
    let (_dir, path) =
        secrets("old:0123456789abcdef-1 expires=2020-02-29\nlook:0123456789abcdef-2 scope=lookup rate=1/s burst=40\n");
    let arguments = ["--api-keys-file", text(&path), "--anonymous", "lookup", "--rate-limit", "1/s,burst=40"];
    let refused = |status: u16, ask: fn(&Server) -> Answer| {
        let server = Server::start(SEED, &arguments);
        let statuses: Vec<u16> = (0..150).map(|_| ask(&server).status).collect();
        server.stop();
        let passed = statuses.iter().take_while(|other| **other == status).count();
        assert!((40..100).contains(&passed) && statuses.get(passed) == Some(&429), "{status}: {passed} {statuses:?}");
    };
    refused(401, |server| server.client().request("GET", LOOKUP, &["X-API-Key: 0123456789abcdef-1"]));
    refused(403, |server| server.client().request("GET", "/v1/facets", &["X-API-Key: 0123456789abcdef-2"]));
    refused(401, |server| batch(&mut server.client(), &[], 21));
    refused(415, |server| {
        server.client().request("POST", "/v1/lookup", &["Content-Type: text/plain", "Content-Length: 0"])
    });
}

#[test]
fn a_rate_or_key_line_that_cannot_be_used_ends_the_start() {
    let (dir, path) = secrets("shop:0123456789abcdef scope=everything\n");
    let data = dir.path().join("data.csv");
    std::fs::write(&data, SEED).unwrap();
    let ended = run_serve(&data, &["--api-keys-file", text(&path)]);
    let expected = "secrets:1: scope=everything: expected lookup, list and feed, with commas between";
    assert!(ended.code == Some(2) && ended.stderr.contains(expected), "{}", ended.stderr);
    for wrong in [["--rate-limit", "10"], ["--rate-limit", "0/s"], ["--anonymous", "some"]] {
        assert_eq!(run_serve(&data, &wrong).code, Some(2), "{wrong:?}");
    }
}
