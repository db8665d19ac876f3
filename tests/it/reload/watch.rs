//! `--watch`: which files it loads by itself, once, and which it leaves alone.

use std::fs;

use crate::support::{Server, csv, row, waybill};
use serde_json::Value;

const REFUSED: &str = "not reloaded; what was served is still served";
const GONE: &str = "the file is gone; what was served is still served";
/// Looks after which a stable file would have been loaded, twice over.
const LOOKS: usize = 5;

fn file_of(number: &str) -> String {
    csv(&[row(number, "DHL")])
}

/// A server that looks at its file all the time, and says so in its log.
fn watching(file: impl AsRef<[u8]>, arguments: &[&str]) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    fs::write(&data, file).unwrap();
    let mut command = waybill(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.args(["--log-format", "json", "--watch", "20ms", "--max-removed-percent", "100"]).args(arguments);
    command.env("RUST_LOG", "waybill=debug").arg("--data").arg(&data);
    let mut server = Server::spawn(&mut command, dir, data);
    server.wait_for("serving");
    server
}

/// Puts another file in place and waits until it is served.
fn replace_and_wait(server: &mut Server, number: &str) -> Value {
    server.replace(file_of(number));
    let reloaded = server.wait_for("reloaded");
    assert_eq!(server.get(&format!("/v1/shipments/{number}")).status, 200, "{number}");
    reloaded
}

/// Waits until the file, as it stands, was looked at often enough to be loaded.
fn wait_for_looks(server: &mut Server) {
    // What the log tells after this was done later.
    let dry_run = server.admin_post("/-/reload?dry_run=true");
    server.wait_for(match dry_run.json()["result"].as_str() {
        Some("ok") => "dry run: the file would be served",
        Some(_) => "dry run: the file has not changed",
        None => "dry run: the file would not be served",
    });
    for _ in 0..LOOKS {
        server.wait_for("checked the source");
    }
}

/// The messages of the log that tell of loads, but for the first and for dry runs.
fn loads(server: &Server) -> Vec<String> {
    let told = ["reloaded", "the file has not changed", REFUSED, "rolled back"];
    let message =
        |line: &String| serde_json::from_str::<Value>(line).ok()?["fields"]["message"].as_str().map(str::to_owned);
    server.seen().iter().filter_map(message).filter(|message| told.contains(&message.as_str())).collect()
}

#[test]
fn a_file_that_is_replaced_overwritten_or_linked_anew_is_loaded() {
    let mut server = watching(file_of("TN0"), &[]);
    assert_eq!(replace_and_wait(&mut server, "TN1")["generation"], 2);

    fs::write(&server.data, file_of("TN2")).unwrap();
    assert_eq!(server.wait_for("reloaded")["generation"], 3);

    let target = server.data.with_file_name("target.csv");
    fs::write(&target, file_of("TN3")).unwrap();
    fs::rename(&server.data, server.data.with_file_name("former.csv")).unwrap();
    std::os::unix::fs::symlink("target.csv", &server.data).unwrap();
    assert_eq!(server.wait_for("reloaded")["generation"], 4);
    fs::write(&target, file_of("TN4") + "\n").unwrap();
    assert_eq!(server.wait_for("reloaded")["generation"], 5);
    assert_eq!(server.get("/v1/shipments/TN4").status, 200);
    assert_eq!(server.state()["last_reload"]["result"], "ok");
}

#[test]
fn what_is_served_is_not_loaded_again() {
    let mut server = watching(file_of("TN0"), &[]);
    wait_for_looks(&mut server);
    assert!(loads(&server).is_empty(), "{:?}", loads(&server));
    for number in ["TN1", "TN2"] {
        replace_and_wait(&mut server, number);
        wait_for_looks(&mut server);
    }
    assert_eq!(loads(&server), ["reloaded"; 2]);
}

#[test]
fn what_was_reloaded_on_demand_is_not_loaded_again() {
    let mut server = watching(file_of("TN0"), &[]);
    server.replace(file_of("TN1"));
    let report = server.reload().json();
    wait_for_looks(&mut server);
    // The watch may have been first; then the demand found nothing new.
    let expected = if report["result"] == "ok" { &["reloaded"][..] } else { &["reloaded", "the file has not changed"] };
    assert_eq!(loads(&server), expected);
}

#[test]
fn a_refused_file_is_not_loaded_again_until_it_changes() {
    let mut server = watching(csv(&[row("TN0", "DHL"), row("TN1", "DHL")]), &["--min-shipments", "2"]);
    for (file, reason) in [(file_of("") + &row("TN1", "DHL"), "tracking_number"), (file_of("TN1"), "--min-shipments")] {
        server.replace(file);
        let refused = server.wait_for(REFUSED);
        assert!(refused["error"].as_str().is_some_and(|error| error.contains(reason)), "{refused}");
        wait_for_looks(&mut server);
    }
    server.replace(csv(&[row("TN0", "DHL"), row("TN2", "DHL")]));
    server.wait_for("reloaded");
    assert_eq!(loads(&server), [REFUSED, REFUSED, "reloaded"]);
}

#[test]
fn a_file_that_vanishes_is_told_of_once_and_loaded_when_another_comes() {
    let mut server = watching(file_of("TN0"), &[]);
    for number in ["TN1", "TN2"] {
        fs::remove_file(&server.data).unwrap();
        let gone = server.wait_for(GONE);
        assert!(gone["error"].as_str().is_some_and(|error| !error.is_empty()), "{gone}");
        wait_for_looks(&mut server);
        replace_and_wait(&mut server, number);
    }
    let gone = server.seen().iter().filter(|line| line.contains(GONE)).count();
    assert_eq!((gone, loads(&server)), (2, vec!["reloaded".to_owned(); 2]));
}

#[test]
fn a_rollback_holds_until_the_file_changes() {
    let mut server = watching(file_of("TN0"), &["--keep-previous"]);
    replace_and_wait(&mut server, "TN1");
    assert_eq!(server.admin_post("/-/rollback").status, 200);
    wait_for_looks(&mut server);
    assert_eq!(server.get("/v1/shipments/TN0").status, 200);
    // Gone and back again is no change.
    let aside = server.data.with_file_name("aside.csv");
    fs::rename(&server.data, &aside).unwrap();
    server.wait_for(GONE);
    fs::rename(&aside, &server.data).unwrap();
    wait_for_looks(&mut server);
    assert_eq!(server.state()["generation"], 3);

    assert_eq!(replace_and_wait(&mut server, "TN2")["generation"], 4);
    assert_eq!(loads(&server), ["reloaded", "rolled back", "reloaded"]);
    assert_eq!(server.admin_post("/-/rollback").json()["generation"], 5);
    assert_eq!(server.get("/v1/shipments/TN0").status, 200);
}

#[test]
fn a_dry_run_keeps_nothing_from_being_loaded() {
    let mut server = watching(file_of("TN0"), &[]);
    server.replace(file_of("TN1"));
    server.admin_post("/-/reload?dry_run=true");
    assert_eq!(server.wait_for("reloaded")["generation"], 2);
}

#[test]
fn what_cannot_be_read_is_tried_again() {
    let mut server = watching(file_of("TN0"), &[]);
    fs::remove_file(&server.data).unwrap();
    fs::create_dir(&server.data).unwrap();
    for _ in 0..2 {
        let refused = server.wait_for(REFUSED);
        assert!(refused["error"].as_str().is_some_and(|error| error.contains("a directory")), "{refused}");
    }
    fs::remove_dir(&server.data).unwrap();
    replace_and_wait(&mut server, "TN1");
}
