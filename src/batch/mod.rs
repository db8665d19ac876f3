//! Batches: many lookups at once, from a JSON body to a JSON body.
//!
//! `{"lookups":[{"tracking_number":"TN1","carrier":"DHL"},…]}` in, and out, in the same order,
//! `{"results":[{"tracking_number":"TN1","carrier":"DHL","shipments":[…]},…]}`. A lookup may have a `postcode`, which
//! matters where callers see a limited view.

mod lookup;
mod outline;
mod parse;

pub use lookup::{BatchError, LOOKUPS_MAX, Lookup, RESPONSE_BYTES_MAX, SHIPMENT_BYTES_MAX, check_shard};
pub use outline::{outline, outline_with, over_limits};
pub use parse::parse;
