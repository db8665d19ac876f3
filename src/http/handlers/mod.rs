//! Handlers: one file per resource.

pub(crate) mod batch_lookup;
pub(crate) mod changes;
pub(crate) mod changes_stream;
pub(crate) mod dataset;
pub(crate) mod docs;
pub(crate) mod export;
pub(crate) mod facets;
pub(crate) mod legacy_list;
pub(crate) mod limited;
pub(crate) mod metrics;
pub(crate) mod misdirected;
pub(crate) mod not_found;
pub(crate) mod page_links;
pub(crate) mod probes;
pub(crate) mod reload;
pub(crate) mod search;
pub(crate) mod shipments;
pub(crate) mod ui;
pub(crate) mod wait;
