//! Resolving collisions of fingerprints: which fragments are of one shipment, and which contradict it.

use std::collections::HashMap;

use super::block::{Block, Conflict, ConflictDetails, Fragment, Link, Place, REMOVED, Resolved};
use super::encode::{Written, record_of};
use super::merge::Merge;
use crate::dataset::arena::ArenaError;
use crate::dataset::groups::hash_of_pair;
use crate::dataset::record::Record;
use crate::shipment::Column;

/// Fragments of one fingerprint up to which each is compared with all shipments before it.
const COMPARED_MAX: usize = 16;

/// Memory for each member of a group while its roles are found.
const MEMBER_BYTES: usize = size_of::<(u64, usize)>() + size_of::<Role>();

/// What a fragment is.
#[derive(Clone, Copy)]
enum Role {
    /// The first one of its shipment.
    First,
    /// A later one; with the index of the first in the group.
    Later(usize),
    /// It contradicts its shipment in this column; with the index of the first in the group.
    Conflict(usize, Column),
}

/// A fragment that contradicts its shipment.
struct Contradiction {
    place: Place,
    /// The shipment's first fragment.
    first: Place,
    column: Column,
}

impl Merge {
    /// Separates the shipments of each fingerprint, and leaves out conflicting fragments. `collisions` are sorted.
    pub(super) fn resolve(
        &mut self,
        collisions: Vec<Fragment>,
        on_conflict: &mut dyn FnMut(Conflict<'_>),
    ) -> Result<Resolved, ArenaError> {
        let groups = || collisions.chunk_by(|a, b| a.fingerprint == b.fingerprint);
        let largest = groups().map(<[Fragment]>::len).max().unwrap_or_default();
        self.account.take((largest * MEMBER_BYTES) as u64)?;
        // Memory is taken where it is written.
        let mut links = Vec::with_capacity(collisions.len());
        let mut shared = Vec::new();
        let mut conflicts = Vec::new();
        let mut roles = Vec::new();
        for group in groups() {
            self.cancel.check()?;
            self.find_roles(group, &mut roles);
            let before = shared.len();
            for (fragment, role) in group.iter().zip(&roles) {
                match role {
                    Role::First => shared.push(*fragment),
                    Role::Later(first) => links.push(Link { first: group[*first].place(), later: fragment.place() }),
                    Role::Conflict(first, column) => conflicts.push(Contradiction {
                        place: fragment.place(),
                        first: group[*first].place(),
                        column: *column,
                    }),
                }
            }
            if let [first] = shared[before..] {
                shared.pop();
                // In time, another one may have been the first.
                self.index.assign(first.fingerprint, self.position(first.place()));
            }
        }
        drop(collisions);
        self.account.take((size_of_val(&links[..]) + size_of_val(&shared[..])) as u64)?;
        links.sort_unstable();
        conflicts.sort_unstable_by_key(|conflict| conflict.place);
        for of_block in conflicts.chunk_by(|a, b| a.place.0 == b.place.0) {
            self.leave_out(of_block, on_conflict);
        }
        Ok(Resolved { links, shared })
    }

    /// Finds the roles of the fragments with one fingerprint, which are in file order.
    fn find_roles(&self, group: &[Fragment], roles: &mut Vec<Role>) {
        roles.clear();
        let mut firsts: Vec<usize> = Vec::new();
        let mut by_key: HashMap<u64, usize> = HashMap::new();
        // Rows of one shipment often follow one another here.
        let mut last = 0;
        for (at, fragment) in group.iter().enumerate() {
            let record = self.record(fragment.place());
            let is_of = |first: usize| is_of(record, self.record(group[first].place()));
            let hash = || hash_of_pair(&record.folded_number(), record.folded_carrier());
            let known = if at > 0 && is_of(last) {
                Some(last)
            } else if group.len() <= COMPARED_MAX {
                firsts.iter().copied().find(|first| is_of(*first))
            } else {
                match by_key.get(&hash()) {
                    None => None,
                    Some(first) if is_of(*first) => Some(*first),
                    // Hashes can collide.
                    Some(_) => firsts.iter().copied().find(|first| is_of(*first)),
                }
            };
            roles.push(match known {
                None => {
                    if group.len() > COMPARED_MAX {
                        by_key.entry(hash()).or_insert(at);
                    }
                    firsts.push(at);
                    last = at;
                    Role::First
                }
                Some(first) => {
                    last = first;
                    {
                        let first_record = self.record(group[first].place());
                        let difference = self.difference(record, first_record);
                        difference.map_or(Role::Later(first), |column| Role::Conflict(first, column))
                    }
                }
            });
        }
    }

    /// Finds the first column in which `record` contradicts the `first` one of its shipment.
    fn difference(&self, record: Record<'_>, first: Record<'_>) -> Option<Column> {
        if record.head() == first.head() {
            return None;
        }
        first.first_difference(&record, &self.columns)
    }

    /// Leaves out fragments of one block.
    fn leave_out(&mut self, conflicts: &[Contradiction], on_conflict: &mut dyn FnMut(Conflict<'_>)) {
        let Some(Contradiction { place: (block, _), .. }) = conflicts.first() else { return };
        let lines = self.blocks[*block as usize].lines();
        for conflict in conflicts {
            let number = self.blocks[*block as usize].number;
            let at = conflict.place.1 as usize;
            for line in &lines[at] {
                let column = conflict.column;
                on_conflict(Conflict { block: number, line: *line, column, details: &|| self.details(conflict) });
            }
            let Block { positions, .. } = &mut self.blocks[*block as usize];
            let removed = std::mem::replace(&mut positions[at], REMOVED);
            self.articles -= lines[at].len() as u64;
            self.rewritten_bytes += Written::new(self.arena.at(removed)).bytes();
        }
    }

    /// What a contradiction is about. The lines of a whole block are gone through for it.
    fn details(&self, Contradiction { place, first, column }: &Contradiction) -> ConflictDetails {
        let block = &self.blocks[first.0 as usize];
        ConflictDetails {
            first_block: block.number,
            first_line: block.lines()[first.1 as usize].first().copied().unwrap_or_default(),
            first_value: self.record(*first).shared_value(*column),
            value: self.record(*place).shared_value(*column),
        }
    }

    /// The record of a fragment, or the one whose head it shares.
    fn record(&self, place: Place) -> Record<'_> {
        let bytes = self.arena.at(self.position(place));
        Record::new(record_of(bytes, |earlier| self.arena.at(earlier)), &self.dictionaries)
    }
}

/// Returns whether a record is of the same shipment as a `first` one.
fn is_of(record: Record<'_>, first: Record<'_>) -> bool {
    let same_key =
        || record.folded_carrier() == first.folded_carrier() && record.folded_number() == first.folded_number();
    record.head() == first.head() || same_key()
}
