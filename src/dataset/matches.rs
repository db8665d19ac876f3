//! Lookups of many numbers at once, whose cache misses overlap.

use std::iter::Peekable;

use super::arena::Position;
use super::index::Candidates;
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

/// Finds the shipments that match each of `keys`. First all keys are looked up in the index, then all first records are
/// read, so that the processor waits for many of them at a time.
pub(super) fn find_all<'d, 'k>(records: &'d Records, keys: &'k [Key]) -> Vec<Peekable<Matches<'d, 'k>>> {
    let candidates = |key: &'k Key| records.candidates(&key.number, key.carrier.as_ref());
    let matches = |key| Matches { records, key, candidates: candidates(key) }.peekable();
    let mut found: Vec<_> = keys.iter().map(matches).collect();
    for matches in &mut found {
        matches.peek();
    }
    found
}
