//! Exports, asked of the real binary.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::reference::queries::form;
use crate::support::client::{Broken, Client, request};
use crate::support::{HEADER, SEED, Server, csv, row, shipment};

/// For time limits that a test must not meet.
const NEVER: &str = "10m";
const EXPORTS: [&str; 2] = ["/v1/shipments.csv", "/v1/shipments.ndjson"];

/// A file of so many shipments, each of about 300 bytes.
fn long(shipments: usize) -> String {
    let row = |at: usize| row(&format!("N{at}"), "DHL").replace("Laptop", &format!("{at:0>250}"));
    csv(&(0..shipments).map(row).collect::<Vec<_>>())
}

/// What an export of the file is, whose rows need no quotes.
fn exported(file: &str) -> String {
    file.replace('\n', "\r\n")
}

#[test]
fn exports_are_answered_byte_for_byte() {
    let server = Server::start(csv(&[row("TN2", "UPS"), row("TN1", "DHL"), row("TN2", "UPS")]), &[]);
    let mut client = server.client();
    let version = server.get("/v1/dataset").json()["version"].as_str().unwrap().to_owned();
    let two = shipment("TN2", "UPS");
    let article = &two[two.find("[{").unwrap() + 1..two.len() - 2];
    let two = two.replace(article, &format!("{article},{article}"));
    let lines = [two, shipment("TN1", "DHL")].map(|line| line + "\n");
    let rows = [row("TN2", "UPS"), row("TN2", "UPS"), row("TN1", "DHL")].map(|row| row + "\r\n");
    for (path, extension, media_type, body) in [
        (EXPORTS[0], "csv", "text/csv; charset=utf-8; header=present", format!("{HEADER}\r\n{}", rows.concat())),
        (EXPORTS[1], "ndjson", "application/x-ndjson", lines.concat()),
    ] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.text()), (200, body.as_str()));
        let head = client.request("HEAD", path, &[]);
        let etag = format!("\"{version}\"");
        let file = format!("attachment; filename=\"shipments-{version}.{extension}\"");
        for (name, value) in [
            ("content-type", media_type),
            ("content-disposition", &file),
            ("etag", &etag),
            ("cache-control", "no-cache"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.field(name).as_deref(), Some(value), "{path} {name}");
            assert_eq!(head.field(name).as_deref(), Some(value), "{path} {name}");
        }
        assert_eq!((head.status, head.field("content-length"), head.field("transfer-encoding")), (200, None, None));
        for tag in [etag.clone(), format!("W/{etag}"), "*".to_owned()] {
            for method in ["GET", "HEAD"] {
                let known = client.request(method, path, &[&format!("If-None-Match: {tag}")]);
                assert_eq!((known.status, known.body.len(), known.field("etag")), (304, 0, Some(etag.clone())));
                assert_eq!((known.field("content-type"), known.field("content-disposition")), (None, None));
            }
        }
        for method in ["POST", "PUT", "DELETE"] {
            client.request(method, path, &[]).problem(405, "method_not_allowed");
        }
    }
}

#[test]
fn exports_are_filtered_and_sorted_as_pages_are() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let lines = |client: &mut Client, query: &str| {
        let answer = client.get(&format!("/v1/shipments.ndjson?{query}"));
        assert_eq!(answer.status, 200, "{query}");
        answer.text().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for query in [
        "carrier=dhl&carrier=UPS",
        "tracking_number_prefix=tn1234568&sort=-tracking_number",
        "receiver_city=paris",
        "status=nothing",
        "sort=tracking_number",
    ] {
        let page = client.get(&format!("/v1/shipments?{query}"));
        let results = page.text().split_once("\"results\":[").unwrap().1.strip_suffix("]}").unwrap();
        assert_eq!(lines(&mut client, query).join(","), results, "{query}");
    }
    let none = client.get("/v1/shipments.csv?carrier=nobody");
    assert_eq!((none.status, none.text()), (200, format!("{HEADER}\r\n").as_str()));
    for path in EXPORTS {
        for (query, parameter) in [
            ("limit=1", "limit"),
            ("offset=0", "offset"),
            ("Carrier=DHL", "Carrier"),
            ("carrier=", "carrier"),
            ("sort=status", "sort"),
            ("sort=tracking_number&sort=tracking_number", "sort"),
        ] {
            let detail = client.get(&format!("{path}?{query}")).problem(400, "invalid_parameter");
            assert!(detail.starts_with(&format!("{parameter}: ")), "{detail}");
            assert_eq!(client.request("HEAD", &format!("{path}?{query}"), &[]).status, 400);
        }
    }
}

#[test]
fn a_long_export_comes_whole_in_chunks_and_to_old_clients_until_the_connection_ends() {
    let file = long(10_000);
    let server = Server::start(&file, &[]);
    let mut client = server.client();
    let answer = client.get(EXPORTS[0]);
    assert_eq!((answer.field("content-length"), answer.field("transfer-encoding").as_deref()), (None, Some("chunked")));
    assert!(answer.text() == exported(&file));
    // The connection goes on.
    let lines = client.get(EXPORTS[1]);
    assert_eq!(lines.text().lines().count(), 10_000);
    assert_eq!(lines.text().lines().last().unwrap(), server.get("/v1/shipments/DHL/N9999").text());
    let backwards = client.get("/v1/shipments.ndjson?sort=-tracking_number&carrier=dhl");
    assert!(backwards.text().starts_with(server.get("/v1/shipments/DHL/N9999").text()));
    assert_eq!(backwards.body.len(), lines.body.len());

    let mut old = server.client();
    old.send("GET /v1/shipments.csv HTTP/1.0\r\n\r\n");
    let all = String::from_utf8(old.read_to_end().unwrap()).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("chunked") && !head.contains("content-length"), "{head}");
    assert!(body == exported(&file));
}

#[test]
fn an_export_comes_whole_while_lookups_are_answered() {
    let file = long(4000);
    let server = Server::start(&file, &["--threads", "1"]);
    let mut client = server.client();
    client.send(request("GET", EXPORTS[0], &[]));
    // It gives way before each part, as long as there was a lookup since the part before.
    let is_over = AtomicBool::new(false);
    let mut lookups = server.client();
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(lookups.get("/v1/shipments/DHL/N1").status, 200);
            }
        });
        let answer = client.try_answer_to("GET");
        is_over.store(true, Ordering::Relaxed);
        answer
    });
    assert_eq!(answer.unwrap().text(), exported(&file));
    server.stop();
}

#[test]
fn an_export_is_of_one_version_and_never_short_unnoticed() {
    let file = long(30_000);
    let server = Server::start(&file, &["--write-timeout", NEVER]);
    let begun = |version: &str| {
        let mut client = server.client();
        client.send(format!("GET /v1/shipments.csv HTTP/{version}\r\nHost: a\r\n\r\n"));
        assert!(client.starts_with(&format!("HTTP/{version} 200 ")));
        client
    };
    let mut in_time = begun("1.1");
    let (mut late, mut late_and_old) = (begun("1.1"), begun("1.0"));
    server.replace(file.replace("LP1", "LP2"));
    assert_eq!(server.reload().json()["changed"], 30_000);
    assert!(in_time.answer_to("GET").text() == exported(&file));
    // The next load is to have the memory.
    server.replace(file.replace("LP1", "LP3"));
    assert_eq!(server.reload().json()["changed"], 30_000);
    assert!(matches!(late.try_answer_to("GET"), Err(Broken::Truncated(_))));
    let error = late_and_old.read_to_end().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(server.get(EXPORTS[0]).text() == exported(&file.replace("LP1", "LP3")));
}

#[test]
fn downloads_that_nobody_reads_take_less_than_a_mebibyte_each_and_are_bounded_in_sum() {
    let server =
        Server::start(long(30_000), &["--max-buffered-bytes", "8MiB", "--write-timeout", NEVER, "--threads", "1"]);
    let held = || server.metric("waybill_http_buffered_bytes");
    // What the threads take for themselves.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut client = server.client();
            scope.spawn(move || assert_eq!(client.get(EXPORTS[0]).status, 200));
        }
    });
    let before = server.resident_bytes();
    let mut unread: Vec<Client> = (0..60).map(|_| server.client()).collect();
    let (mut begun, mut refused) = (0_u64, 0);
    for (at, client) in unread.iter_mut().enumerate() {
        let path = ["/v1/shipments.csv", "/v1/shipments.ndjson?sort=tracking_number&carrier=dhl"][at % 2];
        client.send(request("GET", path, &[]));
        if client.starts_with("HTTP/1.1 503 ") {
            client.answer_to("GET").problem(503, "overloaded");
            refused += 1;
        } else {
            begun += 1;
        }
    }
    assert!(begun >= 10 && refused >= 10, "{begun} {refused}");
    assert!(held() < begun << 20, "{} bytes are held for {begun}", held());
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < begun << 20, "{grown} bytes for {begun}");
    // Lookups go on.
    assert_eq!(server.get("/v1/shipments/DHL/N7").status, 200);
    drop(unread);
    while held() > 0 {
        std::thread::yield_now();
    }
    assert_eq!(server.get(EXPORTS[0]).status, 200);
}

#[test]
fn a_reader_that_takes_too_little_is_ended() {
    let server = Server::start(long(30_000), &["--write-timeout", "2s"]);
    for (path, ended) in EXPORTS.into_iter().zip(1..) {
        let mut slow = server.client();
        slow.send(request("GET", path, &[]));
        assert!(slow.starts_with("HTTP/1.1 200 "));
        let timed_out = format!("waybill_http_connections_timed_out_total{{phase=\"write\"}} {ended}\n");
        while !server.admin_get("/metrics").text().contains(&timed_out) {
            std::thread::yield_now();
        }
        assert!(matches!(slow.try_answer_to("GET"), Err(Broken::Truncated(_))));
    }
}

#[test]
fn keys_need_the_scope_for_lists() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    std::fs::write(&keys, "look:0123456789abcdef-1 scope=lookup\nlist:0123456789abcdef-2 scope=list\n").unwrap();
    std::fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let server = Server::start(SEED, &["--api-keys-file", keys.to_str().unwrap()]);
    let mut client = server.client();
    for path in EXPORTS {
        client.get(path).problem(401, "unauthorized");
        client.request("GET", path, &["X-API-Key: 0123456789abcdef-1"]).problem(403, "forbidden");
        let answer = client.request("GET", path, &["X-API-Key: 0123456789abcdef-2"]);
        let cached = answer.field("cache-control");
        assert_eq!((answer.status, cached.as_deref()), (200, Some("private, no-cache")));
    }
}

#[test]
fn an_export_of_odd_values_is_loaded_as_the_same() {
    let odd = ["=1+2", " a, \"b\" ", "a\r\nb", "\r", "\n", "\"", "ä\\n\t\u{0}", "'", "x,", ""];
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let rows: Vec<String> = odd
        .iter()
        .enumerate()
        .map(|(at, text)| {
            let text = quoted(text);
            format!(
                "{},{text}x,{text},{text},{text},4294967295,0.50,{text},{text}",
                quoted(&format!("{at}{}", odd[at]))
            )
        })
        .collect();
    let server = Server::start(csv(&rows), &[]);
    let other = Server::start(&server.get(EXPORTS[0]).body, &["--require-final-newline"]);
    for path in EXPORTS {
        assert_eq!(server.get(path).text(), other.get(path).text());
    }
    let filter = form(&[("status".to_owned(), odd[1].to_owned())]);
    assert_eq!(server.get(&format!("{}{filter}", EXPORTS[1])).text().lines().count(), 1);
}
