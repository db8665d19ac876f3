//! Facets: the most frequent values among selected shipments.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::ordinals::OrdinalSet;
use super::postings::{FacetCount, FacetPostings, Postings};
use super::values::{FACETS, FacetKind, NO_VALUE};
use crate::dataset::index::Spread;
use crate::dataset::records::Records;
use crate::shipment::Facet;
use roaring::RoaringBitmap;

/// Most values that a facet lists.
pub const FACET_VALUES_MAX: usize = 100;
/// If at most one of so many shipments is selected, each selected one is scanned; otherwise the bitmaps of the values
/// are intersected with the selection. Of a million shipments, 10,000 were scanned in 1 ms, and selections of any size
/// were intersected with 130 values in 1 to 4 ms.
const SCANNED_SHARE: u32 = 128;

/// Id of a value, and the number of shipments with it.
type Count = (u32, u32);

/// Finds the most frequent values of each facet among `selected`, in the order of [`Facet::ALL`].
pub(in crate::dataset) fn facets<'d>(
    records: &Records,
    postings: &'d Postings,
    selected: &OrdinalSet<'_>,
) -> [Cow<'d, [FacetCount]>; FACETS] {
    let most_frequent = |facet, counts: &[Count]| Cow::Owned(most_frequent(records, postings.of(facet), facet, counts));
    match selected {
        OrdinalSet::All(_) => Facet::ALL.map(|facet| Cow::Borrowed(postings.top(facet))),
        OrdinalSet::Bitmap(bitmap) if selected.len() > records.len() as u32 / SCANNED_SHARE => {
            Facet::ALL.map(|facet| most_frequent(facet, &counts_within(postings.of(facet), bitmap)))
        }
        OrdinalSet::Bitmap(bitmap) => {
            let counts = counts_of(records, postings, bitmap.iter());
            Facet::ALL.map(|facet| most_frequent(facet, &counts[facet as usize]))
        }
        OrdinalSet::List(list) => {
            let counts = counts_of(records, postings, list.iter().copied());
            Facet::ALL.map(|facet| most_frequent(facet, &counts[facet as usize]))
        }
    }
}

/// Counts values by scanning shipments.
fn counts_of(records: &Records, postings: &Postings, ordinals: impl Iterator<Item = u32>) -> [Vec<Count>; FACETS] {
    let mut counts: [HashMap<u32, u32, Spread>; FACETS] = Default::default();
    for ordinal in ordinals {
        for (of_facet, id) in counts.iter_mut().zip(postings.value_ids_of(records, ordinal)) {
            *of_facet.entry(id).or_default() += 1;
        }
    }
    for (of_facet, facet) in counts.iter_mut().zip(Facet::ALL) {
        if !FacetKind::of(facet).counts_no_value() {
            of_facet.remove(&NO_VALUE);
        }
    }
    counts.map(|of_facet| of_facet.into_iter().collect())
}

/// Counts values by intersecting their shipments with `bitmap`, as long as one could still be among the most frequent.
fn counts_within(postings: &FacetPostings, bitmap: &RoaringBitmap) -> Vec<Count> {
    let mut counts = Vec::new();
    let mut highest = BinaryHeap::with_capacity(FACET_VALUES_MAX + 1);
    for (id, set) in postings.by_count() {
        if highest.len() == FACET_VALUES_MAX && highest.peek().is_some_and(|Reverse(least)| set.len() < *least) {
            break;
        }
        let count = set.len_within(bitmap);
        if count > 0 {
            counts.push((id, count));
            highest.push(Reverse(count));
            if highest.len() > FACET_VALUES_MAX {
                highest.pop();
            }
        }
    }
    counts
}

/// Selects the [`FACET_VALUES_MAX`] most frequent values, sorted by descending frequency, then by value.
pub(in crate::dataset) fn most_frequent(
    records: &Records,
    postings: &FacetPostings,
    facet: Facet,
    counts: &[Count],
) -> Vec<FacetCount> {
    let mut least = 0;
    if counts.len() > FACET_VALUES_MAX {
        let mut only_counts: Vec<u32> = counts.iter().map(|(_, count)| *count).collect();
        least = *only_counts.select_nth_unstable_by_key(FACET_VALUES_MAX - 1, |count| Reverse(*count)).1;
    }
    let mut listed: Vec<FacetCount> = Vec::with_capacity(counts.len().min(FACET_VALUES_MAX));
    for (id, count) in counts.iter().filter(|(_, count)| *count > least) {
        let value = postings.with_spelling(records, facet, *id, str::to_owned).unwrap_or_default();
        listed.push(FacetCount { value, count: u64::from(*count) });
    }
    // Of the values that are as frequent as the last one that is listed, the first in order are.
    let mut as_frequent = FirstValues::new(FACET_VALUES_MAX - listed.len());
    for (id, _) in counts.iter().filter(|(_, count)| *count == least) {
        postings.with_spelling(records, facet, *id, |value| as_frequent.add(value));
    }
    listed.extend(as_frequent.values.into_iter().map(|value| FacetCount { value, count: u64::from(least) }));
    listed.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    listed
}

/// Collects the first values in order.
struct FirstValues {
    values: BinaryHeap<String>,
    max: usize,
}

impl FirstValues {
    fn new(max: usize) -> FirstValues {
        FirstValues { values: BinaryHeap::new(), max }
    }

    fn add(&mut self, value: &str) {
        if self.values.len() == self.max {
            if self.values.peek().is_none_or(|last| last.as_str() <= value) {
                return;
            }
            self.values.pop();
        }
        self.values.push(value.to_owned());
    }
}
