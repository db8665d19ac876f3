//! Resolving collisions of fingerprints: which fragments are of one shipment, and which contradict it.

use std::collections::HashMap;

use super::block::{Block, Conflict, ConflictDetails, Fragment, Link, Place, REMOVED, Resolved};
use super::collisions::{Bucket, Collisions, Group, Starts};
use super::encode::{Written, record_of};
use super::merge::Merge;
use super::posting_lists::in_parallel;
use crate::dataset::arena::{ArenaError, Position};
use crate::dataset::groups::hash_of_pair;
use crate::dataset::record::Record;
use crate::mutex;
use crate::shipment::Column;

/// Fragments of one fingerprint up to which each is compared with all shipments before it.
const COMPARED_MAX: usize = 16;

/// Memory for each member of a group while its roles are found.
const MEMBER_BYTES: usize = size_of::<(u64, usize)>() + size_of::<Role>() + size_of::<(Fragment, Position)>();

/// Links that one thread sorts faster than two.
const SORTED_ALONE: usize = 1 << 16;

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

/// What the fragments of a bucket are.
#[derive(Default)]
struct OfBucket {
    /// Number of links, which are in the bucket.
    links: usize,
    shared: Vec<Fragment>,
    joined_bytes: usize,
    conflicts: Vec<Contradiction>,
}

/// Memory in which a thread resolves bucket after bucket.
#[derive(Default)]
struct Scratch {
    origins: Vec<Position>,
    group: Group,
    roles: Vec<Role>,
    /// Members of the largest group so far.
    largest: usize,
}

impl Merge {
    /// Separates the shipments of each fingerprint among the collisions of all blocks, and leaves out conflicting
    /// fragments.
    pub(super) fn resolve(
        &mut self,
        parts: Vec<Box<[Fragment]>>,
        on_conflict: &mut dyn FnMut(Conflict<'_>),
    ) -> Result<Resolved, ArenaError> {
        let mut collisions = Collisions::gather(parts, &self.blocks);
        self.account.take(collisions.bytes() as u64)?;
        let merge = &*self;
        let starts = Starts::of(&merge.blocks);
        // Memory is taken where it is written.
        let mut links = vec![Link::default(); collisions.len()];
        let buckets = collisions.buckets(&mut links);
        let resolved = in_parallel(merge.threads, buckets.len(), || {
            let mut scratch = Scratch::default();
            let (buckets, starts) = (&buckets, &starts);
            move |bucket: usize| merge.resolve_bucket(&mut mutex::lock(&buckets[bucket]), starts, &mut scratch)
        });
        drop(buckets);
        let starts_of_links = collisions.starts();
        drop(collisions);
        let (mut len, mut shared, mut joined_bytes, mut conflicts) = (0, Vec::new(), 0, Vec::new());
        for (start, of_bucket) in starts_of_links.zip(resolved) {
            let of_bucket = of_bucket?;
            links.copy_within(start..start + of_bucket.links, len);
            len += of_bucket.links;
            shared.extend(of_bucket.shared);
            joined_bytes += of_bucket.joined_bytes;
            conflicts.extend(of_bucket.conflicts);
        }
        links.truncate(len);
        self.account.take((size_of_val(&links[..]) + size_of_val(&shared[..])) as u64)?;
        sort(&mut links, self.threads);
        conflicts.sort_unstable_by_key(|conflict| conflict.place);
        for of_block in conflicts.chunk_by(|a, b| a.place.0 == b.place.0) {
            self.leave_out(of_block, on_conflict);
        }
        Ok(Resolved { links, shared, joined_bytes })
    }

    /// Does it for one bucket: sorts it, and separates the shipments.
    fn resolve_bucket(
        &self,
        bucket: &mut Bucket<'_>,
        starts: &Starts,
        scratch: &mut Scratch,
    ) -> Result<OfBucket, ArenaError> {
        let Scratch { origins, group, roles, largest } = scratch;
        let Bucket { fragments: collisions, links: room } = bucket;
        collisions.sort_unstable();
        self.origins(collisions, origins);
        let mut of_bucket = OfBucket::default();
        let OfBucket { links, shared, joined_bytes, conflicts } = &mut of_bucket;
        let mut origins = &origins[..];
        for collided in collisions.chunk_by(|a, b| a.fingerprint == b.fingerprint) {
            self.cancel.check()?;
            let (of_group, others) = origins.split_at(collided.len());
            origins = others;
            if collided.len() > *largest {
                let more = collided.len() - std::mem::replace(largest, collided.len());
                self.account.take((more * MEMBER_BYTES) as u64)?;
            }
            group.fill(self, starts, collided, of_group);
            self.find_roles(group, roles);
            let fragments = &group.fragments;
            let (shared_before, links_before) = (shared.len(), *links);
            for (fragment, role) in fragments.iter().zip(&*roles) {
                match role {
                    Role::First => shared.push(*fragment),
                    Role::Later(first) => {
                        room[*links] = Link { first: fragments[*first].place(), later: fragment.place() };
                        *links += 1;
                    }
                    Role::Conflict(first, column) => conflicts.push(Contradiction {
                        place: fragment.place(),
                        first: fragments[*first].place(),
                        column: *column,
                    }),
                }
            }
            let has_links = *links > links_before;
            if has_links {
                let bytes_of =
                    |fragment: &Fragment| Written::new(self.arena.at(self.position(fragment.place()))).bytes();
                *joined_bytes += fragments.iter().map(bytes_of).sum::<usize>();
            }
            if let [first] = shared[shared_before..] {
                shared.pop();
                // In time, another one may have been the first. What is joined is written elsewhere anyway.
                if !has_links {
                    self.index.assign(first.fingerprint, self.position(first.place()));
                }
            }
        }
        Ok(of_bucket)
    }

    /// Finds the roles of the fragments with one fingerprint, which are in file order.
    fn find_roles(&self, group: &Group, roles: &mut Vec<Role>) {
        let Group { fragments, origins } = group;
        roles.clear();
        let mut firsts: Vec<usize> = Vec::new();
        let mut by_key: HashMap<u64, usize> = HashMap::new();
        // Rows of one shipment often follow one another here.
        let mut last = 0;
        for at in 0..fragments.len() {
            // With the head of that record it says the same.
            if at > 0 && origins[at] == origins[last] {
                roles.push(Role::Later(last));
                continue;
            }
            let record = self.record(origins[at]);
            let is_of = |first: usize| is_of(record, self.record(origins[first]));
            let hash = || hash_of_pair(&record.folded_number(), record.folded_carrier());
            let known = if at > 0 && is_of(last) {
                Some(last)
            } else if fragments.len() <= COMPARED_MAX {
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
                    if fragments.len() > COMPARED_MAX {
                        by_key.entry(hash()).or_insert(at);
                    }
                    firsts.push(at);
                    last = at;
                    Role::First
                }
                Some(first) => {
                    last = first;
                    let difference = self.difference(record, self.record(origins[first]));
                    difference.map_or(Role::Later(first), |column| Role::Conflict(first, column))
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
            first_value: self.record_of(*first).shared_value(*column),
            value: self.record_of(*place).shared_value(*column),
        }
    }

    /// The record of a fragment, or the one whose head it shares.
    fn record_of(&self, place: Place) -> Record<'_> {
        let bytes = self.arena.at(self.position(place));
        Record::new(record_of(bytes, |earlier| self.arena.at(earlier)), &self.dictionaries)
    }

    /// The record there.
    fn record(&self, position: Position) -> Record<'_> {
        Record::new(self.arena.at(position), &self.dictionaries)
    }
}

/// Sorts `links` on so many threads.
fn sort(links: &mut [Link], threads: usize) {
    if threads < 2 || links.len() < SORTED_ALONE {
        links.sort_unstable();
        return;
    }
    let middle = links.len() / 2;
    links.select_nth_unstable(middle);
    let (one, other) = links.split_at_mut(middle);
    std::thread::scope(|scope| {
        scope.spawn(|| sort(one, threads / 2));
        sort(other, threads - threads / 2);
    });
}

/// Returns whether a record is of the same shipment as a `first` one.
fn is_of(record: Record<'_>, first: Record<'_>) -> bool {
    let same_key =
        || record.folded_carrier() == first.folded_carrier() && record.folded_number() == first.folded_number();
    record.head() == first.head() || same_key()
}
