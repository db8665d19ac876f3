//! Cutting a file into blocks that end where a record ends.
//!
//! A line break ends a record unless it is quoted, and a quote opens a field only at the field's start: elsewhere
//! it is data (`Monitor 24",1`). So the cutter follows the quotes from the first byte on; counting them is not enough.

use std::io::{self, Read};

use memchr::{memchr, memrchr};

/// Longest record, in bytes of the file.
pub(super) const RECORD_BYTES_MAX: usize = 1 << 20;
/// UTF-8 byte order mark, with which some exports start.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A piece of the file that starts where a record starts and ends where one ends.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Index of the block in the file, from 0.
    pub(super) number: u32,
    /// Bytes to parse.
    pub(super) bytes: Vec<u8>,
    /// Position up to which it is parsed already.
    pub(super) parsed: BlockPosition,
    /// The incomplete record that the block ends with, if it does.
    pub(super) incomplete: Option<IncompleteRecord>,
    /// Bytes of the file that were read for it.
    pub(super) file_bytes: u64,
    /// Size of the file's content, estimated when the block was read.
    pub(super) content_bytes: u64,
}

/// Position of a parser in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BlockPosition {
    /// Offset in bytes.
    pub(super) at: usize,
    /// Line breaks before it.
    pub(super) lines: u64,
}

/// Reason why a block ends within a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IncompleteRecord {
    /// The file ends within quotes.
    OpenQuote,
    /// The record is longer than [`RECORD_BYTES_MAX`].
    TooLong,
}

impl IncompleteRecord {
    pub(super) fn reason(self) -> String {
        match self {
            IncompleteRecord::OpenQuote => {
                "a quote in the record that starts here is still open at the end of the file".to_owned()
            }
            IncompleteRecord::TooLong => {
                format!("the record that starts here is over {RECORD_BYTES_MAX} bytes long; is a quote left open?")
            }
        }
    }
}

/// Reads blocks from a file, one after the other.
pub(super) struct BlockReader<R> {
    source: R,
    block_bytes: usize,
    /// Start of the next record, read with the previous block.
    carried: Vec<u8>,
    next_number: u32,
    at_end: bool,
    last_byte: Option<u8>,
    cutter: Cutter,
}

impl<R: Read> BlockReader<R> {
    /// Creates a reader of blocks of about `block_bytes` bytes, at least one record each, with fields separated by
    /// `delimiter`.
    pub(super) fn new(source: R, block_bytes: usize, delimiter: u8) -> BlockReader<R> {
        BlockReader {
            source,
            block_bytes: block_bytes.max(1),
            carried: Vec::new(),
            next_number: 0,
            at_end: false,
            last_byte: None,
            cutter: Cutter::new(delimiter),
        }
    }

    /// Fills `block` with the next piece. Returns `false` at the end of the file. Calls `on_read` with all bytes that
    /// it reads.
    pub(super) fn next(&mut self, block: &mut Block, on_read: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        block.bytes.clear();
        block.bytes.append(&mut self.carried);
        block.parsed = BlockPosition::default();
        block.incomplete = None;
        block.number = self.next_number;
        let mut wanted = match self.next_number {
            0 => self.block_bytes.max(BYTE_ORDER_MARK.len()),
            _ => self.block_bytes,
        };
        let mut at_start = self.next_number == 0;
        while !self.at_end {
            let before = block.bytes.len();
            self.fill(&mut block.bytes, wanted)?;
            on_read(&block.bytes[before..]);
            if std::mem::take(&mut at_start) && block.bytes.starts_with(BYTE_ORDER_MARK) {
                block.bytes.drain(..BYTE_ORDER_MARK.len());
            }
            if let Some(&last) = block.bytes.last() {
                self.last_byte = Some(last);
            }
            let cut = self.cutter.last_record_end(&block.bytes);
            if cut.end > 0 {
                self.carried.extend_from_slice(&block.bytes[cut.end..]);
                block.bytes.truncate(cut.end);
                break;
            }
            if block.bytes.len() > RECORD_BYTES_MAX {
                block.incomplete = Some(IncompleteRecord::TooLong);
                self.at_end = true;
            }
            // No record ends here: read more, in larger steps.
            wanted = wanted.max(block.bytes.len());
        }
        if self.at_end && block.incomplete.is_none() && self.carried.is_empty() {
            // The last block may end without a line break, and even within quotes.
            if self.cutter.last_record_end(&block.bytes).open_quote {
                block.incomplete = Some(IncompleteRecord::OpenQuote);
            }
        }
        self.next_number += 1;
        Ok(!block.bytes.is_empty())
    }

    /// Reader that the blocks are read from.
    pub(super) fn source(&self) -> &R {
        &self.source
    }

    /// Last byte of the content, once that has been read.
    pub(super) fn last_byte(&self) -> Option<u8> {
        self.last_byte
    }

    /// Reads `wanted` bytes more, fewer at the end of the file.
    fn fill(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> io::Result<()> {
        let mut filled = bytes.len();
        bytes.reserve_exact(wanted);
        bytes.resize(filled + wanted, 0);
        while filled < bytes.len() {
            match self.source.read(&mut bytes[filled..]) {
                Ok(0) => {
                    self.at_end = true;
                    break;
                }
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(())
    }
}

/// The start of `header` up to a carriage return that is not quoted and has no line feed behind it.
pub(super) fn before_lone_cr(header: &[u8]) -> Option<&[u8]> {
    let mut returns = memchr::memchr_iter(b'\r', header);
    let lone = returns.find(|at| header.get(at + 1) != Some(&b'\n'))?;
    let before = &header[..lone];
    memchr::memchr_iter(b'"', before).count().is_multiple_of(2).then_some(before)
}

/// Finds the end of the last complete record.
struct Cutter {
    delimiter: u8,
    /// Ranges outside quotes; a field only so that the memory is reused.
    unquoted: Vec<(usize, usize)>,
}

struct Cut {
    /// Offset after the last line break that ends a record; 0 if there is none.
    end: usize,
    /// The bytes end within quotes.
    open_quote: bool,
}

impl Cutter {
    fn new(delimiter: u8) -> Cutter {
        Cutter { delimiter, unquoted: Vec::new() }
    }

    /// Finds the end of the last complete record in `bytes`, which start where a record starts.
    fn last_record_end(&mut self, bytes: &[u8]) -> Cut {
        self.unquoted.clear();
        let mut open_quote = false;
        let (mut start, mut from) = (0, 0);
        while let Some(found) = memchr(b'"', &bytes[from..]) {
            let quote = from + found;
            from = quote + 1;
            if !(quote == 0 || quote > start && (bytes[quote - 1] == self.delimiter || bytes[quote - 1] == b'\n')) {
                continue;
            }
            self.unquoted.push((start, quote));
            match closing_quote(bytes, from) {
                Some(closing) => (start, from) = (closing + 1, closing + 1),
                None => {
                    open_quote = true;
                    break;
                }
            }
        }
        if !open_quote {
            self.unquoted.push((start, bytes.len()));
        }
        let last = |&(start, end): &(usize, usize)| memrchr(b'\n', &bytes[start..end]).map(|at| start + at + 1);
        Cut { end: self.unquoted.iter().rev().find_map(last).unwrap_or(0), open_quote }
    }
}

/// Finds the quote that ends a field whose text starts at `from`. Doubled quotes are part of the text.
fn closing_quote(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let quote = from + memchr(b'"', &bytes[from..])?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        from = quote + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> (usize, bool) {
        let cut = Cutter::new(b',').last_record_end(text.as_bytes());
        (cut.end, cut.open_quote)
    }

    fn blocks(text: &[u8], block_bytes: usize) -> Vec<(Vec<u8>, Option<IncompleteRecord>)> {
        let mut reader = BlockReader::new(text, block_bytes, b',');
        let mut blocks = Vec::new();
        let mut block = Block::default();
        while reader.next(&mut block, &mut |_| ()).unwrap() {
            blocks.push((block.bytes.clone(), block.incomplete));
        }
        blocks
    }

    #[test]
    fn a_line_break_ends_a_record_only_outside_quotes() {
        assert_eq!(cut("a,b\nc"), (4, false));
        assert_eq!(cut("a,\"b\nc\"\nd"), (8, false));
        assert_eq!(cut("a,\"b\nc"), (0, true));
        assert_eq!(cut("a\n\"b\nc"), (2, true));
        assert_eq!(cut("\"a\"\"\n\"\nb"), (7, false));
    }

    #[test]
    fn a_quote_within_an_unquoted_field_is_data() {
        assert_eq!(cut("Monitor 24\",1\nx"), (14, false));
        assert_eq!(cut("a,\"b\"c\",d\ne"), (10, false));
        assert_eq!(cut("\r\"a\nb"), (4, false));
    }

    #[test]
    fn a_quote_opens_a_field_behind_the_delimiter_and_no_other_sign() {
        let semicolon = |text: &str| Cutter::new(b';').last_record_end(text.as_bytes()).end;
        assert_eq!(semicolon("a;\"b\nc\"\nd"), 8);
        assert_eq!(semicolon("a,\"b\nc\"\nd"), 8);
        assert_eq!(semicolon("a,\"b\nc"), 5);
    }

    #[test]
    fn a_file_that_ends_within_quotes_has_an_incomplete_record() {
        let whole = blocks(b"a,b\nc,\"d\ne", 1 << 20);
        assert_eq!(whole, [(b"a,b\n".to_vec(), None), (b"c,\"d\ne".to_vec(), Some(IncompleteRecord::OpenQuote))]);
    }

    #[test]
    fn one_byte_order_mark_is_taken_off_whatever_the_size_of_blocks() {
        for block_bytes in 1..10 {
            let file = [BYTE_ORDER_MARK, BYTE_ORDER_MARK, b"a\n"].concat();
            assert_eq!(blocks(&file, block_bytes), [(file[3..].to_vec(), None)]);
        }
    }

    #[test]
    fn a_record_over_the_limit_is_incomplete() {
        let long = [b"a\n".to_vec(), vec![b'x'; RECORD_BYTES_MAX + 1]].concat();
        assert_eq!(
            blocks(&long, 1 << 10).last().and_then(|(_, incomplete)| *incomplete),
            Some(IncompleteRecord::TooLong)
        );
    }

    proptest! {
        #[test]
        fn blocks_of_any_size_are_the_file_cut_where_records_end(
            text in "[a,\"\n\r ]{0,60}", block_bytes in 1_usize..70,
        ) {
            let pieces = blocks(text.as_bytes(), block_bytes);
            let joined: Vec<u8> = pieces.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
            prop_assert_eq!(&joined, text.as_bytes());
            let mut reader = csv::ReaderBuilder::new();
            reader.has_headers(false).flexible(true).terminator(csv::Terminator::Any(b'\n'));
            let records = |bytes: &[u8]| -> Vec<csv::ByteRecord> {
                reader.from_reader(bytes).byte_records().map(Result::unwrap).collect()
            };
            let by_piece: Vec<csv::ByteRecord> = pieces.iter().flat_map(|(bytes, _)| records(bytes)).collect();
            prop_assert_eq!(by_piece, records(text.as_bytes()));
        }
    }
}
