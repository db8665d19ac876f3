//! Parsing the bytes of blocks into records, with `csv-core`. Pure: no file, no thread.

use csv_core::ReadRecordResult;

use super::blocks::BlockPosition;
use crate::shipment::Column;

/// A record of the file, with its fields unquoted.
pub(super) struct Record<'a> {
    /// Line on which it starts, counted from 0 at the block's start.
    pub(super) line: u64,
    /// Length of the record in the file.
    pub(super) raw_bytes: usize,
    fields: &'a [u8],
    ends: &'a [usize],
}

impl Record<'_> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn range(&self, field: usize) -> std::ops::Range<usize> {
        let start = if field == 0 { 0 } else { self.ends[field - 1] };
        start..self.ends[field]
    }

    pub(super) fn field(&self, field: usize) -> &[u8] {
        &self.fields[self.range(field)]
    }

    /// All fields, concatenated, if they are UTF-8.
    pub(super) fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.fields).ok()
    }
}

/// Parser of the records in blocks.
pub(super) struct RecordParser {
    core: csv_core::Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
}

impl RecordParser {
    /// Creates a parser of records with fields separated by `delimiter`.
    pub(super) fn new(delimiter: u8) -> RecordParser {
        // A lone carriage return is data; `next` removes the one of a CRLF.
        let core =
            csv_core::ReaderBuilder::new().delimiter(delimiter).terminator(csv_core::Terminator::Any(b'\n')).build();
        let mut parser = RecordParser { core, fields: vec![0; 4096], ends: vec![0; Column::ALL.len() + 1] };
        // csv-core drops a byte order mark from its first input, which here may be in the middle of the file. So its
        // first input is a blank line.
        parser.core.read_record(b"\n", &mut parser.fields, &mut parser.ends);
        parser
    }

    /// Parses the record at `place`, and moves `place` behind it. `bytes` start and end where records do, or end the
    /// file.
    pub(super) fn next<'p>(&'p mut self, bytes: &[u8], place: &mut BlockPosition) -> Option<Record<'p>> {
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
                // Once there is no input left, csv-core ends the last record of the file.
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

fn skip_blank_lines(bytes: &[u8], place: &mut BlockPosition) {
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
        let mut place = BlockPosition::default();
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
}
