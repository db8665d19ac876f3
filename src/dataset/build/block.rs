//! Intermediate results of building: blocks of the file, their runs of rows, and conflicts between rows.

use crate::dataset::arena::Position;
use crate::dataset::index::Fingerprint;
use crate::dataset::varint::{Cursor, put_varint};
use crate::shipment::Column;

/// Result of a block of the file: its fragments (runs of rows of one shipment) and rows, in order.
#[derive(Default)]
pub(super) struct Block {
    /// Index of the block in the file, from 0.
    pub(super) number: u32,
    /// Positions of the fragments' records, ascending.
    pub(super) positions: Vec<Position>,
    /// For each fragment the number of its rows, then their lines as differences to the row before, all in varints: a
    /// byte or two a row, for errors that hardly ever occur.
    pub(super) rows: Vec<u8>,
    /// Number of rows in all fragments.
    pub(super) row_count: u32,
    /// Ids of the carriers, in the order of their first rows.
    pub(super) carriers: Vec<u32>,
}

impl Block {
    /// Copies the result at its exact size, and clears this one for the next block.
    pub(super) fn take(&mut self, number: u32) -> Block {
        fn take<T: Copy>(gathered: &mut Vec<T>) -> Vec<T> {
            let exact = gathered.as_slice().to_vec();
            gathered.clear();
            exact
        }
        Block {
            number,
            positions: take(&mut self.positions),
            rows: take(&mut self.rows),
            row_count: std::mem::take(&mut self.row_count),
            carriers: take(&mut self.carriers),
        }
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Block>() + size_of_val(&self.positions[..]) + self.rows.len() + size_of_val(&self.carriers[..])
    }

    /// Finds the fragment of this block whose record is at `position`.
    pub(super) fn find(&self, position: Position) -> Option<u32> {
        self.positions.binary_search(&position).ok().map(|at| at as u32)
    }

    /// Adds a fragment whose rows start on `lines`; `last` is the line of the row before.
    pub(super) fn push_rows(&mut self, lines: &[u32], last: &mut u32) {
        put_varint(&mut self.rows, lines.len() as u64);
        for line in lines {
            put_varint(&mut self.rows, u64::from(line - *last));
            *last = *line;
        }
        self.row_count += lines.len() as u32;
    }

    /// Gives up the lines of the rows.
    pub(super) fn forget_lines(&mut self) {
        self.rows = Vec::new();
    }

    /// Lines of each fragment's rows.
    pub(super) fn lines(&self) -> Vec<Vec<u32>> {
        let mut rows = Cursor::new(&self.rows);
        let mut line = 0;
        let fragment = |_| {
            let count = rows.varint();
            (0..count)
                .map(|_| {
                    line += rows.varint() as u32;
                    line
                })
                .collect()
        };
        self.positions.iter().map(fragment).collect()
    }
}

/// Place of a fragment: its block, and its index in it.
pub(super) type Place = (u32, u32);

/// Fragment that collided with another one, ordered by fingerprint, then as in the file.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fragment {
    pub(super) fingerprint: Fingerprint,
    pub(super) block: u32,
    pub(super) at: u32,
}

impl Fragment {
    pub(super) fn place(self) -> Place {
        (self.block, self.at)
    }
}

/// A later fragment of a shipment, ordered by the shipment's first one, then as in the file.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    pub(super) first: Place,
    pub(super) later: Place,
}

/// What the collisions have come to.
pub(super) struct Resolved {
    /// Fragments to be joined to the first ones of their shipments, in file order of these.
    pub(super) links: Vec<Link>,
    /// First fragments of shipments that share a fingerprint, in the order of fingerprints, then as in the file.
    pub(super) shared: Vec<Fragment>,
    /// About the bytes of the fragments of shipments that have several.
    pub(super) joined_bytes: usize,
}

/// Position of a fragment that was joined to another one, or left out.
pub(super) const REMOVED: Position = Position(u32::MAX);

/// Conflict of a good row with the first row of its shipment.
#[derive(Clone, Copy)]
pub struct Conflict<'c> {
    /// Block of the row.
    pub block: u32,
    /// Line of the row, as given to [`BlockWriter::row`](super::BlockWriter::row).
    pub line: u32,
    /// First column, in file order, in which they differ.
    pub column: Column,
    /// Finds out what it is about: only if it is asked for, since there may be many.
    pub details: &'c dyn Fn() -> ConflictDetails,
}

/// What a [`Conflict`] is about: the first row of the shipment, and both values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictDetails {
    /// Block of the shipment's first row.
    pub first_block: u32,
    /// Line of that row, as given to [`BlockWriter::row`](super::BlockWriter::row).
    pub first_line: u32,
    /// Value of that row.
    pub first_value: String,
    /// Value of the row that contradicts it.
    pub value: String,
}
