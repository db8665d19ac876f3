//! Options of a load.

use std::sync::Arc;

use super::columns::ColumnNames;
use crate::cancel::Cancel;
use crate::shard::Shard;
use crate::stages::StatusMap;

/// Default size of a block: small enough for a core's cache.
const BLOCK_BYTES: usize = 1 << 20;

/// Default separator of fields.
pub const DELIMITER: u8 = b',';

/// Options of a load.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of bad rows that are left out; a file with more is refused.
    pub bad_rows_max: u64,
    /// Refuses a file whose last line has no line break.
    pub require_final_newline: bool,
    /// Separator of fields: an ASCII character, but no quote or line break.
    pub delimiter: u8,
    /// Prices have a comma before their fraction, in place of a point.
    pub decimal_comma: bool,
    /// Names of the columns in the header.
    pub columns: ColumnNames,
    /// Shard whose shipments are kept; `None` for all shipments.
    pub shard: Option<Shard>,
    /// Stages of statuses; `None` for shipments without stages.
    pub status_map: Option<Arc<StatusMap>>,
    /// Number of threads that parse, at least 1.
    pub threads: usize,
    /// Size of a block in bytes, at least 1. A block has at least one record.
    pub block_bytes: usize,
    /// Niceness that is added to the loading threads', so that serving has priority.
    pub niceness: i32,
    /// Bytes of memory that the load may take. It is refused as soon as it is clear that it takes more.
    pub memory_bytes_max: u64,
    /// Ends the load early, which then has no result.
    pub cancel: Cancel,
}

impl Default for Options {
    fn default() -> Options {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Options {
            bad_rows_max: 0,
            require_final_newline: false,
            delimiter: DELIMITER,
            decimal_comma: false,
            columns: ColumnNames::default(),
            shard: None,
            status_map: None,
            threads,
            block_bytes: BLOCK_BYTES,
            niceness: 0,
            memory_bytes_max: u64::MAX,
            cancel: Cancel::default(),
        }
    }
}
