//! File order of the shipments: an ordinal is a shipment's index in it, from 0.
//!
//! Finding the ordinal of a record needs no table of its own: within a segment of the arena records are in file order,
//! so the order consists of ascending runs, one for each block of the file and a few more.

use super::arena::Position;

/// Consecutive ordinals whose records are in one segment, ascending.
#[derive(Clone, Copy)]
struct Run {
    position: Position,
    ordinal: u32,
    len: u32,
}

/// Positions of all records, in file order.
#[derive(Default)]
pub(super) struct Order {
    positions: Box<[Position]>,
    /// Sorted by position.
    runs: Box<[Run]>,
}

impl Order {
    /// Creates the order from `positions` in file order, which ascend within a segment.
    pub(super) fn new(positions: Vec<Position>) -> Order {
        let mut ordinal = 0;
        let same_segment = positions.chunk_by(|a, b| a.segment() == b.segment());
        let mut runs: Vec<Run> = same_segment
            .map(|run| {
                let start = ordinal;
                ordinal += run.len() as u32;
                Run { position: run[0], ordinal: start, len: run.len() as u32 }
            })
            .collect();
        runs.sort_unstable_by_key(|run| run.position);
        Order { positions: positions.into_boxed_slice(), runs: runs.into_boxed_slice() }
    }

    /// Positions of the records, in file order.
    #[inline]
    pub(super) fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// Number of shipments.
    pub(super) fn len(&self) -> usize {
        self.positions.len()
    }

    /// The ordinal of the record at `position`.
    pub(super) fn ordinal(&self, position: Position) -> Option<u32> {
        let after = self.runs.partition_point(|run| run.position <= position);
        let run = self.runs[after.checked_sub(1)?];
        let positions = &self.positions[run.ordinal as usize..][..run.len as usize];
        positions.binary_search(&position).ok().map(|at| run.ordinal + at as u32)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.positions[..]) + size_of_val(&self.runs[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_its_ordinal_and_nothing_else_has_one() {
        let segment = |number: u32, offset: u32| Position(number << 19 | offset);
        let positions = vec![
            segment(1, 0),
            segment(1, 4),
            segment(0, 0),
            segment(2, 9),
            segment(0, 7),
            segment(0, 8),
            segment(1, 6),
            segment(2, 10),
        ];
        let order = Order::new(positions.clone());
        for (ordinal, position) in positions.iter().enumerate() {
            assert_eq!(order.ordinal(*position), Some(ordinal as u32));
        }
        for nowhere in [segment(0, 1), segment(1, 5), segment(2, 0), segment(2, 11), segment(3, 0)] {
            assert_eq!(order.ordinal(nowhere), None);
        }
        assert_eq!(Order::default().ordinal(segment(0, 0)), None);
    }
}
