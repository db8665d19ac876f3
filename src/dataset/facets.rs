//! How many of what: the most frequent values of each facet among some shipments.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use roaring::RoaringBitmap;

use super::Dataset;
use super::index::Spread;
use super::postings::Postings;
use super::set::Set;
use super::values::{FACETS, Kind, NOTHING};
use crate::shipment::Facet;

/// Values that a facet lists at most.
pub const FACET_VALUES_MAX: usize = 100;
/// Of so many shipments of the dataset one may be selected for each to be looked at; where more are, the bitmaps of
/// values are intersected with theirs. Measured: looking at one costs about as much as intersecting 30.
const WALKED_SHARE: u32 = 32;

/// A value of a facet, and how often it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetCount {
    /// As the first row in the file that has it spells it.
    pub value: String,
    /// Shipments.
    pub count: u64,
}

/// The number of a value, and how many shipments have it.
type Count = (u32, u32);

/// The most frequent values of each facet, in the order of [`Facet::ALL`].
pub(super) fn facets<'d>(dataset: &'d Dataset, selected: &Set<'_>) -> [Cow<'d, [FacetCount]>; FACETS] {
    let postings = &dataset.postings;
    let most_frequent = |facet, counts| Cow::Owned(most_frequent(dataset, postings, facet, counts));
    match selected {
        Set::All(_) => Facet::ALL.map(|facet| Cow::Borrowed(postings.top(facet))),
        Set::Bitmap(bitmap) if selected.len() > dataset.order.len() as u32 / WALKED_SHARE => {
            Facet::ALL.map(|facet| most_frequent(facet, counts_within(postings, facet, bitmap)))
        }
        Set::Bitmap(bitmap) => {
            let mut counts = counts_of(dataset, bitmap.iter());
            Facet::ALL.map(|facet| most_frequent(facet, std::mem::take(&mut counts[facet as usize])))
        }
        Set::List(list) => {
            let mut counts = counts_of(dataset, list.iter().copied());
            Facet::ALL.map(|facet| most_frequent(facet, std::mem::take(&mut counts[facet as usize])))
        }
    }
}

/// Looks at each of the shipments.
fn counts_of(dataset: &Dataset, ordinals: impl Iterator<Item = u32>) -> [Vec<Count>; FACETS] {
    let mut counts: [HashMap<u32, u32, Spread>; FACETS] = Default::default();
    for ordinal in ordinals {
        for (of_facet, number) in counts.iter_mut().zip(dataset.postings.numbers_of(dataset, ordinal)) {
            *of_facet.entry(number).or_default() += 1;
        }
    }
    for (of_facet, facet) in counts.iter_mut().zip(Facet::ALL) {
        if !Kind::of(facet).counts_nothing() {
            of_facet.remove(&NOTHING);
        }
    }
    counts.map(|of_facet| of_facet.into_iter().collect())
}

/// Intersects the shipments of each value with those in `bitmap`, as long as a value could still be among the most
/// frequent.
fn counts_within(postings: &Postings, facet: Facet, bitmap: &RoaringBitmap) -> Vec<Count> {
    let mut counts = Vec::new();
    let mut highest = BinaryHeap::with_capacity(FACET_VALUES_MAX + 1);
    for (number, set) in postings.by_count(facet) {
        if highest.len() == FACET_VALUES_MAX && highest.peek().is_some_and(|Reverse(least)| set.len() < *least) {
            break;
        }
        let count = set.len_within(bitmap);
        if count > 0 {
            counts.push((number, count));
            highest.push(Reverse(count));
            if highest.len() > FACET_VALUES_MAX {
                highest.pop();
            }
        }
    }
    counts
}

/// The [`FACET_VALUES_MAX`] most frequent values: the most frequent first, then by value.
pub(super) fn most_frequent(
    dataset: &Dataset,
    postings: &Postings,
    facet: Facet,
    mut counts: Vec<Count>,
) -> Vec<FacetCount> {
    let spelled = |number| postings.spelling(dataset, facet, number).unwrap_or_default();
    let mut listed: Vec<FacetCount> = Vec::with_capacity(counts.len().min(FACET_VALUES_MAX));
    if counts.len() > FACET_VALUES_MAX {
        let (_, (_, least), _) = counts.select_nth_unstable_by_key(FACET_VALUES_MAX - 1, |(_, count)| Reverse(*count));
        let least = *least;
        // Of those that are as frequent as the last one listed, only the first by value are.
        let more_frequent = counts.iter().filter(|(_, count)| *count > least).count();
        let as_frequent = counts.iter().filter(|(_, count)| *count == least).map(|(number, _)| spelled(*number));
        let first = first_values(as_frequent, FACET_VALUES_MAX - more_frequent);
        listed.extend(first.into_iter().map(|value| FacetCount { value, count: u64::from(least) }));
        counts.retain(|(_, count)| *count > least);
    }
    listed
        .extend(counts.iter().map(|(number, count)| FacetCount { value: spelled(*number), count: u64::from(*count) }));
    listed.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    listed
}

/// The first `max` of `values` in order, of however many.
fn first_values(values: impl Iterator<Item = String>, max: usize) -> Vec<String> {
    let mut first = BinaryHeap::with_capacity(max + 1);
    for value in values {
        if first.len() < max {
            first.push(value);
        } else if first.peek().is_some_and(|last| value < *last) {
            first.pop();
            first.push(value);
        }
    }
    first.into_vec()
}
