//! The end of a load: blocks in file order, shipments whole, the index complete.
//!
//! Everything here runs on one thread, after all writers are done, but for the postings. The common case touches only
//! the fragments that collided; the rest of the records stay where they were written.

use std::collections::HashMap;

use super::Builder;
use super::block::{Block, Conflict, Fragment};
use super::encode;
use super::postings;
use crate::dataset::Dataset;
use crate::dataset::arena::{Arena, ArenaBuilder, ArenaError, ArenaWriter, Position};
use crate::dataset::index::{Fingerprint, IndexBuilder};
use crate::dataset::order::Order;
use crate::dataset::record::{Dictionaries, Record};
use crate::dataset::records::Records;
use crate::mutex;
use crate::shipment::{Column, FoldedKey};

/// The place of a record that is part of another one, or left out.
const GONE: Position = Position(u32::MAX);
/// One part in this many may be waste before the records are copied together.
const WASTE_SHARE: usize = 4;

impl Builder {
    /// Puts the blocks in file order, resolves collisions of fingerprints, and freezes the result.
    ///
    /// `columns` are those that the rows of a shipment share, in the order of the file. Rows that contradict their
    /// shipment are left out and told to `on_conflict`, in no particular order.
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
    /// The lines of rows in blocks that have contradictions.
    lines: HashMap<usize, Vec<Vec<u32>>>,
    index: IndexBuilder,
    columns: [Column; 3],
    articles: u64,
    huge_pages: bool,
    /// Threads that find the postings.
    threads: usize,
    /// Bytes of records that nothing names any more.
    wasted_bytes: usize,
}

/// The shipments that share a fingerprint, each by its first fragment, in file order.
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

    /// Names the fragments' blocks by their rank among those that have rows.
    fn number_by_rank(&self, collisions: &mut [Fragment]) {
        for collision in collisions {
            collision.block = self.blocks.partition_point(|block| block.number < collision.block) as u32;
        }
    }

    /// Adds the fragments that the colliding ones collided with: those that were inserted first, in time, not in the
    /// file.
    fn add_first_inserted(&self, collisions: &mut Vec<Fragment>) {
        // Within a segment, which is one writer's, blocks do not interleave; but a block may go on in the next one.
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

    /// Tells the shipments of each fingerprint apart, joins the fragments of each, leaves out what contradicts.
    fn resolve(
        &mut self,
        collisions: &[Fragment],
        on_conflict: &mut dyn FnMut(Conflict),
    ) -> Result<Resolved, ArenaError> {
        let mut resolved = Resolved::new();
        let mut fragmented: Vec<Vec<Fragment>> = Vec::new();
        for group in collisions.chunk_by(|a, b| a.fingerprint == b.fingerprint) {
            let shipments = self.shipments_of(group, on_conflict);
            let firsts = shipments.iter().filter_map(|fragments| fragments.first().copied()).collect();
            resolved.push((group[0].fingerprint, firsts));
            fragmented.extend(shipments.into_iter().filter(|fragments| fragments.len() > 1));
        }
        self.join(fragmented)?;
        Ok(resolved)
    }

    /// Makes one record of each shipment's fragments, in segments of their own: as in all others, in file order.
    fn join(&mut self, mut shipments: Vec<Vec<Fragment>>) -> Result<(), ArenaError> {
        shipments.sort_unstable_by_key(|fragments| (fragments[0].block, fragments[0].at));
        let joined = ArenaBuilder::after(&self.arena, self.huge_pages);
        let mut writer = ArenaWriter::new(&joined);
        let mut positions = Vec::with_capacity(shipments.len());
        for fragments in &shipments {
            let records: Vec<Record<'_>> = fragments.iter().map(|fragment| self.record(*fragment)).collect();
            positions.push(writer.push(&[&encode::join(&records)])?);
        }
        for (fragments, position) in shipments.iter().zip(positions) {
            self.place(fragments[0], position);
            for later in &fragments[1..] {
                self.place(*later, GONE);
            }
        }
        drop(writer);
        self.arena.append(joined.finish());
        Ok(())
    }

    /// The fragments of each shipment among `group`, which is in file order.
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
                    self.place(fragment, GONE);
                }
            }
        }
        shipments
    }

    /// Copies the live records together, in file order, when too much of the arena is waste.
    fn compact(&mut self) -> Result<(), ArenaError> {
        if self.wasted_bytes * WASTE_SHARE <= self.arena.used_bytes() {
            return Ok(());
        }
        let fresh = ArenaBuilder::new(self.huge_pages);
        let mut writer = ArenaWriter::new(&fresh);
        for position in self.blocks.iter_mut().flat_map(|block| &mut block.positions) {
            if *position != GONE {
                let record = Record::new(self.arena.at(*position), &self.dictionaries);
                *position = writer.push(&[record.encoded()])?;
                self.index.assign(Fingerprint::of(&record.folded_number()), &[*position]);
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
            self.index.assign(*fingerprint, &positions);
        }
        let carriers = self.carriers();
        let live = |position: &Position| *position != GONE;
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
        let postings = postings::find(&records, self.threads)?;
        Ok(Dataset { records, postings })
    }

    /// The carriers, each as its first row spells it, in the order in which the file has them first.
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
