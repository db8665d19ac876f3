//! Versions that a client can hold on to: `version=`, 410 and `If-Match`.

use crate::support::{SEED, Server, csv, row};
use serde_json::Value;

/// So many shipments, all of which say which file they are from.
fn shipments(count: usize, status: &str) -> String {
    let rows = (0..count).map(|number| row(&format!("TN{number}"), "DHL").replace("scanned", status));
    csv(&rows.collect::<Vec<_>>())
}

/// A server that serves the second of two files and keeps the first, with the versions of both.
fn keeping() -> (Server, String, String) {
    let server = Server::start(shipments(25, "first"), &["--keep-previous"]);
    let first = server.version();
    server.replace(shipments(25, "second"));
    assert_eq!(server.reload().json()["result"], "ok");
    let second = server.version();
    (server, first, second)
}

const TARGETS: [&str; 6] = [
    "/v1/shipments/DHL/TN7?",
    "/v1/shipments/TN7?",
    "/v1/shipments?",
    "/v1/shipments?carrier=DHL&limit=200&",
    "/v1/facets?",
    "/v1/facets?carrier=DHL&",
];

#[test]
fn a_version_that_is_kept_is_answered_from_with_its_own_tag() {
    let (server, first, second) = keeping();
    for target in TARGETS {
        for (version, status) in [(&first, "first"), (&second, "second")] {
            let answer = server.get(&format!("{target}version={version}"));
            assert_eq!((answer.status, answer.field("etag")), (200, Some(format!("\"{version}\""))), "{target}");
            assert!(answer.text().contains(status), "{target}: {}", answer.text());
        }
        assert!(server.get(target).text().contains("second"), "{target}");
        let known = format!("If-None-Match: \"{first}\"");
        let mut client = server.client();
        assert_eq!(client.request("GET", &format!("{target}version={first}"), &[&known]).status, 304, "{target}");
        assert_eq!(client.request("GET", target, &[&known]).status, 200, "{target}");
        let head = client.request("HEAD", &format!("{target}version={first}"), &[]);
        assert_eq!((head.status, head.field("etag")), (200, Some(format!("\"{first}\""))), "{target}");
    }
    assert_eq!(server.get(&format!("/v1/shipments/DHL/TN7?a=1&version={first}&b=%zz")).status, 200);
    server.get(&format!("/v1/shipments/DHL/TN99?version={first}")).problem(404, "shipment_not_found");
}

#[test]
fn a_version_that_is_not_served_is_gone_and_the_current_one_is_named() {
    let server = Server::start(shipments(2, "first"), &[]);
    let first = server.version();
    server.replace(shipments(2, "second"));
    assert_eq!(server.reload().json()["result"], "ok");
    let second = server.version();
    let detail = format!("this version is not served, or no longer; the current one is {second}");
    for target in TARGETS {
        for gone in [&*first, "0", "%C3%A4", "00000000000000000000000000000000"] {
            let target = format!("{target}version={gone}");
            assert_eq!(server.get(&target).problem(410, "version_gone"), detail, "{target}");
        }
    }
}

#[test]
fn an_unusable_version_is_named() {
    let server = Server::start(SEED, &[]);
    let current = server.version();
    for target in TARGETS {
        let target = target.replace("TN7", "TN12345678");
        let empty = server.get(&format!("{target}version=")).problem(400, "invalid_parameter");
        assert_eq!(empty, "version: a version is expected, as /v1/dataset names it");
        for escape in ["%zz", "%ff"] {
            server.get(&format!("{target}version={escape}")).problem(400, "invalid_parameter");
        }
        let twice = format!("{target}version={current}&version={current}");
        assert_eq!(server.get(&twice).problem(400, "invalid_parameter"), "version: given twice; once is allowed");
    }
    // The list that moves over from Django ignores what it does not know, and batches have no query.
    assert_eq!(server.get("/shipment/list/?version=0").status, 200);
}

/// All shipments, page by page from `first` on, and what `turn` does between two pages.
fn page_through(server: &Server, first: &str, mut turn: impl FnMut()) -> Result<Vec<Value>, String> {
    let (mut next, mut all) = (Some(first.to_owned()), Vec::new());
    while let Some(target) = next {
        let answer = server.get(&target);
        if answer.status == 410 {
            return Err(answer.problem(410, "version_gone"));
        }
        let page = answer.json();
        all.extend(page["results"].as_array().unwrap().clone());
        next = page["next"].as_str().map(|url| url[url.find("/v1/").unwrap()..].to_owned());
        turn();
    }
    Ok(all)
}

#[test]
fn pages_of_a_version_link_to_it_and_are_of_one_dataset_or_end() {
    let (server, first, second) = keeping();
    let page = server.get(&format!("/v1/shipments?version={first}&limit=10&offset=10")).json();
    assert!(page["next"].as_str().unwrap().ends_with(&format!("/v1/shipments?version={first}&limit=10&offset=20")));
    assert!(page["previous"].as_str().unwrap().ends_with(&format!("/v1/shipments?version={first}&limit=10")));

    let mut file = 2;
    let mut reload = || {
        file += 1;
        server.replace(shipments(25, &format!("file {file}")));
        assert_eq!(server.reload().json()["result"], "ok");
    };
    // One reload on the way: what was current then is kept.
    let mut reloads = 1;
    let start = format!("/v1/shipments?version={second}&limit=5");
    let all = page_through(&server, &start, || {
        if reloads > 0 {
            reloads -= 1;
            reload();
        }
    });
    let all = all.unwrap();
    assert_eq!(all.len(), 25);
    assert!(all.iter().all(|shipment| shipment["status"] == "second"));
    // Two are too many, and the client is told.
    let start = format!("/v1/shipments?version={}&limit=5", server.version());
    let gone = page_through(&server, &start, &mut reload).unwrap_err();
    assert!(gone.contains(&server.version()), "{gone}");
}

#[test]
fn over_two_replicas_that_reload_at_different_times_a_client_sees_one_version_or_is_told() {
    let replicas = [(); 2].map(|()| Server::start(shipments(25, "file 0"), &["--keep-previous"]));
    let mut loaded = [0, 0];
    let mut turn = 0;
    let (mut whole, mut gone) = (0, 0);
    for first_page in 0..60 {
        // As behind a load balancer: each page from another replica, and every few pages one of them reloads.
        let version = replicas[first_page % 2].version();
        let (mut next, mut all) = (Some(format!("/v1/shipments?version={version}&limit=4")), Vec::new());
        while let Some(target) = next.take() {
            turn += 1;
            let answer = replicas[turn % 2].get(&target);
            if answer.status == 410 {
                answer.problem(410, "version_gone");
                all.clear();
                gone += 1;
                break;
            }
            let page = answer.json();
            all.extend(page["results"].as_array().unwrap().iter().map(|shipment| shipment["status"].to_string()));
            next = page["next"].as_str().map(|url| url[url.find("/v1/").unwrap()..].to_owned());
            if turn % 9 == 0 {
                // The one that is behind catches up, or the first goes ahead.
                let behind = usize::from(loaded[0] > loaded[1]);
                loaded[behind] += 1;
                replicas[behind].replace(shipments(25, &format!("file {}", loaded[behind])));
                assert_eq!(replicas[behind].reload().json()["result"], "ok");
            }
        }
        if !all.is_empty() {
            assert_eq!(all.len(), 25);
            assert!(all.iter().all(|status| *status == all[0]), "{all:?}");
            whole += 1;
        }
    }
    assert!(whole > 5 && gone > 5, "{whole} whole, {gone} gone");
}

#[test]
fn both_versions_stay_served_while_a_rollback_changes_their_places() {
    let (server, first, second) = keeping();
    std::thread::scope(|scope| {
        let askers: Vec<_> = [(&first, "first"), (&second, "second")]
            .into_iter()
            .map(|(version, status)| {
                let mut client = server.client();
                scope.spawn(move || {
                    for _ in 0..2000 {
                        let answer = client.request("GET", &format!("/v1/shipments/DHL/TN1?version={version}"), &[]);
                        assert!(answer.status == 200 && answer.text().contains(status), "{}", answer.text());
                    }
                })
            })
            .collect();
        while askers.iter().any(|asker| !asker.is_finished()) {
            assert_eq!(server.admin_post("/-/rollback").status, 200);
        }
        for asker in askers {
            asker.join().unwrap();
        }
    });
}

#[test]
fn if_match_lets_through_what_has_the_tag_and_nothing_else() {
    let server = Server::start(SEED, &[]);
    let tag = format!("\"{}\"", server.version());
    let mut client = server.client();
    let detail = format!("If-Match names another entity tag than {tag}");
    for target in [
        "/v1/shipments/DHL/TN12345678",
        "/v1/shipments/TN12345678",
        "/v1/shipments",
        "/v1/shipments?carrier=DHL&limit=500",
        "/v1/facets",
        "/v1/facets?carrier=DHL",
        "/v1/dataset",
        "/shipment/list/",
    ] {
        for matching in [tag.clone(), format!("\"a\", {tag}"), "*".to_owned(), format!("W/\"a\" , {tag}")] {
            let field = format!("If-Match: {matching}");
            assert_eq!(client.request("GET", target, &[&field]).status, 200, "{target} {field}");
            assert_eq!(client.request("HEAD", target, &[&field]).status, 200, "{target} {field}");
        }
        assert_eq!(client.request("GET", target, &["If-Match: \"a\"", &format!("If-Match: {tag}")]).status, 200);
        for other in ["\"a\"".to_owned(), format!("W/{tag}"), "\"a\", \"b\"".to_owned(), "a".to_owned()] {
            let field = format!("If-Match: {other}");
            let answer = client.request("GET", target, &[&field]);
            assert_eq!(answer.problem(412, "precondition_failed"), detail, "{target} {field}");
            // It goes before If-None-Match (RFC 9110, section 13.2.2).
            let known = format!("If-None-Match: {tag}");
            assert_eq!(client.request("GET", target, &[&field, &known]).status, 412, "{target}");
            assert_eq!(client.request("HEAD", target, &[&field]).status, 412, "{target}");
        }
        let both = [&*format!("If-Match: {tag}"), &format!("If-None-Match: {tag}")];
        assert_eq!(client.request("GET", target, &both).status, 304, "{target}");
    }
    // What is no success is none with it either.
    for (target, status) in [("/v1/shipments/DHL/none", 404), ("/v1/shipments?limit=0", 400), ("/nothing", 404)] {
        assert_eq!(client.request("GET", target, &["If-Match: \"a\""]).status, status, "{target}");
    }
}

#[test]
fn batches_and_documents_heed_if_match_too() {
    let server = Server::start(SEED, &[]);
    let tag = format!("\"{}\"", server.version());
    let mut client = server.client();
    let mut batch = |tag: &str| {
        let body = r#"{"lookups":[{"tracking_number":"TN12345678"}]}"#;
        client.send(crate::support::client::post("/v1/lookup", &[&format!("If-Match: {tag}")], body));
        client.answer_to("POST").status
    };
    assert_eq!((batch(&tag), batch("*"), batch("\"a\"")), (200, 200, 412));
    let document = server.get("/openapi.json");
    for (tag, status) in [(&*document.field("etag").unwrap(), 200), ("\"a\"", 412)] {
        assert_eq!(server.client().request("GET", "/openapi.json", &[&format!("If-Match: {tag}")]).status, status);
    }
}
