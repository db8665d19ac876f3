//! `GET /v1/changes`: what changed since a version.

use serde_json::{Value, json};

use crate::support::{HEADER, SEED, Server, csv, row, row_with_status, secrets};

const CHANGES: [&str; 2] = ["--changes", "3"];

/// The whole answer to what changed since `version`.
fn since(server: &Server, version: &str) -> Value {
    let answer = server.get(&format!("/v1/changes?since={version}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The kinds and numbers of changes.
fn named(answer: &Value) -> Vec<String> {
    let name = |change: &Value| format!("{} {}", change["kind"], change["tracking_number"]).replace('"', "");
    answer["results"].as_array().unwrap().iter().map(name).collect()
}

/// The path and query of a link.
fn target(link: &Value) -> String {
    let link = link.as_str().unwrap();
    link[link.find("/v1/").unwrap()..].to_owned()
}

#[test]
fn the_dataset_names_the_version_before() {
    let [old, new] = ["a", "b"].map(|status| csv(&[row_with_status("TN1", "DHL", status)]));
    assert_eq!(Server::start(old.clone(), &[]).get("/v1/dataset").json().get("previous_version"), None);
    let server = Server::start(old.clone(), &["--changes", "1"]);
    let assert_previous = |previous: Option<&str>| {
        let answer = server.get("/v1/dataset");
        let body = answer.json();
        assert_eq!(body["previous_version"], json!(previous), "{body}");
        assert!(body.get("previous_version").is_some());
        assert_eq!(answer.field("etag"), Some(format!("\"{}\"", body["version"].as_str().unwrap())));
        previous.map(|previous| since(&server, previous)["count"].as_u64().unwrap())
    };
    let first = server.version();
    assert_eq!(assert_previous(None), None);
    let second = server.publish(&new);
    assert_eq!(assert_previous(Some(&first)), Some(1));
    // A version that comes again is the same one, with another one before it.
    assert_eq!(server.publish(&old), first);
    assert_eq!(assert_previous(Some(&second)), Some(1));
}

#[test]
fn a_change_is_told_as_the_contract_says() {
    let old = [
        row_with_status("TN1", "DHL", "a"),
        row_with_status("TN2", "UPS", "b"),
        row_with_status("TN3", "GLS", "c\u{e9}"),
    ];
    let server = Server::start(csv(&old), &CHANGES);
    let first = server.version();
    let nothing = server.get(&format!("/v1/changes?since={first}"));
    assert_eq!(
        nothing.text(),
        format!(r#"{{"since":"{first}","version":"{first}","count":0,"next":null,"results":[]}}"#)
    );

    let second = server.publish(csv(&[
        row_with_status("TN4", "\"D \"\"P\"\"\"", "d"),
        row_with_status("tn1", "DHL", "e").replace("to,", "there,"),
    ]));
    let expected = [
        r#"{"kind":"added","carrier":"D \"P\"","tracking_number":"TN4","status":"d","previous_status":null}"#,
        r#"{"kind":"changed","carrier":"DHL","tracking_number":"tn1","status":"e","previous_status":"a","fields":["tracking_number","status","receiver_address"]}"#,
        r#"{"kind":"removed","carrier":"UPS","tracking_number":"TN2","status":null,"previous_status":"b"}"#,
        r#"{"kind":"removed","carrier":"GLS","tracking_number":"TN3","status":null,"previous_status":"cé"}"#,
    ];
    let expected = expected.join(",");
    let answer = server.get(&format!("/v1/changes?since={first}"));
    let body = format!(r#"{{"since":"{first}","version":"{second}","count":4,"next":null,"results":[{expected}]}}"#);
    assert_eq!(answer.text(), body);
    assert_eq!(answer.field("content-type").as_deref(), Some("application/json"));
    assert_eq!(answer.field("x-content-type-options").as_deref(), Some("nosniff"));
    let head = server.client().request("HEAD", &format!("/v1/changes?since={first}"), &[]);
    assert_eq!((head.status, head.content_length()), (200, Some(body.len())));
    server.stop();
}

#[test]
fn every_member_that_differs_is_named() {
    let server = Server::start(csv(&[row("TN1", "DHL"), row("TN2", "DHL"), row("TN3", "DHL")]), &CHANGES);
    let first = server.version();
    let changed = [
        row("TN1", "dhl").replace("from", "elsewhere"),
        row("TN2", "DHL").replace("800", "800.0"),
        row("TN3", "DHL"),
        row("TN3", "DHL").replace("Laptop", "Mouse"),
    ];
    server.publish(csv(&changed));
    let answer = since(&server, &first);
    let fields: Vec<&Value> = answer["results"].as_array().unwrap().iter().map(|change| &change["fields"]).collect();
    assert_eq!(fields, [&json!(["carrier", "sender_address"]), &json!(["articles"]), &json!(["articles"])]);
    server.stop();
}

#[test]
fn from_one_version_over_another_and_back_nothing_has_changed() {
    let server = Server::start(
        csv(&[row_with_status("TN1", "DHL", "a"), row_with_status("TN2", "DHL", "a")]),
        &["--changes", "5", "--keep-previous"],
    );
    let first = server.version();
    let second = server.publish(csv(&[row_with_status("TN1", "DHL", "b"), row_with_status("TN3", "DHL", "a")]));
    assert_eq!(named(&since(&server, &first)), ["changed TN1", "added TN3", "removed TN2"]);
    assert_eq!(server.publish(csv(&[row_with_status("TN1", "DHL", "a"), row_with_status("TN2", "DHL", "a")])), first);
    assert_eq!(since(&server, &first)["count"], 0);
    assert_eq!(named(&since(&server, &second)), ["changed TN1", "added TN2", "removed TN3"]);
    assert_eq!(server.admin_post("/-/rollback").status, 200);
    assert_eq!(named(&since(&server, &first)), ["changed TN1", "added TN3", "removed TN2"]);
    assert_eq!(since(&server, &second)["count"], 0);
    // A file that is refused, one that is only tried and one that is the same leave everything as it is.
    server.replace("no header");
    assert_eq!(server.reload().status, 422);
    server.replace(csv(&[row_with_status("TN1", "DHL", "c"), row_with_status("TN3", "DHL", "a")]));
    assert_eq!(server.admin_post("/-/reload?dry_run=true").json()["result"], "ok");
    server.replace(csv(&[row_with_status("TN1", "DHL", "b"), row_with_status("TN3", "DHL", "a")]));
    assert_eq!(server.reload().json()["result"], "unchanged");
    assert_eq!(named(&since(&server, &first)), ["changed TN1", "added TN3", "removed TN2"]);
    server.stop();
}

#[test]
fn those_that_came_and_changed_are_in_the_files_order_and_those_that_went_by_publication() {
    let file = |numbers: &[&str], status: &str| {
        csv(&numbers.iter().map(|number| row_with_status(number, "DHL", status)).collect::<Vec<_>>())
    };
    let server = Server::start(file(&["TN1", "TN2", "TN3", "TN4", "TN5", "TN6"], "a"), &CHANGES);
    let first = server.version();
    // What went last in one file and first in another; what went, came back and went again.
    server.publish(file(&["TN6", "TN3", "TN2", "TN1"], "a"));
    server.publish(file(&["TN6", "TN5", "TN3", "TN1"], "b"));
    server.publish(file(&["TN7", "TN3", "TN1"], "b"));
    let expected =
        ["added TN7", "changed TN3", "changed TN1", "removed TN4", "removed TN2", "removed TN6", "removed TN5"];
    assert_eq!(named(&since(&server, &first)), expected);
    server.stop();
}

#[test]
fn pages_lead_through_all_changes_and_are_of_one_version_or_end() {
    let file = |count: usize, status: &str| {
        csv(&(0..count)
            .map(|number| row_with_status(&format!("TN{number}"), "DHL & Söhne", status))
            .collect::<Vec<_>>())
    };
    let server = Server::start(file(250, "a"), &CHANGES);
    let first = server.version();
    let second = server.publish(file(240, "b"));
    let page = since(&server, &first);
    assert_eq!((&page["count"], page["results"].as_array().unwrap().len()), (&json!(250), 100));
    let next = target(&page["next"]);
    assert!(next.starts_with(&format!("/v1/changes?since={first}&version={second}&cursor=100-")), "{next}");
    for limit in [7, 125, 1000] {
        let (mut link, mut all) =
            (format!("/v1/changes?since={first}&limit={limit}&carrier=dhl+%26+s%C3%B6hne"), Vec::new());
        loop {
            let page = server.get(&link).json();
            assert_eq!((&page["count"], &page["version"]), (&json!(250), &json!(second)));
            all.extend(named(&page));
            if page["next"].is_null() {
                break;
            }
            link = target(&page["next"]);
        }
        let numbers =
            (0..240).map(|at| format!("changed TN{at}")).chain((240..250).map(|at| format!("removed TN{at}")));
        assert_eq!(all, numbers.collect::<Vec<_>>());
    }
    let third = server.publish(file(240, "c"));
    let detail = server.get(&next).problem(410, "version_gone");
    assert!(detail.ends_with(&format!("the current version is {third}")), "{detail}");
    assert_eq!(since(&server, &first)["count"], 250);
    server.stop();
}

#[test]
fn pages_of_two_orders_are_not_mixed() {
    let file = |numbers: &[&str]| csv(&numbers.iter().map(|number| row(number, "DHL")).collect::<Vec<_>>());
    let server = Server::start(file(&["TN1", "TN2", "TN3"]), &["--changes", "9"]);
    let first = server.version();
    let last = server.publish(file(&["TN3"]));
    let link = format!("/v1/changes?since={first}&limit=1");
    let answer = server.get(&link);
    let (page, etag) = (answer.json(), answer.field("etag").unwrap());
    assert_eq!(named(&page), ["removed TN1"]);
    let next = target(&page["next"]);
    assert_eq!(named(&server.get(&next).json()), ["removed TN2"]);
    // The same version again, in which the first one of them went later than the other.
    server.publish(file(&["TN1", "TN3"]));
    assert_eq!(server.publish(file(&["TN3"])), last);
    server.get(&next).problem(410, "version_gone");
    let again = server.client().request("GET", &link, &[&format!("If-None-Match: {etag}")]);
    let other = again.field("etag").unwrap();
    assert!(etag.starts_with(&format!("\"{last}-")) && other.starts_with(&format!("\"{last}-")), "{etag} {other}");
    let same = server.client().request("GET", &link, &[&format!("If-None-Match: {other}")]);
    assert_eq!((same.status, same.field("etag")), (304, Some(other)));
    assert_eq!(named(&again.json()), ["removed TN2"]);
    assert_eq!(named(&server.get(&target(&again.json()["next"])).json()), ["removed TN1"]);
    server.stop();
}

#[test]
fn filters_are_those_of_the_entries_members() {
    let server = Server::start(
        csv(&[
            row_with_status("TN1", "DHL", "a"),
            row_with_status("TN2", "UPS", "a"),
            row_with_status("TN3", "UPS", "a"),
        ]),
        &CHANGES,
    );
    let first = server.version();
    server.publish(csv(&[
        row_with_status("TN1", "DHL", "b b"),
        row_with_status("TN2", "UPS", "c"),
        row_with_status("TN4", "GLS", "b b"),
    ]));
    let filtered = |filters: &str| {
        let answer = server.get(&format!("/v1/changes?since={first}&{filters}")).json();
        assert_eq!(answer["count"], answer["results"].as_array().unwrap().len());
        named(&answer)
    };
    assert_eq!(filtered("carrier=ups"), ["changed TN2", "removed TN3"]);
    assert_eq!(filtered("carrier=%20UPS+&carrier=gls"), ["changed TN2", "added TN4", "removed TN3"]);
    assert_eq!(filtered("status=B+B"), ["changed TN1", "added TN4"]);
    assert_eq!(filtered("status=a"), [""; 0]);
    assert_eq!(filtered("kind=removed&kind=added"), ["added TN4", "removed TN3"]);
    assert_eq!(filtered("kind=changed&carrier=dhl&status=b%20b"), ["changed TN1"]);
    assert_eq!(filtered("carrier=nobody"), [""; 0]);
    server.stop();
}

#[test]
fn parameters_that_cannot_be_used_are_named() {
    let server = Server::start(SEED, &CHANGES);
    let current = server.version();
    let refused = |query: &str| server.get(&format!("/v1/changes{query}")).problem(400, "invalid_parameter");
    for query in ["", "?", "?since=", "?limit=10", "?since"] {
        assert_eq!(refused(query), "since: a version is expected, as /v1/dataset names it", "{query}");
    }
    for (parameter, expected) in [
        ("since=0", "since: given twice; once is allowed"),
        ("limit=0", "limit: a number from 1 to 1000 is expected"),
        ("limit=1001", "limit: a number from 1 to 1000 is expected"),
        ("limit=-1", "limit: a number from 1 to 1000 is expected"),
        ("limit=1&limit=2", "limit: given twice; once is allowed"),
        ("version=", "version: a version is expected, as /v1/dataset names it"),
        ("version=1&version=1", "version: given twice; once is allowed"),
        ("kind=Added", "kind: added, changed or removed is expected"),
        ("kind=", "kind: added, changed or removed is expected"),
        ("carrier=+", "carrier: the value is empty; what is not to be filtered by is left out"),
        ("status=", "status: the value is empty; what is not to be filtered by is left out"),
        ("cursor=1", "cursor: one is expected that a next page had"),
        ("cursor=1-x", "cursor: one is expected that a next page had"),
        ("cursor=1-0&cursor=1-0", "cursor: given twice; once is allowed"),
        (
            "carier=DHL",
            "carier: no such parameter; there are since, carrier, status, kind, limit, version, cursor; did you mean carrier?",
        ),
        ("offset=0", "offset: no such parameter; there are since, carrier, status, kind, limit, version, cursor"),
        (
            "sender_city=Berlin",
            "sender_city: no such parameter; there are since, carrier, status, kind, limit, version, cursor",
        ),
    ] {
        assert_eq!(refused(&format!("?since={current}&{parameter}")), expected);
    }
    refused(&format!("?since={current}&carrier=%zz"));
    refused(&format!("?since={current}&carrier=%ff"));
    assert_eq!(server.client().request("POST", "/v1/changes", &["Content-Length: 0"]).status, 405);
    server.stop();
}

#[test]
fn a_version_that_is_unknown_or_forgotten_is_gone_and_the_current_one_is_named() {
    let server = Server::start(csv(&[row_with_status("TN1", "DHL", "0")]), &["--changes", "2", "--keep-previous"]);
    let mut versions = vec![server.version()];
    for status in ["1", "2", "3"] {
        versions.push(server.publish(csv(&[row_with_status("TN1", "DHL", status)])));
    }
    let current = &versions[3];
    let detail = format!(
        "changes since this version, or between these two, are not known, or no longer; the current version is {current}"
    );
    let gone = [&*versions[0], "0", "%22", "00000000000000000000000000000000"];
    for gone in gone {
        assert_eq!(server.get(&format!("/v1/changes?since={gone}")).problem(410, "version_gone"), detail);
    }
    // The version before may be served, but changes lead to the current one alone.
    let of_before = format!("/v1/changes?since={}&version={}", versions[1], versions[2]);
    assert_eq!(server.get(&of_before).problem(410, "version_gone"), detail);
    for (at, count) in [(1, 1), (2, 1), (3, 0)] {
        assert_eq!(since(&server, &versions[at])["count"], count);
    }
    assert_eq!(server.get(&format!("/v1/changes?since={}&version={current}", versions[1])).status, 200);
    assert_eq!(server.metric("waybill_changes_gone_total"), 5);
    assert_eq!(server.metric("waybill_changes_versions"), 2);
    assert!((100..1000).contains(&server.metric("waybill_changes_bytes")));
    server.stop();
}

#[test]
fn changes_that_take_too_much_memory_are_forgotten() {
    let file =
        |status: &str| csv(&(0..3000).map(|at| row_with_status(&format!("TN{at}"), "DHL", status)).collect::<Vec<_>>());
    let server = Server::start(file("a"), &["--changes", "9,64KiB"]);
    let first = server.version();
    let few = |count: usize| file("a").replacen(",a\n", ",b\n", count);
    let second = server.publish(few(500));
    assert_eq!(since(&server, &first)["count"], 500);
    let third = server.publish(few(1500));
    assert_eq!(server.get(&format!("/v1/changes?since={first}")).status, 410);
    assert_eq!(since(&server, &second)["count"], 1000);
    assert!(server.metric("waybill_changes_bytes") <= 64 << 10);
    // One that alone is too large.
    let fourth = server.publish(file("c"));
    for gone in [&first, &second, &third] {
        assert_eq!(server.get(&format!("/v1/changes?since={gone}")).status, 410);
    }
    assert_eq!((server.metric("waybill_changes_versions"), server.metric("waybill_changes_bytes")), (0, 0));
    server.publish(file("c").replacen(",c\n", ",d\n", 1));
    assert_eq!(since(&server, &fourth)["count"], 1);
    server.stop();
}

#[test]
fn answers_have_the_tag_of_the_served_version_and_are_revalidated() {
    let server = Server::start(csv(&[row_with_status("TN1", "DHL", "a")]), &CHANGES);
    let first = server.version();
    let second = server.publish(csv(&[row_with_status("TN1", "DHL", "b")]));
    let link = format!("/v1/changes?since={first}");
    let answer = server.get(&link);
    let etag = format!("\"{second}\"");
    assert_eq!(answer.field("etag").as_ref(), Some(&etag));
    assert_eq!(answer.field("cache-control").as_deref(), Some("no-cache"));
    assert_eq!(answer.field("vary"), None);
    let mut client = server.client();
    let known = format!("If-None-Match: W/{etag}");
    let not_modified = client.request("GET", &link, &[&known]);
    assert_eq!((not_modified.status, not_modified.field("etag").as_ref()), (304, Some(&etag)));
    assert_eq!(client.request("GET", "/v1/changes?since=0", &[&known]).status, 410);
    assert_eq!(client.request("GET", &link, &[&format!("If-None-Match: \"{first}\"")]).status, 200);
    assert_eq!(client.request("GET", &link, &[&format!("If-Match: {etag}")]).status, 200);
    client.request("GET", &link, &[&format!("If-Match: \"{first}\"")]).problem(412, "precondition_failed");
    server.stop();
}

#[test]
fn a_key_needs_the_scope_of_feeds() {
    let keys = secrets("feed:key-of-feeds scope=feed\nother:key-of-others scope=lookup,list\n");
    let server = Server::start(SEED, &[&CHANGES[..], &["--api-keys-file", keys.path().to_str().unwrap()]].concat());
    let mut client = server.client();
    let version = client.request("GET", "/v1/dataset", &["X-API-Key: key-of-feeds"]).json()["version"].clone();
    let link = format!("/v1/changes?since={}", version.as_str().unwrap());
    client.get(&link).problem(401, "unauthorized");
    client.request("GET", &link, &["X-API-Key: key-of-others"]).problem(403, "forbidden");
    let answer = client.request("GET", &link, &["X-API-Key: key-of-feeds"]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("cache-control").as_deref(), Some("private, no-cache"));
    assert_eq!(answer.field("vary").as_deref(), Some("authorization, x-api-key"));
    let limited = Server::start(SEED, &[&CHANGES[..], &["--anonymous", "lookup", "--public-view", "limited"]].concat());
    limited.get(&link).problem(401, "unauthorized");
    server.stop();
    limited.stop();
}

#[test]
fn without_the_flag_there_are_no_changes() {
    let server = Server::start(SEED, &[]);
    for query in ["", "?since=0", &format!("?since={}", server.version())] {
        server.get(&format!("/v1/changes{query}")).problem(404, "route_not_found");
    }
    let post = server.client().request("POST", "/v1/changes", &["Content-Length: 0"]);
    post.problem(404, "route_not_found");
    assert!(!server.admin_get("/metrics").text().contains("waybill_changes"));
    server.stop();
}

#[test]
fn a_page_over_the_limit_of_an_answer_is_refused() {
    // Escaped, each character has six bytes.
    let row = |number: u32| row(&format!("TN{number}{}", "\u{1}".repeat(900_000)), "DHL") + "\n";
    let large = format!("{HEADER}\n{}", (0..14).map(row).collect::<String>());
    let server = Server::start(large, &["--changes", "3,200MiB"]);
    let first = server.version();
    server.publish(SEED);
    let removed = format!("/v1/changes?since={first}&kind=removed");
    let detail = server.get(&removed).problem(422, "answer_too_large");
    assert_eq!(detail, "the page would have more than 67108864 bytes; ask for fewer changes");
    let page = server.get(&format!("{removed}&limit=2"));
    assert_eq!((page.status, page.json()["results"].as_array().unwrap().len()), (200, 2));
    server.stop();
}

#[test]
fn a_map_of_statuses_that_changes_is_a_change_of_stages() {
    let dir = tempfile::tempdir().unwrap();
    let map = dir.path().join("map.toml");
    let put = |stage: &str| std::fs::write(&map, format!("[default]\na = \"{stage}\"\nb = \"delivered\"\n")).unwrap();
    put("in_transit");
    let rows = csv(&[
        row_with_status("TN1", "DHL", "a"),
        row_with_status("TN2", "DHL", "b"),
        row_with_status("TN3", "DHL", "c"),
    ]);
    let server = Server::start(&rows, &[&CHANGES[..], &["--status-map", map.to_str().unwrap()]].concat());
    let first = server.version();
    put("out_for_delivery");
    let second = server.publish(&rows);
    assert_eq!(
        since(&server, &first)["results"],
        json!([{"kind": "changed", "carrier": "DHL", "tracking_number": "TN1", "status": "a", "previous_status": "a", "fields": ["stage"]}])
    );
    // To another status of the stage before, over two steps.
    server.publish(rows.replace(",a\n", ",b\n"));
    assert_eq!(since(&server, &first)["results"][0]["fields"], json!(["status", "stage"]));
    put("in_transit");
    assert_eq!(server.publish(&rows), first);
    assert_eq!(since(&server, &first)["count"], 0);
    assert_eq!(since(&server, &second)["results"][0]["fields"], json!(["stage"]));
    server.stop();
}
