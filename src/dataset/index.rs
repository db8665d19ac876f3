//! Index from tracking numbers to records: a `DashMap` that the loader threads fill together, frozen to a
//! `ReadOnlyView` whose reads take no lock.
//!
//! A key is a fingerprint of 32 bits, so an entry takes 8 bytes and one more for the table. Fingerprints can collide,
//! so every hit is verified against the record. Most entries are the position of one record; if there are several
//! (carriers that share a number, or numbers with the same fingerprint), the entry names a group.

use std::hash::{BuildHasher, Hasher};

use dashmap::mapref::entry::Entry;
use dashmap::{DashMap, ReadOnlyView};
use xxhash_rust::xxh3::xxh3_64;

use super::arena::Position;
use super::groups::{Groups, PairHash};
use crate::shipment::FoldedKey;

/// Bit that is set in entries that name a group.
const GROUP: u32 = 1 << 31;
/// Number of the map's locks while it is filled.
const SHARDS: usize = 64;
/// Size of a bucket of the map: the entry and a control byte.
const ENTRY_BYTES: usize = size_of::<(Fingerprint, u32)>() + 1;
/// Multiplier that spreads a fingerprint over all bits of a hash (2^64 over the golden ratio).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hash of a folded value, in 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Fingerprint(u32);

impl Fingerprint {
    /// Number of intervals of fingerprints.
    pub(super) const BUCKETS: usize = 256;

    /// The interval that it is in.
    #[inline]
    pub(super) fn bucket(self) -> usize {
        (self.0 >> (u32::BITS - Self::BUCKETS.ilog2())) as usize
    }

    #[inline]
    pub(super) fn of(number: &FoldedKey) -> Fingerprint {
        Fingerprint(xxh3_64(number.as_bytes()) as u32)
    }
}

/// Builds hashers of keys that are hashes already, and only need spreading over 64 bits.
#[derive(Clone, Copy, Default)]
pub(super) struct Spread;

/// Hasher of [`Spread`].
pub(super) struct SpreadHasher(u64);

impl BuildHasher for Spread {
    type Hasher = SpreadHasher;

    #[inline]
    fn build_hasher(&self) -> SpreadHasher {
        SpreadHasher(0)
    }
}

impl Hasher for SpreadHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.0 = (self.0 ^ u64::from(value)).wrapping_mul(SPREAD);
    }
}

/// Index that several threads fill.
pub(super) struct IndexBuilder {
    map: DashMap<Fingerprint, u32, Spread>,
    groups: Groups<Vec<u32>>,
}

impl IndexBuilder {
    pub(super) fn new(expected: usize) -> IndexBuilder {
        IndexBuilder {
            map: DashMap::with_capacity_and_hasher_and_shard_amount(expected, Spread, SHARDS),
            groups: Groups::new(),
        }
    }

    /// Memory of a table for `expected` entries, all of which is used soon after the first entries.
    pub(super) fn bytes_for(expected: usize) -> u64 {
        let buckets = (expected.div_ceil(SHARDS) * 8 / 7).next_power_of_two() * SHARDS;
        (buckets * ENTRY_BYTES) as u64
    }

    /// Inserts a record that `write` writes, unless there is one with this fingerprint, whose position `write` is given.
    /// Returns the position of the new one, and whether it was inserted.
    #[inline]
    pub(super) fn insert<E>(
        &self,
        fingerprint: Fingerprint,
        write: impl FnOnce(Option<Position>) -> Result<Position, E>,
    ) -> Result<(Position, bool), E> {
        match self.map.entry(fingerprint) {
            Entry::Occupied(entry) => {
                let first = Position(*entry.get());
                drop(entry);
                write(Some(first)).map(|position| (position, false))
            }
            Entry::Vacant(entry) => {
                let position = write(None)?;
                entry.insert(position.0);
                Ok((position, true))
            }
        }
    }

    /// The record that was inserted first with `fingerprint`.
    pub(super) fn first(&self, fingerprint: Fingerprint) -> Option<Position> {
        self.map.get(&fingerprint).map(|entry| Position(*entry))
    }

    /// Sets the record with `fingerprint`.
    pub(super) fn assign(&self, fingerprint: Fingerprint, position: Position) {
        self.map.insert(fingerprint, position.0);
    }

    /// Sets the records with `fingerprint`, in file order. `pair_hash` is that of a record's number and carrier.
    pub(super) fn assign_all(
        &mut self,
        fingerprint: Fingerprint,
        positions: &[Position],
        pair_hash: impl Fn(Position) -> PairHash,
    ) {
        match positions {
            [position] => self.assign(fingerprint, *position),
            _ => {
                let start = self.groups.push(positions, pair_hash);
                self.map.insert(fingerprint, GROUP | start);
            }
        }
    }

    pub(super) fn finish(self) -> Index {
        // hashbrown uses at most 7 of 8 buckets.
        let buckets = self.map.capacity() * 8 / 7;
        let groups = self.groups.freeze();
        let bytes = buckets * ENTRY_BYTES + groups.bytes();
        Index { map: self.map.into_read_only(), groups, bytes }
    }
}

/// Index that is frozen.
pub(super) struct Index {
    map: ReadOnlyView<Fingerprint, u32, Spread>,
    groups: Groups<Box<[u32]>>,
    bytes: usize,
}

impl Index {
    /// The records whose numbers have the fingerprint of `number`, in file order.
    #[inline]
    pub(super) fn candidates(&self, number: &FoldedKey) -> Candidates<'_> {
        self.find(number, |start| self.groups.members(start))
    }

    /// Records among which all with this number and carrier are.
    #[inline]
    pub(super) fn candidates_with(&self, number: &FoldedKey, carrier: &[u8]) -> Candidates<'_> {
        self.find(number, |start| self.groups.members_with(start, number, carrier))
    }

    /// The same for a carrier as a client spells it.
    #[inline]
    pub(super) fn candidates_spelled(&self, number: &FoldedKey, carrier: &str) -> Candidates<'_> {
        self.find(number, |start| self.groups.members_with(start, number, FoldedKey::new(carrier).as_bytes()))
    }

    #[inline]
    fn find<'i>(&'i self, number: &FoldedKey, members: impl FnOnce(u32) -> &'i [u32]) -> Candidates<'i> {
        match self.map.get(&Fingerprint::of(number)) {
            None => Candidates::Many([].iter()),
            Some(&entry) if entry & GROUP == 0 => Candidates::One(Some(Position(entry))),
            Some(&entry) => Candidates::Many(members(entry ^ GROUP).iter()),
        }
    }

    /// Memory of the table and the groups, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Positions of records with one fingerprint.
#[derive(Clone)]
pub(super) enum Candidates<'a> {
    One(Option<Position>),
    Many(std::slice::Iter<'a, u32>),
}

impl Candidates<'_> {
    /// Number of positions left.
    pub(super) fn len(&self) -> usize {
        match self {
            Candidates::One(position) => usize::from(position.is_some()),
            Candidates::Many(positions) => positions.len(),
        }
    }
}

impl Iterator for Candidates<'_> {
    type Item = Position;

    #[inline]
    fn next(&mut self) -> Option<Position> {
        match self {
            Candidates::One(position) => position.take(),
            Candidates::Many(positions) => positions.next().map(|position| Position(*position)),
        }
    }
}
