//! Files with every oddity of the contract, loaded and looked up, against a slow and obvious reference.

use std::collections::BTreeMap;

use proptest::prelude::*;
use waybill::cancel::Cancel;
use waybill::commands::generate::{self, Plan};
use waybill::dataset::build::Builder;
use waybill::dataset::{ArenaError, Changes};
use waybill::load::{LoadError, Options};
use waybill::shipment::{Column, FoldedKey, Row};
use xxhash_rust::xxh3::xxh3_64;

use crate::reference::agreement::{
    assert_agreement, assert_same_dataset, assert_same_lookup, loaded, places, rendered,
};
use crate::reference::exports::{Bytes, damaged_exports, exports};
use crate::reference::{Export, Place, records};

const HEADER: &str =
    "tracking_number,carrier,sender_address,receiver_address,article_name,article_quantity,article_price,SKU,status\n";
const ROW: &str = "TN1,DHL,from,to,Laptop,1,800,LP1,scanned\n";
const RECORD_BYTES_MAX: usize = 1 << 20;
/// Another number of shipments for the test with generated data: 1000000 wants a release build.
const SHIPMENTS_VARIABLE: &str = "WAYBILL_TEST_SHIPMENTS";

fn tolerant() -> Options {
    Options { bad_rows_max: 1000, threads: 2, ..Options::default() }
}

/// Where the loader and the reference find what is wrong with a file.
fn errors_of(file: &str) -> Vec<Place> {
    let strict = Options { bad_rows_max: 0, ..tolerant() };
    assert_agreement(file.as_bytes(), &strict);
    assert_agreement(file.as_bytes(), &tolerant());
    match loaded(file.as_bytes(), &strict) {
        Err(LoadError::Refused { errors, .. }) => places(&errors),
        Err(error) => panic!("{error}"),
        Ok(_) => Vec::new(),
    }
}

/// As many cases, more with `PROPTEST_CASES` above its 256.
fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases * cases / 256, failure_persistence: None, ..default }
}

fn any_options() -> impl Strategy<Value = Options> {
    let bad_rows_max = prop_oneof![2 => Just(0), 1 => 1..4_u64, 3 => Just(1000)];
    let block_bytes = prop_oneof![1 => Just(1), 2 => 2..64_usize, 2 => 64..1500_usize, 1 => Just(1 << 20)];
    (bad_rows_max, prop::bool::weighted(0.1), 1..5_usize, block_bytes).prop_map(
        |(bad_rows_max, require_final_newline, threads, block_bytes)| Options {
            bad_rows_max,
            require_final_newline,
            threads,
            block_bytes,
            ..Options::default()
        },
    )
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn files_are_answered_as_the_reference_answers(
        Bytes(file) in exports(24), options in prop::collection::vec(any_options(), 2),
    ) {
        for options in &options {
            assert_agreement(&file, options);
        }
    }

    #[test]
    fn damaged_files_are_answered_as_the_reference_answers(
        Bytes(file) in damaged_exports(8), options in prop::collection::vec(any_options(), 2),
    ) {
        for options in &options {
            assert_agreement(&file, options);
        }
    }
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn threads_and_blocks_change_nothing(Bytes(file) in exports(60), a in any_options(), b in any_options()) {
        let b = Options { bad_rows_max: a.bad_rows_max, require_final_newline: a.require_final_newline, ..b };
        match (loaded(&file, &a), loaded(&file, &b)) {
            (Ok(a), Ok(b)) => {
                prop_assert_eq!(a.summary.version, b.summary.version);
                prop_assert_eq!(a.summary.errors, b.summary.errors);
                prop_assert_eq!(a.dataset.changes_since(&b.dataset, 2, &Cancel::default()), Ok(Changes::default()));
            }
            (
                Err(LoadError::Refused { errors: of_a, summary: by_a, .. }),
                Err(LoadError::Refused { errors: of_b, summary: by_b, .. }),
            ) => prop_assert_eq!((of_a, by_a), (of_b, by_b)),
            _ => prop_assert!(false, "one is refused, the other not"),
        }
    }

    #[test]
    fn what_changed_between_two_files_is_counted(Bytes(old) in exports(12), Bytes(new) in exports(12)) {
        if let (Ok(loaded_old), Ok(loaded_new)) = (loaded(&old, &tolerant()), loaded(&new, &tolerant())) {
            let [old, new] = [&old, &new].map(|file| Export::read(file).unwrap().jsons());
            let expected = Changes {
                added: new.keys().filter(|key| !old.contains_key(*key)).count() as u64,
                removed: old.keys().filter(|key| !new.contains_key(*key)).count() as u64,
                changed: new.iter().filter(|(key, now)| old.get(*key).is_some_and(|then| then != *now)).count() as u64,
            };
            prop_assert_eq!(loaded_new.dataset.changes_since(&loaded_old.dataset, 2, &Cancel::default()), Ok(expected));
        }
    }

    #[test]
    fn shipments_over_a_length_are_found(Bytes(file) in exports(60), options in any_options(), bytes_max in 150..1200_usize) {
        if let Ok(loaded) = loaded(&file, &options) {
            let long = |shipment: &waybill::dataset::Record<'_>| shipment.rendered_bytes() > bytes_max;
            let expected: Vec<usize> =
                loaded.dataset.shipments().filter(long).map(|shipment| shipment.rendered_bytes()).collect();
            let found: Vec<usize> = loaded.dataset.shipments_longer_than(bytes_max).map(|(_, bytes)| bytes).collect();
            prop_assert_eq!(found, expected);
        }
    }

    /// Carriage returns apart: which of them are data, the csv crate sees otherwise.
    #[test]
    fn the_reference_splits_fields_as_the_csv_crate_does(file in "[a,\"\n\r ]{0,60}") {
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(false).flexible(true).terminator(csv::Terminator::Any(b'\n'));
        let without_returns = file.replace('\r', "");
        let by_csv: Vec<Vec<Vec<u8>>> = reader
            .from_reader(without_returns.as_bytes())
            .byte_records()
            .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
            .collect();
        let by_reference: Vec<Vec<Vec<u8>>> =
            records(without_returns.as_bytes()).into_iter().map(|record| record.fields).collect();
        prop_assert_eq!(by_reference, by_csv);
    }
}

#[test]
fn the_documented_export_is_answered_as_documented() {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/seed_data.csv")).unwrap();
    let dataset = loaded(&file, &tolerant()).unwrap().dataset;
    assert_eq!((dataset.shipment_count(), dataset.article_count()), (5, 9));
    let record = dataset.shipment(&FoldedKey::new(" tn12345678"), &FoldedKey::new("dhl")).unwrap();
    let documented = concat!(
        r#"{"tracking_number":"TN12345678","carrier":"DHL","status":"in-transit","#,
        r#""sender_address":"Street 1, 10115 Berlin, Germany","receiver_address":"Street 10, 75001 Paris, France","#,
        r#""articles":[{"name":"Laptop","quantity":1,"price":800,"SKU":"LP123"},"#,
        r#"{"name":"Mouse","quantity":1,"price":25,"SKU":"MO456"}]}"#,
    );
    assert_eq!(rendered(&record), documented);
    assert_agreement(&file, &tolerant());
}

#[test]
fn an_error_names_the_line_on_which_its_record_starts() {
    let quoted_breaks = "TN2,DHL,\"a\nb\r\n\",to,\"\n\n\",1,800,,\n";
    assert_eq!(errors_of(&[HEADER, ROW, quoted_breaks, "few,fields\n"].concat()), [(8, None)]);
    assert_eq!(
        errors_of(&[HEADER, "\n\r\n", ROW, "\n", "few\n", ROW, "\"fi\nelds\"\n"].concat()),
        [(6, None), (8, None)]
    );
    assert_eq!(errors_of(&["\u{feff}\r\n\n", HEADER, "few"].concat()), [(4, None)]);
    let bad_quoted_breaks = quoted_breaks.replace(",1,", ",one,");
    assert_eq!(errors_of(&[HEADER, &bad_quoted_breaks, ROW].concat()), [(2, Some("article_quantity"))]);
}

#[test]
fn the_column_of_an_error_is_the_first_that_fails_in_the_order_of_the_file() {
    let contradicts_and_is_bad = "tn1,dhl,from,to,Laptop,x,y,LP1,lost\n";
    assert_eq!(errors_of(&[HEADER, ROW, contradicts_and_is_bad].concat()), [(3, Some("article_quantity"))]);
    let also_earlier = "tn1,dhl,elsewhere,to,Laptop,x,y,LP1,lost\n";
    assert_eq!(errors_of(&[HEADER, ROW, also_earlier].concat()), [(3, Some("sender_address"))]);
    // The first good row says what the shipment is, also when it comes later.
    assert_eq!(errors_of(&[HEADER, also_earlier, ROW].concat()), [(2, Some("sender_address"))]);
    let status_first = |file: &str| {
        let moved = file.lines().map(|line| line.rsplit_once(',').unwrap());
        moved.flat_map(|(rest, status)| [status, ",", rest, "\n"]).collect::<String>()
    };
    let file = status_first(&[HEADER, ROW, contradicts_and_is_bad].concat());
    assert_eq!(errors_of(&file), [(3, Some("status"))]);
}

#[test]
fn the_first_20_errors_are_reported_and_all_are_counted() {
    let file = [HEADER, ROW, &"few,fields\n".repeat(30)].concat();
    assert_eq!(errors_of(&file), (3..23).map(|line| (line, None)).collect::<Vec<Place>>());
    let Err(LoadError::Refused { summary, .. }) = loaded(file.as_bytes(), &Options { bad_rows_max: 29, ..tolerant() })
    else {
        panic!("30 bad rows of 29 were let through")
    };
    assert!(summary.starts_with("30 bad rows, 29 allowed"), "{summary}");
}

#[test]
fn what_is_wrong_with_the_whole_file_refuses_it_however_many_bad_rows_are_allowed() {
    let cases = [
        ("", (1, None)),
        ("\u{feff}\n\r\n", (1, None)),
        (HEADER, (1, None)),
        (&["\n", HEADER, "\n\r\n"].concat(), (2, None)),
        (&["\r\n", &HEADER.replace("SKU", "sku"), ROW].concat(), (2, Some("SKU"))),
        (&[&HEADER.replace("status\n", "status,carrier\n"), ROW].concat(), (1, Some("carrier"))),
        (&[HEADER, ROW, "\"TN2,DHL\n\n"].concat(), (3, None)),
        (&[HEADER, ROW, "few\n", "TN2,\"\"\"\n"].concat(), (4, None)),
        ("\"tracking_number", (1, None)),
    ];
    for (file, place) in cases {
        assert_eq!(errors_of(file), [place], "{file:?}");
        assert!(loaded(file.as_bytes(), &tolerant()).is_err(), "{file:?}");
    }
}

#[test]
fn a_byte_order_mark_is_taken_off_the_start_of_the_file_only() {
    let marked_number = ROW.replace("TN1", "\u{feff}TN1");
    assert_eq!(errors_of(&["\u{feff}", HEADER, &marked_number].concat()), []);
    assert_eq!(errors_of(&[HEADER, &marked_number, &marked_number].concat()), []);
    assert_eq!(errors_of(&["\u{feff}\u{feff}", HEADER, ROW].concat()), [(1, Some("tracking_number"))]);
}

#[test]
fn a_quote_after_the_byte_order_mark_opens_a_field() {
    let file = ["\u{feff}\"an extra\ncolumn\",", HEADER, "x,", ROW].concat();
    assert_eq!(errors_of(&file), []);
    let tiny_blocks = Options { block_bytes: 1, ..tolerant() };
    assert_agreement(file.as_bytes(), &tiny_blocks);
}

#[test]
fn a_record_over_the_limit_refuses_the_file_and_one_at_the_limit_does_not() {
    let row_of = |bytes: usize| ROW.replace("Laptop", &"x".repeat(bytes - ROW.len() + "Laptop".len()));
    for block_bytes in [1000, 1 << 20, 3 << 20] {
        for (bytes, whole) in [(RECORD_BYTES_MAX, true), (RECORD_BYTES_MAX + 1, false)] {
            let options = Options { block_bytes, ..tolerant() };
            let file = [HEADER, "few,fields\n", ROW, &row_of(bytes), ROW].concat();
            assert_agreement(file.as_bytes(), &options);
            assert_eq!(loaded(file.as_bytes(), &options).is_ok(), whole, "{bytes} in blocks of {block_bytes}");
        }
    }
}

#[test]
fn the_line_of_a_record_over_the_limit_is_right_after_a_block_of_blank_lines() {
    let block_bytes = 2 << 20;
    let row = ROW.replace("Laptop", &"x".repeat(RECORD_BYTES_MAX));
    let file = ["\n".repeat(block_bytes).as_str(), HEADER, &row].concat();
    assert_agreement(file.as_bytes(), &Options { block_bytes, ..tolerant() });
}

#[test]
fn a_header_over_the_limit_refuses_the_file() {
    let header = [&"x".repeat(RECORD_BYTES_MAX), ",", HEADER].concat();
    assert_eq!(errors_of(&(header + ROW)), [(1, None)]);
}

#[test]
fn columns_of_very_many_values_are_kept_whole() {
    let row = |i: u32| {
        let i = i % 68_000;
        format!("TN{i},C{},\"1, {i} A, B\",\"2, C, {i}\",n{i},1,800,LP1,s{i}\n", i % 3)
    };
    let file = HEADER.to_owned() + &(0..70_000).map(row).collect::<String>();
    let export = Export::read(file.as_bytes()).unwrap();
    assert_eq!((export.bad_rows.len(), export.shipments.len()), (0, 68_000));
    assert_same_dataset(&loaded(file.as_bytes(), &tolerant()).unwrap().dataset, &export);
}

#[test]
fn numbers_with_one_hash_are_told_apart() {
    let mut by_hash: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for number in (0..300_000).map(|number| format!("tn{number}")) {
        by_hash.entry(xxh3_64(number.as_bytes()) as u32).or_default().push(number);
    }
    let numbers: Vec<String> = by_hash.into_values().filter(|numbers| numbers.len() > 1).flatten().collect();
    assert!(!numbers.is_empty());
    let mut file = HEADER.to_owned();
    for carrier in ["DHL", "UPS", "dhl"] {
        file.extend(numbers.iter().map(|number| ROW.replace("TN1", number).replace("DHL", carrier)));
    }
    assert_agreement(file.as_bytes(), &tolerant());
    assert_agreement(file.as_bytes(), &Options { block_bytes: 100, ..tolerant() });
}

/// Each shipment has a row in every part of the file, so that all of them are joined, out of blocks that end at any time;
/// some rows contradict theirs, and some numbers are used by two carriers.
#[test]
fn rows_that_stand_far_apart_are_joined_in_the_order_of_the_file() {
    let mut file = HEADER.to_owned();
    for part in 0..6 {
        for number in 0..200 {
            let row = ROW.replace("TN1", &format!("TN{}", number / 2 * (1 + part % 2)));
            let carrier = if number % 2 == 0 { "DHL" } else { "UPS" };
            let status = if (number * 7 + part) % 31 == 0 { "lost" } else { "scanned" };
            file.push_str(&row.replace("DHL", carrier).replace("LP1", &format!("LP{part}")).replace("scanned", status));
        }
    }
    for (threads, block_bytes) in [(1, 1), (1, 3000), (2, 300), (3, 3000), (2, 1 << 20)] {
        assert_agreement(file.as_bytes(), &Options { threads, block_bytes, ..tolerant() });
    }
}

#[test]
fn a_block_spread_over_the_arena_is_whole() {
    let builder = Builder::new(0, 1);
    let (mut one, mut other) = (builder.writer(), builder.writer());
    let row = |tracking_number, sku| Row {
        tracking_number,
        sku,
        carrier: "DHL",
        article_quantity: "1",
        article_price: "2",
        ..Row::default()
    };
    let large = "x".repeat(64 << 20);
    one.row(0, &row("fills a segment", &large)).unwrap();
    one.row(1, &row("shows that the large one is whole", "")).unwrap();
    other.row(0, &row("takes the next segment", "")).unwrap();
    other.end_block(1, 100, 1000).unwrap();
    one.row(2, &row("TN1", "first")).unwrap();
    one.end_block(0, 100, 1000).unwrap();
    other.row(0, &row("TN1", "second")).unwrap();
    other.end_block(2, 100, 1000).unwrap();
    drop((one, other));
    let dataset =
        builder.finish(Column::SHARED, &mut |conflict| panic!("line {}", conflict.line), &mut |_| ()).unwrap();
    let record = dataset.shipment(&FoldedKey::new("TN1"), &FoldedKey::new("DHL")).unwrap();
    assert_eq!(rendered(&record).matches("\"SKU\":").count(), 2);
    assert_eq!(dataset.shipment_count(), 4);
}

#[test]
fn more_shipments_than_fit_in_the_memory_there_is_refuse_the_file() {
    let rows: String = (0..10_000).map(|number| ROW.replace("TN1", &format!("TN{number}"))).collect();
    let file = HEADER.to_owned() + &rows;
    let with_memory = |memory_bytes_max| Options { memory_bytes_max, block_bytes: 10_000, ..tolerant() };
    let Err(LoadError::TooLarge { source, .. }) = loaded(file.as_bytes(), &with_memory(60_000)) else {
        panic!("10,000 shipments do not fit in 60,000 bytes")
    };
    assert!(matches!(source, ArenaError::TooMany { needed, max: 60_000 } if needed >= 200_000), "{source}");
    assert_eq!(loaded(file.as_bytes(), &with_memory(4 << 20)).unwrap().dataset.shipment_count(), 10_000);
}

#[test]
fn a_generated_file_is_answered_as_the_reference_answers() {
    const LOOKUPS: u64 = 10_000;
    let shipments = std::env::var(SHIPMENTS_VARIABLE).map_or(20_000, |shipments| shipments.parse().unwrap());
    let plan = Plan { shipments, seed: 42 };
    let mut file = Vec::new();
    generate::write(&plan, &mut file).unwrap();
    let export = Export::read(&file).unwrap();
    let dataset = loaded(&file, &Options::default()).unwrap().dataset;
    assert_eq!(dataset.shipment_count(), shipments);
    assert_same_dataset(&dataset, &export);
    for lookup in 0..LOOKUPS {
        // A prime step visits them all over the file.
        let shipment = lookup * 999_983 % shipments;
        let number = generate::tracking_number(&plan, shipment);
        let carrier = generate::carrier(&plan, shipment);
        assert!(dataset.shipment(&FoldedKey::new(&number), &FoldedKey::new(carrier)).is_some());
        match lookup % 3 {
            0 => assert_same_lookup(&dataset, &export, &number.to_lowercase(), &carrier.to_uppercase()),
            1 => assert_same_lookup(&dataset, &export, &format!(" {number}"), "nobody"),
            _ => assert_same_lookup(&dataset, &export, &number.replace("TN", "TN0"), carrier),
        }
    }
}
