//! Lookups of many numbers at once, whose cache misses overlap.

use std::iter::Peekable;

use super::arena::Position;
use super::index::{Candidates, Fingerprint};
use super::records::Records;
use crate::shipment::FoldedKey;

/// Key of a lookup.
#[derive(Clone, Debug)]
pub struct Key {
    /// Tracking number of the shipment.
    pub number: FoldedKey,
    /// Carrier of the shipment; `None` for any.
    pub carrier: Option<FoldedKey>,
}

/// The positions of the shipments that match a key, in file order.
#[derive(Clone)]
pub struct Matches<'d, 'k> {
    records: &'d Records,
    key: &'k Key,
    candidates: Candidates<'d>,
}

impl Iterator for Matches<'_, '_> {
    type Item = Position;

    #[inline]
    fn next(&mut self) -> Option<Position> {
        let Key { number, carrier } = self.key;
        let records = self.records;
        self.candidates.find(|position| {
            let record = records.record(*position);
            record.has_number(number) && carrier.as_ref().is_none_or(|name| record.has_carrier(name))
        })
    }
}

/// Finds the shipments that match each of `keys`. First all numbers are hashed, then all are looked up in the index, then
/// all first records are touched, each in a loop that is so short that the processor waits for many of them at a time.
pub(super) fn find_all<'d, 'k>(records: &'d Records, keys: &'k [Key]) -> Vec<Peekable<Matches<'d, 'k>>> {
    let fingerprints: Vec<Fingerprint> = keys.iter().map(|key| Fingerprint::of(&key.number)).collect();
    let matches = |(key, fingerprint): (&'k Key, Fingerprint)| {
        let carrier = key.carrier.as_ref().map(FoldedKey::as_bytes);
        Matches { records, key, candidates: records.candidates_of(fingerprint, &key.number, carrier) }
    };
    let found: Vec<Matches<'_, '_>> = keys.iter().zip(fingerprints).map(matches).collect();
    for position in found.iter().filter_map(|matches| matches.candidates.only()) {
        records.touch(position);
    }
    let mut found: Vec<_> = found.into_iter().map(Iterator::peekable).collect();
    for matches in &mut found {
        matches.peek();
    }
    found
}
