//! From a block's bytes to checked rows: parsing with `csv-core`, and the rules of a row. Pure: no file, no thread.

use csv_core::ReadRecordResult;

use super::blocks::Place;
use super::names::ColumnNames;
use super::report::FileError;
use crate::shipment::{Column, Row};
use crate::truncate::truncate;

/// Largest quantity of an article.
const QUANTITY_MAX: u64 = u32::MAX as u64;
/// Digits of the largest quantity.
const QUANTITY_DIGITS_MAX: usize = 10;
/// Digits of a price, before and after the point together.
const PRICE_DIGITS_MAX: usize = 18;
/// Characters of a value that an error repeats.
const SHOWN_CHARS_MAX: usize = 200;

/// Where each needed column is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// Fields of the header.
    fields: usize,
    /// The needed columns in the order of the file, each with its field.
    in_file_order: [(usize, Column); Column::ALL.len()],
}

impl Columns {
    /// Finds the columns in the header on line `line`, where they are called `called`. Also returns the names of those
    /// that nothing needs.
    pub(super) fn from_header(
        header: &Record<'_>,
        line: u64,
        called: &ColumnNames,
    ) -> Result<(Columns, Vec<String>), FileError> {
        let error = |column: Option<&'static str>, reason: String| FileError { line, column, reason };
        let names: Vec<String> =
            (0..header.len()).map(|field| String::from_utf8_lossy(header.field(field)).into_owned()).collect();
        let mut in_file_order = [(0, Column::TrackingNumber); Column::ALL.len()];
        for (slot, column) in in_file_order.iter_mut().zip(Column::ALL) {
            let mut fields = (0..names.len()).filter(|field| names[*field] == called.get(column));
            let Some(field) = fields.next() else {
                let (missing, there) = (called.explained(column), quoted(&names.join(" | ")));
                let reason = format!("the header has no column {missing}; it has {there}");
                return Err(error(Some(column.name()), reason));
            };
            if fields.next().is_some() {
                return Err(error(Some(column.name()), format!("the header names {} twice", called.explained(column))));
            }
            *slot = (field, column);
        }
        in_file_order.sort_unstable();
        let ignored = names.iter().filter(|name| called.find(name).is_none()).cloned().collect();
        Ok((Columns { fields: names.len(), in_file_order }, ignored))
    }

    /// The columns that the rows of a shipment share, in the order of the file.
    pub(super) fn shared(&self) -> [Column; 3] {
        let mut shared = Column::SHARED;
        shared.sort_unstable_by_key(|column| self.rank(*column));
        shared
    }

    /// A column's place among the needed ones, in the order of the file.
    pub(super) fn rank(&self, column: Column) -> usize {
        self.in_file_order.iter().position(|(_, other)| *other == column).unwrap_or(usize::MAX)
    }

    /// The row in `record`, if it keeps every rule of a single row.
    pub(super) fn check<'r>(&self, record: &'r Record<'_>) -> Result<Row<'r>, BadRow> {
        if record.len() != self.fields {
            let reason = format!("number of fields: {}; the header has {}", record.len(), self.fields);
            return Err(BadRow { column: None, reason });
        }
        let mut row = Row::default();
        let text = record.text();
        for (field, column) in self.in_file_order {
            let value = match text.and_then(|text| text.get(record.range(field))) {
                Some(value) => value,
                None => std::str::from_utf8(record.field(field)).map_err(|error| BadRow {
                    column: Some(column),
                    reason: format!("not UTF-8 from byte {} on", error.valid_up_to() + 1),
                })?,
            };
            if let Err(reason) = check_value(column, value) {
                return Err(BadRow { column: Some(column), reason });
            }
            *row_field(&mut row, column) = value;
        }
        Ok(row)
    }

    /// What can be known of a bad row's shipment: number, carrier and what its rows share.
    pub(super) fn claim(&self, record: &Record<'_>) -> Option<Claim> {
        let mut claim = Claim::default();
        for (field, column) in self.in_file_order {
            let value = std::str::from_utf8(record.field(field));
            match column {
                Column::TrackingNumber => value.ok()?.clone_into(&mut claim.tracking_number),
                Column::Carrier => value.ok()?.clone_into(&mut claim.carrier),
                Column::SenderAddress => value.unwrap_or_default().clone_into(&mut claim.sender_address),
                Column::ReceiverAddress => value.unwrap_or_default().clone_into(&mut claim.receiver_address),
                Column::Status => value.unwrap_or_default().clone_into(&mut claim.status),
                _ => {}
            }
        }
        Some(claim)
    }
}

/// Why a row is bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    /// The first failing column in the order of the file; none for a wrong number of fields.
    pub(super) column: Option<Column>,
    pub(super) reason: String,
}

/// What a bad row says of its shipment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) tracking_number: String,
    pub(super) carrier: String,
    pub(super) sender_address: String,
    pub(super) receiver_address: String,
    pub(super) status: String,
}

impl Claim {
    pub(super) fn row(&self) -> Row<'_> {
        Row {
            tracking_number: &self.tracking_number,
            carrier: &self.carrier,
            sender_address: &self.sender_address,
            receiver_address: &self.receiver_address,
            status: &self.status,
            ..Row::default()
        }
    }
}

fn row_field<'a, 'r>(row: &'a mut Row<'r>, column: Column) -> &'a mut &'r str {
    match column {
        Column::TrackingNumber => &mut row.tracking_number,
        Column::Carrier => &mut row.carrier,
        Column::SenderAddress => &mut row.sender_address,
        Column::ReceiverAddress => &mut row.receiver_address,
        Column::ArticleName => &mut row.article_name,
        Column::ArticleQuantity => &mut row.article_quantity,
        Column::ArticlePrice => &mut row.article_price,
        Column::Sku => &mut row.sku,
        Column::Status => &mut row.status,
    }
}

fn check_value(column: Column, value: &str) -> Result<(), String> {
    match column {
        Column::TrackingNumber | Column::Carrier if value.trim().is_empty() => Err("blank".to_owned()),
        Column::ArticleQuantity if !is_quantity(value) => {
            Err(format!("{} is not a whole number from 0 to {QUANTITY_MAX}", quoted(value)))
        }
        Column::ArticlePrice if !is_price(value) => {
            Err(format!("{} is not a price such as 800 or 19.90 of at most {PRICE_DIGITS_MAX} digits", quoted(value)))
        }
        _ => Ok(()),
    }
}

/// The start of `value`, in quotes.
fn quoted(value: &str) -> String {
    let (start, ellipsis) = truncate(value, SHOWN_CHARS_MAX);
    format!("{start:?}{ellipsis}")
}

/// `0|[1-9][0-9]*`
fn is_integer(digits: &[u8]) -> bool {
    match digits {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn is_quantity(value: &str) -> bool {
    is_integer(value.as_bytes())
        && value.len() <= QUANTITY_DIGITS_MAX
        && value.parse::<u64>().is_ok_and(|quantity| quantity <= QUANTITY_MAX)
}

fn is_price(value: &str) -> bool {
    match value.split_once('.') {
        None => is_integer(value.as_bytes()) && value.len() <= PRICE_DIGITS_MAX,
        Some((whole, fraction)) => {
            is_integer(whole.as_bytes())
                && !fraction.is_empty()
                && fraction.bytes().all(|byte| byte.is_ascii_digit())
                && whole.len() + fraction.len() <= PRICE_DIGITS_MAX
        }
    }
}

/// A record of the file: its fields, unquoted.
pub(super) struct Record<'a> {
    /// Line on which it starts, from the block's first, 0.
    pub(super) line: u64,
    /// Its length in the file.
    pub(super) raw_bytes: usize,
    fields: &'a [u8],
    ends: &'a [usize],
}

impl Record<'_> {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn range(&self, field: usize) -> std::ops::Range<usize> {
        let start = if field == 0 { 0 } else { self.ends[field - 1] };
        start..self.ends[field]
    }

    fn field(&self, field: usize) -> &[u8] {
        &self.fields[self.range(field)]
    }

    /// All fields back to back, if they are UTF-8 together.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.fields).ok()
    }
}

/// Parses the records of blocks.
pub(super) struct RecordParser {
    core: csv_core::Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
}

impl RecordParser {
    /// Of records whose fields `delimiter` separates.
    pub(super) fn new(delimiter: u8) -> RecordParser {
        // A lone carriage return is data; the one of a CRLF is taken off here.
        let core =
            csv_core::ReaderBuilder::new().delimiter(delimiter).terminator(csv_core::Terminator::Any(b'\n')).build();
        let mut parser = RecordParser { core, fields: vec![0; 4096], ends: vec![0; Column::ALL.len() + 1] };
        // csv-core drops a byte order mark from the first bytes it sees, which here may be in the middle of the file.
        // A blank line makes it see others first.
        parser.core.read_record(b"\n", &mut parser.fields, &mut parser.ends);
        parser
    }

    /// The next record at `place`, which moves behind it. `bytes` start and end where a record does, or end the file.
    pub(super) fn next<'p>(&'p mut self, bytes: &[u8], place: &mut Place) -> Option<Record<'p>> {
        skip_blank_lines(bytes, place);
        let rest = &bytes[place.at..];
        if rest.is_empty() {
            return None;
        }
        let (mut read, mut written, mut ended) = (0, 0, 0);
        loop {
            let (result, bytes_in, bytes_out, fields) =
                self.core.read_record(&rest[read..], &mut self.fields[written..], &mut self.ends[ended..]);
            read += bytes_in;
            written += bytes_out;
            ended += fields;
            match result {
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                // Given no input, csv-core ends the last record of the file.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        let raw = &rest[..read];
        if raw.ends_with(b"\r\n")
            && let Some(end) = self.ends[..ended].last_mut()
        {
            *end -= 1;
            written -= 1;
        }
        let line = place.lines;
        place.at += read;
        place.lines += memchr::memchr_iter(b'\n', raw).count() as u64;
        Some(Record { line, raw_bytes: read, fields: &self.fields[..written], ends: &self.ends[..ended] })
    }
}

fn skip_blank_lines(bytes: &[u8], place: &mut Place) {
    loop {
        let rest = &bytes[place.at..];
        let blank = match rest {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return,
        };
        place.at += blank;
        place.lines += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &[u8]) -> Vec<(u64, Vec<String>)> {
        let mut parser = RecordParser::new(b',');
        let mut place = Place::default();
        let mut records = Vec::new();
        while let Some(record) = parser.next(text, &mut place) {
            let fields = (0..record.len()).map(|field| String::from_utf8_lossy(record.field(field)).into_owned());
            records.push((record.line, fields.collect()));
        }
        records
    }

    fn fields(values: &[&str]) -> Vec<String> {
        values.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lines_are_counted_through_blank_lines_and_quoted_breaks() {
        let text = b"a,b\n\n\r\n\"c\nd\",e\r\n\nf,g";
        assert_eq!(records(text), [(0, fields(&["a", "b"])), (3, fields(&["c\nd", "e"])), (6, fields(&["f", "g"]))]);
    }

    #[test]
    fn a_carriage_return_is_data_but_before_the_line_feed_that_ends_a_record() {
        assert_eq!(records(b"a\rb,c\r\r\n"), [(0, fields(&["a\rb", "c\r"]))]);
        assert_eq!(records(b"a,\"b\r\"\r\nc,\r"), [(0, fields(&["a", "b\r"])), (1, fields(&["c", "\r"]))]);
        assert_eq!(records(b"a,\r\n"), [(0, fields(&["a", ""]))]);
    }

    #[test]
    fn a_byte_order_mark_is_data_where_a_thread_begins() {
        assert_eq!(records("\u{feff}a,b\n".as_bytes()), [(0, fields(&["\u{feff}a", "b"]))]);
    }

    #[test]
    fn quantities_and_prices_follow_their_grammar() {
        for good in ["0", "1", "4294967295"] {
            assert!(is_quantity(good), "{good}");
        }
        for bad in ["", "00", "01", "+1", "-1", "1.0", "4294967296", " 1", "1e3", "99999999999999999999"] {
            assert!(!is_quantity(bad), "{bad}");
        }
        for good in ["0", "800", "19.90", "0.05", "123456789012345678", "1.23456789012345678", "0.0"] {
            assert!(is_price(good), "{good}");
        }
        for bad in
            ["", ".5", "5.", "00.1", "1,5", "-1", "1e3", "1.2.3", "1234567890123456789", "٣", "1.234567890123456789"]
        {
            assert!(!is_price(bad), "{bad}");
        }
    }
}
