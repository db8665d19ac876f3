//! How the process starts and ends: exit statuses, signals, draining.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};
use serde_json::Value;

use crate::support::client::{Client, request};
use crate::support::{DEADLINE, Guard, SEED, Server, Signal, csv, row, run, waybill};

const LOOKUP: &str = "/v1/shipments/DHL/TN12345678";

#[test]
fn sigterm_and_sigint_end_it_with_status_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(SEED, &[]);
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{signal:?}");
    }
}

#[test]
fn a_signal_during_the_first_load_ends_it_with_status_0() {
    let rows: Vec<String> = (0..200_000).map(|number| row(&format!("TN{number}"), "DHL")).collect();
    let mut server = Server::start_loading(csv(&rows), &[]);
    assert_eq!(server.get("/livez").status, 200);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_signal_right_after_the_start_is_heeded() {
    for signal in [Signal::TERM, Signal::INT].repeat(10) {
        let mut server = Server::start_loading(SEED, &[]);
        server.signal(signal);
        let status = server.wait();
        assert_eq!(status.code(), Some(0), "{signal:?}: {status}");
    }
}

#[test]
fn a_hangup_right_after_the_start_is_a_reload() {
    for _ in 0..10 {
        let mut server = Server::start_loading(SEED, &[]);
        server.signal(Signal::HUP);
        server.wait_for("the file has not changed");
        server.stop();
    }
}

#[test]
fn bad_settings_and_arguments_end_it_with_status_2() {
    for arguments in [
        &["serve", "--no-such-flag"][..],
        &["--no-such-flag"],
        &["no-such-command"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--threads", "0"],
        &["serve", "--threads", "x"],
        &["serve", "--max-connections", "0"],
        &["serve", "--max-bad-rows", "-1"],
        &["serve", "--max-removed-percent", "101"],
        &["serve", "--drain-delay", "soon"],
        &["serve", "--log-format", "xml"],
        &["serve", "--admin-listen", "0.0.0.0:0"],
        &["check"],
        &["generate"],
        &["completions", "nosh"],
    ] {
        let ended = run(&mut waybill(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{arguments:?}");
    }
}

fn assert_bind_is_refused(address: SocketAddr) {
    let address = address.to_string();
    for (public, admin) in [(address.as_str(), "off"), ("127.0.0.1:0", &address)] {
        let mut command = waybill(&["serve", "--data", "seed_data.csv", "--listen", public, "--admin-listen", admin]);
        let ended = run(&mut command);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(&address), "{}", ended.stderr);
    }
}

#[test]
fn an_address_on_which_another_process_listens_ends_it_with_status_2() {
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_bind_is_refused(plain.local_addr().unwrap());

    let sharing = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    sharing.set_reuse_port(true).unwrap();
    sharing.set_reuse_address(true).unwrap();
    sharing.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    sharing.listen(1).unwrap();
    assert_bind_is_refused(sharing.local_addr().unwrap().as_socket().unwrap());

    let server = Server::start(SEED, &[]);
    assert_bind_is_refused(server.public);
    assert_bind_is_refused(server.admin.unwrap());
    assert_eq!(server.get(LOOKUP).status, 200);
}

#[test]
fn a_port_is_free_again_as_soon_as_its_server_has_ended() {
    let server = Server::start(SEED, &[]);
    let address = server.public.to_string();
    // Connections that the server closes leave the port in TIME_WAIT.
    let mut client = server.client();
    client.request("GET", LOOKUP, &["Connection: close"]);
    client.expect_end();
    server.stop();
    let mut command = waybill(&["--listen", &address, "--admin-listen", "off", "--log-format", "json"]);
    let mut again = Server::spawn(&mut command, tempfile::tempdir().unwrap(), "seed_data.csv".into());
    again.wait_for("serving");
    assert_eq!(again.public.to_string(), address);
    again.stop();
}

#[test]
fn while_it_drains_it_is_not_ready_and_still_answers() {
    let mut server = Server::start(SEED, &["--drain-delay", "1s"]);
    let mut client = server.client();
    assert_eq!(client.get("/readyz").status, 200);
    let asked = Instant::now();
    server.signal(Signal::TERM);
    server.wait_for("draining");
    for mut client in [client, server.client(), server.admin_client()] {
        let answer = client.get("/readyz");
        answer.problem(503, "dataset_unavailable");
        assert_eq!(answer.field("retry-after").as_deref(), Some("1"));
        assert_eq!(client.get("/livez").status, 200);
    }
    assert_eq!(server.get(LOOKUP).status, 200);
    let url = format!("http://{}/readyz", server.public);
    assert_eq!(run(&mut waybill(&["health", &url])).code, Some(1));
    assert_eq!(server.wait().code(), Some(0));
    assert!(asked.elapsed() >= Duration::from_secs(1), "{:?}", asked.elapsed());
    assert!(Client::try_connect(server.public).is_err());
}

#[test]
fn a_second_signal_cuts_the_draining_short() {
    let mut server = Server::start(SEED, &["--drain-delay", "10m"]);
    server.signal(Signal::TERM);
    server.wait_for("draining");
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn an_idle_connection_is_closed_when_the_server_ends() {
    let mut server = Server::start(SEED, &["--grace-period", "10m"]);
    let mut used = server.client();
    assert_eq!(used.get(LOOKUP).status, 200);
    let mut unused = server.client();
    let mut admin = server.admin_client();
    assert_eq!(admin.get("/livez").status, 200);
    server.signal(Signal::TERM);
    for client in [&mut used, &mut unused, &mut admin] {
        client.expect_end();
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_connection_that_is_new_when_the_server_ends_may_send_its_first_request() {
    let is_answered = || {
        let mut server = Server::start(SEED, &[]);
        let mut used = server.client();
        assert_eq!(used.get(LOOKUP).status, 200);
        let mut new = server.client();
        server.signal(Signal::TERM);
        used.expect_end();
        new.send(request("GET", LOOKUP, &[]));
        let is_answered = match new.try_answer_to("GET") {
            Ok(answer) => answer.status == 200 && answer.field("connection").as_deref() == Some("close"),
            Err(_) => false,
        };
        drop(new);
        assert_eq!(server.wait().code(), Some(0));
        is_answered
    };
    // It is within a second, which may be over on a busy machine.
    assert!((0..10).any(|_| is_answered()));
}

#[test]
fn requests_sent_just_before_the_end_are_answered_whole() {
    for pipelined in [1, 20] {
        let mut server = Server::start(SEED, &[]);
        let expected = server.get(LOOKUP).body;
        let mut client = server.client();
        assert_eq!(client.get(LOOKUP).status, 200);
        client.send(request("GET", LOOKUP, &[]).repeat(pipelined));
        server.signal(Signal::TERM);
        for _ in 0..pipelined {
            let answer = client.answer_to("GET");
            assert_eq!((answer.status, &answer.body), (200, &expected));
            if answer.field("connection").as_deref() == Some("close") {
                // The rest may be asked again elsewhere (RFC 9112, section 9.6).
                break;
            }
        }
        client.expect_end();
        drop(client);
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn a_reload_under_way_is_answered_before_the_end() {
    let mut server = Server::start(SEED, &[]);
    server.replace(SEED.replace("800", "801"));
    let mut admin = server.admin_client();
    // It has been read when the answer to the request before it is there.
    admin.send(request("GET", "/livez", &[]) + &request("POST", "/-/reload", &[]));
    assert_eq!(admin.answer_to("GET").status, 200);
    server.signal(Signal::TERM);
    // The end cancels it, unless it was done before.
    let answer = admin.answer_to("POST");
    if answer.status != 200 {
        assert!(answer.problem(503, "dataset_unavailable").contains("shutting down"), "{}", answer.text());
    }
    admin.expect_end();
    drop(admin);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_request_that_never_ends_does_not_outlast_the_grace_period() {
    let mut server = Server::start(SEED, &["--grace-period", "500ms", "--header-timeout", "10m"]);
    let mut client = server.client();
    client.send(&request("GET", LOOKUP, &[])[..20]);
    let mut used = server.client();
    assert_eq!(used.get(LOOKUP).status, 200);
    used.send("GET /v1");
    server.signal(Signal::TERM);
    let asked = Instant::now();
    assert_eq!(server.wait().code(), Some(0));
    assert!(asked.elapsed() < DEADLINE / 2);
}

/// The log of a start as people see it, up to where the process is told to end.
fn log_of_a_start(arguments: &[&str]) -> Vec<String> {
    let mut command = waybill(&["serve", "--data", "seed_data.csv", "--admin-listen", "127.0.0.1:0"]);
    let mut process = Guard(command.args(arguments).stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = Vec::new();
    for line in BufReader::new(process.0.stderr.take().unwrap()).lines().map_while(Result::ok) {
        if line.contains("ready") {
            kill_process(Pid::from_child(&process.0), Signal::TERM).unwrap();
        }
        lines.push(line);
    }
    assert_eq!(process.0.wait().unwrap().code(), Some(0), "{lines:#?}");
    lines.truncate(lines.iter().position(|line| line.contains("draining")).unwrap());
    lines
}

#[test]
fn the_start_on_the_seed_file_prints_no_warning_and_ends_with_the_url_to_open() {
    let lines = log_of_a_start(&["--listen", "127.0.0.1:0"]);
    assert!(lines.iter().all(|line| line.contains(" INFO ")), "{lines:#?}");
    let (_, url) = lines.last().unwrap().split_once("ready: open http://").expect("a URL to open");
    let address: SocketAddr = url.strip_suffix('/').unwrap().parse().unwrap();
    assert!(lines.iter().any(|line| line.contains(&format!("public=\"{address}\""))), "{lines:#?}");
}

#[test]
fn the_start_ends_with_where_the_api_is() {
    let log = |arguments: &[&str]| log_of_a_start(arguments).pop().unwrap();
    let without_pages = log(&["--pages", "off", "--listen", "0.0.0.0:0"]);
    assert!(without_pages.contains("ready: listening on http://127.0.0.1:"), "{without_pages}");
    let dir = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", dir.path().join("socket").display());
    let unix = log(&["--listen", &socket]);
    assert!(unix.ends_with(&format!("ready: listening on {socket}")), "{unix}");
    let json: Value = serde_json::from_str(&log(&["--log-format", "json", "--listen", "127.0.0.1:0"])).unwrap();
    assert_eq!(json["fields"]["message"], "ready");
    assert!(json["fields"]["location"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{json}");
}
