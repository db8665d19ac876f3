//! Waybill answers "where is my parcel" from memory: a CSV export in, an immutable dataset out, lookups over HTTP.
//!
//! ```text
//! file ─▶ load (blocks ▸ rows ▸ checks) ─▶ dataset builder ─▶ Dataset (frozen) ─▶ Store (ArcSwap) ─▶ http
//!                                                                  ▲
//!                                        reload: SIGHUP · POST /-/reload · --watch
//! ```
//!
//! Modules, in reading order; each knows only those above it:
//!
//! - [`shipment`]: the domain: columns, rows, how tracking numbers and carriers compare
//! - [`place`]: postcode, city and country of an address
//! - [`shard`]: which part of the shipments a process has
//! - `json`: escaping the texts of JSON strings; `mutex`: locks that ignore poison; `thread`: priorities
//!   of threads; `truncate`: the start of a long text; `similar`: the name that was probably meant; [`cancel`]: cancelling long work
//! - [`stages`]: what a status says, in the same words for all carriers, and the maps that know
//! - [`dataset`]: the frozen dataset, how it is built and what it answers
//! - [`changes`]: what changed since earlier versions
//! - [`batch`]: many lookups at once, JSON in, JSON out
//! - [`source`]: where bytes come from: files and objects in storage, compressed or not
//! - [`load`]: file or object → dataset, in blocks, on all cores
//! - [`memory`]: what a dataset will take and what there is
//! - [`store`]: the dataset that is served, and perhaps the one before it
//! - [`reload`]: the one loader thread
//! - [`brand`]: whose the pages are, and what they look like
//! - [`http`]: request → route → handler → response, and the server around it
//! - [`cli`], [`config`]: the command line as defined; with variables and file added to it, and checked
//! - [`systemd`]: the sockets that the service manager hands over, and what it is told
//! - [`commands`]: `serve`, `check`, `generate`, `health`, and their log
//!
//! # Invariants
//!
//! - `shipment`, `place`, `load`, `dataset` and `store` never name hyper, `http` or tokio; `dataset` never names `load`.
//! - A published dataset never changes. A request sees exactly one. A failed or refused load changes nothing served.
//! - The hot path, a lookup that finds something, takes no lock, writes no shared atomic, formats no string, logs
//!   nothing, unless the access log is to have it.
//! - Everything that a client can make large has a named limit.
//! - There is no `unsafe`.

pub mod shipment;

pub mod place;

pub mod shard;

pub mod cancel;
mod json;
mod mutex;
mod similar;
mod thread;
mod truncate;

pub mod stages;

pub mod dataset;

pub mod changes;

pub mod batch;

pub mod source;

pub mod load;

pub mod memory;

pub mod store;

pub mod reload;

pub mod brand;

pub mod http;

pub mod cli;
pub mod config;

pub mod systemd;

pub mod commands;
