//! Request → route → answer.
//!
//! [`server`] accepts connections and drains them, `connection` bounds each in time and memory over its `socket`,
//! `service` gives each request its [`Reply`], `worker` has the pipeline of one request, [`answer`] builds responses,
//! `counters` are what each worker counts, and the other modules have one resource each, or what several of them share
//! (`head`, `body`, `query`, `links`, `etag`).

mod admin;
pub mod answer;
mod body;
mod connection;
mod counters;
mod docs;
mod etag;
mod head;
mod links;
mod list;
mod lookup;
mod metrics;
mod pages;
mod query;
pub mod route;
pub mod server;
mod service;
mod shipments;
mod site;
mod socket;
mod worker;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use crate::reload::Reloader;
use crate::store::Store;
use counters::Counters;

pub use service::{Reply, Service};
pub use worker::Worker;

/// What all workers share.
pub struct App {
    /// The dataset that is served.
    pub store: Arc<Store>,
    /// Who loads the next one.
    pub reloader: Reloader,
    /// Set when the process begins to end: `/readyz` says so.
    pub draining: AtomicBool,
    /// What each worker counts.
    counters: Mutex<Vec<Arc<Counters>>>,
}

impl App {
    /// What workers share that answer from `store`, which `reloader` fills.
    pub fn new(store: Arc<Store>, reloader: Reloader) -> App {
        App { store, reloader, draining: AtomicBool::new(false), counters: Mutex::default() }
    }

    /// Numbers for one more worker.
    fn counters_of_a_worker(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        counters
    }

    /// The numbers of all workers.
    fn all_counters(&self) -> Vec<Arc<Counters>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
