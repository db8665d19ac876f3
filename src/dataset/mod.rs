//! The frozen dataset and its questions.
//!
//! A [`Builder`](build::Builder) is filled from several threads and frozen to a [`Dataset`], which never changes again:
//! reads take no lock. Per shipment there is one compact [`Record`] in the `arena`, an entry of 4 bytes that gives the
//! file's `order`, and an entry of the `index` from the tracking number's fingerprint to the record. The `postings`
//! have, for each value of each facet, the shipments with it: filters, pages and counts come from those.

mod arena;
pub mod build;
mod dictionary;
mod index;
mod matches;
mod order;
mod output;
mod record;
mod records;
mod search;
mod varint;

pub use arena::ArenaError;
pub use matches::{Key, Matches};
pub use record::{RENDERING_VERSION, Record};
pub use search::{FACET_VALUES_MAX, FacetCount, Filter, Selection};

use std::iter::Peekable;

use records::Records;
use search::postings::Postings;

use crate::shipment::FoldedKey;

/// All shipments of one file.
pub struct Dataset {
    records: Records,
    postings: Postings,
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
    pub fn shipment(&self, number: &FoldedKey, carrier: &FoldedKey) -> Option<Record<'_>> {
        self.records.shipment(number, carrier)
    }

    /// The shipments with this number, one per carrier that uses it, in file order.
    #[inline]
    pub fn shipments_with_number<'a>(&'a self, number: &'a FoldedKey) -> impl Iterator<Item = Record<'a>> {
        self.records.with_number(number)
    }

    /// The shipments that fit each of `keys`. First the index is asked for all, then all first records are looked at:
    /// the processor waits for many of them at a time.
    pub fn find_all<'d, 'k>(&'d self, keys: &'k [Key]) -> Vec<Peekable<Matches<'d, 'k>>> {
        matches::find_all(&self.records, keys)
    }

    /// The shipments that `filter` lets through.
    pub fn select(&self, filter: &Filter) -> Selection<'_> {
        Selection::new(&self.records, &self.postings, filter)
    }

    /// Every shipment, in file order.
    pub fn shipments(&self) -> impl Iterator<Item = Record<'_>> {
        self.records.iter()
    }

    /// Shipments in the dataset.
    pub fn shipment_count(&self) -> u64 {
        self.records.len() as u64
    }

    /// Articles in the dataset: good rows of the file.
    pub fn article_count(&self) -> u64 {
        self.records.articles
    }

    /// The carriers, each as its first row spells it, in the order in which the file has them first.
    pub fn carriers(&self) -> &[String] {
        &self.records.carriers
    }

    /// Resident memory of the dataset, in bytes.
    pub fn bytes(&self) -> u64 {
        self.records.bytes() + self.postings.bytes()
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
}
