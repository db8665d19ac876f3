//! Memory of the records: a few large anonymous maps, written once by the loader threads.
//!
//! A map takes memory only where it was written, may ask the kernel for huge pages, and is returned to the system the
//! moment it is dropped.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::{Advice, MmapMut};

use crate::cancel::Cancelled;
use crate::mutex;

/// Alignment of records.
pub(super) const ALIGNMENT_BYTES: usize = 8;
/// Bits of a position for the offset within a segment, in units of the alignment.
const OFFSET_BITS: u32 = 23;
/// Address space of one segment: 64 MiB.
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
    /// The first block shows that the shipments will not fit in the memory that the load may take.
    #[error("the shipments need at least {} MiB of memory, {} MiB may be taken", needed >> 20, max >> 20)]
    TooMany {
        /// Bytes that the index and the smallest records take.
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

/// Arena that is being filled: gives segments to writers, and collects them when the writers are done.
#[derive(Default)]
pub(super) struct ArenaBuilder {
    next: AtomicU32,
    full: Mutex<Vec<Segment>>,
    huge_pages: bool,
}

impl ArenaBuilder {
    pub(super) fn new(huge_pages: bool) -> ArenaBuilder {
        ArenaBuilder { huge_pages, ..ArenaBuilder::default() }
    }

    /// Creates a builder whose segments will be appended to `arena` by [`Arena::append`].
    pub(super) fn after(arena: &Arena, huge_pages: bool) -> ArenaBuilder {
        let builder = ArenaBuilder::new(huge_pages);
        builder.next.store(arena.maps.len() as u32, Ordering::Relaxed);
        builder
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
        mutex::lock(&self.full).push(segment);
    }

    /// Freezes the arena. All writers must have been dropped.
    pub(super) fn finish(self) -> Arena {
        let mut segments = mutex::into_inner(self.full);
        segments.sort_unstable_by_key(|segment| segment.number);
        let used_bytes = segments.iter().map(|segment| segment.used_bytes).sum();
        Arena { maps: segments.into_iter().map(|segment| segment.map).collect(), used_bytes }
    }
}

/// Writer of one thread, with segments of its own. Its positions ascend.
pub(super) struct ArenaWriter<'b> {
    builder: &'b ArenaBuilder,
    current: Option<Segment>,
}

impl<'b> ArenaWriter<'b> {
    pub(super) fn new(builder: &'b ArenaBuilder) -> ArenaWriter<'b> {
        ArenaWriter { builder, current: None }
    }

    /// Writes a record, given as parts that are concatenated.
    pub(super) fn push(&mut self, parts: &[&[u8]]) -> Result<Position, ArenaError> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let fits =
            |segment: &Segment| segment.used_bytes < SEGMENT_BYTES && segment.map.len() - segment.used_bytes >= bytes;
        if !self.current.as_ref().is_some_and(fits) {
            let next = self.builder.segment(bytes)?;
            if let Some(full) = self.current.replace(next) {
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
}

impl Drop for ArenaWriter<'_> {
    fn drop(&mut self) {
        if let Some(segment) = self.current.take() {
            self.builder.keep(segment);
        }
    }
}

/// Arena that is frozen.
pub(super) struct Arena {
    maps: Vec<MmapMut>,
    used_bytes: usize,
}

impl Arena {
    /// The bytes from a record's start to the end of its segment. The record itself tells its length.
    #[inline]
    pub(super) fn at(&self, position: Position) -> &[u8] {
        let segment = &self.maps[position.segment()];
        let offset = (position.0 as usize & ((1 << OFFSET_BITS) - 1)) * ALIGNMENT_BYTES;
        &segment[offset..]
    }

    /// Appends the arena of a builder that was created by [`ArenaBuilder::after`] this one.
    pub(super) fn append(&mut self, later: Arena) {
        self.maps.extend(later.maps);
        self.used_bytes += later.used_bytes;
    }

    /// Number of bytes written, which are resident.
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
