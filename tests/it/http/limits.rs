//! What clients may not do: dawdle, idle, take nothing, be too many.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::client::{Client, post, request};
use crate::support::{DEADLINE, SEED, Server, csv, row};

const LOOKUP: &str = "/v1/shipments/DHL/TN12345678";
/// For time limits that a test must not meet.
const NEVER: &str = "10m";
/// Between two bytes of a client that dawdles.
const PACE: Duration = Duration::from_millis(50);
/// Far more than what is asked for here takes.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_head_that_takes_too_long_ends_the_connection() {
    let server = Server::start(SEED, &["--header-timeout", "300ms", "--idle-timeout", NEVER]);
    server.client().expect_end();
    let mut client = server.client();
    client.send(&request("GET", LOOKUP, &[])[..40]);
    client.expect_end();
    // Of a second request.
    let mut client = server.client();
    assert_eq!(client.get(LOOKUP).status, 200);
    client.send("GET");
    client.expect_end();
    assert_eq!(server.get(LOOKUP).status, 200);
}

#[test]
fn a_head_that_begins_right_behind_a_request_has_no_more_time() {
    let server = Server::start(SEED, &["--header-timeout", "300ms", "--idle-timeout", NEVER]);
    let mut client = server.client();
    client.stream().set_read_timeout(Some(SOON)).unwrap();
    client.send(request("GET", LOOKUP, &[]) + "GET");
    assert_eq!(client.answer_to("GET").status, 200);
    client.expect_end();
}

#[test]
fn bytes_that_trickle_in_do_not_prolong_the_time_for_a_head() {
    let server = Server::start(SEED, &["--header-timeout", "500ms", "--idle-timeout", NEVER]);
    let mut client = server.client();
    let endless = request("GET", LOOKUP, &[&format!("X-Long: {}", "x".repeat(600))]);
    let mut bytes = endless.bytes();
    while client.is_silent_for(PACE) {
        client.send([bytes.next().expect("the connection ends before 30 s of bytes")]);
    }
    client.expect_end();
}

#[test]
fn a_connection_that_idles_too_long_is_closed() {
    let server = Server::start(SEED, &["--idle-timeout", "300ms", "--header-timeout", NEVER]);
    let mut client = server.client();
    for _ in 0..3 {
        assert_eq!(client.get(LOOKUP).status, 200);
    }
    client.expect_end();
    let mut admin = server.admin_client();
    assert_eq!(admin.get("/livez").status, 200);
    admin.expect_end();
}

#[test]
fn requests_keep_a_connection_alive_beyond_the_idle_timeout() {
    let server = Server::start(SEED, &["--idle-timeout", "2s", "--header-timeout", NEVER]);
    let mut client = server.client();
    for _ in 0..5 {
        assert_eq!(client.get(LOOKUP).status, 200);
        assert!(client.is_silent_for(Duration::from_millis(600)));
    }
}

#[test]
fn a_blank_line_behind_a_request_begins_no_other_one() {
    let server = Server::start(SEED, &["--idle-timeout", NEVER, "--header-timeout", "300ms"]);
    let batch = post("/v1/lookup", &[], r#"{"lookups":[{"tracking_number":"TN12345678"}]}"#);
    for (method, bytes) in [("GET", request("GET", LOOKUP, &[])), ("POST", batch)] {
        let mut client = server.client();
        client.send(bytes + "\r\n");
        assert_eq!(client.answer_to(method).status, 200);
        assert!(client.is_silent_for(Duration::from_millis(900)), "{method}");
        assert_eq!(client.get(LOOKUP).status, 200);
    }
}

/// A shipment whose answer is 900 KB.
fn large() -> String {
    csv(&[row("TN1", "DHL").replace("Laptop", &"x".repeat(900_000)), row("TN2", "DHL")])
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let arguments = ["--write-timeout", "500ms", "--header-timeout", NEVER, "--idle-timeout", NEVER];
    let server = Server::start(large(), &arguments);
    let client = server.client();
    client.stream().set_write_timeout(Some(PACE)).unwrap();
    let lookups = request("GET", "/v1/shipments/DHL/TN1", &[]).repeat(1000);
    // The server stops reading, then ends the connection.
    let tries = DEADLINE.as_millis() / PACE.as_millis();
    let error = (0..tries).find_map(|_| match client.stream().write_all(lookups.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Some(error.kind()),
        _ => None,
    });
    assert!(matches!(error, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)), "{error:?}");
    assert_eq!(server.get("/v1/shipments/DHL/TN2").status, 200);
}

#[test]
fn a_client_that_takes_no_more_of_one_large_answer_is_cut_off_and_the_rest_is_dropped() {
    let arguments = ["--write-timeout", "500ms", "--header-timeout", NEVER, "--idle-timeout", NEVER];
    let server = Server::start(large(), &arguments);
    let mut client = server.client();
    client.send(request("GET", "/v1/shipments/DHL/TN1", &[]));
    // A reset, not an end to come after the answer: the kernel, too, has given it up.
    let tries = DEADLINE.as_millis() / PACE.as_millis();
    let error = (0..tries).find_map(|_| {
        pause();
        client.stream().take_error().unwrap()
    });
    assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::ConnectionReset));
}

/// Memory that one connection may cost.
const CONNECTION_BYTES_MAX: u64 = 4 << 20;

#[test]
fn a_client_that_asks_on_and_on_and_takes_nothing_costs_little_memory() {
    for (method, fields) in [("HEAD", &[][..]), ("GET", &["If-None-Match: *"]), ("GET", &[])] {
        // A server of its own: what one client cost may serve the next.
        let server = Server::start(SEED, &["--write-timeout", NEVER]);
        assert_eq!(server.get(LOOKUP).status, 200);
        let before = server.resident_bytes();
        let client = server.client();
        // The server has stopped reading when nothing is taken for a while.
        client.stream().set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        let requests = request(method, LOOKUP, fields).repeat(1000);
        let wanted = 60 << 20;
        let mut asked = 0;
        while asked < wanted && client.stream().write_all(requests.as_bytes()).is_ok() {
            asked += requests.len();
        }
        assert!(asked < wanted, "{method}: all requests were taken");
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown <= CONNECTION_BYTES_MAX, "{method}: {grown} bytes after {asked} bytes of requests");
    }
}

/// The client's own slowness, not a wait for anything.
fn pause() {
    let (_sender, nothing) = std::sync::mpsc::channel::<()>();
    assert!(nothing.recv_timeout(PACE).is_err());
}

#[test]
fn a_client_that_takes_little_of_a_large_answer_is_cut_off_though_it_goes_on() {
    let arguments = ["--write-timeout", "2s", "--header-timeout", NEVER, "--idle-timeout", NEVER];
    let server = Server::start(many_articles(200_000), &arguments);
    let mut client = server.client();
    client.send(request("GET", "/v1/shipments/DHL/TN1", &[]));
    // Some 20 KB a second: before, any progress at all was enough.
    let begun = Instant::now();
    let mut taken = 0;
    while begun.elapsed() < DEADLINE {
        pause();
        match client.stream().read(&mut [0; 1000]) {
            Ok(bytes @ 1..) => taken += bytes,
            ended => {
                assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
                break;
            }
        }
    }
    assert!(begun.elapsed() < DEADLINE, "not cut off; {taken} bytes were taken");
    let timed_out = "waybill_http_connections_timed_out_total{phase=\"write\"} 1\n";
    assert!(server.admin_get("/metrics").text().contains(timed_out));
}

/// One shipment with so many articles, some 70 bytes each.
fn many_articles(count: usize) -> String {
    csv(&vec![row("TN1", "DHL"); count])
}

#[test]
fn a_client_that_takes_its_time_gets_its_answers_whole() {
    let arguments = ["--write-timeout", "1500ms", "--header-timeout", NEVER, "--idle-timeout", NEVER];
    let server = Server::start(large(), &arguments);
    let expected = server.get("/v1/shipments/DHL/TN1").body;
    let mut client = server.client();
    client.send(request("GET", "/v1/shipments/DHL/TN1", &[]).repeat(40));
    for _ in 0..40 {
        pause();
        assert_eq!(client.answer_to("GET").body, expected);
    }
}

#[test]
fn a_connection_too_many_waits_while_none_is_idle() {
    let server = Server::start(SEED, &["--max-connections", "1", "--threads", "1", "--body-timeout", NEVER]);
    let mut first = server.client();
    let body = r#"{"lookups":[]}"#;
    let whole = post("/v1/lookup", &["Expect: 100-continue"], body);
    let (head, body) = whole.split_at(whole.len() - body.len());
    first.send(head);
    // The body is awaited.
    first.expect("HTTP/1.1 100 Continue\r\n\r\n");
    let mut second = server.client();
    second.send(request("GET", LOOKUP, &[]));
    assert!(second.is_silent_for(Duration::from_millis(600)));
    first.send(body);
    assert_eq!(first.answer_to("POST").status, 200);
    // Now the first one is idle, and gives its place to the other.
    assert_eq!(second.answer_to("GET").status, 200);
    first.expect_end();
}

#[test]
fn a_new_client_takes_the_place_of_an_idle_one() {
    let arguments = ["--max-connections", "50", "--threads", "2", "--idle-timeout", NEVER, "--header-timeout", NEVER];
    let server = Server::start(SEED, &arguments);
    let idle: Vec<Client> = (0..25).map(|_| answered(server.client())).collect();
    // Nor are these in the middle of a request: their first heads are not complete.
    let mut new: Vec<Client> = (0..25).map(|_| server.client()).collect();
    for client in &mut new[..10] {
        client.send("GET /v1");
    }
    let clients: Vec<Client> = (0..50).map(|_| answered(server.client())).collect();
    assert_eq!(server.metric("waybill_http_connections_rejected_total{reason=\"evicted\"}"), 50);
    drop((idle, new, clients));
}

fn answered(mut client: Client) -> Client {
    assert_eq!(client.get(LOOKUP).status, 200);
    client
}

#[test]
fn operators_are_heard_when_the_public_connections_are_used_up() {
    let server = Server::start(SEED, &["--max-connections", "1", "--threads", "1"]);
    let mut first = server.client();
    assert_eq!(first.get(LOOKUP).status, 200);
    assert_eq!(server.reload().status, 200);
    assert_eq!(first.get(LOOKUP).status, 200);
}

#[test]
fn as_many_connections_as_allowed_are_served_whichever_thread_they_come_to() {
    let server = Server::start(SEED, &["--max-connections", "2", "--threads", "4"]);
    for _ in 0..10 {
        let mut clients = [server.client(), server.client()];
        for client in &mut clients {
            client.stream().set_read_timeout(Some(SOON)).unwrap();
            assert_eq!(client.get(LOOKUP).status, 200);
        }
        for client in &mut clients {
            client.request("GET", LOOKUP, &["Connection: close"]);
            client.expect_end();
        }
    }
}

#[test]
fn clients_that_break_off_leave_their_places_to_others() {
    let server = Server::start(SEED, &["--max-connections", "2", "--threads", "1"]);
    for number in 0..50 {
        let mut client = server.client();
        match number % 3 {
            0 => client.send(&request("GET", LOOKUP, &[])[..20]),
            1 => client.send(request("GET", LOOKUP, &[]).repeat(50)),
            _ => client.stream().write_all(b"\0\0\0\0").unwrap(),
        }
    }
    assert_eq!(server.get(LOOKUP).status, 200);
}

/// A server that may have `descriptors` open files, sockets included.
fn start_with_descriptors(descriptors: u32, arguments: &[&str]) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    std::fs::write(&data, SEED).unwrap();
    let mut command = Command::new("sh");
    let limited = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_waybill"), "serve", "--log-format", "json", "--threads", "1"]);
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).arg("--data").arg(&data).args(arguments);
    Server::spawn(&mut command, dir, data)
}

#[test]
fn more_clients_than_descriptors_are_all_answered_and_operators_are_heard() {
    let mut server = start_with_descriptors(64, &["--body-timeout", NEVER]);
    server.wait_for("serving");
    let asking = |_| {
        let mut client = server.client();
        client.send(request("GET", LOOKUP, &[]));
        client
    };
    for mut client in (0..200).map(asking).collect::<Vec<Client>>() {
        assert_eq!(client.answer_to("GET").status, 200);
    }
    // As many as there is room for are in the middle of a request.
    let head = &post("/v1/lookup", &[], "0123456789");
    let mut busy: Vec<Client> = (0..64).map(|_| server.client()).collect();
    for client in &mut busy {
        client.send(&head[..head.len() - 1]);
    }
    assert_eq!(server.admin_get("/livez").status, 200);
    assert_eq!(server.reload().status, 200);
    for mut client in busy {
        client.send("9");
        assert_eq!(client.answer_to("POST").status, 400);
    }
}

#[test]
fn accepting_without_descriptors_does_not_spin() {
    let mut server = start_with_descriptors(64, &[]);
    server.wait_for("serving");
    let begun = Instant::now();
    // Fewer than when it started: none for another connection.
    let is_open = |number: &u32| Path::new(&format!("/proc/{}/fd/{number}", server.id())).exists();
    let unused = (0..64_u32).find(|number| !is_open(number)).unwrap();
    let limit = format!("--nofile={unused}:");
    assert!(Command::new("prlimit").args(["--pid", &server.id().to_string(), &limit]).status().unwrap().success());
    let mut client = server.client();
    client.send(request("GET", LOOKUP, &[]));
    for _ in 0..3 {
        server.wait_for("cannot accept connections; trying again");
    }
    assert!(
        Command::new("prlimit").args(["--pid", &server.id().to_string(), "--nofile=64:"]).status().unwrap().success()
    );
    assert_eq!(client.answer_to("GET").status, 200);
    let errors = server.metric("waybill_http_connections_rejected_total{reason=\"accept_error\"}");
    // At least the shortest pause lies between two errors: 250 ms.
    let bound = begun.elapsed().as_millis() as u64 / 250 + 1;
    assert!((3..=bound).contains(&errors), "{errors} errors, at most {bound}");
}

#[test]
fn too_few_descriptors_are_a_warning_where_more_connections_were_asked_for() {
    for (arguments, level) in [(&[][..], "INFO"), (&["--max-connections", "100"], "WARN")] {
        let server = start_with_descriptors(64, arguments);
        let line =
            server.seen().iter().find(|line| line.contains("fewer files may be open")).expect("a line of the log");
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((line["level"].as_str(), &line["fields"]["limit"]), (Some(level), &64.into()), "{line}");
    }
}
