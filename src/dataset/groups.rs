//! Groups: records whose tracking numbers have the same fingerprint, nearly always because carriers share a number.
//!
//! A small group is walked through. A large one also has a table by which a record is found by number and carrier in
//! a few steps, however many carriers share the number:
//!
//! ```text
//! group = members, member*                     (in file order)
//!         [if large: hash*, member*]           (hashes ascending, and the member of each)
//! ```

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::arena::Position;
use crate::shipment::FoldedKey;

/// Most members of a group that is walked through.
const SMALL_GROUP_MAX: usize = 16;

/// Hash of a folded tracking number and a folded carrier, in 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PairHash(u32);

impl PairHash {
    pub(super) fn of(number: &FoldedKey, carrier: &[u8]) -> PairHash {
        PairHash(hash_of_pair(number, carrier) as u32)
    }
}

/// Hash of a folded tracking number and a folded carrier.
pub(super) fn hash_of_pair(number: &FoldedKey, carrier: &[u8]) -> u64 {
    xxh3_64_with_seed(carrier, xxh3_64(number.as_bytes()))
}

/// Groups one after the other, each named by its start.
pub(super) struct Groups<T>(T);

impl Groups<Vec<u32>> {
    pub(super) fn new() -> Groups<Vec<u32>> {
        Groups(Vec::new())
    }

    /// Appends the group of `members`, given in file order. Returns its start.
    pub(super) fn push(&mut self, members: &[Position], pair_hash: impl Fn(Position) -> PairHash) -> u32 {
        let start = self.0.len() as u32;
        self.0.push(members.len() as u32);
        self.0.extend(members.iter().map(|member| member.0));
        if members.len() > SMALL_GROUP_MAX {
            let mut table: Vec<(PairHash, u32)> = members.iter().map(|member| (pair_hash(*member), member.0)).collect();
            table.sort_unstable();
            self.0.extend(table.iter().map(|(hash, _)| hash.0));
            self.0.extend(table.iter().map(|(_, member)| member));
        }
        start
    }

    pub(super) fn freeze(self) -> Groups<Box<[u32]>> {
        Groups(self.0.into_boxed_slice())
    }
}

impl Groups<Box<[u32]>> {
    /// Members of the group at `start`, in file order.
    #[inline]
    pub(super) fn members(&self, start: u32) -> &[u32] {
        let (members, rest) = self.0[start as usize..].split_at(1);
        &rest[..members[0] as usize]
    }

    /// Members of the group at `start` among which all with this number and carrier are.
    pub(super) fn members_with(&self, start: u32, number: &FoldedKey, carrier: &[u8]) -> &[u32] {
        let members = self.members(start);
        if members.len() <= SMALL_GROUP_MAX {
            return members;
        }
        let table = &self.0[start as usize + 1 + members.len()..][..2 * members.len()];
        let (hashes, members) = table.split_at(members.len());
        let PairHash(hash) = PairHash::of(number, carrier);
        let first = hashes.partition_point(|other| *other < hash);
        let len = hashes[first..].partition_point(|other| *other == hash);
        &members[first..first + len]
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.0[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Number and carrier of a record in the tests, whose position is their index.
    type Pair = (FoldedKey, Vec<u8>);

    fn groups(pairs: &[Pair]) -> (Groups<Box<[u32]>>, u32) {
        let mut groups = Groups::new();
        // Another group before and behind must not matter.
        groups.push(&[Position(7); 20], |_| PairHash(1));
        let members: Vec<Position> = (0..pairs.len() as u32).map(Position).collect();
        let start = groups.push(&members, |Position(at)| {
            let (number, carrier) = &pairs[at as usize];
            PairHash::of(number, carrier)
        });
        groups.push(&[Position(8); 20], |_| PairHash(2));
        (groups.freeze(), start)
    }

    proptest! {
        #[test]
        fn every_pair_is_among_the_members_that_are_looked_at(
            pairs in proptest::collection::vec(("[ab]{1,2}", "[a-c]{0,3}"), 2..80), absent in "[x-z]{1,3}",
        ) {
            let pairs: Vec<Pair> =
                pairs.into_iter().map(|(number, carrier)| (FoldedKey::new(&number), carrier.into_bytes())).collect();
            let (groups, start) = groups(&pairs);
            prop_assert_eq!(groups.members(start), (0..pairs.len() as u32).collect::<Vec<_>>());
            for (number, carrier) in &pairs {
                let is_it = |at: &&u32| pairs[**at as usize] == (number.clone(), carrier.clone());
                let all: Vec<u32> = groups.members(start).iter().filter(is_it).copied().collect();
                let found: Vec<u32> =
                    groups.members_with(start, number, carrier).iter().filter(is_it).copied().collect();
                prop_assert_eq!(found, all);
            }
            let looked_at = groups.members_with(start, &pairs[0].0, absent.as_bytes());
            prop_assert!(looked_at.len() <= SMALL_GROUP_MAX);
        }
    }

    #[test]
    fn a_pair_in_a_group_of_many_is_found_in_few_steps() {
        const MEMBERS: u32 = 100_000;
        let pair = |at: u32| {
            // Carriers that share a number, and numbers that share a fingerprint.
            let (number, carrier) = if at.is_multiple_of(2) { (0, at) } else { (at, 0) };
            (FoldedKey::new(&format!("TN{number}")), format!("carrier {carrier}").into_bytes())
        };
        let pairs: Vec<Pair> = (0..MEMBERS).map(pair).collect();
        let (groups, start) = groups(&pairs);
        let looked_at = pairs.iter().map(|(number, carrier)| groups.members_with(start, number, carrier).len());
        let (all, most) = looked_at.fold((0, 0), |(all, most), len| (all + len, most.max(len)));
        // Hashes of 32 bits of so many pairs hardly ever collide.
        assert!(all < MEMBERS as usize + 100 && most <= 4, "{all} {most}");
    }
}
