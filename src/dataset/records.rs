//! All records of a dataset: lookups by tracking number, by ordinal, and in file order.

use super::arena::{Arena, Position};
use super::dictionaries::Dictionaries;
use super::index::{Candidates, Index};
use super::order::Order;
use super::record::Record;
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
    /// The shipment with this number and folded carrier.
    #[inline]
    pub(super) fn shipment(&self, number: &FoldedKey, carrier: &[u8]) -> Option<Record<'_>> {
        self.shipment_position(number, carrier).map(|position| self.record(position))
    }

    /// The shipment with this number and carrier, as a client spells it.
    #[inline]
    pub(super) fn shipment_spelled(&self, number: &FoldedKey, carrier: &str) -> Option<Record<'_>> {
        self.index
            .candidates_spelled(number, carrier)
            .map(|position| self.record(position))
            .find(|record| record.has_number(number) && FoldedKey::is_spelled(record.folded_carrier(), carrier))
    }

    /// The position of the shipment with this number and folded carrier.
    #[inline]
    pub(super) fn shipment_position(&self, number: &FoldedKey, carrier: &[u8]) -> Option<Position> {
        self.index.candidates_with(number, carrier).find(|position| {
            let record = self.record(*position);
            record.has_number(number) && record.folded_carrier() == carrier
        })
    }

    /// Positions of records among which all that match a lookup are.
    #[inline]
    pub(super) fn candidates(&self, number: &FoldedKey, carrier: Option<&FoldedKey>) -> Candidates<'_> {
        match carrier {
            Some(carrier) => self.index.candidates_with(number, carrier.as_bytes()),
            None => self.index.candidates(number),
        }
    }

    /// The positions of the shipments with this number, in file order.
    #[inline]
    pub(super) fn with_number<'a>(&'a self, number: &'a FoldedKey) -> impl Iterator<Item = Position> + 'a {
        self.index.candidates(number).filter(move |position| self.record(*position).has_number(number))
    }

    /// Ordinals of the shipments with this number: all of them, or at least those of `carriers` if many carriers share
    /// it.
    pub(super) fn ordinals_with<'a>(
        &'a self,
        number: &'a FoldedKey,
        carriers: &'a [FoldedKey],
    ) -> impl Iterator<Item = u32> {
        let all = self.index.candidates(number);
        let by_carrier = !carriers.is_empty() && carriers.len() < all.len();
        let all = (!by_carrier).then_some(all).into_iter().flatten();
        let carriers = if by_carrier { carriers } else { &[] };
        let of_carriers = carriers.iter().flat_map(|carrier| self.index.candidates_with(number, carrier.as_bytes()));
        all.chain(of_carriers)
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
        self.record(self.position(ordinal))
    }

    /// The position of the shipment with this ordinal.
    #[inline]
    pub(super) fn position(&self, ordinal: u32) -> Position {
        self.order.positions()[ordinal as usize]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::build::Builder;
    use crate::shipment::{Column, Row};

    #[test]
    fn a_shipment_is_found_in_few_steps_however_many_carriers_share_its_number() {
        const CARRIERS: usize = 20_000;
        let builder = Builder::new(1 << 20, 1);
        let mut writer = builder.writer();
        let carriers: Vec<String> = (0..CARRIERS).map(|at| format!("Carrier {at}")).collect();
        for (line, carrier) in (0..).zip(&carriers) {
            let row =
                Row { tracking_number: "TN1", carrier, article_quantity: "1", article_price: "1", ..Row::default() };
            assert!(writer.row(line, &row).unwrap());
        }
        writer.end_block(0, 1 << 20, 1 << 20).unwrap();
        drop(writer);
        let dataset = builder.finish(Column::SHARED, &mut |_| (), &mut |_| ()).unwrap();
        let number = FoldedKey::new("TN1");
        let steps = |carrier: &FoldedKey| dataset.records.candidates(&number, Some(carrier)).count();
        let all: usize = carriers.iter().map(|carrier| steps(&FoldedKey::new(carrier))).sum();
        assert!((CARRIERS..CARRIERS + 100).contains(&all), "{all}");
        assert!(steps(&FoldedKey::new("DHL")) <= 1);
        assert_eq!(dataset.records.candidates(&number, None).count(), CARRIERS);
    }
}
