//! Compressed responses: who gets which, that they are the same as the others, and their entity tags.

use std::io::Read;

use crate::support::client::{Answer, Client, post};
use crate::support::{Server, csv, row};

const GZIP: &str = "Accept-Encoding: gzip, deflate";
const ZSTD: &str = "Accept-Encoding: gzip, deflate, br, zstd";
/// What is over 1 KiB, made at once or off the worker, as a whole or in parts.
const LONG: [&str; 12] = [
    "/v1/shipments?limit=10",
    "/v1/shipments?limit=100",
    "/v1/shipments?limit=1000",
    "/v1/shipments?limit=1000&carrier=DHL",
    "/shipment/list/?limit=50",
    "/v1/shipments.csv",
    "/v1/shipments.ndjson?carrier=DHL",
    "/",
    "/browse",
    "/docs",
    "/docs/swagger-ui-bundle.js",
    "/openapi.json",
];

/// A server with 3,000 shipments.
fn start(arguments: &[&str]) -> Server {
    let rows: Vec<String> = (0..3000).map(|number| row(&format!("TN{number}"), ["DHL", "UPS"][number % 2])).collect();
    Server::start(csv(&rows), arguments)
}

fn decoded(answer: &Answer) -> Vec<u8> {
    let mut plain = Vec::new();
    match answer.field("content-encoding").as_deref() {
        Some("gzip") => flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut plain).unwrap(),
        Some("zstd") => zstd::stream::read::Decoder::new(&*answer.body).unwrap().read_to_end(&mut plain).unwrap(),
        other => panic!("{other:?}: {}", answer.head),
    };
    plain
}

/// The tag of `answer`, without its quotes.
fn tag(answer: &Answer) -> String {
    answer.field("etag").unwrap().trim_matches('"').to_owned()
}

#[test]
fn what_is_long_comes_in_the_coding_that_the_client_takes_and_is_the_same() {
    let server = start(&[]);
    let mut client = server.client();
    for target in LONG {
        let plain = client.get(target);
        assert_eq!((plain.status, plain.field("content-encoding")), (200, None), "{target}");
        let vary = plain.field("vary").unwrap();
        // Pages are chosen by the language too.
        assert!(["accept-encoding", "accept-encoding, accept-language"].contains(&&*vary), "{target}: {vary}");
        for (accepts, coding) in [(GZIP, "gzip"), (ZSTD, "zstd")] {
            // The files of the viewer are there as gzip, which all take.
            let coding = if target.contains("swagger") { "gzip" } else { coding };
            let coded = client.request("GET", target, &[accepts]);
            assert_eq!(coded.field("content-encoding").as_deref(), Some(coding), "{target}");
            assert_eq!(coded.field("vary").as_ref(), Some(&vary), "{target}");
            assert_eq!(coded.field("content-type"), plain.field("content-type"), "{target}");
            assert!(decoded(&coded) == plain.body, "{target} {coding}");
            assert!(
                coded.body.len() * 4 < plain.body.len() * 3,
                "{target}: {} of {}",
                coded.body.len(),
                plain.body.len()
            );
            if !target.contains("swagger") {
                assert_eq!(tag(&coded), format!("{}-{coding}", tag(&plain)), "{target}");
            }
            let head = client.request("HEAD", target, &[accepts]);
            for name in ["etag", "content-encoding", "vary", "content-type"] {
                assert_eq!(head.field(name), coded.field(name), "{target} {name}");
            }
        }
    }
}

#[test]
fn a_compressed_response_is_known_by_its_own_tag() {
    let server = start(&[]);
    let mut client = server.client();
    for target in LONG {
        let plain = format!("\"{}\"", tag(&client.get(target)));
        for accepts in [GZIP, ZSTD] {
            let coded = format!("\"{}\"", tag(&client.request("GET", target, &[accepts])));
            for known in [coded.clone(), format!("\"a\", W/{coded}"), format!("{coded} , \"b\"")] {
                for method in ["GET", "HEAD"] {
                    let again = client.request(method, target, &[accepts, &format!("If-None-Match: {known}")]);
                    assert_eq!((again.status, again.field("etag")), (304, Some(coded.clone())), "{target} {known}");
                    assert!(again.field("vary").unwrap().starts_with("accept-encoding"), "{target}");
                }
            }
            // Of several, the one that the client has.
            let suffix = if accepts == GZIP { "gzip" } else { "zstd" };
            if !target.contains("swagger") && !target.starts_with("/docs") {
                let known = format!("If-None-Match: \"a-{suffix}\", {plain}");
                let again = client.request("GET", target, &[accepts, &known]);
                assert!(again.status == 200 || again.field("etag") == Some(plain.clone()), "{target} {}", again.head);
            }
            // Who takes no compressed one has not got that which he would get.
            let other = client.request("GET", target, &[&format!("If-None-Match: {coded}")]);
            assert_eq!((other.status, other.field("etag")), (200, Some(plain.clone())), "{target}");
            let matching = client.request("GET", target, &[accepts, &format!("If-Match: {coded}")]);
            assert_eq!(matching.status, 200, "{target}");
            let matching = client.request("GET", target, &[accepts, &format!("If-Match: {plain}")]);
            assert_eq!(matching.status, 412, "{target}");
        }
    }
}

#[test]
fn batches_are_compressed_too() {
    let server = start(&[]);
    let mut client = server.client();
    let mut ask = |lookups: usize, fields: &[&str]| {
        let lookups: Vec<String> = (0..lookups).map(|at| format!(r#"{{"tracking_number":"TN{at}"}}"#)).collect();
        client.send(post("/v1/lookup", fields, &format!(r#"{{"lookups":[{}]}}"#, lookups.join(","))));
        client.answer_to("POST")
    };
    for lookups in [10, 100, 1000] {
        let plain = ask(lookups, &[]);
        for accepts in [GZIP, ZSTD] {
            assert!(decoded(&ask(lookups, &[accepts])) == plain.body, "{lookups}");
        }
    }
    assert_eq!(ask(1, &[ZSTD]).field("content-encoding"), None);
}

#[test]
fn lookups_by_path_and_what_is_short_or_an_error_stay_as_they_are() {
    let server = start(&[]);
    let mut client = server.client();
    for target in [
        "/v1/shipments/DHL/TN0",
        "/v1/shipments/TN0",
        "/v1/shipments?limit=1",
        "/v1/dataset",
        "/robots.txt",
        "/v1/shipments/DHL/none",
        "/v1/shipments?limit=0",
        "/livez",
    ] {
        let (plain, coded) = (client.get(target), client.request("GET", target, &[ZSTD]));
        assert_eq!((coded.field("content-encoding"), &coded.body), (None, &plain.body), "{target}");
        assert_eq!(coded.field("etag"), plain.field("etag"), "{target}");
    }
}

#[test]
fn weights_decide_and_who_takes_nothing_as_it_is_gets_the_short_ones_compressed_too() {
    let server = start(&[]);
    let mut client = server.client();
    let mut coding = |target: &str, accepts: &str| {
        client.request("GET", target, &[&format!("Accept-Encoding: {accepts}")]).field("content-encoding")
    };
    for (accepts, expected) in [
        ("zstd;q=0.5, gzip;q=0.6", Some("gzip")),
        ("gzip;q=0.5, identity;q=0.9", None),
        ("gzip;q=0, zstd;q=0, *", None),
        ("*;q=0.1", Some("zstd")),
        ("br", None),
        ("", None),
    ] {
        assert_eq!(coding("/v1/shipments?limit=100", accepts).as_deref(), expected, "{accepts}");
        assert_eq!(coding("/openapi.json", accepts).as_deref(), expected, "{accepts}");
    }
    assert_eq!(coding("/v1/shipments?limit=1", "gzip, identity;q=0").as_deref(), Some("gzip"));
    assert_eq!(coding("/v1/shipments?limit=1", "gzip, *;q=0").as_deref(), Some("gzip"));
}

#[test]
fn without_compression_nothing_is_compressed() {
    let server = start(&["--compression", "off"]);
    let mut client = server.client();
    for target in LONG {
        let answer = client.request("GET", target, &[ZSTD]);
        assert_eq!((answer.status, answer.field("content-encoding")), (200, None), "{target}");
    }
    assert_eq!(client.request("GET", "/v1/shipments?limit=100", &[ZSTD]).field("vary"), None);
}

#[test]
fn clients_that_take_slowly_and_those_that_go_away_leave_nothing_behind() {
    let server = start(&[]);
    for _ in 0..20 {
        let mut client = server.client();
        client.send(crate::support::client::request("GET", "/v1/shipments.csv", &[ZSTD]));
        assert!(client.starts_with("HTTP/1.1 200 "));
        drop(client);
    }
    let mut other: Client = server.client();
    assert!(decoded(&other.request("GET", "/v1/shipments.csv", &[ZSTD])) == other.get("/v1/shipments.csv").body);
}
