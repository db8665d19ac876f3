//! What each resource of the HTTP API answers.

mod batch_lookup;
mod brand;
mod changes;
mod exports;
mod languages;
mod legacy_list;
mod lookups;
mod metrics;
mod openapi;
mod search;
mod shards;
mod stages;
mod streams;
mod ui;
mod unavailable;
mod unknown;
mod versions;
mod waits;
