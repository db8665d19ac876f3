//! What changed since earlier versions: the steps from each version that was served to the next, bounded in number and
//! memory, and the net difference between any of these versions and the current one.
//!
//! A step has an entry per shipment that came, changed or went, and nothing of the others. All entries are in one list,
//! sorted by what became of the shipment: its ordinal in the current dataset, or its place among those that went. So the
//! entries of a shipment are together, the list is in the order of responses, and which shipment an entry is about needs
//! no key. The first of its entries after a version tells what it was then; the current dataset tells what it is. With each
//! publication the loader makes a new log, with the ordinals of the new dataset; what shipments were before is shared.

mod kind;
mod log;
mod net;

pub use kind::Kind;
pub use log::{BYTES_LIMITS, BYTES_MAX_DEFAULT, ChangeLog, ChangesLimits, VERSIONS_LIMITS};
pub use net::{Change, ChangeFilter, ChangePage, ChangeQuery};
