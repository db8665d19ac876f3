//! The net difference between an earlier version and the one that is served.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::kind::Kind;
use super::log::{ChangeLog, Entry};
use crate::dataset::{Dataset, GONE, Members};
use crate::json::unescape;
use crate::shipment::FoldedKey;

/// Net change of one shipment. Its texts are JSON-escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Kind of the change.
    pub kind: Kind,
    /// Carrier, as the current file spells it, or else the last that had the shipment.
    pub carrier: &'a [u8],
    /// Tracking number, likewise.
    pub number: &'a [u8],
    /// Status, if the shipment is there.
    pub status: Option<&'a [u8]>,
    /// Status in the earlier version, if the shipment was there.
    pub previous_status: Option<&'a [u8]>,
    /// Members that differ.
    pub members: Members,
}

impl Change<'_> {
    /// Appends the change as JSON.
    pub fn render(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"kind\":\"");
        out.extend_from_slice(self.kind.name().as_bytes());
        out.push(b'"');
        let (carrier, number) = (Some(self.carrier), Some(self.number));
        let texts = [("carrier", carrier), ("tracking_number", number), ("status", self.status)];
        for (name, text) in texts.into_iter().chain([("previous_status", self.previous_status)]) {
            for piece in [b",\"", name.as_bytes(), b"\":"] {
                out.extend_from_slice(piece);
            }
            match text {
                Some(text) => [b"\"", text, b"\""].into_iter().for_each(|piece| out.extend_from_slice(piece)),
                None => out.extend_from_slice(b"null"),
            }
        }
        if self.kind == Kind::Changed {
            let names: Vec<String> = self.members.iter().map(|member| format!("\"{}\"", member.name())).collect();
            out.extend_from_slice(b",\"fields\":[");
            out.extend_from_slice(names.join(",").as_bytes());
            out.push(b']');
        }
        out.push(b'}');
    }
}

/// Filter for changes. One matches if it has one value of each list that is not empty.
#[derive(Clone, Debug, Default)]
pub struct ChangeFilter {
    /// Kinds.
    pub kinds: Vec<Kind>,
    /// Carriers.
    pub carriers: HashSet<FoldedKey>,
    /// Statuses. A shipment that went has none.
    pub statuses: HashSet<FoldedKey>,
}

impl ChangeFilter {
    /// True if `change` matches.
    pub fn matches(&self, change: &Change<'_>) -> bool {
        let has_one = |values: &HashSet<FoldedKey>, text: Option<&[u8]>| {
            values.is_empty() || text.is_some_and(|text| values.contains(&FoldedKey::new(&unescape(text))))
        };
        (self.kinds.is_empty() || self.kinds.contains(&change.kind))
            && has_one(&self.carriers, Some(change.carrier))
            && has_one(&self.statuses, change.status)
    }
}

/// Part of a net difference that is asked for.
#[derive(Clone, Debug)]
pub struct ChangeQuery {
    /// Filter.
    pub filter: ChangeFilter,
    /// Matching changes before the first one of the page.
    pub offset: u64,
    /// Changes of the page, at most.
    pub limit: usize,
}

/// Page of a net difference.
pub struct ChangePage<'a> {
    /// Number of all changes that match.
    pub count: u64,
    /// Changes of the page: those that came or changed in the current file's order; then those that went, by the step in
    /// which they last did, in the order of the file that last had them.
    pub changes: Vec<Change<'a>>,
    /// Hash of the matching ones that went and of their order, which depends on the steps in between; 0 if none went.
    pub removed_order: u32,
}

impl ChangeLog {
    /// Selects a page of the net difference that all steps from `first_step` on make up. `dataset` is the current one.
    pub fn page<'a>(&'a self, first_step: usize, dataset: &'a Dataset, query: &ChangeQuery) -> ChangePage<'a> {
        let (mut count, mut changes, mut removed_order) = (0, Vec::new(), 0);
        if first_step == self.steps.len() {
            return ChangePage { count, changes, removed_order: 0 };
        }
        for change in self.changes(first_step, dataset).filter(|change| query.filter.matches(change)) {
            if change.kind == Kind::Removed {
                let hash = xxh3_64_with_seed(change.number, removed_order);
                removed_order = xxh3_64_with_seed(change.carrier, hash);
            }
            if count >= query.offset && changes.len() < query.limit {
                changes.push(change);
            }
            count += 1;
        }
        ChangePage { count, changes, removed_order: removed_order as u32 }
    }

    /// The net change, since the step `first_step`, of the shipment with this ordinal in `dataset`, the current one.
    pub fn change_of<'a>(&'a self, ordinal: u32, first_step: usize, dataset: &'a Dataset) -> Option<Change<'a>> {
        let from =
            self.entries.partition_point(|entry| (entry.subject, usize::from(entry.step)) < (ordinal, first_step));
        let of_it = self.entries[from..].partition_point(|entry| entry.subject == ordinal);
        self.net(&self.entries[from..from + of_it], dataset, &mut Vec::new())
    }

    /// Number of entries, which a page takes longer to find the more there are.
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// The net difference that all steps from `first_step` on make up, in the order of [`ChangePage::changes`].
    fn changes<'a>(&'a self, first_step: usize, dataset: &'a Dataset) -> impl Iterator<Item = Change<'a>> {
        self.changes_from(0, first_step, dataset).filter_map(|(_, change)| change)
    }

    /// The same from the entry `start` on, which is 0 or what came with a change: for each shipment with entries the
    /// index of the one after them, and its net change, if it has one.
    pub fn changes_from<'a>(
        &'a self,
        start: usize,
        first_step: usize,
        dataset: &'a Dataset,
    ) -> impl Iterator<Item = (usize, Option<Change<'a>>)> {
        let (mut scratch, mut end) = (Vec::new(), start);
        self.entries[start..].chunk_by(|a, b| a.subject == b.subject).map(move |of_one| {
            end += of_one.len();
            let before = of_one.partition_point(|entry| usize::from(entry.step) < first_step);
            (end, self.net(&of_one[before..], dataset, &mut scratch))
        })
    }

    /// What the `entries` of one shipment make up.
    fn net<'a>(&'a self, entries: &[Entry], dataset: &'a Dataset, scratch: &mut Vec<u8>) -> Option<Change<'a>> {
        let (first, last) = (entries.first()?, entries.last()?);
        let step = &self.steps[usize::from(first.step)].step;
        let previous_status = (first.kind != Kind::Added).then(|| step.status(first.before));
        if first.subject >= GONE {
            let previous_status = Some(previous_status?);
            let step = &self.steps[usize::from(last.step)].step;
            let (number, carrier) = step.removed_name(step.removed_of_entry(last.before));
            let (kind, members) = (Kind::Removed, Members::default());
            return Some(Change { kind, carrier, number, status: None, previous_status, members });
        }
        let record = dataset.at(first.subject);
        let (carrier, number, status) = (record.escaped_carrier(), record.escaped_number(), record.escaped_status());
        let change = |kind, members| Change { kind, carrier, number, status: Some(status), previous_status, members };
        if previous_status.is_none() {
            return Some(change(Kind::Added, Members::default()));
        }
        let members = if entries.len() == 1 { first.members } else { step.differing(first.before, &record, scratch) };
        (!members.is_empty()).then(|| change(Kind::Changed, members))
    }
}
