//! Writing all records anew, in file order, where many shipments were in parts: on all threads, round by round, so that
//! what was written before goes meanwhile.

use std::ops::Range;
use std::sync::Mutex;

use super::account::Gauge;
use super::block::{Link, Place, REMOVED};
use super::encode::{self, record_of};
use super::merge::Merge;
use super::posting_lists::in_parallel;
use crate::cancel::Cancelled;
use crate::dataset::arena::{ArenaBuilder, ArenaError, ArenaWriter, DrainedArena, Position};
use crate::dataset::index::Fingerprint;
use crate::dataset::record::{Record, head_of, whole};
use crate::mutex;

/// Blocks of each thread in a round.
const ROUND_BLOCKS: usize = 4;
/// Number of fragments that take about as long to join as the allocator keeps what is free.
const LINKS_OF_A_SECOND: usize = 1_000_000;

/// A later fragment of a shipment, ordered by the shipment's first one, then as in the file.
struct Later {
    first: Place,
    position: Position,
}

impl Merge {
    /// Writes all records to a new arena, and joins the fragments of each shipment meanwhile.
    pub(super) fn rewrite(
        &mut self,
        links: Vec<Link>,
        check: &mut dyn FnMut() -> Result<(), Cancelled>,
    ) -> Result<(), ArenaError> {
        let fresh = ArenaBuilder::new(self.huge_pages);
        let live = self.blocks.iter().flat_map(|block| &block.positions).copied().filter(|at| *at != REMOVED);
        let mut gauge = Gauge::counted(self.arena.used_bytes());
        let mut old = DrainedArena::new(std::mem::take(&mut self.arena), live);
        if links.len() >= LINKS_OF_A_SECOND {
            // By then the allocator has given it back.
            self.account.give_back(self.threads_bytes);
        }
        let remove = |Link { first, later }| Later { first, position: self.remove(later) };
        let later: Vec<Later> = links.into_iter().map(remove).collect();
        let writers: Vec<_> = (0..self.threads).map(|_| Mutex::new(ArenaWriter::new(&fresh))).collect();
        let round = ROUND_BLOCKS * writers.len();
        for start in (0..self.blocks.len()).step_by(round) {
            let end = self.blocks.len().min(start + round);
            let blocks_of = |task| {
                let start = start + task * ROUND_BLOCKS;
                start..end.min(start + ROUND_BLOCKS)
            };
            let (merge, old_records, later) = (&*self, &old, &later[..]);
            let tasks = (end - start).div_ceil(ROUND_BLOCKS);
            let written = in_parallel(writers.len(), tasks, || {
                |task: usize| {
                    let mut writer = mutex::lock(&writers[task]);
                    merge.rewrite_blocks(blocks_of(task), later, old_records, &mut writer)
                }
            });
            let written: Vec<_> = written.into_iter().collect::<Result<_, _>>()?;
            for (block, positions) in (start..).zip(written.into_iter().flatten()) {
                let before = std::mem::replace(&mut self.blocks[block].positions, positions);
                before.into_iter().filter(|at| *at != REMOVED).for_each(|at| old.take(at));
            }
            for later in of_blocks(later, start..end) {
                old.take(later.position);
            }
            let written_bytes: usize = writers.iter().map(|writer| mutex::lock(writer).used_bytes()).sum();
            gauge.set(old.used_bytes() + written_bytes, &self.account)?;
            check()?;
        }
        drop(writers);
        self.arena = fresh.finish();
        Ok(())
    }

    /// Removes the fragment there from its block. Returns its position.
    fn remove(&mut self, (block, at): Place) -> Position {
        std::mem::replace(&mut self.blocks[block as usize].positions[at as usize], REMOVED)
    }

    /// Writes the records of some blocks. Returns their positions, block by block.
    fn rewrite_blocks(
        &self,
        blocks: Range<usize>,
        later: &[Later],
        old: &DrainedArena,
        writer: &mut ArenaWriter<'_>,
    ) -> Result<Vec<Vec<Position>>, ArenaError> {
        let mut shipments = of_blocks(later, blocks.clone()).chunk_by(|a, b| a.first == b.first).peekable();
        let mut fragments = Vec::new();
        let mut rewrite = |place: Place, position: Position| {
            if position == REMOVED {
                return Ok(REMOVED);
            }
            let first = old.at(position);
            let record = record_of(first, |position| old.at(position));
            let position = match shipments.next_if(|later| later[0].first == place) {
                None => writer.push(&[whole(record)])?,
                Some(later) => {
                    fragments.clear();
                    fragments.push(first);
                    fragments.extend(later.iter().map(|later| old.at(later.position)));
                    encode::join(head_of(record), &fragments, writer)?
                }
            };
            let number = Record::new(record, &self.dictionaries).folded_number();
            self.index.assign(Fingerprint::of(&number), position);
            Ok(position)
        };
        blocks
            .map(|block| {
                self.cancel.check()?;
                let positions = (0..).zip(&self.blocks[block].positions);
                positions.map(|(at, position)| rewrite((block as u32, at), *position)).collect()
            })
            .collect()
    }
}

/// The later fragments of shipments that begin in these blocks.
fn of_blocks(later: &[Later], blocks: Range<usize>) -> &[Later] {
    let at = |block: usize| later.partition_point(|later| (later.first.0 as usize) < block);
    &later[at(blocks.start)..at(blocks.end)]
}
