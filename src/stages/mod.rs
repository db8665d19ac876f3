//! Stages of a shipment: what the status says, in words that are the same for all carriers; and the maps that know.

mod map;
mod source;
mod stage;

pub use map::StatusMap;
pub use source::{STATUS_MAP_BYTES_MAX, StatusMapError, StatusMapSource};
pub use stage::Stage;
