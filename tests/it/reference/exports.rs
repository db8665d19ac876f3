//! Files with every oddity that a file may have.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::{COLUMNS, SHARED};

/// A file, shown as text where a test fails.
#[derive(Clone)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Columns that nothing needs, some of them named almost as one that is.
const EXTRA_COLUMNS: [&str; 5] = ["sku", "Status", "notes", "", "with,comma\nand \"lines\""];
/// Numbers and carriers of the shipments.
const KEYS: [(&str, &str); 8] = [
    ("TN1", "DHL"),
    ("TN1", "UPS"),
    ("tn1", "Česká pošta"),
    ("ΟΔΟΣ Σ", "dhl"),
    ("İ7", "ÖPNV"),
    ("\u{feff}9", "q\"uo\\te"),
    ("a,\"b\"\nc", "\u{1}\u{7f}"),
    ("📦", "K"),
];
/// What the rows of a shipment share: that of each shipment is drawn from here by its place among the keys.
const SHARED_VALUES: [&str; 10] = [
    "",
    "Street 1, 10115 Berlin, Germany",
    "Straße \"7\"\nHinterhaus, 8001 Zürich, Switzerland",
    "two,parts",
    "no comma",
    ",,",
    "in-transit",
    " \u{1f69a}\u{2028}",
    "back\\slash\t\u{8}\u{c}\u{1f}\u{0}",
    "lone \r return\r",
];
const NAMES: [&str; 7] = ["Laptop", "Monitor 24\"", "", "\"quoted\"", "Łódź 🧸", "a\r\nb", "x"];
const QUANTITIES: [&str; 5] = ["1", "0", "4294967295", "1234567", "12345678"];
const PRICES: [&str; 6] = ["800", "19.90", "0", "0.00", "123456789012345678", "1.00000000000000000"];
const BAD_QUANTITIES: [&str; 9] = ["", "01", "4294967296", "-1", "+1", "1.0", " 1", "1\r", "99999999999999999999"];
const BAD_PRICES: [&str; 10] =
    ["", ".5", "5.", "00", "01.5", "1e3", "-1", "1.2.3", "1234567890123456789", "0.123456789012345678"];
const BLANKS: [&str; 4] = ["", " ", "\t\r\n", "\u{a0}\u{2003}"];

/// What is wrong with a row.
#[derive(Clone, Debug)]
enum Flaw {
    /// A column has a value that is bad, or that contradicts the shipment.
    Value(&'static str, &'static str),
    NotUtf8(Index),
    FieldMissing,
    FieldTooMany,
    /// Something else altogether.
    Noise(String),
}

#[derive(Clone, Debug)]
struct Row {
    key: usize,
    /// How number and carrier are spelled.
    spellings: [u8; 2],
    article: [&'static str; 4],
    flaws: Vec<Flaw>,
    /// One bit a field.
    quoted: u32,
    line_end: &'static str,
    blank_lines: Vec<&'static str>,
}

fn line_end() -> impl Strategy<Value = &'static str> {
    select(&["\n", "\r\n"][..])
}

fn flaw() -> impl Strategy<Value = Flaw> {
    prop_oneof![
        4 => (select(&SHARED[..]), select(&SHARED_VALUES[..])).prop_map(|(column, other)| Flaw::Value(column, other)),
        1 => select(&BLANKS[..]).prop_map(|blank| Flaw::Value("tracking_number", blank)),
        1 => select(&BLANKS[..]).prop_map(|blank| Flaw::Value("carrier", blank)),
        1 => select(&BAD_QUANTITIES[..]).prop_map(|bad| Flaw::Value("article_quantity", bad)),
        1 => select(&BAD_PRICES[..]).prop_map(|bad| Flaw::Value("article_price", bad)),
        1 => any::<Index>().prop_map(Flaw::NotUtf8),
        1 => Just(Flaw::FieldMissing),
        1 => Just(Flaw::FieldTooMany),
        1 => "[a,\"\r\n ]{0,12}".prop_map(Flaw::Noise),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let article = (select(&NAMES[..]), select(&QUANTITIES[..]), select(&PRICES[..]), select(&NAMES[..]));
    let flaws = prop_oneof![9 => Just(Vec::new()), 1 => vec(flaw(), 1..3)];
    let blank_lines = prop_oneof![6 => Just(Vec::new()), 1 => vec(line_end(), 1..3)];
    (0..KEYS.len(), any::<[u8; 2]>(), article, flaws, any::<u32>(), line_end(), blank_lines).prop_map(
        |(key, spellings, (name, quantity, price, sku), flaws, quoted, line_end, blank_lines)| {
            let article = [name, quantity, price, sku];
            Row { key, spellings, article, flaws, quoted, line_end, blank_lines }
        },
    )
}

fn spelled(text: &str, spelling: u8) -> String {
    match spelling % 8 {
        0 => text.to_uppercase(),
        1 => text.to_lowercase(),
        2 => format!(" {text}\u{a0}"),
        3 => format!("{text}\t\r"),
        _ => text.to_owned(),
    }
}

fn field(value: &[u8], quoted: bool, out: &mut Vec<u8>) {
    if quoted || value.starts_with(b"\"") || value.iter().any(|byte| matches!(byte, b',' | b'\n')) {
        out.push(b'"');
        for &byte in value {
            out.extend_from_slice(if byte == b'"' { b"\"\"" } else { std::slice::from_ref(&byte) });
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(value);
    }
}

fn fields<'v>(values: impl IntoIterator<Item = &'v [u8]>, mut quoted: u32, out: &mut Vec<u8>) {
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        field(value, quoted & 1 == 1, out);
        quoted >>= 1;
    }
}

impl Row {
    fn value(&self, column: &str) -> String {
        let (number, carrier) = KEYS[self.key];
        let [name, quantity, price, sku] = self.article;
        let shared = |column: usize| SHARED_VALUES[(self.key + column) % SHARED_VALUES.len()].to_owned();
        match column {
            "tracking_number" => spelled(number, self.spellings[0]),
            "carrier" => spelled(carrier, self.spellings[1]),
            "sender_address" => shared(0),
            "receiver_address" => shared(1),
            "status" => shared(6),
            "article_name" => name.to_owned(),
            "article_quantity" => quantity.to_owned(),
            "article_price" => price.to_owned(),
            "SKU" => sku.to_owned(),
            _ => "extra".to_owned(),
        }
    }

    fn write(&self, names: &[&str], out: &mut Vec<u8>) {
        let mut values: Vec<Vec<u8>> = names.iter().map(|name| self.value(name).into_bytes()).collect();
        let place = |column: &str| names.iter().position(|name| *name == column);
        let mut noise = None;
        for flaw in &self.flaws {
            match flaw {
                Flaw::Value(column, bad) => {
                    if let Some(at) = place(column).filter(|at| *at < values.len()) {
                        values[at] = bad.as_bytes().to_vec();
                    }
                }
                Flaw::NotUtf8(index) if !values.is_empty() => {
                    // Halves of one character side by side would be UTF-8 if the fields were read as one.
                    let at = index.index(values.len());
                    values[at].push(b'\xc3');
                    if let Some(next) = values.get_mut(at + 1) {
                        next.insert(0, b'\xbc');
                    }
                }
                Flaw::FieldMissing => drop(values.pop()),
                Flaw::FieldTooMany => values.push(Vec::new()),
                Flaw::NotUtf8(_) => {}
                Flaw::Noise(text) => noise = Some(text),
            }
        }
        match noise {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => fields(values.iter().map(Vec::as_slice), self.quoted, out),
        }
        out.extend_from_slice(self.line_end.as_bytes());
        out.extend(self.blank_lines.iter().flat_map(|line| line.bytes()));
    }
}

/// The names of a header: nearly always all that are needed, in any order, among others.
fn names() -> impl Strategy<Value = Vec<&'static str>> {
    let columns = prop_oneof![
        30 => Just(COLUMNS.to_vec()),
        1 => subsequence(COLUMNS.to_vec(), 0..COLUMNS.len()),
        1 => select(&COLUMNS[..]).prop_map(|twice| [&COLUMNS[..], &[twice]].concat()),
    ];
    (columns, subsequence(EXTRA_COLUMNS.to_vec(), 0..EXTRA_COLUMNS.len()))
        .prop_map(|(columns, extra)| [columns, extra].concat())
        .prop_shuffle()
}

/// A file of up to `rows_max` rows.
pub(crate) fn exports(rows_max: usize) -> impl Strategy<Value = Bytes> {
    let shown_names = prop_oneof![1 => Just(COLUMNS.to_vec()), 3 => names()];
    let start = (any::<bool>(), vec(line_end(), 0..2), shown_names, any::<u32>(), line_end());
    let end = prop_oneof![6 => Just(0), 2 => Just(1), 1 => Just(2), 1 => 3..40_usize];
    (start, vec(row(), 0..=rows_max), end).prop_map(|((mark, blank_lines, names, quoted, line_end), rows, cut)| {
        let mut file = if mark { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
        file.extend(blank_lines.iter().flat_map(|line| line.bytes()));
        fields(names.iter().map(|name| name.as_bytes()), quoted, &mut file);
        file.extend_from_slice(line_end.as_bytes());
        for row in &rows {
            row.write(&names, &mut file);
        }
        // The end of the file may be missing: its line break, or the rest of a record.
        file.truncate(file.len().saturating_sub(cut));
        Bytes(file)
    })
}

/// Files into which bytes that mean something were put, or out of which bytes were taken, anywhere.
pub(crate) fn damaged_exports(rows_max: usize) -> impl Strategy<Value = Bytes> {
    let inserts: &[&[u8]] =
        &[b"", b"\"", b"\"\"", b",", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"\xff", b"\0", b"\",\"", b"\n\""];
    let damage = (any::<Index>(), 0..3_usize, select(inserts));
    (exports(rows_max), vec(damage, 1..5)).prop_map(|(Bytes(mut file), damages)| {
        for (index, taken, insert) in damages {
            let at = index.index(file.len() + 1);
            let end = (at + taken).min(file.len());
            file.splice(at..end, insert.iter().copied());
        }
        Bytes(file)
    })
}
