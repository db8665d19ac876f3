//! Bodies of batches: what is taken and what is refused, held to a reference that is slow and obvious.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use waybill::batch::{BatchError, LOOKUPS_MAX, parse};

/// Number and carrier of each lookup.
type Lookups = Vec<(String, Option<String>)>;

fn parsed(body: &[u8]) -> Result<Lookups, BatchError> {
    let mut spent = body.to_vec();
    let lookups = parse(&mut spent)?;
    Ok(lookups.iter().map(|lookup| (lookup.tracking_number.to_owned(), lookup.carrier.map(str::to_owned))).collect())
}

/// JSON by `serde_json`, with every key of an object, however often it stands there.
enum Json {
    Null,
    Scalar,
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
                Ok(Json::Scalar)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
                Ok(Json::Scalar)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
                Ok(Json::Scalar)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
                Ok(Json::Scalar)
            }

            fn visit_str<E>(self, text: &str) -> Result<Json, E> {
                Ok(Json::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = seq.next_element()? {
                    members.push(member);
                }
                Ok(Json::Array(members))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Json::Object(members))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// None when the body is refused. A number anywhere refuses it, so that it does not matter which numbers a parser
/// takes; nor does it matter how deep it looks into what is refused for being there.
fn expected(body: &[u8]) -> Option<Lookups> {
    let Json::Object(mut members) = serde_json::from_slice(body).ok()? else { return None };
    let (key, Json::Array(lookups)) = members.pop()? else { return None };
    if key != "lookups" || !members.is_empty() || lookups.len() > LOOKUPS_MAX {
        return None;
    }
    lookups.into_iter().map(expected_lookup).collect()
}

fn expected_lookup(lookup: Json) -> Option<(String, Option<String>)> {
    let Json::Object(members) = lookup else { return None };
    let of = |name: &str| members.iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect::<Vec<_>>();
    let (numbers, carriers) = (of("tracking_number"), of("carrier"));
    let is_known = |(key, _): &(String, Json)| ["tracking_number", "carrier"].contains(&key.as_str());
    if !members.iter().all(is_known) {
        return None;
    }
    let text = |value: &Json| match value {
        Json::Text(text) if !text.trim().is_empty() => Some(text.clone()),
        _ => None,
    };
    let [number] = numbers[..] else { return None };
    let carrier = match carriers[..] {
        [] | [Json::Null] => None,
        [carrier] => Some(text(carrier)?),
        _ => return None,
    };
    Some((text(number)?, carrier))
}

fn assert_agreement(body: &[u8]) -> bool {
    let (ours, theirs) = (parsed(body).ok(), expected(body));
    assert_eq!(ours, theirs, "b\"{}\"", body.escape_ascii());
    ours.is_some()
}

fn detail(body: impl AsRef<[u8]>) -> String {
    match parsed(body.as_ref()).unwrap_err() {
        BatchError::Invalid(detail) => detail,
        other => panic!("{other}"),
    }
}

#[test]
fn lookups_are_taken_as_they_are_spelt() {
    let body = br#" {"lookups" : [ {"tracking_number":" tN1\u00fc\ud83d\ude00\/ ","carrier":"d\"h\\l"},
        {"carrier":null,"tracking_number":"2"},{"tracking_number":"\u0000"} ] } "#;
    let text = |text: &str| Some(text.to_owned());
    let expected = [(" tN1ü😀/ ".to_owned(), text("d\"h\\l")), ("2".to_owned(), None), ("\0".to_owned(), None)];
    assert_eq!(parsed(body).unwrap(), expected);
    assert_eq!(parsed(br#"{"lookups":[]}"#).unwrap(), []);
}

#[test]
fn errors_name_the_item_and_what_is_expected() {
    let of_item = |item: &str| detail(format!(r#"{{"lookups":[{{"tracking_number":"1"}},{item}]}}"#));
    let number = "lookups[1].tracking_number: a string that is not blank is expected";
    for item in [
        r#"{"tracking_number":7}"#,
        r#"{"tracking_number":null}"#,
        r#"{"tracking_number":["1"]}"#,
        r#"{"tracking_number":""}"#,
        r#"{"tracking_number":" \t\u00a0"}"#,
    ] {
        assert_eq!(of_item(item), number, "{item}");
    }
    assert_eq!(of_item(r#"{"carrier":"DHL"}"#), "lookups[1].tracking_number: missing");
    assert_eq!(of_item("{}"), "lookups[1].tracking_number: missing");
    for carrier in ["7", "\"\"", "\" \"", "{}", "false"] {
        let detail = of_item(&format!(r#"{{"tracking_number":"1","carrier":{carrier}}}"#));
        assert!(detail.starts_with("lookups[1].carrier: a string that is not blank is expected, or null"), "{detail}");
    }
    for item in ["null", "[]", "\"TN1\"", "1"] {
        assert_eq!(of_item(item), "lookups[1]: an object is expected");
    }
    let carier = of_item(r#"{"tracking_number":"1","carier":"DHL"}"#);
    assert_eq!(carier, "lookups[1].carier: unknown; a lookup has the keys tracking_number, carrier and postcode");
    let twice = of_item(r#"{"tracking_number":"1","carrier":null,"carrier":"DHL"}"#);
    assert_eq!(twice, "lookups[1].carrier: duplicate");
    let twice = of_item(r#"{"tracking_number":"1","tracking_number":"1"}"#);
    assert_eq!(twice, "lookups[1].tracking_number: duplicate");
}

#[test]
fn the_body_is_an_object_with_the_one_key_lookups() {
    for body in ["[]", "null", "\"lookups\"", "1", r#"[{"tracking_number":"1"}]"#] {
        assert!(detail(body).starts_with(r#"the body is no object such as {"lookups":["#), "{body}");
    }
    assert!(detail("{}").starts_with("lookups: missing"));
    for lookups in ["{}", "null", "\"1\"", r#"{"tracking_number":"1"}"#] {
        assert_eq!(detail(format!(r#"{{"lookups":{lookups}}}"#)), "lookups: an array is expected");
    }
    assert_eq!(detail(r#"{"lookups":[],"lookups":[]}"#), "lookups: duplicate");
    let unknown = "dry_run: unknown; the body has the key lookups alone";
    assert_eq!(detail(r#"{"lookups":[],"dry_run":true}"#), unknown);
    assert_eq!(detail(r#"{"dry_run":true,"lookups":[]}"#), unknown);
}

#[test]
fn a_long_key_is_not_repeated_whole() {
    let detail = detail(format!(r#"{{"{}":1}}"#, "ü".repeat(100_000)));
    assert!(detail.starts_with(&"ü".repeat(40)) && detail.len() < 200, "{} bytes", detail.len());
}

#[test]
fn what_is_not_json_is_said_so_and_where() {
    for (body, expected) in [
        (&b""[..], "the body is empty"),
        (b"  \r\n\t", "the body is empty"),
        (b"{\"lookups\":[\"\xff\"]}", "the body is not UTF-8"),
        (b"{\"lookups\":[{\"tracking_number\":TN1}]}", "the body is not JSON near byte 31"),
        (b"{\"lookups\":[]}x", "the body is not JSON near byte 13"),
        (b"\xef\xbb\xbf{\"lookups\":[]}", "the body is not JSON near byte 0"),
        (br#"{"lookups":["\ud800"]}"#, "the body is not JSON: a string has an escape that means nothing"),
        (
            b"{\"lookups\":[\"",
            "the body is not JSON: a string or bracket has no end, or a string has a control character",
        ),
    ] {
        assert_eq!(detail(body), expected, "{}", body.escape_ascii());
    }
}

#[test]
fn nesting_however_deep_is_an_error() {
    for (opening, closing) in [("[", "]"), (r#"{"lookups":"#, "}"), (r#"{"lookups":[{"carrier":"#, "}]}")] {
        for depth in [100, 1000, 100_000] {
            let open = opening.repeat(depth);
            assert!(!assert_agreement(open.as_bytes()));
            assert!(!assert_agreement(format!("{open}{}", closing.repeat(depth)).as_bytes()));
            assert!(!assert_agreement(format!("{open}1{}", closing.repeat(depth)).as_bytes()));
        }
    }
    assert!(detail("[".repeat(100_000)).starts_with("the body is nested too deeply"));
}

#[test]
fn a_thousand_lookups_are_taken_and_one_more_is_too_many() {
    let body = |count: usize| format!(r#"{{"lookups":[{}]}}"#, vec![r#"{"tracking_number":"1"}"#; count].join(","));
    assert_eq!(parsed(body(LOOKUPS_MAX).as_bytes()).unwrap().len(), LOOKUPS_MAX);
    let too_many = parsed(body(LOOKUPS_MAX + 1).as_bytes());
    assert_eq!(too_many, Err(BatchError::TooManyLookups { count: LOOKUPS_MAX + 1 }));
    // Whatever they are.
    let nothings = format!(r#"{{"lookups":[{}0]}}"#, "0,".repeat(400_000));
    assert_eq!(parsed(nothings.as_bytes()), Err(BatchError::TooManyLookups { count: 400_001 }));
}

#[test]
fn parsers_that_differ_elsewhere_agree_here() {
    // Numbers beyond 64 bits, of which one parser takes some, and deep nesting: refused by both, for whatever reason.
    for value in ["123456789012345678901234567890", "1e999", "-0", "1E5", "01", "NaN", "-Infinity", "0x1", "+1", ".5"] {
        assert!(!assert_agreement(format!(r#"{{"lookups":[{{"tracking_number":{value}}}]}}"#).as_bytes()));
    }
    for text in [
        r"\ud800",
        r"\udc00",
        r"\ud800\ud800",
        r"\ud800\u0041",
        r"\ud83d\ude0",
        r"\uD83D\uDE00",
        r"\u00g0",
        r"\x41",
        r"\",
        "\u{7f}",
        "\u{1}",
        "\n",
        r"\b\f\n\r\t\/x",
        "\u{2028}",
        "\u{feff}",
        "'",
    ] {
        let taken = assert_agreement(format!(r#"{{"lookups":[{{"tracking_number":"{text}"}}]}}"#).as_bytes());
        let are_good = [r"\uD83D\uDE00", "\u{7f}", r"\b\f\n\r\t\/x", "\u{feff}", "'"];
        assert_eq!(taken, are_good.contains(&text), "{text}");
    }
    for (before, after) in
        [("", "\0"), ("\u{feff}", ""), ("\u{a0}", ""), ("", "{}"), ("", ","), ("\u{c}", ""), ("//\n", "")]
    {
        assert!(!assert_agreement(format!(r#"{before}{{"lookups":[]}}{after}"#).as_bytes()));
    }
}

/// Pieces that mean something in a body, or nearly.
const PIECES: [&str; 32] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\n",
    "\t",
    "null",
    "true",
    "1",
    "-1.5e3",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\\"",
    "\\\\",
    "\"lookups\"",
    "\"tracking_number\"",
    "\"carrier\"",
    "\"carier\"",
    "{\"lookups\":[",
    "]}",
    "{\"tracking_number\":\"TN1\"}",
    "\"carrier\":null",
    "\"carrier\":\"DHL\"",
    "\u{feff}",
    "\u{1}",
    "ü",
];

fn white_space() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "", "", " ", "\r\n\t "])
}

/// A JSON string, some of its characters escaped.
fn quoted() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => any::<char>().prop_map(|c| {
            let quoted = serde_json::to_string(&c).unwrap();
            quoted[1..quoted.len() - 1].to_owned()
        }),
        4 => "[A-Za-z0-9 ]",
        1 => any::<char>().prop_map(|c| {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().fold(String::new(), |text, unit| text + &format!("\\u{unit:04x}"))
        }),
    ];
    vec(character, 0..20).prop_map(|characters| format!("\"{}\"", characters.concat()))
}

/// A body that is nearly always good.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let carrier = prop_oneof![2 => Just(None), 1 => Just(Some("null".to_owned())), 3 => quoted().prop_map(Some)];
    let lookup =
        (quoted(), carrier, any::<bool>(), vec(white_space(), 6)).prop_map(|(number, carrier, swapped, gaps)| {
            let number = format!("\"tracking_number\"{}:{}{number}", gaps[0], gaps[1]);
            let carrier = carrier.map(|carrier| format!("\"carrier\"{}:{}{carrier}", gaps[2], gaps[3]));
            let mut members: Vec<String> = [Some(number), carrier].into_iter().flatten().collect();
            if swapped {
                members.reverse();
            }
            format!("{{{}{}{}}}", gaps[4], members.join(","), gaps[5])
        });
    (vec(lookup, 0..4), vec(white_space(), 4)).prop_map(|(lookups, gaps)| {
        let [a, b, c, d] = gaps[..] else { panic!("four") };
        format!("{a}{{{b}\"lookups\":{c}[{}]}}{d}", lookups.join(",")).into_bytes()
    })
}

/// Numbers without end, the same for the same seed (splitmix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    /// `body` with one thing wrong with it, or changed.
    fn mutate(&mut self, body: &mut Vec<u8>) {
        let at = self.below(body.len() + 1);
        let end = (at + 1 + self.below(8)).min(body.len());
        match self.below(6) {
            0 if at < body.len() => body[at] = self.below(256) as u8,
            1 if at < body.len() => body[at] ^= 1 << self.below(8),
            2 => drop(body.drain(at..end)),
            3 => body.truncate(at),
            4 => {
                let copied = body[at..end].to_vec();
                let to = self.below(body.len() + 1);
                body.splice(to..to, copied).for_each(drop);
            }
            _ => {
                let piece = PIECES[self.below(PIECES.len())];
                body.splice(at..at, piece.bytes()).for_each(drop);
            }
        }
    }
}

/// Mutations of each body.
const MUTATIONS: usize = 400;

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn good_bodies_and_200_000_mutations_of_them_mean_what_serde_json_says(body in bodies(), seed in any::<u64>()) {
        assert_agreement(&body);
        let mut draws = Draws(seed);
        for _ in 0..MUTATIONS {
            let mut mutant = body.clone();
            for _ in 0..=draws.below(3) {
                draws.mutate(&mut mutant);
            }
            assert_agreement(&mutant);
        }
    }

    #[test]
    fn pieces_in_any_order_mean_what_serde_json_says(pieces in vec(select(PIECES.to_vec()), 0..20)) {
        assert_agreement(pieces.concat().as_bytes());
    }

    #[test]
    fn any_bytes_mean_what_serde_json_says(bytes in vec(any::<u8>(), 0..200)) {
        assert_agreement(&bytes);
    }
}
