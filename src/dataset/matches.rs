//! Many numbers at once: what waits for memory in a single lookup is done for all of them side by side.

use std::iter::Peekable;

use super::index::{Candidates, Fingerprint};
use super::record::Record;
use super::records::Records;
use crate::shipment::FoldedKey;

/// What a shipment is looked for by.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its tracking number.
    pub number: FoldedKey,
    /// Who carries it; none means any.
    pub carrier: Option<FoldedKey>,
}

/// The shipments that fit a key, in file order.
#[derive(Clone)]
pub struct Matches<'d, 'k> {
    records: &'d Records,
    key: &'k Key,
    candidates: Candidates<'d>,
}

impl<'d> Iterator for Matches<'d, '_> {
    type Item = Record<'d>;

    #[inline]
    fn next(&mut self) -> Option<Record<'d>> {
        let Key { number, carrier } = self.key;
        let records = self.records;
        self.candidates
            .by_ref()
            .map(|position| records.record(position))
            .find(|record| record.has_number(number) && carrier.as_ref().is_none_or(|name| record.has_carrier(name)))
    }
}

/// The shipments that fit each of `keys`: see [`Dataset::find_all`](super::Dataset::find_all).
pub(super) fn find_all<'d, 'k>(records: &'d Records, keys: &'k [Key]) -> Vec<Peekable<Matches<'d, 'k>>> {
    let candidates = |key: &Key| records.index.candidates(Fingerprint::of(&key.number));
    let matches = |key| Matches { records, key, candidates: candidates(key) }.peekable();
    let mut found: Vec<_> = keys.iter().map(matches).collect();
    for matches in &mut found {
        matches.peek();
    }
    found
}
