//! Many lookups at once: a JSON question, a JSON answer.
//!
//! `{"lookups":[{"tracking_number":"TN1","carrier":"DHL"},…]}` in, and out, in the same order,
//! `{"results":[{"tracking_number":"TN1","carrier":"DHL","shipments":[…]},…]}`.

mod answer;
mod lookup;
mod parse;

pub use answer::answer;
pub use lookup::{ANSWER_BYTES_MAX, BatchError, LOOKUPS_MAX, Lookup, check_shard};
pub use parse::parse;
