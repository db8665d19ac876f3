//! The threads of a load: how many, and what memory each of them takes.

use super::options::Options;

/// Fewest blocks for each thread.
const BLOCKS_PER_THREAD: usize = 16;
/// Most bytes in the blocks of all threads, as far as the smallest blocks allow.
const BLOCKS_BYTES_MAX: usize = 8 << 20;
const BLOCK_BYTES_MIN: usize = 256 << 10;
/// Memory of a thread, and of a thread for each byte of its block, measured: the block, what is parsed of it, and what the
/// allocator keeps for the thread.
const THREAD_BYTES: u64 = 3 << 20;
const THREAD_BYTES_PER_BLOCK_BYTE: u64 = 5;

/// The threads of a load. Each takes memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Threads {
    /// Number of threads.
    pub(super) count: usize,
    /// Size of the block that each parses.
    pub(super) block_bytes: usize,
    /// Memory that each takes.
    pub(super) bytes_each: u64,
}

impl Threads {
    /// Chooses them for a file with about so much content.
    pub(super) fn new(content_bytes: u64, options: &Options) -> Threads {
        let blocks = usize::try_from(content_bytes / options.block_bytes.max(1) as u64).unwrap_or(usize::MAX);
        let count = options.threads.min(blocks / BLOCKS_PER_THREAD + 1).max(1);
        let block_bytes = options.block_bytes.min((BLOCKS_BYTES_MAX / count).max(BLOCK_BYTES_MIN));
        let of_block = THREAD_BYTES_PER_BLOCK_BYTE * content_bytes.min(block_bytes as u64);
        // The allocator's part grows with what is allocated.
        Threads { count, block_bytes, bytes_each: of_block + THREAD_BYTES.min(of_block) }
    }
}
