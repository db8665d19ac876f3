//! Stages of statuses: what `--status-map` adds to every rendering, to filters, facets, reloads and checks.

use std::path::PathBuf;

use crate::support::client::{Client, post};
use crate::support::{HEADER, Server, Signal, csv, run, run_serve, waybill};
use serde_json::{Value, json};
use tempfile::TempDir;
use waybill::stages::Stage;

const MAP: &str =
    "[default]\n\"On its way\" = \"in_transit\"\ndone = \"delivered\"\n\n[carrier.DHL]\ndone = \"exception\"\n";
const BAD_MAP: &str = "[default]\ndone = \"delivered\"\nlost = \"excepton\"\n";

fn row(number: &str, carrier: &str, status: &str) -> String {
    format!(
        "{number},{carrier},\"Street 1, 10115 Berlin, Germany\",\"Street 10, 75001 Paris, France\",Mouse,1,5,M1,{status}"
    )
}

fn data() -> String {
    csv(&[
        row("TN1", "DHL", "on its way"),
        row("TN2", "dhl", "Done"),
        row("TN3", "UPS", " done"),
        row("TN4", "UPS", "somewhere"),
        row("TN4", "DHL", "somewhere"),
        row("TN5", "UPS", "a \"\"b\"\""),
    ]
    .map(|row| row.replace(",a \"\"b\"\"", ",\"a \"\"b\"\"\"")))
}

/// The file of a map.
struct Map {
    _dir: TempDir,
    path: PathBuf,
}

impl Map {
    fn new(text: &str) -> Map {
        let dir = tempfile::tempdir().unwrap();
        let map = Map { path: dir.path().join("map.toml"), _dir: dir };
        map.write(text);
        map
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.path, text).unwrap();
    }

    fn flag(&self) -> [&str; 2] {
        ["--status-map", self.path.to_str().unwrap()]
    }

    fn serve(&self, arguments: &[&str]) -> Server {
        Server::start(data(), &[&self.flag()[..], arguments].concat())
    }
}

/// A shipment of [`data`] as it is on the wire, with the text of its stage behind its status.
fn shipment(number: &str, carrier: &str, status: &str, stage: &str) -> String {
    format!(
        r#"{{"tracking_number":"{number}","carrier":"{carrier}","status":"{status}"{stage},"sender_address":"Street 1, 10115 Berlin, Germany","receiver_address":"Street 10, 75001 Paris, France","articles":[{{"name":"Mouse","quantity":1,"price":5,"SKU":"M1"}}]}}"#
    )
}

fn all(with_stages: bool) -> [String; 6] {
    let stage = |name: &str| if with_stages { format!(r#","stage":"{name}""#) } else { String::new() };
    [
        shipment("TN1", "DHL", "on its way", &stage("in_transit")),
        shipment("TN2", "dhl", "Done", &stage("exception")),
        shipment("TN3", "UPS", " done", &stage("delivered")),
        shipment("TN4", "UPS", "somewhere", &stage("unknown")),
        shipment("TN4", "DHL", "somewhere", &stage("unknown")),
        shipment("TN5", "UPS", "a \\\"b\\\"", &stage("unknown")),
    ]
}

fn batch(client: &mut Client, fields: &[&str], lookups: &Value) -> String {
    client.send(post("/v1/lookup", fields, &json!({ "lookups": lookups }).to_string()));
    let answer = client.answer_to("POST");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().to_owned()
}

/// Checks everything that renders shipments.
fn check_renderings(server: &Server, with_stages: bool) {
    let mut client = server.client();
    let [one, two, three, four, five, six] = all(with_stages);
    assert_eq!(client.get("/v1/shipments/dhl/tn1").text(), one);
    assert_eq!(client.get("/v1/shipments/tn2").text(), format!(r#"{{"count":1,"results":[{two}]}}"#));
    assert_eq!(client.get("/v1/shipments/tn4").text(), format!(r#"{{"count":2,"results":[{four},{five}]}}"#));
    let page = [&one, &two, &three, &four, &five, &six].map(String::as_str).join(",");
    let page = format!(r#"{{"count":6,"next":null,"previous":null,"results":[{page}]}}"#);
    assert_eq!(client.get("/v1/shipments").text(), page);
    // A long page is rendered part by part.
    assert_eq!(client.get("/v1/shipments?limit=1000").text(), page);
    assert_eq!(client.get("/shipment/list/").text(), page);
    let lookups = json!([{"tracking_number": "tn3"}, {"tracking_number": "tn4", "carrier": "dhl"}]);
    let expected = format!(
        r#"{{"results":[{{"tracking_number":"tn3","carrier":null,"shipments":[{three}]}},{{"tracking_number":"tn4","carrier":"dhl","shipments":[{five}]}}]}}"#
    );
    assert_eq!(batch(&mut client, &[], &lookups), expected);
    let lines = all(with_stages).map(|shipment| shipment + "\n").concat();
    assert_eq!(client.get("/v1/shipments.ndjson").text(), lines);
    let table = client.get("/v1/shipments.csv");
    assert_eq!(
        table.text().replace("\r\n", "\n").replace(", done", ",\" done\""),
        data().replace(", done", ",\" done\"")
    );
    assert_eq!(table.text().lines().next(), Some(HEADER));
}

#[test]
fn every_rendering_has_the_stage_behind_the_status_and_a_csv_has_its_nine_columns() {
    check_renderings(&Map::new(MAP).serve(&[]), true);
}

#[test]
fn without_a_map_nothing_has_a_stage() {
    let server = Server::start(data(), &[]);
    check_renderings(&server, false);
    for path in ["/v1/shipments", "/v1/facets", "/v1/shipments.csv", "/v1/shipments.ndjson"] {
        let refused = server.get(&format!("{path}?stage=in_transit"));
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        let allowed = "stage: no such parameter; there are tracking_number, tracking_number_prefix, carrier, status, sender_city,";
        assert!(refused.status == 400 && detail.starts_with(allowed), "{path}: {detail}");
    }
    assert_eq!(server.get("/v1/facets").json()["facets"]["stage"], Value::Null);
    assert!(!server.admin_get("/metrics").text().contains("unmapped"));
}

#[test]
fn what_a_caller_sees_with_a_limited_view_has_the_stage_too() {
    let server = Map::new(MAP).serve(&["--public-view", "limited", "--anonymous", "lookup"]);
    let mut client = server.client();
    let limited = r#"{"tracking_number":"TN2","carrier":"dhl","status":"Done","stage":"exception","sender_country":"Germany","receiver_country":"France","limited":true"#;
    assert_eq!(client.get("/v1/shipments/DHL/TN2").text(), format!("{limited}}}"));
    let shown = |client: &mut Client, postcode: &str| {
        client.request("GET", "/v1/shipments/DHL/TN2", &[&format!("Waybill-Postcode: {postcode}")]).text().to_owned()
    };
    assert_eq!(shown(&mut client, "1"), format!(r#"{limited},"verified":false}}"#));
    assert_eq!(shown(&mut client, "75001"), all(true)[1]);
    let lookups = json!([{"tracking_number": "TN2"}]);
    let expected = format!(r#"{{"results":[{{"tracking_number":"TN2","carrier":null,"shipments":[{limited}}}]}}]}}"#);
    assert_eq!(batch(&mut client, &[], &lookups), expected);
}

#[test]
fn pages_facets_and_exports_are_filtered_by_stage_as_by_anything_else() {
    let server = Map::new(MAP).serve(&[]);
    let mut client = server.client();
    for (query, count) in [
        ("stage=in_transit", 1),
        ("stage=IN_TRANSIT", 1),
        ("stage=unknown", 3),
        ("stage=unknown&carrier=ups", 2),
        ("stage=delivered&stage=exception", 2),
        ("stage=returning", 0),
        ("stage=none", 0),
        ("status=done&stage=exception", 1),
        ("tracking_number_prefix=tn4&stage=unknown", 2),
    ] {
        assert_eq!(client.get(&format!("/v1/shipments?{query}")).json()["count"], count, "{query}");
        assert_eq!(client.get(&format!("/v1/facets?{query}")).json()["count"], count, "{query}");
        let lines = client.get(&format!("/v1/shipments.ndjson?{query}"));
        assert_eq!(lines.text().lines().count(), count, "{query}");
        assert_eq!(client.get(&format!("/v1/shipments.csv?{query}")).text().lines().count(), 1 + count, "{query}");
    }
    for path in ["/v1/shipments", "/v1/facets", "/v1/shipments.csv", "/v1/shipments.ndjson"] {
        let refused = client.get(&format!("{path}?stage="));
        assert_eq!(refused.status, 400, "{path}");
        assert!(refused.text().contains("stage: the value is empty"), "{path}: {}", refused.text());
        let near = client.get(&format!("{path}?stages=x"));
        assert!(near.status == 400 && near.text().contains("did you mean stage?"), "{path}: {}", near.text());
    }
    let next = client.get("/v1/shipments?stage=unknown&limit=1").json()["next"].as_str().unwrap().to_owned();
    assert!(next.ends_with("/v1/shipments?stage=unknown&limit=1&offset=1"), "{next}");
}

#[test]
fn the_facet_of_stages_stands_behind_that_of_statuses() {
    let server = Map::new(MAP).serve(&[]);
    let stages = r#""stage":[{"value":"unknown","count":3},{"value":"delivered","count":1},{"value":"exception","count":1},{"value":"in_transit","count":1}],"sender_city":["#;
    let facets = server.get("/v1/facets");
    assert!(facets.text().contains(&format!("],{stages}")), "{}", facets.text());
    let names: Vec<usize> = ["\"carrier\":[", "\"status\":[", "\"stage\":[", "\"sender_city\":["]
        .map(|name| facets.text().find(name).unwrap())
        .into();
    assert!(names.is_sorted(), "{}", facets.text());
    let of_ups = server.get("/v1/facets?carrier=ups").json();
    let expected = json!([{"value": "unknown", "count": 2}, {"value": "delivered", "count": 1}]);
    assert_eq!(of_ups["facets"]["stage"], expected);
}

#[test]
fn the_map_is_part_of_the_version_by_what_it_says() {
    let version = |arguments: &[&str]| {
        let server = Server::start(data(), arguments);
        let version = server.state()["version"].as_str().unwrap().to_owned();
        assert_eq!(server.get("/v1/shipments/dhl/tn1").field("etag"), Some(format!("\"{version}\"")));
        version
    };
    let other = Map::new(&MAP.replace("delivered", "returning"));
    let respelled = Map::new(
        "# Ours\n[carrier.dhl]\n'DONE' = 'exception'\n[default]\n'done' = 'delivered'\n'on its way' = 'in_transit'\n",
    );
    let map = Map::new(MAP);
    let versions = [version(&[]), version(&map.flag()), version(&other.flag()), version(&["--status-map", "builtin"])];
    for (at, one) in versions.iter().enumerate() {
        assert!(!versions[..at].contains(one), "{versions:?}");
    }
    assert_eq!(version(&respelled.flag()), versions[1]);
}

#[test]
fn a_reload_reads_the_map_again() {
    let map = Map::new(MAP);
    let server = map.serve(&[]);
    assert_eq!(server.reload().json()["result"], "unchanged");
    map.write(&MAP.replace("in_transit", "out_for_delivery"));
    let report = server.reload().json();
    assert_eq!((&report["result"], &report["changed"]), (&json!("ok"), &json!(1)));
    assert_eq!(server.get("/v1/shipments/dhl/tn1").json()["stage"], "out_for_delivery");
}

#[test]
fn a_bad_map_refuses_the_reload_with_its_line_and_the_old_data_is_served_on() {
    let map = Map::new(MAP);
    let mut server = map.serve(&[]);
    let before = server.get("/v1/shipments").text().to_owned();
    map.write(BAD_MAP);
    server.replace(csv(&[row("TN9", "UPS", "done")]));
    let refused = server.admin_post("/-/reload?force=true");
    let detail = format!(
        "status map {}, line 3: \"lost\": no such stage: \"excepton\"; did you mean \"exception\"?",
        map.path.display()
    );
    assert_eq!(refused.status, 422);
    assert_eq!((&refused.json()["code"], &refused.json()["detail"]), (&json!("dataset_refused"), &json!(detail)));
    assert_eq!(server.get("/v1/shipments").text(), before);
    assert_eq!(server.state()["last_reload"]["error"], detail);
    server.signal(Signal::HUP);
    server.wait_for("not reloaded; what was served is still served");
    assert_eq!(server.get("/v1/shipments").text(), before);
    std::fs::remove_file(&map.path).unwrap();
    assert_eq!(server.reload().status, 422);
    assert_eq!(server.get("/readyz").status, 200);
    map.write(MAP);
    assert_eq!(server.admin_post("/-/reload?force=true").json()["result"], "ok");
    assert_eq!(server.get("/v1/shipments/ups/tn9").json()["stage"], "delivered");
}

#[test]
fn a_bad_map_is_exit_2_at_the_start_with_its_line() {
    let map = Map::new(BAD_MAP);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.csv");
    std::fs::write(&path, data()).unwrap();
    let said = format!("error: status map {}, line 3: \"lost\": no such stage", map.path.display());
    let ended = run_serve(&path, &map.flag());
    assert!(ended.code == Some(2) && ended.stderr.contains(&said), "{ended:?}");
    let checked = run(waybill(&["check"]).arg(&path).args(map.flag()));
    assert!(checked.code == Some(2) && checked.stderr.contains(&said), "{checked:?}");
    let ended = run_serve(&path, &["--status-map", "no-such-map.toml"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("status map no-such-map.toml: "), "{ended:?}");
}

#[test]
fn a_check_lists_the_statuses_without_a_stage_and_the_shipments_of_each() {
    let map = Map::new(&format!("{MAP}lost = \"unknown\"\n"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.csv");
    // DHL's table has one of these as unknown; there is no other.
    std::fs::write(&path, data() + &row("TN6", "DHL", "lost") + "\n" + &row("TN7", "UPS", "Lost") + "\n").unwrap();
    let check = |arguments: &[&str]| run(waybill(&["check"]).arg(&path).args(arguments));
    let text = check(&map.flag());
    let expected = "\nstages     3 statuses of 4 shipments have none:\n  \"somewhere\"  2\n  \"a \\\"b\\\"\"  1\n  \"lost\"  1\nrun  ";
    assert!(text.code == Some(0) && text.stdout().contains(expected), "{}", text.stdout());
    assert!(text.stdout().contains(&format!(
        "run        waybill {} --status-map {}",
        path.display(),
        map.path.display()
    )));
    let report: Value =
        serde_json::from_str(check(&[&map.flag()[..], &["--format", "json"]].concat()).stdout()).unwrap();
    assert_eq!(report["unmapped_shipments"], 4);
    let statuses = json!([
        {"status": "somewhere", "shipments": 2},
        {"status": "a \"b\"", "shipments": 1},
        {"status": "lost", "shipments": 1},
    ]);
    assert_eq!(report["unmapped_statuses"], statuses);
    map.write("[default]\nsomewhere='unknown'\nlost='exception'\n'a \"b\"'='returning'\n'on its way'='in_transit'\ndone='delivered'\n");
    assert!(check(&map.flag()).stdout().contains("\nstages     all statuses have one\n"));
    assert!(!check(&[]).stdout().contains("stages"));
}

#[test]
fn the_shipments_without_a_stage_are_counted() {
    let map = Map::new(MAP);
    let server = map.serve(&[]);
    assert_eq!(server.metric("waybill_dataset_unmapped_shipments"), 3);
    map.write(&MAP.replace("[default]\n", "[default]\nsomewhere = \"unknown\"\n"));
    assert_eq!(server.reload().status, 200);
    assert_eq!(server.metric("waybill_dataset_unmapped_shipments"), 1);
}

#[test]
fn the_stages_are_documented_as_an_open_list() {
    let openapi = include_str!("../../../src/http/assets/openapi.json");
    let api = include_str!("../../../docs/api.md");
    for stage in Stage::ALL {
        let name = format!("`{}`", stage.name());
        assert!(openapi.contains(&name) && api.contains(&name), "{name}");
    }
    for document in [openapi, api] {
        assert!(document.to_lowercase().contains(" list is open"));
    }
}
