//! `DELETE /-/reload`, and the end of the process during a load. Loads are held up by storage that stops in the midst of
//! an object.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::support::client::{Answer, Client, request};
use crate::support::{DEADLINE, SEED, Server, Signal, csv, row, waybill};
use serde_json::Value;

/// Far more than the end takes, and less than a load that is held up, or those who wait for it, would take.
const PROMPT: Duration = Duration::from_secs(5);
const CANCELLED: &str = "the reload was cancelled";

/// How much of an answer there is when storage stops.
#[derive(Clone, Copy, Debug)]
enum Held {
    /// Nothing: not even the head.
    Silent,
    /// The start of the object.
    Begun,
}

/// Storage with one object, whose requests the test answers itself.
struct Storage(TcpListener);

/// A request that is not answered yet.
struct Asked(TcpStream);

impl Storage {
    fn new() -> Storage {
        Storage(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Starts a server, whose first load is not answered yet.
    fn start(&self, arguments: &[&str]) -> (Server, Asked) {
        let mut command = waybill(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        let url = format!("http://{}/exports/data.csv", self.0.local_addr().unwrap());
        command.args(["--log-format", "json", "--threads", "2", "--max-removed-percent", "100", "--data", &url]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        (Server::spawn(command.args(arguments), dir, path), self.asked())
    }

    /// Starts a server of a small file.
    fn serve(&self, arguments: &[&str]) -> Server {
        let (mut server, asked) = self.start(arguments);
        asked.answer(SEED);
        server.wait_for("serving");
        server
    }

    /// Waits for the next request.
    fn asked(&self) -> Asked {
        let (mut stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1);
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"GET "));
        Asked(stream)
    }

    /// Waits for a request, and begins to answer it.
    fn held_up(&self, held: Held) -> Asked {
        let mut asked = self.asked();
        if let Held::Begun = held {
            let large = csv(&(0..30_000).map(|number| row(&format!("TN{number}"), "DHL")).collect::<Vec<_>>());
            let start = format!("HTTP/1.1 200 Test\r\nETag: \"1\"\r\nContent-Length: {}\r\n\r\n", large.len());
            asked.0.write_all((start + &large[..large.len() / 2]).as_bytes()).unwrap();
        }
        asked
    }
}

impl Asked {
    fn answer(mut self, content: &str) {
        let length = content.len();
        let head = format!("HTTP/1.1 200 Test\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        self.0.write_all((head + content).as_bytes()).unwrap();
    }

    /// Waits until the other side has given up.
    fn expect_end(mut self) {
        // A reset is an end too.
        let read = self.0.read(&mut [0]).unwrap_or(0);
        assert_eq!(read, 0);
    }
}

fn post<'s>(scope: &'s Scope<'s, '_>, server: &Server, path: &'static str) -> ScopedJoinHandle<'s, Answer> {
    let mut client = server.admin_client();
    scope.spawn(move || client.request("POST", path, &["Content-Length: 0"]))
}

fn cancel(server: &Server) -> Answer {
    server.admin_client().request("DELETE", "/-/reload", &[])
}

fn assert_cancelled(answer: &Answer) {
    assert_eq!((answer.status, answer.text()), (200, r#"{"result":"cancelled"}"#));
}

fn cancelled_total(server: &Server) -> String {
    let metrics = server.admin_get("/metrics");
    let line =
        metrics.text().lines().find(|line| line.starts_with(r#"waybill_dataset_reloads_total{result="cancelled"}"#));
    line.unwrap().rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_reload_that_runs_is_cancelled_and_the_next_one_loads() {
    for held in [Held::Silent, Held::Begun] {
        let storage = Storage::new();
        let server = storage.serve(&[]);
        cancel(&server).problem(409, "no_reload_running");
        let before = server.state();
        std::thread::scope(|scope| {
            let reload = post(scope, &server, "/-/reload");
            let asked = storage.held_up(held);
            assert_cancelled(&cancel(&server));
            assert_eq!(reload.join().unwrap().problem(409, "reload_cancelled"), CANCELLED);
            asked.expect_end();
        });
        cancel(&server).problem(409, "no_reload_running");
        let after = server.state();
        assert_eq!((&after["generation"], &after["version"]), (&before["generation"], &before["version"]));
        assert_eq!(
            (&after["last_reload"]["result"], &after["last_reload"]["error"]),
            (&"failed".into(), &CANCELLED.into())
        );
        assert_eq!(cancelled_total(&server), "1");
        std::thread::scope(|scope| {
            let reload = post(scope, &server, "/-/reload");
            storage.asked().answer(&csv(&[row("TN1", "DHL")]));
            assert_eq!(reload.join().unwrap().json()["result"], "ok");
        });
        server.stop();
    }
}

#[test]
fn a_dry_run_is_cancelled_and_leaves_no_trace() {
    let storage = Storage::new();
    let server = storage.serve(&[]);
    std::thread::scope(|scope| {
        let reload = post(scope, &server, "/-/reload?dry_run=true");
        let _asked = storage.held_up(Held::Begun);
        assert_cancelled(&cancel(&server));
        reload.join().unwrap().problem(409, "reload_cancelled");
    });
    assert_eq!(server.state()["last_reload"], Value::Null);
    assert_eq!(cancelled_total(&server), "0");
    server.stop();
}

#[test]
fn a_reload_by_signal_is_cancelled() {
    let storage = Storage::new();
    let mut server = storage.serve(&[]);
    server.signal(Signal::HUP);
    let _asked = storage.held_up(Held::Begun);
    assert_cancelled(&cancel(&server));
    assert_eq!(server.wait_for("not reloaded; what was served is still served")["error"], CANCELLED);
    server.stop();
}

#[test]
fn reloads_that_wait_go_on_when_the_one_before_is_cancelled() {
    let storage = Storage::new();
    let server = storage.serve(&[]);
    std::thread::scope(|scope| {
        let first = post(scope, &server, "/-/reload");
        let _asked = storage.held_up(Held::Begun);
        let second = post(scope, &server, "/-/reload?force=true");
        assert_cancelled(&cancel(&server));
        first.join().unwrap().problem(409, "reload_cancelled");
        storage.asked().answer(&csv(&[row("TN1", "DHL")]));
        assert_eq!(second.join().unwrap().json()["generation"], 2);
    });
    server.stop();
}

/// The last answer on a connection, which is to a POST: the client closes it then (RFC 9112, section 9.6).
fn last_answer(mut client: Client) -> Answer {
    client.answer_to("POST")
}

#[test]
fn the_first_load_is_cancelled_by_the_end_alone() {
    for held in [Held::Silent, Held::Begun] {
        let storage = Storage::new();
        let (mut server, mut asked) = storage.start(&[]);
        if let Held::Begun = held {
            asked.0.write_all(b"HTTP/1.1 200 Test\r\nContent-Length: 1000\r\n\r\ntracking_number").unwrap();
        }
        cancel(&server).problem(409, "no_reload_running");
        let mut waiting = server.admin_client();
        waiting.send(request("POST", "/-/reload", &["Content-Length: 0"]));
        let started = Instant::now();
        server.signal(Signal::TERM);
        last_answer(waiting).problem(503, "dataset_unavailable");
        assert_eq!(server.wait().code(), Some(0), "{:#?}", server.seen());
        assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
    }
}

#[test]
fn the_end_cancels_a_reload_and_answers_who_waits_for_it() {
    for held in [Held::Silent, Held::Begun] {
        let storage = Storage::new();
        let mut server = storage.serve(&[]);
        let mut client = server.admin_client();
        client.send(request("POST", "/-/reload", &["Content-Length: 0"]));
        let _asked = storage.held_up(held);
        let started = Instant::now();
        server.signal(Signal::TERM);
        let detail = last_answer(client).problem(503, "dataset_unavailable");
        assert_eq!(detail, "the server is shutting down");
        assert_eq!(server.wait().code(), Some(0), "{:#?}", server.seen());
        assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
    }
}

#[test]
fn cancelling_takes_what_posts_take() {
    let storage = Storage::new();
    let server = storage.serve(&[]);
    let foreign = server.admin_client().request("DELETE", "/-/reload", &["Origin: http://evil.example"]);
    foreign.problem(403, "forbidden_origin");
    server.admin_client().request("DELETE", "/-/reload?dry_run=true", &[]).problem(400, "invalid_parameter");
    server.client().request("DELETE", "/-/reload", &[]).problem(404, "route_not_found");
    let answer = server.admin_client().request("DELETE", "/-/rollback", &[]);
    assert_eq!((answer.status, answer.field("allow").as_deref()), (405, Some("POST")));
    let answer = server.admin_client().request("PUT", "/-/reload", &[]);
    assert_eq!((answer.status, answer.field("allow").as_deref()), (405, Some("POST, DELETE")));
    server.stop();
}
