//! The frozen dataset: lookups, filters, counts.
//!
//! A [`Builder`](build::Builder) is filled from several threads and frozen to a [`Dataset`], which never changes again:
//! reads take no lock. Per shipment there is one compact [`Record`] in the `arena`, an entry of 4 bytes that gives the
//! file's `order`, another of 4 bytes that gives the order of tracking `numbers`, and an entry of the `index` from the
//! tracking number's fingerprint to the record. The `postings` list the shipments with each value of each facet; filters,
//! pages and counts use them.

mod arena;
pub mod build;
mod csv;
mod dictionaries;
mod dictionary;
mod difference;
mod export;
mod groups;
mod index;
mod long;
mod matches;
mod numbers;
mod order;
mod outline;
mod output;
mod record;
mod records;
mod search;
mod stages;
mod varint;
mod view;

pub use arena::{ArenaError, Position};
pub use difference::{Changes, Details, Difference, GONE, Member, Members, Step};
pub use export::{Export, ExportFormat, PART_SPARE_BYTES};
pub use matches::{Key, Matches};
pub use outline::{Outline, OutlineLimits, OverLimits};
pub use record::{RENDERING_VERSION, Record};
pub use search::{FACET_VALUES_MAX, FacetCount, Filter, Selection, Sort, Unmapped};
pub use view::View;

use std::iter::Peekable;

use numbers::NumberOrder;
use records::Records;
use search::postings::Postings;

use crate::cancel::{Cancel, Cancelled};
use crate::shipment::FoldedKey;
use crate::stages::StatusMap;

/// All shipments of one file.
pub struct Dataset {
    records: Records,
    numbers: NumberOrder,
    postings: Postings,
}

impl Dataset {
    /// The shipment with this number and carrier.
    #[inline]
    pub fn shipment(&self, number: &FoldedKey, carrier: &FoldedKey) -> Option<Record<'_>> {
        self.records.shipment(number, carrier.as_bytes())
    }

    /// The same for a carrier as a client spells it, which nearly always need not be folded.
    #[inline]
    pub fn shipment_spelled(&self, number: &FoldedKey, carrier: &str) -> Option<Record<'_>> {
        self.records.shipment_spelled(number, carrier)
    }

    /// The position of the shipment with this number and carrier.
    pub fn shipment_position(&self, number: &FoldedKey, carrier: &FoldedKey) -> Option<Position> {
        self.records.shipment_position(number, carrier.as_bytes())
    }

    /// The ordinal of the shipment with this number and carrier.
    pub fn ordinal(&self, number: &FoldedKey, carrier: &FoldedKey) -> Option<u32> {
        self.records.order.ordinal(self.shipment_position(number, carrier)?)
    }

    /// The shipments with this number, one per carrier that uses it, in file order.
    #[inline]
    pub fn shipments_with_number<'a>(&'a self, number: &'a FoldedKey) -> impl Iterator<Item = Record<'a>> {
        self.positions_with_number(number).map(|position| self.record(position))
    }

    /// The positions of the shipments with this number, in file order.
    #[inline]
    pub fn positions_with_number<'a>(&'a self, number: &'a FoldedKey) -> impl Iterator<Item = Position> + 'a {
        self.records.with_number(number)
    }

    /// Appends the shipment at `position` to `outline`, after a comma if the piece before is a shipment.
    pub fn outline(&self, outline: &mut Outline, position: Position) -> Result<(), OverLimits> {
        self.outline_view(outline, position, View::Full)
    }

    /// The same for a caller who sees `view` of it.
    pub fn outline_view(&self, outline: &mut Outline, position: Position, view: View) -> Result<(), OverLimits> {
        outline.shipment(&self.records, position, view)
    }

    /// Renders all of `outline`.
    pub fn render(&self, outline: Outline) -> Vec<u8> {
        outline.render(&self.records)
    }

    /// Appends the next part of `outline` to `out`, until that has `bytes_max` bytes or a few more: a text, the head of
    /// a shipment and an article are not split. Appends nothing when all is rendered.
    pub fn render_part(&self, outline: &mut Outline, out: &mut Vec<u8>, bytes_max: usize) {
        outline.render_part(&self.records, out, bytes_max);
    }

    /// Appends the next part of `export` to `out`, until that has `bytes_max` bytes or a few more; nothing when all is
    /// rendered.
    pub fn render_export(&self, export: &mut Export, out: &mut Vec<u8>, bytes_max: usize) {
        export.render_part(&self.records, |filter| self.select(filter), out, bytes_max);
    }

    /// The shipment with this ordinal: its number in the file's order, from 0.
    pub fn at(&self, ordinal: u32) -> Record<'_> {
        self.records.at(ordinal)
    }

    /// The shipment at a position of this dataset.
    #[inline]
    pub fn record(&self, position: Position) -> Record<'_> {
        self.records.record(position)
    }

    /// Finds the shipments that match each of `keys`. Much faster than one lookup after the other.
    pub fn find_all<'d, 'k>(&'d self, keys: &'k [Key]) -> Vec<Peekable<Matches<'d, 'k>>> {
        matches::find_all(&self.records, keys)
    }

    /// Selects the shipments that match `filter`.
    pub fn select(&self, filter: &Filter) -> Selection<'_> {
        Selection::new(&self.records, &self.numbers, &self.postings, filter)
    }

    /// All shipments, in file order.
    pub fn shipments(&self) -> impl Iterator<Item = Record<'_>> {
        self.records.iter()
    }

    /// Finds the shipments whose JSON is longer than `bytes_max`, with its length, in file order. Reads hardly any of the
    /// others, unless some texts are nearly as long.
    pub fn shipments_longer_than(&self, bytes_max: usize) -> impl Iterator<Item = (Record<'_>, usize)> {
        long::longer_than(&self.records, bytes_max)
    }

    /// Number of shipments.
    pub fn shipment_count(&self) -> u64 {
        self.records.len() as u64
    }

    /// Number of articles: good rows of the file.
    pub fn article_count(&self) -> u64 {
        self.records.articles
    }

    /// Carriers as their first rows spell them, in the order of these rows.
    pub fn carriers(&self) -> &[String] {
        &self.records.carriers
    }

    /// Resident memory of the dataset, in bytes.
    pub fn bytes(&self) -> u64 {
        self.records.bytes() + self.numbers.bytes() + self.postings.bytes()
    }

    /// Counts the shipments whose status has no stage in `map`, with which the dataset was built.
    pub fn unmapped(&self, map: &StatusMap) -> Unmapped {
        Unmapped::count(&self.records, &self.postings, map)
    }

    /// Counts the shipments that differ from an `old` dataset, on so many threads.
    pub fn changes_since(&self, old: &Dataset, threads: usize, cancel: &Cancel) -> Result<Changes, Cancelled> {
        difference::count(&self.records, &old.records, threads, cancel)
    }

    /// Finds the shipments that differ from an `old` dataset, on so many threads. What is known of them takes no more
    /// than `bytes_max` bytes, besides 4 for each shipment of the old one.
    pub fn difference_from(
        &self,
        old: &Dataset,
        bytes_max: usize,
        threads: usize,
        cancel: &Cancel,
    ) -> Result<Difference, Cancelled> {
        difference::find(&self.records, &old.records, bytes_max, threads, cancel)
    }

    /// Ordinal of the `removed`th shipment that went in an earlier `step`, if it is there again.
    pub fn ordinal_of_removed(&self, step: &Step, removed: u32) -> Option<u32> {
        step.ordinal_of_removed(removed, &self.records)
    }
}
