//! Servers that have a part of the shipments each, held together against one that has all.

use std::collections::BTreeSet;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::{Value, json};
use waybill::commands::generate::{self, Plan};
use waybill::dataset::Record;
use waybill::load::{LoadError, Loaded, Options};
use waybill::shard::Shard;
use waybill::shipment::FoldedKey;
use xxhash_rust::xxh32::xxh32;

use crate::reference::agreement::{loaded, rendered};
use crate::reference::exports::{Bytes, exports};
use crate::reference::folded;
use crate::support::client::{Answer, Client, post};
use crate::support::{SEED, Server, csv, row, run, run_serve, shipment, waybill};

/// As many cases, more with `PROPTEST_CASES` above its 256.
fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases * cases / 256, failure_persistence: None, ..default }
}

/// Which of `count` shards has a number, as the README says.
fn shard_of(number: &str, count: u32) -> u32 {
    xxh32(folded(number).as_bytes(), 0) % count
}

fn of_shard(options: &Options, index: u32, count: u32) -> Options {
    Options { shard: Shard::new(index, count), ..options.clone() }
}

/// A shipment's number, carrier and whole answer.
fn shown(record: &Record<'_>) -> (String, String, String) {
    let json = rendered(record);
    let shipment: Value = serde_json::from_str(&json).unwrap();
    let text = |key: &str| shipment[key].as_str().unwrap().to_owned();
    (text("tracking_number"), text("carrier"), json)
}

/// Holds the shards of `count` together against all shipments of `file`.
fn assert_same_together(file: &[u8], options: &Options, count: u32) {
    let parts = (0..count).map(|index| loaded(file, &of_shard(options, index, count)));
    let Loaded { dataset, summary } = match loaded(file, options) {
        Ok(whole) => whole,
        Err(LoadError::Refused { .. }) => {
            parts.for_each(|part| assert!(matches!(part, Err(LoadError::Refused { .. }))));
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let parts: Vec<Loaded> = parts.map(Result::unwrap).collect();
    let all: Vec<(String, String, String)> = dataset.shipments().map(|record| shown(&record)).collect();
    let mut versions = BTreeSet::new();
    for (index, part) in parts.iter().enumerate() {
        let is_here = |number: &str| shard_of(number, count) == index as u32;
        let here = all.iter().filter(|(number, _, _)| is_here(number));
        let expected: Vec<String> = here.map(|(_, _, json)| json.clone()).collect();
        let got: Vec<String> = part.dataset.shipments().map(|record| rendered(&record)).collect();
        assert_eq!(got, expected, "shard {index} of {count}");
        assert_eq!(part.summary.rows, part.dataset.article_count() + part.summary.bad_rows);
        assert_eq!(part.summary.rows + part.summary.rows_elsewhere, summary.rows);
        assert!(part.summary.bad_rows <= summary.bad_rows);
        assert!(part.dataset.carriers().len() <= dataset.carriers().len());
        versions.insert(&part.summary.version);
    }
    assert_eq!(versions.len(), parts.len());
    assert!(count == 1 || !versions.contains(&summary.version));
    let sum = |of: fn(&Loaded) -> u64| parts.iter().map(of).sum::<u64>();
    assert_eq!(sum(|part| part.dataset.shipment_count()), dataset.shipment_count());
    assert_eq!(sum(|part| part.dataset.article_count()), dataset.article_count());
    for (number, carrier, json) in all {
        let (number, carrier) = (FoldedKey::new(&number), FoldedKey::new(&carrier));
        let found = parts.iter().filter_map(|part| part.dataset.shipment(&number, &carrier));
        assert_eq!(found.map(|record| rendered(&record)).collect::<Vec<_>>(), [json]);
    }
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn shards_together_have_what_the_whole_has_and_nothing_twice(
        Bytes(file) in exports(40),
        count in 1..=5_u32,
        block_bytes in prop_oneof![1..1500_usize, Just(1 << 20)],
        threads in 1..4_usize,
    ) {
        let options = Options { bad_rows_max: 1000, threads, block_bytes, ..Options::default() };
        assert_same_together(&file, &options, count);
    }
}

#[test]
fn shards_of_a_large_file_are_of_about_the_same_size() {
    let mut file = Vec::new();
    generate::write(&Plan { shipments: 3000, seed: 5 }, &mut file).unwrap();
    for count in 1..=5 {
        assert_same_together(&file, &Options::default(), count);
    }
    for index in 0..3 {
        let shipments = loaded(&file, &of_shard(&Options::default(), index, 3)).unwrap().dataset.shipment_count();
        assert!((900..1100).contains(&shipments), "{shipments}");
    }
}

const NUMBERS: [&str; 8] = ["TN1", "tn2", "Tn3", "ΟΔΟΣ Σ", "a/b c", "İ7", "📦", "TN8"];

/// All shipments on one server, and on `count` more.
struct Fleet {
    whole: Server,
    shards: Vec<Server>,
}

impl Fleet {
    fn start(count: u32) -> Fleet {
        let rows: Vec<String> =
            NUMBERS.iter().flat_map(|number| [row(number, "DHL"), row(&format!(" {number}"), "UPS")]).collect();
        let shard =
            |index| Server::start(csv(&rows), &["--shard", &format!("{index}/{count}"), "--min-shipments", "0"]);
        Fleet { whole: Server::start(csv(&rows), &[]), shards: (0..count).map(shard).collect() }
    }

    /// Asks all. The shard that has `number` answers as the whole does; the others say which one it is.
    fn ask(&self, number: &str, what: &str, ask: impl Fn(&mut Client) -> Answer) {
        let expected = ask(&mut self.whole.client());
        let count = self.shards.len();
        let right = shard_of(number, count as u32) as usize;
        for (index, shard) in self.shards.iter().enumerate() {
            let answer = ask(&mut shard.client());
            if index == right {
                assert_eq!((answer.status, &answer.body), (expected.status, &expected.body), "{what}");
                assert!(answer.status == 404 || answer.field("etag") != expected.field("etag"));
            } else {
                let detail = answer.problem(421, "wrong_shard");
                let says = format!("tracking number {number} is on shard {right} of {count}, this is shard {index}");
                assert!(detail.contains(&says), "{what}: {detail}");
                assert_eq!(answer.field("etag"), None);
                assert_eq!(answer.field("cache-control").as_deref(), Some("no-store"));
            }
        }
    }
}

#[test]
fn what_names_a_number_is_answered_by_its_shard_and_misdirected_elsewhere() {
    let fleet = Fleet::start(3);
    for number in NUMBERS.iter().copied().chain(["nothing", "TN9", "ÄÖ"]) {
        let encoded = utf8_percent_encode(number, NON_ALPHANUMERIC).to_string();
        for path in [
            format!("/v1/shipments/dhl/{encoded}"),
            format!("/v1/shipments/nobody/{encoded}"),
            format!("/v1/shipments/{encoded}"),
            format!("/v1/shipments?tracking_number={encoded}"),
            format!("/v1/shipments?limit=1&carrier=ups&tracking_number={encoded}"),
            format!("/v1/facets?tracking_number={encoded}&status=scanned"),
            format!("/shipment/list/?tracking_number={encoded}"),
            format!("/shipment/list/?tracking_number=nothing&limit=1&tracking_number={encoded}"),
        ] {
            fleet.ask(number, &path, |client| client.get(&path));
        }
        for carrier in [json!(null), json!("dhl")] {
            let body = json!({"lookups": [{"tracking_number": number, "carrier": carrier}]}).to_string();
            fleet.ask(number, &body, |client| {
                client.send(post("/v1/lookup", &[], &body));
                client.answer_to("POST")
            });
        }
    }
}

#[test]
fn what_may_be_on_several_shards_is_misdirected_on_each() {
    let fleet = Fleet::start(2);
    for shard in &fleet.shards {
        let mut client = shard.client();
        for path in [
            "/v1/shipments",
            "/v1/shipments?carrier=DHL",
            "/v1/facets",
            "/v1/facets?status=x",
            "/shipment/list/",
            "/shipment/list/?carrier=DHL",
            "/shipment/list/?tracking_number=&limit=3",
        ] {
            let detail = client.get(path).problem(421, "wrong_shard");
            assert!(
                detail.contains(" of 2 and has a part of the shipments; give a tracking_number"),
                "{path}: {detail}"
            );
            assert_eq!(client.request("HEAD", path, &[]).status, 421);
            assert_eq!(client.request("GET", path, &["If-None-Match: *"]).status, 421);
        }
        // What is wrong on any server is told first.
        client.get("/v1/shipments?limit=0").problem(400, "invalid_parameter");
        client.get("/v1/facets?x=y").problem(400, "invalid_parameter");
        client.get("/v1/shipments/%zz").problem(400, "invalid_parameter");
        for path in ["/", "/browse", "/docs", "/openapi.json", "/v1/dataset", "/livez", "/readyz"] {
            assert_eq!(client.get(path).status, 200, "{path}");
        }
    }
}

/// So many numbers of each of two shards.
fn numbers_by_shard(each: usize) -> [Vec<String>; 2] {
    [0, 1].map(|index| {
        let all = (0..).map(|number| format!("TN{number}"));
        all.filter(|number| shard_of(number, 2) == index).take(each).collect()
    })
}

#[test]
fn several_numbers_have_to_be_of_one_shard() {
    let numbers = numbers_by_shard(1000);
    let rows: Vec<String> = numbers.iter().flatten().map(|number| row(number, "DHL")).collect();
    let whole = Server::start(csv(&rows), &[]);
    for (index, own) in numbers.iter().enumerate() {
        let server = Server::start(csv(&rows), &["--shard", &format!("{index}/2")]);
        let mut client = server.client();
        let page = |numbers: &[String]| {
            format!("/v1/shipments?limit=1000&tracking_number={}", numbers.join("&tracking_number="))
        };
        let facets = |numbers: &[String]| page(numbers).replace("shipments?limit=1000&", "facets?");
        for path in [page(&own[..100]), facets(&own[..100]), page(&own[..3])] {
            assert_eq!(client.get(&path).body, whole.get(&path).body);
        }
        let foreign = &numbers[1 - index][7];
        let says = format!("tracking number {foreign} is on shard {} of 2, this is shard {index}", 1 - index);
        let mixed = [&own[..50], std::slice::from_ref(foreign), &own[50..60]].concat();
        for path in [page(&mixed), facets(&mixed)] {
            assert_eq!(client.get(&path).problem(421, "wrong_shard"), says);
        }
        for batch in [&own[..10], own] {
            let lookups = |numbers: &[String]| {
                let lookups: Vec<Value> = numbers.iter().map(|number| json!({"tracking_number": number})).collect();
                post("/v1/lookup", &[], &json!({"lookups": lookups}).to_string())
            };
            client.send(lookups(batch));
            let answer = client.answer_to("POST");
            let mut of_whole = whole.client();
            of_whole.send(lookups(batch));
            assert_eq!((answer.status, answer.body), (200, of_whole.answer_to("POST").body));
            let last = batch.len() - 1;
            let mut mixed = batch.to_vec();
            foreign.clone_into(&mut mixed[last]);
            client.send(lookups(&mixed));
            let detail = client.answer_to("POST").problem(421, "wrong_shard");
            assert_eq!(detail, format!("lookups[{last}]: {says}; split the batch by shard"));
        }
        client.send(post("/v1/lookup", &[], r#"{"lookups":[]}"#));
        assert_eq!(client.answer_to("POST").status, 200);
    }
}

#[test]
fn a_shard_without_shipments_is_refused_unless_that_is_allowed() {
    let [_, numbers] = numbers_by_shard(1);
    let file = csv(&[row(&numbers[0], "DHL")]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.csv");
    std::fs::write(&path, &file).unwrap();
    let ended = run_serve(&path, &["--shard", "0/2"]);
    let says = "0 shipments on shard 0 of 2, at least 1 expected (--min-shipments)";
    assert!(ended.code == Some(1) && ended.stderr.contains(says), "{ended:?}");

    let mut server = Server::start(&file, &["--shard", "0/2", "--min-shipments", "0"]);
    let state = server.state();
    let counts = ["rows", "shipments", "articles", "bad_rows"].map(|name| state[name].as_u64().unwrap());
    assert_eq!(counts, [0; 4]);
    let mut client = server.client();
    client.get(&format!("/v1/shipments/dhl/{}", numbers[0])).problem(421, "wrong_shard");
    let [own, _] = numbers_by_shard(1);
    client.get(&format!("/v1/shipments/dhl/{}", own[0])).problem(404, "shipment_not_found");
    let page = client.get(&format!("/v1/shipments?tracking_number={}&carrier=dhl", own[0]));
    assert_eq!(page.text(), r#"{"count":0,"next":null,"previous":null,"results":[]}"#);
    assert_eq!(client.get(&format!("/v1/facets?tracking_number={}", own[0])).json()["count"], 0);
    assert_eq!(client.get("/v1/dataset").json()["carriers"], json!([]));
    server.replace(csv(&[row(&numbers[0], "DHL"), row(&own[0], "UPS")]));
    assert_eq!(server.reload().json()["added"], 1);
    server.wait_for("reloaded");
    assert_eq!(client.get(&format!("/v1/shipments/ups/{}", own[0])).text(), shipment(&own[0], "UPS"));
    // Where nothing is anywhere, the file is no export.
    server.replace(csv(&[""; 0]));
    let detail = server.reload().problem(422, "dataset_refused");
    assert!(detail.contains("no rows after the header"), "{detail}");
}

#[test]
fn a_bad_row_is_bad_on_every_shard_and_a_contradiction_on_its_own() {
    let [here, there] = numbers_by_shard(2);
    let good = [row(&here[0], "DHL"), row(&there[0], "DHL")];
    let bad_there = [&good[..], &[row(&there[1], "DHL").replace(",800,", ",x,")]].concat();
    let contradiction_there = [&good[..], &[row(&there[0], "DHL").replace("scanned", "lost")]].concat();
    for (index, contradictions) in [("0/2", 0), ("1/2", 1)] {
        let server = Server::start(csv(&good), &["--shard", index]);
        server.replace(csv(&bad_there));
        server.reload().problem(422, "dataset_refused");
        server.replace(csv(&contradiction_there));
        assert_eq!(server.reload().status, if contradictions == 0 { 200 } else { 422 });
        let server = Server::start(
            csv(&[bad_there.clone(), contradiction_there[2..].to_vec()].concat()),
            &["--shard", index, "--max-bad-rows", "2"],
        );
        let state = server.state();
        let counts = ["rows", "shipments", "articles", "bad_rows"].map(|name| state[name].as_u64().unwrap());
        assert_eq!(counts, [2 + contradictions, 1, 1, 1 + contradictions], "{state}");
    }
}

#[test]
fn a_server_says_which_shard_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.csv");
    std::fs::write(&path, SEED).unwrap();
    let mut command = waybill(&["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json"]);
    command.arg("--data").arg(&path).env("WAYBILL_SHARD", "1/2");
    let mut server = Server::spawn(&mut command, dir, path.clone());
    assert_eq!(server.wait_for("serving")["shard"], "1/2");
    let metrics = server.admin_get("/metrics");
    for line in ["waybill_dataset_shard 1", "waybill_dataset_shards 2"] {
        assert!(metrics.text().lines().any(|other| other == line), "{line}");
    }
    let whole = Server::start(SEED, &[]);
    assert!(!whole.admin_get("/metrics").text().contains("waybill_dataset_shard"));
    assert!(whole.seen().iter().all(|line| !line.contains("shard")));
    assert_ne!(server.state()["version"], whole.state()["version"]);

    let report = run(&mut waybill(&["check", "seed_data.csv", "--shard", "1/2"]));
    let rows = server.state()["rows"].as_u64().unwrap();
    let line = format!("shard      1 of 2; {} rows belong to others", 9 - rows);
    assert!(report.code == Some(0) && report.stdout().lines().any(|other| other == line), "{report:?}");
    let report = run(&mut waybill(&["check", "seed_data.csv", "--shard", "1/2", "--format", "json"]));
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(
        (&report["shard"], &report["rows"], &report["rows_elsewhere"]),
        (&json!("1/2"), &json!(rows), &json!(9 - rows))
    );
    assert_eq!(report["version"], server.state()["version"]);
}

#[test]
fn shards_that_cannot_be_are_told_with_status_2() {
    for (value, says) in [
        ("0/1", "there have to be 2 shards or more"),
        ("0/0", "there have to be 2 shards or more"),
        ("4/4", "of 4 shards the last is 3"),
        ("1", "expected I/N, such as 0/4"),
        ("a/4", "expected two whole numbers"),
        ("-1/4", "expected two whole numbers"),
        ("", "expected I/N, such as 0/4"),
    ] {
        for command in [&["serve", "--data", "seed_data.csv"][..], &["check", "seed_data.csv"]] {
            let ended = run(&mut waybill(&[command, &[&format!("--shard={value}")]].concat()));
            assert!(ended.code == Some(2) && ended.stderr.contains(says), "{value}: {ended:?}");
        }
    }
}
