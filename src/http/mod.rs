//! Request → route → answer.
//!
//! [`listen`] binds sockets, [`server`] accepts connections and drains them, [`connections`](server::TimeLimits) has those of a thread and bounds
//! their time, `connection` bounds each in memory over its `socket`, `streams` those with HTTP/2 over [`tls`], `service`
//! gives each request its [`Reply`], `worker` has the pipeline of one request, [`answer`] builds responses,
//! `counters` are what each worker counts, [`access`] is the access log, and the other modules have one resource each,
//! or what several of them share (`head`, `body`, `query`, `links`, `etag`, `shards`).

pub mod access;
mod admin;
pub mod answer;
mod body;
mod connection;
mod connections;
pub mod cors;
mod counters;
pub mod credentials;
mod docs;
mod etag;
pub mod forwarded;
mod head;
mod links;
mod list;
pub mod listen;
mod lookup;
mod metrics;
mod pages;
mod query;
pub mod route;
pub mod server;
mod service;
mod shards;
mod shipments;
mod site;
mod socket;
mod streams;
pub mod tls;
mod worker;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use access::AccessLog;
use cors::Cors;
use counters::Counters;
use credentials::Credentials;
use forwarded::TrustedProxy;
use tls::Tls;

use crate::load::Stamp;
use crate::reload::Reloader;
use crate::store::Store;
pub use service::{Reply, Service};
pub use worker::Worker;

/// What all workers share.
pub struct App {
    /// The dataset that is served.
    pub store: Arc<Store>,
    /// Who loads the next one.
    pub reloader: Reloader,
    /// How the public listener's connections are secured, if they are.
    pub tls: Option<Arc<Tls>>,
    /// Connections of the public listener that may be open at a time.
    pub connections_max: usize,
    /// Set when the process begins to end: `/readyz` says so.
    pub draining: AtomicBool,
    /// What operators must show to change something, if anything.
    pub admin_tokens: Option<Credentials>,
    /// What everybody must show to ask for data, if anything.
    pub api_keys: Option<Credentials>,
    /// Pages of other sites that may read answers of the public listener, if any.
    pub cors: Option<Cors>,
    /// Who is believed about where a request comes from.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// What could not be read again by [`App::read_secrets`].
    unread_secrets: Mutex<Vec<&'static str>>,
    /// Where answers are logged, if they are.
    pub access_log: Option<AccessLog>,
    /// What each worker counts.
    counters: Mutex<Vec<Arc<Counters>>>,
}

impl App {
    /// What workers share that answer from `store`, which `reloader` fills.
    pub fn new(store: Arc<Store>, reloader: Reloader) -> App {
        App {
            store,
            reloader,
            tls: None,
            connections_max: usize::MAX,
            draining: AtomicBool::new(false),
            admin_tokens: None,
            api_keys: None,
            cors: None,
            trusted_proxies: Vec::new(),
            unread_secrets: Mutex::default(),
            access_log: None,
            counters: Mutex::default(),
        }
    }

    /// The scheme of the public listener's URLs.
    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Opens the files beside the data again that a reload renews. What cannot be used is logged, and what it was to
    /// replace goes on to hold.
    pub fn reopen_files(&self) {
        if let Some(log) = &self.access_log {
            log.reopen();
        }
        self.read_secrets();
    }

    /// Reads certificates, tokens and keys again.
    pub fn read_secrets(&self) {
        let tls = self.tls.as_ref().map(|tls| tls.reload().map_err(anyhow::Error::from));
        let secrets = |of: &Option<Credentials>| of.as_ref().map(|of| of.reload().map_err(anyhow::Error::from));
        let read = [("certificates", tls), ("tokens", secrets(&self.admin_tokens)), ("keys", secrets(&self.api_keys))];
        // Whoever is told by the log finds it in the metrics.
        let unread = read.iter().filter(|(_, result)| matches!(result, Some(Err(_)))).map(|(what, _)| *what).collect();
        *self.unread_secrets.lock().unwrap_or_else(PoisonError::into_inner) = unread;
        for (what, result) in read {
            match result {
                Some(Ok(())) => tracing::info!("{what} read again"),
                Some(Err(error)) => {
                    let error = format!("{error:#}");
                    tracing::error!(error, "{what} not read again; those from before still hold");
                }
                None => {}
            }
        }
    }

    /// The states of the files that [`App::read_secrets`] reads.
    pub fn secret_stamps(&self) -> Vec<Option<Stamp>> {
        let tls = self.tls.iter().flat_map(|tls| tls.paths());
        let secrets = [&self.admin_tokens, &self.api_keys].into_iter().flatten().map(Credentials::path);
        tls.chain(secrets).map(|path| Stamp::at(path).ok()).collect()
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
