//! Requests with a body: how one may come, how long it may take, and what becomes of one that nobody wants.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use crate::support::client::{Answer, Broken, Client, post, request};
use crate::support::{SEED, Server, Signal};

const PATH: &str = "/v1/lookup";
const LOOKUP: &str = "/v1/shipments/DHL/TN12345678";
const BODY: &str = r#"{"lookups":[{"tracking_number":"TN12345678"}]}"#;
const BODY_BYTES_MAX: usize = 1 << 20;
const JSON: &str = "Content-Type: application/json";
const CHUNKED: &str = "Transfer-Encoding: chunked";
/// For time limits that a test must not meet.
const NEVER: &str = "10m";
/// Between two bytes of a client that dawdles.
const PACE: Duration = Duration::from_millis(50);

fn head(fields: &[&str]) -> String {
    request("POST", PATH, fields)
}

/// The head of a request whose body has so many bytes.
fn head_of(bytes: usize) -> String {
    head(&[JSON, &format!("Content-Length: {bytes}")])
}

/// [`BODY`] with white space, so many bytes in all.
fn padded(bytes: usize) -> String {
    BODY.to_owned() + &" ".repeat(bytes - BODY.len())
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

fn expected(server: &Server) -> Vec<u8> {
    let mut client = server.client();
    client.send(post(PATH, &[], BODY));
    let answer = client.answer_to("POST");
    assert_eq!(answer.status, 200);
    answer.body
}

fn is_last(answer: &Answer) -> bool {
    answer.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

#[test]
fn a_body_must_be_json_by_its_type() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let length = format!("Content-Length: {}", BODY.len());
    for json in [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
    ] {
        client.send(head(&[&format!("Content-Type: {json}"), &length]) + BODY);
        assert_eq!(client.answer_to("POST").status, 200, "{json}");
    }
    for fields in [
        &[][..],
        &["Content-Type: "],
        &["Content-Type: text/plain"],
        &["Content-Type: application/x-www-form-urlencoded"],
        &["Content-Type: application/jsonl"],
        &["Content-Type: application/json", "Content-Type: text/plain"],
    ] {
        client.send(head(&[fields, &[length.as_str()]].concat()) + BODY);
        client.answer_to("POST").problem(415, "unsupported_media_type");
    }
    // Also where there is nothing to have a type.
    client.request("POST", PATH, &["Content-Length: 0"]).problem(415, "unsupported_media_type");
    client.request("POST", PATH, &[JSON]).problem(400, "invalid_body");
    assert_eq!(client.get(LOOKUP).status, 200);
}

#[test]
fn a_body_must_not_be_compressed() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    client.send(post(PATH, &["Content-Encoding: Identity"], BODY));
    assert_eq!(client.answer_to("POST").status, 200);
    for coding in ["gzip", "br", "identity, gzip", "x"] {
        client.send(post(PATH, &[&format!("Content-Encoding: {coding}")], BODY));
        let answer = client.answer_to("POST");
        answer.problem(415, "unsupported_media_type");
        assert_eq!(answer.field("accept-encoding").as_deref(), Some("identity"));
    }
    assert_eq!(client.get(LOOKUP).status, 200);
}

#[test]
fn a_body_may_have_a_mebibyte_and_no_byte_more() {
    let server = Server::start(SEED, &[]);
    let expected = expected(&server);
    let mut client = server.client();
    client.send(head_of(BODY_BYTES_MAX) + &padded(BODY_BYTES_MAX));
    assert_eq!(client.answer_to("POST").body, expected);
    client.send(head(&[JSON, CHUNKED]) + &chunk(&padded(BODY_BYTES_MAX)) + "0\r\n\r\n");
    assert_eq!(client.answer_to("POST").body, expected);
    for (head, body) in [
        (head_of(BODY_BYTES_MAX + 1), padded(BODY_BYTES_MAX + 1)),
        (head(&[JSON, CHUNKED]), chunk(&padded(BODY_BYTES_MAX + 1)) + "0\r\n\r\n"),
        (head(&[JSON, CHUNKED]), chunk(&padded(BODY_BYTES_MAX)) + &chunk(" ") + "0\r\n\r\n"),
    ] {
        let mut client = server.client();
        client.send(head + &body);
        let answer = client.answer_to("POST");
        let detail = answer.problem(413, "body_too_large");
        assert!(detail.contains("1048576") && is_last(&answer), "{}", answer.head);
        client.expect_end();
    }
}

#[test]
fn a_body_said_to_be_too_large_is_refused_before_it_comes() {
    let server = Server::start(SEED, &["--body-timeout", NEVER]);
    for bytes in ["1048577", "9223372036854775807"] {
        let mut client = server.client();
        client.send(head(&[JSON, &format!("Content-Length: {bytes}")]));
        let answer = client.answer_to("POST");
        answer.problem(413, "body_too_large");
        assert!(is_last(&answer));
        client.expect_end();
    }
}

#[test]
fn a_chunked_body_is_cut_off_at_the_limit() {
    let server = Server::start(SEED, &["--body-timeout", NEVER]);
    let mut client = server.client();
    client.send(head(&[JSON, CHUNKED]));
    for _ in 0..=16 {
        client.send(chunk(&" ".repeat(64 << 10)));
    }
    // The last chunk never comes.
    let answer = client.answer_to("POST");
    answer.problem(413, "body_too_large");
    assert!(is_last(&answer));
    client.expect_end();
}

/// What a client that sends all of its request before it reads gets, however much is left unread.
fn assert_answer_arrives(server: &Server, request: &str, status: u16, code: &str) {
    let mut client = server.client();
    client.send(request);
    let answer = client.answer_to("POST");
    answer.problem(status, code);
    assert!(is_last(&answer), "{}", answer.head);
    client.expect_end();
}

#[test]
fn a_client_that_sends_all_of_a_refused_body_gets_its_answer() {
    const BYTES: usize = 20 << 20;
    let server = Server::start(SEED, &[]);
    let body = " ".repeat(BYTES);
    let length = format!("Content-Length: {BYTES}");
    assert_answer_arrives(&server, &(head_of(BYTES) + &body), 413, "body_too_large");
    assert_answer_arrives(&server, &(head(&[JSON, CHUNKED]) + &chunk(&body)), 413, "body_too_large");
    assert_answer_arrives(&server, &(head(&[&length]) + &body), 415, "unsupported_media_type");
    assert_answer_arrives(
        &server,
        &(head(&[JSON, &length, "Content-Encoding: gzip"]) + &body),
        415,
        "unsupported_media_type",
    );
    let elsewhere = request("POST", LOOKUP, &[&length]) + &body;
    assert_answer_arrives(&server, &elsewhere, 405, "method_not_allowed");
    assert_eq!(server.get(LOOKUP).status, 200);
}

#[test]
fn a_refused_client_that_neither_sends_nor_ends_loses_its_place() {
    let server = Server::start(SEED, &["--max-connections", "1", "--threads", "1", "--body-timeout", "300ms"]);
    let mut refused = server.client();
    refused.send(head_of(BODY_BYTES_MAX + 1));
    refused.answer_to("POST").problem(413, "body_too_large");
    refused.expect_end();
    assert_eq!(server.get(LOOKUP).status, 200);
}

#[test]
fn a_client_may_wait_for_100_continue() {
    let server = Server::start(SEED, &[]);
    let expected = expected(&server);
    let mut client = server.client();
    for _ in 0..3 {
        client.send(head(&[JSON, &format!("Content-Length: {}", BODY.len()), "Expect: 100-continue"]));
        let go_on = client.answer_to("POST");
        assert_eq!((go_on.status, go_on.fields().len()), (100, 0));
        client.send(BODY);
        assert_eq!(client.answer_to("POST").body, expected);
    }
}

#[test]
fn who_waits_with_a_body_that_is_refused_gets_no_100() {
    let server = Server::start(SEED, &["--body-timeout", NEVER]);
    let expect = "Expect: 100-continue";
    let too_long = format!("Content-Length: {}", BODY_BYTES_MAX + 1);
    for (fields, status, code) in [
        (&[JSON, too_long.as_str(), expect][..], 413, "body_too_large"),
        (&["Content-Length: 10", expect], 415, "unsupported_media_type"),
        (&[JSON, "Content-Encoding: gzip", CHUNKED, expect], 415, "unsupported_media_type"),
    ] {
        let mut client = server.client();
        client.send(head(fields));
        let answer = client.answer_to("POST");
        answer.problem(status, code);
        assert!(is_last(&answer), "{}", answer.head);
        client.expect_end();
    }
}

#[test]
fn a_body_may_come_in_any_pieces() {
    let server = Server::start(SEED, &[]);
    let expected = expected(&server);
    let mut client = server.client();
    for byte in post(PATH, &[], BODY).bytes() {
        client.send([byte]);
    }
    assert_eq!(client.answer_to("POST").body, expected);
    let chunks: String = BODY.chars().map(|c| chunk(&c.to_string())).collect();
    client.send(head(&[JSON, CHUNKED]) + &format!("{:x};x=\"y\"\r\n{BODY}\r\n0\r\n\r\n", BODY.len()));
    assert_eq!(client.answer_to("POST").body, expected);
    client.send(head(&[JSON, CHUNKED, "Trailer: X-Sum"]) + &chunks + "0\r\nX-Sum: 1\r\n\r\n");
    let answer = client.answer_to("POST");
    assert_eq!(answer.body, expected);
    // Where trailers end is not certain.
    assert!(is_last(&answer));
    client.expect_end();
}

#[test]
fn requests_around_a_batch_are_answered_in_order() {
    let server = Server::start(SEED, &[]);
    let expected = expected(&server);
    let lookup = server.get(LOOKUP).body;
    let long_body = padded(100_000);
    let mut client = server.client();
    let get = request("GET", LOOKUP, &[]);
    let round =
        get.clone() + &post(PATH, &[], BODY) + &get + &post(PATH, &[], &long_body) + &post(PATH, &[], "") + &get;
    client.send(round.repeat(10));
    for _ in 0..10 {
        assert_eq!(client.answer_to("GET").body, lookup);
        assert_eq!(client.answer_to("POST").body, expected);
        assert_eq!(client.answer_to("GET").body, lookup);
        assert_eq!(client.answer_to("POST").body, expected);
        client.answer_to("POST").problem(400, "invalid_body");
        assert_eq!(client.answer_to("GET").body, lookup);
    }
}

#[test]
fn malformed_chunks_are_an_error_and_the_end() {
    let server = Server::start(SEED, &[]);
    for body in ["x\r\n", "5\r\nabcdefgh\r\n", "fffffffffffffffff\r\n"] {
        let mut client = server.client();
        client.send(head(&[JSON, CHUNKED]) + body);
        let answer = client.answer_to("POST");
        answer.problem(400, "invalid_body");
        assert!(is_last(&answer));
        client.expect_end();
    }
}

#[test]
fn a_body_that_takes_too_long_ends_the_connection() {
    let arguments = ["--body-timeout", "300ms", "--header-timeout", NEVER, "--idle-timeout", NEVER];
    let server = Server::start(SEED, &arguments);
    let expected = expected(&server);
    for start in [head_of(10), head_of(10) + "{", head(&[JSON, CHUNKED]), head(&[JSON, CHUNKED]) + "1\r\n{\r\n"] {
        let mut client = server.client();
        client.send(start);
        client.expect_end();
    }
    // Of a later request.
    let mut client = server.client();
    client.send(post(PATH, &[], BODY));
    assert_eq!(client.answer_to("POST").body, expected);
    client.send(head_of(10) + "{");
    client.expect_end();
    // After 100 Continue.
    let mut client = server.client();
    client.send(head(&[JSON, "Content-Length: 10", "Expect: 100-continue"]));
    assert_eq!(client.answer_to("POST").status, 100);
    client.expect_end();
}

#[test]
fn bytes_that_trickle_in_do_not_prolong_the_time_for_a_body() {
    let arguments = ["--body-timeout", "500ms", "--header-timeout", NEVER, "--idle-timeout", NEVER];
    let server = Server::start(SEED, &arguments);
    for fields in [&[JSON, "Content-Length: 600"][..], &[JSON, CHUNKED]] {
        let mut client = server.client();
        client.send(head(fields));
        let mut pieces = 0..600;
        while client.is_silent_for(PACE) {
            assert!(pieces.next().is_some(), "the connection ends before 30 s of bytes");
            client.send(if fields[1] == CHUNKED { chunk(" ") } else { " ".to_owned() });
        }
        client.expect_end();
    }
}

#[test]
fn the_time_for_a_body_is_its_own() {
    let beyond = Duration::from_millis(900);
    let server = Server::start(SEED, &["--header-timeout", "300ms", "--body-timeout", NEVER, "--idle-timeout", NEVER]);
    let mut client = server.client();
    for _ in 0..2 {
        // Longer than a head may take.
        client.send(head_of(BODY.len()));
        assert!(client.is_silent_for(beyond));
        client.send(BODY);
        assert_eq!(client.answer_to("POST").status, 200);
        // The next request has not begun.
        assert!(client.is_silent_for(beyond));
    }
    let server = Server::start(SEED, &["--body-timeout", "300ms", "--header-timeout", NEVER, "--idle-timeout", NEVER]);
    let mut client = server.client();
    for _ in 0..2 {
        client.send(post(PATH, &[], BODY));
        assert_eq!(client.answer_to("POST").status, 200);
        assert!(client.is_silent_for(beyond));
    }
}

#[test]
fn clients_that_break_off_within_a_body_leave_their_places_to_others() {
    let server = Server::start(SEED, &["--max-connections", "2", "--threads", "1", "--body-timeout", NEVER]);
    for number in 0..60 {
        let client = server.client();
        let start = match number % 4 {
            0 => head_of(1000),
            1 => head_of(1000) + BODY,
            2 => head(&[JSON, CHUNKED]) + &chunk(BODY),
            // The answer is not waited for.
            _ => head_of(BODY_BYTES_MAX) + &padded(BODY_BYTES_MAX),
        };
        client.stream().write_all(start.as_bytes()).unwrap();
    }
    assert_eq!(server.get(LOOKUP).status, 200);
}

#[test]
fn a_client_that_ends_within_a_body_is_told_so() {
    let server = Server::start(SEED, &["--body-timeout", NEVER]);
    for start in [head_of(1000) + BODY, head(&[JSON, CHUNKED]) + &chunk(BODY)] {
        let mut client = server.client();
        client.send(start);
        client.stream().shutdown(Shutdown::Write).unwrap();
        let answer = client.answer_to("POST");
        answer.problem(400, "invalid_body");
        assert!(is_last(&answer));
        client.expect_end();
    }
    let mut client = server.client();
    client.send(post(PATH, &[], BODY));
    client.stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.answer_to("POST").status, 200);
    client.expect_end();
}

#[test]
fn a_body_on_its_way_at_the_end_is_waited_for() {
    let mut server = Server::start(SEED, &["--grace-period", "30s", "--threads", "1"]);
    let expected = expected(&server);
    let mut clients = [server.client(), server.client()];
    let bodies = [BODY.to_owned(), padded(500_000)];
    for (client, body) in clients.iter_mut().zip(&bodies) {
        client.send(head(&[JSON, &format!("Content-Length: {}", body.len()), "Expect: 100-continue"]));
        assert_eq!(client.answer_to("POST").status, 100);
        client.send(&body[..10]);
    }
    let mut lookups = server.client();
    server.signal(Signal::TERM);
    // Until the thread knows that it is to end.
    while !is_last(&lookups.get(LOOKUP)) {}
    for (client, body) in clients.iter_mut().zip(&bodies) {
        client.send(&body[10..]);
        let answer = client.answer_to("POST");
        assert_eq!(answer.body, expected);
        assert!(is_last(&answer), "{}", answer.head);
        client.expect_end();
    }
    lookups.expect_end();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_body_that_does_not_end_is_cut_off_with_the_grace_period() {
    let mut server = Server::start(SEED, &["--grace-period", "500ms", "--body-timeout", NEVER]);
    let mut client = server.client();
    client.send(head(&[JSON, "Content-Length: 10", "Expect: 100-continue"]));
    assert_eq!(client.answer_to("POST").status, 100);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(matches!(client.try_answer_to("POST"), Err(Broken::NoAnswer)));
}

#[test]
fn a_refused_body_that_came_at_once_costs_no_connection() {
    let mut server = Server::start(SEED, &["--body-timeout", NEVER]);
    let mut client = server.client();
    for _ in 0..3 {
        client.send(head(&["Content-Type: text/plain", &format!("Content-Length: {}", BODY.len())]) + BODY);
        client.answer_to("POST").problem(415, "unsupported_media_type");
        assert_eq!(client.get(LOOKUP).status, 200);
    }
    client.send(head(&["Content-Type: text/plain", "Content-Length: 2"]) + "{}");
    let answer = client.answer_to("POST");
    answer.problem(415, "unsupported_media_type");
    assert!(!is_last(&answer));
    // Nor does it delay the end.
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    client.expect_end();
    assert!(!server.seen().iter().any(|line| line.contains("cut off")), "{:#?}", server.seen());
}

/// Memory that a body may cost before it has come.
const BODY_BYTES_BEFORE: u64 = 64 << 10;

#[test]
fn bodies_that_are_announced_and_do_not_come_cost_little_memory() {
    const CLIENTS: u64 = 200;
    let server = Server::start(SEED, &["--body-timeout", NEVER]);
    let expected = expected(&server);
    let before = server.resident_bytes();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(head_of(BODY_BYTES_MAX) + BODY);
    }
    for client in &mut clients {
        assert!(client.is_silent_for(Duration::from_millis(1)));
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < CLIENTS * BODY_BYTES_BEFORE, "{grown} bytes");
    let rest = " ".repeat(BODY_BYTES_MAX - BODY.len());
    for client in &mut clients[..3] {
        client.send(&rest);
        assert_eq!(client.answer_to("POST").body, expected);
    }
}
