//! What systemd is told, and sockets that it hands over.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::client::{Client, request};
use crate::support::{DEADLINE, SEED, Server, Signal, row, run};
use tempfile::TempDir;

const LOOKUP: &str = "/v1/shipments/DHL/TN12345678";

fn seed_file() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    std::fs::write(&data, SEED).unwrap();
    (dir, data)
}

/// The command line of a server, run by a shell that first does `before`.
fn shell(before: &str, data: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{before} exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_waybill"), "serve"]);
    command.args(["--log-format", "json", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.arg("--data").arg(data);
    command
}

#[test]
fn it_tells_when_it_is_ready_reloads_and_ends() {
    let (dir, data) = seed_file();
    let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let told = || {
        let mut bytes = [0; 1000];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let mut command = shell("", &data);
    command.env("NOTIFY_SOCKET", dir.path().join("notify"));
    let mut server = Server::spawn(&mut command, dir, data);
    assert_eq!(told(), "READY=1\nSTATUS=serving\n");
    assert_eq!(server.get(LOOKUP).status, 200);

    server.signal(Signal::HUP);
    let reloading = told();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(told(), "READY=1\nSTATUS=serving\n");
    server.replace("nonsense");
    server.signal(Signal::HUP);
    assert!(told().starts_with("RELOADING=1\n"));
    assert_eq!(told(), "READY=1\nSTATUS=serving; the last reload failed\n");

    server.signal(Signal::TERM);
    assert_eq!(told(), "STOPPING=1\n");
    assert_eq!(server.wait().code(), Some(0));
}

/// As systemd hands `sockets` over: descriptors from 3 on, and for the process itself.
fn with_sockets(data: &Path, public: impl Into<OwnedFd>, admin: Option<OwnedFd>) -> Command {
    let count = 1 + usize::from(admin.is_some());
    let admin_moved = if admin.is_some() { "4<&1 1>&2" } else { "" };
    let mut command =
        shell(&format!("exec 3<&0 0</dev/null {admin_moved}; export LISTEN_PID=$$ LISTEN_FDS={count};"), data);
    command.stdin(Stdio::from(public.into()));
    if let Some(admin) = admin {
        command.stdout(Stdio::from(admin));
    }
    command
}

#[test]
fn sockets_that_are_handed_over_take_the_place_of_addresses_and_outlive_the_process() {
    let public = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = || {
        let (dir, data) = seed_file();
        let mut command = with_sockets(&data, public.try_clone().unwrap(), Some(admin.try_clone().unwrap().into()));
        Server::spawn(&mut command, dir, data)
    };
    let mut server = start();
    server.wait_for("serving");
    assert_eq!(server.public, public.local_addr().unwrap());
    assert_eq!(server.admin, Some(admin.local_addr().unwrap()));
    for _ in 0..20 {
        assert_eq!(server.get(LOOKUP).status, 200);
    }
    assert_eq!(server.reload().status, 200);
    server.stop();
    // Between two processes clients wait.
    let mut client = Client::connect(public.local_addr().unwrap());
    client.send(request("GET", LOOKUP, &[]));
    let mut server = start();
    assert_eq!(client.answer_to("GET").status, 200);
    server.wait_for("serving");
    assert_eq!(server.get(LOOKUP).status, 200);
}

#[test]
fn clients_of_a_socket_that_is_handed_over_wait_for_the_first_dataset() {
    // They take far longer to load than a few requests do.
    let count = if cfg!(debug_assertions) { 60_000 } else { 600_000 };
    let rows: Vec<String> = (0..count).map(|number| row(&format!("TN{number}"), "DHL")).collect();
    let public = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = || {
        let (dir, data) = seed_file();
        std::fs::write(&data, format!("{}\n{}\n", SEED.trim_end(), rows.join("\n"))).unwrap();
        Server::spawn(&mut with_sockets(&data, public.try_clone().unwrap(), None), dir, data)
    };
    let mut client = Client::connect(public.local_addr().unwrap());
    client.send(request("GET", LOOKUP, &[]));
    let is_loading = |server: &Server| {
        let mut admin = server.admin_client();
        admin.get("/readyz").problem(503, "dataset_unavailable");
        // That of this client alone.
        assert!(admin.get("/metrics").text().contains("\nwaybill_http_connections_total 1\n"));
        admin.get("/readyz").problem(503, "dataset_unavailable");
    };
    // One that ends before leaves them to the next.
    let server = start();
    is_loading(&server);
    server.stop();
    let server = start();
    is_loading(&server);
    assert_eq!(client.answer_to("GET").status, 200);
    server.stop();
}

#[test]
fn clients_that_come_at_the_end_are_answered_by_one_process_or_the_next() {
    let public = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = || {
        let (dir, data) = seed_file();
        let mut server = Server::spawn(&mut with_sockets(&data, public.try_clone().unwrap(), None), dir, data);
        server.wait_for("serving");
        server
    };
    let mut server = start();
    for _ in 0..5 {
        // They come faster than it can see that it is to end.
        server.signal(Signal::STOP);
        let address = public.local_addr().unwrap();
        let mut clients: Vec<_> = (0..50).map(|_| Client::connect(address)).collect();
        for client in &mut clients {
            client.send(request("GET", LOOKUP, &[]));
        }
        server.signal(Signal::TERM);
        server.signal(Signal::CONT);
        assert_eq!(server.wait().code(), Some(0));
        server = start();
        for client in &mut clients {
            assert_eq!(client.answer_to("GET").status, 200);
        }
    }
}

#[test]
fn sockets_in_the_file_system_are_handed_over_too_and_stay() {
    let (dir, data) = seed_file();
    let path = dir.path().join("socket");
    let public = UnixListener::bind(&path).unwrap();
    let mut server = Server::spawn(&mut with_sockets(&data, public, None), tempfile::tempdir().unwrap(), data);
    server.wait_for("serving");
    assert_eq!(Client::connect_unix(&path).get(LOOKUP).status, 200);
    assert!(server.admin.is_some());
    server.stop();
    assert!(path.exists());
}

#[test]
fn sockets_that_cannot_be_used_end_it_with_status_2() {
    let (_dir, data) = seed_file();
    let ended = run(&mut with_sockets(&data, UdpSocket::bind("127.0.0.1:0").unwrap(), None));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let public = TcpListener::bind("127.0.0.1:0").unwrap();
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    let address = everywhere.local_addr().unwrap().to_string();
    let mut command = with_sockets(&data, public, Some(everywhere.into()));
    let ended = command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let message = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{message}");
    assert!(message.contains(&address) && message.contains("--admin-token-file"), "{message}");
}
