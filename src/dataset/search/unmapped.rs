//! Shipments whose status has no stage in a status map.

use super::facets::most_frequent;
use super::filter::with_any_value;
use super::ordinals::OrdinalSet;
use super::postings::{FacetCount, Postings};
use crate::dataset::records::Records;
use crate::shipment::{Facet, FoldedKey};
use crate::stages::{Stage, StatusMap};

/// Shipments whose status has no stage in a status map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmapped {
    /// Number of shipments.
    pub shipments: u64,
    /// Number of their statuses.
    pub statuses: u64,
    /// The most frequent statuses, and how many of the shipments have each: at most
    /// [`FACET_VALUES_MAX`](super::facets::FACET_VALUES_MAX).
    pub most_frequent: Vec<FacetCount>,
}

impl Unmapped {
    /// Counts the shipments whose status has no stage in `map`, with which `records` were built. Looks at no others than
    /// those whose stage is unknown.
    pub(in crate::dataset) fn count(records: &Records, postings: &Postings, map: &StatusMap) -> Unmapped {
        let dictionaries = &records.dictionaries;
        let value_ids = &postings.value_ids.statuses;
        let mut are_mapped = vec![None; dictionaries.statuses.len()];
        let mut counts = vec![0; value_ids.iter().max().map_or(0, |max| *max as usize + 1)];
        let mut count = |ordinal| {
            let head = records.at(ordinal).parse();
            // Carriers with different stages of a status have entries of their own for it.
            let is_mapped = are_mapped[head.status as usize].get_or_insert_with(|| {
                map.stage(&dictionaries.carrier(head.carrier), &dictionaries.status(head.status)).is_some()
            });
            counts[value_ids[head.status as usize] as usize] += u32::from(!*is_mapped);
        };
        match with_any_value(records, postings, Facet::Stage, &[FoldedKey::new(Stage::Unknown.name())]) {
            Some(OrdinalSet::Bitmap(unknown)) => unknown.iter().for_each(&mut count),
            Some(OrdinalSet::List(unknown)) => unknown.iter().copied().for_each(&mut count),
            Some(OrdinalSet::All(unknown)) => (0..unknown).for_each(&mut count),
            None => {}
        }
        let counts: Vec<(u32, u32)> = (0..).zip(counts).filter(|(_, count)| *count > 0).collect();
        Unmapped {
            shipments: counts.iter().map(|(_, count)| u64::from(*count)).sum(),
            statuses: counts.len() as u64,
            most_frequent: most_frequent(records, postings.of(Facet::Status), Facet::Status, &counts),
        }
    }
}
