//! What a load tolerates and how it goes about it.

use super::columns::ColumnNames;
use crate::shard::Shard;

/// Bytes that a thread takes from the file at a time: few enough to stay in a core's cache.
const BLOCK_BYTES: usize = 1 << 20;

/// What separates fields unless told otherwise.
pub const DELIMITER: u8 = b',';

/// What a load tolerates and how it goes about it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bad rows that are left out before the file is refused.
    pub bad_rows_max: u64,
    /// Whether a file whose last line has no line break is refused.
    pub require_final_newline: bool,
    /// What separates fields: ASCII, no quote, no line break.
    pub delimiter: u8,
    /// What the header calls the columns.
    pub columns: ColumnNames,
    /// The part of the shipments that is kept; none for all.
    pub shard: Option<Shard>,
    /// Threads that parse, at least 1.
    pub threads: usize,
    /// Bytes of a block, at least 1; a block is at least one record.
    pub block_bytes: usize,
    /// Added to the scheduling niceness of the loader's threads, so that serving goes first.
    pub niceness: i32,
    /// Bytes of memory that the load may take; more is refused where it is known beforehand.
    pub memory_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Options {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Options {
            bad_rows_max: 0,
            require_final_newline: false,
            delimiter: DELIMITER,
            columns: ColumnNames::default(),
            shard: None,
            threads,
            block_bytes: BLOCK_BYTES,
            niceness: 0,
            memory_bytes_max: u64::MAX,
        }
    }
}
