//! The start of a file as `check` sees it: what it is, where its header is, and what separates its fields.

use std::cmp::Reverse;

use memchr::memchr_iter;

use super::header::{self, Header};
use crate::load::Options;

/// Bytes that are looked at.
pub(super) const BYTES_MAX: u64 = 64 << 10;
/// Records among which the header is looked for.
const RECORDS_MAX: usize = 10;
/// Columns that a line must name to be taken for a header.
const COLUMNS_MIN: usize = 3;
/// Separators that exports have.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// A record with its line from 1, and its fields.
type Record = (u64, Vec<String>);

/// A form in which a file cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Text in UTF-16, as Excel saves "Unicode text".
    Utf16,
    /// Text in an encoding of one byte per character.
    OtherEncoding,
    /// A workbook, or another archive.
    Workbook,
}

impl Form {
    /// Finds out that `head` begins no CSV file in UTF-8.
    pub(super) fn of(head: &[u8]) -> Option<Form> {
        let zeros = memchr_iter(0, head).count();
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"\xd0\xcf\x11\xe0") {
            Some(Form::Workbook)
        } else if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || zeros * 3 > head.len() {
            Some(Form::Utf16)
        } else {
            let error = std::str::from_utf8(head).err()?;
            // The head may end within a character.
            error.error_len().map(|_| Form::OtherEncoding)
        }
    }
}

/// The header as it was found, or the first line where no line is like one.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) delimiter: u8,
    /// Line of the header, from 1; `None` if no line is like one.
    pub(super) line: Option<u64>,
    /// Number of records before it.
    pub(super) records_before: usize,
    pub(super) header: Header,
    /// The records after it.
    pub(super) rows: Vec<Vec<String>>,
}

impl Layout {
    /// Finds the header in `head`: the line, and the separator, with which most columns are named. Those of `options` go
    /// first, then those before others.
    pub(super) fn find(head: &[u8], options: &Options) -> Option<Layout> {
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let others = DELIMITERS.into_iter().filter(|delimiter| *delimiter != options.delimiter);
        let delimiters = std::iter::once(options.delimiter).chain(others);
        let parsed: Vec<(u8, Vec<Record>)> =
            delimiters.map(|delimiter| (delimiter, records(head, delimiter))).collect();
        let named = parsed.iter().flat_map(|(delimiter, records)| {
            let count = |names: &[String]| header::count_words(names, &options.columns);
            records.iter().enumerate().map(move |(at, (_, names))| (count(names), *delimiter, records, at))
        });
        // The first one of several that name as many.
        let best = named.filter(|(count, ..)| *count >= COLUMNS_MIN).min_by_key(|(count, ..)| Reverse(*count));
        let is_found = best.is_some();
        let (delimiter, records, at) = match best {
            Some((_, delimiter, records, at)) => (delimiter, records, at),
            None => {
                let (delimiter, records) = parsed.iter().rev().max_by_key(|(_, records)| regular_fields(records))?;
                (*delimiter, records, 0)
            }
        };
        let (line, header) = records.get(at)?;
        Some(Layout {
            delimiter,
            line: is_found.then_some(*line),
            records_before: at,
            header: Header::new(header.clone(), &options.columns),
            rows: records[at + 1..].iter().map(|(_, fields)| fields.clone()).collect(),
        })
    }
}

/// The first records. Blank lines are none.
fn records(head: &[u8], delimiter: u8) -> Vec<Record> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(head);
    let records = reader.byte_records().map_while(Result::ok).take(RECORDS_MAX);
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    // The reader's own lines are off behind CRLF and blank lines.
    let line = |record: &csv::ByteRecord| {
        let start = record.position().map_or(0, |position| position.byte() as usize).min(head.len());
        let breaks = head[start..].iter().take_while(|byte| b"\r\n".contains(byte)).count();
        1 + memchr_iter(b'\n', &head[..start + breaks]).count() as u64
    };
    records.map(|record| (line(&record), record.iter().map(text).collect())).collect()
}

/// Number of fields that all records have; 1 where they have different ones.
fn regular_fields(records: &[Record]) -> usize {
    let mut counts = records.iter().map(|(_, fields)| fields.len());
    let first = counts.next().unwrap_or(1);
    if counts.all(|count| count == first) { first } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(head: &str) -> (char, Option<u64>, usize) {
        let layout = Layout::find(head.as_bytes(), &Options::default()).unwrap();
        (char::from(layout.delimiter), layout.line, 9 - layout.header.missing().len())
    }

    #[test]
    fn the_header_is_where_most_columns_are_named() {
        let names = "Tracking No;Carrier;From;To;Item;Qty;Price;SKU;Status";
        assert_eq!(layout(&format!("{names}\nTN1;DHL;a, b, c;d;e;1;2;f;g\n")), (';', Some(1), 9));
        assert_eq!(layout(&format!("\u{feff}sep=;\r\n{names}\r\n")), (';', Some(2), 9));
        assert_eq!(layout(&format!("Export, of today\n\n{}\n", names.replace(';', "\t"))), ('\t', Some(3), 9));
        assert_eq!(layout("TN1|DHL|a,b|c\nTN2|UPS|d|e\n"), ('|', None, 0));
        assert_eq!(layout("nothing"), (',', None, 0));
        assert!(Layout::find(b"\n\n", &Options::default()).is_none());
    }

    #[test]
    fn what_is_no_csv_in_utf_8_is_recognized() {
        for (head, form) in [
            (&b"PK\x03\x04..."[..], Some(Form::Workbook)),
            (b"\xff\xfea\0;\0", Some(Form::Utf16)),
            (b"a\0,\0b\0\n\0", Some(Form::Utf16)),
            (b"Empf\xe4nger;", Some(Form::OtherEncoding)),
            ("Empfänger".as_bytes(), None),
            (&"Empfä".as_bytes()[..5], None),
            (b"", None),
        ] {
            assert_eq!(Form::of(head), form, "{head:?}");
        }
    }
}
