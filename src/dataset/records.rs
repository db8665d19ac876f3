//! All records of a dataset: lookups by tracking number, by ordinal, and in file order.

use super::arena::{Arena, Position};
use super::index::{Fingerprint, Index};
use super::order::Order;
use super::record::{Dictionaries, Record};
use crate::shipment::FoldedKey;

/// Shipments of one file.
pub(super) struct Records {
    pub(super) arena: Arena,
    pub(super) order: Order,
    pub(super) index: Index,
    pub(super) dictionaries: Dictionaries,
    /// Number of articles of all shipments.
    pub(super) articles: u64,
    /// Carriers as their first rows spell them, in the order of these rows.
    pub(super) carriers: Vec<String>,
}

impl Records {
    /// The shipment with this number and carrier.
    #[inline]
    pub(super) fn shipment(&self, number: &FoldedKey, carrier: &FoldedKey) -> Option<Record<'_>> {
        self.index
            .candidates(Fingerprint::of(number))
            .map(|position| self.record(position))
            .find(|record| record.has_number(number) && record.has_carrier(carrier))
    }

    /// The shipments with this number, in file order.
    #[inline]
    pub(super) fn with_number<'a>(&'a self, number: &'a FoldedKey) -> impl Iterator<Item = Record<'a>> {
        self.index
            .candidates(Fingerprint::of(number))
            .map(|position| self.record(position))
            .filter(move |record| record.has_number(number))
    }

    /// Ordinals of the shipments with this number.
    pub(super) fn ordinals_with_number<'a>(&'a self, number: &'a FoldedKey) -> impl Iterator<Item = u32> {
        self.index
            .candidates(Fingerprint::of(number))
            .filter(move |position| self.record(*position).has_number(number))
            .filter_map(|position| self.order.ordinal(position))
    }

    /// All shipments, in file order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.order.positions().iter().map(|position| self.record(*position))
    }

    /// Number of shipments.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The shipment with this ordinal.
    #[inline]
    pub(super) fn at(&self, ordinal: u32) -> Record<'_> {
        self.record(self.order.positions()[ordinal as usize])
    }

    /// The shipment whose record is at `position`.
    #[inline]
    pub(super) fn record(&self, position: Position) -> Record<'_> {
        Record::new(self.arena.at(position), &self.dictionaries)
    }

    /// Resident memory, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let carriers: usize = self.carriers.iter().map(|carrier| size_of::<String>() + carrier.capacity()).sum();
        let parts = [self.arena.used_bytes(), self.order.bytes(), self.index.bytes(), self.dictionaries.bytes()];
        (parts.iter().sum::<usize>() + carriers) as u64
    }
}
