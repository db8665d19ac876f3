//! Which shipments a filter lets through, and how many of what: answered from the postings of values.

pub(super) mod facets;
mod filter;
mod ordinals;
pub(super) mod postings;
pub(super) mod values;

pub use facets::FACET_VALUES_MAX;
pub use filter::{Filter, Selection};
pub use postings::FacetCount;
