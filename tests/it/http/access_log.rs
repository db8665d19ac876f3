//! `--access-log`, of the real binary.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::client::{Answer, Client, post, request};
use crate::support::{SEED, Server, Signal, run, run_serve, waybill};
use jiff::Timestamp;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use tempfile::TempDir;

const LOOKUP: &str = "/v1/shipments/DHL/TN12345678";
const FIELDS: [&str; 9] = ["time", "client", "method", "route", "path", "version", "status", "bytes", "duration_us"];
/// Those that follow where they are known.
const KNOWN: [&str; 4] = ["request_id", "trace_id", "key", "dataset"];

/// A server that logs to a file, and the file.
struct Logged {
    server: Server,
    path: PathBuf,
    dir: TempDir,
}

impl Logged {
    fn start(arguments: &[&str]) -> Logged {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        Logged::to(dir, path, arguments)
    }

    fn to(dir: TempDir, path: PathBuf, arguments: &[&str]) -> Logged {
        let threads = if arguments.contains(&"--threads") { &[][..] } else { &["--threads", "1"] };
        let server = Server::start(SEED, &[&["--access-log", path.to_str().unwrap()], threads, arguments].concat());
        Logged { server, path, dir }
    }

    /// All lines, after the end.
    fn stop(self) -> Vec<Value> {
        self.server.stop();
        lines(&self.path)
    }
}

/// The lines of a log: each is JSON with the fields that are documented, in their order, in printable ASCII.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read(path).unwrap();
    assert!(text.is_empty() || text.ends_with(b"\n"));
    lines_of(&text)
}

fn lines_of(text: &[u8]) -> Vec<Value> {
    let line = |line: &[u8]| {
        assert!(line.iter().all(|byte| (b' '..=b'~').contains(byte)), "{}", String::from_utf8_lossy(line));
        let value: Value = serde_json::from_slice(line).unwrap();
        let text = std::str::from_utf8(line).unwrap();
        let fields: Vec<&str> =
            FIELDS.into_iter().chain(KNOWN.into_iter().filter(|name| value.get(name).is_some())).collect();
        let places: Vec<usize> = fields.iter().map(|name| text.find(&format!("\"{name}\":")).unwrap()).collect();
        assert!(places.is_sorted() && value.as_object().unwrap().len() == fields.len(), "{text}");
        value
    };
    text.split(|byte| *byte == b'\n').filter(|text| !text.is_empty()).map(line).collect()
}

/// Status and bytes, as a client sees them.
fn seen(answer: &Answer) -> (u64, u64) {
    (answer.status.into(), answer.body.len() as u64)
}

fn logged(line: &Value) -> (u64, u64) {
    (line["status"].as_u64().unwrap(), line["bytes"].as_u64().unwrap())
}

#[test]
fn every_answer_is_one_line() {
    let begun = Timestamp::now();
    let log = Logged::start(&[]);
    let mut client = log.server.client();
    let etag = client.get(LOOKUP).field("etag").unwrap();
    let if_none_match = format!("If-None-Match: {etag}");
    let lookups = post("/v1/lookup", &[], r#"{"lookups":[{"tracking_number":"TN12345678"}]}"#);
    let asked: Vec<(&str, String, &str)> = vec![
        ("HEAD", request("HEAD", LOOKUP, &[]), "/v1/shipments/{carrier}/{tracking_number}"),
        ("GET", request("GET", LOOKUP, &[&if_none_match]), "/v1/shipments/{carrier}/{tracking_number}"),
        ("GET", request("GET", "/v1/shipments/nowhere", &[]), "/v1/shipments/{tracking_number}"),
        ("GET", request("GET", "/nothing/here?x=1", &[]), "none"),
        ("PUT", request("PUT", "/v1/dataset", &["Content-Length: 0"]), "none"),
        ("BREW-COFFEE", request("BREW-COFFEE", "/v1/dataset", &[]), "none"),
        ("GET", request("GET", "/v1/shipments/%zz", &[]), "none"),
        // Answered aside, and after the body.
        ("GET", request("GET", "/v1/facets?carrier=dhl&status=in-transit", &[]), "/v1/facets"),
        ("POST", lookups, "/v1/lookup"),
        ("POST", post("/v1/lookup", &[], "no json"), "/v1/lookup"),
        ("GET", request("GET", "/shipment/list", &[]), "/shipment/list"),
        (
            "POST",
            request("POST", "/v1/lookup", &["Content-Type: application/json", "Content-Length: 9999999"]),
            "/v1/lookup",
        ),
    ];
    let answers: Vec<Answer> = asked
        .iter()
        .map(|(method, request, _)| {
            client.send(request);
            client.answer_to(method)
        })
        .collect();
    let statuses = answers.iter().map(|answer| answer.status).collect::<Vec<u16>>();
    assert_eq!(statuses, [200, 304, 404, 404, 405, 405, 400, 200, 200, 400, 301, 413]);
    let lines = log.stop();
    assert_eq!(lines.len(), 1 + asked.len());
    for ((line, answer), (method, request, route)) in lines[1..].iter().zip(&answers).zip(&asked) {
        assert_eq!(logged(line), seen(answer), "{request}");
        assert_eq!((&line["method"], &line["route"]), (&Value::from(*method), &Value::from(*route)), "{request}");
        let path = request.split([' ', '?']).nth(1).unwrap();
        assert_eq!((&line["path"], &line["version"]), (&path.into(), &"HTTP/1.1".into()));
        assert_eq!(line["client"], "127.0.0.1");
        assert!(line["duration_us"].is_u64(), "{line}");
    }
    let time = |line: &Value| -> Timestamp { line["time"].as_str().unwrap().parse().unwrap() };
    let whole_ms = Timestamp::from_millisecond(begun.as_millisecond()).unwrap();
    assert!(lines.is_sorted_by_key(time) && time(&lines[0]) >= whole_ms && time(&lines[0]) <= Timestamp::now());
    let written = lines[0]["time"].as_str().unwrap();
    assert!(written.len() == "2026-11-22T12:27:36.235Z".len() && written.ends_with('Z'), "{written}");
}

#[test]
fn both_listeners_and_every_worker_log() {
    let log = Logged::start(&["--threads", "3"]);
    let clients: Vec<Client> = (0..12).map(|_| log.server.client()).collect();
    for mut client in clients {
        assert_eq!(client.get(LOOKUP).status, 200);
    }
    assert_eq!(log.server.admin_get("/livez").status, 200);
    assert_eq!(log.server.reload().status, 200);
    let lines = log.stop();
    let of_route = |route: &str| lines.iter().filter(|line| line["route"] == route).count();
    let counts = ["/v1/shipments/{carrier}/{tracking_number}", "/livez", "/-/reload"].map(of_route);
    assert_eq!((counts, lines.len()), ([12, 1, 1], 14));
}

#[test]
fn pipelined_requests_are_a_line_each() {
    let log = Logged::start(&[]);
    let mut client = log.server.client();
    client.send((0..50).map(|number| request("GET", &format!("/v1/shipments/dhl/{number}"), &[])).collect::<String>());
    for _ in 0..50 {
        assert_eq!(client.answer_to("GET").status, 404);
    }
    let paths: Vec<Value> = log.stop().into_iter().map(|line| line["path"].clone()).collect();
    assert_eq!(paths, (0..50).map(|number| format!("/v1/shipments/dhl/{number}")).collect::<Vec<_>>());
}

#[test]
fn whatever_a_client_asks_stays_one_line_that_says_it() {
    let log = Logged::start(&[]);
    let mut client = log.server.client();
    let paths = [
        r#"/v1/shipments/"quoted","status":200}"#,
        r"/v1/shipments/back\slash\",
        "/v1/shipments/%0A%0D%00%1b%22",
        "/v1/shipments/%ff%C3%28",
        "/v1/shipments/%zz%",
        "/v1/shipments/é\u{9b}31m\u{2028}\u{1f4e6}",
        "//..//",
    ];
    for path in paths {
        client.send(request("GET", path, &[]));
        let answer = client.answer_to("GET");
        assert!(matches!(answer.status, 400 | 404) && !answer.body.is_empty(), "{path}: {}", answer.head);
    }
    let far = format!("/{}", "x".repeat(5000));
    assert_eq!(client.get(&far).status, 404);
    // What hyper refuses never was a request.
    for control in ['\u{1}', '\u{7f}', '\r'] {
        let mut refused = log.server.client();
        refused.send(request("GET", &format!("/{control}"), &[]));
        assert_eq!(refused.answer_to("GET").status, 400);
    }
    let lines = log.stop();
    let logged: Vec<&str> = lines.iter().map(|line| line["path"].as_str().unwrap()).collect();
    assert_eq!(logged[..paths.len()], paths);
    assert_eq!(logged[paths.len()..], [format!("/{}…", "x".repeat(1023))]);
}

#[test]
fn of_a_sample_every_nth_request_of_a_worker_is_logged() {
    let log = Logged::start(&["--access-log-sample", "3"]);
    let mut client = log.server.client();
    for number in 1..=10 {
        client.get(&format!("/v1/shipments/{number}"));
    }
    let lines = log.stop();
    let paths: Vec<&Value> = lines.iter().map(|line| &line["path"]).collect();
    assert_eq!(paths, ["/v1/shipments/3", "/v1/shipments/6", "/v1/shipments/9"]);
}

#[test]
fn it_is_off_unless_asked_for() {
    for arguments in [&[][..], &["--access-log", "off"]] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("data.csv"), SEED).unwrap();
        let script = r#"exec "$0" --listen 127.0.0.1:0 --log-format json --data data.csv "$@" > stdout"#;
        let mut server = spawn_by_shell(&dir, script, arguments);
        server.wait_for("serving");
        assert_eq!(server.get(LOOKUP).status, 200);
        server.stop();
        let mut files: Vec<_> = dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["data.csv", "stdout"]);
        assert_eq!(std::fs::read(dir.path().join("stdout")).unwrap(), b"");
    }
}

#[test]
fn a_dash_is_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("data.csv"), SEED).unwrap();
    let script = r#"exec "$0" --listen 127.0.0.1:0 --log-format json --data data.csv --access-log - "$@" > stdout"#;
    let mut server = spawn_by_shell(&dir, script, &["--threads", "1"]);
    server.wait_for("serving");
    assert_eq!(server.get(LOOKUP).status, 200);
    // There is nothing to open again.
    server.signal(Signal::HUP);
    server.wait_for("the file has not changed");
    assert_eq!(server.get("/livez").status, 200);
    server.stop();
    let lines = lines(&dir.path().join("stdout"));
    assert_eq!(lines.iter().map(|line| line["path"].as_str().unwrap()).collect::<Vec<_>>(), [LOOKUP, "/livez"]);
}

/// A server that a shell `script` runs, in `dir`.
fn spawn_by_shell(dir: &TempDir, script: &str, arguments: &[&str]) -> Server {
    let binary = waybill(&[]);
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(binary.get_program()).args(["--admin-listen", "off"]).args(arguments);
    for (name, value) in binary.get_envs() {
        assert_eq!(value, None);
        command.env_remove(name);
    }
    command.current_dir(dir.path());
    Server::spawn(&mut command, tempfile::tempdir().unwrap(), dir.path().join("data.csv"))
}

#[test]
fn a_renamed_file_is_begun_anew_on_a_hangup_and_on_a_reload() {
    let mut log = Logged::start(&[]);
    let rename = |to: &str| {
        let to = log.dir.path().join(to);
        std::fs::rename(&log.path, &to).unwrap();
        to
    };
    let mut client = log.server.client();
    client.get("/livez");
    let first = rename("first.log");
    log.server.signal(Signal::HUP);
    log.server.wait_for("access log opened again");
    client.get("/v1/dataset");
    let second = rename("second.log");
    assert_eq!(log.server.reload().status, 200);
    log.server.wait_for("access log opened again");
    client.get(LOOKUP);
    let paths =
        |lines: Vec<Value>| lines.iter().map(|line| line["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(paths(lines(&first)), ["/livez"]);
    assert_eq!(paths(lines(&second)), ["/v1/dataset"]);
    // Lines of several threads are in no particular order.
    let mut rest = paths(log.stop());
    rest.sort();
    assert_eq!(rest, ["/-/reload", LOOKUP]);
}

#[test]
fn sigusr1_opens_the_file_again_and_does_nothing_else() {
    let mut log = Logged::start(&[]);
    let mut client = log.server.client();
    client.get("/livez");
    let first = log.dir.path().join("first.log");
    std::fs::rename(&log.path, &first).unwrap();
    log.server.replace("not a file of shipments");
    log.server.signal(Signal::USR1);
    log.server.wait_for("access log opened again");
    client.get(LOOKUP);
    assert_eq!(log.server.state()["last_reload"], Value::Null);
    assert_eq!((lines(&first).len(), log.stop().len()), (1, 2));
    // Without a log there is nothing to do.
    let server = Server::start(SEED, &[]);
    server.signal(Signal::USR1);
    assert_eq!(server.get(LOOKUP).status, 200);
    server.stop();
}

#[test]
fn a_file_that_cannot_be_opened_again_is_written_on() {
    let mut log = Logged::start(&[]);
    log.server.get("/livez");
    let elsewhere = log.path.with_extension("1");
    std::fs::rename(&log.path, &elsewhere).unwrap();
    std::fs::create_dir(&log.path).unwrap();
    log.server.signal(Signal::HUP);
    log.server.wait_for("cannot open the access log again; lines go on to the file it was");
    log.server.get("/readyz");
    log.server.stop();
    assert_eq!(lines(&elsewhere).len(), 2);
}

#[test]
fn lines_are_added_to_what_a_file_holds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let log = Logged::to(dir, path.clone(), &[]);
    log.server.get("/livez");
    let Logged { server, dir, .. } = log;
    server.stop();
    let log = Logged::to(dir, path, &[]);
    log.server.get("/readyz");
    assert_eq!(log.stop().len(), 2);
}

#[test]
fn a_log_that_cannot_be_opened_ends_it_with_status_2() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    std::fs::write(&data, SEED).unwrap();
    for path in ["/nowhere/access.log", dir.path().to_str().unwrap()] {
        let ended = run_serve(&data, &["--access-log", path]);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(path) && ended.stderr.contains("access log"), "{}", ended.stderr);
    }
    let ended = run(&mut waybill(&["--access-log-slow", "1s"]));
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--access-log-slow: --access-log is missing"), "{}", ended.stderr);
    let ended = run(&mut waybill(&["--access-log", "-", "--access-log-sample", "0"]));
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--access-log-sample 0: expected a number from 1"), "{}", ended.stderr);
}

#[test]
fn every_answer_before_the_end_has_its_line() {
    const REQUESTS: usize = 3000;
    let log = Logged::start(&[]);
    let mut client = log.server.client();
    let mut answered = 0;
    for _ in 0..REQUESTS / 100 {
        client.send(request("GET", LOOKUP, &[]).repeat(100));
        for _ in 0..100 {
            assert_eq!(client.answer_to("GET").status, 200);
            answered += 1;
        }
    }
    // At once.
    assert_eq!(log.stop().len(), answered);
}

fn dropped(server: &Server) -> usize {
    let metrics = server.admin_get("/metrics");
    let sample = metrics.text().lines().find_map(|line| line.strip_prefix("waybill_access_log_dropped_total "));
    sample.unwrap().parse().unwrap()
}

/// More than a pipe, the thread that writes and a worker hold.
const LINES_TOO_MANY: usize = 70_000;

/// Logs more lines to a pipe than it takes, none of which was read. How many were dropped.
fn fill(log: &mut Logged) -> usize {
    let mut client = log.server.client();
    for _ in 0..LINES_TOO_MANY / 100 {
        client.send(request("GET", "/livez", &[]).repeat(100));
        for _ in 0..100 {
            assert_eq!(client.answer_to("GET").status, 200);
        }
    }
    log.server.wait_for("lines of the access log were dropped");
    dropped(&log.server)
}

fn start_with_pipe() -> Logged {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    Logged::to(dir, path, &[])
}

#[test]
fn a_pipe_that_nobody_reads_costs_lines_but_neither_start_nor_answers_nor_end() {
    let mut log = start_with_pipe();
    let dropped = fill(&mut log);
    assert!(dropped > 0 && dropped < LINES_TOO_MANY, "{dropped}");
    log.server.signal(Signal::TERM);
    log.server.wait_for("the access log takes no lines; the last ones are lost");
    assert_eq!(log.server.wait().code(), Some(0));
}

#[test]
fn what_was_not_dropped_is_there_for_who_reads_late() {
    let mut log = start_with_pipe();
    let dropped = fill(&mut log);
    let mut pipe = std::fs::File::open(&log.path).unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        pipe.read_to_end(&mut text).unwrap();
        text
    });
    log.server.stop();
    let lines = lines_of(&reader.join().unwrap());
    let written = lines.iter().filter(|line| line["path"] == "/livez").count();
    assert_eq!(written + dropped, LINES_TOO_MANY);
}

#[test]
fn lines_that_the_system_refuses_are_counted_and_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Logged::to(dir, "/dev/full".into(), &[]);
    log.server.get("/livez");
    let warning = log.server.wait_for("cannot write the access log; lines are dropped");
    assert!(warning["error"].as_str().unwrap().contains("No space left"), "{warning}");
    assert_eq!(dropped(&log.server), 1);
    // Scrapes are lines too.
    assert!((0..1000).any(|_| dropped(&log.server) > 3));
    log.server.signal(Signal::TERM);
    assert_eq!(log.server.wait().code(), Some(0));
    let seen = log.server.seen();
    assert_eq!(seen.iter().filter(|line| line.contains("cannot write the access log")).count(), 1, "{seen:#?}");
}
