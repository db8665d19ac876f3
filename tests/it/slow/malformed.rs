//! Files that other people's jobs broke: no panic, the first error at its place, nothing served changes.
//!
//! Full form, 10,000 files in process: `PROPTEST_CASES=5000 cargo test --release --test it slow::malformed`

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use waybill::commands::generate::{self, Plan};
use waybill::load::{LoadError, Options};

use crate::reference::Export;
use crate::reference::agreement::{assert_agreement, loaded};
use crate::reference::compressed::packing;
use crate::reference::exports::{Bytes, damaged_exports};
use crate::support::Server;

/// Bytes that mean something in a CSV file, or elsewhere.
const SIGNS: [&[u8]; 11] =
    [b"\"", b"\"\"", b",", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"\0", b"\xff\xfe", b";", b"\t"];
/// Files that a server is made to load.
const SERVED_FILES: u32 = 100;

/// What goes wrong with an export on its way.
#[derive(Clone, Debug)]
enum Accident {
    BitFlipped(Index, u8),
    Overwritten(Index, Vec<u8>),
    Lost(Index, usize),
    Doubled(Index, usize),
    Exchanged(Index, Index, usize),
    Cut(Index),
    /// Written by something that takes bytes for text of another encoding.
    Utf16,
    Latin1,
    NulPadded(usize),
    Appended(Vec<u8>),
}

fn accident() -> impl Strategy<Value = Accident> {
    let noise = || vec(any::<u8>(), 1..40);
    let at = any::<Index>;
    let signs = select(&SIGNS[..]);
    prop_oneof![
        4 => (at(), 0..8_u8).prop_map(|(at, bit)| Accident::BitFlipped(at, bit)),
        4 => (at(), signs).prop_map(|(at, signs)| Accident::Overwritten(at, signs.to_vec())),
        2 => (at(), noise()).prop_map(|(at, noise)| Accident::Overwritten(at, noise)),
        3 => (at(), 1..300_usize).prop_map(|(at, bytes)| Accident::Lost(at, bytes)),
        2 => (at(), 1..300_usize).prop_map(|(at, bytes)| Accident::Doubled(at, bytes)),
        2 => (at(), at(), 1..200_usize).prop_map(|(one, other, bytes)| Accident::Exchanged(one, other, bytes)),
        2 => at().prop_map(Accident::Cut),
        1 => Just(Accident::Utf16),
        1 => Just(Accident::Latin1),
        1 => (1..5000_usize).prop_map(Accident::NulPadded),
        1 => noise().prop_map(Accident::Appended),
    ]
}

impl Accident {
    fn happen_to(&self, file: &mut Vec<u8>) {
        if file.is_empty() {
            return;
        }
        let length = file.len();
        let range = |at: &Index, bytes: usize| {
            let start = at.index(length);
            start..(start + bytes).min(length)
        };
        match self {
            Accident::BitFlipped(at, bit) => file[at.index(length)] ^= 1 << bit,
            Accident::Overwritten(at, bytes) => {
                let range = range(at, bytes.len());
                file.splice(range, bytes.iter().copied());
            }
            Accident::Lost(at, bytes) => drop(file.drain(range(at, *bytes))),
            Accident::Doubled(at, bytes) => {
                let range = range(at, *bytes);
                let again = file[range.clone()].to_vec();
                file.splice(range.end..range.end, again);
            }
            Accident::Exchanged(one, other, bytes) => {
                let (one, other) = (one.index(length), other.index(length));
                for step in 0..(*bytes).min(length - one.max(other)) {
                    file.swap(one + step, other + step);
                }
            }
            Accident::Cut(at) => file.truncate(at.index(length)),
            Accident::Utf16 => *file = file.iter().flat_map(|byte| [*byte, 0]).collect(),
            Accident::Latin1 => *file = file.iter().map(|byte| if *byte == b'a' { 0xe4 } else { *byte }).collect(),
            Accident::NulPadded(bytes) => file.extend(std::iter::repeat_n(0, *bytes)),
            Accident::Appended(bytes) => file.extend(bytes),
        }
    }
}

/// Made-up exports to which accidents happened.
fn mangled_exports() -> impl Strategy<Value = Bytes> {
    (1..30_u64, any::<u64>(), vec(accident(), 1..5)).prop_map(|(shipments, seed, accidents)| {
        let mut file = Vec::new();
        generate::write(&Plan { shipments, seed }, &mut file).unwrap();
        for accident in &accidents {
            accident.happen_to(&mut file);
        }
        Bytes(file)
    })
}

/// As many cases, more with `PROPTEST_CASES` above its 256.
fn config(cases: u32) -> Config {
    let default = Config::default();
    Config { cases: default.cases * cases / 256, failure_persistence: None, ..default }
}

/// Loads the file, holds what becomes of it to the reference, and a refusal to its form.
fn assert_refused_in_good_form_or_right(file: &[u8], options: &Options) {
    assert_agreement(file, options);
    if let Err(error) = loaded(file, options) {
        let LoadError::Refused { errors, summary, .. } = error else { panic!("{error}") };
        let lines = file.split(|byte| *byte == b'\n').count() as u64;
        assert!(!errors.is_empty() && summary.contains("line "), "{summary}");
        assert!(errors.iter().all(|error| (1..=lines).contains(&error.line) && !error.reason.is_empty()), "{errors:?}");
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn mangled_exports_are_refused_with_a_place_or_loaded_as_the_reference_does(
        Bytes(file) in mangled_exports(),
        bad_rows_max in prop_oneof![2 => Just(0_u64), 1 => 1..20_u64],
        block_bytes in prop_oneof![1 => 1..200_usize, 2 => Just(8 << 10)],
    ) {
        let options =
            Options { bad_rows_max, require_final_newline: false, threads: 2, block_bytes, ..Options::default() };
        assert_refused_in_good_form_or_right(&file, &options);
    }

    #[test]
    fn bytes_of_any_kind_are_refused_with_a_place(file in vec(any::<u8>(), 0..2000)) {
        let options = Options { bad_rows_max: 0, require_final_newline: false, threads: 1, block_bytes: 100, ..Options::default() };
        assert_refused_in_good_form_or_right(&file, &options);
        assert!(loaded(&file, &options).is_err());
    }
}

proptest! {
    #![proptest_config(config(512))]

    /// Both formats have a checksum of the content.
    #[test]
    fn mangled_compressed_exports_are_refused_with_a_place_or_say_what_the_whole_one_says(
        shipments in 1..30_u64, packing in packing(), accidents in vec(accident(), 1..4), block_bytes in 1..9000_usize,
    ) {
        let mut whole = Vec::new();
        generate::write(&Plan { shipments, seed: 3 }, &mut whole).unwrap();
        let mut file = packing.pack(&whole);
        for accident in &accidents {
            accident.happen_to(&mut file);
        }
        let options = Options { threads: 2, block_bytes, ..Options::default() };
        match loaded(&file, &options) {
            Ok(of_mangled) => prop_assert_eq!(of_mangled.summary.content_bytes, whole.len() as u64),
            Err(LoadError::Refused { errors, .. }) => {
                prop_assert!(errors.iter().all(|error| error.line > 0 && !error.reason.is_empty()), "{:?}", errors);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn no_malformed_file_changes_what_a_server_answers() {
    let mut whole = Vec::new();
    generate::write(&Plan { shipments: 20, seed: 7 }, &mut whole).unwrap();
    let mut server = Server::start(&whole, &[]);
    let number = generate::tracking_number(&Plan { shipments: 20, seed: 7 }, 3);
    let answers = |server: &Server| {
        let (lookup, dataset) = (server.get(&format!("/v1/shipments/{number}")), server.get("/v1/dataset"));
        assert_eq!(lookup.status, 200);
        (lookup.field("etag"), lookup.body, dataset.field("etag"), dataset.body)
    };
    let before = answers(&server);
    let mut runner = TestRunner::deterministic();
    let strategy = prop_oneof![mangled_exports(), damaged_exports(8)];
    let mut refused = 0;
    for _ in 0..SERVED_FILES {
        let Bytes(file) = strategy.new_tree(&mut runner).unwrap().current();
        let expected = match Export::read(&file) {
            Ok(export) if export.bad_rows.is_empty() => continue,
            Ok(export) => export.bad_rows,
            Err(place) => vec![place],
        };
        server.replace(&file);
        let answer = server.reload();
        answer.problem(422, "dataset_refused");
        let errors: Vec<(u64, Option<String>)> = answer.json()["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| (error["line"].as_u64().unwrap(), error["column"].as_str().map(str::to_owned)))
            .collect();
        let expected: Vec<(u64, Option<String>)> =
            expected.into_iter().take(20).map(|(line, column)| (line, column.map(str::to_owned))).collect();
        assert_eq!(errors, expected, "{:?}", Bytes(file));
        assert_eq!(answers(&server), before);
        let state = server.state();
        assert_eq!((state["generation"].as_u64(), &state["last_reload"]["result"]), (Some(1), &"failed".into()));
        refused += 1;
    }
    assert!(refused > SERVED_FILES / 2, "{refused}");
    // It still loads a whole one.
    server.replace([&whole[..], b"TN1,DHL,from,to,Laptop,1,800,LP1,scanned\n"].concat());
    assert_eq!(server.reload().json()["added"], 1);
    server.wait_for("reloaded");
}
