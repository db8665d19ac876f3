//! Selections: the shipments that match a filter, page by page, in the order that is asked for.

use std::borrow::Cow;

use super::facets;
use super::filter::{Filter, with_any_number, with_any_prefix, with_any_value};
use super::ordinals::OrdinalSet;
use super::postings::{FacetCount, Postings};
use super::values::FACETS;
use crate::dataset::arena::Position;
use crate::dataset::numbers::NumberOrder;
use crate::dataset::record::Record;
use crate::dataset::records::Records;
use crate::shipment::Facet;

/// Steps in the order of numbers that take as long as sorting one shipment by its number. Measured: 15 to 20 ns a step, 1 µs
/// a shipment.
const STEPS_PER_SORTED: u64 = 64;

/// Order of shipments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// As in the file.
    #[default]
    File,
    /// By folded tracking number, byte by byte, then as in the file.
    Number,
    /// The same from its end.
    NumberDescending,
}

/// Shipments that match a filter.
pub struct Selection<'d> {
    records: &'d Records,
    numbers: &'d NumberOrder,
    postings: &'d Postings,
    matching: Matching<'d>,
}

/// The shipments of a selection.
enum Matching<'d> {
    Set(OrdinalSet<'d>),
    /// Those that follow one another in the order of numbers.
    Numbers(&'d [u32]),
}

impl<'d> Selection<'d> {
    /// Selects those of `records` that match `filter`.
    pub(in crate::dataset) fn new(
        records: &'d Records,
        numbers: &'d NumberOrder,
        postings: &'d Postings,
        filter: &Filter,
    ) -> Selection<'d> {
        let of_numbers = with_any_number(records, &filter.tracking_numbers, &filter.facets[Facet::Carrier as usize]);
        let of_facets = Facet::ALL.into_iter().zip(&filter.facets);
        let mut sets: Vec<OrdinalSet<'d>> = of_numbers
            .into_iter()
            .chain(of_facets.filter_map(|(facet, values)| with_any_value(records, postings, facet, values)))
            .collect();
        let all = records.len() as u32;
        if !filter.prefixes.is_empty() {
            let ranges = with_any_prefix(records, numbers, &filter.prefixes);
            let parts: Vec<&'d [u32]> = ranges.into_iter().map(|range| &numbers.ordinals()[range]).collect();
            if let ([], [part]) = (&sets[..], &parts[..]) {
                return Selection { records, numbers, postings, matching: Matching::Numbers(part) };
            }
            sets.push(OrdinalSet::of_unsorted(&parts, all));
        }
        sets.sort_unstable_by_key(OrdinalSet::len);
        let set = sets.into_iter().reduce(OrdinalSet::and).unwrap_or(OrdinalSet::All(all));
        Selection { records, numbers, postings, matching: Matching::Set(set) }
    }

    /// True if shipments have stages.
    pub fn has_stages(&self) -> bool {
        self.records.dictionaries.has_stages()
    }

    /// Number of shipments.
    pub fn count(&self) -> u64 {
        match &self.matching {
            Matching::Set(set) => u64::from(set.len()),
            Matching::Numbers(part) => part.len() as u64,
        }
    }

    /// The shipments from the `offset`th on, from 0, at most `limit`.
    pub fn page(&self, sort: Sort, offset: u64, limit: usize) -> Vec<Record<'d>> {
        self.positions(sort, offset, limit).into_iter().map(|position| self.records.record(position)).collect()
    }

    /// The positions of the shipments from the `offset`th on, from 0, at most `limit`.
    pub fn positions(&self, sort: Sort, offset: u64, limit: usize) -> Vec<Position> {
        let ordinals = if sort == Sort::File {
            // There are fewer than 2^32.
            self.set().page(u32::try_from(offset).unwrap_or(u32::MAX), limit)
        } else {
            self.by_number(sort == Sort::NumberDescending, offset, limit)
        };
        ordinals.into_iter().map(|ordinal| self.records.position(ordinal)).collect()
    }

    /// Positions of at most `max` shipments, in the order of `sort`, from `place` on, first 0; and the place behind them.
    /// None when there are no more.
    pub(in crate::dataset) fn batch(&self, sort: Sort, place: u32, max: usize) -> (Vec<Position>, u32) {
        let (ordinals, next) = match (sort, &self.matching) {
            (Sort::File, _) => {
                let ordinals = self.set().from(place, max);
                let next = ordinals.last().map_or(place, |last| last + 1);
                (ordinals, next)
            }
            (_, Matching::Set(set)) if !matches!(set, OrdinalSet::All(_)) && set.len() as usize > max => {
                self.batch_by_number(set, sort == Sort::NumberDescending, place, max)
            }
            _ => {
                let ordinals = self.by_number(sort == Sort::NumberDescending, u64::from(place), max);
                let next = place + ordinals.len() as u32;
                (ordinals, next)
            }
        };
        (ordinals.into_iter().map(|ordinal| self.records.position(ordinal)).collect(), next)
    }

    /// The same for a set, whose places are those of all shipments in the order of numbers.
    fn batch_by_number(&self, set: &OrdinalSet<'_>, descending: bool, place: u32, max: usize) -> (Vec<u32>, u32) {
        let all = self.numbers.ordinals();
        let at = |place: u32| all[if descending { all.len() - 1 - place as usize } else { place as usize }];
        let mut places = (place..all.len() as u32).filter(|place| set.contains(at(*place)));
        let mut next = place;
        let found = places.by_ref().take(max);
        let ordinals = found.inspect(|place| next = place + 1).map(at).collect();
        (ordinals, next)
    }

    /// The most frequent values of each facet, in the order of [`Facet::ALL`], at most
    /// [`FACET_VALUES_MAX`](super::facets::FACET_VALUES_MAX) of each, sorted by descending frequency, then by value.
    pub fn facets(&self) -> [Cow<'d, [FacetCount]>; FACETS] {
        facets::facets(self.records, self.postings, &self.set())
    }

    fn set(&self) -> Cow<'_, OrdinalSet<'d>> {
        match &self.matching {
            Matching::Set(set) => Cow::Borrowed(set),
            Matching::Numbers(part) => Cow::Owned(OrdinalSet::of_unsorted(&[part], self.records.len() as u32)),
        }
    }

    /// Ordinals of a page in the order of numbers, or from its end.
    fn by_number(&self, descending: bool, offset: u64, limit: usize) -> Vec<u32> {
        let count = self.count() as usize;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(count);
        let len = limit.min(count - offset);
        let first = if descending { count - offset - len } else { offset };
        let mut page = match &self.matching {
            Matching::Set(OrdinalSet::All(_)) => self.numbers.ordinals()[first..first + len].to_vec(),
            Matching::Numbers(part) => part[first..first + len].to_vec(),
            Matching::Set(set) => self.sorted(set, first, len),
        };
        if descending {
            page.reverse();
        }
        page
    }

    /// `len` ordinals of `set` from the `first` one on, in the order of numbers.
    fn sorted(&self, set: &OrdinalSet<'_>, first: usize, len: usize) -> Vec<u32> {
        let (all, count) = (self.numbers.ordinals(), set.len() as usize);
        let behind = count - first - len;
        // The page is looked for from the end that it is nearer to, unless sorting all takes less.
        let steps = (first.min(behind) + len) as u64 * all.len() as u64 / count.max(1) as u64;
        let is_in_set = |ordinal: &&u32| set.contains(**ordinal);
        if steps > count as u64 * STEPS_PER_SORTED {
            let key = |ordinal| (self.records.at(ordinal).folded_number(), ordinal);
            let mut keys: Vec<_> = set.page(0, count).into_iter().map(key).collect();
            keys.sort_unstable();
            return keys[first..first + len].iter().map(|(_, ordinal)| *ordinal).collect();
        }
        if first <= behind {
            return all.iter().filter(is_in_set).skip(first).take(len).copied().collect();
        }
        let mut page: Vec<u32> = all.iter().rev().filter(is_in_set).skip(behind).take(len).copied().collect();
        page.reverse();
        page
    }
}
