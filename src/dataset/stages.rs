//! Stages in a dataset: each status is in its dictionary together with its stage, as both are rendered. So a shipment takes
//! no more memory for its stage, and rendering it no more steps.

use super::dictionary::Dictionary;
use crate::json::escape;
use crate::stages::{Stage, StatusMap};

/// What is rendered between a status and its stage.
const BEFORE_STAGE: &[u8] = br#"","stage":""#;

/// Stages of the entries of a dictionary of statuses.
pub(super) struct Stages(Box<[Stage]>);

impl Stages {
    /// Finds the stages of all of `statuses`, which [`encode`] has written.
    pub(super) fn find(statuses: &Dictionary) -> Stages {
        Stages((0..statuses.len() as u32).map(|id| stage_behind(statuses.get(id))).collect())
    }

    /// Stage of the entry `id`.
    pub(super) fn of(&self, id: u32) -> Stage {
        self.0[id as usize]
    }

    /// Stages of all entries.
    pub(super) fn iter(&self) -> impl Iterator<Item = Stage> {
        self.0.iter().copied()
    }

    /// What is rendered of the entry `id` before its stage: the status.
    pub(super) fn before<'d>(&self, id: u32, rendered: &'d [u8]) -> &'d [u8] {
        &rendered[..rendered.len() - BEFORE_STAGE.len() - self.of(id).name().len()]
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.0[..])
    }
}

/// The stage behind a status: no name of a stage has quotes.
fn stage_behind(rendered: &[u8]) -> Stage {
    let start = memchr::memrchr(b'"', rendered).map_or(0, |quote| quote + 1);
    str::from_utf8(&rendered[start..]).ok().and_then(Stage::from_name).unwrap_or_default()
}

/// Writes the key of the dictionary's entry for a status of `carrier`: of carriers whose statuses mean the same, it is the
/// same.
pub(super) fn write_key(map: &StatusMap, carrier: &str, status: &str, key: &mut String) {
    key.clear();
    // There are far fewer tables than characters.
    key.push(char::from_u32(map.table(carrier)).unwrap_or_default());
    key.push_str(status);
}

/// Writes the entry of such a key: the status and its stage, JSON-escaped.
pub(super) fn encode(map: &StatusMap, key: &str, text: &mut Vec<u8>) {
    let mut status = key.chars();
    let table = status.next().map_or(0, u32::from);
    escape(status.as_str(), text);
    text.extend_from_slice(BEFORE_STAGE);
    text.extend_from_slice(map.stage_in(table, status.as_str()).unwrap_or_default().name().as_bytes());
}
