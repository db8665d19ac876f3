//! Pages of shipments and their facets, asked of the real binary.

use crate::support::client::{Answer, Client, request};
use crate::support::{HEADER, SEED, Server, csv, row, shipment};
use serde_json::{Value, json};

const URL: &str = "http://waybill.test/v1/shipments";

/// The tracking numbers on a page.
fn numbers(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let results = answer.json()["results"].as_array().unwrap().clone();
    results.iter().map(|shipment| shipment["tracking_number"].as_str().unwrap().to_owned()).collect()
}

fn assert_links(answer: &Answer, previous: Option<&str>, next: Option<&str>) {
    let body = answer.json();
    let url = |query: Option<&str>| query.map_or(Value::Null, |query| json!(format!("{URL}{query}")));
    assert_eq!((&body["previous"], &body["next"]), (&url(previous), &url(next)));
}

/// So many shipments of one carrier, numbered from 0.
fn numbered(shipments: usize) -> String {
    csv(&(0..shipments).map(|number| row(&format!("N{number}"), "DHL")).collect::<Vec<_>>())
}

/// A shipment with a status and a sender's address.
fn from(number: &str, carrier: &str, status: &str, sender: &str) -> String {
    let status = status.replace('"', "\"\"");
    format!("{number},{carrier},\"{sender}\",to,Laptop,1,800,LP1,\"{status}\"")
}

#[test]
fn a_page_is_answered_byte_for_byte() {
    let server = Server::start(csv(&[row("TN1", "DHL"), row("TN2", "UPS"), row("TN3", "dhl")]), &[]);
    let answer = server.get("/v1/shipments?limit=1&carrier=DHL");
    let expected = format!(
        r#"{{"count":2,"next":"{URL}?limit=1&carrier=DHL&offset=1","previous":null,"results":[{}]}}"#,
        shipment("TN1", "DHL")
    );
    assert_eq!((answer.status, answer.text()), (200, expected.as_str()));
    assert_eq!(answer.field("content-type").as_deref(), Some("application/json"));
    assert_eq!(answer.field("cache-control").as_deref(), Some("no-cache"));
    let nothing = server.get("/v1/shipments?carrier=nobody");
    assert_eq!((nothing.status, nothing.text()), (200, r#"{"count":0,"next":null,"previous":null,"results":[]}"#));
}

#[test]
fn pages_of_ten_lead_through_the_file_in_its_order() {
    let server = Server::start(numbered(25), &[]);
    let mut client = server.client();
    let first = client.get("/v1/shipments");
    assert_eq!(numbers(&first), (0..10).map(|number| format!("N{number}")).collect::<Vec<_>>());
    assert_links(&first, None, Some("?offset=10"));
    let second = client.get("/v1/shipments?offset=10");
    assert_links(&second, Some(""), Some("?offset=20"));
    let third = client.get("/v1/shipments?offset=20");
    assert_eq!(numbers(&third), ["N20", "N21", "N22", "N23", "N24"]);
    assert_links(&third, Some("?offset=10"), None);
    assert_eq!(third.json()["count"], 25);
    // Exactly the last ones, and past them.
    assert_links(&client.get("/v1/shipments?offset=15"), Some("?offset=5"), None);
    let past = client.get("/v1/shipments?limit=3&offset=40");
    assert_eq!((numbers(&past), past.json()["count"].clone()), (Vec::new(), json!(25)));
    assert_links(&past, Some("?limit=3&offset=37"), None);
    assert_links(&client.get("/v1/shipments?offset=3"), Some(""), Some("?offset=13"));
}

#[test]
fn any_offset_is_taken_and_limits_from_1_to_1000() {
    let server = Server::start(numbered(1200), &[]);
    let mut client = server.client();
    for (query, count) in
        [("limit=1", 1), ("limit=100", 100), ("limit=101", 101), ("limit=1000", 1000), ("limit=007", 7)]
    {
        assert_eq!(numbers(&client.get(&format!("/v1/shipments?{query}"))).len(), count, "{query}");
    }
    for offset in ["1200", "4294967296", "18446744073709551615", "99999999999999999999999999"] {
        assert!(numbers(&client.get(&format!("/v1/shipments?offset={offset}"))).is_empty(), "{offset}");
    }
    assert_eq!(numbers(&client.get("/v1/shipments?offset=000001199")), ["N1199"]);
}

#[test]
fn values_of_one_parameter_are_a_union_and_parameters_an_intersection() {
    let rows = [
        from("A", "DHL", "scanned", "S 1, 75001 Paris, France"),
        from("B", "UPS", "scanned", "S 1, 10115 Berlin, Germany"),
        from("C", "dhl", "Lost", "S 1, 75002 PARIS, France"),
        from("D", "GLS", "lost", "S 1, 75001 Paris, Texas"),
        from("A", "GLS", "lost", "nowhere"),
    ];
    let server = Server::start(csv(&rows), &[]);
    let mut client = server.client();
    for (query, expected) in [
        ("carrier=dhl", &["A", "C"][..]),
        ("carrier=DHL&carrier=gls", &["A", "C", "D", "A"]),
        ("carrier=gls&carrier=DHL&carrier=Dhl", &["A", "C", "D", "A"]),
        ("carrier=dhl&status=LOST", &["C"]),
        ("status=scanned&status=lost&carrier=ups", &["B"]),
        ("sender_city=paris", &["A", "C", "D"]),
        ("sender_city=+pARis%09&sender_country=FRANCE", &["A", "C"]),
        ("sender_country=texas&sender_country=germany", &["B", "D"]),
        ("tracking_number=a", &["A", "A"]),
        ("tracking_number=A&carrier=gls", &["A"]),
        ("tracking_number=b&tracking_number=d&tracking_number=x", &["B", "D"]),
        ("tracking_number=b&sender_city=paris", &[]),
        ("receiver_city=paris", &[]),
        ("receiver_country=x&carrier=dhl", &[]),
    ] {
        let answer = client.get(&format!("/v1/shipments?{query}"));
        assert_eq!(numbers(&answer), expected, "{query}");
        assert_eq!(answer.json()["count"], expected.len(), "{query}");
        assert_eq!(client.get(&format!("/v1/facets?{query}")).json()["count"], expected.len(), "{query}");
    }
}

#[test]
fn numbers_are_found_by_how_they_begin() {
    let rows: Vec<String> = ["ab2", "AB1", " ab", "a", "ΑΒ3", "αβ", "b", "Ab1"]
        .iter()
        .zip(["DHL", "DHL", "UPS", "DHL", "DHL", "UPS", "DHL", "UPS"])
        .map(|(number, carrier)| row(number, carrier))
        .collect();
    let server = Server::start(csv(&rows), &[]);
    let mut client = server.client();
    for (query, expected) in [
        ("tracking_number_prefix=aB", &["ab2", "AB1", " ab", "Ab1"][..]),
        ("tracking_number_prefix=%20ab%09", &["ab2", "AB1", " ab", "Ab1"]),
        ("tracking_number_prefix=ab1", &["AB1", "Ab1"]),
        ("tracking_number_prefix=A&sort=tracking_number", &["a", " ab", "AB1", "Ab1", "ab2"]),
        ("tracking_number_prefix=A&sort=-tracking_number", &["ab2", "Ab1", "AB1", " ab", "a"]),
        ("tracking_number_prefix=A&sort=tracking_number&carrier=ups", &[" ab", "Ab1"]),
        (
            "tracking_number_prefix=B&tracking_number_prefix=ab1&tracking_number_prefix=ab",
            &["ab2", "AB1", " ab", "b", "Ab1"],
        ),
        ("tracking_number_prefix=%CE%B1", &["ΑΒ3", "αβ"]),
        ("tracking_number_prefix=ab&carrier=dhl", &["ab2", "AB1"]),
        ("tracking_number_prefix=ab&tracking_number=b", &[]),
        ("tracking_number_prefix=c", &[]),
        ("sort=tracking_number", &["a", " ab", "AB1", "Ab1", "ab2", "b", "αβ", "ΑΒ3"]),
        ("sort=-tracking_number", &["ΑΒ3", "αβ", "b", "ab2", "Ab1", "AB1", " ab", "a"]),
        ("sort=-tracking_number&carrier=ups", &["αβ", "Ab1", " ab"]),
    ] {
        let answer = client.get(&format!("/v1/shipments?{query}"));
        assert_eq!(numbers(&answer), expected, "{query}");
        assert_eq!(answer.json()["count"], expected.len(), "{query}");
        if !query.contains("sort") {
            assert_eq!(client.get(&format!("/v1/facets?{query}")).json()["count"], expected.len(), "{query}");
        }
    }
    // Links keep both.
    let page = client.get("/v1/shipments?sort=tracking_number&limit=2&offset=2&tracking_number_prefix=a");
    assert_eq!(numbers(&page), ["AB1", "Ab1"]);
    assert_links(
        &page,
        Some("?sort=tracking_number&limit=2&tracking_number_prefix=a"),
        Some("?sort=tracking_number&limit=2&tracking_number_prefix=a&offset=4"),
    );
    for query in
        ["tracking_number_prefix=", "tracking_number_prefix=+", "sort=", "sort=carrier", "sort=Tracking_number"]
    {
        client.get(&format!("/v1/shipments?{query}")).problem(400, "invalid_parameter");
    }
    let twice = client.get("/v1/shipments?sort=tracking_number&sort=tracking_number").problem(400, "invalid_parameter");
    assert_eq!(twice, "sort: given twice; once is allowed");
    client.get("/v1/facets?sort=tracking_number").problem(400, "invalid_parameter");
    // The list of the Django API knows neither.
    let list = client.get("/shipment/list/?tracking_number_prefix=zz&sort=-tracking_number&limit=1");
    assert_eq!((numbers(&list), list.json()["count"].clone()), (vec!["ab2".to_owned()], json!(8)));
}

#[test]
fn every_facet_filters_pages_and_facets() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for (query, number) in [
        ("tracking_number=tn12345680", "TN12345680"),
        ("carrier=fedex", "TN12345681"),
        ("status=SCANNED", "TN12345682"),
        ("sender_city=hamburg", "TN12345679"),
        ("receiver_city=paris", "TN12345678"),
        ("receiver_country=denmark", "TN12345682"),
        ("sender_country=germany&receiver_country=spain", "TN12345680"),
    ] {
        assert_eq!(numbers(&client.get(&format!("/v1/shipments?{query}"))), [number], "{query}");
        let facets = client.get(&format!("/v1/facets?{query}")).json();
        assert_eq!(facets["count"], 1, "{query}");
        let listed = facets["facets"].as_object().unwrap().values().map(|counts| counts.as_array().unwrap().len());
        assert_eq!(listed.collect::<Vec<_>>(), [1; 6], "{query}");
    }
}

#[test]
fn facets_are_answered_byte_for_byte() {
    let server = Server::start(SEED, &[]);
    let answer = server.get("/v1/facets");
    let counts = |values: &[(&str, u64)]| {
        let counts = values.iter().map(|(value, count)| format!(r#"{{"value":"{value}","count":{count}}}"#));
        counts.collect::<Vec<_>>().join(",")
    };
    let once = |values: [&'static str; 5]| counts(&values.map(|value| (value, 1)));
    let expected = format!(
        r#"{{"count":5,"facets":{{"carrier":[{}],"status":[{}],"sender_city":[{}],"sender_country":[{}],"receiver_city":[{}],"receiver_country":[{}]}}}}"#,
        once(["DHL", "DPD", "FedEx", "GLS", "UPS"]),
        once(["delivery", "in-transit", "inbound-scan", "scanned", "transit"]),
        once(["Berlin", "Cologne", "Hamburg", "Munich", "Stuttgart"]),
        counts(&[("Germany", 5)]),
        once(["Amsterdam", "Brussels", "Copenhagen", "Madrid", "Paris"]),
        once(["Belgium", "Denmark", "France", "Netherlands", "Spain"]),
    );
    assert_eq!((answer.status, answer.text()), (200, expected.as_str()));
    assert_eq!(answer.field("content-type").as_deref(), Some("application/json"));
    let none = server.get("/v1/facets?carrier=nobody");
    let empty = r#"{"count":0,"facets":{"carrier":[],"status":[],"sender_city":[],"sender_country":[],"receiver_city":[],"receiver_country":[]}}"#;
    assert_eq!((none.status, none.text()), (200, empty));
}

#[test]
fn facet_values_are_counted_folded_and_spelled_as_their_first_row() {
    let rows = [
        from("1", "Ups", "é\"\\", "S, 1 ΣΟΦΟΣ, X"),
        from("2", "UPS", "É\"\\", "S, 1 σοφος, x"),
        from("3", "DHL", "", "S, 1 σοφοσ, X"),
        from("4", " ups", "", "S, Paris, France"),
        from("5", "AAA", "z", ""),
    ];
    let server = Server::start(csv(&rows), &[]);
    let facets = |query: &str| server.get(&format!("/v1/facets{query}")).json()["facets"].clone();
    let all = facets("");
    assert_eq!(
        all["carrier"],
        json!([{"value":"Ups","count":3}, {"value":"AAA","count":1}, {"value":"DHL","count":1}])
    );
    assert_eq!(all["status"], json!([{"value":"","count":2}, {"value":"é\"\\","count":2}, {"value":"z","count":1}]));
    assert_eq!(all["sender_city"], json!([{"value":"ΣΟΦΟΣ","count":2}, {"value":"σοφοσ","count":1}]));
    assert_eq!(all["sender_country"], json!([{"value":"X","count":3}]));
    assert_eq!((&all["receiver_city"], &all["receiver_country"]), (&json!([]), &json!([])));
    // Spelled as the file's first row, which is not among them.
    assert_eq!(facets("?tracking_number=2")["carrier"], json!([{"value":"Ups","count":1}]));
    assert_eq!(
        facets("?tracking_number=4&tracking_number=2")["status"],
        json!([
            {"value":"","count":1}, {"value":"é\"\\","count":1}
        ])
    );
}

#[test]
fn a_facet_lists_the_100_most_frequent_values_and_then_by_value() {
    let statuses =
        (0..150).map(|status| format!("s{status:03}")).chain(["s149".to_owned(), "s149".to_owned(), "s148".to_owned()]);
    let rows: Vec<String> =
        statuses.enumerate().map(|(at, status)| from(&format!("N{at}"), "DHL", &status, "")).collect();
    let server = Server::start(csv(&rows), &[]);
    let expected: Vec<Value> = [("s149".to_owned(), 3), ("s148".to_owned(), 2)]
        .into_iter()
        .chain((0..98).map(|status| (format!("s{status:03}"), 1)))
        .map(|(value, count)| json!({"value": value, "count": count}))
        .collect();
    for query in ["", "?carrier=dhl"] {
        let facets = server.get(&format!("/v1/facets{query}")).json();
        assert_eq!((&facets["count"], &facets["facets"]["status"]), (&json!(153), &json!(expected)), "{query}");
    }
}

#[test]
fn a_parameter_that_is_unusable_is_a_400_that_names_it_and_what_is_allowed() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let filters = "tracking_number, tracking_number_prefix, carrier, status, sender_city, sender_country, \
                   receiver_city, receiver_country";
    let page = format!("{filters}, sort, limit, offset");
    let (limit, offset) = ("from 1 to 1000", "from 0 on");
    let mut refuse = |path: &str, query: &str, parameter: &str, allowed: &str| {
        let detail = client.get(&format!("{path}?{query}")).problem(400, "invalid_parameter");
        let starts = detail.starts_with(&format!("{parameter}: "));
        assert!(starts && detail.contains(allowed), "{path}?{query}: {detail}");
    };
    for (query, parameter, allowed) in [
        ("limit=0", "limit", limit),
        ("limit=1001", "limit", limit),
        ("limit=99999999999999999999999", "limit", limit),
        ("limit=-1", "limit", limit),
        ("limit=%2B1", "limit", limit),
        ("limit=+1", "limit", limit),
        ("limit=1.0", "limit", limit),
        ("limit=ten", "limit", limit),
        ("limit=", "limit", limit),
        ("limit", "limit", limit),
        ("limit=%D9%A3", "limit", limit),
        ("offset=-1", "offset", offset),
        ("offset=", "offset", offset),
        ("offset=1e3", "offset", offset),
        ("offset=0x1", "offset", offset),
        ("limit=1&limit=1", "limit", "once"),
        ("offset=1&limit=1&offset=2", "offset", "once"),
        ("page=1", "page", page.as_str()),
        ("Carrier=DHL", "Carrier", page.as_str()),
        ("=x", "", page.as_str()),
        ("carrier%00=x", "carrier\0", page.as_str()),
    ] {
        refuse("/v1/shipments", query, parameter, allowed);
    }
    for query in ["limit=10", "offset=0"] {
        let parameter = query.split_once('=').unwrap().0;
        refuse("/v1/facets", query, parameter, filters);
    }
    for path in ["/v1/shipments", "/v1/facets"] {
        for parameter in filters.split(", ") {
            for value in ["", "=", "=+", "=%09%C2%A0", &format!("=x&{parameter}=")] {
                refuse(path, &format!("{parameter}{value}"), parameter, "left out");
            }
        }
        for (query, parameter) in [
            ("carrier=%", "carrier"),
            ("carrier=DHL&status=%4", "status"),
            ("sender_city=%zz", "sender_city"),
            ("sender_city=%ff", "sender_city"),
            ("unknown=%C3", "unknown"),
            ("car%rier=x", "car%rier"),
        ] {
            refuse(path, query, parameter, "");
        }
        refuse(path, "nonsense=1", "nonsense", filters);
        refuse(path, "a%22%5C%0D%0AX:=1", "a\"\\\r\nX:", filters);
    }
}

#[test]
fn queries_are_form_decoded_and_links_encode_them_again() {
    let rows = [row("A&B", "D + H/ä%"), row("A&B", "x"), row("A&B 2", "D + H/ä%"), row("A&B 2", "x")];
    let server = Server::start(csv(&rows), &[]);
    let mut client = server.client();
    for carrier in ["D+%2B+H/%C3%A4%25", "d%20%2b%20h%2F%c3%84%25", "D+%2B+H/ä%25"] {
        let path = format!("/v1/shipments?tracking_number=A%26B&tracking_number=a%26b+2&carrier={carrier}&limit=1");
        let answer = client.get(&path);
        assert_eq!((numbers(&answer), answer.json()["count"].clone()), (vec!["A&B".to_owned()], json!(2)), "{carrier}");
        let next = answer.json()["next"].as_str().unwrap().to_owned();
        let as_asked = if carrier.starts_with('d') { "d+%2B+h%2F%C3%84%25" } else { "D+%2B+H%2F%C3%A4%25" };
        let query = format!("tracking_number=A%26B&tracking_number=a%26b+2&carrier={as_asked}&limit=1");
        assert_eq!(next, format!("{URL}?{query}&offset=1"));
        let second = client.get(next.strip_prefix("http://waybill.test").unwrap());
        assert_eq!(numbers(&second), ["A&B 2"]);
        assert_links(&second, Some(&format!("?{query}")), None);
    }
    // Empty pieces are none.
    assert_eq!(client.get("/v1/shipments?&&carrier=X&").json()["count"], 2);
    assert_eq!(client.get("/v1/shipments?").json()["count"], 4);
}

#[test]
fn links_begin_with_the_host_that_was_asked_and_with_no_other_text() {
    let server = Server::start(numbered(11), &[]);
    let next = |head: &str| {
        let mut client = server.client();
        client.send(head);
        client.answer_to("GET").json()["next"].as_str().unwrap().to_owned()
    };
    for (fields, base) in [
        ("Host: localhost:8080\r\n", "http://localhost:8080"),
        ("Host: [::1]:80\r\n", "http://[::1]:80"),
        ("Host: 127.0.0.1\r\n", "http://127.0.0.1"),
        ("Host:\r\n", ""),
        ("Host: a'b\r\n", ""),
        ("Host: a:65536\r\n", ""),
        ("Host: a%20b\r\n", ""),
    ] {
        let expected = format!("{base}/v1/shipments?offset=10");
        for version in ["1.1", "1.0"] {
            let head = format!("GET /v1/shipments HTTP/{version}\r\n{fields}Connection: keep-alive\r\n\r\n");
            assert_eq!(next(&head), expected, "{head}");
        }
    }
    assert_eq!(next("GET /v1/shipments HTTP/1.0\r\n\r\n"), "/v1/shipments?offset=10");
    let absolute = next("GET http://named.test:1/v1/shipments HTTP/1.1\r\nHost: other\r\n\r\n");
    assert_eq!(absolute, "http://named.test:1/v1/shipments?offset=10");
    // However the path is spelled.
    let spelled = next("GET /v1/%73hipments?limit=10 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(spelled, "http://h/v1/shipments?limit=10&offset=10");
}

#[test]
fn a_client_that_has_the_answer_is_told_so_where_it_would_get_one() {
    let server = Server::start(numbered(300), &[]);
    let mut client = server.client();
    for path in ["/v1/shipments?offset=5", "/v1/shipments?limit=200", "/v1/facets", "/v1/facets?carrier=dhl"] {
        let full = client.get(path);
        let etag = full.field("etag").unwrap();
        for tag in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
            let answer = client.request("GET", path, &[&format!("If-None-Match: {tag}")]);
            assert_eq!(
                (answer.status, answer.body.len(), answer.field("etag")),
                (304, 0, Some(etag.clone())),
                "{path}"
            );
        }
        assert_eq!(client.request("GET", path, &["If-None-Match: \"x\""]).text(), full.text());
    }
    for path in ["/v1/shipments?limit=0", "/v1/facets?x=1"] {
        client.request("GET", path, &["If-None-Match: *"]).problem(400, "invalid_parameter");
    }
}

#[test]
fn head_says_what_get_would_and_other_methods_are_405() {
    let server = Server::start(numbered(300), &[]);
    let mut client = server.client();
    for path in ["/v1/shipments", "/v1/shipments?limit=200", "/v1/facets", "/v1/facets?carrier=dhl", "/v1/facets?x"] {
        let (get, head) = (client.get(path), client.request("HEAD", path, &[]));
        assert_eq!((head.status, head.content_length()), (get.status, Some(get.body.len())), "{path}");
        assert_eq!((head.field("etag"), head.field("content-type")), (get.field("etag"), get.field("content-type")));
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = client.request(method, path, &[]);
            answer.problem(405, "method_not_allowed");
            assert_eq!(answer.field("allow").as_deref(), Some("GET, HEAD"), "{method} {path}");
        }
    }
}

#[test]
fn a_page_over_64_mib_is_refused_with_its_size_and_smaller_ones_are_not() {
    // Each article is named by the same megabyte.
    let name = "x".repeat(1_000_000);
    let article = |number: usize| format!("N{number},DHL,,,{name},1,1,,");
    let rows: Vec<String> = (0..80).map(|at| article(at / 40)).collect();
    let server = Server::start(csv(&rows), &[]);
    let mut client = server.client();
    for path in ["/v1/shipments", "/v1/shipments?limit=1000", "/shipment/list/"] {
        for fields in [&[][..], &["If-None-Match: *"]] {
            let detail = client.request("GET", path, fields).problem(422, "answer_too_large");
            assert!(detail.contains("67108864"), "{detail}");
        }
    }
    for path in ["/v1/shipments?limit=1", "/v1/shipments?limit=1&offset=1", "/shipment/list/?limit=1"] {
        let answer = client.get(path);
        assert!(answer.status == 200 && answer.body.len() > 40_000_000, "{path}");
        assert_eq!(client.request("GET", path, &["If-None-Match: *"]).status, 304);
    }
    assert_eq!(client.get("/v1/facets?carrier=dhl").json()["count"], 2);
}

#[test]
fn a_reload_changes_pages_and_facets_whole() {
    let server = Server::start(numbered(3), &[]);
    let mut client = server.client();
    assert_eq!(numbers(&client.get("/v1/shipments")), ["N0", "N1", "N2"]);
    server.replace(csv(&[row("N1", "GLS"), row("N0", "DHL"), row("N2", "DHL"), row("N3", "GLS")]));
    assert_eq!(server.reload().json()["result"], "ok");
    assert_eq!(numbers(&client.get("/v1/shipments?carrier=gls")), ["N1", "N3"]);
    let facets = client.get("/v1/facets?tracking_number=n3&tracking_number=n2").json();
    assert_eq!(facets["facets"]["carrier"], json!([{"value":"DHL","count":1}, {"value":"GLS","count":1}]));
}

#[test]
fn the_rows_of_a_shipment_stand_where_its_first_row_does() {
    let more = |number: &str| format!("{number},DHL,from,to,Mouse,1,25,MO1,scanned");
    let rows = [row("A", "DHL"), row("B", "DHL"), row("C", "DHL"), more("B"), more("A"), row("D", "DHL")];
    let server = Server::start(csv(&rows), &[]);
    let answer = server.get("/v1/shipments");
    assert_eq!(numbers(&answer), ["A", "B", "C", "D"]);
    let articles = |at: usize| answer.json()["results"][at]["articles"].as_array().unwrap().len();
    assert_eq!((articles(0), articles(1), articles(2)), (2, 2, 1));
    let page = server.get("/v1/shipments?tracking_number=c&tracking_number=a&tracking_number=b");
    assert_eq!(numbers(&page), ["A", "B", "C"]);
}

#[test]
fn a_filter_may_have_as_many_values_as_a_request_has_room_for() {
    let file = format!("{HEADER}\n")
        + &(0..500).map(|at| from(&format!("N{at}"), "DHL", &format!("s{}", at % 250), "") + "\n").collect::<String>();
    let server = Server::start(file, &[]);
    let query = (0..600).map(|at| format!("status=S{at}")).collect::<Vec<_>>().join("&");
    let answer = server.get(&format!("/v1/shipments?limit=1000&{query}"));
    assert_eq!(numbers(&answer).len(), 500);
    assert_eq!(server.get(&format!("/v1/facets?{query}")).json()["count"], 500);
    let mut client: Client = server.client();
    client.send(request("GET", &format!("/v1/facets?{}", "status=x&".repeat(1000)), &[]));
    assert_eq!(client.answer_to("GET").status, 431);
}
