//! Writing all records anew, in file order, where many shipments were in parts: on all threads, round by round, so that
//! what was written before goes meanwhile.

use std::ops::Range;
use std::sync::Mutex;

use super::account::Gauge;
use super::block::{Link, REMOVED};
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

impl Merge {
    /// Writes all records to a new arena, and joins the fragments of each shipment meanwhile.
    pub(super) fn rewrite(
        &mut self,
        links: &[Link],
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
        let mut is_later: Vec<Vec<bool>> = self.blocks.iter().map(|block| vec![false; block.positions.len()]).collect();
        for Link { later: (block, at), .. } in links {
            is_later[*block as usize][*at as usize] = true;
        }
        let writers: Vec<_> = (0..self.threads).map(|_| Mutex::new(ArenaWriter::new(&fresh))).collect();
        let round = ROUND_BLOCKS * writers.len();
        for start in (0..self.blocks.len()).step_by(round) {
            let end = self.blocks.len().min(start + round);
            // Here, since a thread that ends would leave its allocator's memory behind.
            let mut positions: Vec<Vec<Position>> =
                self.blocks[start..end].iter().map(|block| block.positions.clone()).collect();
            let parts: Vec<_> = positions.chunks_mut(ROUND_BLOCKS).map(Mutex::new).collect();
            let (merge, old_records, is_later) = (&*self, &old, &is_later[..]);
            let written = in_parallel(writers.len(), parts.len(), || {
                |task: usize| {
                    let (mut writer, mut positions) = (mutex::lock(&writers[task]), mutex::lock(&parts[task]));
                    let first = start + task * ROUND_BLOCKS;
                    merge.rewrite_blocks(first, &mut positions, links, is_later, old_records, &mut writer)
                }
            });
            drop(parts);
            written.into_iter().collect::<Result<(), _>>()?;
            for link in of_blocks(links, start..end) {
                old.take(self.position(link.later));
            }
            for (block, positions) in (start..).zip(positions) {
                let before = self.blocks[block].positions.iter().zip(&positions);
                before.filter(|(_, now)| **now != REMOVED).for_each(|(before, _)| old.take(*before));
                self.blocks[block].positions = positions;
            }
            let written_bytes: usize = writers.iter().map(|writer| mutex::lock(writer).used_bytes()).sum();
            gauge.set(old.used_bytes() + written_bytes, &self.account)?;
            check()?;
        }
        drop(writers);
        self.arena = fresh.finish();
        Ok(())
    }

    /// Writes the records of the blocks from `first_block` on, of which `positions` are, without later fragments, and puts
    /// their new ones there.
    fn rewrite_blocks(
        &self,
        first_block: usize,
        positions: &mut [Vec<Position>],
        links: &[Link],
        is_later: &[Vec<bool>],
        old: &DrainedArena,
        writer: &mut ArenaWriter<'_>,
    ) -> Result<(), ArenaError> {
        let blocks = first_block..first_block + positions.len();
        let mut shipments = of_blocks(links, blocks.clone()).chunk_by(|a, b| a.first == b.first).peekable();
        let mut fragments = Vec::new();
        let mut rewrite = |block: usize, at: u32, position: Position| {
            if position == REMOVED || is_later[block][at as usize] {
                return Ok(REMOVED);
            }
            let first = old.at(position);
            let record = record_of(first, |position| old.at(position));
            let position = match shipments.next_if(|links| links[0].first == (block as u32, at)) {
                None => writer.push(&[whole(record)])?,
                Some(links) => {
                    fragments.clear();
                    fragments.push(first);
                    fragments.extend(links.iter().map(|link| old.at(self.position(link.later))));
                    encode::join(head_of(record), &fragments, writer)?
                }
            };
            let number = Record::new(record, &self.dictionaries).folded_number();
            self.index.assign(Fingerprint::of(&number), position);
            Ok::<_, ArenaError>(position)
        };
        for (block, positions) in blocks.zip(positions) {
            self.cancel.check()?;
            for (at, position) in (0..).zip(positions) {
                *position = rewrite(block, at, *position)?;
            }
        }
        Ok(())
    }
}

/// The links of shipments that begin in these blocks.
fn of_blocks(links: &[Link], blocks: Range<usize>) -> &[Link] {
    let at = |block: usize| links.partition_point(|link| (link.first.0 as usize) < block);
    &links[at(blocks.start)..at(blocks.end)]
}
