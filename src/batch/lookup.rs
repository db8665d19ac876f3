//! Lookups of a batch, and errors.

use crate::shard::{Shard, WrongShard};
use crate::shipment::FoldedKey;

/// Most lookups of a batch.
pub const LOOKUPS_MAX: usize = 1000;
/// Largest response, in bytes.
pub const RESPONSE_BYTES_MAX: usize = 64 << 20;
/// Largest shipment in a response, in bytes: what is around it, such as the links of a page, has room too.
pub const SHIPMENT_BYTES_MAX: usize = RESPONSE_BYTES_MAX - (32 << 10);

/// Lookup of a batch, as the client spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup<'b> {
    /// Not blank.
    pub tracking_number: &'b str,
    /// Not blank; `None` for any carrier.
    pub carrier: Option<&'b str>,
    /// Postcode of the receiver, if the client shows one; a blank one is none.
    pub postcode: Option<&'b str>,
}

/// Error of a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The body is not JSON, or JSON of another shape. Describes what is wrong, and where.
    #[error("{0}")]
    Invalid(String),
    /// There are more than [`LOOKUPS_MAX`] lookups.
    #[error("lookups: {count} of them; at most {LOOKUPS_MAX} are answered at once")]
    TooManyLookups {
        /// Number of lookups.
        count: usize,
    },
    /// The response would exceed its limit.
    #[error("the answer would be larger than {bytes_max} bytes; ask for fewer shipments at once")]
    ResponseTooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// Another shard has the shipments of a lookup.
    #[error("lookups[{at}]: {error}; split the batch by shard")]
    WrongShard {
        /// Index of the first such lookup, from 0.
        at: usize,
        /// The number, and the shard that it belongs to.
        error: WrongShard,
    },
}

/// Checks that the numbers of all `lookups` belong to `shard`.
pub fn check_shard(lookups: &[Lookup<'_>], shard: Shard) -> Result<(), BatchError> {
    for (at, Lookup { tracking_number, .. }) in lookups.iter().enumerate() {
        let checked = shard.check(&FoldedKey::new(tracking_number), tracking_number);
        checked.map_err(|error| BatchError::WrongShard { at, error })?;
    }
    Ok(())
}
