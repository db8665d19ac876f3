//! The HTTP server. Each module knows only those below it:
//!
//! - [`server`]: accept loops, a runtime per thread, and ending in good order; [`listener`]: bound sockets
//! - `connection`: HTTP/1 and HTTP/2 over TCP, Unix sockets and [`tls`], bounded in memory and time
//! - [`pipeline`]: the way of a request: validate, route, authorize, handle, record
//! - `trail`: what is kept of a request for its records
//! - `handlers`: one file per resource
//! - [`worker`]: the state that the requests of a thread share; [`app`]: that of all threads
//! - [`pages`]: what people look at
//! - `wait`, `streams`: those who wait for changes, and streams of them
//! - `offload`: work on blocking threads, and the queue for them
//! - `timers`: pauses, which workers have no timers for
//! - [`budget`]: the memory that may be held for clients
//! - [`secrets`]: certificates, tokens and keys
//! - [`telemetry`]: counters, the access log and the audit trail
//! - [`request`]: route, parameters, body, credentials and origin of a request
//! - [`response`]: the only place that builds responses
//! - [`activity`]: phases of connections, their limits in time, commands to connections
//!
//! `assets` has the pages, the OpenAPI document and its viewer.

pub mod access;
pub mod activity;
pub mod app;
pub mod budget;
mod compression;
pub mod connection;
pub(crate) mod handlers;
pub mod listener;
mod offload;
pub mod pages;
pub mod pipeline;
pub mod request;
pub mod response;
pub mod secrets;
pub mod server;
pub(crate) mod streams;
pub mod telemetry;
pub(crate) mod timers;
pub mod tls;
mod trail;
pub(crate) mod wait;
pub mod worker;
