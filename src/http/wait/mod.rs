//! Lookups that wait until their shipment is another (long polling).

pub(crate) mod places;
pub(crate) mod waiting;
