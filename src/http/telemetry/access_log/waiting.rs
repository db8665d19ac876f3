//! The lines of one worker that wait to be written.

use std::sync::Mutex;

use crate::mutex;

/// Bytes of one worker that wait to be written; lines beyond are dropped.
pub(super) const WAITING_BYTES_MAX: usize = 4 << 20;
/// So many bytes are written soon, however long the last ones are ago.
const BLOCK_BYTES: usize = 64 << 10;

/// Lines between the worker that adds them, whole, and the thread that takes them, which only exchanges two pointers
/// meanwhile: neither waits for the other.
#[derive(Default)]
pub(super) struct Waiting {
    lines: Mutex<Vec<u8>>,
}

/// What was done with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It is the first one since lines were taken.
    First,
    /// It completes a block.
    Block,
    /// It is one of many.
    Another,
    /// There was no room for it.
    Dropped,
}

impl Waiting {
    /// Adds the line that `write` appends.
    #[inline]
    pub(super) fn add(&self, write: impl FnOnce(&mut Vec<u8>)) -> Added {
        let mut lines = mutex::lock(&self.lines);
        let before = lines.len();
        if before >= WAITING_BYTES_MAX {
            return Added::Dropped;
        }
        write(&mut lines);
        match before {
            0 => Added::First,
            _ if before < BLOCK_BYTES && lines.len() >= BLOCK_BYTES => Added::Block,
            _ => Added::Another,
        }
    }

    /// Exchanges all lines for `nothing`, which is empty.
    pub(super) fn take(&self, nothing: &mut Vec<u8>) {
        std::mem::swap(&mut *mutex::lock(&self.lines), nothing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_when_there_is_something_to_write_and_takes_no_more_than_it_may() {
        let waiting = Waiting::default();
        let add = |bytes: usize| waiting.add(|lines| lines.resize(lines.len() + bytes, b'x'));
        assert_eq!(
            [add(1), add(BLOCK_BYTES - 2), add(1), add(1)],
            [Added::First, Added::Another, Added::Block, Added::Another]
        );
        assert_eq!([add(WAITING_BYTES_MAX), add(1)], [Added::Another, Added::Dropped]);
        let mut taken = Vec::new();
        waiting.take(&mut taken);
        assert_eq!(taken.len(), BLOCK_BYTES + 1 + WAITING_BYTES_MAX);
        assert_eq!([add(1), add(1)], [Added::First, Added::Another]);
    }
}
