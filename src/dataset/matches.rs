//! Many numbers at once: what waits for memory in a single lookup is done for all of them side by side.

use std::iter::Peekable;

use super::index::{Candidates, Fingerprint};
use super::{Dataset, Record};
use crate::shipment::Folded;

/// What a shipment is looked for by.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its tracking number.
    pub number: Folded,
    /// Who carries it; none means any.
    pub carrier: Option<Folded>,
}

/// The shipments that fit a key, in file order.
#[derive(Clone)]
pub struct Matches<'d, 'k> {
    dataset: &'d Dataset,
    key: &'k Key,
    candidates: Candidates<'d>,
}

impl<'d> Iterator for Matches<'d, '_> {
    type Item = Record<'d>;

    #[inline]
    fn next(&mut self) -> Option<Record<'d>> {
        let Key { number, carrier } = self.key;
        let dataset = self.dataset;
        self.candidates
            .by_ref()
            .map(|position| dataset.record(position))
            .find(|record| record.has_number(number) && carrier.as_ref().is_none_or(|name| record.has_carrier(name)))
    }
}

impl Dataset {
    /// The shipments that fit each of `keys`. First the index is asked for all, then all first records are looked at:
    /// the processor waits for many of them at a time.
    pub fn find_all<'d, 'k>(&'d self, keys: &'k [Key]) -> Vec<Peekable<Matches<'d, 'k>>> {
        let candidates = |key: &Key| self.index.candidates(Fingerprint::of(&key.number));
        let matches = |key| Matches { dataset: self, key, candidates: candidates(key) }.peekable();
        let mut found: Vec<_> = keys.iter().map(matches).collect();
        for matches in &mut found {
            matches.peek();
        }
        found
    }
}
