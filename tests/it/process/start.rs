//! How a server is started: what is served, where, and what is refused before anybody could connect.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use crate::support::client::Client;
use crate::support::{HEADER, SEED, Server, csv, row, run, waybill};

const LISTEN: [&str; 6] = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json"];

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

#[test]
fn a_file_alone_is_what_is_served() {
    let export = csv(&[row("TN1", "DHL")]);
    for (name, typed) in [("export.csv", "export.csv"), ("export", "export"), ("check", "./check"), (".csv", ".csv")] {
        let dir = folder(&[(name, &export), ("seed_data.csv", SEED)]);
        let mut command = waybill(&[typed]);
        command.args(LISTEN).current_dir(&dir).env("WAYBILL_DATA", "/nowhere/other.csv");
        let path = dir.path().join(name);
        let mut server = Server::spawn(&mut command, dir, path);
        assert_eq!(server.wait_for("serving")["source"], typed);
        assert_eq!(server.get("/v1/shipments/DHL/TN1").status, 200);
    }
}

#[test]
fn what_is_neither_a_file_nor_a_command_is_an_unknown_command() {
    let dir = folder(&[]);
    let ended = |arguments: &[&str]| run(waybill(arguments).current_dir(&dir));
    let misspelled = ended(&["chek", "x.csv"]);
    assert_eq!(misspelled.code, Some(2), "{}", misspelled.stderr);
    assert!(misspelled.stderr.contains("'chek'") && misspelled.stderr.contains("'check'"), "{}", misspelled.stderr);
    let unknown = ended(&["export"]);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("'export'"), "{}", unknown.stderr);
    // A name with a dot or a slash is a file's, there or not.
    for file in ["export.csv", "./export", "nowhere/export"] {
        let missing = ended(&[file]);
        assert_eq!(missing.code, Some(1), "{}", missing.stderr);
        assert!(missing.stderr.contains(&format!("cannot open {file}")), "{}", missing.stderr);
    }
    // What is typed twice is an error, not a choice.
    assert_eq!(ended(&["a.csv", "--data", "b.csv"]).code, Some(2));
}

#[test]
fn a_missing_file_is_told_once_and_before_any_address() {
    let dir = folder(&[]);
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    for arguments in [&["--data", "export.csv"][..], &["export.csv"], &["--data", "folder"]] {
        for format in ["text", "json"] {
            let mut command = waybill(arguments);
            command.args(["--listen", "127.0.0.1:0", "--admin-listen", "off", "--log-format", format]);
            let ended = run(command.current_dir(&dir));
            assert_eq!(ended.code, Some(1), "{}", ended.stderr);
            assert!(!ended.stderr.contains("listening"), "{}", ended.stderr);
            assert_eq!(ended.stderr.matches(arguments.last().unwrap()).count(), 1, "{}", ended.stderr);
        }
    }
}

#[test]
fn addresses_have_short_forms() {
    let start = |listen: &str| {
        let dir = folder(&[("data.csv", SEED)]);
        let data = dir.path().join("data.csv");
        let mut command = waybill(&["--listen", listen, "--admin-listen", "0", "--log-format", "json"]);
        let mut server = Server::spawn(command.arg("--data").arg(&data), dir, data);
        server.wait_for("serving");
        server
    };
    for listen in ["0", "localhost:0"] {
        let server = start(listen);
        assert!(server.public.ip().is_loopback() && server.admin.is_some_and(|admin| admin.ip().is_loopback()));
        assert_eq!(server.get("/readyz").status, 200);
    }
    let server = start(":0");
    assert!(server.public.ip().is_unspecified(), "{}", server.public);
    let mut hosts = vec!["127.0.0.1"];
    hosts.extend(server.public.is_ipv6().then_some("::1"));
    for host in hosts {
        let address = SocketAddr::new(host.parse().unwrap(), server.public.port());
        // A host may have IPv6 and no such address on loopback.
        if host == "127.0.0.1" || TcpStream::connect(address).is_ok() {
            assert_eq!(Client::connect(address).get("/readyz").status, 200, "{address}");
        }
    }
    let refused = run(&mut waybill(&["--admin-listen", ":0"]));
    assert!(refused.code == Some(2) && refused.stderr.contains("--admin-token-file"), "{}", refused.stderr);
}

#[test]
fn a_variable_that_is_no_setting_is_refused_by_serve_alone() {
    let with = |arguments: &[&str], name: &str| run(waybill(arguments).env(name, "x"));
    for arguments in [&[][..], &["serve"], &["--print-config"], &["seed_data.csv"]] {
        let ended = with(arguments, "WAYBILL_LISTN");
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert_eq!(ended.stderr, "error: WAYBILL_LISTN: no such setting; did you mean WAYBILL_LISTEN?\n");
    }
    let ended = with(&[], "WAYBILL_ZZZ");
    assert!(ended.code == Some(2) && ended.stderr.contains("WAYBILL_ZZZ"), "{}", ended.stderr);
    for arguments in [&["check", "seed_data.csv"][..], &["generate", "--shipments", "1"], &["--version"]] {
        assert_eq!(with(arguments, "WAYBILL_LISTN").code, Some(0), "{arguments:?}");
    }
    let of_kubernetes = [
        ("WAYBILL_SERVICE_HOST", "10.0.0.1"),
        ("WAYBILL_SERVICE_PORT", "80"),
        ("WAYBILL_SERVICE_PORT_HTTP", "80"),
        ("WAYBILL_PORT", "tcp://10.0.0.1:80"),
        ("WAYBILL_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("WAYBILL_PORT_80_TCP_ADDR", "10.0.0.1"),
    ];
    assert_eq!(run(waybill(&["--print-config"]).envs(of_kubernetes)).code, Some(0));
}

#[test]
fn an_address_that_is_taken_goes_before_a_missing_file() {
    let server = Server::start(format!("{HEADER}\n{}\n", row("TN1", "DHL")), &[]);
    let ended = crate::support::run_serve(Path::new("/nowhere/x.csv"), &["--log-format", "text"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let taken = run(&mut waybill(&["/nowhere/x.csv", "--listen", &server.public.to_string(), "--admin-listen", "off"]));
    assert_eq!(taken.code, Some(2), "{}", taken.stderr);
}
