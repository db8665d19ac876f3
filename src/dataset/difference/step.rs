//! A step from one dataset to the next: what is kept of it when the datasets are gone.

use std::collections::HashMap;

use super::members::{Hashes, Members};
use crate::dataset::dictionary::Dictionary;
use crate::dataset::record::Record;
use crate::dataset::records::Records;
use crate::json::unescape;
use crate::shipment::FoldedKey;

/// State of a shipment before a step.
#[derive(Clone, Copy)]
pub(super) struct Before {
    hashes: Hashes,
    /// Id of the status: of the old dataset at first, then among the step's own.
    status: u32,
}

impl Before {
    /// Notes the state of `record` in the old dataset.
    pub(super) fn of(record: &Record<'_>, scratch: &mut Vec<u8>) -> Before {
        Before { hashes: Hashes::of(record, scratch), status: record.parse().status }
    }
}

/// Memory of a shipment's state, in bytes.
pub(super) const BEFORE_BYTES: usize = size_of::<Before>();

/// States, before a step between two datasets, of the shipments that changed in it, and then of those that went.
#[derive(Default)]
pub struct Step {
    before: Vec<Before>,
    statuses: Dictionary,
    removed: RemovedNames,
}

/// Names of the shipments that went, in the old file's order.
#[derive(Default)]
struct RemovedNames {
    numbers: Dictionary,
    carriers: Dictionary,
    carrier_ids: Vec<u32>,
}

impl Step {
    /// Creates the step from `old`, in which shipments changed that were so `before`, and those with the ordinals
    /// `removed` went. `None` if it has more than `bytes_max` bytes.
    pub(super) fn new(old: &Records, before: Vec<Before>, removed: &[u32], bytes_max: usize) -> Option<Step> {
        let mut step = Step { before, ..Step::default() };
        step.before.reserve_exact(removed.len());
        let (mut carriers, mut scratch) = (HashMap::new(), Vec::new());
        for ordinal in removed {
            let record = old.at(*ordinal);
            step.before.push(Before::of(&record, &mut scratch));
            let RemovedNames { numbers, carriers: names, carrier_ids } = &mut step.removed;
            numbers.push(record.escaped_number());
            let carrier = record.escaped_carrier();
            carrier_ids.push(*carriers.entry(carrier).or_insert_with(|| names.push(carrier)));
            if step.bytes() > bytes_max {
                return None;
            }
        }
        let mut statuses = HashMap::new();
        for before in &mut step.before {
            let text = old.dictionaries.escaped_status(before.status);
            before.status = *statuses.entry(before.status).or_insert_with(|| step.statuses.push(text));
        }
        for texts in [&mut step.statuses, &mut step.removed.numbers, &mut step.removed.carriers] {
            texts.freeze();
        }
        step.removed.carrier_ids.shrink_to_fit();
        (step.bytes() <= bytes_max).then_some(step)
    }

    /// Number of shipments that went.
    pub fn removed_count(&self) -> usize {
        self.removed.carrier_ids.len()
    }

    /// Index of the state of the first shipment that went.
    fn first_removed(&self) -> usize {
        self.before.len() - self.removed_count()
    }

    /// Resident memory, in bytes.
    pub fn bytes(&self) -> usize {
        let RemovedNames { numbers, carriers, carrier_ids } = &self.removed;
        self.before.capacity() * BEFORE_BYTES
            + carrier_ids.capacity() * size_of::<u32>()
            + [&self.statuses, numbers, carriers].into_iter().map(Dictionary::bytes).sum::<usize>()
    }

    /// Status in the state `entry`, JSON-escaped.
    pub fn status(&self, entry: u32) -> &[u8] {
        self.statuses.get(self.before[entry as usize].status)
    }

    /// Index of the state of the `removed`th shipment that went.
    pub fn entry_of_removed(&self, removed: u32) -> u32 {
        self.first_removed() as u32 + removed
    }

    /// How many shipments went before the one whose state is `entry`.
    pub fn removed_of_entry(&self, entry: u32) -> u32 {
        entry - self.first_removed() as u32
    }

    /// Tracking number and carrier of the `removed`th shipment that went, as the old file spells them, JSON-escaped.
    pub fn removed_name(&self, removed: u32) -> (&[u8], &[u8]) {
        let RemovedNames { numbers, carriers, carrier_ids } = &self.removed;
        (numbers.get(removed), carriers.get(carrier_ids[removed as usize]))
    }

    /// Ordinal in other `records` of the `removed`th shipment that went, if these have it.
    pub(in crate::dataset) fn ordinal_of_removed(&self, removed: u32, records: &Records) -> Option<u32> {
        let (number, carrier) = self.removed_name(removed);
        let (number, carrier) = (FoldedKey::new(&unescape(number)), FoldedKey::new(&unescape(carrier)));
        records.shipment_position(&number, carrier.as_bytes()).and_then(|position| records.order.ordinal(position))
    }

    /// Members of `record`, which may be of another dataset, that differ from the state `entry`. `scratch` is memory to
    /// render in.
    pub fn differing(&self, entry: u32, record: &Record<'_>, scratch: &mut Vec<u8>) -> Members {
        Hashes::of(record, scratch).differing(&self.before[entry as usize].hashes)
    }
}
