//! Version of a dataset: replicas that respond alike have the same one.

use std::fmt::Write;

use xxhash_rust::xxh3::xxh3_128;

use super::columns::ColumnNames;
use super::options::{DELIMITER, Options};
use crate::dataset::RENDERING_VERSION;
use crate::shipment::Column;

/// Computes the version from the hash of the content, the number of rows that were left out, and everything else that
/// changes responses.
pub(super) fn version(content: u128, bad_rows: u64, options: &Options) -> String {
    // Which rows are bad follows from what else is hashed here, for one release. The limit does not change responses:
    // its default stands for files without bad rows, whose versions must not change.
    let mut settings = format!("rendering={RENDERING_VERSION} bad_rows_max=0");
    // Writing to a String cannot fail.
    if bad_rows > 0 {
        let _ = write!(settings, " bad_rows={bad_rows}");
    }
    // Defaults are left out, so that versions are the same as before these options existed.
    if options.delimiter != DELIMITER {
        let _ = write!(settings, " delimiter={}", options.delimiter);
    }
    if options.decimal_comma {
        settings.push_str(" decimal_comma");
    }
    if options.columns != ColumnNames::default() {
        let _ = write!(settings, " columns={:?}", Column::ALL.map(|column| options.columns.get(column)));
    }
    if let Some(shard) = options.shard {
        let _ = write!(settings, " shard={shard}");
    }
    if let Some(map) = &options.status_map {
        let _ = write!(settings, " status_map={:032x}", map.hash());
    }
    let parts = [&content.to_be_bytes()[..], settings.as_bytes()].concat();
    format!("{:032x}", xxh3_128(&parts))
}
