//! Reloads by SIGHUP and `POST /-/reload`: what is served after them, and what they report.

use std::sync::Barrier;

use crate::support::client::{Answer, Client};
use crate::support::{SEED, Server, Signal, csv, row, run, shipment, waybill};
use serde_json::{Value, json};

fn two() -> String {
    csv(&[row("TN1", "DHL"), row("TN2", "DHL")])
}

fn three() -> String {
    csv(&[row("TN1", "DHL"), row("TN2", "DHL"), row("TN3", "UPS")])
}

fn version_of(state: &Value) -> String {
    state["version"].as_str().unwrap().to_owned()
}

#[test]
fn a_reload_serves_the_file_as_it_is_now() {
    let mut server = Server::start(two(), &[]);
    let mut client = server.client();
    client.get("/v1/shipments/UPS/TN3").problem(404, "shipment_not_found");
    server.replace(three());
    client.get("/v1/shipments/UPS/TN3").problem(404, "shipment_not_found");

    let answer = server.reload();
    assert_eq!(answer.status, 200, "{}", answer.text());
    server.wait_for("reloaded");
    assert_eq!(client.get("/v1/shipments/UPS/TN3").text(), shipment("TN3", "UPS"));

    server.replace(csv(&[row("TN1", "DHL"), row("TN2", "DHL"), row("TN4", "UPS")]));
    server.signal(Signal::HUP);
    server.wait_for("reloaded");
    assert_eq!(client.get("/v1/shipments/UPS/TN4").text(), shipment("TN4", "UPS"));
    client.get("/v1/shipments/UPS/TN3").problem(404, "shipment_not_found");
    assert_eq!(server.state()["generation"], 3);
}

#[test]
fn the_report_counts_shipments_that_came_went_and_changed() {
    let before = csv(&[
        row("TN1", "DHL"),
        row("TN2", "DHL"),
        row("TN3", "DHL"),
        row("TN4", "DHL"),
        row("TN4", "DHL"),
        row("TN5", "DHL"),
        row("TN5", "UPS"),
        row("TN6", "DHL"),
    ]);
    let after = csv(&[
        // Elsewhere in the file, otherwise the same.
        row("TN2", "DHL"),
        row("TN1", "DHL"),
        // Another status, an article more, an article less.
        row("TN3", "DHL").replace("scanned", "delivered"),
        row("TN4", "DHL"),
        row("TN6", "DHL"),
        row("TN6", "DHL"),
        // TN5 is gone at one carrier only, and two are new.
        row("TN5", "UPS"),
        row("TN5", "GLS"),
        row("TN7", "DHL"),
    ]);
    let server = Server::start(before, &[]);
    assert_eq!(server.state()["shipments"], 7);
    server.replace(after);
    let answer = server.reload();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let report = answer.json();
    let (version, seconds) = (version_of(&report), &report["load_seconds"]);
    assert!(seconds.as_f64().is_some_and(|seconds| seconds > 0.0), "{seconds}");
    let expected = format!(r#"{{"result":"ok","generation":2,"version":"{version}","shipments":8,"#)
        + &format!(r#""added":2,"removed":1,"changed":3,"load_seconds":{seconds}}}"#);
    assert_eq!(answer.text(), expected);
    assert_eq!(version, version_of(&server.state()));
    assert_eq!(server.get("/v1/dataset").json()["version"], version.as_str());
}

#[test]
fn the_same_file_is_unchanged_and_keeps_its_generation() {
    let mut server = Server::start(two(), &[]);
    let before = server.state();
    for path in ["/-/reload", "/-/reload?force=true", "/-/reload?dry_run=true"] {
        // Written anew, but with the same content.
        server.replace(two());
        let report = server.admin_post(path).json();
        assert_eq!(report["result"], "unchanged", "{path}");
        assert_eq!((&report["generation"], &report["version"]), (&json!(1), &before["version"]), "{path}");
        let counts = ["shipments", "added", "removed", "changed"].map(|count| report[count].as_u64());
        assert_eq!(counts, [Some(2), Some(0), Some(0), Some(0)], "{path}");
    }
    server.signal(Signal::HUP);
    server.wait_for("the file has not changed");
    let mut after = server.state();
    assert_eq!(after["last_reload"]["result"], "unchanged");
    after["last_reload"] = Value::Null;
    // When the file was written is its own.
    after["modified_at"] = before["modified_at"].clone();
    assert_eq!(after, before);
}

#[test]
fn the_state_says_what_is_served_and_how_the_last_reload_went() {
    let server = Server::start(SEED, &[]);
    let answer = server.admin_get("/-/dataset");
    let state = answer.json();
    let text = |key: &str| state[key].as_str().unwrap().to_owned();
    let expected = format!(
        r#"{{"generation":1,"version":"{}","source":"{}","loaded_at":"{}","modified_at":"{}","#,
        text("version"),
        server.data.display(),
        text("loaded_at"),
        text("modified_at")
    ) + &format!(
        r#""stale":false,"rows":9,"shipments":5,"articles":9,"bytes":{},"load_seconds":{},"bad_rows":0,"last_reload":null}}"#,
        state["bytes"], state["load_seconds"]
    );
    assert_eq!(answer.text(), expected);
    assert!(state["bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    assert!(text("loaded_at").parse::<jiff::Timestamp>().is_ok());
    assert_eq!(server.get("/v1/dataset").json()["loaded_at"], state["loaded_at"]);

    let last = |result: &str| {
        let last = server.state()["last_reload"].clone();
        assert_eq!(last["result"], result);
        assert!(last["at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{last}");
        assert_eq!(last.as_object().unwrap().len(), 3, "{last}");
        last["error"].clone()
    };
    server.reload();
    assert_eq!(last("unchanged"), Value::Null);
    server.replace(SEED.replace("800", "801"));
    server.reload();
    assert_eq!(last("ok"), Value::Null);
    server.replace(SEED.replace("800", "x"));
    server.reload();
    let error = last("failed");
    assert!(error.as_str().is_some_and(|error| error.contains("line 2")), "{error}");
    server.replace(SEED);
    server.reload();
    assert_eq!(last("ok"), Value::Null);
    assert_eq!(server.state()["generation"], 3);
}

#[test]
fn going_back_to_an_earlier_file_is_a_new_generation_with_the_earlier_version() {
    let server = Server::start(two(), &[]);
    let first = server.get("/v1/shipments/TN1");
    server.replace(three());
    server.reload();
    assert_ne!(server.get("/v1/shipments/TN1").field("etag"), first.field("etag"));
    server.replace(two());
    assert_eq!(server.reload().json()["generation"], 3);
    let again = server.get("/v1/shipments/TN1");
    assert_eq!((again.field("etag"), &again.body), (first.field("etag"), &first.body));
}

#[test]
fn a_dry_run_reports_the_same_and_swaps_nothing() {
    let server = Server::start(two(), &[]);
    server.replace(three());
    let before = (server.state(), server.get("/v1/dataset").body);
    let mut dry = server.admin_post("/-/reload?dry_run=true").json();
    assert_eq!((server.state(), server.get("/v1/dataset").body), before);
    server.get("/v1/shipments/TN3").problem(404, "shipment_not_found");

    let mut real = server.admin_post("/-/reload?dry_run=false").json();
    for report in [&mut dry, &mut real] {
        assert!(report["load_seconds"].take().is_f64(), "{report}");
    }
    assert_eq!(dry, real);
    assert_eq!(real["added"], 1);

    let before = server.state();
    server.replace("");
    server.admin_post("/-/reload?dry_run=true").problem(422, "dataset_refused");
    server.replace(csv(&[row("TN1", "DHL")]));
    server.admin_post("/-/reload?dry_run=true").problem(409, "too_many_removed");
    std::fs::remove_file(&server.data).unwrap();
    server.admin_post("/-/reload?dry_run=true").problem(422, "dataset_unreadable");
    assert_eq!(server.state(), before);
}

#[test]
fn posts_at_the_same_time_are_all_answered() {
    const CALLERS: usize = 32;
    let server = Server::start(two(), &[]);
    server.replace(three());
    let start = Barrier::new(CALLERS);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let caller = |number: usize| {
            let (admin, start) = (server.admin.unwrap(), &start);
            scope.spawn(move || {
                let path = ["/-/reload", "/-/reload?force=true", "/-/reload", "/-/reload?dry_run=true"][number % 4];
                let mut client = Client::connect(admin);
                start.wait();
                (number % 4 == 3, client.request("POST", path, &["Content-Length: 0"]))
            })
        };
        let callers: Vec<_> = (0..CALLERS).map(caller).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let version = version_of(&server.state());
    for (_, answer) in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let report = answer.json();
        assert_eq!((&report["generation"], version_of(&report)), (&json!(2), version.clone()), "{report}");
    }
    let swapped = |(dry, answer): &&(bool, Answer)| !dry && answer.json()["result"] == "ok";
    assert!(answers.iter().filter(swapped).count() > 0);
    assert_eq!(server.state()["generation"], 2);
}

#[test]
fn the_file_at_the_last_trigger_is_what_ends_up_served() {
    let server = Server::start(two(), &["--max-removed-percent", "100"]);
    let mut client = server.client();
    for round in 0..30 {
        let number = format!("TN{}", 100 + round);
        // Loads that are under way see another file, or see it change.
        server.signal(Signal::HUP);
        server.replace(csv(&[row(&number, "DHL")]));
        server.signal(Signal::HUP);
        let answer = server.reload();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(client.get(&format!("/v1/shipments/{number}")).status, 200, "{number}");
    }
}

#[test]
fn the_version_depends_on_content_and_settings_not_on_the_process() {
    let version = |file: &str, arguments: &[&str]| version_of(&Server::start(file, arguments).state());
    let one = version(SEED, &[]);
    assert_eq!(version(SEED, &[]), one);
    assert_eq!(version(SEED, &["--threads", "1", "--max-connections", "10"]), one);
    // What is tolerated changes nothing that is served; what was left out does.
    assert_eq!(version(SEED, &["--max-bad-rows", "1"]), one);
    let bad = format!("{SEED}a row of one field\n");
    assert_eq!(version(&bad, &["--max-bad-rows", "1"]), version(&bad, &["--max-bad-rows", "9"]));
    assert_ne!(version(&bad, &["--max-bad-rows", "1"]), version(&format!("{SEED}\n"), &[]));
    assert_ne!(version(&format!("{SEED}\n"), &[]), one);
    assert_ne!(version(&SEED.replace("LP123", "LP124"), &[]), one);
    let checked = run(&mut waybill(&["check", "seed_data.csv", "--format", "json"]));
    assert_eq!(version_of(&serde_json::from_slice(&checked.stdout).unwrap()), one);
}
