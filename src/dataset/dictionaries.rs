//! Dictionaries of a dataset.

use std::borrow::Cow;

use super::dictionary::Dictionary;
use super::stages::Stages;
use crate::json::unescape;
use crate::shipment::FoldedKey;
use crate::stages::Stage;

/// Dictionaries of the values that records name by id.
pub(super) struct Dictionaries {
    pub(super) carriers: Dictionary,
    pub(super) folded_carriers: Dictionary,
    /// Statuses as they are rendered: with stages, each has its stage behind it.
    pub(super) statuses: Dictionary,
    /// Stages of `statuses`, where a status map tells them.
    stages: Option<Stages>,
    pub(super) tails: Dictionary,
    pub(super) names: Dictionary,
}

impl Dictionaries {
    pub(super) fn new(
        carriers: Dictionary,
        statuses: Dictionary,
        stages: Option<Stages>,
        tails: Dictionary,
        names: Dictionary,
    ) -> Self {
        let mut folded_carriers = Dictionary::default();
        for id in 0..carriers.len() {
            folded_carriers.push(FoldedKey::new(&unescape(carriers.get(id as u32))).as_bytes());
        }
        Dictionaries { carriers, folded_carriers, statuses, stages, tails, names }
    }

    pub(super) fn bytes(&self) -> usize {
        [&self.carriers, &self.folded_carriers, &self.statuses, &self.tails, &self.names]
            .into_iter()
            .map(Dictionary::bytes)
            .sum::<usize>()
            + self.stages.as_ref().map_or(0, Stages::bytes)
    }

    /// Most bytes that a record's head takes from dictionaries, and most that the name of an article does.
    pub(super) fn longest(&self) -> (usize, usize) {
        let Dictionaries { carriers, statuses, tails, names, .. } = self;
        (carriers.longest() + statuses.longest() + 2 * tails.longest(), names.longest())
    }

    pub(super) fn carrier(&self, id: u32) -> Cow<'_, str> {
        unescape(self.carriers.get(id))
    }

    pub(super) fn status(&self, id: u32) -> Cow<'_, str> {
        unescape(self.escaped_status(id))
    }

    /// A status without its stage, JSON-escaped.
    pub(super) fn escaped_status(&self, id: u32) -> &[u8] {
        let rendered = self.statuses.get(id);
        match &self.stages {
            Some(stages) => stages.before(id, rendered),
            None => rendered,
        }
    }

    /// Stage of a status; `None` without stages.
    pub(super) fn stage(&self, id: u32) -> Option<Stage> {
        self.stages.as_ref().map(|stages| stages.of(id))
    }

    /// True if statuses have stages.
    pub(super) fn has_stages(&self) -> bool {
        self.stages.is_some()
    }

    pub(super) fn carriers(&self) -> impl Iterator<Item = Cow<'_, str>> {
        (0..self.carriers.len() as u32).map(|id| self.carrier(id))
    }

    pub(super) fn statuses(&self) -> impl Iterator<Item = Cow<'_, str>> {
        (0..self.statuses.len() as u32).map(|id| self.status(id))
    }

    /// Stages of all statuses; none without stages.
    pub(super) fn stages(&self) -> impl Iterator<Item = Stage> {
        self.stages.iter().flat_map(Stages::iter)
    }

    pub(super) fn tails(&self) -> impl Iterator<Item = Cow<'_, str>> {
        (0..self.tails.len() as u32).map(|id| unescape(self.tails.get(id)))
    }

    pub(super) fn folded_carrier(&self, id: u32) -> &[u8] {
        self.folded_carriers.get(id)
    }
}
