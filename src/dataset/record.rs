//! Record of one shipment: its layout in memory, comparison and rendering.
//!
//! Half of a shipment's JSON is constant keys and much of the rest repeats, so a record consists of dictionary ids
//! and raw text, already JSON-escaped. Rendering only copies.
//!
//! ```text
//! record   = head, varint articles, article*
//! head     = varint (bytes of number × 2 + plain), number, varint carrier, varint status, address, address
//! address  = varint bytes, street, varint tail            (tail: from the second-last comma on)
//! article  = varint name, [if 0: varint bytes, name], widths, quantity, price, varint bytes, SKU
//! widths   = one byte, digits of quantity × 32 + bytes of price; digits above 7: 0, then a byte of its own
//! ```

use std::borrow::Cow;

use super::dictionaries::Dictionaries;
use super::groups::{PairHash, hash_of_pair};
use super::output::{Output, Sink, Size, Text};
use super::varint::Cursor;
use crate::json::{escape, unescape};
use crate::shipment::{Column, FoldedKey, Row};

const BEFORE_NUMBER: &[u8; 20] = br#"{"tracking_number":""#;
const BEFORE_CARRIER: &[u8; 13] = br#"","carrier":""#;
const BEFORE_STATUS: &[u8; 12] = br#"","status":""#;
const BEFORE_SENDER: &[u8; 20] = br#"","sender_address":""#;
const BEFORE_RECEIVER: &[u8; 22] = br#"","receiver_address":""#;
const BEFORE_ARTICLES: &[u8; 14] = br#"","articles":["#;
pub(super) const BEFORE_NAME: &[u8; 9] = br#"{"name":""#;
pub(super) const BEFORE_QUANTITY: &[u8; 13] = br#"","quantity":"#;
const BEFORE_PRICE: &[u8; 9] = br#","price":"#;
const BEFORE_SKU: &[u8; 8] = br#","SKU":""#;
const AFTER_ARTICLE: &[u8; 2] = br#""}"#;
pub(super) const AFTER_ARTICLES: &[u8; 2] = b"]}";

/// Version of the rendering. Part of a dataset's version; incremented when the bytes of responses change.
pub const RENDERING_VERSION: u32 = 2;

/// Encoded shipment, with the dictionaries that it refers to.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Bytes from the record's start on, with other records behind it.
    bytes: &'a [u8],
    dictionaries: &'a Dictionaries,
}

/// Parsed head of a record, and the position of its articles.
pub(super) struct Parsed<'a> {
    pub(super) number: Text<'a>,
    pub(super) carrier: u32,
    pub(super) status: u32,
    pub(super) sender: (Text<'a>, u32),
    pub(super) receiver: (Text<'a>, u32),
    pub(super) articles: u32,
    pub(super) first_article: Cursor<'a>,
}

impl<'a> Record<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8], dictionaries: &'a Dictionaries) -> Record<'a> {
        Record { bytes, dictionaries }
    }

    /// Dictionaries that the record refers to.
    pub(super) fn dictionaries(&self) -> &'a Dictionaries {
        self.dictionaries
    }

    #[inline]
    pub(super) fn parse(&self) -> Parsed<'a> {
        let mut cursor = Cursor::new(self.bytes);
        let number_bytes = (cursor.varint() >> 1) as usize;
        let number = cursor.take_text(number_bytes);
        let (carrier, status) = (cursor.varint() as u32, cursor.varint() as u32);
        let sender = (cursor.text(), cursor.varint() as u32);
        let receiver = (cursor.text(), cursor.varint() as u32);
        let articles = cursor.varint() as u32;
        Parsed { number, carrier, status, sender, receiver, articles, first_article: cursor }
    }

    /// Returns whether the shipment has this tracking number.
    #[inline]
    pub(super) fn has_number(&self, number: &FoldedKey) -> bool {
        let mut cursor = Cursor::new(self.bytes);
        let width = cursor.varint();
        let own = cursor.take((width >> 1) as usize);
        if width & 1 == 1 { number.is_lowercase_of(own) } else { FoldedKey::new(&unescape(own)) == *number }
    }

    /// Returns whether the shipment has this carrier.
    #[inline]
    pub(super) fn has_carrier(&self, carrier: &FoldedKey) -> bool {
        self.folded_carrier() == carrier.as_bytes()
    }

    /// Carrier, folded.
    #[inline]
    pub(super) fn folded_carrier(&self) -> &'a [u8] {
        let mut cursor = Cursor::new(self.bytes);
        let number_bytes = (cursor.varint() >> 1) as usize;
        cursor.take(number_bytes);
        self.dictionaries.folded_carriers.get(cursor.varint() as u32)
    }

    /// Tracking number, as the file spells it.
    pub fn tracking_number(&self) -> Cow<'a, str> {
        unescape(self.parse().number.bytes())
    }

    /// Carrier, as the file spells it.
    pub fn carrier(&self) -> Cow<'a, str> {
        self.dictionaries.carrier(self.parse().carrier)
    }

    /// Hash of the tracking number and the carrier.
    pub(super) fn pair_hash(&self) -> PairHash {
        PairHash::of(&self.folded_number(), self.folded_carrier())
    }

    /// What stands for the shipment in tables that must not grow: a hash of its tracking number and carrier, the same in
    /// each dataset that has it.
    pub fn key_hash(&self) -> u64 {
        hash_of_pair(&self.folded_number(), self.folded_carrier())
    }

    /// Tracking number, folded.
    #[inline]
    pub(super) fn folded_number(&self) -> FoldedKey {
        let mut cursor = Cursor::new(self.bytes);
        let number_bytes = (cursor.varint() >> 1) as usize;
        FoldedKey::new(&unescape(cursor.take(number_bytes)))
    }

    /// Appends the shipment as JSON, with keys in the documented order and no spaces.
    pub fn render(&self, out: &mut Vec<u8>) {
        let mut output = Output::after(out);
        self.write(&mut output);
        output.truncate();
    }

    /// Appends several shipments, separated by commas.
    pub fn render_all(records: impl IntoIterator<Item = Record<'a>>, out: &mut Vec<u8>) {
        for (at, record) in records.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            record.render(out);
        }
    }

    /// Renders by overwriting `buffer`, which grows as needed and keeps its length for the next: some 150 instructions
    /// less than appending. Returns the shipment's JSON; `None` as soon as it has more than `articles_max` articles or
    /// `bytes_max` bytes.
    pub fn render_over<'v>(&self, buffer: &'v mut Vec<u8>, articles_max: u32, bytes_max: usize) -> Option<&'v [u8]> {
        let record = self.parse();
        if record.articles > articles_max {
            return None;
        }
        let mut output = Output::over(buffer);
        self.write_head(&record, &mut output);
        let mut cursor = record.first_article;
        for article in 0..record.articles {
            if article > 0 {
                output.constant(b",");
            }
            self.write_article(&mut cursor, &mut output);
            if output.len() > bytes_max {
                return None;
            }
        }
        output.constant(AFTER_ARTICLES);
        Some(output.written())
    }

    /// Number of bytes that [`Record::render`] appends.
    pub fn rendered_bytes(&self) -> usize {
        let mut size = Size::default();
        self.write(&mut size);
        size.bytes()
    }

    #[inline(always)]
    fn write(&self, out: &mut impl Sink) {
        let record = self.parse();
        self.write_head(&record, out);
        let mut cursor = record.first_article;
        for article in 0..record.articles {
            if article > 0 {
                out.constant(b",");
            }
            self.write_article(&mut cursor, out);
        }
        out.constant(AFTER_ARTICLES);
    }

    #[inline(always)]
    pub(super) fn write_head(&self, record: &Parsed<'a>, out: &mut impl Sink) {
        let dictionaries = self.dictionaries;
        out.constant(BEFORE_NUMBER);
        out.text(record.number);
        out.constant(BEFORE_CARRIER);
        out.text(dictionaries.carriers.text(record.carrier));
        out.constant(BEFORE_STATUS);
        out.text(dictionaries.statuses.text(record.status));
        out.constant(BEFORE_SENDER);
        out.text(record.sender.0);
        out.text(dictionaries.tails.text(record.sender.1));
        out.constant(BEFORE_RECEIVER);
        out.text(record.receiver.0);
        out.text(dictionaries.tails.text(record.receiver.1));
        out.constant(BEFORE_ARTICLES);
    }

    #[inline]
    pub(super) fn write_article(&self, cursor: &mut Cursor<'a>, out: &mut impl Sink) {
        let article = Article::parse(cursor);
        if article.name == 0 {
            out.constant(BEFORE_NAME);
            out.text(article.own_name);
            out.constant(BEFORE_QUANTITY);
        } else {
            out.text(self.dictionaries.names.text(article.name));
        }
        out.text(article.quantity);
        out.constant(BEFORE_PRICE);
        out.text(article.price);
        out.constant(BEFORE_SKU);
        out.text(article.sku);
        out.constant(AFTER_ARTICLE);
    }

    /// The record from `offset` on.
    pub(super) fn from(&self, offset: usize) -> Cursor<'a> {
        Cursor::new(&self.bytes[offset..])
    }

    /// Offset of what `cursor` has not read.
    pub(super) fn offset_of(&self, cursor: &Cursor<'a>) -> usize {
        self.bytes.len() - cursor.rest().len()
    }

    /// Bytes of the head: everything before the number of articles.
    pub(super) fn head(&self) -> &'a [u8] {
        head_of(self.bytes)
    }

    /// Number of articles.
    pub fn article_count(&self) -> u32 {
        self.parse().articles
    }

    /// Finds the first of `columns` in which `other`, of the same dataset, differs.
    pub(super) fn first_difference(&self, other: &Record<'_>, columns: &[Column]) -> Option<Column> {
        columns.iter().copied().find(|column| self.escaped(*column) != other.escaped(*column))
    }

    /// Value of a column that all rows of a shipment share; empty for other columns.
    pub(crate) fn shared_value(&self, column: Column) -> String {
        unescape(&self.escaped(column)).into_owned()
    }

    /// Finds the first of `columns` in which `row` differs.
    pub fn first_contradiction(&self, row: &Row<'_>, columns: &[Column]) -> Option<Column> {
        columns.iter().copied().find(|column| {
            let value = match column {
                Column::Status => row.status,
                Column::SenderAddress => row.sender_address,
                Column::ReceiverAddress => row.receiver_address,
                _ => return false,
            };
            let mut escaped = Vec::new();
            escape(value, &mut escaped);
            *self.escaped(*column) != escaped
        })
    }

    /// Value of a column that all rows of a shipment share, JSON-escaped; empty for other columns.
    fn escaped(&self, column: Column) -> Cow<'a, [u8]> {
        let record = self.parse();
        match column {
            Column::Status => Cow::Borrowed(self.dictionaries.escaped_status(record.status)),
            Column::SenderAddress => self.escaped_address(record.sender),
            Column::ReceiverAddress => self.escaped_address(record.receiver),
            _ => Cow::default(),
        }
    }

    /// A whole address, JSON-escaped.
    pub(super) fn escaped_address(&self, (street, tail): (Text<'a>, u32)) -> Cow<'a, [u8]> {
        match self.dictionaries.tails.get(tail) {
            b"" => Cow::Borrowed(street.bytes()),
            tail => Cow::Owned([street.bytes(), tail].concat()),
        }
    }
}

/// Bytes of a record's head: everything before the number of articles.
pub(super) fn head_of(record: &[u8]) -> &[u8] {
    let mut cursor = Cursor::new(record);
    let number_bytes = (cursor.varint() >> 1) as usize;
    cursor.take(number_bytes);
    let (_carrier, _status) = (cursor.varint(), cursor.varint());
    let (_sender, _receiver) = ((cursor.text(), cursor.varint()), (cursor.text(), cursor.varint()));
    &record[..record.len() - cursor.rest().len()]
}

/// Number of articles, and their bytes; `counted` begins with their number.
pub(super) fn articles_of(counted: &[u8]) -> (u32, &[u8]) {
    let mut cursor = Cursor::new(counted);
    let articles = cursor.varint() as u32;
    let start = cursor.rest();
    (articles, &start[..start.len() - after_articles(articles, cursor).len()])
}

/// Bytes of the record that `bytes` begin with.
pub(super) fn whole(bytes: &[u8]) -> &[u8] {
    let mut cursor = Cursor::new(&bytes[head_of(bytes).len()..]);
    let articles = cursor.varint() as u32;
    &bytes[..bytes.len() - after_articles(articles, cursor).len()]
}

/// Bytes after so many articles.
fn after_articles(articles: u32, mut cursor: Cursor<'_>) -> &[u8] {
    for _ in 0..articles {
        Article::parse(&mut cursor);
    }
    cursor.rest()
}

pub(super) struct Article<'a> {
    name: u32,
    own_name: Text<'a>,
    pub(super) quantity: Text<'a>,
    pub(super) price: Text<'a>,
    pub(super) sku: Text<'a>,
}

impl<'a> Article<'a> {
    #[inline]
    pub(super) fn parse(cursor: &mut Cursor<'a>) -> Article<'a> {
        let name = cursor.varint() as u32;
        let own_name = if name == 0 { cursor.text() } else { Text::new(&[], 0) };
        let widths = usize::from(cursor.take(1)[0]);
        let digits = match widths >> 5 {
            0 => usize::from(cursor.take(1)[0]),
            digits => digits,
        };
        let quantity = cursor.take_text(digits);
        let price = cursor.take_text(widths & 31);
        let sku = cursor.text();
        Article { name, own_name, quantity, price, sku }
    }

    /// Returns whether the article renders as `other` does; each with the dictionaries that it refers to.
    pub(super) fn renders_as(&self, dictionaries: &Dictionaries, other: &Article<'_>, others: &Dictionaries) -> bool {
        self.quantity.bytes() == other.quantity.bytes()
            && self.price.bytes() == other.price.bytes()
            && self.sku.bytes() == other.sku.bytes()
            && self.name(dictionaries) == other.name(others)
    }

    /// The name, JSON-escaped.
    pub(super) fn name<'d>(&self, dictionaries: &'d Dictionaries) -> &'d [u8]
    where
        'a: 'd,
    {
        if self.name == 0 {
            return self.own_name.bytes();
        }
        let rendered = dictionaries.names.get(self.name);
        &rendered[BEFORE_NAME.len()..rendered.len() - BEFORE_QUANTITY.len()]
    }
}
