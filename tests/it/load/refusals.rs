//! Every way in which a file can be bad, at the start and on a reload, with its line and column.

use std::path::PathBuf;

use crate::support::{HEADER, Server, csv, row, run, run_serve, shipment, waybill};
use serde_json::Value;

/// A file whose next line is [`NEXT_LINE`]: CRLF, a blank line, a record over three lines, a blank line, a good row.
fn prelude() -> String {
    format!(
        "{HEADER}\r\n\r\nTN1,DHL,\"Street 1,\nsecond\r\nthird\",to,Laptop,1,800,LP1,scanned\r\n\n{}\r\n",
        row("TN2", "DHL")
    )
}

const NEXT_LINE: u64 = 8;

/// Where something is wrong: a line and, unless all of it is, a column.
type Place = (u64, Option<&'static str>);

/// What is wrong, the row, the column.
const BAD_ROWS: [(&str, &[u8], Option<&str>); 52] = [
    ("a field is missing", b"TN9,DHL,from,to,Laptop,1,800,LP1", None),
    ("a field too many", b"TN9,DHL,from,to,Laptop,1,800,LP1,scanned,", None),
    ("one field", b"TN9", None),
    ("an address that is not quoted", b"TN9,DHL,Street 1, 10115 Berlin,to,Laptop,1,800,LP1,scanned", None),
    ("only white space", b" ", None),
    ("a lone CR is data", b"TN9,DHL,from,to,Laptop,1,800\rLP1,scanned", None),
    ("no number", b",DHL,from,to,Laptop,1,800,LP1,scanned", Some("tracking_number")),
    ("a blank number", b" \t,DHL,from,to,Laptop,1,800,LP1,scanned", Some("tracking_number")),
    ("a number of no-break space", b"\xc2\xa0,DHL,from,to,Laptop,1,800,LP1,scanned", Some("tracking_number")),
    ("no carrier", b"TN9,\"\",from,to,Laptop,1,800,LP1,scanned", Some("carrier")),
    ("a blank carrier", b"TN9,\" \n\",from,to,Laptop,1,800,LP1,scanned", Some("carrier")),
    ("no quantity", b"TN9,DHL,from,to,Laptop,,800,LP1,scanned", Some("article_quantity")),
    ("a negative quantity", b"TN9,DHL,from,to,Laptop,-1,800,LP1,scanned", Some("article_quantity")),
    ("a signed quantity", b"TN9,DHL,from,to,Laptop,+1,800,LP1,scanned", Some("article_quantity")),
    ("a fraction as a quantity", b"TN9,DHL,from,to,Laptop,1.0,800,LP1,scanned", Some("article_quantity")),
    ("a leading zero", b"TN9,DHL,from,to,Laptop,01,800,LP1,scanned", Some("article_quantity")),
    ("two zeros", b"TN9,DHL,from,to,Laptop,00,800,LP1,scanned", Some("article_quantity")),
    ("a space before a quantity", b"TN9,DHL,from,to,Laptop, 1,800,LP1,scanned", Some("article_quantity")),
    ("a space after a quantity", b"TN9,DHL,from,to,Laptop,1 ,800,LP1,scanned", Some("article_quantity")),
    ("too large a quantity", b"TN9,DHL,from,to,Laptop,4294967296,800,LP1,scanned", Some("article_quantity")),
    ("far too large a quantity", b"TN9,DHL,from,to,Laptop,18446744073709551617,8,LP1,x", Some("article_quantity")),
    ("an exponent", b"TN9,DHL,from,to,Laptop,1e3,800,LP1,scanned", Some("article_quantity")),
    ("other digits", b"TN9,DHL,from,to,Laptop,\xd9\xa3,800,LP1,scanned", Some("article_quantity")),
    ("no price", b"TN9,DHL,from,to,Laptop,1,,LP1,scanned", Some("article_price")),
    ("a negative price", b"TN9,DHL,from,to,Laptop,1,-800,LP1,scanned", Some("article_price")),
    ("a decimal comma", b"TN9,DHL,from,to,Laptop,1,\"8,50\",LP1,scanned", Some("article_price")),
    ("no whole part", b"TN9,DHL,from,to,Laptop,1,.50,LP1,scanned", Some("article_price")),
    ("no fraction", b"TN9,DHL,from,to,Laptop,1,8.,LP1,scanned", Some("article_price")),
    ("two points", b"TN9,DHL,from,to,Laptop,1,8.5.0,LP1,scanned", Some("article_price")),
    ("a price with a leading zero", b"TN9,DHL,from,to,Laptop,1,08.50,LP1,scanned", Some("article_price")),
    ("a price with an exponent", b"TN9,DHL,from,to,Laptop,1,8e2,LP1,scanned", Some("article_price")),
    ("a currency", b"TN9,DHL,from,to,Laptop,1,\xe2\x82\xac8,LP1,scanned", Some("article_price")),
    ("not a number", b"TN9,DHL,from,to,Laptop,1,NaN,LP1,scanned", Some("article_price")),
    ("19 digits", b"TN9,DHL,from,to,Laptop,1,1234567890123456789,LP1,scanned", Some("article_price")),
    ("19 digits with a point", b"TN9,DHL,from,to,Laptop,1,1.234567890123456789,LP1,scanned", Some("article_price")),
    ("a price with a CR", b"TN9,DHL,from,to,Laptop,1,800\r,LP1,scanned", Some("article_price")),
    ("a number that is not UTF-8", b"TN9\xff,DHL,from,to,Laptop,1,800,LP1,scanned", Some("tracking_number")),
    ("a carrier that is not UTF-8", b"TN9,D\xc3,from,to,Laptop,1,800,LP1,scanned", Some("carrier")),
    ("a sender that is not UTF-8", b"TN9,DHL,\"fr\n\xe4m\",to,Laptop,1,800,LP1,scanned", Some("sender_address")),
    ("a receiver that is not UTF-8", b"TN9,DHL,from,\xed\xa0\x80,Laptop,1,800,LP1,scanned", Some("receiver_address")),
    ("a name that is not UTF-8", b"TN9,DHL,from,to,\xc0\x80,1,800,LP1,scanned", Some("article_name")),
    ("a quantity that is not UTF-8", b"TN9,DHL,from,to,Laptop,\xff,800,LP1,scanned", Some("article_quantity")),
    ("an SKU that is not UTF-8", b"TN9,DHL,from,to,Laptop,1,800,\xfe,scanned", Some("SKU")),
    ("a status that is not UTF-8", b"TN9,DHL,from,to,Laptop,1,800,LP1,\xf5", Some("status")),
    ("bytes that are UTF-8 only together", b"TN9,DHL,from,to,\xc3,1,800,LP1,\xa4", Some("article_name")),
    ("another status", b"TN2,DHL,from,to,Laptop,1,800,LP1,delivered", Some("status")),
    ("a status in capitals", b"tn2,dhl,from,to,Laptop,1,800,LP1,Scanned", Some("status")),
    ("another sender", b"TN2,DHL,from ,to,Laptop,1,800,LP1,scanned", Some("sender_address")),
    ("another receiver", b" TN2 ,DHL,from,,Laptop,1,800,LP1,scanned", Some("receiver_address")),
    ("the first of two columns", b"TN2,DHL,x,to,Laptop,1,800,LP1,delivered", Some("sender_address")),
    ("the first of all columns", b",,from,to,Laptop,x,x,LP1,\xff", Some("tracking_number")),
    ("a contradiction before a bad price", b"TN2,DHL,from,x,Laptop,1,x,LP1,scanned", Some("receiver_address")),
];

/// The bad row after the prelude, and good ones after it.
fn with_bad_row(bad: &[u8]) -> Vec<u8> {
    [prelude().as_bytes(), bad, b"\r\n", row("TN3", "DHL").as_bytes(), b"\n"].concat()
}

/// Files that are refused as a whole, whatever is tolerated.
fn whole_file_errors() -> Vec<(&'static str, Vec<u8>, Place)> {
    let prelude = prelude();
    let long = "x".repeat((1 << 20) + 100);
    let without_price = HEADER.replace("article_price,", "");
    let mut files = vec![
        ("an empty file", String::new(), (1, None)),
        ("a header alone", format!("{HEADER}\n"), (1, None)),
        ("a header alone, late", format!("\n\r\n{HEADER}\r\n\n\n"), (3, None)),
        ("a header without a line break", HEADER.to_owned(), (1, None)),
        ("a column is missing", format!("\u{feff}{without_price}\nTN1,DHL,a,b,c,1,d,e\n"), (1, Some("article_price"))),
        (
            "a column is missing, late",
            format!("\n\n{without_price}\nTN1,DHL,a,b,c,1,d,e\n"),
            (3, Some("article_price")),
        ),
        ("a column in other letters", csv(&[row("TN1", "DHL")]).replace("SKU", "sku"), (1, Some("SKU"))),
        ("a column named twice", format!("\n{HEADER},status\n{},x\n", row("TN1", "DHL")), (2, Some("status"))),
        ("no header", row("TN1", "DHL") + "\n" + &row("TN2", "DHL") + "\n", (1, Some("tracking_number"))),
        ("a quote open in the header", format!("\n\"{HEADER}\n"), (2, None)),
        ("a quote open at the end", format!("{prelude}TN9,DHL,\"from,to\n{}\n", row("TN3", "DHL")), (NEXT_LINE, None)),
        ("a quote open in the last field", format!("{prelude}TN9,DHL,a,b,c,1,1,\"d,e"), (NEXT_LINE, None)),
        ("a doubled quote at the end", format!("{prelude}TN9,DHL,a,b,c,1,1,d,\"e\"\"\n"), (NEXT_LINE, None)),
        ("a quote alone", format!("{prelude}\""), (NEXT_LINE, None)),
        ("a long record", format!("{prelude}TN9,DHL,{long},b,c,1,1,d,e\n"), (NEXT_LINE, None)),
        ("a long record in quotes", format!("{prelude}TN9,DHL,\"\n\n{long}\",b,c,1,1,d,e\n"), (NEXT_LINE, None)),
        ("a long record without end", prelude.clone() + &long, (NEXT_LINE, None)),
    ];
    files.sort_by_key(|(what, ..)| *what);
    files.into_iter().map(|(what, file, place)| (what, file.into_bytes(), place)).collect()
}

fn in_file(file: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.csv");
    std::fs::write(&path, file).unwrap();
    (dir, path)
}

fn assert_start_is_refused(what: &str, file: &[u8], (line, column): Place, arguments: &[&str]) {
    let (_dir, path) = in_file(file);
    let ended = run_serve(&path, arguments);
    assert_eq!(ended.code, Some(1), "{what}: {}", ended.stderr);
    let place = column.map_or(format!("line {line}:"), |column| format!("line {line}, {column}:"));
    let error = ended.stderr.lines().find(|line| line.starts_with("error: "));
    let error = error.unwrap_or_else(|| panic!("{what}: {}", ended.stderr));
    assert!(error.contains("data.csv") && error.contains(&place), "{what}: {error}");
}

fn places(errors: &Value) -> Vec<(u64, Option<&str>)> {
    let errors = errors.as_array().unwrap();
    assert!(errors.iter().all(|error| error["reason"].as_str().is_some_and(|reason| !reason.is_empty())), "{errors:?}");
    errors.iter().map(|error| (error["line"].as_u64().unwrap(), error["column"].as_str())).collect()
}

/// Reloads `server` with `file`, which must be refused at `expected` and leave what is served as it was.
fn assert_reload_is_refused(server: &Server, what: &str, file: &[u8], expected: &[Place]) {
    let before = (server.get("/v1/shipments/TN1").body, server.get("/v1/dataset").body);
    server.replace(file);
    let answer = server.reload();
    answer.problem(422, "dataset_refused");
    assert_eq!(places(&answer.json()["errors"]), expected, "{what}");
    assert_eq!((server.get("/v1/shipments/TN1").body, server.get("/v1/dataset").body), before, "{what}");
    let state = server.state();
    assert_eq!((&state["generation"], &state["last_reload"]["result"]), (&1.into(), &"failed".into()), "{what}");
}

#[test]
fn the_prelude_is_good() {
    let server = Server::start(prelude(), &[]);
    let state = server.state();
    assert_eq!((&state["rows"], &state["bad_rows"]), (&2.into(), &0.into()));
    let expected = shipment("TN1", "DHL").replace("from", r"Street 1,\nsecond\r\nthird");
    assert_eq!(server.get("/v1/shipments/DHL/TN1").text(), expected);
}

#[test]
fn a_bad_row_refuses_the_start_with_its_line_and_column() {
    for (what, bad, column) in BAD_ROWS {
        assert_start_is_refused(what, &with_bad_row(bad), (NEXT_LINE, column), &[]);
    }
}

#[test]
fn a_bad_row_refuses_a_reload_with_its_line_and_column() {
    let server = Server::start(prelude(), &[]);
    for (what, bad, column) in BAD_ROWS {
        assert_reload_is_refused(&server, what, &with_bad_row(bad), &[(NEXT_LINE, column)]);
    }
}

#[test]
fn as_many_bad_rows_as_allowed_are_left_out_and_one_more_refuses_the_file() {
    let server = Server::start(prelude(), &["--max-bad-rows", "2"]);
    for (at, (what, bad, column)) in BAD_ROWS.into_iter().enumerate() {
        let good = row(&format!("TN{at}x"), "DHL");
        let file = |bad_rows: usize| {
            let bad_rows = [bad, b"\r\n"].concat().repeat(bad_rows);
            [prelude().as_bytes(), &bad_rows, good.as_bytes(), b"\n"].concat()
        };
        server.replace(file(2));
        let answer = server.reload();
        assert_eq!((answer.status, &answer.json()["shipments"]), (200, &3.into()), "{what}");
        let state = server.state();
        let counts = ["rows", "articles", "bad_rows"].map(|count| state[count].as_u64().unwrap());
        assert_eq!(counts, [5, 3, 2], "{what}");
        assert_eq!(server.get(&format!("/v1/shipments/DHL/TN{at}x")).status, 200, "{what}");
        assert_eq!(
            server.get("/v1/shipments/TN2").text(),
            format!("{{\"count\":1,\"results\":[{}]}}", shipment("TN2", "DHL"))
        );
        server.get("/v1/shipments/TN9").problem(404, "shipment_not_found");

        server.replace(file(3));
        let answer = server.reload();
        answer.problem(422, "dataset_refused");
        let lines = bad.split(|byte| *byte == b'\n').count() as u64;
        let expected: Vec<Place> = (0..3).map(|bad| (NEXT_LINE + bad * lines, column)).collect();
        assert_eq!(places(&answer.json()["errors"]), expected, "{what}");
        assert_eq!(server.state()["version"], state["version"], "{what}");
    }
}

#[test]
fn bad_rows_that_are_left_out_are_reported_at_the_start() {
    let file = prelude() + "TN9,DHL,from,to,Laptop,x,800,LP1,scanned\nTN9\n";
    let mut server = Server::start_loading(&file, &["--max-bad-rows", "2"]);
    assert_eq!(server.wait_for("bad rows were left out")["bad_rows"], 2);
    let first = server.wait_for("left out");
    assert_eq!((&first["line"], &first["column"]), (&NEXT_LINE.into(), &"article_quantity".into()));
    assert_eq!(server.wait_for("left out")["line"], NEXT_LINE + 1);
    assert_eq!(server.wait_for("serving")["bad_rows"], 2);
    let state = server.state();
    assert_eq!(["rows", "articles", "bad_rows"].map(|count| state[count].as_u64()), [Some(4), Some(2), Some(2)]);
    assert_start_is_refused(
        "one more",
        file.as_bytes(),
        (NEXT_LINE, Some("article_quantity")),
        &["--max-bad-rows", "1"],
    );
}

#[test]
fn a_file_that_is_wrong_as_a_whole_refuses_the_start_whatever_is_tolerated() {
    for (what, file, place) in whole_file_errors() {
        assert_start_is_refused(what, &file, place, &["--max-bad-rows", "1000000"]);
    }
}

#[test]
fn a_file_that_is_wrong_as_a_whole_refuses_a_reload_whatever_is_tolerated() {
    let server = Server::start(prelude(), &["--max-bad-rows", "1000000"]);
    for (what, file, place) in whole_file_errors() {
        assert_reload_is_refused(&server, what, &file, &[place]);
    }
}

#[test]
fn a_file_whose_lines_end_with_cr_alone_is_told_so() {
    let quoted = "\"TN2\",\"DHL\",\"Street 1, 10115 Berlin\",\"to\rhere\",\"Laptop 15\"\"\",1,800,LP1,scanned";
    let header_in_quotes = format!("\"{}\"", HEADER.replace(',', "\",\""));
    let many = vec![row("TN1", "DHL"); 20_000].join("\r");
    for lines in [
        vec![HEADER, &row("TN1", "DHL")],
        vec![HEADER, &row("TN1", "DHL"), quoted, ""],
        vec![HEADER, quoted, "TN1,DHL,\"from,to,Laptop,1,800,LP1,scanned"],
        vec![&header_in_quotes, quoted, quoted],
        vec![&format!("{HEADER},note"), &(row("TN1", "DHL") + ",x"), ""],
        vec![HEADER, &many],
    ] {
        let (_dir, path) = in_file(lines.join("\r").as_bytes());
        let ended = run_serve(&path, &[]);
        assert_eq!(ended.code, Some(1), "{lines:?}");
        let expected = "the file's lines end with CR alone, but must end with LF or CRLF; tr '\\r' '\\n' <FILE >NEW";
        assert!(ended.stderr.contains("line 1") && ended.stderr.contains(expected), "{}", ended.stderr);
    }
    // A quoted one in the header is data, and no reason for another error.
    let (_dir, path) = in_file(format!("\"a\rb\",{}\nx,{}\n", &HEADER[9..], row("TN1", "DHL")).as_bytes());
    let ended = run_serve(&path, &[]);
    assert!(ended.stderr.contains("the header has no column"), "{}", ended.stderr);
}

#[test]
fn a_file_of_bad_rows_alone_has_no_rows_to_serve() {
    let server = Server::start(prelude(), &["--max-bad-rows", "1000"]);
    let expected = [(2, Some("carrier")), (3, None)];
    assert_reload_is_refused(&server, "all bad", csv(&[&row("TN1", ""), "x"]).as_bytes(), &expected);
}

#[test]
fn the_first_twenty_errors_are_reported_in_file_order() {
    let server = Server::start(prelude(), &[]);
    let rows: Vec<String> = (0..60).map(|at| row(&format!("TN{at}"), if at % 2 == 0 { "DHL" } else { " " })).collect();
    let expected: Vec<Place> = (0..20).map(|at| (3 + 2 * at, Some("carrier"))).collect();
    assert_reload_is_refused(&server, "thirty errors", csv(&rows).as_bytes(), &expected);
    let (_dir, path) = in_file(csv(&rows).as_bytes());
    let stderr = run_serve(&path, &[]).stderr;
    assert!(stderr.contains("line 3, carrier:") && stderr.contains("line 41, carrier:"), "{stderr}");
    assert!(!stderr.contains("line 43, carrier:"), "{stderr}");
}

#[test]
fn a_contradiction_is_to_the_first_good_row() {
    let rows = [
        "TN1,DHL,from,to,Laptop,bad,800,LP1,lost".to_owned(),
        row("TN1", "DHL"),
        row("TN2", "DHL"),
        "tn1,dhl,from,to,Laptop,1,800,LP1,lost".to_owned(),
        row("TN1", "DHL"),
    ];
    let server = Server::start(csv(&rows), &["--max-bad-rows", "2"]);
    assert_eq!(server.state()["articles"], 3);
    let answer = server.get("/v1/shipments/DHL/TN1").json();
    assert_eq!((&answer["status"], answer["articles"].as_array().map(Vec::len)), (&"scanned".into(), Some(2)));
    let strict = Server::start(prelude(), &[]);
    let expected = [(2, Some("article_quantity")), (5, Some("status"))];
    assert_reload_is_refused(&strict, "contradiction", csv(&rows).as_bytes(), &expected);
}

#[test]
fn a_contradiction_names_both_lines_and_both_values() {
    let rows = [
        row("TN1", "DHL"),
        row("TN2", "DHL"),
        "tn1,dhl,from,to,Laptop,1,800,LP1,lost \"for good\"".to_owned(),
        "TN1,DHL,from,elsewhere,Mouse,1,25,MO1,scanned".to_owned(),
        "TN2,DHL,elsewhere,to,Mouse,1,?,MO1,scanned".to_owned(),
    ];
    let (_dir, path) = in_file(csv(&rows).as_bytes());
    let errors = [
        r#"line 4, status: "lost \"for good\"" differs from "scanned" on line 2, the shipment's first good row"#,
        r#"line 5, receiver_address: "elsewhere" differs from "to" on line 2, the shipment's first good row"#,
        r#"line 6, sender_address: "elsewhere" differs from "from" in the shipment's first good row"#,
    ];
    let start = run_serve(&path, &[]).stderr;
    let checked = run(&mut waybill(&["check", path.to_str().unwrap()]));
    for text in [&start, checked.stdout()] {
        assert!(text.contains("3 bad rows, 0 allowed; the first: line 4, status: "), "{text}");
        for error in errors {
            assert_eq!(text.matches(error).count(), 1, "{error}: {text}");
        }
    }
    assert!(start.contains("waybill check FILE"), "{start}");
    // Blocks of the file are loaded by any thread, in any order.
    let far: Vec<String> = (0..60_000).map(|at| row(&format!("TN{at}"), "DHL")).collect();
    let last = "TN7,DHL,from,to,Mouse,1,25,MO1,delivered".to_owned();
    let (_dir, path) = in_file(csv(&[far.as_slice(), &[last]].concat()).as_bytes());
    let text = run_serve(&path, &[]).stderr;
    assert!(text.contains(r#"line 60002, status: "delivered" differs from "scanned" on line 9, "#), "{text}");
}

#[test]
fn a_missing_final_line_break_is_a_warning_or_on_demand_a_refusal() {
    let cut = prelude() + &row("TN3", "DHL");
    let mut server = Server::start_loading(&cut, &[]);
    let wait_for_it = |server: &mut Server, level: &str| {
        server.wait_for("the last line has no line break: was the file cut?");
        let line = server.seen().last().unwrap();
        assert!(line.contains(&format!("\"level\":\"{level}\"")), "{line}");
    };
    // It is one where the file before had its last line break.
    wait_for_it(&mut server, "INFO");
    server.wait_for("serving");
    assert_eq!(server.get("/v1/shipments/TN3").status, 200);
    server.replace(cut.clone() + "\n" + &row("TN4", "DHL"));
    assert_eq!(server.reload().status, 200);
    wait_for_it(&mut server, "INFO");
    server.replace(prelude());
    assert_eq!(server.reload().status, 200);
    server.replace(&cut);
    assert_eq!(server.reload().status, 200);
    wait_for_it(&mut server, "WARN");

    let strict = Server::start(prelude(), &["--require-final-newline"]);
    assert_reload_is_refused(&strict, "no line break", cut.as_bytes(), &[(NEXT_LINE, None)]);
    assert_start_is_refused("no line break", cut.as_bytes(), (NEXT_LINE, None), &["--require-final-newline"]);
}

#[test]
fn what_is_tolerated_is_no_error() {
    let header = format!("\u{feff}\"note\",{HEADER}");
    let rows = [
        ",TN1,DHL,,,,0,0,,".to_owned(),
        String::new(),
        format!("\"a,\"\"b\"\"\r\nc\",{}", row("TN2", "DHL")),
        format!("5\" disk,{}", row("TN3", "DHL").replace("Laptop", "24\"\rMonitor\"")),
        "x,TN4,DHL,from,to,Laptop,4294967295,123456789012345678,LP1,".to_owned(),
        format!("y,{}", row("TN5", "DHL").replace("from", &"x".repeat((1 << 20) - 100))),
    ];
    let mut server = Server::start_loading(format!("\r\n{header}\r\n{}\r\n", rows.join("\r\n")), &[]);
    assert!(server.wait_for("columns that nothing needs are ignored")["columns"].to_string().contains("note"));
    server.wait_for("serving");
    let state = server.state();
    assert_eq!(["rows", "shipments", "bad_rows"].map(|count| state[count].as_u64()), [Some(5), Some(5), Some(0)]);
    let expected = shipment("TN3", "DHL").replace("Laptop", r#"24\"\rMonitor\""#);
    assert_eq!(server.get("/v1/shipments/DHL/TN3").text(), expected);
}
