//! HTTP as it is on the wire: validators, HEAD, keep-alive, pipelining, malformed heads.

use std::net::Shutdown;

use crate::support::client::{Answer, Broken, request};
use crate::support::{SEED, Server, csv, row, shipment};

const LOOKUP: &str = "/v1/shipments/DHL/TN12345678";
const DATASET_PATHS: [&str; 3] = [LOOKUP, "/v1/shipments/TN12345678", "/v1/dataset"];

fn fields_but_date(answer: &Answer) -> Vec<(String, String)> {
    answer.fields().into_iter().filter(|(name, _)| name != "date").collect()
}

#[test]
fn a_known_version_is_answered_304_without_a_body() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for path in DATASET_PATHS {
        let etag = client.get(path).field("etag").unwrap();
        for known in [
            etag.clone(),
            format!("W/{etag}"),
            format!("\"a\", {etag}"),
            format!("\"a,b\",W/{etag} , \"c\""),
            format!("W/\"x\",\t{etag}"),
            "*".to_owned(),
        ] {
            for method in ["GET", "HEAD"] {
                // Bytes of a body would be taken for the start of the next answer.
                let answer = client.request(method, path, &[&format!("If-None-Match: {known}")]);
                assert_eq!(answer.status, 304, "{method} {path} {known}");
                assert_eq!(answer.field("etag").as_deref(), Some(etag.as_str()));
                assert_eq!(answer.field("cache-control").as_deref(), Some("no-cache"));
                assert_eq!(answer.field("content-type"), None);
                assert_eq!(client.get("/livez").status, 200);
            }
        }
        // Several fields are one list (RFC 9110, section 5.3).
        let two = ["If-None-Match: \"a\"", &format!("If-None-Match: {etag}")];
        assert_eq!(client.request("GET", path, &two).status, 304);
    }
}

#[test]
fn any_other_version_is_answered_whole() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for path in DATASET_PATHS {
        let answer = client.get(path);
        let version = answer.field("etag").unwrap().replace('"', "");
        for other in [
            "\"\"".to_owned(),
            "\"0123456789abcdef0123456789abcdef\"".to_owned(),
            version.clone(),
            format!("\"{}\"", &version[1..]),
            format!("\"{version} \""),
            format!("\"{}\"", version.to_uppercase() + "A"),
            format!("\"a,{version}\""),
            "\"*\"".to_owned(),
            String::new(),
        ] {
            let again = client.request("GET", path, &[&format!("If-None-Match: {other}")]);
            assert_eq!((again.status, &again.body), (200, &answer.body), "{other}");
        }
    }
}

#[test]
fn only_what_would_be_a_200_becomes_a_304() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let etag = client.get(LOOKUP).field("etag").unwrap();
    for known in [etag.as_str(), "*"] {
        let field = format!("If-None-Match: {known}");
        client.request("GET", "/v1/shipments/DHL/TN1", &[&field]).problem(404, "shipment_not_found");
        client.request("GET", "/v1/shipments/TN1", &[&field]).problem(404, "shipment_not_found");
        client.request("GET", "/v1/shipments/%zz", &[&field]).problem(400, "invalid_parameter");
        client.request("POST", LOOKUP, &[&field]).problem(405, "method_not_allowed");
        assert_eq!(client.request("GET", "/livez", &[&field]).status, 200);
    }
}

#[test]
fn all_answers_of_one_dataset_have_the_same_etag() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let etags = DATASET_PATHS.map(|path| client.get(path).field("etag"));
    assert!(etags.iter().all(|etag| etag.is_some() && *etag == etags[0]), "{etags:?}");
}

#[test]
fn head_answers_as_get_does_without_the_body() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let missing = ["/v1/shipments/DHL/TN1", "/v1/shipments/%", "/nowhere", "/livez", "/readyz"];
    for path in DATASET_PATHS.into_iter().chain(missing) {
        let get = client.get(path);
        let head = client.request("HEAD", path, &[]);
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(fields_but_date(&head), fields_but_date(&get), "{path}");
        assert_eq!(head.content_length(), Some(get.body.len()), "{path}");
    }
    let mut admin = server.admin_client();
    let get = admin.get("/-/dataset");
    assert_eq!(fields_but_date(&admin.request("HEAD", "/-/dataset", &[])), fields_but_date(&get));
}

#[test]
fn a_connection_carries_one_request_after_the_other() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for _ in 0..100 {
        assert_eq!(client.get(LOOKUP).status, 200);
        client.get("/v1/shipments/DHL/TN1").problem(404, "shipment_not_found");
    }
    client.send(request("GET", LOOKUP, &["Connection: close"]));
    assert_eq!(client.answer_to("GET").status, 200);
    client.expect_end();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let rows: Vec<String> = (0..50).map(|number| row(&format!("TN{number}"), "DHL")).collect();
    let server = Server::start(csv(&rows), &[]);
    let mut client = server.client();
    let lookups: String = (0..50).map(|number| request("GET", &format!("/v1/shipments/DHL/TN{number}"), &[])).collect();
    client.send(&lookups);
    for number in 0..50 {
        assert_eq!(client.answer_to("GET").text(), shipment(&format!("TN{number}"), "DHL"));
    }
    // Kinds of answers in turn, those without a body included.
    let mixed = ["GET", "HEAD", "POST"].repeat(20);
    client.send(mixed.iter().map(|method| request(method, "/v1/shipments/DHL/TN7", &[])).collect::<String>());
    for method in mixed {
        let answer = client.answer_to(method);
        assert_eq!(answer.status, if method == "POST" { 405 } else { 200 });
    }
}

#[test]
fn pipelining_more_than_any_buffer_holds_loses_and_swaps_nothing() {
    const REQUESTS: usize = 20_000;
    let rows: Vec<String> = (0..50).map(|number| row(&format!("TN{number}"), "DHL")).collect();
    let server = Server::start(csv(&rows), &[]);
    let mut client = server.client();
    let stream = client.stream().try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let lookups = (0..REQUESTS).map(|at| request("GET", &format!("/v1/shipments/DHL/TN{}", at % 50), &[]));
        std::io::Write::write_all(&mut &stream, lookups.collect::<String>().as_bytes()).unwrap();
    });
    for at in 0..REQUESTS {
        assert_eq!(client.answer_to("GET").text(), shipment(&format!("TN{}", at % 50), "DHL"));
    }
    sender.join().unwrap();
}

#[test]
fn bytes_after_a_request_do_not_withhold_its_answer() {
    let server = Server::start(SEED, &[]);
    let lookup = request("GET", LOOKUP, &[]);
    for (after, rest) in [("\r\n", lookup.as_str()), ("G", &lookup[1..]), (&lookup[..30], &lookup[30..])] {
        let mut client = server.client();
        client.send(lookup.clone() + after);
        assert_eq!(client.answer_to("GET").status, 200, "{after:?}");
        client.send(rest);
        assert_eq!(client.answer_to("GET").status, 200, "{after:?}");
    }
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for byte in request("GET", LOOKUP, &[]).bytes() {
        client.send([byte]);
    }
    assert_eq!(client.answer_to("GET").status, 200);
}

#[test]
fn the_body_of_a_refused_request_is_not_taken_for_the_next_one() {
    let server = Server::start(SEED, &[]);
    let smuggled = request("GET", "/v1/shipments/DHL/TN1", &[]);
    let length = smuggled.len();
    for refused in [
        request("POST", LOOKUP, &[&format!("Content-Length: {length}")]) + &smuggled,
        request("POST", LOOKUP, &["Transfer-Encoding: chunked"]) + &format!("{length:x}\r\n{smuggled}\r\n0\r\n\r\n"),
    ] {
        let mut client = server.client();
        client.send(refused + &request("GET", LOOKUP, &[]));
        client.answer_to("POST").problem(405, "method_not_allowed");
        // A server may also close the connection rather than read the body.
        match client.try_answer_to("GET") {
            Ok(answer) => assert_eq!(answer.status, 200),
            Err(broken) => assert!(matches!(broken, Broken::NoAnswer), "{broken:?}"),
        }
    }
}

#[test]
fn a_client_that_only_stopped_sending_gets_its_answers() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    client.send(request("GET", LOOKUP, &[]).repeat(50));
    client.stream().shutdown(Shutdown::Write).unwrap();
    for _ in 0..50 {
        assert_eq!(client.answer_to("GET").status, 200);
    }
    client.expect_end();
}

#[test]
fn a_caller_that_only_stopped_sending_gets_its_report() {
    let server = Server::start(SEED, &[]);
    let mut admin = server.admin_client();
    admin.send(request("POST", "/-/reload", &["Content-Length: 0"]));
    admin.stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(admin.answer_to("POST").json()["result"], "unchanged");
    admin.expect_end();
}

#[test]
fn http_1_0_is_answered_and_closed_unless_kept_alive() {
    let server = Server::start(SEED, &[]);
    let expected = server.get(LOOKUP).body;
    let mut client = server.client();
    client.send(format!("GET {LOOKUP} HTTP/1.0\r\n\r\n"));
    let answer = client.answer_to("GET");
    assert_eq!((answer.status, &answer.body), (200, &expected));
    client.expect_end();

    let mut client = server.client();
    for _ in 0..2 {
        client.send(format!("GET {LOOKUP} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        let answer = client.answer_to("GET");
        assert_eq!((answer.status, &answer.body), (200, &expected));
        assert!(answer.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("keep-alive")));
    }
}

#[test]
fn an_absolute_request_target_is_its_path() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    assert_eq!(client.get(&format!("http://other.test{LOOKUP}?x=1")).body, server.get(LOOKUP).body);
}

#[test]
fn malformed_and_oversized_heads_are_refused_without_a_body() {
    let server = Server::start(SEED, &[]);
    let long = "x".repeat(10_000);
    for (head, statuses) in [
        ("no request\r\n\r\n".to_owned(), &[400][..]),
        (format!("GET {LOOKUP} HTTP/1.1\r\nno field\r\n\r\n"), &[400]),
        (format!("GET {LOOKUP} HTTP/1.1\r\nContent-Length: x\r\n\r\n"), &[400]),
        (request("GET", LOOKUP, &[&format!("X-Long: {long}")]), &[431]),
        (request("GET", &format!("/{long}{long}"), &[]), &[414, 431]),
    ] {
        let mut client = server.client();
        client.send(&head);
        let answer = client.answer_to("GET");
        assert!(statuses.contains(&answer.status), "{}", answer.head);
        assert_eq!(answer.body, b"", "{head}");
        client.expect_end();
    }
    assert_eq!(server.get(LOOKUP).status, 200);
}
