//! The version of a dataset: one name for what is answered, on every replica.

use std::fmt::Write;

use xxhash_rust::xxh3::xxh3_128;

use super::columns::ColumnNames;
use super::options::{DELIMITER, Options};
use crate::dataset::RENDERING_VERSION;
use crate::shipment::Column;

/// Hash over the content, given by its own hash, and all that changes answers about it.
pub(super) fn version(content: u128, options: &Options) -> String {
    let mut settings = format!("rendering={RENDERING_VERSION} bad_rows_max={}", options.bad_rows_max);
    // What is as usual is not named: versions stay what they were before it could be told otherwise. Writing to
    // a String cannot fail.
    if options.delimiter != DELIMITER {
        let _ = write!(settings, " delimiter={}", options.delimiter);
    }
    if options.columns != ColumnNames::default() {
        let _ = write!(settings, " columns={:?}", Column::ALL.map(|column| options.columns.get(column)));
    }
    if let Some(shard) = options.shard {
        let _ = write!(settings, " shard={shard}");
    }
    let parts = [&content.to_be_bytes()[..], settings.as_bytes()].concat();
    format!("{:032x}", xxh3_128(&parts))
}
