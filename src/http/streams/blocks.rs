//! Blocks of events, rendered once for all streams of a thread that read the same.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::events;
use crate::changes::{ChangeFilter, ChangeLog};
use crate::http::budget::Budget;
use crate::store::Snapshot;

/// Bytes of events after which a block ends.
const BLOCK_BYTES: usize = 16 << 10;
/// Changes that are looked at for one block.
const BLOCK_CHANGES_MAX: usize = 500;
/// To look at a change takes as long as to tell so many bytes.
const CHANGE_BYTES: usize = 64;
/// Bytes of the blocks that are kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// What a stream tells of: a filter, and its text, by which others with the same one are known.
pub(crate) struct Selection {
    pub(crate) filter: Rc<ChangeFilter>,
    pub(crate) text: Rc<str>,
}

/// The place of a block in what is told after a publication.
#[derive(PartialEq, Eq)]
pub(super) struct Place {
    /// That of the snapshot whose changes are told.
    pub(super) generation: u64,
    /// The first step of the changes.
    pub(super) first_step: usize,
    /// Index of the entry that the block begins with.
    pub(super) start: usize,
}

/// A block of events.
#[derive(Clone)]
pub(super) struct Block {
    /// The events. There may be none, though more follow.
    pub(super) bytes: Bytes,
    /// Their number.
    pub(super) count: u64,
    /// Where the next block begins; `None` after the last one.
    pub(super) next: Option<usize>,
}

/// The blocks that were rendered last.
#[derive(Default)]
pub(super) struct Blocks {
    kept: RefCell<VecDeque<(Place, Rc<str>, Block)>>,
    kept_bytes: Cell<usize>,
    /// Work that was done and not taken account of, in bytes that take as long to be told.
    work: Cell<usize>,
}

impl Blocks {
    /// The block at `place`, of what `selection` has of the changes up to `snapshot` that `log` has. `budget` counts its
    /// memory.
    pub(super) fn get(
        &self,
        place: Place,
        selection: &Selection,
        snapshot: &Snapshot,
        log: &ChangeLog,
        budget: &Arc<Budget>,
    ) -> Block {
        let is_it = |(of, text, _): &&(Place, Rc<str>, Block)| *of == place && *text == selection.text;
        if let Some((.., block)) = self.kept.borrow().iter().find(is_it) {
            return block.clone();
        }
        let (block, looked_at) = render(&place, &selection.filter, snapshot, log, budget);
        self.work.set(self.work.get() + looked_at * CHANGE_BYTES);
        self.keep(place, Rc::clone(&selection.text), block.clone());
        block
    }

    fn keep(&self, place: Place, text: Rc<str>, block: Block) {
        let mut kept = self.kept.borrow_mut();
        self.kept_bytes.set(self.kept_bytes.get() + block.memory_bytes());
        kept.push_back((place, text, block));
        while self.kept_bytes.get() > KEPT_BYTES_MAX
            && let Some((.., oldest)) = kept.pop_front()
        {
            self.kept_bytes.set(self.kept_bytes.get() - oldest.memory_bytes());
        }
    }

    /// The work since this was asked before, in bytes that take as long to be told.
    pub(super) fn take_work(&self) -> usize {
        self.work.take()
    }

    /// Forgets all blocks.
    pub(super) fn clear(&self) {
        self.kept.borrow_mut().clear();
        self.kept_bytes.set(0);
    }
}

impl Block {
    fn memory_bytes(&self) -> usize {
        size_of::<(Place, Rc<str>, Block)>() + self.bytes.len()
    }
}

/// The block, and how many changes were looked at for it.
fn render(
    place: &Place,
    filter: &ChangeFilter,
    snapshot: &Snapshot,
    log: &ChangeLog,
    budget: &Arc<Budget>,
) -> (Block, usize) {
    let (mut out, mut count, mut looked_at, mut next) = (Vec::new(), 0, 0, None);
    for (end, change) in log.changes_from(place.start, place.first_step, &snapshot.dataset) {
        if out.len() >= BLOCK_BYTES || looked_at == BLOCK_CHANGES_MAX {
            break;
        }
        if let Some(change) = change.filter(|change| filter.matches(change)) {
            events::shipment(&mut out, &change);
            count += 1;
        }
        looked_at += 1;
        next = Some(end);
    }
    let next = next.filter(|next| *next < log.entry_count());
    (Block { bytes: budget.keep_made(out), count, next }, looked_at)
}
