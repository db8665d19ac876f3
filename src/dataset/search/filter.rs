//! Filters, and the shipments that each of their parts lets through.

use std::borrow::Cow;
use std::ops::Range;

use super::ordinals::OrdinalSet;
use super::postings::Postings;
use super::values::FacetKind;
use crate::dataset::numbers::NumberOrder;
use crate::dataset::records::Records;
use crate::shipment::{Facet, FoldedKey};

/// Filter for shipments. A shipment matches if it has one value of each list that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Tracking numbers.
    pub tracking_numbers: Vec<FoldedKey>,
    /// What tracking numbers begin with.
    pub prefixes: Vec<FoldedKey>,
    /// Values of each facet, in the order of [`Facet::ALL`].
    pub facets: [Vec<FoldedKey>; Facet::ALL.len()],
}

impl Filter {
    /// Number of values in all lists.
    pub fn value_count(&self) -> usize {
        self.tracking_numbers.len() + self.prefixes.len() + self.facets.iter().map(Vec::len).sum::<usize>()
    }
}

/// Where the shipments are, in the order of numbers, whose numbers begin with one of `prefixes`: disjoint, ascending, and
/// not empty.
pub(super) fn with_any_prefix(records: &Records, numbers: &NumberOrder, prefixes: &[FoldedKey]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = prefixes.iter().map(|prefix| numbers.with_prefix(records, prefix)).collect();
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Shipments with one of the tracking numbers; `None` if no numbers are given. Of numbers that many carriers share, some
/// shipments without one of the `carriers` may be left out, if carriers are given.
pub(super) fn with_any_number<'d>(
    records: &Records,
    numbers: &[FoldedKey],
    carriers: &[FoldedKey],
) -> Option<OrdinalSet<'d>> {
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
pub(super) fn with_any_value<'d>(
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
