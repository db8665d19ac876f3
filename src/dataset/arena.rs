//! Memory of the records: large anonymous maps, written once by the loader threads.
//!
//! A map takes memory only where it was written, may ask the kernel for huge pages, and is returned to the system the
//! moment it is dropped.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::{Advice, MmapMut};

use crate::cancel::Cancelled;

/// Alignment of records.
pub(super) const ALIGNMENT_BYTES: usize = 8;
/// Bits of a position for the offset within a segment, in units of the alignment.
const OFFSET_BITS: u32 = 19;
/// Address space of one segment, 4 MiB: small enough that segments go one by one while they are copied.
const SEGMENT_BYTES: usize = ALIGNMENT_BYTES << OFFSET_BITS;
/// Bits of a position. The index needs the remaining one.
const POSITION_BITS: u32 = 31;
/// Number of segments that positions can name: 16 GiB in all.
const SEGMENTS_MAX: u32 = 1 << (POSITION_BITS - OFFSET_BITS);

/// Position of a shipment in its dataset.
// Segment and offset in 31 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub(super) u32);

impl Position {
    fn new(segment: u32, offset_bytes: usize) -> Position {
        Position((segment << OFFSET_BITS) | (offset_bytes / ALIGNMENT_BYTES) as u32)
    }

    /// Index of the segment.
    #[inline]
    pub(super) fn segment(self) -> usize {
        (self.0 >> OFFSET_BITS) as usize
    }

    /// Bytes up to a `later` position of the same segment: at least those of the record here.
    pub(super) fn bytes_until(self, later: Position) -> Option<usize> {
        let is_later = self.segment() == later.segment() && self < later;
        is_later.then(|| (later.0 - self.0) as usize * ALIGNMENT_BYTES)
    }

    #[inline]
    fn offset_bytes(self) -> usize {
        (self.0 as usize & ((1 << OFFSET_BITS) - 1)) * ALIGNMENT_BYTES
    }
}

/// Error of an arena that cannot take more records, or is no longer needed.
#[derive(Debug, thiserror::Error)]
pub enum ArenaError {
    /// The arena is at its limit of 16 GiB.
    #[error("the shipments need more than {} GiB of memory", (SEGMENTS_MAX as usize * SEGMENT_BYTES) >> 30)]
    Full,
    /// The system refused to create a map.
    #[error("no memory for {bytes} more bytes of shipments: {source}")]
    Map {
        /// Size of the map.
        bytes: usize,
        /// Error of the system.
        source: std::io::Error,
    },
    /// The shipments take more memory than the load may take.
    #[error("the shipments need at least {} MiB of memory, {} MiB may be taken", needed >> 20, max >> 20)]
    TooMany {
        /// Bytes that are needed at least, as far as is known.
        needed: u64,
        /// Bytes that may be taken.
        max: u64,
    },
    /// The load was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

struct Segment {
    number: u32,
    map: MmapMut,
    used_bytes: usize,
}

impl Segment {
    /// The bytes from a record's start to the end of the segment.
    fn at(&self, position: Position) -> &[u8] {
        &self.map[position.offset_bytes()..]
    }
}

/// Arena that is being filled: gives segments to writers, and has those that are full.
pub(super) struct ArenaBuilder {
    /// Number of the first segment.
    first: u32,
    next: AtomicU32,
    full: Box<[OnceLock<Segment>]>,
    huge_pages: bool,
}

impl ArenaBuilder {
    pub(super) fn new(huge_pages: bool) -> ArenaBuilder {
        ArenaBuilder::starting_at(0, huge_pages)
    }

    /// Creates a builder whose segments will be appended to `arena` by [`Arena::append`].
    pub(super) fn after(arena: &Arena, huge_pages: bool) -> ArenaBuilder {
        ArenaBuilder::starting_at(arena.maps.len() as u32, huge_pages)
    }

    fn starting_at(first: u32, huge_pages: bool) -> ArenaBuilder {
        let full = (first..SEGMENTS_MAX).map(|_| OnceLock::new()).collect();
        ArenaBuilder { first, next: AtomicU32::new(first), full, huge_pages }
    }

    pub(super) fn huge_pages(&self) -> bool {
        self.huge_pages
    }

    fn segment(&self, bytes_min: usize) -> Result<Segment, ArenaError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= SEGMENTS_MAX {
            return Err(ArenaError::Full);
        }
        let bytes = bytes_min.max(SEGMENT_BYTES);
        let map = memmap2::MmapOptions::new()
            .len(bytes)
            .no_reserve_swap()
            .map_anon()
            .map_err(|source| ArenaError::Map { bytes, source })?;
        if self.huge_pages {
            // This is only advice: without huge pages lookups are a little slower.
            let _ = map.advise(Advice::HugePage);
        }
        Ok(Segment { number, map, used_bytes: 0 })
    }

    fn keep(&self, segment: Segment) {
        // Each number is given once.
        let _ = self.full[(segment.number - self.first) as usize].set(segment);
    }

    /// Freezes the arena.
    pub(super) fn finish(self) -> Arena {
        let segments: Vec<Segment> = self.full.into_iter().map_while(OnceLock::into_inner).collect();
        let used = segments.iter().map(|segment| segment.used_bytes).collect();
        Arena { maps: segments.into_iter().map(|segment| segment.map).collect(), used }
    }
}

/// Writer of one thread, with segments of its own. Its positions ascend.
pub(super) struct ArenaWriter<'b> {
    builder: &'b ArenaBuilder,
    current: Option<Segment>,
    /// Bytes in the segments before the current one.
    full_bytes: usize,
}

impl<'b> ArenaWriter<'b> {
    pub(super) fn new(builder: &'b ArenaBuilder) -> ArenaWriter<'b> {
        ArenaWriter { builder, current: None, full_bytes: 0 }
    }

    /// Writes a record, given as parts that are concatenated.
    pub(super) fn push(&mut self, parts: &[&[u8]]) -> Result<Position, ArenaError> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let fits =
            |segment: &Segment| segment.used_bytes < SEGMENT_BYTES && segment.map.len() - segment.used_bytes >= bytes;
        if !self.current.as_ref().is_some_and(fits) {
            let next = self.builder.segment(bytes)?;
            if let Some(full) = self.current.replace(next) {
                self.full_bytes += full.used_bytes;
                self.builder.keep(full);
            }
        }
        let Some(segment) = &mut self.current else { return Err(ArenaError::Full) };
        let position = Position::new(segment.number, segment.used_bytes);
        let mut at = segment.used_bytes;
        for part in parts {
            segment.map[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        segment.used_bytes = at.next_multiple_of(ALIGNMENT_BYTES).min(segment.map.len());
        Ok(position)
    }

    /// Number of bytes written.
    pub(super) fn used_bytes(&self) -> usize {
        self.full_bytes + self.current.as_ref().map_or(0, |current| current.used_bytes)
    }

    /// The bytes from the start of a record of any writer to the end of its segment; `None` while another writer still
    /// writes to that.
    pub(super) fn read(&self, position: Position) -> Option<&[u8]> {
        let number = position.segment() as u32;
        let own = self.current.as_ref().filter(|current| current.number == number);
        let segment = own.or_else(|| self.builder.full.get((number - self.builder.first) as usize)?.get());
        segment.map(|segment| segment.at(position))
    }
}

impl Drop for ArenaWriter<'_> {
    fn drop(&mut self) {
        if let Some(segment) = self.current.take() {
            self.builder.keep(segment);
        }
    }
}

/// Arena that is frozen.
#[derive(Default)]
pub(super) struct Arena {
    maps: Vec<MmapMut>,
    /// Number of bytes written in each segment.
    used: Vec<usize>,
}

impl Arena {
    /// The bytes from a record's start to the end of its segment. The record itself tells its length.
    #[inline]
    pub(super) fn at(&self, position: Position) -> &[u8] {
        &self.maps[position.segment()][position.offset_bytes()..]
    }

    /// Appends the arena of a builder that was created by [`ArenaBuilder::after`] this one.
    pub(super) fn append(&mut self, later: Arena) {
        self.maps.extend(later.maps);
        self.used.extend(later.used);
    }

    /// Number of bytes written, which are resident.
    pub(super) fn used_bytes(&self) -> usize {
        self.used.iter().sum()
    }
}

/// Arena whose records are copied elsewhere: a segment goes when the last of its records was taken.
pub(super) struct DrainedArena {
    maps: Vec<Option<MmapMut>>,
    /// Number of bytes written in each segment.
    used: Vec<usize>,
    /// Number of bytes written in the segments that are there.
    used_bytes: usize,
    /// Number of records in each segment that were not taken yet.
    left: Vec<u32>,
}

impl DrainedArena {
    /// Creates it from an arena, of which `records` will be taken, each once.
    pub(super) fn new(arena: Arena, records: impl Iterator<Item = Position>) -> DrainedArena {
        let mut left = vec![0; arena.maps.len()];
        for position in records {
            left[position.segment()] += 1;
        }
        let maps: Vec<_> = arena.maps.into_iter().zip(&left).map(|(map, left)| (*left > 0).then_some(map)).collect();
        let used = arena.used;
        let used_bytes = used.iter().zip(&left).filter(|(_, left)| **left > 0).map(|(used, _)| used).sum();
        DrainedArena { maps, used, used_bytes, left }
    }

    /// The bytes from a record's start to the end of its segment; none if that is gone.
    pub(super) fn at(&self, position: Position) -> &[u8] {
        self.maps[position.segment()].as_ref().map_or(&[], |map| &map[position.offset_bytes()..])
    }

    /// Notes that a record was copied.
    pub(super) fn take(&mut self, position: Position) {
        let segment = position.segment();
        self.left[segment] = self.left[segment].saturating_sub(1);
        if self.left[segment] == 0 && self.maps[segment].take().is_some() {
            self.used_bytes -= self.used[segment];
        }
    }

    /// Number of bytes written that are not gone.
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_where_they_were_put_across_segments_and_writers() {
        let builder = ArenaBuilder::new(false);
        let large = vec![7_u8; SEGMENT_BYTES - 100];
        let (a, b, c, d);
        {
            let mut first = ArenaWriter::new(&builder);
            let mut second = ArenaWriter::new(&builder);
            a = first.push(&[b"one", b" and two"]).unwrap();
            b = second.push(&[b"three"]).unwrap();
            c = first.push(&[&large]).unwrap();
            d = first.push(&[&[9_u8; 200]]).unwrap();
        }
        let arena = builder.finish();
        assert!(arena.at(a).starts_with(b"one and two"));
        assert!(arena.at(b).starts_with(b"three"));
        assert!(arena.at(c).starts_with(&large));
        assert!(arena.at(d).starts_with(&[9; 200]));
        assert!(a < c && c < d);
    }

    #[test]
    fn writers_read_what_is_theirs_or_in_full_segments() {
        let builder = ArenaBuilder::new(false);
        let (mut one, mut other) = (ArenaWriter::new(&builder), ArenaWriter::new(&builder));
        let first = one.push(&[b"first"]).unwrap();
        let second = other.push(&[b"second"]).unwrap();
        assert!(one.read(first).unwrap().starts_with(b"first"));
        assert_eq!(other.read(first), None);
        one.push(&[&vec![1; SEGMENT_BYTES]]).unwrap();
        assert!(other.read(first).unwrap().starts_with(b"first"));
        assert!(other.read(second).unwrap().starts_with(b"second"));
    }

    #[test]
    fn a_drained_segment_goes_with_its_last_record() {
        let builder = ArenaBuilder::new(false);
        let mut writer = ArenaWriter::new(&builder);
        let positions = [b"a", b"b", b"c"].map(|record| writer.push(&[record]).unwrap());
        let large = writer.push(&[&vec![7; SEGMENT_BYTES]]).unwrap();
        drop(writer);
        let mut drained = DrainedArena::new(builder.finish(), [positions[0], positions[2], large].into_iter());
        drained.take(positions[0]);
        assert!(drained.at(positions[2]).starts_with(b"c"));
        drained.take(positions[2]);
        assert!(drained.at(positions[2]).is_empty());
        assert!(drained.at(large).starts_with(&[7; 100]));
    }

    #[test]
    fn a_record_larger_than_a_segment_gets_one_of_its_own() {
        let builder = ArenaBuilder::new(false);
        let huge = vec![1_u8; SEGMENT_BYTES + 1];
        let (a, b);
        {
            let mut writer = ArenaWriter::new(&builder);
            a = writer.push(&[&huge]).unwrap();
            b = writer.push(&[b"next"]).unwrap();
        }
        let arena = builder.finish();
        assert_eq!(&arena.at(a)[..huge.len()], &huge[..]);
        assert!(arena.at(b).starts_with(b"next"));
    }
}
