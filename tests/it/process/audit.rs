//! The audit trail: who did what, or tried to, and what became of it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;

use crate::support::client::request;
use crate::support::{DEADLINE, HEADER, SEED, Server, Signal, csv, row, waybill};
use serde_json::{Value, json};
use tempfile::TempDir;

const ALICE: &str = "Authorization: Bearer token-of-alice-0001";
const PLAIN: &str = "Authorization: Bearer token-without-a-name";
const TOKENS: &str = "token-of-alice-0001 name=alice\ntoken-without-a-name\n";

fn tokens(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    (dir, path)
}

fn start(file: &str, arguments: &[&str]) -> (Server, TempDir) {
    let (dir, path) = tokens(TOKENS);
    (Server::start(file, &[&["--admin-token-file", path.to_str().unwrap()], arguments].concat()), dir)
}

/// All lines of the trail, after the end: their fields.
fn trail(server: Server) -> Vec<Value> {
    server
        .end()
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .filter(|line| line["target"] == "audit")
        .map(|line| {
            assert_eq!((&line["level"], &line["fields"]["message"]), (&json!("INFO"), &json!("operator action")));
            line["fields"].clone()
        })
        .collect()
}

/// A line without what differs from run to run.
fn short(line: &Value) -> Value {
    let names = ["action", "options", "token", "request", "result"];
    names.into_iter().map(|name| line.get(name).cloned().unwrap_or_default()).collect()
}

#[test]
fn each_post_and_delete_on_the_admin_listener_is_one_line() {
    let (server, _dir) = start(SEED, &["--keep-previous"]);
    let mut admin = server.admin_client();
    let foreign = "Origin: http://evil.example";
    for (method, target, fields, status) in [
        ("POST", "/-/reload?dry_run=true", &[ALICE, "X-Request-Id: id-1"][..], 200),
        ("POST", "/-/reload", &[PLAIN], 200),
        ("POST", "/-/reload", &[], 401),
        ("POST", "/-/reload?force=true", &["Authorization: Bearer wrong"], 401),
        ("POST", "/-/reload", &[ALICE, foreign], 403),
        ("POST", "/-/reload?drain=true&token=secret", &[ALICE], 400),
        ("DELETE", "/-/reload", &[ALICE], 409),
        ("POST", "/-/rollback", &[ALICE], 409),
        ("DELETE", "/-/rollback", &[ALICE], 405),
        ("POST", "/metrics", &[], 405),
        ("POST", "/nothing?a=b", &[PLAIN], 404),
        ("POST", "/%zz", &[], 400),
        // Nothing is done by these.
        ("GET", "/-/dataset", &[ALICE], 200),
        ("GET", "/-/reload", &[ALICE], 405),
        ("PUT", "/-/reload", &[ALICE], 405),
    ] {
        let answer = admin.request(method, target, &[fields, &["Content-Length: 0"]].concat());
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.text());
    }
    // Its `Host` is missing.
    admin.send("POST /-/reload HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(admin.answer_to("POST").status, 400);
    server.replace(SEED.replace("LP123", "LP124"));
    let request_id = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let reload = |fields: &[&str]| {
        server.admin_client().request("POST", "/-/reload", &[fields, &["Content-Length: 0"]].concat())
    };
    let version = reload(&[ALICE, request_id]).json()["version"].clone();
    server.replace("no file of shipments");
    assert_eq!(reload(&[ALICE]).status, 422);
    server.replace(csv(&[row("TN1", "DHL")]));
    assert_eq!(reload(&[ALICE]).status, 409);
    // The public listener has no operators.
    assert_eq!(server.client().request("POST", "/-/reload", &[ALICE, "Content-Length: 0"]).status, 404);

    let lines = trail(server);
    let expected = [
        json!(["reload", "dry_run=true", "alice", "POST /-/reload", "unchanged"]),
        json!(["reload", "", "(unnamed)", "POST /-/reload", "unchanged"]),
        json!(["reload", "", null, "POST /-/reload", "unauthorized"]),
        json!(["reload", "force=true", null, "POST /-/reload", "unauthorized"]),
        json!(["reload", "", "alice", "POST /-/reload", "forbidden_origin"]),
        json!(["reload", "drain&token", "alice", "POST /-/reload", "invalid_parameter"]),
        json!(["cancel", "", "alice", "DELETE /-/reload", "no_reload_running"]),
        json!(["rollback", "", "alice", "POST /-/rollback", "no_previous_dataset"]),
        json!(["none", "", "alice", "DELETE /-/rollback", "method_not_allowed"]),
        json!(["none", "", null, "POST /metrics", "method_not_allowed"]),
        json!(["none", "a", "(unnamed)", "POST /nothing", "route_not_found"]),
        json!(["none", "", null, "POST /%zz", "invalid_parameter"]),
        json!(["none", "", null, "POST /-/reload", "invalid_parameter"]),
        json!(["reload", "", "alice", "POST /-/reload", "ok"]),
        json!(["reload", "", "alice", "POST /-/reload", "dataset_refused"]),
        json!(["reload", "", "alice", "POST /-/reload", "too_many_removed"]),
    ];
    assert_eq!(lines.iter().map(short).collect::<Vec<_>>(), expected);
    assert!(lines.iter().all(|line| line["client"] == "127.0.0.1"));
    assert_eq!(lines[0]["request_id"], "id-1");
    let published = &lines[13];
    assert_eq!(
        ["generation", "version", "trace_id"].map(|name| published[name].clone()),
        [json!(2), version, json!("0af7651916cd43dd8448eb211c80319c")]
    );
    for (at, reason) in [(3, "the token is not valid"), (4, "the request comes from a page of another site")] {
        assert_eq!(lines[at]["reason"], reason);
    }
}

#[test]
fn without_tokens_lines_have_no_name_and_a_hangup_is_a_line_too() {
    let mut server = Server::start(SEED, &[]);
    assert_eq!(server.reload().status, 200);
    server.signal(Signal::HUP);
    server.wait_for("operator action");
    assert_eq!(server.wait_for("operator action")["client"], "signal");
    server.replace("");
    server.signal(Signal::HUP);
    server.wait_for("operator action");
    server.signal(Signal::USR1);
    let lines = trail(server);
    let expected = [
        json!(["reload", "", null, "POST /-/reload", "unchanged"]),
        json!(["reload", "", null, "SIGHUP", "unchanged"]),
        json!(["reload", "", null, "SIGHUP", "dataset_refused"]),
    ];
    assert_eq!(lines.iter().map(short).collect::<Vec<_>>(), expected);
}

#[test]
fn what_a_client_sends_cannot_make_a_line_of_its_own() {
    let forged = "/%0A2026-11-27T00:00:00Z%20INFO%20audit:\u{1b}[31m\u{9b}1m\u{2028}\u{202e}\"}é";
    for format in ["json", "text"] {
        let dir = tempfile::tempdir().unwrap();
        let (log, admin) = (dir.path().join("log"), dir.path().join("admin"));
        let address = format!("unix:{}", admin.display());
        let arguments = ["serve", "--data", "seed_data.csv", "--listen", "127.0.0.1:0", "--admin-listen", &address];
        let mut command = waybill(&[&arguments[..], &["--log-format", format]].concat());
        let stderr = std::fs::File::create(&log).unwrap();
        let mut process = crate::support::Guard(command.stderr(Stdio::from(stderr)).spawn().unwrap());
        let text = || std::fs::read_to_string(&log).unwrap();
        let begun = std::time::Instant::now();
        while !text().contains("serving") {
            assert!(begun.elapsed() < DEADLINE, "{}", text());
            std::thread::yield_now();
        }
        let mut client = crate::support::client::Client::connect_unix(&admin);
        let far = format!("/{}?{}", "x".repeat(2000), "y".repeat(2000));
        let with_id = ["Content-Length: 0", "X-Request-Id: \"},{\"\\", "X-Forwarded-For: \n"];
        let query = "/-/reload?dry_run=%0A%22}%1b[31mINFO&\u{9b}=\u{202e}";
        for target in [&forged.replace('\u{1b}', "%1b"), &far, query] {
            client.send(request("POST", target, &with_id[..2]));
            assert!(matches!(client.answer_to("POST").status, 400 | 404));
        }
        rustix::process::kill_process(rustix::process::Pid::from_child(&process.0), Signal::TERM).unwrap();
        assert_eq!(process.0.wait().unwrap().code(), Some(0));
        let text = text();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("operator action")).collect();
        assert_eq!(lines.len(), 3, "{text}");
        for line in &lines {
            assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
            assert!(line.len() < 2000, "{line}");
        }
        // No line begins with what was sent.
        assert!(!text.lines().any(|line| line.starts_with("2026-11-27T00:00:00Z")), "{text}");
        if format == "text" {
            assert!(lines.iter().all(|line| line.contains(" INFO audit: operator action action=")), "{text}");
            continue;
        }
        let fields: Vec<Value> =
            lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"].clone()).collect();
        assert_eq!(fields[0]["request_id"], "\"},{\"\\");
        assert_eq!(fields[0]["client"], "unix");
        assert_eq!(fields[2]["options"], r#"dry_run=\n"}\u{1b}[31mINFO&\u{9b}"#);
    }
}

#[test]
fn a_reload_whose_client_leaves_or_that_is_cancelled_has_its_line() {
    let rows: Vec<String> = (0..20_000).map(|number| row(&format!("TN{number}"), "DHL")).collect();
    let large = csv(&rows);
    let (mut server, _dir) = start(SEED, &["--max-removed-percent", "100"]);
    server.replace(&large);
    let mut leaving = server.admin_client();
    // The first response is there and not read: leaving resets the connection.
    leaving.send(request("GET", "/livez", &[]));
    leaving.send(request("POST", "/-/reload", &[ALICE, "Content-Length: 0"]));
    leaving.stream().peek(&mut [0]).unwrap();
    drop(leaving);
    let line = server.wait_for("operator action");
    assert_eq!([&line["token"], &line["result"]], ["alice", "ok"]);

    server.replace(format!("{large}{}\n", row("TN-more", "DHL")));
    let mut waiting = server.admin_client();
    waiting.send(request("POST", "/-/reload", &[PLAIN, "Content-Length: 0"]));
    let mut other = server.admin_client();
    let begun = std::time::Instant::now();
    while other.request("DELETE", "/-/reload", &[ALICE]).status != 200 {
        assert!(begun.elapsed() < DEADLINE);
    }
    waiting.answer_to("POST").problem(409, "reload_cancelled");
    let lines = trail(server);
    let of = |token: &str, result: &str| {
        lines.iter().filter(|line| line["token"] == token && line["result"] == result).count()
    };
    assert_eq!((of("(unnamed)", "reload_cancelled"), of("alice", "cancelled")), (1, 1), "{lines:#?}");
}

#[test]
fn a_reload_that_the_end_of_the_process_cuts_short_has_its_line() {
    let rows: Vec<String> = (0..20_000).map(|number| row(&format!("TN{number}"), "DHL")).collect();
    let (server, _dir) = start(SEED, &[]);
    server.replace([HEADER.to_owned(), rows.join("\n")].join("\n"));
    let mut waiting = server.admin_client();
    waiting.send(request("GET", "/livez", &[]) + &request("POST", "/-/reload", &[ALICE, "Content-Length: 0"]));
    assert_eq!(waiting.answer_to("GET").status, 200);
    let lines = trail(server);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["token"], "alice", "{lines:#?}");
}

#[test]
fn the_trail_is_written_whatever_rust_log_selects_unless_that_names_it() {
    for (directives, count) in [("error", 1), ("off", 1), ("error,audit=off", 0)] {
        let dir = tempfile::tempdir().unwrap();
        let (log, admin) = (dir.path().join("log"), dir.path().join("admin"));
        let address = format!("unix:{}", admin.display());
        let arguments = ["serve", "--data", "seed_data.csv", "--listen", "127.0.0.1:0", "--admin-listen", &address];
        let mut command = waybill(&arguments);
        let stderr = std::fs::File::create(&log).unwrap();
        let command = command.env("RUST_LOG", directives).stderr(Stdio::from(stderr));
        let mut process = crate::support::Guard(command.spawn().unwrap());
        let begun = std::time::Instant::now();
        while UnixStream::connect(&admin).is_err() {
            assert!(begun.elapsed() < DEADLINE);
            std::thread::yield_now();
        }
        let mut client = crate::support::client::Client::connect_unix(&admin);
        client.request("DELETE", "/-/reload", &[]).problem(409, "no_reload_running");
        rustix::process::kill_process(rustix::process::Pid::from_child(&process.0), Signal::TERM).unwrap();
        assert_eq!(process.0.wait().unwrap().code(), Some(0));
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!((text.lines().count(), text.matches("audit").count()), (count, count), "{directives}: {text}");
    }
}
