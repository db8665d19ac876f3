//! The age of the data: when its source was last written, whatever was loaded when.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support::{Server, csv, row, run_serve, waybill};
use jiff::Timestamp;
use serde_json::Value;

const DAY: Duration = Duration::from_hours(24);
const CHECKS_OK: &str = r#"waybill_dataset_source_checks_total{result="ok"}"#;
const CHECKS_FAILED: &str = r#"waybill_dataset_source_checks_total{result="failed"}"#;
const STALE: &str = "the data is older than --max-data-age; it is served on";
const FRESH: &str = "the data is no longer older than --max-data-age";

fn file_of(number: &str) -> String {
    csv(&[row(number, "DHL")])
}

/// A time so long ago, in whole milliseconds, as members have it.
fn ago(time: Duration) -> SystemTime {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now).unwrap()) - time
}

fn text(time: SystemTime) -> Value {
    format!("{:.3}", Timestamp::try_from(time).unwrap()).into()
}

fn set_modified(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Puts another file in the place of the served one, last written at `time`.
fn replace(server: &Server, file: impl AsRef<[u8]>, time: SystemTime) {
    let next = server.data.with_extension("next");
    fs::write(&next, file).unwrap();
    set_modified(&next, time);
    fs::rename(next, &server.data).unwrap();
}

/// A server of a file that was last written at `time`.
fn start(file: &str, time: SystemTime, arguments: &[&str]) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    fs::write(&data, file).unwrap();
    set_modified(&data, time);
    let mut command = waybill(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.args(["--log-format", "json"]).args(arguments).env("RUST_LOG", "waybill=debug").arg("--data").arg(&data);
    let mut server = Server::spawn(&mut command, dir, data);
    server.wait_for("serving");
    server
}

/// What all who ask are told: the time of writing, and whether that is too long ago.
fn assert_age(server: &Server, modified_at: &Value, is_stale: bool) {
    let (state, public) = (server.state(), server.get("/v1/dataset").json());
    assert_eq!((&state["modified_at"], &public["modified_at"]), (modified_at, modified_at));
    assert_eq!((&state["stale"], public.get("stale")), (&is_stale.into(), None));
    assert_eq!(server.metric("waybill_dataset_stale"), u64::from(is_stale));
    let metrics = server.admin_get("/metrics");
    let prefix = "waybill_dataset_modified_timestamp_seconds ";
    let seconds = metrics.text().lines().find_map(|line| line.strip_prefix(prefix)?.parse::<f64>().ok());
    let expected = modified_at.as_str().map(|at| at.parse::<Timestamp>().unwrap().as_millisecond() as f64 / 1e3);
    assert_eq!(seconds, expected);
    assert_eq!(server.get("/readyz").status, 200);
}

#[test]
fn the_age_is_that_of_the_file_and_not_of_the_load() {
    let written = ago(10 * DAY);
    let server = start(&file_of("TN0"), written, &[]);
    assert_age(&server, &text(written), false);
    let loaded_at: Timestamp = server.state()["loaded_at"].as_str().unwrap().parse().unwrap();
    assert!(loaded_at.duration_since(Timestamp::now()).abs() < DAY.try_into().unwrap());
    // A reload that finds nothing new makes nothing new.
    assert_eq!(server.reload().json()["result"], "unchanged");
    assert_age(&server, &text(written), false);
}

#[test]
fn an_export_that_is_not_written_any_more_is_stale_whatever_reloads_find() {
    let mut server = start(&file_of("TN0"), ago(10 * DAY), &["--max-data-age", "26h"]);
    server.wait_for(STALE);
    let loaded_at = server.state()["loaded_at"].clone();
    for _ in 0..2 {
        assert_eq!(server.reload().json()["result"], "unchanged");
        assert!(server.state()["stale"] == true && server.metric("waybill_dataset_stale") == 1);
    }
    assert_eq!(server.get("/v1/shipments/TN0").status, 200);
    // The same export, written again: a new time, and nothing else.
    let written = ago(DAY);
    set_modified(&server.data, written);
    assert_eq!(server.reload().json()["result"], "unchanged");
    assert_age(&server, &text(written), false);
    let state = server.state();
    assert_eq!((&state["loaded_at"], &state["generation"]), (&loaded_at, &1.into()));
    server.wait_for(FRESH);
    // An older file takes its age with it, as unchanged as it is.
    let written = ago(30 * DAY);
    replace(&server, file_of("TN0"), written);
    assert_eq!(server.reload().json()["result"], "unchanged");
    assert_age(&server, &text(written), true);
}

#[test]
fn dry_runs_and_refused_reloads_leave_the_age_as_it_is() {
    let written = ago(10 * DAY);
    let server = start(&file_of("TN0"), written, &["--max-data-age", "26h"]);
    set_modified(&server.data, ago(Duration::ZERO));
    assert_eq!(server.admin_post("/-/reload?dry_run=true").json()["result"], "unchanged");
    assert_age(&server, &text(written), true);
    for (file, code, status) in [("", "dataset_refused", 422), (&file_of("TN1"), "too_many_removed", 409)] {
        replace(&server, file, ago(Duration::ZERO));
        server.reload().problem(status, code);
        assert_age(&server, &text(written), true);
    }
    fs::remove_file(&server.data).unwrap();
    server.reload().problem(422, "dataset_unreadable");
    assert_age(&server, &text(written), true);
}

#[test]
fn a_rollback_goes_back_to_the_age_too() {
    let times = [ago(10 * DAY), ago(DAY)];
    let arguments = ["--max-data-age", "26h", "--keep-previous", "--max-removed-percent", "100"];
    let server = start(&file_of("TN0"), ago(20 * DAY), &arguments);
    // Written again before it is replaced.
    set_modified(&server.data, times[0]);
    assert_eq!(server.reload().json()["result"], "unchanged");
    replace(&server, file_of("TN1"), times[1]);
    assert_eq!(server.reload().json()["result"], "ok");
    assert_age(&server, &text(times[1]), false);
    for turn in [0, 1, 0] {
        assert_eq!(server.admin_post("/-/rollback").json()["result"], "ok");
        assert_age(&server, &text(times[turn]), turn == 0);
    }
}

#[test]
fn a_time_in_the_future_is_never_too_long_ago() {
    let written = SystemTime::now() + 400 * DAY;
    let server = start(&file_of("TN0"), written, &["--max-data-age", "1s"]);
    assert_age(&server, &text(written), false);
}

#[test]
fn a_file_without_a_time_has_no_age() {
    let server = start(&file_of("TN0"), SystemTime::UNIX_EPOCH, &["--max-data-age", "1s"]);
    assert_age(&server, &Value::Null, false);
}

#[test]
fn data_grows_stale_while_nothing_happens() {
    let mut server = start(&file_of("TN0"), ago(Duration::ZERO), &["--max-data-age", "1s"]);
    server.wait_for(STALE);
    assert!(server.state()["stale"] == true && server.metric("waybill_dataset_stale") == 1);
    assert_eq!(server.get("/readyz").status, 200);
}

#[test]
fn a_watch_takes_over_the_time_of_a_file_that_was_only_touched() {
    let mut server = start(&file_of("TN0"), ago(10 * DAY), &["--max-data-age", "26h", "--watch", "20ms"]);
    let written = ago(DAY);
    set_modified(&server.data, written);
    server.wait_for("the file has not changed");
    assert_age(&server, &text(written), false);
}

#[test]
fn looks_of_a_watch_are_counted_and_those_at_a_file_that_is_gone_have_failed() {
    let mut server = start(&file_of("TN0"), ago(DAY), &["--watch", "20ms"]);
    for _ in 0..3 {
        server.wait_for("checked the source");
    }
    assert!(server.metric(CHECKS_OK) >= 3);
    assert_eq!(server.metric(CHECKS_FAILED), 0);
    fs::remove_file(&server.data).unwrap();
    let gone = "the file is gone; what was served is still served";
    server.wait_for(gone);
    for _ in 0..3 {
        server.wait_for("checked the source");
    }
    assert!(server.metric(CHECKS_FAILED) >= 3);
    assert_eq!(server.seen().iter().filter(|line| line.contains(gone)).count(), 1);
    assert_age(&server, &server.state()["modified_at"], false);
    // A reload on demand is no look.
    let without = Server::start(file_of("TN0"), &[]);
    assert_eq!(without.reload().status, 200);
    assert_eq!([CHECKS_OK, CHECKS_FAILED].map(|series| without.metric(series)), [0, 0]);
}

#[test]
fn an_age_comes_from_flag_variable_or_file_and_is_a_second_at_least() {
    let ended = run_serve(Path::new("data.csv"), &["--max-data-age", "0"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--max-data-age 0ns: expected at least 1s"), "{}", ended.stderr);
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("waybill.toml");
    fs::write(&config, "max-data-age = \"26h\"\n").unwrap();
    let by_file = start(&file_of("TN0"), ago(2 * DAY), &["--config", config.to_str().unwrap()]);
    assert_eq!(by_file.state()["stale"], true);
    assert_eq!(by_file.metric("waybill_dataset_age_max_seconds"), 26 * 3600);
    let data = dir.path().join("data.csv");
    fs::write(&data, file_of("TN0")).unwrap();
    set_modified(&data, ago(2 * DAY));
    let mut command = waybill(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.args(["--log-format", "json", "--data"]).arg(&data).env("WAYBILL_MAX_DATA_AGE", "48h");
    let mut by_variable = Server::spawn(&mut command, dir, data);
    by_variable.wait_for("serving");
    assert_eq!(by_variable.metric("waybill_dataset_age_max_seconds"), 48 * 3600);
}
