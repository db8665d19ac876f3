//! Encoding rows as records, whose layout is described in `record`, and reading them again where they are joined.

use std::sync::Arc;

use crate::dataset::arena::{ALIGNMENT_BYTES, ArenaError, ArenaWriter, Position};
use crate::dataset::dictionaries::Dictionaries;
use crate::dataset::dictionary::{Interner, SharedDictionary};
use crate::dataset::record::{BEFORE_NAME, BEFORE_QUANTITY, articles_of, head_of};
use crate::dataset::stages::{self, Stages};
use crate::dataset::varint::put_varint;
use crate::json::escape;
use crate::shipment::Row;
use crate::stages::StatusMap;

/// Most article names and address tails with an id; further ones are stored in the record itself.
const SHARED_TEXTS_MAX: usize = 1 << 16;
/// Most digits of a quantity that fit in the byte of widths.
const SHORT_QUANTITY_DIGITS: usize = 7;

/// Dictionaries that several threads fill.
pub(super) struct SharedDictionaries {
    carriers: SharedDictionary,
    statuses: SharedDictionary,
    status_map: Option<Arc<StatusMap>>,
    tails: SharedDictionary,
    names: SharedDictionary,
}

impl SharedDictionaries {
    /// Creates dictionaries in which statuses have stages by `status_map`, if there is one.
    pub(super) fn new(status_map: Option<Arc<StatusMap>>) -> SharedDictionaries {
        SharedDictionaries {
            carriers: SharedDictionary::new(u32::MAX as usize, escape),
            statuses: match status_map.clone() {
                None => SharedDictionary::new(u32::MAX as usize, escape),
                Some(map) => SharedDictionary::new(u32::MAX as usize, move |key, text| stages::encode(&map, key, text)),
            },
            status_map,
            tails: SharedDictionary::new(SHARED_TEXTS_MAX, escape),
            names: SharedDictionary::new(SHARED_TEXTS_MAX, |name, text| {
                text.extend_from_slice(BEFORE_NAME);
                escape(name, text);
                text.extend_from_slice(BEFORE_QUANTITY);
            }),
        }
    }

    /// Memory that they take while they are filled.
    pub(super) fn bytes(&self) -> usize {
        [&self.carriers, &self.statuses, &self.tails, &self.names].map(SharedDictionary::bytes).iter().sum()
    }

    pub(super) fn finish(self) -> Dictionaries {
        let [carriers, statuses, tails, names] =
            [self.carriers, self.statuses, self.tails, self.names].map(SharedDictionary::finish);
        let stages = self.status_map.map(|_| Stages::find(&statuses));
        Dictionaries::new(carriers, statuses, stages, tails, names)
    }
}

/// Encodes runs of consecutive rows of one shipment as records.
pub(super) struct Encoder<'b> {
    carriers: Interner<'b>,
    statuses: Interner<'b>,
    status_map: Option<&'b StatusMap>,
    /// Key of a status that has a stage.
    status_key: String,
    tails: Interner<'b>,
    names: Interner<'b>,
    escaped: Vec<u8>,
    head: Vec<u8>,
    count: Vec<u8>,
    articles: Vec<u8>,
}

impl<'b> Encoder<'b> {
    /// Creates the encoder of one of so many threads.
    pub(super) fn new(shared: &'b SharedDictionaries, threads: usize) -> Encoder<'b> {
        Encoder {
            carriers: Interner::new(&shared.carriers, threads),
            statuses: Interner::new(&shared.statuses, threads),
            status_map: shared.status_map.as_deref(),
            status_key: String::new(),
            tails: Interner::new(&shared.tails, threads),
            names: Interner::new(&shared.names, threads),
            escaped: Vec::new(),
            head: Vec::new(),
            count: Vec::new(),
            articles: Vec::new(),
        }
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        let tables = [&self.carriers, &self.statuses, &self.tails, &self.names].map(Interner::bytes);
        tables.iter().sum::<usize>() + self.articles.capacity()
    }

    /// Begins a record with the values that all its rows share. Returns the carrier's id.
    pub(super) fn begin(&mut self, row: &Row<'_>) -> u32 {
        self.head.clear();
        self.articles.clear();
        self.escaped.clear();
        escape(row.tracking_number, &mut self.escaped);
        let number = row.tracking_number;
        let plain = number.is_ascii() && number.trim().len() == number.len() && self.escaped.len() == number.len();
        put_varint(&mut self.head, (self.escaped.len() as u64) << 1 | u64::from(plain));
        self.head.extend_from_slice(&self.escaped);
        // Dictionaries without a limit always return an id.
        let carrier = self.carriers.id(row.carrier).unwrap_or_default();
        put_varint(&mut self.head, u64::from(carrier));
        let status = match self.status_map {
            None => row.status,
            Some(map) => {
                stages::write_key(map, row.carrier, row.status, &mut self.status_key);
                &self.status_key
            }
        };
        put_varint(&mut self.head, u64::from(self.statuses.id(status).unwrap_or_default()));
        self.address(row.sender_address);
        self.address(row.receiver_address);
        carrier
    }

    fn address(&mut self, address: &str) {
        let tail_start = memchr::memrchr(b',', address.as_bytes())
            .and_then(|last| memchr::memrchr(b',', &address.as_bytes()[..last]))
            .unwrap_or(address.len());
        let (mut street, tail) = address.split_at(tail_start);
        let tail = self.tails.id(tail).unwrap_or_else(|| {
            street = address;
            0
        });
        self.put_escaped(street, |encoder| &mut encoder.head);
        put_varint(&mut self.head, u64::from(tail));
    }

    /// Adds the article of `row`.
    pub(super) fn article(&mut self, row: &Row<'_>) {
        let name = self.names.id(row.article_name).unwrap_or(0);
        put_varint(&mut self.articles, u64::from(name));
        if name == 0 {
            self.put_escaped(row.article_name, |encoder| &mut encoder.articles);
        }
        let (digits, price) = (row.article_quantity.len(), row.article_price.len());
        if digits <= SHORT_QUANTITY_DIGITS {
            self.articles.push((digits << 5 | price) as u8);
        } else {
            self.articles.extend_from_slice(&[price as u8, digits as u8]);
        }
        self.articles.extend_from_slice(row.article_quantity.as_bytes());
        self.articles.extend_from_slice(row.article_price.as_bytes());
        self.put_escaped(row.sku, |encoder| &mut encoder.articles);
    }

    fn put_escaped(&mut self, text: &str, part: fn(&mut Self) -> &mut Vec<u8>) {
        let mut escaped = std::mem::take(&mut self.escaped);
        escaped.clear();
        escape(text, &mut escaped);
        let out = part(self);
        put_varint(out, escaped.len() as u64);
        out.extend_from_slice(&escaped);
        self.escaped = escaped;
    }

    /// Writes the record, which has `articles` articles. If `earlier` is a record with the same head, only the articles
    /// are written. Returns the position, and whether it is only the articles.
    pub(super) fn write(
        &mut self,
        articles: u32,
        earlier: Option<Position>,
        writer: &mut ArenaWriter<'_>,
    ) -> Result<(Position, bool), ArenaError> {
        self.count.clear();
        put_varint(&mut self.count, u64::from(articles));
        let continued =
            earlier.filter(|earlier| writer.read(*earlier).is_some_and(|bytes| bytes.starts_with(&self.head)));
        match continued {
            Some(Position(earlier)) => {
                let parts = [&[CONTINUED][..], &earlier.to_le_bytes(), &self.count, &self.articles];
                Ok((writer.push(&parts)?, true))
            }
            None => Ok((writer.push(&[&self.head, &self.count, &self.articles])?, false)),
        }
    }
}

/// First byte of a fragment that continues a record, whose head it shares. A head never begins so, since no tracking
/// number is empty.
const CONTINUED: u8 = 0;
/// Size of the position that follows.
const POSITION_BYTES: usize = size_of::<u32>();

/// A run of rows as it was written: a record, or the articles of one that was written before with the same head.
#[derive(Clone, Copy)]
pub(super) enum Written<'a> {
    /// A whole record.
    Record(&'a [u8]),
    /// Articles, after their number, and the record with their head.
    Continued(Position, &'a [u8]),
}

impl<'a> Written<'a> {
    /// Reads the fragment that `bytes` begin with.
    pub(super) fn new(bytes: &'a [u8]) -> Written<'a> {
        match bytes.split_first() {
            Some((&CONTINUED, rest)) => match rest.split_first_chunk::<POSITION_BYTES>() {
                Some((position, articles)) => Written::Continued(Position(u32::from_le_bytes(*position)), articles),
                None => Written::Record(bytes),
            },
            _ => Written::Record(bytes),
        }
    }

    /// Number of articles, and their bytes.
    pub(super) fn articles(self) -> (u32, &'a [u8]) {
        match self {
            Written::Record(record) => articles_of(&record[head_of(record).len()..]),
            Written::Continued(_, articles) => articles_of(articles),
        }
    }

    /// About the number of bytes.
    pub(super) fn bytes(self) -> usize {
        let head = match self {
            Written::Record(record) => head_of(record).len(),
            Written::Continued(..) => 1 + POSITION_BYTES,
        };
        head + self.articles().1.len() + ALIGNMENT_BYTES
    }
}

/// The record of a `fragment`, from its start on; `at` reads the one whose head it shares, if it does.
pub(super) fn record_of<'a>(fragment: &'a [u8], at: impl FnOnce(Position) -> &'a [u8]) -> &'a [u8] {
    match Written::new(fragment) {
        Written::Record(record) => record,
        Written::Continued(earlier, _) => at(earlier),
    }
}

/// Writes one record of the fragments of a shipment, given by their bytes: `head`, and the articles of all in order.
pub(super) fn join(head: &[u8], fragments: &[&[u8]], writer: &mut ArenaWriter<'_>) -> Result<Position, ArenaError> {
    let articles: Vec<(u32, &[u8])> = fragments.iter().map(|bytes| Written::new(bytes).articles()).collect();
    let mut count = Vec::new();
    put_varint(&mut count, articles.iter().map(|(count, _)| u64::from(*count)).sum());
    let mut parts = vec![head, &count];
    parts.extend(articles.iter().map(|(_, bytes)| bytes));
    writer.push(&parts)
}
