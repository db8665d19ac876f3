//! The commands beside `serve`, and where settings come from.

use std::path::Path;

use crate::support::{Ended, HEADER, SEED, Server, Signal, csv, row, run, waybill};
use serde_json::{Value, json};

fn in_file(file: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.csv");
    std::fs::write(&path, file).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

fn succeed(arguments: &[&str]) -> Ended {
    let ended = run(&mut waybill(arguments));
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    ended
}

fn report(ended: &Ended) -> Value {
    serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// What follows a name in a report for people.
fn line<'r>(report: &'r str, name: &str) -> &'r str {
    let mut lines = report.lines().filter_map(|line| line.strip_prefix(name)).map(str::trim_start);
    lines.next().unwrap_or_else(|| panic!("no {name}: {report}"))
}

#[test]
fn check_says_what_a_file_holds() {
    let checked = succeed(&["check", "seed_data.csv"]);
    let text = checked.stdout();
    for (name, count) in [("rows", "9"), ("shipments", "5"), ("articles", "9"), ("carriers", "5"), ("bad rows", "0")] {
        assert_eq!(line(text, name).split(' ').next(), Some(count), "{text}");
    }
    assert!(line(text, "carriers").contains("DHL, UPS, DPD, FedEx, GLS"), "{text}");
    assert!(line(text, "memory").split(' ').next().is_some_and(|memory| memory.parse::<f64>().is_ok()), "{text}");

    let checked = report(&succeed(&["check", "seed_data.csv", "--format", "json"]));
    let expected = json!({
        "result": "ok", "rows": 9, "shipments": 5, "articles": 9,
        "carriers": ["DHL", "UPS", "DPD", "FedEx", "GLS"], "bad_rows": 0, "errors": [],
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(checked[key], *value, "{key}");
    }
    let state = Server::start(SEED, &[]).state();
    assert_eq!((&checked["version"], &checked["dataset_bytes"]), (&state["version"], &state["bytes"]));
}

#[test]
fn check_says_what_is_wrong_with_a_file_and_ends_with_status_1() {
    let (_dir, path) = in_file(&csv(&[row("TN1", "DHL"), "TN2,DHL".to_owned(), row("TN3", "")]));
    let ended = run(&mut waybill(&["check", &path]));
    assert_eq!(ended.code, Some(1));
    let text = ended.stdout();
    assert!(text.contains(&path) && text.contains("line 3:") && text.contains("line 4, carrier:"), "{text}");

    let ended = run(&mut waybill(&["check", &path, "--format", "json"]));
    assert_eq!(ended.code, Some(1));
    let refused = report(&ended);
    assert_eq!((&refused["result"], &refused["code"]), (&"refused".into(), &"dataset_refused".into()));
    let errors = refused["errors"].as_array().unwrap();
    let places: Vec<(&Value, &Value)> = errors.iter().map(|error| (&error["line"], &error["column"])).collect();
    assert_eq!(places, [(&3.into(), &Value::Null), (&4.into(), &"carrier".into())]);
    // A server says the same.
    let server = Server::start(SEED, &[]);
    server.replace(std::fs::read(&path).unwrap());
    assert_eq!(server.reload().json()["errors"], refused["errors"]);
}

#[test]
fn check_reports_bad_rows_that_it_may_leave_out() {
    let (_dir, path) = in_file(&csv(&[row("TN1", "DHL"), "TN2,DHL".to_owned()]));
    let text = succeed(&["check", &path, "--max-bad-rows", "1"]);
    assert_eq!(line(text.stdout(), "bad rows"), "1");
    assert!(text.stdout().contains("line 3:"), "{}", text.stdout());
    let checked = report(&succeed(&["check", &path, "--max-bad-rows", "1", "--format", "json"]));
    assert_eq!((&checked["rows"], &checked["articles"], &checked["bad_rows"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(checked["errors"][0]["line"], 3);
}

#[test]
fn check_of_a_file_that_cannot_be_read_ends_with_status_1() {
    for path in ["/nowhere/export.csv", "/"] {
        let ended = run(&mut waybill(&["check", path, "--format", "json"]));
        assert_eq!(ended.code, Some(1), "{path}");
        assert_eq!(report(&ended)["code"], "dataset_unreadable", "{path}");
        assert_eq!(run(&mut waybill(&["check", path])).code, Some(1), "{path}");
    }
}

#[test]
fn check_refuses_a_missing_line_break_on_demand() {
    let (_dir, path) = in_file(&format!("{HEADER}\n{}", row("TN1", "DHL")));
    assert!(succeed(&["check", &path]).stdout().contains("line break"));
    let ended = run(&mut waybill(&["check", &path, "--require-final-newline", "--format", "json"]));
    assert_eq!((ended.code, &report(&ended)["errors"][0]["line"]), (Some(1), &2.into()));
}

#[test]
fn variables_of_serve_do_not_disturb_check() {
    let (_dir, path) = in_file(&csv(&[row("TN1", "DHL")]));
    let mut command = waybill(&["check", &path, "--format", "json"]);
    command.env("WAYBILL_DATA", "/nowhere/other.csv").env("WAYBILL_LISTEN", "127.0.0.1:1").env("WAYBILL_THREADS", "3");
    command.env("WAYBILL_LOG_FORMAT", "text").env("WAYBILL_MAX_REMOVED_PERCENT", "5");
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(report(&ended)["shipments"], 1);
    let generated = run(waybill(&["generate", "--shipments", "1"]).env("WAYBILL_DATA", "/nowhere/other.csv"));
    assert_eq!(generated.code, Some(0), "{}", generated.stderr);
}

#[test]
fn serve_takes_its_settings_from_variables_and_flags_go_first() {
    let (dir, path) = in_file(&csv(&[row("TN1", "DHL"), "TN2,DHL".to_owned()]));
    let settings = |arguments: &[&str]| {
        let mut command = waybill(arguments);
        let variables = [
            ("WAYBILL_DATA", path.as_str()),
            ("WAYBILL_LISTEN", "127.0.0.1:0"),
            ("WAYBILL_ADMIN_LISTEN", "off"),
            ("WAYBILL_MAX_BAD_ROWS", "1"),
            ("WAYBILL_LOG_FORMAT", "json"),
            ("WAYBILL_DRAIN_DELAY", "10m"),
            ("WAYBILL_REQUIRE_FINAL_NEWLINE", "true"),
        ];
        command.envs(variables);
        command
    };
    let mut server = Server::spawn(&mut settings(&[]), dir, Path::new(&path).to_owned());
    assert_eq!(server.wait_for("serving")["bad_rows"], 1);
    assert_eq!((server.admin, server.get("/v1/shipments/DHL/TN1").status), (None, 200));
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for("draining")["delay_seconds"], 600.0);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));

    let (dir, path) = in_file(&csv(&[row("TN1", "DHL"), "TN2,DHL".to_owned()]));
    for arguments in [&["--max-bad-rows", "0"][..], &["serve", "--max-bad-rows", "0"]] {
        let refused = run(settings(arguments).env("WAYBILL_DATA", &path));
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    }
    std::fs::write(&path, format!("{HEADER}\n{}", row("TN1", "DHL"))).unwrap();
    assert_eq!(run(settings(&[]).env("WAYBILL_DATA", &path)).code, Some(1));
    for (variable, value) in [("WAYBILL_THREADS", "none"), ("WAYBILL_LISTEN", "x"), ("WAYBILL_MAX_CONNECTIONS", "0")] {
        let ended = run(settings(&[]).env(variable, value));
        assert_eq!(ended.code, Some(2), "{variable}: {}", ended.stderr);
    }
    drop(dir);
}

#[test]
fn serve_is_what_it_does_unless_told_otherwise() {
    for arguments in [&["serve"][..], &[]] {
        let mut command = waybill(arguments);
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json"]);
        let data = "seed_data.csv".into();
        let mut server = Server::spawn(&mut command, tempfile::tempdir().unwrap(), data);
        assert_eq!(server.wait_for("serving")["source"], "seed_data.csv");
        server.stop();
    }
}

#[test]
fn generate_writes_the_same_bytes_for_the_same_seed() {
    let generate = |seed: &str| succeed(&["generate", "--shipments", "2000", "--seed", seed]).stdout;
    let first = generate("7");
    assert_eq!(generate("7"), first);
    assert_ne!(generate("8"), first);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.csv");
    let path = path.to_str().unwrap();
    assert!(succeed(&["generate", "--shipments", "2000", "--seed", "7", "--output", path]).stdout.is_empty());
    assert_eq!(std::fs::read(path).unwrap(), first);
    let checked = report(&succeed(&["check", path, "--format", "json", "--require-final-newline"]));
    assert_eq!((&checked["shipments"], &checked["bad_rows"]), (&2000.into(), &0.into()));
}

#[test]
fn generate_that_cannot_write_fails() {
    let ended = run(&mut waybill(&["generate", "--shipments", "1", "--output", "/nowhere/export.csv"]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("/nowhere/export.csv"), "{}", ended.stderr);
}

#[test]
fn health_is_0_when_a_server_is_ready_and_1_otherwise() {
    let server = Server::start(SEED, &[]);
    let health = |path: &str| {
        let url = format!("http://{}{path}", server.public);
        run(&mut waybill(&["health", &url])).code
    };
    assert_eq!(health("/readyz"), Some(0));
    assert_eq!(health("/nowhere"), Some(1));
    let public = server.public.to_string();
    assert_eq!(run(waybill(&["health"]).env("WAYBILL_LISTEN", &public)).code, Some(0));
    let any = format!("0.0.0.0:{}", server.public.port());
    assert_eq!(run(waybill(&["health"]).env("WAYBILL_LISTEN", &any)).code, Some(0));
    server.stop();
    let ended = run(waybill(&["health"]).env("WAYBILL_LISTEN", &public));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(&public), "{}", ended.stderr);
}

#[test]
fn what_cannot_be_asked_is_a_usage_error() {
    for url in ["ftp://x", "foo", "https://127.0.0.1/", "127.0.0.1:8080"] {
        assert_eq!(run(&mut waybill(&["health", url])).code, Some(2), "{url}");
    }
}

#[test]
fn settings_of_serve_do_not_disturb_other_commands() {
    let mut check = waybill(&["check", concat!(env!("CARGO_MANIFEST_DIR"), "/seed_data.csv")]);
    let ended = run(check.env("WAYBILL_THREADS", "x").env("WAYBILL_LISTEN", "nowhere"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn completions_name_every_command_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = succeed(&["completions", shell]);
        for word in ["serve", "check", "generate", "health", "completions", "man", "max-bad-rows", "print-config"] {
            assert!(script.stdout().contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn help_and_version_are_printed_with_status_0() {
    let help = succeed(&["--help"]);
    for word in ["serve", "check", "generate", "health", "completions", "man", "--data"] {
        assert!(help.stdout().contains(word), "{word}: {}", help.stdout());
    }
    let serve = succeed(&["serve", "--help"]);
    for word in ["--listen", "WAYBILL_LISTEN"] {
        assert!(serve.stdout().contains(word), "{word}: {}", serve.stdout());
    }
    for command in ["check", "generate", "health", "completions", "man"] {
        assert!(!succeed(&[command, "--help"]).stdout.is_empty(), "{command}");
    }
    assert_eq!(succeed(&["--version"]).stdout(), concat!("waybill ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[cfg(not(feature = "object-store"))]
#[test]
fn a_build_without_object_storage_refuses_urls() {
    for arguments in [["serve", "--data", "s3://bucket/data.csv"].as_slice(), &["check", "https://host/data.csv"]] {
        let ended = run(&mut waybill(arguments));
        assert!(ended.code == Some(2) && ended.stderr.contains("--features object-store"), "{ended:?}");
    }
}
