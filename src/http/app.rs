//! The app: the state that all workers share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::header::HeaderValue;

use crate::http::access::Access;
use crate::http::budget::Budget;
use crate::http::pages::ServedPages;
use crate::http::request::cors::Cors;
use crate::http::request::forwarded::TrustedProxy;
use crate::http::request::route::Offered;
use crate::http::secrets::Secrets;
use crate::http::streams::places::StreamPlaces;
use crate::http::telemetry::access_log::AccessLog;
use crate::http::telemetry::counters::Counters;
use crate::http::timers::Timers;
use crate::http::wait::places::WaitPlaces;
use crate::mutex;
use crate::reload::Reloader;
use crate::store::{Snapshot, Store};

/// Default of `--max-buffered-bytes`, where the memory is not limited to less.
pub const BUFFERED_BYTES_MAX_DEFAULT: usize = 256 << 20;

/// The state that all workers share.
pub struct App {
    /// The dataset that is served.
    pub store: Arc<Store>,
    /// The thread that loads the next one.
    pub reloader: Reloader,
    /// Certificates, tokens and keys.
    pub secrets: Secrets,
    /// Rules for those who ask for data, if there are any.
    pub access: Option<Access>,
    /// The memory that may be held for clients.
    pub budget: Arc<Budget>,
    /// Age of the data from which on it is stale, if there is one.
    pub data_age_max: Option<Duration>,
    /// True if responses are compressed for clients that take that.
    pub with_compression: bool,
    /// True if shipments have stages.
    pub with_stages: bool,
    /// The routes that only some servers have.
    pub offered: Offered,
    /// The pages.
    pub pages: ServedPages,
    /// Connections of the public listener that may be open at a time.
    pub connections_max: usize,
    /// False as long as the public listener gets no connections because there is no data yet: `/readyz` says so.
    pub listening: AtomicBool,
    /// Set when the process begins to end: `/readyz` says so.
    pub draining: AtomicBool,
    /// Pages of other sites that may read responses of the public listener, if any.
    pub cors: Option<Cors>,
    /// Value of `Strict-Transport-Security` in responses of the public listener, which then uses TLS, if they carry it.
    pub transport_security: Option<HeaderValue>,
    /// Proxies that are believed about where a request comes from.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Where responses are logged, if they are.
    pub access_log: Option<AccessLog>,
    /// Timers for pauses, which workers do not have.
    pub timers: Timers,
    /// The places of requests that wait for shipments to change.
    pub(crate) wait_places: Arc<WaitPlaces>,
    /// The places of streams of changes.
    pub(crate) stream_places: Arc<StreamPlaces>,
    /// Held by the thread that closes its listener. With `net.ipv4.tcp_migrate_req` the kernel moves what waits in the
    /// queue to another listener, and resets it if that one is closed just then.
    pub(crate) closing: Mutex<()>,
    /// The counters of each worker.
    counters: Mutex<Vec<Arc<Counters>>>,
}

impl App {
    /// An app that serves `store`, which `reloader` fills, without access control, CORS, TLS or a log.
    pub fn new(store: Arc<Store>, reloader: Reloader) -> App {
        App {
            store,
            reloader,
            secrets: Secrets::default(),
            access: None,
            budget: Budget::new(BUFFERED_BYTES_MAX_DEFAULT),
            data_age_max: None,
            with_compression: true,
            with_stages: false,
            offered: Offered { pages: true, changes: false },
            pages: ServedPages::default(),
            connections_max: usize::MAX,
            listening: AtomicBool::new(true),
            draining: AtomicBool::new(false),
            cors: None,
            transport_security: None,
            trusted_proxies: Vec::new(),
            access_log: None,
            timers: Timers::default(),
            wait_places: Arc::default(),
            stream_places: Arc::default(),
            closing: Mutex::default(),
            counters: Mutex::default(),
        }
    }

    /// The scheme of the public listener's URLs.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.secrets.certificates.is_some() { "https" } else { "http" }
    }

    /// True if the data of `snapshot` is older than it may be.
    pub fn is_stale(&self, snapshot: &Snapshot) -> bool {
        self.data_age_max.is_some_and(|age_max| snapshot.is_older_than(age_max))
    }

    /// Opens the files beside the data again that a reload renews: the access log, certificates, tokens, keys, the brand.
    pub fn reopen_files(&self) {
        self.reopen_access_log();
        self.secrets.reload();
        self.pages.reload();
    }

    /// Opens the access log again, if there is one: its file may have been renamed.
    pub fn reopen_access_log(&self) {
        if let Some(log) = &self.access_log {
            log.reopen();
        }
    }

    /// Counters for one more worker.
    pub(crate) fn add_counters(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        mutex::lock(&self.counters).push(Arc::clone(&counters));
        counters
    }

    /// The counters of all workers.
    pub(crate) fn all_counters(&self) -> Vec<Arc<Counters>> {
        mutex::lock(&self.counters).clone()
    }
}
