//! Merging the results of all blocks: file order, complete shipments, a complete index.
//!
//! All of it runs after all writers are done. Usually it touches only the fragments that collided; all other records stay
//! where they were written.

use std::sync::Arc;

use super::Builder;
use super::account::Account;
use super::block::{Block, Conflict, Fragment, Link, Place, REMOVED, Resolved};
use super::encode::{self, record_of};
use super::postings;
use super::sort;
use crate::cancel::Cancel;
use crate::dataset::Dataset;
use crate::dataset::arena::{Arena, ArenaBuilder, ArenaError, ArenaWriter, Position};
use crate::dataset::dictionaries::Dictionaries;
use crate::dataset::index::{Fingerprint, IndexBuilder};
use crate::dataset::order::Order;
use crate::dataset::record::{Record, head_of};
use crate::dataset::records::Records;
use crate::mutex;
use crate::shipment::Column;

/// Memory of a carrier's spelling in the list of carriers, and of what finds the first one.
const CARRIER_BYTES: usize = 2 * size_of::<String>();
/// Memory that resolving a collision takes at least.
const COLLISION_BYTES: u64 = (size_of::<Fragment>() + size_of::<Link>()) as u64;
/// All records are written anew, in file order, if more than one byte in so many would be wasted otherwise.
const WASTE_SHARE: usize = 4;

impl Builder {
    /// Puts the blocks in file order, resolves collisions of fingerprints, and freezes the result.
    ///
    /// `columns` are those that must be equal in all rows of a shipment, in file order. Rows that contradict their
    /// shipment are left out and passed to `on_conflict`, in no particular order. `watch` is called now and then with the
    /// memory that is still to be taken, at least; it may cancel the build.
    pub fn finish(
        self,
        columns: [Column; 3],
        on_conflict: &mut dyn FnMut(Conflict<'_>),
        watch: &mut dyn FnMut(u64),
    ) -> Result<Dataset, ArenaError> {
        let finish_bytes = self.finish_bytes();
        let cancel = self.cancel.clone();
        let mut check = |bytes: u64| {
            watch(finish_bytes.max(bytes));
            cancel.check()
        };
        let mut blocks = mutex::into_inner(self.blocks);
        blocks.sort_unstable_by_key(|block| block.number);
        let huge_pages = self.arena.huge_pages();
        let mut merge = Merge {
            dictionaries: self.dictionaries.finish(),
            arena: self.arena.finish(),
            articles: blocks.iter().map(|block| u64::from(block.row_count)).sum(),
            blocks,
            index: self.index.into_inner().unwrap_or_else(|| IndexBuilder::new(0)),
            columns,
            huge_pages,
            threads: self.threads,
            account: self.account,
            threads_bytes: self.writers_bytes.into_inner(),
            rewritten_bytes: 0,
            cancel: self.cancel,
        };
        let parts = mutex::into_inner(self.collisions);
        let collided: u64 = parts.iter().map(|part| part.len() as u64).sum();
        check(collided * COLLISION_BYTES)?;
        let Resolved { links, shared, joined_bytes } = merge.resolve(parts, on_conflict)?;
        for block in &mut merge.blocks {
            block.forget_lines();
        }
        if merge.wastes(joined_bytes) {
            merge.rewrite(&links, &mut || check(0))?;
        } else {
            merge.join(&links)?;
        }
        drop(links);
        check(0)?;
        merge.freeze(&shared)
    }
}

pub(super) struct Merge {
    pub(super) dictionaries: Dictionaries,
    pub(super) arena: Arena,
    pub(super) blocks: Vec<Block>,
    pub(super) index: IndexBuilder,
    pub(super) columns: [Column; 3],
    pub(super) articles: u64,
    pub(super) huge_pages: bool,
    /// Number of threads that resolve collisions, sort by number and find the postings.
    pub(super) threads: usize,
    pub(super) account: Arc<Account>,
    /// Memory that the writers have taken for themselves.
    pub(super) threads_bytes: u64,
    /// Size of the fragments that nothing refers to any more.
    pub(super) rewritten_bytes: usize,
    pub(super) cancel: Cancel,
}

impl Merge {
    pub(super) fn position(&self, (block, at): Place) -> Position {
        self.blocks[block as usize].positions[at as usize]
    }

    fn set_position(&mut self, (block, at): Place, position: Position) {
        self.blocks[block as usize].positions[at as usize] = position;
    }

    /// Returns whether joining fragments of so many bytes beside the others would waste much memory.
    fn wastes(&self, joined_bytes: usize) -> bool {
        (self.rewritten_bytes + joined_bytes) * WASTE_SHARE > self.arena.used_bytes()
    }

    /// Joins the fragments of each shipment to one record, in new segments, which are in file order like all others.
    fn join(&mut self, links: &[Link]) -> Result<(), ArenaError> {
        let joined = ArenaBuilder::after(&self.arena, self.huge_pages);
        let mut writer = ArenaWriter::new(&joined);
        for links in of_shipments(links) {
            self.cancel.check()?;
            let first = links[0].first;
            let places = std::iter::once(first).chain(links.iter().map(|link| link.later));
            let fragments: Vec<&[u8]> = places.map(|place| self.arena.at(self.position(place))).collect();
            let record = record_of(fragments[0], |position| self.arena.at(position));
            let position = encode::join(head_of(record), &fragments, &mut writer)?;
            let number = Record::new(record, &self.dictionaries).folded_number();
            self.index.assign(Fingerprint::of(&number), position);
            self.set_position(first, position);
            for link in links {
                self.set_position(link.later, REMOVED);
            }
        }
        self.account.take(writer.used_bytes() as u64)?;
        drop(writer);
        self.arena.append(joined.finish());
        Ok(())
    }

    fn freeze(mut self, shared: &[Fragment]) -> Result<Dataset, ArenaError> {
        let mut positions = Vec::new();
        for firsts in shared.chunk_by(|a, b| a.fingerprint == b.fingerprint) {
            positions.clear();
            positions.extend(firsts.iter().map(|first| self.position(first.place())));
            self.index.assign_all(firsts[0].fingerprint, &positions, |position| {
                Record::new(self.arena.at(position), &self.dictionaries).pair_hash()
            });
        }
        let named: usize = self.blocks.iter().map(|block| block.carriers.len()).sum();
        self.account.take((named.min(self.dictionaries.carriers().count()) * CARRIER_BYTES) as u64)?;
        let carriers = self.carriers();
        let live = |position: &Position| *position != REMOVED;
        let shipments = self.blocks.iter().flat_map(|block| &block.positions).copied().filter(live).count();
        self.account.take((shipments * size_of::<Position>()) as u64)?;
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
        let numbers = sort::by_number(&records, self.threads, &self.account, &self.cancel)?;
        let postings = postings::find(&records, self.threads, &self.account, &self.cancel)?;
        Ok(Dataset { records, numbers, postings })
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

/// The links of each shipment.
fn of_shipments(links: &[Link]) -> impl Iterator<Item = &[Link]> {
    links.chunk_by(|a, b| a.first == b.first)
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
        let dataset = builder(&cancel).finish(Column::SHARED, &mut |_| (), &mut |_| ()).unwrap();
        assert!(dataset.changes_since(&dataset, 1, &cancel).is_ok());
        cancel.cancel();
        assert!(matches!(
            builder(&cancel).finish(Column::SHARED, &mut |_| (), &mut |_| ()),
            Err(ArenaError::Cancelled(_))
        ));
        assert!(dataset.changes_since(&dataset, 1, &cancel).is_err());
    }

    #[test]
    fn who_watches_a_merge_can_cancel_it() {
        let cancel = Cancel::default();
        let result = builder(&cancel).finish(Column::SHARED, &mut |_| (), &mut |_| cancel.cancel());
        assert!(matches!(result, Err(ArenaError::Cancelled(_))));
    }
}
