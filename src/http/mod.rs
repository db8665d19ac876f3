//! Request → route → answer.
//!
//! [`listen`] binds sockets, [`server`] accepts connections and drains them, [`connections`](server::TimeLimits) has those of a thread and bounds
//! their time, `connection` bounds each in memory over its `socket`, `streams` those with HTTP/2 over [`tls`], `service`
//! gives each request its [`Reply`], `worker` has the pipeline of one request, [`response`] builds responses,
//! `counters` are what each worker counts, [`access`] is the access log, and the other modules have one resource each,
//! or what several of them share (`head`, `body`, `query`, `links`, `etag`, `shards`).

pub mod access;
pub mod activity;
mod admin;
pub mod app;
mod body;
mod connection;
pub mod cors;
mod counters;
pub mod credentials;
mod docs;
mod etag;
pub mod forwarded;
mod head;
mod http1;
mod http2;
mod links;
mod list;
pub mod listen;
mod lookup;
mod metrics;
mod pages;
pub mod pipeline;
mod probes;
mod query;
mod registry;
pub mod reply;
pub mod response;
pub mod route;
pub mod secrets;
pub mod server;
mod shards;
mod shipments;
mod site;
mod socket;
pub mod tls;
pub mod worker;
