//! Reloads that are refused: unreadable files, guards, options and origins. What was served stays as it was.

use std::path::Path;

use crate::support::client::Answer;
use crate::support::{Server, Signal, csv, row, run_serve};
use serde_json::Value;

/// `count` shipments, TN0 and so on.
fn shipments(count: usize) -> String {
    csv(&(0..count).map(|number| row(&format!("TN{number}"), "DHL")).collect::<Vec<_>>())
}

/// All that a refused reload must not touch: what operators see, and answers as they come but for their date.
fn served(server: &Server) -> (Value, [String; 4]) {
    let mut state = server.state();
    state["last_reload"] = Value::Null;
    let mut client = server.client();
    let paths = ["/v1/shipments/DHL/TN0", "/v1/shipments/TN3", "/v1/shipments/TN9", "/v1/dataset"];
    let answers = paths.map(|path| client.get(path));
    (state, answers.map(|answer| format!("{} {:?} {}", answer.status, answer.field("etag"), answer.text())))
}

fn error_of(state: &Value) -> &str {
    assert_eq!(state["last_reload"]["result"], "failed");
    state["last_reload"]["error"].as_str().unwrap()
}

/// Waits until the log has told of so many refused reloads, whatever asked for them.
fn wait_for_refusals(server: &mut Server, count: usize) {
    for _ in 0..count {
        server.wait_for("not reloaded; what was served is still served");
    }
}

fn make_fifo(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

type Spoil = fn(&Path);
const UNREADABLE: [(&str, Spoil); 5] = [
    ("missing", |_| ()),
    ("a directory", |path| std::fs::create_dir(path).unwrap()),
    ("a FIFO", make_fifo),
    ("a link to itself", |path| std::os::unix::fs::symlink("data.csv", path).unwrap()),
    ("a dangling link", |path| std::os::unix::fs::symlink("nowhere", path).unwrap()),
];

#[test]
fn a_file_that_cannot_be_read_changes_nothing() {
    for (what, spoil) in UNREADABLE {
        let mut server = Server::start(shipments(4), &[]);
        let before = served(&server);
        std::fs::remove_file(&server.data).unwrap();
        spoil(&server.data);
        let detail = server.reload().problem(422, "dataset_unreadable");
        assert!(detail.contains("data.csv"), "{what}: {detail}");
        assert_eq!(served(&server), before, "{what}");
        assert_eq!(error_of(&server.state()), detail, "{what}");
        server.admin_post("/-/reload?force=true").problem(422, "dataset_unreadable");
        server.signal(Signal::HUP);
        wait_for_refusals(&mut server, 3);
        assert_eq!(served(&server), before, "{what}");
    }
}

#[test]
fn a_file_that_cannot_be_read_ends_the_start_with_status_1() {
    for (what, spoil) in UNREADABLE {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.csv");
        spoil(&path);
        let ended = run_serve(&path, &[]);
        assert_eq!(ended.code, Some(1), "{what}: {}", ended.stderr);
        assert!(ended.stderr.contains("data.csv"), "{what}: {}", ended.stderr);
    }
}

#[test]
fn a_link_is_followed_and_may_be_switched() {
    let server = Server::start(shipments(4), &[]);
    let target = server.data.with_file_name("target.csv");
    std::fs::write(&target, shipments(5)).unwrap();
    std::fs::remove_file(&server.data).unwrap();
    std::os::unix::fs::symlink("target.csv", &server.data).unwrap();
    assert_eq!(server.reload().json()["added"], 1);
}

#[test]
fn a_refused_file_is_a_422_with_its_errors_even_when_forced() {
    let server = Server::start(shipments(4), &[]);
    let before = served(&server);
    server.replace(shipments(5) + "TN7,DHL,from,to,Laptop,x,800,LP1,scanned\n" + &row("TN8", "") + "\n");
    for path in ["/-/reload", "/-/reload?force=true", "/-/reload?dry_run=true&force=true"] {
        let answer = server.admin_post(path);
        answer.problem(422, "dataset_refused");
        let errors = answer.json()["errors"].clone();
        let places: Vec<(u64, &str)> = errors
            .as_array()
            .unwrap()
            .iter()
            .map(|error| (error["line"].as_u64().unwrap(), error["column"].as_str().unwrap()))
            .collect();
        assert_eq!(places, [(7, "article_quantity"), (8, "carrier")]);
        let first = format!(
            r#""errors":[{{"line":7,"column":"article_quantity","reason":{}}},{{"#,
            serde_json::to_string(&errors[0]["reason"]).unwrap()
        );
        assert!(answer.text().contains(&first), "{}", answer.text());
        assert_eq!(served(&server), before, "{path}");
    }
    assert!(error_of(&server.state()).contains("line 7"));
}

fn guarded(arguments: &[&str], count: usize) -> (Server, Answer) {
    let server = Server::start(shipments(4), arguments);
    server.replace(shipments(count));
    let answer = server.reload();
    (server, answer)
}

#[test]
fn a_reload_that_drops_too_many_shipments_is_refused_until_forced() {
    for (arguments, allowed, refused) in [
        (&[][..], 2, 1),
        (&["--max-removed-percent", "0"], 4, 3),
        (&["--max-removed-percent", "25"], 3, 2),
        (&["--max-removed-percent", "74.9"], 2, 1),
    ] {
        let (_, answer) = guarded(arguments, allowed);
        assert_eq!(answer.status, 200, "{arguments:?}: {}", answer.text());

        let (mut server, answer) = guarded(arguments, refused);
        let detail = answer.problem(409, "too_many_removed");
        assert_eq!(error_of(&server.state()), detail);
        assert_eq!(server.state()["generation"], 1);
        assert_eq!(server.get("/v1/dataset").json()["shipments"], 4);
        server.signal(Signal::HUP);
        wait_for_refusals(&mut server, 2);
        assert_eq!(server.state()["generation"], 1);
        server.admin_post("/-/reload?force=false").problem(409, "too_many_removed");
        server.admin_post("/-/reload?dry_run=true").problem(409, "too_many_removed");

        let dry = server.admin_post("/-/reload?dry_run=true&force=true").json();
        assert_eq!((&dry["result"], dry["removed"].as_u64()), (&"ok".into(), Some(4 - refused as u64)));
        assert_eq!(server.state()["generation"], 1);
        let forced = server.admin_post("/-/reload?force=true").json();
        assert_eq!((&forced["result"], forced["generation"].as_u64()), (&"ok".into(), Some(2)));
        assert_eq!(server.get("/v1/dataset").json()["shipments"], refused);
    }
    assert_eq!(guarded(&["--max-removed-percent", "100"], 1).1.status, 200);
}

#[test]
fn shipments_that_are_replaced_by_others_count_as_removed() {
    let server = Server::start(shipments(4), &[]);
    let other: Vec<String> = (0..100).map(|number| row(&format!("XX{number}"), "DHL")).collect();
    server.replace(csv(&other));
    server.reload().problem(409, "too_many_removed");
}

#[test]
fn a_reload_with_too_few_shipments_is_refused_until_forced() {
    let arguments = ["--min-shipments", "3", "--max-removed-percent", "100"];
    assert_eq!(guarded(&arguments, 3).1.status, 200);
    let (server, answer) = guarded(&arguments, 2);
    let detail = answer.problem(409, "too_few_shipments");
    assert_eq!(error_of(&server.state()), detail);
    assert_eq!(server.get("/v1/dataset").json()["shipments"], 4);
    server.admin_post("/-/reload?dry_run=true").problem(409, "too_few_shipments");
    assert_eq!(server.admin_post("/-/reload?force=true").json()["shipments"], 2);
}

#[test]
fn a_small_dataset_does_not_foretell_that_a_large_one_takes_too_much_memory() {
    let server = Server::start(shipments(1), &[]);
    // Of one shipment to 9 MB: as much more of what one takes alone would be some 100 GB.
    server.replace(shipments(250_000));
    let answer = server.reload();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_start_with_too_few_shipments_ends_with_status_1() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.csv");
    std::fs::write(&path, shipments(2)).unwrap();
    let ended = run_serve(&path, &["--min-shipments", "3"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("--min-shipments"), "{}", ended.stderr);
}

#[test]
fn unknown_and_unusable_options_are_a_400_and_load_nothing() {
    let server = Server::start(shipments(4), &[]);
    server.replace(shipments(5));
    for query in ["x=1", "force=true&x", "forced=true", "Force=true", "force=yes", "force=", "dry_run", "dry_run=1"] {
        server.admin_post(&format!("/-/reload?{query}")).problem(400, "invalid_parameter");
    }
    let state = server.state();
    assert_eq!((&state["generation"], &state["last_reload"]), (&1.into(), &Value::Null));
}

#[test]
fn options_are_form_decoded() {
    let server = Server::start(shipments(4), &[]);
    server.replace(shipments(5));
    let answer = server.admin_post("/-/reload?dry%5Frun=%74rue");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(server.state()["generation"], 1);
}

#[test]
fn a_post_from_a_page_of_another_host_is_refused() {
    let server = Server::start(shipments(4), &[]);
    server.replace(shipments(5));
    let admin = server.admin.unwrap();
    let host = format!("Host: {admin}");
    // Not `support::request`, which names a host of its own.
    let post = |origin: &str| {
        let mut client = server.admin_client();
        client.send(format!("POST /-/reload HTTP/1.1\r\n{host}\r\nOrigin: {origin}\r\n\r\n"));
        client.answer_to("POST")
    };
    let other_port = format!("http://127.0.0.1:{}", admin.port() ^ 1);
    for origin in
        ["http://evil.example", "https://evil.example:8081", "null", "http://127.0.0.1.evil.example", "", &other_port]
    {
        post(origin).problem(403, "forbidden_origin");
    }
    let state = server.state();
    assert_eq!((&state["generation"], &state["last_reload"]), (&1.into(), &Value::Null));
    assert_eq!(post(&format!("http://{admin}")).json()["result"], "ok");
}

#[test]
fn a_reload_is_a_post_and_cancelled_by_a_delete() {
    let server = Server::start(shipments(4), &[]);
    server.replace(shipments(5));
    for method in ["GET", "HEAD"] {
        let answer = server.admin_client().request(method, "/-/reload?force=true", &[]);
        assert_eq!((answer.status, answer.field("allow").as_deref()), (405, Some("POST, DELETE")));
    }
    server.admin_get("/-/reload").problem(405, "method_not_allowed");
    assert_eq!(server.state()["last_reload"], Value::Null);
}
