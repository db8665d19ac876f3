//! Heads that RFC 9112 refuses, and odd ones that it does not, over raw sockets: what a proxy in front could read
//! otherwise than the server does.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use support::{SEED, Server};

const LOOKUP: &str = "GET /v1/shipments/DHL/TN12345678";
/// A lookup that shows whether what stands before it was read to its end.
const NEXT: &str = "GET /v1/shipments/DHL/TN12345678 HTTP/1.1\r\nHost: a\r\n\r\n";

/// The connection ends with one answer of `status`; what follows on it is not taken for a request.
fn assert_refused(server: &Server, head: &str, status: u16) {
    let mut client = server.client();
    client.send(head.to_owned() + NEXT);
    let answer = client.answer_to("GET");
    assert_eq!(answer.status, status, "{head:?}: {}", answer.text());
    client.expect_end();
}

/// Answered, and the connection goes on to the next request.
fn assert_served(server: &Server, request: &str, status: u16) {
    let mut client = server.client();
    client.send(request.to_owned() + NEXT);
    assert_eq!(client.answer_to("GET").status, status, "{request:?}");
    assert_eq!(client.answer_to("GET").status, 200, "{request:?}");
}

#[test]
fn a_request_names_one_valid_host() {
    let server = Server::start(SEED, &[]);
    for hosts in
        ["", "Host: a\r\nHost: b\r\n", "Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: u@a\r\n"]
    {
        let head = format!("{LOOKUP} HTTP/1.1\r\n{hosts}\r\n");
        assert_refused(&server, &head, 400);
        let mut client = server.client();
        client.send(head);
        let detail = client.answer_to("GET").problem(400, "invalid_parameter");
        assert!(detail.starts_with("Host: "), "{detail}");
    }
    for host in ["a", "a:1", "[::1]:80", ""] {
        assert_served(&server, &format!("{LOOKUP} HTTP/1.1\r\nHost: {host}\r\n\r\n"), 200);
    }
    // HTTP/1.0 knows no such duty.
    let mut client = server.client();
    client.send(format!("{LOOKUP} HTTP/1.0\r\n\r\n"));
    assert_eq!(client.answer_to("GET").status, 200);
}

#[test]
fn a_length_is_one_number() {
    let server = Server::start(SEED, &[]);
    for lengths in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 99999999999999999999999\r\n",
    ] {
        assert_refused(&server, &format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\n{lengths}\r\n"), 400);
    }
    assert_served(&server, &format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"), 200);
    // A proxy may join equal ones.
    let twice = "Content-Length: 3\r\nContent-Length: 3\r\n";
    assert_served(&server, &format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\n{twice}\r\nabc"), 200);
}

#[test]
fn a_body_is_chunked_once_or_not_at_all() {
    let server = Server::start(SEED, &[]);
    for codings in [
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
    ] {
        assert_refused(&server, &format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\n{codings}\r\n0\r\n\r\n"), 400);
    }
    assert_refused(
        &server,
        &format!("{LOOKUP} HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        400,
    );
    // Both lengths: the chunks count, and the connection ends (RFC 9112, section 6.1).
    for both in
        ["Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"]
    {
        assert_refused(&server, &format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\n{both}\r\n0\r\n\r\n"), 200);
    }
    let chunked = "Transfer-Encoding: chunked\r\n\r\n0;x=y\r\n\r\n";
    assert_served(&server, &format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\n{chunked}"), 200);
}

#[test]
fn lines_are_ended_and_folded_as_the_standard_says() {
    let server = Server::start(SEED, &[]);
    for head in [
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\rHost: a\r\r"),
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost : a\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP}  HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.2\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP} HTTP/2.0\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP} http/1.1\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP}\r\n\r\n"),
    ] {
        assert_refused(&server, &head, 400);
    }
    // A line may end in LF alone, and blank lines may stand before a request (RFC 9112, section 2.2).
    assert_served(&server, &format!("{LOOKUP} HTTP/1.1\nHost: a\n\n"), 200);
    assert_served(&server, &format!("\r\n\r\n{LOOKUP} HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

#[test]
fn targets_of_every_form_have_a_route_or_none() {
    let server = Server::start(SEED, &[]);
    for (start, status) in [
        ("GET http://other.test/v1/shipments/DHL/TN12345678", 200),
        ("GET http://other.test", 200),
        ("OPTIONS *", 404),
        ("GET *", 404),
        ("CONNECT a:1", 404),
        ("get /v1/dataset", 405),
        ("FROBNICATE /v1/dataset", 405),
    ] {
        assert_served(&server, &format!("{start} HTTP/1.1\r\nHost: a\r\n\r\n"), status);
    }
}

#[test]
fn an_error_amid_pipelined_requests_ends_them_there() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    client.send(format!("{NEXT}{NEXT}{LOOKUP} HTTP/1.1\r\n\r\n{NEXT}{NEXT}"));
    let statuses: Vec<u16> = (0..3).map(|_| client.answer_to("GET").status).collect();
    assert_eq!(statuses, [200, 200, 400]);
    client.expect_end();
}
