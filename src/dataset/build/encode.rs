//! Encoding rows as records, whose layout is described in `record`.

use crate::dataset::dictionary::{Interner, SharedDictionary};
use crate::dataset::record::{BEFORE_NAME, BEFORE_QUANTITY, Dictionaries, Record};
use crate::dataset::varint::put_varint;
use crate::json::escape;
use crate::shipment::Row;

/// Most article names and address tails with an id; further ones are stored in the record itself.
const SHARED_TEXTS_MAX: usize = 1 << 16;
/// Most digits of a quantity that fit in the byte of widths.
const SHORT_QUANTITY_DIGITS: usize = 7;

/// Dictionaries that several threads fill.
pub(super) struct SharedDictionaries {
    carriers: SharedDictionary,
    statuses: SharedDictionary,
    tails: SharedDictionary,
    names: SharedDictionary,
}

impl SharedDictionaries {
    pub(super) fn new() -> SharedDictionaries {
        SharedDictionaries {
            carriers: SharedDictionary::new(u32::MAX as usize, escape),
            statuses: SharedDictionary::new(u32::MAX as usize, escape),
            tails: SharedDictionary::new(SHARED_TEXTS_MAX, escape),
            names: SharedDictionary::new(SHARED_TEXTS_MAX, |name, text| {
                text.extend_from_slice(BEFORE_NAME);
                escape(name, text);
                text.extend_from_slice(BEFORE_QUANTITY);
            }),
        }
    }

    pub(super) fn finish(self) -> Dictionaries {
        let [carriers, statuses, tails, names] =
            [self.carriers, self.statuses, self.tails, self.names].map(SharedDictionary::finish);
        Dictionaries::new(carriers, statuses, tails, names)
    }
}

/// Encodes runs of consecutive rows of one shipment as records.
pub(super) struct Encoder<'b> {
    carriers: Interner<'b>,
    statuses: Interner<'b>,
    tails: Interner<'b>,
    names: Interner<'b>,
    escaped: Vec<u8>,
    head: Vec<u8>,
    count: Vec<u8>,
    articles: Vec<u8>,
}

impl<'b> Encoder<'b> {
    pub(super) fn new(shared: &'b SharedDictionaries) -> Encoder<'b> {
        Encoder {
            carriers: Interner::new(&shared.carriers),
            statuses: Interner::new(&shared.statuses),
            tails: Interner::new(&shared.tails),
            names: Interner::new(&shared.names),
            escaped: Vec::new(),
            head: Vec::new(),
            count: Vec::new(),
            articles: Vec::new(),
        }
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
        put_varint(&mut self.head, u64::from(self.statuses.id(row.status).unwrap_or_default()));
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

    /// Parts of the record, which has `articles` articles.
    pub(super) fn parts(&mut self, articles: u32) -> [&[u8]; 3] {
        self.count.clear();
        put_varint(&mut self.count, u64::from(articles));
        [&self.head, &self.count, &self.articles]
    }
}

/// Joins records of one shipment: the head of the first, and the articles of all in order.
pub(super) fn join(records: &[Record<'_>]) -> Vec<u8> {
    let Some(first) = records.first() else { return Vec::new() };
    let mut joined = first.head().to_vec();
    put_varint(&mut joined, records.iter().map(|record| u64::from(record.article_count())).sum());
    for record in records {
        joined.extend_from_slice(record.articles());
    }
    joined
}
