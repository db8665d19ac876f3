//! Questions about many shipments: which ones, and how many of what.

use std::borrow::Cow;

use super::facets::{self, FacetCount};
use super::index::Fingerprint;
use super::set::Set;
use super::values::{FACETS, Kind};
use super::{Dataset, Record};
use crate::shipment::{Facet, Folded};

/// What shipments have to be. Of each list one value must hold; an empty list holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Tracking numbers.
    pub tracking_numbers: Vec<Folded>,
    /// Values of each facet, in the order of [`Facet::ALL`].
    pub facets: [Vec<Folded>; Facet::ALL.len()],
}

impl Filter {
    /// Values that are asked for, in all.
    pub fn value_count(&self) -> usize {
        self.tracking_numbers.len() + self.facets.iter().map(Vec::len).sum::<usize>()
    }
}

/// The shipments that a filter lets through, in file order.
pub struct Selection<'d> {
    dataset: &'d Dataset,
    set: Set<'d>,
}

impl<'d> Selection<'d> {
    /// How many they are.
    pub fn count(&self) -> u64 {
        u64::from(self.set.len())
    }

    /// The shipments from the `offset`th on, from 0, at most `limit`.
    pub fn page(&self, offset: u64, limit: usize) -> Vec<Record<'d>> {
        // There are less than 2^32.
        let ordinals = self.set.page(u32::try_from(offset).unwrap_or(u32::MAX), limit);
        ordinals.into_iter().map(|ordinal| self.dataset.at(ordinal)).collect()
    }

    /// The most frequent values of each facet among them, in the order of [`Facet::ALL`], at most
    /// [`FACET_VALUES_MAX`](super::FACET_VALUES_MAX) of each: the most frequent first, then by value.
    pub fn facets(&self) -> [Cow<'d, [FacetCount]>; FACETS] {
        facets::facets(self.dataset, &self.set)
    }
}

impl Dataset {
    /// The shipments that `filter` lets through.
    pub fn select(&self, filter: &Filter) -> Selection<'_> {
        let of_numbers = self.with_any_number(&filter.tracking_numbers);
        let of_facets = Facet::ALL.into_iter().zip(&filter.facets);
        let mut sets: Vec<Set<'_>> = of_numbers
            .into_iter()
            .chain(of_facets.filter_map(|(facet, values)| self.with_any(facet, values)))
            .collect();
        sets.sort_unstable_by_key(Set::len);
        let set = sets.into_iter().reduce(Set::and).unwrap_or(Set::All(self.order.len() as u32));
        Selection { dataset: self, set }
    }

    /// Those with one of the tracking numbers, if any are given.
    fn with_any_number(&self, numbers: &[Folded]) -> Option<Set<'_>> {
        if numbers.is_empty() {
            return None;
        }
        let positions = numbers.iter().flat_map(|number| {
            let candidates = self.index.candidates(Fingerprint::of(number));
            candidates.filter(move |position| self.record(*position).has_number(number))
        });
        let mut ordinals: Vec<u32> = positions.filter_map(|position| self.order.ordinal(position)).collect();
        ordinals.sort_unstable();
        ordinals.dedup();
        Some(Set::List(Cow::Owned(ordinals)))
    }

    /// Those with one of the values of `facet`, if any are given.
    fn with_any(&self, facet: Facet, values: &[Folded]) -> Option<Set<'_>> {
        if values.is_empty() {
            return None;
        }
        let number = |value| self.postings.number(self, Kind::of(facet), value);
        let mut numbers: Vec<u32> = values.iter().filter_map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let sets = numbers.into_iter().map(|number| self.postings.get(facet, number)).collect();
        Some(Set::union_of_disjoint(sets))
    }
}
