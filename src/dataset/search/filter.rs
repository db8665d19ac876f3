//! Filters, and the shipments that match them.

use std::borrow::Cow;

use super::facets;
use super::ordinals::OrdinalSet;
use super::postings::{FacetCount, Postings};
use super::values::{FACETS, FacetKind};
use crate::dataset::arena::Position;
use crate::dataset::record::Record;
use crate::dataset::records::Records;
use crate::shipment::{Facet, FoldedKey};

/// Filter for shipments. A shipment matches if it has one value of each list that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Tracking numbers.
    pub tracking_numbers: Vec<FoldedKey>,
    /// Values of each facet, in the order of [`Facet::ALL`].
    pub facets: [Vec<FoldedKey>; Facet::ALL.len()],
}

impl Filter {
    /// Number of values in all lists.
    pub fn value_count(&self) -> usize {
        self.tracking_numbers.len() + self.facets.iter().map(Vec::len).sum::<usize>()
    }
}

/// Shipments that match a filter, in file order.
pub struct Selection<'d> {
    records: &'d Records,
    postings: &'d Postings,
    set: OrdinalSet<'d>,
}

impl<'d> Selection<'d> {
    /// Selects those of `records` that match `filter`.
    pub(in crate::dataset) fn new(records: &'d Records, postings: &'d Postings, filter: &Filter) -> Selection<'d> {
        let of_numbers = with_any_number(records, &filter.tracking_numbers, &filter.facets[Facet::Carrier as usize]);
        let of_facets = Facet::ALL.into_iter().zip(&filter.facets);
        let mut sets: Vec<OrdinalSet<'d>> = of_numbers
            .into_iter()
            .chain(of_facets.filter_map(|(facet, values)| with_any_value(records, postings, facet, values)))
            .collect();
        sets.sort_unstable_by_key(OrdinalSet::len);
        let set = sets.into_iter().reduce(OrdinalSet::and).unwrap_or(OrdinalSet::All(records.len() as u32));
        Selection { records, postings, set }
    }

    /// Number of shipments.
    pub fn count(&self) -> u64 {
        u64::from(self.set.len())
    }

    /// The shipments from the `offset`th on, from 0, at most `limit`.
    pub fn page(&self, offset: u64, limit: usize) -> Vec<Record<'d>> {
        self.positions(offset, limit).into_iter().map(|position| self.records.record(position)).collect()
    }

    /// The positions of the shipments from the `offset`th on, from 0, at most `limit`.
    pub fn positions(&self, offset: u64, limit: usize) -> Vec<Position> {
        // There are fewer than 2^32.
        let ordinals = self.set.page(u32::try_from(offset).unwrap_or(u32::MAX), limit);
        ordinals.into_iter().map(|ordinal| self.records.position(ordinal)).collect()
    }

    /// The most frequent values of each facet, in the order of [`Facet::ALL`], at most
    /// [`FACET_VALUES_MAX`](super::facets::FACET_VALUES_MAX) of each, sorted by descending frequency, then by value.
    pub fn facets(&self) -> [Cow<'d, [FacetCount]>; FACETS] {
        facets::facets(self.records, self.postings, &self.set)
    }
}

/// Shipments with one of the tracking numbers; `None` if no numbers are given. Of numbers that many carriers share, some
/// shipments without one of the `carriers` may be left out, if carriers are given.
fn with_any_number<'d>(records: &Records, numbers: &[FoldedKey], carriers: &[FoldedKey]) -> Option<OrdinalSet<'d>> {
    if numbers.is_empty() {
        return None;
    }
    let mut numbers: Vec<&FoldedKey> = numbers.iter().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut ordinals: Vec<u32> =
        numbers.into_iter().flat_map(|number| records.ordinals_with(number, carriers)).collect();
    ordinals.sort_unstable();
    ordinals.dedup();
    Some(OrdinalSet::List(Cow::Owned(ordinals)))
}

/// Shipments with one of the values of `facet`; `None` if no values are given.
fn with_any_value<'d>(
    records: &Records,
    postings: &'d Postings,
    facet: Facet,
    values: &[FoldedKey],
) -> Option<OrdinalSet<'d>> {
    if values.is_empty() {
        return None;
    }
    let id = |value| postings.id(records, FacetKind::of(facet), value);
    let mut ids: Vec<u32> = values.iter().filter_map(id).collect();
    ids.sort_unstable();
    ids.dedup();
    let sets = ids.into_iter().map(|id| postings.of(facet).get(id)).collect();
    Some(OrdinalSet::union_of_disjoint(sets))
}
