//! Search: filters, pages and facets, computed from the postings of values.

pub(super) mod facets;
mod filter;
mod ordinals;
pub(super) mod postings;
mod selection;
mod unmapped;
pub(super) mod values;

pub use facets::FACET_VALUES_MAX;
pub use filter::Filter;
pub use postings::FacetCount;
pub use selection::{Selection, Sort};
pub use unmapped::Unmapped;
