//! The frozen dataset and its questions.
//!
//! A [`Builder`] is filled from several threads and frozen to a [`Dataset`], which never changes again: reads take no
//! lock. Per shipment there is one compact [`Record`] in the `arena`, an entry of 4 bytes that gives the file's `order`,
//! and an entry of the `index` from the tracking number's fingerprint to the record. The `postings` have, for each value
//! of each facet, the shipments with it: filters, pages and counts come from those.

mod arena;
mod block;
mod builder;
mod dictionary;
mod encode;
mod facets;
mod grouping;
mod index;
mod matches;
mod merge;
mod order;
mod output;
mod postings;
mod query;
mod record;
mod set;
mod values;
mod varint;

pub use arena::ArenaError;
pub use block::Conflict;
pub use builder::{BlockWriter, Builder};
pub use facets::{FACET_VALUES_MAX, FacetCount};
pub use matches::{Key, Matches};
pub use query::{Filter, Selection};
pub use record::{RENDERING_VERSION, Record};

use arena::{Arena, Position};
use index::{Fingerprint, Index};
use order::Order;
use postings::Postings;
use record::Dictionaries;

use crate::shipment::Folded;

/// All shipments of one file.
pub struct Dataset {
    arena: Arena,
    order: Order,
    index: Index,
    dictionaries: Dictionaries,
    postings: Postings,
    articles: u64,
    carriers: Vec<String>,
}

/// How a dataset differs from an older one, in shipments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Only in the new one.
    pub added: u64,
    /// Only in the old one.
    pub removed: u64,
    /// In both, with another answer.
    pub changed: u64,
}

impl Dataset {
    /// The shipment with this number and carrier.
    #[inline]
    pub fn shipment(&self, number: &Folded, carrier: &Folded) -> Option<Record<'_>> {
        self.index
            .candidates(Fingerprint::of(number))
            .map(|position| self.record(position))
            .find(|record| record.has_number(number) && record.has_carrier(carrier))
    }

    /// The shipments with this number, one per carrier that uses it, in file order.
    #[inline]
    pub fn shipments_with_number<'a>(&'a self, number: &'a Folded) -> impl Iterator<Item = Record<'a>> {
        self.index
            .candidates(Fingerprint::of(number))
            .map(|position| self.record(position))
            .filter(move |record| record.has_number(number))
    }

    /// Every shipment, in file order.
    pub fn shipments(&self) -> impl Iterator<Item = Record<'_>> {
        self.order.positions().iter().map(|position| self.record(*position))
    }

    /// Shipments in the dataset.
    pub fn shipment_count(&self) -> u64 {
        self.order.len() as u64
    }

    /// Articles in the dataset: good rows of the file.
    pub fn article_count(&self) -> u64 {
        self.articles
    }

    /// The carriers, each as its first row spells it, in the order in which the file has them first.
    pub fn carriers(&self) -> &[String] {
        &self.carriers
    }

    /// Resident memory of the dataset, in bytes.
    pub fn bytes(&self) -> u64 {
        let carriers: usize = self.carriers.iter().map(|carrier| size_of::<String>() + carrier.capacity()).sum();
        let parts = [self.arena.used_bytes(), self.order.bytes(), self.index.bytes(), self.dictionaries.bytes()];
        (parts.iter().sum::<usize>() + carriers) as u64 + self.postings.bytes()
    }

    /// What came, went and changed since `old`.
    pub fn changes_since(&self, old: &Dataset) -> Changes {
        let mut changes = Changes::default();
        let (mut now, mut then) = (Vec::new(), Vec::new());
        for record in self.shipments() {
            let number = record.folded_number();
            let mut same_number = old.shipments_with_number(&number);
            let Some(old_record) = same_number.find(|old| old.folded_carrier() == record.folded_carrier()) else {
                changes.added += 1;
                continue;
            };
            now.clear();
            then.clear();
            record.render(&mut now);
            old_record.render(&mut then);
            changes.changed += u64::from(now != then);
        }
        changes.removed = old.shipment_count() + changes.added - self.shipment_count();
        changes
    }

    /// The shipment with that ordinal.
    #[inline]
    fn at(&self, ordinal: u32) -> Record<'_> {
        self.record(self.order.positions()[ordinal as usize])
    }

    #[inline]
    fn record(&self, position: Position) -> Record<'_> {
        Record::new(self.arena.at(position), &self.dictionaries)
    }
}
