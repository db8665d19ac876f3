//! What lookups, the dataset's summary and the probes answer, asked of the real binary.

use crate::support::client::Answer;
use crate::support::{SEED, Server, csv, row, shipment};

/// Every shipment of `seed_data.csv`: carrier, number, what is answered.
const SEED_SHIPMENTS: [(&str, &str, &str); 5] = [
    (
        "DHL",
        "TN12345678",
        concat!(
            r#"{"tracking_number":"TN12345678","carrier":"DHL","status":"in-transit","#,
            r#""sender_address":"Street 1, 10115 Berlin, Germany","receiver_address":"Street 10, 75001 Paris, France","#,
            r#""articles":[{"name":"Laptop","quantity":1,"price":800,"SKU":"LP123"},"#,
            r#"{"name":"Mouse","quantity":1,"price":25,"SKU":"MO456"}]}"#
        ),
    ),
    (
        "UPS",
        "TN12345679",
        concat!(
            r#"{"tracking_number":"TN12345679","carrier":"UPS","status":"inbound-scan","#,
            r#""sender_address":"Street 2, 20144 Hamburg, Germany","#,
            r#""receiver_address":"Street 20, 1000 Brussels, Belgium","#,
            r#""articles":[{"name":"Monitor","quantity":2,"price":200,"SKU":"MT789"}]}"#
        ),
    ),
    (
        "DPD",
        "TN12345680",
        concat!(
            r#"{"tracking_number":"TN12345680","carrier":"DPD","status":"delivery","#,
            r#""sender_address":"Street 3, 80331 Munich, Germany","receiver_address":"Street 5, 28013 Madrid, Spain","#,
            r#""articles":[{"name":"Keyboard","quantity":1,"price":50,"SKU":"KB012"},"#,
            r#"{"name":"Mouse","quantity":1,"price":25,"SKU":"MO456"}]}"#
        ),
    ),
    (
        "FedEx",
        "TN12345681",
        concat!(
            r#"{"tracking_number":"TN12345681","carrier":"FedEx","status":"transit","#,
            r#""sender_address":"Street 4, 50667 Cologne, Germany","#,
            r#""receiver_address":"Street 9, 1016 Amsterdam, Netherlands","#,
            r#""articles":[{"name":"Laptop","quantity":1,"price":900,"SKU":"LP345"},"#,
            r#"{"name":"Headphones","quantity":1,"price":100,"SKU":"HP678"}]}"#
        ),
    ),
    (
        "GLS",
        "TN12345682",
        concat!(
            r#"{"tracking_number":"TN12345682","carrier":"GLS","status":"scanned","#,
            r#""sender_address":"Street 5, 70173 Stuttgart, Germany","#,
            r#""receiver_address":"Street 15, 1050 Copenhagen, Denmark","#,
            r#""articles":[{"name":"Smartphone","quantity":1,"price":500,"SKU":"SP901"},"#,
            r#"{"name":"Charger","quantity":1,"price":20,"SKU":"CH234"}]}"#
        ),
    ),
];

fn list(shipments: &[String]) -> String {
    format!(r#"{{"count":{},"results":[{}]}}"#, shipments.len(), shipments.join(","))
}

fn assert_found(answer: &Answer, body: &str) {
    assert_eq!((answer.status, answer.text()), (200, body));
    assert_eq!(answer.field("content-type").as_deref(), Some("application/json"));
    assert_eq!(answer.field("cache-control").as_deref(), Some("no-cache"));
    assert!(answer.field("etag").is_some());
}

#[test]
fn the_seed_shipments_are_answered_byte_for_byte() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for (carrier, number, expected) in SEED_SHIPMENTS {
        assert_found(&client.get(&format!("/v1/shipments/{carrier}/{number}")), expected);
        assert_found(&client.get(&format!("/v1/shipments/{number}")), &list(&[expected.to_owned()]));
    }
}

#[test]
fn numbers_and_carriers_match_trimmed_and_case_blind_and_are_shown_as_the_file_spells_them() {
    let rows = [row(" Tn1 ", "Česká Pošta"), row("ΟΔΟΣ", "DHL")];
    let server = Server::start(csv(&rows), &[]);
    let mut client = server.client();
    let first = shipment(" Tn1 ", "Česká Pošta");
    for path in [
        "%C4%8Cesk%C3%A1%20Po%C5%A1ta/Tn1",
        "%c4%8cESK%c3%81%20PO%c5%a0TA/TN1",
        "%20%C4%8Desk%C3%A1%20po%C5%A1ta%C2%A0/%09tn1",
    ] {
        assert_found(&client.get(&format!("/v1/shipments/{path}")), &first);
    }
    assert_found(&client.get("/v1/shipments/%E3%80%80tN1"), &list(std::slice::from_ref(&first)));
    // Lowercase as `str::to_lowercase` has it: a final sigma is another letter.
    let final_sigma = "%CE%BF%CE%B4%CE%BF%CF%82";
    assert_found(&client.get(&format!("/v1/shipments/dhl/{final_sigma}")), &shipment("ΟΔΟΣ", "DHL"));
    client.get("/v1/shipments/dhl/%CE%BF%CE%B4%CE%BF%CF%83").problem(404, "shipment_not_found");
    // White space within counts.
    client.get("/v1/shipments/%C4%8Desk%C3%A1%20%20po%C5%A1ta/tn1").problem(404, "shipment_not_found");
}

#[test]
fn paths_are_split_before_they_are_decoded_and_a_plus_stays_one() {
    let rows = [row("A/B", "D/H"), row("A+B", "DHL"), row("A B", "UPS"), row("100%", "DHL"), row("ä?#", "DHL")];
    let server = Server::start(csv(&rows), &[]);
    let mut client = server.client();
    for (path, number, carrier) in [
        ("D%2FH/A%2FB", "A/B", "D/H"),
        ("d%2fh/a%2fb", "A/B", "D/H"),
        ("DHL/A+B", "A+B", "DHL"),
        ("DHL/A%2bB", "A+B", "DHL"),
        ("UPS/A%20B", "A B", "UPS"),
        ("DHL/100%25", "100%", "DHL"),
        ("DHL/%C3%A4%3F%23", "ä?#", "DHL"),
        ("%44%48%4C/%41%2B%42", "A+B", "DHL"),
    ] {
        assert_found(&client.get(&format!("/v1/shipments/{path}")), &shipment(number, carrier));
        let number_only = path.split_once('/').unwrap().1;
        let expected = list(&[shipment(number, carrier)]);
        assert_found(&client.get(&format!("/v1/shipments/{number_only}")), &expected);
    }
    client.get("/v1/shipments/UPS/A+B").problem(404, "shipment_not_found");
    client.get("/v1/shipments/D/H/A%2FB").problem(404, "route_not_found");
}

#[test]
fn bad_escapes_and_bytes_that_are_not_utf8_are_a_400_that_names_the_parameter() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for (path, parameter) in [
        ("DHL/%", "tracking_number"),
        ("DHL/TN%1", "tracking_number"),
        ("DHL/%G0", "tracking_number"),
        ("DHL/%0%30", "tracking_number"),
        ("DHL/%FF", "tracking_number"),
        ("DHL/%C3", "tracking_number"),
        ("DHL/%ED%A0%80", "tracking_number"),
        ("%zz/TN12345678", "carrier"),
        ("%80/TN12345678", "carrier"),
        ("TN%", "tracking_number"),
        ("%FE%FF", "tracking_number"),
    ] {
        let detail = client.get(&format!("/v1/shipments/{path}")).problem(400, "invalid_parameter");
        assert!(detail.contains(parameter), "{path}: {detail}");
    }
    assert_eq!(client.get("/livez").status, 200);
}

#[test]
fn lookups_ignore_a_query() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let (carrier, number, expected) = SEED_SHIPMENTS[1];
    for query in ["?", "?carrier=DHL", "?%zz", "?tracking_number=", "?a=/../x&&=&limit=-1"] {
        assert_found(&client.get(&format!("/v1/shipments/{carrier}/{number}{query}")), expected);
        assert_found(&client.get(&format!("/v1/shipments/{number}{query}")), &list(&[expected.to_owned()]));
    }
}

#[test]
fn carriers_that_share_a_number_are_answered_in_file_order() {
    let rows = [
        row("TN1", "UPS"),
        row("TN2", "DHL"),
        row("tn1", "DHL"),
        row("TN1", "Chronopost"),
        "tN1,ups,from,to,Mouse,2,9.50,MO1,scanned".to_owned(),
        row("TN1 ", "AAA"),
    ];
    let server = Server::start(csv(&rows), &[]);
    let ups = shipment("TN1", "UPS").replace("}]}", r#"},{"name":"Mouse","quantity":2,"price":9.50,"SKU":"MO1"}]}"#);
    let expected = [ups.clone(), shipment("tn1", "DHL"), shipment("TN1", "Chronopost"), shipment("TN1 ", "AAA")];
    assert_found(&server.get("/v1/shipments/TN1"), &list(&expected));
    assert_found(&server.get("/v1/shipments/Ups/tn1"), &ups);
    assert_found(&server.get("/v1/shipments/aaa/tn1"), &expected[3]);
}

#[test]
fn texts_are_escaped_and_prices_keep_their_digits() {
    let row = |number: usize, name: &str, price: &str| {
        format!(
            "TN{number},DHL,\"a \"\"quoted\"\" street\n2nd line\",\"\",\"{name}\",4294967295,{price},\"\\\t\u{1}\",\"é\r\""
        )
    };
    let prices =
        ["0", "800", "19.90", "0.05", "0.0", "123456789012345678", "1.23456789012345678", "100000000000000000"];
    let rows: Vec<String> = prices.iter().enumerate().map(|(at, price)| row(at, "Monitor 24\"\" 🖥", price)).collect();
    let server = Server::start(csv(&rows), &[]);
    let mut client = server.client();
    for (at, price) in prices.iter().enumerate() {
        let expected = format!(r#"{{"tracking_number":"TN{at}","carrier":"DHL","status":"é\r","#)
            + r#""sender_address":"a \"quoted\" street\n2nd line","receiver_address":"","#
            + &format!(
                r#""articles":[{{"name":"Monitor 24\" 🖥","quantity":4294967295,"price":{price},"SKU":"\\\t\u0001"}}]}}"#
            );
        assert_found(&client.get(&format!("/v1/shipments/DHL/TN{at}")), &expected);
    }
}

#[test]
fn what_is_not_there_is_a_404_with_a_problem_detail() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let answer = client.get("/v1/shipments/DHL/TN1");
    assert_eq!(
        answer.text(),
        r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"no shipment TN1 with carrier DHL","code":"shipment_not_found"}"#
    );
    answer.problem(404, "shipment_not_found");
    assert_eq!(answer.field("etag"), None);
    let detail = client.get("/v1/shipments/TN1").problem(404, "shipment_not_found");
    assert!(detail.contains("TN1"), "{detail}");
    // A number of another carrier, and blanks.
    for path in ["UPS/TN12345678", "%20/TN12345678", "DHL/%20", "%20", "TN1234567", "DHL/TN123456789"] {
        client.get(&format!("/v1/shipments/{path}")).problem(404, "shipment_not_found");
    }
}

#[test]
fn unknown_routes_are_404_on_both_listeners() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let empty_segments = ["/v1/shipments//", "/v1/shipments//TN12345678", "/v1/shipments/DHL/"];
    let others = ["/v1", "/v2/shipments/TN1", "/v1/shipments/DHL/TN12345678/x", "/v1/dataset/", "/livez/x", "/LIVEZ"];
    let of_admin = ["/-/dataset", "/-/reload"];
    for path in empty_segments.into_iter().chain(others).chain(of_admin) {
        client.get(path).problem(404, "route_not_found");
        client.request("POST", path, &["Content-Length: 0"]).problem(404, "route_not_found");
    }
    let mut admin = server.admin_client();
    for path in ["/v1/dataset", "/v1/shipments/DHL/TN12345678", "/-/", "/-/reload/"] {
        admin.get(path).problem(404, "route_not_found");
    }
}

#[test]
fn other_methods_are_405_and_told_which_are_allowed() {
    let server = Server::start(SEED, &[]);
    let paths = [
        "/v1/shipments/DHL/TN12345678",
        "/v1/shipments/TN12345678",
        "/v1/dataset",
        "/livez",
        "/readyz?x",
        "/v1/shipments/x",
    ];
    let mut client = server.client();
    for path in paths {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get"] {
            let answer = client.request(method, path, &[]);
            answer.problem(405, "method_not_allowed");
            assert_eq!(answer.field("allow").as_deref(), Some("GET, HEAD"), "{method} {path}");
        }
    }
    let mut admin = server.admin_client();
    for (path, wrong, allowed) in
        [("/-/reload", "GET", "POST, DELETE"), ("/-/rollback", "DELETE", "POST"), ("/-/dataset", "POST", "GET, HEAD")]
    {
        let answer = admin.request(wrong, path, &[]);
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.field("allow").as_deref(), Some(allowed), "{wrong} {path}");
    }
}

#[test]
fn text_of_a_client_is_escaped_in_bodies_and_in_no_header() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let answer = client.get("/v1/shipments/c%22a%5Cr/marker%0D%0AX-Marker:%20%00%1F%7F%3C%C3%A9%22");
    let expected = r#""detail":"no shipment marker\r\nX-Marker: \u0000\u001f"#.to_owned()
        + "\u{7f}<é\\\" with carrier c\\\"a\\\\r\"";
    assert!(answer.text().contains(&expected), "{}", answer.text());
    answer.problem(404, "shipment_not_found");
    let marked = [
        "/v1/shipments/DHL/marker",
        "/v1/shipments/marker%0D%0Amarker:%20x",
        "/v1/shipments/%marker",
        "/marker",
        "/v1/shipments/DHL/TN12345678?marker",
    ];
    for path in marked {
        let answer = client.request("GET", path, &["X-Marker: marker", "If-None-Match: \"marker\"", "Origin: marker"]);
        assert!(!answer.head.to_lowercase().contains("marker"), "{}", answer.head);
    }
    assert!(!answer.head.to_lowercase().contains("marker"), "{}", answer.head);
    let mut admin = server.admin_client();
    for path in ["/marker", "/-/reload?marker=marker", "/-/dataset?marker"] {
        let answer = admin.request("POST", path, &["Origin: http://marker"]);
        assert!(!answer.head.to_lowercase().contains("marker"), "{}", answer.head);
    }
}

#[test]
fn the_dataset_says_what_it_holds() {
    let server = Server::start(SEED, &[]);
    let answer = server.get("/v1/dataset");
    let body = answer.json();
    let [version, loaded_at, modified_at] =
        ["version", "loaded_at", "modified_at"].map(|member| body[member].as_str().unwrap());
    let expected = format!(r#"{{"version":"{version}","loaded_at":"{loaded_at}","modified_at":"{modified_at}","#)
        + r#""shipments":5,"articles":9,"carriers":["DHL","UPS","DPD","FedEx","GLS"]}"#;
    assert_found(&answer, &expected);
    assert!(version.len() >= 32 && version.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{version}");
    assert_eq!(answer.field("etag"), Some(format!("\"{version}\"")));
    assert!(loaded_at.parse::<jiff::Timestamp>().is_ok(), "{loaded_at}");
}

#[test]
fn carriers_are_listed_once_as_their_first_row_spells_them() {
    let rows = [row("TN1", "Ups"), row("TN2", "DHL"), row("TN3", "UPS"), row("TN4", " dhl"), row("TN5", "AAA")];
    let server = Server::start(csv(&rows), &[]);
    assert_eq!(server.get("/v1/dataset").json()["carriers"], serde_json::json!(["Ups", "DHL", "AAA"]));
}

#[test]
fn both_listeners_are_live_and_ready() {
    let server = Server::start(SEED, &[]);
    for mut client in [server.client(), server.admin_client()] {
        for path in ["/livez", "/readyz"] {
            assert_eq!(client.get(path).status, 200, "{path}");
            assert_eq!(client.request("HEAD", path, &[]).status, 200, "{path}");
        }
    }
}

#[test]
fn without_an_admin_listener_lookups_are_answered_all_the_same() {
    let server = Server::start(SEED, &["--admin-listen", "off"]);
    assert_eq!(server.admin, None);
    assert_eq!(server.get("/v1/shipments/DHL/TN12345678").status, 200);
    server.stop();
}
