//! Exports that are compressed, or written with another delimiter or other names of columns.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use waybill::cancel::Cancel;
use waybill::commands::generate::{self, Plan};
use waybill::dataset::Changes;
use waybill::load::{ColumnNames, LoadError, Loaded, Options};

use crate::reference::COLUMNS;
use crate::reference::agreement::{assert_agreement, loaded};
use crate::reference::compressed::{gzip, packing, zstd};
use crate::reference::exports::{Bytes, damaged_exports, exports};
use crate::support::{HEADER, SEED, Server, csv, row, run, shipment, waybill};

/// The version of the repository's own file with the settings of those who set nothing.
const SEED_VERSION: &str = "fc07c079f6db920fda30873e795b3ed0";

/// As many cases, more with `PROPTEST_CASES` above its 256.
fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases * cases / 256, failure_persistence: None, ..default }
}

fn options() -> impl Strategy<Value = Options> {
    let block_bytes = prop_oneof![1 => 1..64_usize, 2 => 64..1500_usize, 1 => Just(1 << 20)];
    let bad_rows_max = prop_oneof![Just(0), Just(1000)];
    (bad_rows_max, 1..4_usize, block_bytes).prop_map(|(bad_rows_max, threads, block_bytes)| Options {
        bad_rows_max,
        threads,
        block_bytes,
        ..Options::default()
    })
}

fn generated(shipments: u64) -> Vec<u8> {
    let mut file = Vec::new();
    generate::write(&Plan { shipments, seed: 11 }, &mut file).unwrap();
    file
}

fn refusal(file: &[u8]) -> String {
    match loaded(file, &Options::default()) {
        Err(LoadError::Refused { errors, summary, .. }) => {
            assert_eq!((errors.len(), errors[0].line, errors[0].column), (1, 1, None), "{errors:?}");
            summary
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it loads"),
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn a_compressed_file_is_what_its_content_is(
        Bytes(file) in prop_oneof![exports(24), damaged_exports(8)], options in options(), packing in packing(),
    ) {
        let packed = packing.pack(&file);
        match (loaded(&file, &options), loaded(&packed, &options)) {
            (Ok(Loaded { dataset, summary }), Ok(of_packed)) => {
                prop_assert_eq!(of_packed.dataset.changes_since(&dataset, 2, &Cancel::default()), Ok(Changes::default()));
                prop_assert_eq!(&of_packed.summary.version, &summary.version);
                prop_assert_eq!(&of_packed.summary.errors, &summary.errors);
                let counts = |loaded: &waybill::load::Summary| {
                    (loaded.rows, loaded.bad_rows, loaded.content_bytes, loaded.final_newline_missing)
                };
                prop_assert_eq!(counts(&of_packed.summary), counts(&summary));
                prop_assert_eq!(of_packed.summary.file_bytes, packed.len() as u64);
                let compression = of_packed.summary.compression.map(waybill::source::Compression::name);
                prop_assert_eq!((compression, summary.compression), (Some(packing.name()), None));
            }
            (
                Err(LoadError::Refused { errors, .. }),
                Err(LoadError::Refused { errors: of_packed, .. }),
            ) => prop_assert_eq!(of_packed, errors),
            (plain, packed) => panic!("plain: {:?}, {packing:?}: {:?}", plain.err(), packed.err()),
        }
    }

    #[test]
    fn files_with_another_delimiter_are_answered_as_the_reference_answers(
        Bytes(mut file) in prop_oneof![exports(24), damaged_exports(8)],
        options in options(),
        delimiter in select(&b";|\t :\\'"[..]),
    ) {
        for byte in &mut file {
            *byte = match *byte {
                b',' => delimiter,
                other if other == delimiter => b',',
                other => other,
            };
        }
        assert_agreement(&file, &Options { delimiter, ..options });
    }

    #[test]
    fn files_with_other_names_are_answered_as_the_reference_answers(
        Bytes(file) in exports(24), options in options(), renamed in any::<[bool; 9]>(),
    ) {
        let mut columns = Vec::new();
        let mut text = String::from_utf8_lossy(&file).into_owned();
        for ((at, column), _) in COLUMNS.into_iter().enumerate().zip(renamed).filter(|(_, renamed)| *renamed) {
            text = text.replace(column, &format!("No {at} = é"));
            columns.push(format!("{column}=No {at} = é"));
        }
        let columns = if columns.is_empty() { ColumnNames::default() } else { columns.join(",").parse().unwrap() };
        assert_agreement(text.as_bytes(), &Options { columns, ..options });
    }
}

#[test]
fn a_large_compressed_file_takes_the_memory_of_its_content_and_is_read_to_its_end() {
    let file = generated(12_000);
    let bytes = |file: &[u8], block_bytes| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("export");
        std::fs::write(&path, file).unwrap();
        let mut done = (0, 0);
        let options = Options { threads: 2, block_bytes, ..Options::default() };
        let loaded = waybill::load::load(&path, &options, &mut |progress| {
            assert!(progress.bytes() >= done.0 && progress.bytes() <= progress.bytes_total);
            done = (progress.bytes(), progress.bytes_total);
        });
        assert_eq!(done, (file.len() as u64, file.len() as u64));
        loaded.unwrap().dataset.bytes()
    };
    let block_bytes = Options::default().block_bytes;
    let plain = bytes(&file, block_bytes);
    for packed in [gzip(&file, 6), zstd(&file, 3), gzip(&file, 0)] {
        // A block that ends with the content leaves what ends the file for the next.
        bytes(&packed, file.len());
        let of_packed = bytes(&packed, block_bytes);
        assert!(of_packed.abs_diff(plain) < plain / 20, "{of_packed} bytes, {plain} without compression");
    }
}

#[test]
fn what_follows_compressed_content_must_be_such_too() {
    let file = csv(&[row("TN1", "DHL")]);
    for (name, packed) in [("gzip", gzip(file.as_bytes(), 6)), ("zstd", zstd(file.as_bytes(), 3))] {
        for garbage in [&b"\n"[..], b"\0\0\0\0\0\0\0\0\0\0\0\0", b"TN2,DHL,from,to,Laptop,1,800,LP1,scanned\n"] {
            let reason = refusal(&[&packed, garbage].concat());
            assert!(
                reason.contains(&format!("the {name} data ")) && reason.contains("something else behind"),
                "{reason}"
            );
        }
    }
}

#[test]
fn a_bomb_is_refused_for_its_first_record_that_is_too_long() {
    let content = [csv(&[row("TN1", "DHL")]).as_bytes(), &vec![0; 64 << 20]].concat();
    for packed in [gzip(&content, 6), zstd(&content, 3)] {
        assert!(packed.len() < 100 << 10);
        let Err(LoadError::Refused { errors, .. }) = loaded(&packed, &Options::default()) else {
            panic!("not refused")
        };
        assert!(errors[0].line == 3 && errors[0].reason.contains("over 1048576 bytes long"), "{errors:?}");
    }
}

#[test]
fn a_window_that_takes_much_memory_is_refused() {
    let file = generated(1000);
    let with_window = |log| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(log).unwrap();
        std::io::Write::write_all(&mut encoder, &file).unwrap();
        encoder.finish().unwrap()
    };
    assert!(loaded(&with_window(23), &Options::default()).is_ok());
    assert!(refusal(&with_window(24)).contains("window over 8 MiB"));
}

fn version(server: &Server) -> String {
    server.state()["version"].as_str().unwrap().to_owned()
}

#[test]
fn a_server_takes_a_compressed_file_for_its_content() {
    let mut server = Server::start(gzip(SEED.as_bytes(), 9), &[]);
    assert_eq!(version(&server), SEED_VERSION);
    for same in [
        zstd(SEED.as_bytes(), 3),
        SEED.into(),
        [gzip(&SEED.as_bytes()[..500], 1), gzip(&SEED.as_bytes()[500..], 9)].concat(),
    ] {
        server.replace(&same);
        assert_eq!(server.reload().json()["result"], "unchanged");
    }
    let packed = gzip(csv(&[row("TN1", "DHL")]).as_bytes(), 6);
    server.replace(&packed[..packed.len() - 1]);
    let detail = server.reload().problem(422, "dataset_refused");
    assert!(detail.contains("the gzip data end too early: was the file cut"), "{detail}");
    server.replace(&packed);
    let reloaded = server.admin_client().request("POST", "/-/reload?force=true", &[]).json();
    assert_eq!((&reloaded["result"], &reloaded["shipments"]), (&"ok".into(), &1.into()), "{reloaded}");
    server.wait_for("reloaded");
    assert_eq!(server.get("/v1/shipments/dhl/tn1").text(), shipment("TN1", "DHL"));
}

#[test]
fn a_decimal_comma_is_a_point_on_the_wire_and_part_of_the_version() {
    let rows = |prices: &[&str]| {
        let rows = prices.iter().enumerate();
        let rows = rows.map(|(at, price)| format!("TN{at};DHL;from;to;Laptop;1;{price};LP1;scanned\n"));
        HEADER.replace(',', ";") + "\n" + &rows.collect::<String>()
    };
    let arguments = ["--delimiter", ";", "--decimal-comma"];
    let server = Server::start(rows(&["5,00", "19,9", "800", "0,05"]), &arguments);
    for (at, price) in ["5.00", "19.9", "800", "0.05"].iter().enumerate() {
        let expected = shipment(&format!("TN{at}"), "DHL").replace("800", price);
        assert_eq!(server.get(&format!("/v1/shipments/DHL/TN{at}")).text(), expected);
    }
    server.replace(rows(&["5,00", "5.00", "1.234,50", "1,234,50", ",5"]));
    let errors = server.reload().json()["errors"].clone();
    let lines: Vec<&Value> = errors.as_array().unwrap().iter().map(|error| &error["line"]).collect();
    assert_eq!(lines, [3, 4, 5, 6], "{errors}");
    assert!(errors[0]["reason"].as_str().unwrap().contains("19,90"), "{errors}");
    // Without fractions all is answered alike, but for the version.
    let version = |arguments: &[&str]| Server::start(rows(&["800"]), arguments).state()["version"].clone();
    assert_ne!(version(&arguments), version(&arguments[..2]));
}

#[test]
fn a_server_reads_other_delimiters_and_names() {
    let header = HEADER.replace("tracking_number", "Tracking No").replace("SKU", "\"a|b, c=d\"").replace(',', "|");
    let file = format!("{header}\n{}\n", row("TN1", "DHL").replace(',', "|")).replace("b| c", "b, c");
    let arguments = ["--delimiter", "|", "--columns", "tracking_number=Tracking No,SKU=a|b\\, c=d"];
    let server = Server::start(&file, &arguments);
    assert_eq!(server.get("/v1/shipments/dhl/tn1").text(), shipment("TN1", "DHL"));
    let versions = [
        version(&server),
        version(&Server::start(SEED, &[])),
        version(&Server::start(SEED.replace(',', ";"), &["--delimiter", ";"])),
        version(&Server::start(SEED.replace(',', "\t"), &["--delimiter", "tab"])),
        version(&Server::start(SEED.replace("carrier", "by"), &["--columns", "carrier=by"])),
    ];
    for (at, version) in versions.iter().enumerate() {
        assert!(!versions[..at].contains(version), "{at}: {versions:?}");
    }
    assert_eq!(versions[1], SEED_VERSION);
    let of_itself = version(&Server::start(SEED, &["--delimiter", ",", "--columns", "carrier=carrier"]));
    assert_eq!(of_itself, SEED_VERSION);
    // A file that is read otherwise is another one, though its bytes are the same.
    let [one, other] = ["carrier=a,status=b", "carrier=b,status=a"].map(|columns| {
        let file = csv(&[row("TN1", "DHL")]).replace("carrier", "a").replace("status", "b");
        version(&Server::start(file, &["--columns", columns]))
    });
    assert_ne!(one, other);
}

fn check(file: impl AsRef<[u8]>, arguments: &[&str]) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export");
    std::fs::write(&path, file).unwrap();
    let ended = run(&mut waybill(&[&["check", path.to_str().unwrap()], arguments].concat()));
    (ended.code, ended.stdout().to_owned(), ended.stderr)
}

#[test]
fn check_says_how_large_the_content_of_a_compressed_file_is() {
    let packed = zstd(SEED.as_bytes(), 3);
    let (_, text, _) = check(&packed, &[]);
    let expected = format!("content    {} bytes in {} bytes of zstd", SEED.len(), packed.len());
    assert!(text.lines().any(|line| line == expected), "{text}");
    assert!(!check(SEED, &[]).1.contains("content"));
    let (_, json, _) = check(&packed, &["--format", "json"]);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&report["compression"], &report["content_bytes"]), (&"zstd".into(), &SEED.len().into()));
    assert_eq!((&report["file_bytes"], &report["version"]), (&packed.len().into(), &SEED_VERSION.into()));
}

#[test]
fn columns_that_are_not_found_are_told_by_both_names() {
    let refused = |file: &str, arguments: &[&str]| {
        let (code, text, _) = check(file, arguments);
        assert_eq!(code, Some(1), "{text}");
        text
    };
    let text = refused(SEED, &["--columns", "carrier=Carrier Name"]);
    assert!(text.contains("line 1, carrier: the header has no column \"Carrier Name\" for carrier; it has"), "{text}");
    let text = refused(&SEED.replace("status", "carrier"), &["--columns", "status=by,carrier=x"]);
    assert!(text.contains("no column \"x\" for carrier"), "{text}");
    let twice = SEED.replace("carrier", "by").replace("status", "by");
    let text = refused(&twice, &["--columns", "carrier=by"]);
    assert!(text.contains("line 1, carrier: the header names \"by\" for carrier twice"), "{text}");
    assert!(refused("\n", &["--columns", "carrier=by"]).contains("tracking_number,by,sender_address"));
    // What is not a column now is ignored.
    let (code, text, _) = check(
        SEED.replace("carrier", "by").replacen("SKU", "SKU,carrier", 1).replace('\n', ",\n"),
        &["--columns", "carrier=by"],
    );
    assert!(code == Some(1) && text.contains("number of fields"), "{text}");
}

#[test]
fn settings_that_cannot_be_used_are_told_with_status_2() {
    for (flag, value, says) in [
        ("--delimiter", "\"", "a quote, a line break or a NUL cannot separate fields"),
        ("--delimiter", "\n", "a quote, a line break or a NUL cannot separate fields"),
        ("--delimiter", "ab", "one ASCII character"),
        ("--delimiter", "é", "one ASCII character"),
        ("--delimiter", "x", "letters and digits cannot separate fields"),
        ("--columns", "carier=x", "\"carier\" is no column; there are tracking_number, carrier, sender_address"),
        ("--columns", "carrier=x,carrier=y", "carrier: duplicate"),
        ("--columns", "carrier=status", "would stand for carrier and for status"),
        ("--columns", "carrier", "NAME=HEADER is expected"),
    ] {
        let (code, _, stderr) = check(SEED, &[flag, value]);
        assert!(code == Some(2) && stderr.contains(says), "{flag} {value}: {code:?} {stderr}");
        let ended = run(&mut waybill(&["serve", "--data", "seed_data.csv", flag, value]));
        assert!(ended.code == Some(2) && ended.stderr.contains(says), "{flag} {value}: {ended:?}");
    }
}
