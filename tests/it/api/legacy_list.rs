//! The list that clients of the Django service use, asked of the real binary.

use crate::support::client::{Answer, Client};
use crate::support::{SEED, Server, csv, row, shipment};
use serde_json::{Value, json};

const URL: &str = "http://waybill.test/shipment/list/";

fn get(client: &mut Client, query: &str) -> Answer {
    let answer = client.get(&format!("/shipment/list/{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer
}

/// `next` and `previous`, without what all begin with.
fn links(answer: &Answer) -> [Option<String>; 2] {
    let body = answer.json();
    ["next", "previous"].map(|key| match &body[key] {
        Value::Null => None,
        link => Some(link.as_str().unwrap().strip_prefix(URL).unwrap().to_owned()),
    })
}

fn assert_links(client: &mut Client, query: &str, next: Option<&str>, previous: Option<&str>) {
    assert_eq!(links(&get(client, query)), [next, previous].map(|link| link.map(str::to_owned)), "{query}");
}

/// The tracking numbers on a page.
fn numbers(answer: &Answer) -> Vec<String> {
    let results = answer.json()["results"].as_array().unwrap().clone();
    results.iter().map(|shipment| shipment["tracking_number"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_documented_links_of_five_shipments() {
    let server = Server::start(SEED, &[]);
    let client = &mut server.client();
    assert_links(client, "?limit=2&offset=1", Some("?limit=2&offset=3"), Some("?limit=2"));
    assert_links(client, "?limit=3&carrier=", Some("?carrier=&limit=3&offset=3"), None);
    assert_links(client, "?offset=99&limit=2", None, Some("?limit=2&offset=97"));
    assert_eq!(numbers(&get(client, "?limit=2&offset=1")), ["TN12345679", "TN12345680"]);
    let past = get(client, "?offset=99&limit=2");
    assert_eq!((numbers(&past).len(), past.json()["count"].clone()), (0, json!(5)));
}

#[test]
fn a_page_is_answered_byte_for_byte() {
    let server = Server::start(csv(&[row("TN1", "DHL"), row("TN2", "UPS"), row("TN3", "dhl")]), &[]);
    let answer = server.get("/shipment/list/?carrier=DHL&limit=1");
    let expected = format!(
        r#"{{"count":2,"next":"{URL}?carrier=DHL&limit=1&offset=1","previous":null,"results":[{}]}}"#,
        shipment("TN1", "DHL")
    );
    assert_eq!((answer.status, answer.text()), (200, expected.as_str()));
    assert_eq!(answer.field("content-type").as_deref(), Some("application/json"));
    assert_eq!(answer.field("cache-control").as_deref(), Some("no-cache"));
    let nothing = server.get("/shipment/list/?tracking_number=nowhere");
    assert_eq!((nothing.status, nothing.text()), (200, r#"{"count":0,"next":null,"previous":null,"results":[]}"#));
}

#[test]
fn filters_are_trimmed_case_blind_and_none_where_they_are_empty() {
    let server = Server::start(SEED, &[]);
    let client = &mut server.client();
    for (query, count) in [
        ("", 5),
        ("?", 5),
        ("?carrier=dhl", 1),
        ("?carrier=%20DHL+", 1),
        ("?tracking_number=+tn12345678%09", 1),
        ("?tracking_number=TN12345678&carrier=DHL", 1),
        ("?tracking_number=TN12345678&carrier=ups", 0),
        ("?carrier=", 5),
        ("?carrier", 5),
        ("?carrier=++&tracking_number=", 5),
        ("?carrier=nobody", 0),
        // Of a repeated one the last counts.
        ("?carrier=nobody&carrier=dhl", 1),
        ("?carrier=dhl&carrier=nobody", 0),
        ("?carrier=dhl&carrier=", 5),
        // Others are ignored.
        ("?status=nothing&sender_city=x&Carrier=x&page=7", 5),
    ] {
        assert_eq!(get(client, query).json()["count"], count, "{query}");
    }
}

#[test]
fn limits_and_offsets_that_cannot_be_used_are_as_if_not_there() {
    let rows: Vec<String> = (0..1100).map(|number| row(&format!("N{number}"), "DHL")).collect();
    let server = Server::start(csv(&rows), &[]);
    let client = &mut server.client();
    for (limit, shown) in [
        ("", 10),
        ("0", 10),
        ("-5", 10),
        ("ten", 10),
        ("1.5", 10),
        ("1e2", 10),
        ("0x10", 10),
        ("--5", 10),
        ("%2B", 10),
        ("%2B7", 7),
        ("+7+", 7),
        ("007", 7),
        ("999", 999),
        ("1000", 1000),
        ("1001", 1000),
        ("99999999999999999999999", 1000),
        ("-99999999999999999999999", 10),
        ("3&limit=4", 4),
        ("3&limit=", 10),
    ] {
        let answer = get(client, &format!("?limit={limit}"));
        assert_eq!(numbers(&answer).len(), shown, "{limit}");
        assert_eq!(links(&answer), [Some(format!("?limit={shown}&offset={shown}")), None], "{limit}");
    }
    for (offset, first) in
        [("", 0), ("-1", 0), ("-0", 0), ("x", 0), ("1.5", 0), ("+12", 12), ("%2B12", 12), ("5&offset=9", 9)]
    {
        let answer = get(client, &format!("?limit=1&offset={offset}"));
        assert_eq!(numbers(&answer), [format!("N{first}")], "{offset}");
    }
    let far = get(client, "?offset=99999999999999999999999");
    assert!(numbers(&far).is_empty() && links(&far)[1].is_some());
}

#[test]
fn links_have_the_parameters_sorted_form_encoded_and_always_a_limit() {
    let rows: Vec<String> = (0..12).map(|number| row(&format!("N{number}"), "a b&c")).collect();
    let server = Server::start(csv(&rows), &[]);
    let client = &mut server.client();
    for (query, next, previous) in [
        ("", Some("?limit=10&offset=10"), None),
        ("?offset=0", Some("?limit=10&offset=10"), None),
        (
            "?carrier=a%20b%26c&limit=4&offset=4",
            Some("?carrier=a+b%26c&limit=4&offset=8"),
            Some("?carrier=a+b%26c&limit=4"),
        ),
        ("?offset=2&limit=4", Some("?limit=4&offset=6"), Some("?limit=4")),
        ("?offset=8&limit=4", None, Some("?limit=4&offset=4")),
        ("?offset=12&limit=4", None, Some("?limit=4&offset=8")),
        ("?offset=5&limit=4&offset=4", Some("?limit=4&offset=8"), Some("?limit=4")),
        ("?offset=-3", Some("?limit=10&offset=10"), None),
        ("?z=1&b&a=2&z=%7E*%2B&limit=x&%C3%A4=%22", Some("?a=2&b=&limit=10&offset=10&z=1&z=~%2A%2B&%C3%A4=%22"), None),
        ("?offset=11&page=1&tracking_number=&limit=5", None, Some("?limit=5&offset=6&page=1&tracking_number=")),
        ("?carrier=nobody&offset=3", None, Some("?carrier=nobody&limit=10")),
        ("?=x&%0A=%00", Some("?=x&%0A=%00&limit=10&offset=10"), None),
    ] {
        assert_links(client, query, next, previous);
    }
}

#[test]
fn following_the_links_visits_every_shipment_once_and_comes_back() {
    let rows: Vec<String> = (0..23).map(|number| row(&format!("N{number}"), "DHL")).collect();
    let server = Server::start(csv(&rows), &[]);
    let client = &mut server.client();
    let (mut seen, mut query) = (Vec::new(), Some("?limit=5&carrier=dhl".to_owned()));
    let mut last = String::new();
    while let Some(at) = query {
        let answer = get(client, &at);
        seen.extend(numbers(&answer));
        query = links(&answer)[0].clone();
        last = at;
    }
    assert_eq!(seen, (0..23).map(|number| format!("N{number}")).collect::<Vec<_>>());
    let mut pages = 0;
    while let [_, Some(previous)] = links(&get(client, &last)) {
        last = previous;
        pages += 1;
    }
    assert_eq!((pages, last.as_str()), (4, "?carrier=dhl&limit=5"));
}

#[test]
fn without_its_last_slash_it_is_moved_for_good_with_the_query() {
    let server = Server::start(SEED, &[]);
    let client = &mut server.client();
    for (query, kept) in [
        ("", ""),
        ("?carrier=DHL&limit=2", "?carrier=DHL&limit=2"),
        ("?carrier=a%20b+c%26&&x", "?carrier=a%20b+c%26&&x"),
        ("?q=ä{}|^[]\\`", "?q=%C3%A4%7B%7D%7C%5E%5B%5D%5C%60"),
        ("?q=%0D%0AX-Evil:%201", "?q=%0D%0AX-Evil:%201"),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = client.request(method, &format!("/shipment/list{query}"), &[]);
            assert_eq!((answer.status, answer.body.len()), (301, 0), "{query}");
            assert_eq!(answer.field("location"), Some(format!("/shipment/list/{kept}")), "{query}");
            assert_eq!(answer.field("x-evil"), None);
        }
    }
    client.request("POST", "/shipment/list", &[]).problem(405, "method_not_allowed");
    client.get("/shipment/list?carrier=%zz").problem(400, "invalid_parameter");
    for path in ["/shipment", "/shipment/", "/shipment/list//", "/shipment/list/TN12345678"] {
        client.get(path).problem(404, "route_not_found");
    }
}

#[test]
fn bad_escapes_and_bytes_that_are_not_utf8_are_a_400_that_names_the_parameter() {
    let server = Server::start(SEED, &[]);
    for (query, parameter) in [
        ("carrier=%", "carrier"),
        ("limit=2&tracking_number=%4g", "tracking_number"),
        ("unknown=%ff", "unknown"),
        ("a%zz=1", "a%zz"),
        ("offset=%C3%28", "offset"),
    ] {
        let detail = server.get(&format!("/shipment/list/?{query}")).problem(400, "invalid_parameter");
        assert!(detail.starts_with(&format!("{parameter}: ")), "{query}: {detail}");
    }
}

#[test]
fn a_client_that_has_the_page_is_told_so_and_head_is_get_without_the_body() {
    let server = Server::start(SEED, &[]);
    let client = &mut server.client();
    for query in ["", "?limit=500"] {
        let path = format!("/shipment/list/{query}");
        let full = client.get(&path);
        let etag = full.field("etag").unwrap();
        assert_eq!(client.request("GET", &path, &[&format!("If-None-Match: {etag}")]).status, 304);
        let head = client.request("HEAD", &path, &[]);
        assert_eq!((head.status, head.content_length()), (200, Some(full.body.len())));
    }
    let answer = client.request("POST", "/shipment/list/", &[]);
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.field("allow").as_deref(), Some("GET, HEAD"));
}
