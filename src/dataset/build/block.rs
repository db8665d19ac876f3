//! The parts of a dataset in the making: blocks of the file, their runs of rows, and what was found wrong with rows.

use crate::dataset::arena::Position;
use crate::dataset::index::Fingerprint;
use crate::dataset::varint::{Cursor, put_varint};
use crate::shipment::Column;

/// What a block of the file became: its fragments (runs of rows of one shipment) and rows, in order.
#[derive(Default)]
pub(super) struct Block {
    /// The block's place in the file, from 0.
    pub(super) number: u32,
    /// Where each fragment's record is, ascending.
    pub(super) positions: Vec<Position>,
    /// Of each fragment the number of its rows, then their lines, each less the line of the row before, in varints:
    /// a byte or two a row, for errors that hardly ever come.
    pub(super) rows: Vec<u8>,
    /// Rows of all fragments.
    pub(super) row_count: u32,
    /// Carriers as they first appear in the block.
    pub(super) carriers: Vec<u32>,
}

impl Block {
    /// Takes what was gathered, at its size, and leaves the memory for the next block.
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

    /// The fragment at `position`, if it is one of this block's.
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

    /// The lines of each fragment's rows.
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

/// A run of rows, named by block and place in it; ordered by fingerprint, then as in the file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fragment {
    pub(super) fingerprint: Fingerprint,
    pub(super) block: u32,
    pub(super) at: u32,
}

/// A good row that contradicts the first row of its shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The block of the row.
    pub block: u32,
    /// The row's line as it was given to [`BlockWriter::row`].
    pub line: u32,
    /// The first column, in the order of the file, in which it differs.
    pub column: Column,
}
