//! Two processes on one address, with `--reuse-port`: the next one takes over when it has something to serve.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use crate::support::client::{Broken, Client, request};
use crate::support::{HEADER, SEED, Server, Signal, row, run, waybill};

const LOOKUP: &str = "/v1/shipments/DHL/TN12345678";
/// Shipments that take far longer to load than a few requests do.
const MANY: usize = if cfg!(debug_assertions) { 60_000 } else { 600_000 };

/// The seed, and many more rows.
fn large() -> String {
    let rows: Vec<String> = (0..MANY).map(|number| row(&format!("LARGE{number}"), "DHL")).collect();
    format!("{}\n{}\n", SEED.trim_end(), rows.join("\n"))
}

/// Loads `file` to serve it at `listen`; its admin listener has an address of its own.
fn start_loading(listen: &str, file: &str, arguments: &[&str]) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    std::fs::write(&data, file).unwrap();
    let mut command = waybill(&["serve", "--listen", listen, "--log-format", "json", "--threads", "2"]);
    if !arguments.contains(&"--admin-listen") {
        command.args(["--admin-listen", "127.0.0.1:0"]);
    }
    command.args(arguments).arg("--data").arg(&data);
    Server::spawn(&mut command, dir, data)
}

fn sharing(listen: &str, file: &str) -> Server {
    start_loading(listen, file, &["--reuse-port"])
}

fn assert_is_refused(listen: &str) {
    let arguments = ["serve", "--data", "seed_data.csv", "--listen", listen, "--admin-listen", "off"];
    let ended = run(&mut waybill(&arguments));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot listen on"), "{}", ended.stderr);
}

/// Different answers to a lookup over many connections.
fn answers(address: SocketAddr) -> BTreeSet<String> {
    let ask = |_| Client::connect(address).request("GET", LOOKUP, &["Connection: close"]);
    (0..30).map(ask).map(|answer| format!("{} {}", answer.status, answer.text())).collect()
}

#[test]
fn who_does_not_share_an_address_that_is_shared_is_refused() {
    let mut first = sharing("127.0.0.1:0", &large());
    let address = first.public.to_string();
    // It listens for those who are to wait, since nobody else does.
    assert_is_refused(&address);
    first.wait_for("ready");
    assert_is_refused(&address);
    let mut second = sharing(&address, SEED);
    second.wait_for("ready");
    assert_is_refused(&address);
}

#[test]
fn an_address_of_a_process_that_does_not_share_it_is_refused() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    for (public, admin) in [(address.as_str(), "off"), ("127.0.0.1:0", &address)] {
        let arguments = ["--reuse-port", "--data", "seed_data.csv", "--listen", public, "--admin-listen", admin];
        let ended = run(&mut waybill(&arguments));
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(&address), "{}", ended.stderr);
    }
}

#[test]
fn the_next_process_takes_connections_once_it_is_ready_and_the_old_one_until_it_ends() {
    let mut old = sharing("127.0.0.1:0", SEED);
    old.wait_for("ready");
    let address = old.public;
    let of_old = answers(address);
    let changed = large().replace("LP123", "LP124");
    let mut new = sharing(&address.to_string(), &changed);
    assert_eq!(new.public, address);
    let mut admin = new.admin_client();
    admin.get("/readyz").problem(503, "dataset_unavailable");
    assert_eq!(answers(address), of_old);
    // So far it was busy, and nobody was sent to it.
    admin.get("/readyz").problem(503, "dataset_unavailable");
    new.wait_for("ready");
    assert_eq!(admin.get("/readyz").status, 200);
    let of_both = answers(address);
    assert_eq!(of_both.len(), 2, "{of_both:?}");
    assert!(of_both.iter().all(|answer| answer.starts_with("200 ")), "{of_both:?}");
    old.stop();
    assert_eq!(answers(address), of_both.difference(&of_old).cloned().collect());
}

#[test]
fn both_listeners_can_be_shared() {
    let mut old = sharing("127.0.0.1:0", SEED);
    old.wait_for("ready");
    let admin = old.admin.unwrap();
    let arguments = ["--reuse-port", "--admin-listen", &admin.to_string()];
    let mut new = start_loading(&old.public.to_string(), SEED, &arguments);
    new.wait_for("ready");
    assert_eq!(new.admin, Some(admin));
    old.stop();
    assert_eq!(new.admin_get("/readyz").status, 200);
    assert_eq!(new.get(LOOKUP).status, 200);
}

#[test]
fn without_another_process_clients_wait_until_data_is_served() {
    let mut server = sharing("127.0.0.1:0", &large());
    let mut client = server.client();
    client.send(request("GET", "/readyz", &[]));
    let mut admin = server.admin_client();
    assert_eq!(admin.get("/livez").status, 200);
    admin.get("/readyz").problem(503, "dataset_unavailable");
    // That of this client alone.
    assert!(admin.get("/metrics").text().contains("\nwaybill_http_connections_total 1\n"));
    admin.get("/readyz").problem(503, "dataset_unavailable");
    assert_eq!(client.answer_to("GET").status, 200);
    assert_eq!(client.get(LOOKUP).status, 200);
    server.wait_for("ready");
    assert_eq!(admin.get("/readyz").status, 200);
}

#[test]
fn a_first_load_that_is_refused_or_stopped_takes_nothing_from_the_old_process() {
    let mut old = sharing("127.0.0.1:0", SEED);
    old.wait_for("ready");
    let address = old.public;
    let of_old = answers(address);
    let mut refused = sharing(&address.to_string(), &(large() + "TN1,DHL,from,to,Laptop,none,800,LP1,scanned\n"));
    assert_eq!(answers(address), of_old);
    assert_eq!(refused.wait().code(), Some(1));
    assert_eq!(answers(address), of_old);
    let stopped = sharing(&address.to_string(), &large());
    stopped.stop();
    assert_eq!(answers(address), of_old);
}

#[test]
fn a_first_load_that_is_refused_answers_nobody() {
    let mut server = sharing("127.0.0.1:0", &(large() + "TN1,DHL,from,to,Laptop,none,800,LP1,scanned\n"));
    let mut client = server.client();
    client.send(request("GET", LOOKUP, &[]));
    assert!(matches!(client.try_answer_to("GET"), Err(Broken::NoAnswer)));
    assert_eq!(server.wait().code(), Some(1));
}

fn files(dir: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    std::fs::read_dir(dir).unwrap().map(name).collect()
}

#[test]
fn the_file_of_a_unix_socket_is_replaced_when_the_next_process_is_ready() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listen = format!("unix:{}", path.display());
    let mut old = sharing(&listen, SEED);
    old.wait_for("ready");
    assert_is_refused(&listen);
    let ask = || Client::connect_unix(&path).get(LOOKUP);
    let of_old = ask().text().to_owned();
    let mut new = sharing(&listen, &large().replace("LP123", "LP124"));
    new.admin_client().get("/readyz").problem(503, "dataset_unavailable");
    assert_eq!(ask().text(), of_old);
    let mut client = Client::connect_unix(&path);
    assert_eq!(client.get(LOOKUP).text(), of_old);
    new.wait_for("ready");
    assert_ne!(ask().text(), of_old);
    assert_eq!(client.get(LOOKUP).text(), of_old);
    assert_eq!(files(dir.path()), ["socket"]);
    old.stop();
    assert_ne!(ask().text(), of_old);
    // One whose data is refused leaves nothing behind.
    let mut refused = sharing(&listen, HEADER);
    assert_eq!(refused.wait().code(), Some(1));
    assert_eq!(files(dir.path()), ["socket"]);
    assert_eq!(ask().status, 200);
    new.stop();
    assert!(files(dir.path()).is_empty());
}

#[test]
fn during_the_drain_delay_each_response_is_the_last_on_its_connection_but_for_probes() {
    let mut server = start_loading("127.0.0.1:0", SEED, &["--drain-delay", "10m"]);
    server.wait_for("ready");
    let mut client = server.client();
    assert_eq!(client.get(LOOKUP).field("connection"), None);
    server.signal(Signal::TERM);
    server.wait_for("draining");
    for path in ["/livez", "/readyz"] {
        assert_eq!(client.get(path).field("connection"), None);
    }
    for mut client in [client, server.client()] {
        let answer = client.get(LOOKUP);
        assert_eq!((answer.status, answer.field("connection").as_deref()), (200, Some("close")));
        client.expect_end();
    }
    server.stop();
}
