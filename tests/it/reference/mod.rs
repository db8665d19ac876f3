//! What a file says, found the slow and obvious way: byte by byte, row by row, in maps of strings.
//!
//! It shares no code with the loader. Where both agree on every file, each confirms the other.

pub(crate) mod agreement;
pub(crate) mod compressed;
pub(crate) mod exports;
pub(crate) mod odd;
pub(crate) mod queries;
mod stages;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::value::RawValue;

/// The columns that every file needs.
pub(crate) const COLUMNS: [&str; 9] = [
    "tracking_number",
    "carrier",
    "sender_address",
    "receiver_address",
    "article_name",
    "article_quantity",
    "article_price",
    "SKU",
    "status",
];
/// Columns that must be the same in all rows of a shipment.
const SHARED: [&str; 3] = ["sender_address", "receiver_address", "status"];
const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// Where something is wrong: a line and, unless all of it is, a column.
pub(crate) type Place = (u64, Option<&'static str>);

/// A shipment as it is answered; the order of the fields is that of the keys.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shipment {
    pub(crate) tracking_number: String,
    pub(crate) carrier: String,
    status: String,
    sender_address: String,
    receiver_address: String,
    articles: Vec<Article>,
}

#[derive(Clone, Debug, Serialize)]
struct Article {
    name: String,
    quantity: u32,
    price: Box<RawValue>,
    #[serde(rename = "SKU")]
    sku: String,
}

impl Shipment {
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap()
    }

    fn shared(&self, column: &str) -> &str {
        match column {
            "status" => &self.status,
            "sender_address" => &self.sender_address,
            "receiver_address" => &self.receiver_address,
            _ => panic!("{column} is not shared"),
        }
    }
}

/// A number and a carrier in the form in which they compare.
pub(crate) type Key = (String, String);

pub(crate) fn folded(text: &str) -> String {
    text.trim().to_lowercase()
}

/// What a file says, and which of its rows are bad.
#[derive(Debug, Default)]
pub(crate) struct Export {
    /// Good and bad ones.
    pub(crate) rows: u64,
    pub(crate) bad_rows: Vec<Place>,
    /// In file order.
    pub(crate) shipments: Vec<Shipment>,
    pub(crate) carriers: Vec<String>,
    pub(crate) ignored_columns: Vec<String>,
    folded_carriers: BTreeSet<String>,
    by_key: BTreeMap<Key, usize>,
    by_number: BTreeMap<String, Vec<usize>>,
}

impl Export {
    /// Reads a file. The error is that of the file as a whole.
    pub(crate) fn read(file: &[u8]) -> Result<Export, Place> {
        Export::read_as(file, b',', &COLUMNS)
    }

    /// Reads a file with another delimiter, whose header calls the columns `called`.
    pub(crate) fn read_as(file: &[u8], delimiter: u8, called: &[&str; 9]) -> Result<Export, Place> {
        let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        let mut records = records_as(file, delimiter);
        if records.is_empty() {
            return Err((1, None));
        }
        let header = records.remove(0);
        if header.is_torn {
            return Err((header.line, None));
        }
        let names: Vec<String> = header.fields.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        for (column, called) in COLUMNS.into_iter().zip(called) {
            if names.iter().filter(|name| name == called).count() != 1 {
                return Err((header.line, Some(column)));
            }
        }
        if let Some(torn) = records.iter().find(|record| record.is_torn) {
            return Err((torn.line, None));
        }
        if records.is_empty() {
            return Err((header.line, None));
        }
        let mut export = Export { rows: records.len() as u64, ..Export::default() };
        export.ignored_columns = names.iter().filter(|name| !called.contains(&name.as_str())).cloned().collect();
        let rows: Vec<Row<'_>> = records.iter().map(|record| Row::new(&names, called, record)).collect();
        for row in rows.iter().filter(|row| row.is_good_by_itself()) {
            export.define_shipment(row);
        }
        for row in &rows {
            match export.error(row) {
                Some(place) => export.bad_rows.push(place),
                None => export.add_article(row),
            }
        }
        Ok(export)
    }

    /// The first good row of a shipment says what it is.
    fn define_shipment(&mut self, row: &Row<'_>) {
        let key = row.key().unwrap();
        if self.by_key.contains_key(&key) {
            return;
        }
        if self.folded_carriers.insert(key.1.clone()) {
            self.carriers.push(row.text("carrier"));
        }
        let at = self.shipments.len();
        self.by_number.entry(key.0.clone()).or_default().push(at);
        self.by_key.insert(key, at);
        self.shipments.push(Shipment {
            tracking_number: row.text("tracking_number"),
            carrier: row.text("carrier"),
            status: row.text("status"),
            sender_address: row.text("sender_address"),
            receiver_address: row.text("receiver_address"),
            articles: Vec::new(),
        });
    }

    /// The row's line and its first failing column: none if it has not as many fields as the header.
    fn error(&self, row: &Row<'_>) -> Option<Place> {
        if row.fields.is_none() {
            return Some((row.line, None));
        }
        let shipment = row.key().and_then(|key| self.by_key.get(&key)).map(|at| &self.shipments[*at]);
        let fails = |column: &str| {
            let value = row.value(column);
            let contradicts = |(shipment, value): (&Shipment, &str)| value != shipment.shared(column);
            is_bad(column, value) || SHARED.contains(&column) && shipment.zip(value).is_some_and(contradicts)
        };
        let column = row.columns.iter().find(|column| fails(column))?;
        Some((row.line, Some(column)))
    }

    fn add_article(&mut self, row: &Row<'_>) {
        let at = self.by_key[&row.key().unwrap()];
        self.shipments[at].articles.push(Article {
            name: row.text("article_name"),
            quantity: row.text("article_quantity").parse().unwrap(),
            price: RawValue::from_string(row.text("article_price")).unwrap(),
            sku: row.text("SKU"),
        });
    }

    pub(crate) fn articles(&self) -> u64 {
        self.rows - self.bad_rows.len() as u64
    }

    pub(crate) fn shipment(&self, number: &str, carrier: &str) -> Option<&Shipment> {
        self.by_key.get(&(folded(number), folded(carrier))).map(|at| &self.shipments[*at])
    }

    /// Every shipment as JSON, by its key.
    pub(crate) fn jsons(&self) -> BTreeMap<Key, String> {
        self.by_key.iter().map(|(key, at)| (key.clone(), self.shipments[*at].json())).collect()
    }

    pub(crate) fn shipments_with_number(&self, number: &str) -> Vec<&Shipment> {
        let places = self.by_number.get(&folded(number));
        places.into_iter().flatten().map(|at| &self.shipments[*at]).collect()
    }
}

/// A row by its columns.
struct Row<'r> {
    line: u64,
    /// The needed columns in the order of the file.
    columns: Vec<&'static str>,
    /// None when there are more or fewer than the header has.
    fields: Option<BTreeMap<&'static str, &'r [u8]>>,
}

impl<'r> Row<'r> {
    fn new(names: &[String], called: &[&str], record: &'r RawRecord) -> Row<'r> {
        let known = |name: &String| called.iter().position(|called| called == name).map(|at| COLUMNS[at]);
        let columns = names.iter().filter_map(known).collect();
        let fields = (names.len() == record.fields.len()).then(|| {
            let pairs = names.iter().zip(&record.fields);
            pairs.filter_map(|(name, field)| Some((known(name)?, field.as_slice()))).collect()
        });
        Row { line: record.line, columns, fields }
    }

    fn is_good_by_itself(&self) -> bool {
        self.fields.is_some() && self.columns.iter().all(|column| !is_bad(column, self.value(column)))
    }

    /// None when it is not UTF-8.
    fn value(&self, column: &str) -> Option<&'r str> {
        std::str::from_utf8(self.fields.as_ref().unwrap()[column]).ok()
    }

    fn text(&self, column: &str) -> String {
        self.value(column).unwrap().to_owned()
    }

    fn key(&self) -> Option<Key> {
        Some((folded(self.value("tracking_number")?), folded(self.value("carrier")?)))
    }
}

fn is_bad(column: &str, value: Option<&str>) -> bool {
    let Some(value) = value else { return true };
    match column {
        "tracking_number" | "carrier" => folded(value).is_empty(),
        "article_quantity" => value.parse::<u32>().map_or(true, |quantity| quantity.to_string() != value),
        "article_price" => !is_price(value),
        _ => false,
    }
}

fn is_price(value: &str) -> bool {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let digits = value.chars().filter(char::is_ascii_digit).count();
    whole.parse::<u64>().is_ok_and(|number| number.to_string() == whole)
        && !fraction.is_empty()
        && fraction.chars().all(|digit| digit.is_ascii_digit())
        && digits <= 18
}

/// A record that is not a blank line.
pub(crate) struct RawRecord {
    /// Where it starts, from 1.
    pub(crate) line: u64,
    pub(crate) fields: Vec<Vec<u8>>,
    /// A quote is still open at its end, or it is too long.
    pub(crate) is_torn: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    Unquoted,
    Quoted,
    QuoteInQuoted,
}

/// The records of a file with commas.
pub(crate) fn records(file: &[u8]) -> Vec<RawRecord> {
    records_as(file, b',')
}

/// The records of a file, one byte after the other.
fn records_as(file: &[u8], delimiter: u8) -> Vec<RawRecord> {
    let mut records = Vec::new();
    let (mut line, mut start, mut start_line) = (1, 0, 1);
    let (mut fields, mut state) = (vec![Vec::new()], State::FieldStart);
    for (at, &byte) in file.iter().enumerate() {
        if byte == b'\n' {
            line += 1;
        }
        let field = fields.last_mut().unwrap();
        state = match (state, byte) {
            (State::FieldStart, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::QuoteInQuoted,
            (State::Quoted, _) | (State::QuoteInQuoted, b'"') => {
                field.push(byte);
                State::Quoted
            }
            (_, byte) if byte == delimiter => {
                fields.push(Vec::new());
                State::FieldStart
            }
            (_, b'\n') => {
                let raw = &file[start..=at];
                if raw.ends_with(b"\r\n") {
                    field.pop();
                }
                if !matches!(raw, b"\n" | b"\r\n") {
                    let fields = std::mem::take(&mut fields);
                    records.push(RawRecord { line: start_line, fields, is_torn: raw.len() > RECORD_BYTES_MAX });
                }
                (start, start_line, fields) = (at + 1, line, vec![Vec::new()]);
                State::FieldStart
            }
            _ => {
                field.push(byte);
                State::Unquoted
            }
        };
    }
    if start < file.len() {
        let is_torn = state == State::Quoted || file.len() - start > RECORD_BYTES_MAX;
        records.push(RawRecord { line: start_line, fields, is_torn });
    }
    records
}

/// The texts that differ from `text` only as keys may.
pub(crate) fn spellings(text: &str) -> BTreeSet<String> {
    [text.to_owned(), text.to_uppercase(), text.to_lowercase(), format!("\u{2003}{text}\t"), text.trim().to_owned()]
        .into()
}
