//! The order of shipments by tracking number: folded, compared byte by byte, and then as in the file. Shipments whose
//! numbers begin alike follow one another in it.

use std::ops::Range;

use super::records::Records;
use crate::shipment::FoldedKey;

/// Ordinals of all shipments, sorted by tracking number.
#[derive(Default)]
pub(super) struct NumberOrder(Box<[u32]>);

impl NumberOrder {
    /// Creates the order from `ordinals`, which are sorted.
    pub(super) fn new(ordinals: Vec<u32>) -> NumberOrder {
        NumberOrder(ordinals.into_boxed_slice())
    }

    /// The ordinals, in this order.
    pub(super) fn ordinals(&self) -> &[u32] {
        &self.0
    }

    /// Where the shipments of `records` are whose numbers begin with `prefix`: found in few steps.
    pub(super) fn with_prefix(&self, records: &Records, prefix: &FoldedKey) -> Range<usize> {
        let start = |ordinal: u32| {
            let number = records.at(ordinal).folded_number();
            let bytes = number.as_bytes();
            bytes[..bytes.len().min(prefix.as_bytes().len())].cmp(prefix.as_bytes())
        };
        let first = self.0.partition_point(|ordinal| start(*ordinal).is_lt());
        let len = self.0[first..].partition_point(|ordinal| start(*ordinal).is_eq());
        first..first + len
    }

    pub(super) fn bytes(&self) -> u64 {
        size_of_val(&self.0[..]) as u64
    }
}
