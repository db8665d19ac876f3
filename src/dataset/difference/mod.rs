//! The difference between two datasets. It is found by all threads of a load: both are mostly in the same order, so that
//! hardly any shipment is looked up.

mod members;
mod step;

pub use members::{Member, Members};
pub use step::Step;

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::record::Record;
use super::records::Records;
use crate::cancel::{Cancel, Cancelled};
use step::{BEFORE_BYTES, Before};

/// Ordinals from here on stand for shipments that the new dataset does not have. There are fewer than so many shipments.
pub const GONE: u32 = 1 << 31;
/// Fewest shipments for which a thread is started.
const SHIPMENTS_PER_THREAD_MIN: usize = 4096;

/// Difference between two datasets, in shipments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Shipments that only the new one has.
    pub added: u64,
    /// Shipments that only the old one has.
    pub removed: u64,
    /// Shipments of both that render differently.
    pub changed: u64,
}

/// Difference between two datasets.
pub struct Difference {
    /// Numbers of shipments.
    pub changes: Changes,
    /// The shipments themselves; `None` where they would take too much memory.
    pub details: Option<Details>,
}

/// Shipments in which two datasets differ.
pub struct Details {
    /// Ordinals in the new dataset by those in the old one; for those that went, [`GONE`] and how many went before.
    pub moved: Vec<u32>,
    /// Ordinals in the new dataset of those that came, ascending.
    pub added: Vec<u32>,
    /// Ordinals in the new dataset of those that changed, and the members that differ. Ascending, in the order of the
    /// step's states.
    pub changed: Vec<(u32, Members)>,
    /// States of those that changed and of those that went.
    pub step: Step,
}

/// Memory of a shipment that came, in bytes.
const ADDED_BYTES: usize = size_of::<u32>();
/// Memory of a shipment that changed, in bytes.
const CHANGED_BYTES: usize = size_of::<(u32, Members)>() + BEFORE_BYTES;

/// Counts the shipments in which `new` differs from `old`, on so many threads.
pub(super) fn count(new: &Records, old: &Records, threads: usize, cancel: &Cancel) -> Result<Changes, Cancelled> {
    let counts = compare(new, old, threads, cancel, |counts: &mut Changes, _, record, old_record| {
        match old_record.map(|(_, old_record)| record.differing(&old_record)) {
            None => counts.added += 1,
            Some(members) => counts.changed += u64::from(!members.is_empty()),
        }
    })?;
    Ok(sum(new, old, counts.into_iter()))
}

/// Finds the shipments in which `new` differs from `old`, on so many threads. What is known of them takes no more than
/// `bytes_max` bytes, besides 4 for each shipment of the old one.
pub(super) fn find(
    new: &Records,
    old: &Records,
    bytes_max: usize,
    threads: usize,
    cancel: &Cancel,
) -> Result<Difference, Cancelled> {
    let moved: Vec<AtomicU32> = std::iter::repeat_with(|| AtomicU32::new(GONE)).take(old.len()).collect();
    let bytes = AtomicUsize::new(0);
    let takes = |more: usize| bytes.fetch_add(more, Ordering::Relaxed) + more <= bytes_max;
    let parts = compare(new, old, threads, cancel, |part: &mut Part, ordinal, record, old_record| {
        let Some((old_ordinal, old_record)) = old_record else {
            part.counts.added += 1;
            if takes(ADDED_BYTES) {
                part.added.push(ordinal);
            }
            return;
        };
        moved[old_ordinal as usize].store(ordinal, Ordering::Relaxed);
        let members = record.differing(&old_record);
        if members.is_empty() {
            return;
        }
        part.counts.changed += 1;
        if takes(CHANGED_BYTES) {
            part.changed.push((ordinal, members));
            part.before.push(Before::of(&old_record, &mut part.scratch));
        }
    })?;
    let changes = sum(new, old, parts.iter().map(|part| part.counts));
    let is_complete = bytes.into_inner() <= bytes_max;
    let moved = moved.into_iter().map(AtomicU32::into_inner).collect();
    let details = is_complete.then(|| details(old, moved, parts, bytes_max)).flatten();
    Ok(Difference { changes, details })
}

/// What one thread finds.
#[derive(Default)]
struct Part {
    counts: Changes,
    added: Vec<u32>,
    changed: Vec<(u32, Members)>,
    before: Vec<Before>,
    scratch: Vec<u8>,
}

fn details(old: &Records, mut moved: Vec<u32>, parts: Vec<Part>, bytes_max: usize) -> Option<Details> {
    let mut removed = Vec::new();
    for (old_ordinal, ordinal) in (0..).zip(&mut moved) {
        if *ordinal == GONE {
            *ordinal |= removed.len() as u32;
            removed.push(old_ordinal);
        }
    }
    let changed_count = parts.iter().map(|part| part.changed.len()).sum::<usize>();
    let (mut added, mut changed) = (Vec::new(), Vec::with_capacity(changed_count));
    let mut before = Vec::with_capacity(changed_count + removed.len());
    for part in parts {
        added.extend(part.added);
        changed.extend(part.changed);
        before.extend(part.before);
    }
    let step = Step::new(old, before, &removed, bytes_max)?;
    Some(Details { moved, added, changed, step })
}

fn sum(new: &Records, old: &Records, parts: impl Iterator<Item = Changes>) -> Changes {
    let (added, changed) = parts.fold((0, 0), |(added, changed), part| (added + part.added, changed + part.changed));
    Changes { added, changed, removed: old.len() as u64 + added - new.len() as u64 }
}

/// Calls `visit` with the ordinal and record of each shipment of `new`, in order on each of several threads, and with those
/// of the same one in `old`, if that has it. Returns what the threads made, in the file's order.
fn compare<T: Default + Send>(
    new: &Records,
    old: &Records,
    threads: usize,
    cancel: &Cancel,
    visit: impl Fn(&mut T, u32, &Record<'_>, Option<(u32, Record<'_>)>) + Sync,
) -> Result<Vec<T>, Cancelled> {
    let compare_range = |range: Range<usize>| {
        let mut made = T::default();
        let mut finder = Finder { records: old, next: guess(range.start, new.len(), old.len()) };
        for ordinal in range {
            cancel.check()?;
            let record = new.at(ordinal as u32);
            visit(&mut made, ordinal as u32, &record, finder.find(&record));
        }
        Ok(made)
    };
    let shipments_per_thread = new.len().div_ceil(threads.max(1)).max(SHIPMENTS_PER_THREAD_MIN);
    let mut ranges = (0..new.len()).step_by(shipments_per_thread);
    let mut ranges = ranges.by_ref().map(|start| start..new.len().min(start + shipments_per_thread));
    let Some(first) = ranges.next() else { return Ok(Vec::new()) };
    std::thread::scope(|scope| {
        let compare_range = &compare_range;
        let others: Vec<_> = ranges.map(|range| scope.spawn(move || compare_range(range))).collect();
        let first = compare_range(first);
        let others = others.into_iter().map(|other| match other.join() {
            Ok(made) => made,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(first).chain(others).collect()
    })
}

/// Where the shipment with this ordinal would be if those that came and went were spread evenly.
fn guess(ordinal: usize, new_len: usize, old_len: usize) -> u32 {
    (ordinal as u64 * old_len as u64 / new_len.max(1) as u64) as u32
}

/// Finds the shipments of a dataset, nearly always where the one before was.
struct Finder<'d> {
    records: &'d Records,
    /// Ordinal after that of the one before.
    next: u32,
}

impl<'d> Finder<'d> {
    fn find(&mut self, record: &Record<'_>) -> Option<(u32, Record<'d>)> {
        let records = self.records;
        let is_same = |other: &Record<'_>| {
            record.escaped_number() == other.escaped_number() && record.folded_carrier() == other.folded_carrier()
        };
        let next = ((self.next as usize) < records.len()).then(|| records.at(self.next)).filter(is_same);
        let (ordinal, found) = match next {
            Some(found) => (self.next, found),
            None => {
                let position = records.shipment_position(&record.folded_number(), record.folded_carrier())?;
                (records.order.ordinal(position)?, records.record(position))
            }
        };
        self.next = ordinal + 1;
        Some((ordinal, found))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::dataset::Dataset;
    use crate::dataset::build::Builder;
    use crate::shipment::{Column, Row};
    use proptest::prelude::*;

    /// Statuses by number, in this order.
    type File = Vec<(u32, u32)>;

    fn dataset(file: &File) -> Dataset {
        let builder = Builder::new(1 << 24, 1);
        let mut writer = builder.writer();
        for (line, (number, status)) in (0..).zip(file) {
            let (number, status) = (format!("TN{number}"), status.to_string());
            let row = Row {
                tracking_number: &number,
                carrier: "DHL",
                status: &status,
                article_quantity: "1",
                article_price: "1",
                ..Row::default()
            };
            assert!(writer.row(line, &row).unwrap());
        }
        writer.end_block(0, 1 << 24, 1 << 24).unwrap();
        drop(writer);
        builder.finish(Column::SHARED, &mut |_| (), &mut |_| ()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_number_of_threads_finds_what_differs(
            count in 1..20_000_u32, modulus in 2..5000_u32, shift in 0..20_000_usize, threads in 1..5_usize,
        ) {
            let old: File = (0..count).map(|number| (number, 0)).collect();
            // Each kind of difference, and another place for some of the rest.
            let edit = |(number, status): (u32, u32)| match number % modulus {
                0 => None,
                1 => Some((number, status + 1)),
                2 => Some((number + count, status)),
                _ => Some((number, status)),
            };
            let mut new: File = old.iter().copied().filter_map(edit).collect();
            let len = new.len();
            new.rotate_left(shift % len.max(1));
            let by_number: BTreeMap<u32, u32> = old.iter().copied().collect();
            let (new_dataset, old_dataset) = (dataset(&new), dataset(&old));
            let cancel = Cancel::default();
            let found = new_dataset.difference_from(&old_dataset, usize::MAX, threads, &cancel).unwrap();
            let details = found.details.unwrap();
            let ordinals = |is_one: &dyn Fn(&(u32, u32)) -> bool| -> Vec<u32> {
                (0..).zip(&new).filter(|(_, shipment)| is_one(shipment)).map(|(ordinal, _)| ordinal).collect()
            };
            let added = ordinals(&|(number, _)| !by_number.contains_key(number));
            let changed = ordinals(&|(number, status)| by_number.get(number).is_some_and(|old| old != status));
            prop_assert_eq!(&details.added, &added);
            prop_assert_eq!(details.changed.iter().map(|(ordinal, _)| *ordinal).collect::<Vec<_>>(), changed.clone());
            let places: BTreeMap<u32, u32> = (0..).zip(&new).map(|(ordinal, (number, _))| (*number, ordinal)).collect();
            let mut removed = 0;
            for ((number, _), moved) in old.iter().zip(&details.moved) {
                let expected = places.get(number).copied().unwrap_or(GONE | removed);
                removed += u32::from(!places.contains_key(number));
                prop_assert_eq!(*moved, expected);
            }
            prop_assert_eq!(details.step.removed_count(), removed as usize);
            let (added, removed, changed) = (added.len() as u64, u64::from(removed), changed.len() as u64);
            prop_assert_eq!(found.changes, Changes { added, removed, changed });
            prop_assert_eq!(new_dataset.changes_since(&old_dataset, threads, &cancel), Ok(found.changes));
            // Less memory than they take is enough for the numbers alone.
            let few = new_dataset.difference_from(&old_dataset, 0, threads, &cancel).unwrap();
            prop_assert_eq!(few.changes, found.changes);
            prop_assert!(few.details.is_none() || added + removed + changed == 0);
        }
    }
}
