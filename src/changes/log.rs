//! The log of steps.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::kind::Kind;
use crate::dataset::{Dataset, Details, Difference, GONE, Members, Step};

/// How many replaced versions a log can be for.
pub const VERSIONS_LIMITS: RangeInclusive<usize> = 1..=10_000;
/// How much memory a log can be given, in bytes.
pub const BYTES_LIMITS: RangeInclusive<usize> = 64 << 10..=4 << 30;
/// Memory of a log by default: for a million and a half of changes.
pub const BYTES_MAX_DEFAULT: usize = 64 << 20;

/// Bounds of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangesLimits {
    /// Replaced versions that can be compared with.
    pub versions_max: usize,
    /// Memory of a log.
    pub bytes_max: usize,
}

/// Steps up to the dataset that is served. Never changes.
pub struct ChangeLog {
    limits: ChangesLimits,
    /// The oldest first.
    pub(super) steps: Vec<Arc<KeptStep>>,
    /// By subject, then by step.
    pub(super) entries: Box<[Entry]>,
}

/// A step, and the version that it replaced.
pub(super) struct KeptStep {
    since: Box<str>,
    pub(super) step: Step,
    /// Memory of it and its entries.
    bytes: usize,
}

/// What happened to one shipment in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// Ordinal of the shipment in the current dataset, if that has it. Else [`GONE`] and how many went before it, as the
    /// last of its entries tells, over all steps.
    pub(super) subject: u32,
    /// Index of the step.
    pub(super) step: u16,
    pub(super) kind: Kind,
    /// Members that changed.
    pub(super) members: Members,
    /// Index of its state before the step, if it was there.
    pub(super) before: u32,
}

impl ChangeLog {
    /// Creates a log without steps.
    pub fn new(limits: ChangesLimits) -> ChangeLog {
        ChangeLog { limits, steps: Vec::new(), entries: Box::default() }
    }

    /// Number of replaced versions that can be compared with.
    pub fn versions(&self) -> usize {
        self.steps.len()
    }

    /// Resident memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.steps.iter().map(|step| step.bytes).sum()
    }

    /// Creates the log after the next step: from `replaced`, the version that is served, to `dataset`, which differs from
    /// it by `difference`. The oldest steps are dropped where there are too many, all if this one alone is too large.
    #[must_use]
    pub fn followed_by(&self, replaced: &str, dataset: &Dataset, difference: Difference) -> ChangeLog {
        let limits = self.limits;
        let Some(Details { moved, added, changed, step }) = difference.details else { return ChangeLog::new(limits) };
        let removed = step.removed_count();
        let entries = (added.len() + changed.len() + removed) * size_of::<Entry>();
        let bytes = size_of::<KeptStep>() + replaced.len() + step.bytes() + entries;
        let last = Arc::new(KeptStep { since: replaced.into(), step, bytes });
        let mut steps: Vec<Arc<KeptStep>> = self.steps.iter().cloned().chain([Arc::clone(&last)]).collect();
        let dropped = too_many(&steps, limits);
        steps.drain(..dropped);
        if steps.is_empty() {
            return ChangeLog::new(limits);
        }

        let (old_starts, starts) = (removed_before(&self.steps), removed_before(&steps));
        let newest = steps.len() - 1;
        let gone = |step: usize, removed: u32| GONE | (starts[step] + removed);
        let moved_to = |subject: u32| {
            let Some(place) = subject.checked_sub(GONE) else {
                let ordinal = moved[subject as usize];
                return ordinal.checked_sub(GONE).map_or(ordinal, |removed| gone(newest, removed));
            };
            let step = old_starts.partition_point(|start| *start <= place) - 1;
            let removed = place - old_starts[step];
            let is_back = || dataset.ordinal_of_removed(&self.steps[step].step, removed);
            // Nothing comes back where nothing comes.
            let ordinal = if added.is_empty() { None } else { is_back() };
            ordinal.unwrap_or_else(|| gone(step - dropped, removed))
        };

        let mut entries = Vec::with_capacity(self.entries.len() + added.len() + changed.len() + removed);
        for of_one in self.entries.chunk_by(|a, b| a.subject == b.subject) {
            let forgotten = of_one.partition_point(|entry| usize::from(entry.step) < dropped);
            let kept = &of_one[forgotten..];
            if let Some(first) = kept.first() {
                let subject = moved_to(first.subject);
                entries.extend(kept.iter().map(|entry| Entry { subject, step: entry.step - dropped as u16, ..*entry }));
            }
        }
        let entry = |subject, kind, members, before| Entry { subject, step: newest as u16, kind, members, before };
        let none = Members::default();
        let changed = (0..).zip(&changed).map(|(at, (ordinal, members))| entry(*ordinal, Kind::Changed, *members, at));
        let removed = (0..removed as u32)
            .map(|removed| entry(gone(newest, removed), Kind::Removed, none, last.step.entry_of_removed(removed)));
        let added = added.iter().map(|ordinal| entry(*ordinal, Kind::Added, none, 0));
        entries.extend(changed.chain(added).chain(removed));
        // Most of them are in order already, which this sort makes use of.
        entries.sort();
        ChangeLog { limits, steps, entries: entries.into_boxed_slice() }
    }

    /// Index of the first step after `version`; that behind the last one if it is `current`, the one that is served.
    /// `None` if the version is not known, or no longer.
    pub fn first_step_since(&self, version: &str, current: &str) -> Option<usize> {
        if version == current {
            return Some(self.steps.len());
        }
        self.steps.iter().rposition(|step| *step.since == *version)
    }

    /// The version that was replaced last; `None` if it is not known.
    pub fn previous_version(&self) -> Option<&str> {
        self.steps.last().map(|step| &*step.since)
    }
}

/// Number of the oldest of `steps` that must go.
fn too_many(steps: &[Arc<KeptStep>], limits: ChangesLimits) -> usize {
    let mut bytes = 0;
    let fits = |step: &&Arc<KeptStep>| {
        bytes += step.bytes;
        bytes <= limits.bytes_max
    };
    let kept = steps.iter().rev().take(limits.versions_max).take_while(fits).count();
    steps.len() - kept
}

/// Numbers of shipments that went in the steps before each of `steps`.
fn removed_before(steps: &[Arc<KeptStep>]) -> Vec<u32> {
    let counts = steps.iter().map(|step| step.step.removed_count() as u32);
    counts.scan(0, |sum, count| Some(std::mem::replace(sum, *sum + count))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cancel;
    use crate::dataset::build::Builder;
    use crate::shipment::{Column, Row};

    /// Shipments with these statuses.
    fn dataset(statuses: impl Iterator<Item = &'static str>) -> Dataset {
        let builder = Builder::new(1 << 24, 1);
        let mut writer = builder.writer();
        for (line, status) in statuses.enumerate() {
            let number = format!("TN{line:06}");
            let row = Row {
                tracking_number: &number,
                carrier: "DHL",
                status,
                article_quantity: "1",
                article_price: "1",
                ..Row::default()
            };
            assert!(writer.row(line as u32, &row).unwrap());
        }
        writer.end_block(0, 1 << 24, 1 << 24).unwrap();
        drop(writer);
        builder.finish(Column::SHARED, &mut |_| (), &mut |_| ()).unwrap()
    }

    #[test]
    fn what_changed_takes_as_much_memory_as_is_documented_and_the_rest_none() {
        const ALL: usize = 20_000;
        let limits = ChangesLimits { versions_max: 9, bytes_max: usize::MAX };
        let statuses = |changed: usize, all: usize| {
            dataset((0..all).map(move |at| if at < changed { "delivered" } else { "in transit" }))
        };
        let bytes_of = |old: &Dataset, new: &Dataset| {
            let difference = new.difference_from(old, usize::MAX, 2, &Cancel::default()).unwrap();
            ChangeLog::new(limits).followed_by("version", new, difference).bytes()
        };
        let old = statuses(0, ALL);
        let fixed = bytes_of(&old, &statuses(0, ALL));
        let each = |new: &Dataset, count: usize| (bytes_of(&old, new) - fixed) as f64 / count as f64;
        let changed = each(&statuses(10_000, ALL), 10_000);
        let added = each(&statuses(0, ALL + 10_000), 10_000);
        let removed = each(&statuses(0, ALL - 10_000), 10_000);
        assert!(fixed < 500, "{fixed}");
        assert!((48.0..48.1).contains(&changed), "{changed}");
        assert!((12.0..12.1).contains(&added), "{added}");
        // Their numbers have 8 bytes.
        assert!((68.0..68.1).contains(&removed), "{removed}");
    }
}
