//! Questions about many shipments: which ones, and how many of what.

use std::borrow::Cow;

use super::facets;
use super::ordinals::Set;
use super::postings::{FacetCount, Postings};
use super::values::{FACETS, FacetKind};
use crate::dataset::record::Record;
use crate::dataset::records::Records;
use crate::shipment::{Facet, FoldedKey};

/// What shipments have to be. Of each list one value must hold; an empty list holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Tracking numbers.
    pub tracking_numbers: Vec<FoldedKey>,
    /// Values of each facet, in the order of [`Facet::ALL`].
    pub facets: [Vec<FoldedKey>; Facet::ALL.len()],
}

impl Filter {
    /// Values that are asked for, in all.
    pub fn value_count(&self) -> usize {
        self.tracking_numbers.len() + self.facets.iter().map(Vec::len).sum::<usize>()
    }
}

/// The shipments that a filter lets through, in file order.
pub struct Selection<'d> {
    records: &'d Records,
    postings: &'d Postings,
    set: Set<'d>,
}

impl<'d> Selection<'d> {
    /// Those of `records` that `filter` lets through.
    pub(in crate::dataset) fn new(records: &'d Records, postings: &'d Postings, filter: &Filter) -> Selection<'d> {
        let of_numbers = with_any_number(records, &filter.tracking_numbers);
        let of_facets = Facet::ALL.into_iter().zip(&filter.facets);
        let mut sets: Vec<Set<'d>> = of_numbers
            .into_iter()
            .chain(of_facets.filter_map(|(facet, values)| with_any_value(records, postings, facet, values)))
            .collect();
        sets.sort_unstable_by_key(Set::len);
        let set = sets.into_iter().reduce(Set::and).unwrap_or(Set::All(records.len() as u32));
        Selection { records, postings, set }
    }

    /// How many they are.
    pub fn count(&self) -> u64 {
        u64::from(self.set.len())
    }

    /// The shipments from the `offset`th on, from 0, at most `limit`.
    pub fn page(&self, offset: u64, limit: usize) -> Vec<Record<'d>> {
        // There are less than 2^32.
        let ordinals = self.set.page(u32::try_from(offset).unwrap_or(u32::MAX), limit);
        ordinals.into_iter().map(|ordinal| self.records.at(ordinal)).collect()
    }

    /// The most frequent values of each facet among them, in the order of [`Facet::ALL`], at most
    /// [`FACET_VALUES_MAX`](super::facets::FACET_VALUES_MAX) of each: the most frequent first, then by value.
    pub fn facets(&self) -> [Cow<'d, [FacetCount]>; FACETS] {
        facets::facets(self.records, self.postings, &self.set)
    }
}

/// Those with one of the tracking numbers, if any are given.
fn with_any_number<'d>(records: &Records, numbers: &[FoldedKey]) -> Option<Set<'d>> {
    if numbers.is_empty() {
        return None;
    }
    let mut ordinals: Vec<u32> = numbers.iter().flat_map(|number| records.ordinals_with_number(number)).collect();
    ordinals.sort_unstable();
    ordinals.dedup();
    Some(Set::List(Cow::Owned(ordinals)))
}

/// Those with one of the values of `facet`, if any are given.
fn with_any_value<'d>(
    records: &Records,
    postings: &'d Postings,
    facet: Facet,
    values: &[FoldedKey],
) -> Option<Set<'d>> {
    if values.is_empty() {
        return None;
    }
    let id = |value| postings.id(records, FacetKind::of(facet), value);
    let mut ids: Vec<u32> = values.iter().filter_map(id).collect();
    ids.sort_unstable();
    ids.dedup();
    let sets = ids.into_iter().map(|id| postings.of(facet).get(id)).collect();
    Some(Set::union_of_disjoint(sets))
}
