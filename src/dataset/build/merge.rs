//! Merging the results of all blocks: file order, complete shipments, a complete index.
//!
//! Except for the postings, everything here runs on one thread, after all writers are done. Usually it touches only the
//! fragments that collided; all other records stay where they were written.

use std::collections::HashMap;

use super::Builder;
use super::block::{Block, Conflict, Fragment};
use super::encode;
use super::postings;
use crate::cancel::Cancel;
use crate::dataset::Dataset;
use crate::dataset::arena::{Arena, ArenaBuilder, ArenaError, ArenaWriter, Position};
use crate::dataset::index::{Fingerprint, IndexBuilder};
use crate::dataset::order::Order;
use crate::dataset::record::{Dictionaries, Record};
use crate::dataset::records::Records;
use crate::mutex;
use crate::shipment::{Column, FoldedKey};

/// Position of a record that was joined to another one, or left out.
const REMOVED: Position = Position(u32::MAX);
/// The records are compacted when more than one byte in so many is wasted.
const WASTE_SHARE: usize = 4;

impl Builder {
    /// Puts the blocks in file order, resolves collisions of fingerprints, and freezes the result.
    ///
    /// `columns` are those that must be equal in all rows of a shipment, in file order. Rows that contradict their
    /// shipment are left out and passed to `on_conflict`, in no particular order.
    pub fn finish(self, columns: [Column; 3], on_conflict: &mut dyn FnMut(Conflict)) -> Result<Dataset, ArenaError> {
        let mut blocks = mutex::into_inner(self.blocks);
        blocks.sort_unstable_by_key(|block| block.number);
        let huge_pages = self.arena.huge_pages();
        let mut merge = Merge {
            dictionaries: self.dictionaries.finish(),
            arena: self.arena.finish(),
            articles: blocks.iter().map(|block| u64::from(block.row_count)).sum(),
            blocks,
            lines: HashMap::new(),
            index: self.index.into_inner().unwrap_or_else(|| IndexBuilder::new(0)),
            columns,
            huge_pages,
            threads: self.threads,
            wasted_bytes: 0,
            cancel: self.cancel,
        };
        let mut collisions = mutex::into_inner(self.collisions);
        merge.number_by_rank(&mut collisions);
        merge.add_first_inserted(&mut collisions);
        let resolved = merge.resolve(&collisions, on_conflict)?;
        merge.compact()?;
        merge.freeze(&resolved)
    }
}

struct Merge {
    dictionaries: Dictionaries,
    arena: Arena,
    blocks: Vec<Block>,
    /// Lines of rows in blocks with conflicts.
    lines: HashMap<usize, Vec<Vec<u32>>>,
    index: IndexBuilder,
    columns: [Column; 3],
    articles: u64,
    huge_pages: bool,
    /// Number of threads that find the postings.
    threads: usize,
    /// Size of the records that nothing refers to any more.
    wasted_bytes: usize,
    cancel: Cancel,
}

/// Shipments with equal fingerprints, each as its first fragment, in file order.
type Resolved = Vec<(Fingerprint, Vec<Fragment>)>;

impl Merge {
    fn record(&self, fragment: Fragment) -> Record<'_> {
        let position = self.blocks[fragment.block as usize].positions[fragment.at as usize];
        Record::new(self.arena.at(position), &self.dictionaries)
    }

    fn place(&mut self, fragment: Fragment, position: Position) {
        self.wasted_bytes += self.record(fragment).encoded().len();
        self.blocks[fragment.block as usize].positions[fragment.at as usize] = position;
    }

    /// Replaces the fragments' block indices by ranks among the blocks that have rows.
    fn number_by_rank(&self, collisions: &mut [Fragment]) {
        for collision in collisions {
            collision.block = self.blocks.partition_point(|block| block.number < collision.block) as u32;
        }
    }

    /// Adds the fragments that were inserted first, with which the others collided. They are the first in time, not
    /// necessarily in the file.
    fn add_first_inserted(&self, collisions: &mut Vec<Fragment>) {
        // A segment belongs to one writer, so blocks do not interleave in it, but a block may continue in the next
        // segment.
        let mut starts: Vec<(Position, u32)> = (0..)
            .zip(&self.blocks)
            .flat_map(|(rank, block)| {
                let parts = block.positions.chunk_by(|a, b| a.segment() == b.segment());
                parts.map(move |part| (part[0], rank))
            })
            .collect();
        starts.sort_unstable();
        collisions.sort_unstable();
        let first_inserted: Vec<Fragment> = collisions
            .chunk_by(|a, b| a.fingerprint == b.fingerprint)
            .filter_map(|group| {
                let fingerprint = group[0].fingerprint;
                let position = self.index.first(fingerprint)?;
                let after = starts.partition_point(|(start, _)| *start <= position);
                let (_, block) = starts[after.checked_sub(1)?];
                let at = self.blocks[block as usize].find(position)?;
                Some(Fragment { fingerprint, block, at })
            })
            .collect();
        collisions.extend(first_inserted);
        collisions.sort_unstable();
    }

    /// Separates the shipments of each fingerprint, joins the fragments of each, and leaves out conflicting ones.
    fn resolve(
        &mut self,
        collisions: &[Fragment],
        on_conflict: &mut dyn FnMut(Conflict),
    ) -> Result<Resolved, ArenaError> {
        let mut resolved = Resolved::new();
        let mut fragmented: Vec<Vec<Fragment>> = Vec::new();
        for group in collisions.chunk_by(|a, b| a.fingerprint == b.fingerprint) {
            self.cancel.check()?;
            let shipments = self.shipments_of(group, on_conflict);
            let firsts = shipments.iter().filter_map(|fragments| fragments.first().copied()).collect();
            resolved.push((group[0].fingerprint, firsts));
            fragmented.extend(shipments.into_iter().filter(|fragments| fragments.len() > 1));
        }
        self.join(fragmented)?;
        Ok(resolved)
    }

    /// Joins the fragments of each shipment to one record, in new segments, which are in file order like all others.
    fn join(&mut self, mut shipments: Vec<Vec<Fragment>>) -> Result<(), ArenaError> {
        shipments.sort_unstable_by_key(|fragments| (fragments[0].block, fragments[0].at));
        let joined = ArenaBuilder::after(&self.arena, self.huge_pages);
        let mut writer = ArenaWriter::new(&joined);
        let mut positions = Vec::with_capacity(shipments.len());
        for fragments in &shipments {
            self.cancel.check()?;
            let records: Vec<Record<'_>> = fragments.iter().map(|fragment| self.record(*fragment)).collect();
            positions.push(writer.push(&[&encode::join(&records)])?);
        }
        for (fragments, position) in shipments.iter().zip(positions) {
            self.place(fragments[0], position);
            for later in &fragments[1..] {
                self.place(*later, REMOVED);
            }
        }
        drop(writer);
        self.arena.append(joined.finish());
        Ok(())
    }

    /// Groups the fragments by shipment. `group` is in file order.
    fn shipments_of(&mut self, group: &[Fragment], on_conflict: &mut dyn FnMut(Conflict)) -> Vec<Vec<Fragment>> {
        let mut shipments: Vec<Vec<Fragment>> = Vec::new();
        let mut by_key: HashMap<(FoldedKey, Vec<u8>), usize> = HashMap::new();
        for &fragment in group {
            let record = self.record(fragment);
            let key = (record.folded_number(), record.folded_carrier().to_vec());
            let known = *by_key.entry(key).or_insert(shipments.len());
            let Some(fragments) = shipments.get_mut(known) else {
                shipments.push(vec![fragment]);
                continue;
            };
            match self.record(fragments[0]).first_difference(&record, &self.columns) {
                None => fragments.push(fragment),
                Some(column) => {
                    let block = fragment.block as usize;
                    let lines = self.lines.entry(block).or_insert_with(|| self.blocks[block].lines());
                    let lines = &lines[fragment.at as usize];
                    self.articles -= lines.len() as u64;
                    for line in lines {
                        on_conflict(Conflict { block: self.blocks[block].number, line: *line, column });
                    }
                    self.place(fragment, REMOVED);
                }
            }
        }
        shipments
    }

    /// Copies the live records to a new arena, in file order, if too much of this one is wasted.
    fn compact(&mut self) -> Result<(), ArenaError> {
        if self.wasted_bytes * WASTE_SHARE <= self.arena.used_bytes() {
            return Ok(());
        }
        let fresh = ArenaBuilder::new(self.huge_pages);
        let mut writer = ArenaWriter::new(&fresh);
        for position in self.blocks.iter_mut().flat_map(|block| &mut block.positions) {
            self.cancel.check()?;
            if *position != REMOVED {
                let record = Record::new(self.arena.at(*position), &self.dictionaries);
                *position = writer.push(&[record.encoded()])?;
                self.index.assign(Fingerprint::of(&record.folded_number()), *position);
            }
        }
        drop(writer);
        self.arena = fresh.finish();
        Ok(())
    }

    fn freeze(mut self, resolved: &Resolved) -> Result<Dataset, ArenaError> {
        let mut positions = Vec::new();
        for (fingerprint, firsts) in resolved {
            positions.clear();
            positions.extend(firsts.iter().map(|first| self.blocks[first.block as usize].positions[first.at as usize]));
            self.index.assign_all(*fingerprint, &positions, |position| {
                Record::new(self.arena.at(position), &self.dictionaries).pair_hash()
            });
        }
        let carriers = self.carriers();
        let live = |position: &Position| *position != REMOVED;
        let shipments = self.blocks.iter().flat_map(|block| &block.positions).copied().filter(live).count();
        let mut order = Vec::with_capacity(shipments);
        for block in self.blocks {
            order.extend(block.positions.into_iter().filter(live));
        }
        let records = Records {
            arena: self.arena,
            order: Order::new(order),
            index: self.index.finish(),
            dictionaries: self.dictionaries,
            articles: self.articles,
            carriers,
        };
        let postings = postings::find(&records, self.threads, &self.cancel)?;
        Ok(Dataset { records, postings })
    }

    /// Carriers as their first rows spell them, in the order of these rows.
    fn carriers(&self) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        self.blocks
            .iter()
            .flat_map(|block| &block.carriers)
            .filter(|id| seen.insert(self.dictionaries.folded_carrier(**id)))
            .map(|id| self.dictionaries.carrier(*id).into_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shipment::Row;

    /// A shipment in two fragments.
    fn builder(cancel: &Cancel) -> Builder {
        let builder = Builder::new(1 << 10, 1).with_cancel(cancel.clone());
        let mut writer = builder.writer();
        for block in 0..2 {
            let row = Row {
                tracking_number: "TN1",
                carrier: "DHL",
                article_quantity: "1",
                article_price: "1",
                ..Row::default()
            };
            assert!(writer.row(0, &row).unwrap());
            writer.end_block(block, 1 << 9, 1 << 10).unwrap();
        }
        drop(writer);
        builder
    }

    #[test]
    fn a_cancelled_merge_has_no_result_nor_has_a_comparison() {
        let cancel = Cancel::default();
        let dataset = builder(&cancel).finish(Column::SHARED, &mut |_| ()).unwrap();
        assert!(dataset.changes_since(&dataset, &cancel).is_ok());
        cancel.cancel();
        assert!(matches!(builder(&cancel).finish(Column::SHARED, &mut |_| ()), Err(ArenaError::Cancelled(_))));
        assert!(dataset.changes_since(&dataset, &cancel).is_err());
    }
}
