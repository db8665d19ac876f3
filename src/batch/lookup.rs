//! The lookups of one batch, and why there may be no answer to them.

use crate::shard::{Shard, WrongShard};
use crate::shipment::FoldedKey;

/// Lookups of one question.
pub const LOOKUPS_MAX: usize = 1000;
/// Bytes of one answer.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A number to look for, as the client spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup<'b> {
    /// Not blank.
    pub tracking_number: &'b str,
    /// Not blank; none means any.
    pub carrier: Option<&'b str>,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Not JSON, or JSON of another shape: what is wrong, and where.
    #[error("{0}")]
    Invalid(String),
    /// More than [`LOOKUPS_MAX`].
    #[error("lookups: {count} of them; at most {LOOKUPS_MAX} are answered at once")]
    TooManyLookups {
        /// How many were asked.
        count: usize,
    },
    /// The answer would exceed its limit.
    #[error("the answer would be larger than {bytes_max} bytes; ask for fewer shipments at once")]
    AnswerTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Another shard has the shipments of a lookup.
    #[error("lookups[{at}]: {error}; split the batch by shard")]
    WrongShard {
        /// Its place, from 0: the first such one.
        at: usize,
        /// Which number, and where it is.
        error: WrongShard,
    },
}

/// An error where not all of `lookups` are of numbers that are on `shard`.
pub fn check_shard(lookups: &[Lookup<'_>], shard: Shard) -> Result<(), BatchError> {
    for (at, Lookup { tracking_number, .. }) in lookups.iter().enumerate() {
        let checked = shard.check(&FoldedKey::new(tracking_number), tracking_number);
        checked.map_err(|error| BatchError::WrongShard { at, error })?;
    }
    Ok(())
}
