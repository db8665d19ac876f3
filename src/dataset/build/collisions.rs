//! The fragments whose fingerprints collided, in buckets of fingerprints: threads resolve one bucket after the other.

use std::sync::Mutex;

use super::block::{Block, Fragment, Link};
use super::encode::Written;
use super::merge::Merge;
use crate::dataset::arena::Position;
use crate::dataset::index::Fingerprint;

/// The fragments that collided with another one.
pub(super) struct Collisions {
    fragments: Vec<Fragment>,
    /// Where each bucket ends.
    ends: [usize; Fingerprint::BUCKETS],
}

impl Collisions {
    /// Puts the collisions of all blocks together. The blocks' numbers become ranks among the `blocks` that have rows.
    pub(super) fn gather(parts: Vec<Box<[Fragment]>>, blocks: &[Block]) -> Collisions {
        let mut next = [0; Fingerprint::BUCKETS];
        for fragment in parts.iter().flatten() {
            next[fragment.fingerprint.bucket()] += 1;
        }
        let mut len = 0;
        for count in &mut next {
            len += std::mem::replace(count, len);
        }
        let mut fragments = vec![Fragment::default(); len];
        for part in parts {
            let Some(Fragment { block: number, .. }) = part.first().copied() else { continue };
            let block = blocks.partition_point(|block| block.number < number) as u32;
            for fragment in &part {
                let to = &mut next[fragment.fingerprint.bucket()];
                fragments[*to] = Fragment { block, ..*fragment };
                *to += 1;
            }
        }
        Collisions { fragments, ends: next }
    }

    /// Number of fragments.
    pub(super) fn len(&self) -> usize {
        self.fragments.len()
    }

    /// Where the buckets start.
    pub(super) fn starts(&self) -> impl Iterator<Item = usize> + use<> {
        std::iter::once(0).chain(self.ends)
    }

    /// Memory that they take.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.fragments[..])
    }

    /// The buckets, in no order within, each with its part of `links`, of which there are as many.
    pub(super) fn buckets<'c>(&'c mut self, links: &'c mut [Link]) -> Vec<Mutex<Bucket<'c>>> {
        let (mut fragments, mut links, mut start) = (&mut self.fragments[..], links, 0);
        let bucket = |end: &usize| {
            let len = end - std::mem::replace(&mut start, *end);
            // They are as long as all buckets together.
            let fragments = fragments.split_off_mut(..len).unwrap_or_default();
            let links = links.split_off_mut(..len).unwrap_or_default();
            Mutex::new(Bucket { fragments, links })
        };
        self.ends.iter().map(bucket).collect()
    }
}

/// The fragments of a bucket, and room for the links that they come to.
pub(super) struct Bucket<'c> {
    pub(super) fragments: &'c mut [Fragment],
    pub(super) links: &'c mut [Link],
}

/// Where the parts of blocks start that were written at one go.
pub(super) struct Starts(Vec<(Position, u32)>);

impl Starts {
    /// Finds them. A segment belongs to one writer, so blocks do not interleave in it, but a block may continue in the
    /// next segment.
    pub(super) fn of(blocks: &[Block]) -> Starts {
        let of_block = |(rank, block): (u32, &Block)| {
            let parts = block.positions.chunk_by(|a, b| a.segment() == b.segment());
            parts.map(move |part| (part[0], rank)).collect::<Vec<_>>()
        };
        let mut starts: Vec<(Position, u32)> = (0..).zip(blocks).flat_map(of_block).collect();
        starts.sort_unstable();
        Starts(starts)
    }

    /// The block that was written around `position`.
    fn block_at(&self, position: Position) -> Option<u32> {
        let after = self.0.partition_point(|(start, _)| *start <= position);
        Some(self.0[after.checked_sub(1)?].1)
    }
}

/// All fragments with one fingerprint, in file order, and the records with their heads.
#[derive(Default)]
pub(super) struct Group {
    pub(super) fragments: Vec<Fragment>,
    pub(super) origins: Vec<Position>,
}

impl Group {
    /// Makes it the group of fragments that collided, and of the one that was inserted first, with which they did. That
    /// is the first in time, not necessarily in the file.
    pub(super) fn fill(&mut self, merge: &Merge, starts: &Starts, collided: &[Fragment], origins: &[Position]) {
        let Group { fragments, origins: all_origins } = self;
        fragments.clear();
        fragments.extend_from_slice(collided);
        all_origins.clear();
        all_origins.extend_from_slice(origins);
        let fingerprint = collided[0].fingerprint;
        // A fragment that continues a record continues the first one.
        let continued = || collided.iter().zip(origins).find(|(fragment, at)| merge.position(fragment.place()) != **at);
        let position = continued().map(|(_, at)| *at).or_else(|| merge.index.first(fingerprint));
        let first = position.and_then(|position| {
            let block = starts.block_at(position)?;
            let at = merge.blocks[block as usize].find(position)?;
            Some((Fragment { fingerprint, block, at }, position))
        });
        if let Some((first, position)) = first {
            let place = fragments.partition_point(|fragment| *fragment < first);
            fragments.insert(place, first);
            all_origins.insert(place, position);
        }
    }
}

impl Merge {
    /// Where the records are that have the heads of `fragments`: themselves, or those that they continue. All at once,
    /// so that the reads do not wait for one another.
    pub(super) fn origins(&self, fragments: &[Fragment], origins: &mut Vec<Position>) {
        origins.clear();
        origins.extend(fragments.iter().map(|fragment| {
            let position = self.position(fragment.place());
            match Written::new(self.arena.at(position)) {
                Written::Continued(earlier, _) => earlier,
                Written::Record(_) => position,
            }
        }));
    }
}
