//! Requests that RFC 9112 refuses, and odd ones that it does not, over raw sockets: what a proxy in front could read
//! otherwise than the server does. `tests/system/proxies.sh` sends the like through proxies.

use std::net::Shutdown;

use crate::support::client::{Answer, Broken, Client};
use crate::support::{SEED, Server};

const LOOKUP: &str = "GET /v1/shipments/DHL/TN12345678";
/// All of a batch's head but what says how long its body is.
const BATCH: &str = "POST /v1/lookup HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
/// A batch's body, of 14 bytes.
const BODY: &str = r#"{"lookups":[]}"#;
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";
/// A lookup that shows whether what stands before it was read to its end.
const NEXT: &str = "GET /v1/shipments/DHL/TN12345678 HTTP/1.1\r\nHost: a\r\n\r\n";

/// The connection ends with one answer of `status`; what follows on it is not taken for a request.
fn assert_last(server: &Server, request: &str, status: u16) -> Answer {
    let mut client = server.client();
    client.send(request.to_owned() + NEXT);
    let answer = client.answer_to("GET");
    assert_eq!(answer.status, status, "{request:?}: {}", answer.text());
    // HTTP/1.0 need not be told.
    let expected = answer.head.starts_with("HTTP/1.1").then_some("close");
    assert_eq!(answer.field("connection").as_deref(), expected, "{request:?}");
    client.expect_end();
    answer
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
    for hosts in [
        "",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nX: y\r\nhost:\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: u@a\r\n",
        "Host: a:b\r\n",
        "Host: a:1:2\r\n",
        "Host: a%zz\r\n",
        "Host: [::1\r\n",
        "Host: ::1\r\n",
        "Host: ..\r\n",
        "Host: .\r\n",
        "Host: a..b:80\r\n",
        "Host: .a\r\n",
        "Host: http://a\r\n",
        "Host: ü\r\n",
    ] {
        let answer = assert_last(&server, &format!("{LOOKUP} HTTP/1.1\r\n{hosts}\r\n"), 400);
        let detail = answer.problem(400, "invalid_parameter");
        assert!(detail.starts_with("Host: "), "{detail}");
    }
    for host in ["a", "a:1", "a:", "[::1]:80", "[::1]", "a%2Db", "\ta\t", "", "a.b.", "a_b.c:1", "127.0.0.1"] {
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
        "Content-Length: 5 5\r\n",
        "Content-Length: 5;\r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length:\r\n",
        "Content-Length: 0\r\nContent-Length: 00000000000000000005\r\n",
        "Content-Length: 99999999999999999999999\r\n",
    ] {
        assert_last(&server, &format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\n{lengths}\r\n"), 400);
    }
    // A number, but no length.
    assert_last(&server, &format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n"), 431);
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
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: , chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
    ] {
        assert_last(&server, &format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\n{codings}\r\n0\r\n\r\n"), 400);
    }
    assert_last(&server, &format!("{LOOKUP} HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
    // Both lengths: the chunks count, and the connection ends (RFC 9112, section 6.1).
    for both in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
    ] {
        assert_last(&server, &format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\n{both}\r\n0\r\n\r\n"), 200);
        assert_last(&server, &format!("{BATCH}{both}\r\ne\r\n{BODY}\r\n0\r\n\r\n"), 200);
    }
    // Where chunks end is looked up only by who wants them.
    for (start, status) in [(LOOKUP, 200), ("GET /nowhere", 404), ("GET /v1/facets?carrier=dhl", 200)] {
        for chunks in ["0\r\n\r\n", "0;x=y\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "0\r\nX: y\r\n\r\n", "no chunk"] {
            assert_last(&server, &format!("{start} HTTP/1.1\r\nHost: a\r\n{CHUNKED}{chunks}"), status);
        }
    }
    for coding in ["chunked", "CHUNKED", "\t chunked \t"] {
        let head = format!("{BATCH}Transfer-Encoding: {coding}\r\n\r\n");
        assert_served(&server, &(head + "e\r\n" + BODY + "\r\n0\r\n\r\n"), 200);
    }
}

#[test]
fn the_size_of_a_chunk_is_one_hexadecimal_number() {
    let server = Server::start(SEED, &[]);
    let after = format!("\r\n{BODY}\r\n0\r\n\r\n");
    for size in [
        "+e",
        "-e",
        "-1",
        "0xe",
        "0Xe",
        " e",
        "\te",
        "e e",
        "e\u{b}",
        "e,",
        "e.0",
        "\"e\"",
        "",
        "g",
        ";x=y",
        "\r\ne",
        "\ne",
        "10000000000000000",
        "1000000000000000e0",
        "ffffffffffffffffffffffff",
        "e;x\ny",
        "e;x\ry",
        "e\n",
        "e\r",
    ] {
        let answer = assert_last(&server, &format!("{BATCH}{CHUNKED}{size}{after}"), 400);
        answer.problem(400, "invalid_body");
    }
    let long = "0".repeat(10_000) + "e";
    let extension = format!("e;x={}", "y".repeat(10_000));
    for size in ["E", "0e", "000000000000000000000000e", "e;x", "e;x=y;z=\"\t\"", "e ;x", "e \t", &long, &extension] {
        assert_served(&server, &format!("{BATCH}{CHUNKED}{size}{after}"), 200);
    }
    // A size is believed only as far as bytes come.
    let mut client = server.client();
    client.send(format!("{BATCH}{CHUNKED}ffffffffffffffff{after}{NEXT}"));
    client.stream().shutdown(Shutdown::Write).unwrap();
    client.answer_to("POST").problem(400, "invalid_body");
    client.expect_end();
    // Extensions have 16 KiB.
    let extension = format!("e;x={}", "y".repeat(20_000));
    assert_last(&server, &format!("{BATCH}{CHUNKED}{extension}{after}"), 400).problem(400, "invalid_body");
}

#[test]
fn a_chunk_ends_as_it_says() {
    let server = Server::start(SEED, &[]);
    for chunks in [
        format!("e\r\n{BODY}0\r\n\r\n"),
        format!("e\r\n{BODY}\n0\r\n\r\n"),
        format!("e\r\n{BODY}\r0\r\n\r\n"),
        format!("e\r\n{BODY}\r\n\r\n0\r\n\r\n"),
        format!("d\r\n{BODY}\r\n0\r\n\r\n"),
        format!("f\r\n{BODY}\r\n0\r\n\r\n"),
        format!("e\n{BODY}\n0\n\n"),
        format!("e\r\n{BODY}\r\n0\n\n"),
    ] {
        let answer = assert_last(&server, &format!("{BATCH}{CHUNKED}{chunks}"), 400);
        answer.problem(400, "invalid_body");
    }
}

#[test]
fn nothing_after_trailers_is_taken_for_a_request() {
    let server = Server::start(SEED, &[]);
    for trailers in [
        "X: y\r\n",
        "Host: b\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: keep-alive\r\n",
    ] {
        assert_last(&server, &format!("{BATCH}{CHUNKED}e\r\n{BODY}\r\n0\r\n{trailers}\r\n"), 200);
    }
    for (trailers, status) in [
        // To others the section ends here: what follows is not swallowed unseen.
        ("\n", 400),
        ("X: y\r\n\n", 200),
        ("X: y\n\r\n", 200),
        // Malformed fields.
        ("no field\r\n\r\n", 400),
        ("X : y\r\n\r\n", 400),
        (": y\r\n\r\n", 400),
        ("X: a\r\n b\r\n\r\n", 400),
        ("X: a\rb\r\n\r\n", 400),
        ("X: a\0b\r\n\r\n", 400),
    ] {
        assert_last(&server, &format!("{BATCH}{CHUNKED}e\r\n{BODY}\r\n0\r\n{trailers}"), status);
        assert_last(&server, &format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\n{CHUNKED}0\r\n{trailers}"), 200);
    }
    // Trailers have 8 KiB.
    let many = "X: y\r\n".repeat(2_000);
    assert_last(&server, &format!("{BATCH}{CHUNKED}e\r\n{BODY}\r\n0\r\n{many}\r\n"), 400);
}

#[test]
fn lines_are_ended_and_folded_as_the_standard_says() {
    let server = Server::start(SEED, &[]);
    for head in [
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\rHost: a\r\r"),
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\n \r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost:\r\n a\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n"),
        format!("{LOOKUP}\rHTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("\r{LOOKUP} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nX: a\u{b}b\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
        format!("{LOOKUP}\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP}\tHTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1 \r\nHost: a\r\n\r\n"),
        format!(" {LOOKUP} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost : a\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP}  HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.2\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP} HTTP/2.0\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP} http/1.1\r\nHost: a\r\n\r\n"),
        format!("{LOOKUP}\r\n\r\n"),
    ] {
        assert_last(&server, &head, 400);
    }
    // A line may end in LF alone, and blank lines may stand before a request (RFC 9112, section 2.2).
    for head in [
        "{LOOKUP} HTTP/1.1\nHost: a\n\n",
        "{LOOKUP} HTTP/1.1\r\nHost: a\n\r\n",
        "\r\n\n\r\n{LOOKUP} HTTP/1.1\r\nHost: a\r\n\n",
    ] {
        assert_served(&server, &head.replace("{LOOKUP}", LOOKUP), 200);
    }
}

#[test]
fn the_preface_of_another_protocol_is_no_request() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    client.send(format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{NEXT}"));
    assert!(matches!(client.try_answer_to("GET"), Err(Broken::NoAnswer)));
    // Nor is another protocol gone over to.
    assert_served(
        &server,
        &format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
        200,
    );
}

#[test]
fn targets_of_every_form_have_a_route_or_none() {
    let server = Server::start(SEED, &[]);
    for (start, status) in [
        ("GET http://other.test/v1/shipments/DHL/TN12345678", 200),
        ("GET http://other.test", 200),
        ("GET https://other.test:1/v1/shipments/DHL/TN12345678?x=1", 200),
        ("OPTIONS *", 204),
        ("OPTIONS /v1/dataset", 405),
        ("OPTIONS http://other.test/v1/dataset", 405),
        ("CONNECT a:1", 404),
        ("CONNECT /v1/dataset", 405),
        ("get /v1/dataset", 405),
        ("FROBNICATE /v1/dataset", 405),
    ] {
        assert_served(&server, &format!("{start} HTTP/1.1\r\nHost: a\r\n\r\n"), status);
    }
    for start in ["GET *", "GET other.test", "GET other.test:80", "OPTIONS other.test", "CONNECT *", "POST v1"] {
        assert_last(&server, &format!("{start} HTTP/1.1\r\nHost: a\r\n\r\n"), 400).problem(400, "invalid_parameter");
    }
    for start in ["GET ", "GET ?x", "GET http:///v1/dataset", "GET /a b", "GET"] {
        assert_last(&server, &format!("{start} HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    }
    // The host of a target counts, but one must be named all the same.
    assert_last(&server, "GET http://other.test/v1/dataset HTTP/1.1\r\n\r\n", 400);
}

#[test]
fn a_head_has_at_most_a_hundred_fields() {
    let server = Server::start(SEED, &[]);
    // `Host` is one of them.
    let head = |fields: usize| format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(fields - 1));
    assert_served(&server, &head(100), 200);
    let answer = assert_last(&server, &head(101), 431);
    assert_eq!(answer.text(), "");
}

#[test]
fn a_body_that_nobody_asked_for_is_no_request() {
    let server = Server::start(SEED, &[]);
    for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
        let mut client = server.client();
        let length = NEXT.len();
        client
            .send(format!("{method} /v1/dataset HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{NEXT}{NEXT}"));
        client.answer_to(method);
        assert_eq!(client.answer_to("GET").status, 200);
        client.stream().shutdown(Shutdown::Write).unwrap();
        client.expect_end();
    }
    // One that does not come at once is not waited for.
    let mut client = server.client();
    client.send(format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{NEXT}"));
    assert_eq!(client.answer_to("GET").status, 200);
    client.expect_end();
}

#[test]
fn only_who_waits_for_100_continue_gets_it() {
    let server = Server::start(SEED, &[]);
    let statuses = |client: &mut Client, count: usize| -> Vec<u16> {
        (0..count).map(|_| client.answer_to("POST").status).collect()
    };
    for (request, expected) in [
        (format!("{BATCH}Expect: 100-continue\r\nContent-Length: 14\r\n\r\n{BODY}"), &[100, 200, 200][..]),
        (format!("{BATCH}Expect: 100-Continue\r\n{CHUNKED}e\r\n{BODY}\r\n0\r\n\r\n"), &[100, 200, 200]),
        // There is no body, or nobody wants it.
        (format!("{BATCH}Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"), &[400, 200]),
        (format!("{BATCH}Expect: 100-continue\r\n\r\n"), &[400, 200]),
        (format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"), &[200, 200]),
        (format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"), &[200, 200]),
        // What else is expected is not known here.
        (format!("{BATCH}Expect: 200-ok\r\nContent-Length: 14\r\n\r\n{BODY}"), &[200, 200]),
        // HTTP/1.0 has no such answer.
        (
            BATCH.replace("1.1", "1.0")
                + &format!("Connection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\r\n{BODY}"),
            &[200, 200],
        ),
    ] {
        let mut client = server.client();
        client.send(request.clone() + NEXT);
        assert_eq!(statuses(&mut client, expected.len()), expected, "{request:?}");
    }
}

#[test]
fn http_1_0_goes_on_only_where_it_was_asked_to() {
    let server = Server::start(SEED, &[]);
    let head = BATCH.replace("1.1", "1.0") + "Content-Length: 14\r\n";
    assert_last(&server, &format!("{head}\r\n{BODY}"), 200);
    assert_last(&server, &format!("{head}Connection: close, keep-alive\r\n\r\n{BODY}"), 200);
    assert_last(&server, &format!("{head}Connection: keep-alive\r\nConnection: close\r\n\r\n{BODY}"), 200);
    assert_served(&server, &format!("{head}Connection: keep-alive\r\n\r\n{BODY}"), 200);
    assert_served(&server, &format!("{head}Connection: x, Keep-Alive\r\n\r\n{BODY}"), 200);
    assert_last(&server, &format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"), 200);
}

#[test]
fn an_error_amid_pipelined_requests_ends_them_there() {
    let server = Server::start(SEED, &[]);
    let batch = format!("{BATCH}{CHUNKED}e\r\n{BODY}\r\n0\r\n\r\n");
    let head = NEXT.replace("GET", "HEAD");
    for error in [
        format!("{LOOKUP} HTTP/1.1\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
        format!("{LOOKUP} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        format!("{BATCH}{CHUNKED}+e\r\n{BODY}\r\n0\r\n\r\n"),
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "no request\r\n\r\n".to_owned(),
    ] {
        let mut client = server.client();
        client.send(format!("{NEXT}{head}{batch}{NEXT}{error}{NEXT}{batch}{NEXT}"));
        let statuses = ["GET", "HEAD", "POST", "GET", "GET"].map(|method| client.answer_to(method).status);
        assert_eq!(statuses, [200, 200, 200, 200, 400], "{error:?}");
        client.expect_end();
    }
}
