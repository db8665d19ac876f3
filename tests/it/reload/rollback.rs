//! `POST /-/rollback`: what it goes back to, for how long, and when there is nothing to go back to.

use crate::support::{Server, Signal, csv, row, shipment};
use serde_json::{Value, json};

fn two() -> String {
    csv(&[row("TN1", "DHL"), row("TN2", "DHL")])
}

fn three() -> String {
    csv(&[row("TN1", "DHL"), row("TN2", "DHL").replace("scanned", "delivered"), row("TN3", "UPS")])
}

/// A server that serves `three()` and keeps `two()`.
fn keeping() -> Server {
    let server = Server::start(two(), &["--keep-previous"]);
    server.replace(three());
    assert_eq!(server.reload().json()["result"], "ok");
    server
}

fn roll_back(server: &Server) -> Value {
    let answer = server.admin_post("/-/rollback");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn a_rollback_serves_what_was_served_before_as_a_new_generation() {
    let mut server = Server::start(two(), &["--keep-previous"]);
    let (state, first) = (server.state(), server.get("/v1/shipments/DHL/TN2"));
    server.replace(three());
    let reloaded = server.reload().json();
    let last_reload = server.state()["last_reload"].clone();

    let answer = server.admin_post("/-/rollback");
    let (version, seconds) = (&state["version"], &state["load_seconds"]);
    let expected = format!(r#"{{"result":"ok","generation":3,"version":{version},"shipments":2,"#)
        + &format!(r#""added":0,"removed":1,"changed":1,"load_seconds":{seconds}}}"#);
    assert_eq!((answer.status, answer.text()), (200, expected.as_str()));
    assert_eq!(server.wait_for("rolled back")["version"], *version);

    let again = server.get("/v1/shipments/DHL/TN2");
    assert_eq!((again.field("etag"), again.body), (first.field("etag"), first.body));
    server.get("/v1/shipments/TN3").problem(404, "shipment_not_found");
    let mut expected = state;
    expected["generation"] = json!(3);
    // A rollback is no reload.
    expected["last_reload"] = last_reload;
    assert_eq!(server.state(), expected);
    assert_ne!(reloaded["version"], expected["version"]);
}

#[test]
fn what_is_turned_away_from_can_be_gone_back_to() {
    let server = keeping();
    let (newer, older) = (server.state()["version"].clone(), roll_back(&server)["version"].clone());
    for (generation, version, added) in [(4, &newer, 1), (5, &older, 0), (6, &newer, 1)] {
        let report = roll_back(&server);
        assert_eq!((&report["generation"], &report["version"]), (&json!(generation), version));
        assert_eq!((report["added"].as_u64(), report["removed"].as_u64()), (Some(added), Some(1 - added)));
    }
    assert_eq!(server.get("/v1/shipments/UPS/TN3").text(), shipment("TN3", "UPS"));
}

#[test]
fn only_the_dataset_served_last_is_kept() {
    let server = keeping();
    server.replace(csv(&[row("TN1", "DHL"), row("TN2", "DHL"), row("TN4", "UPS")]));
    let second = server.state()["version"].clone();
    assert_eq!(server.reload().json()["result"], "ok");
    assert_eq!(roll_back(&server)["version"], second);
}

#[test]
fn loads_that_publish_nothing_leave_what_is_kept() {
    let server = keeping();
    assert_eq!(server.reload().json()["result"], "unchanged");
    server.replace("");
    server.reload().problem(422, "dataset_refused");
    server.replace(csv(&[row("TN9", "DHL")]));
    server.reload().problem(409, "too_many_removed");
    assert_eq!(server.admin_post("/-/reload?dry_run=true&force=true").json()["result"], "ok");
    assert_eq!(roll_back(&server)["shipments"], 2);
}

#[test]
fn a_reload_after_a_rollback_serves_the_file_again() {
    let mut server = keeping();
    roll_back(&server);
    let report = server.reload().json();
    let counts = ["generation", "added", "removed", "changed"].map(|count| report[count].as_u64());
    assert_eq!((&report["result"], counts), (&"ok".into(), [Some(4), Some(1), Some(0), Some(1)]));
    roll_back(&server);
    server.wait_for("rolled back");
    server.wait_for("rolled back");
    server.signal(Signal::HUP);
    assert_eq!(server.wait_for("reloaded")["generation"], 6);
    assert_eq!(server.get("/v1/shipments/TN3").status, 200);
}

#[test]
fn without_anything_kept_a_rollback_is_a_409_and_changes_nothing() {
    for arguments in [&["--keep-previous"][..], &[]] {
        let mut server = Server::start(two(), arguments);
        if arguments.is_empty() {
            server.replace(three());
            assert_eq!(server.reload().json()["result"], "ok");
        } else {
            assert_eq!(server.reload().json()["result"], "unchanged");
        }
        let before = server.state();
        let detail = server.admin_post("/-/rollback").problem(409, "no_previous_dataset");
        assert!(detail.contains("--keep-previous"), "{detail}");
        assert_eq!(server.wait_for("not rolled back")["error"], detail.as_str());
        assert_eq!(server.state(), before);
    }
}

#[test]
fn a_rollback_is_a_post_from_no_other_page_and_takes_no_parameters() {
    let server = keeping();
    let before = server.state();
    server.admin_get("/-/rollback").problem(405, "method_not_allowed");
    server.get("/-/rollback").problem(404, "route_not_found");
    for query in ["dry_run=true", "force=true", "x"] {
        server.admin_post(&format!("/-/rollback?{query}")).problem(400, "invalid_parameter");
    }
    let foreign = ["Content-Length: 0", "Origin: http://evil.example"];
    server.admin_client().request("POST", "/-/rollback", &foreign).problem(403, "forbidden_origin");
    assert_eq!(server.state(), before);
    let own = ["Content-Length: 0", "Origin: http://waybill.test"];
    assert_eq!(server.admin_client().request("POST", "/-/rollback", &own).status, 200);
}

#[test]
fn a_rollback_during_the_first_load_waits_for_it() {
    let rows: Vec<String> = (0..100_000).map(|number| row(&format!("TN{number}"), "DHL")).collect();
    let server = Server::start_loading(csv(&rows), &["--keep-previous"]);
    server.admin_post("/-/rollback").problem(409, "no_previous_dataset");
    assert_eq!(server.state()["generation"], 1);
}
