//! The one loader thread: it loads, compares, guards, publishes, and drops what was served before.
//!
//! Triggers queue up. Whatever waits when a load begins and asks for the same shares it; what arrives later waits for
//! the next. So there are never two loads at once, every caller gets an answer, and the state of the file at the last
//! trigger is what ends up served.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::dataset::Changes;
use crate::load::{self, LoadError, Loaded, Progress, Summary};
use crate::memory::{self, Available, Forecast};
use crate::store::{Snapshot, Store};

/// Niceness of the threads that load while others serve.
const RELOAD_NICENESS: i32 = 10;
/// How soon a replaced dataset is looked at again while requests hold it.
const RETIRED_INTERVAL: Duration = Duration::from_millis(5);

/// What a load has to keep.
#[derive(Clone, Debug)]
pub struct ReloadSettings {
    /// The file.
    pub data: PathBuf,
    /// How it is loaded.
    pub load: load::Options,
    /// A dataset with fewer shipments is refused.
    pub shipments_min: u64,
    /// A dataset that drops more of the served shipments than this percentage is refused.
    pub removed_percent_max: f64,
}

/// What a caller asks for. Callers that ask for the same share a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Only say what would happen.
    pub dry_run: bool,
    /// Pass the guards on the number of shipments.
    pub force: bool,
}

/// What a load came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The file is served now (or would be, on a dry run).
    Published {
        /// The new dataset's generation.
        generation: u64,
        /// The new dataset's version.
        version: String,
        /// Its shipments.
        shipments: u64,
        /// The difference to the dataset before.
        changes: Changes,
        /// Wall time of the load.
        load_seconds: f64,
    },
    /// The file is what is served already.
    Unchanged {
        /// The generation that is served.
        generation: u64,
        /// Its version.
        version: String,
        /// Its shipments.
        shipments: u64,
        /// Wall time of the load.
        load_seconds: f64,
    },
}

/// Why the file is not served.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file did not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Fewer shipments than the settings allow.
    #[error("{shipments} shipments, at least {min} expected (--min-shipments)")]
    TooFewShipments {
        /// In the file.
        shipments: u64,
        /// The setting.
        min: u64,
    },
    /// More shipments would be gone than the settings allow.
    #[error(
        "{removed} of {served} shipments would be gone, more than {percent_max} % (--max-removed-percent); \
         if that is right, reload with ?force=true"
    )]
    TooManyRemoved {
        /// Shipments that are served and not in the file.
        removed: u64,
        /// Shipments that are served.
        served: u64,
        /// The setting.
        percent_max: f64,
    },
    /// The new dataset beside the served one would not fit in memory.
    #[error(
        "loading needs about {} MiB and {} MiB are left of {}; what was served is still served",
        needed >> 20, available.bytes >> 20, available.limit
    )]
    InsufficientMemory {
        /// Bytes, estimated by what the served dataset took.
        needed: u64,
        /// What there is.
        available: Available,
    },
    /// A bug in the loader.
    #[error("the loader panicked; the log has the message")]
    Panicked,
    /// The process ends.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// A load's result, shared by all who asked for it.
pub type Outcome = Arc<Result<Report, ReloadError>>;

/// The last reload that was not a dry run.
#[derive(Clone, Debug)]
pub struct LastReload {
    /// When it ended.
    pub at: Timestamp,
    /// What it came to.
    pub outcome: Outcome,
}

struct Trigger {
    request: Request,
    reply: oneshot::Sender<Outcome>,
}

/// Asks the loader thread for loads. Cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    triggers: mpsc::Sender<Trigger>,
    last: Arc<Mutex<Option<LastReload>>>,
}

impl Reloader {
    /// Starts the loader thread, which makes the first load at once and sends its result to the receiver. `watch` sees
    /// the progress of every load, on the loader thread.
    pub fn start(
        settings: ReloadSettings,
        store: Arc<Store>,
        watch: Box<dyn FnMut(&Progress) + Send>,
    ) -> std::io::Result<(Reloader, oneshot::Receiver<Outcome>)> {
        let (triggers, queue) = mpsc::channel();
        let (first, first_outcome) = oneshot::channel();
        let last = Arc::new(Mutex::new(None));
        let thread = LoaderThread {
            settings,
            store,
            watch,
            queue,
            waiting: Vec::new(),
            retired: Vec::new(),
            last: Arc::clone(&last),
        };
        std::thread::Builder::new().name("loader".to_owned()).spawn(move || thread.run(first))?;
        Ok((Reloader { triggers, last }, first_outcome))
    }

    /// Loads the file again; the answer comes when that is done.
    pub async fn reload(&self, request: Request) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let shutting_down = || Arc::new(Err(ReloadError::ShuttingDown));
        match self.triggers.send(Trigger { request, reply }) {
            Ok(()) => outcome.await.unwrap_or_else(|_| shutting_down()),
            Err(_) => shutting_down(),
        }
    }

    /// The last reload that was not a dry run; none before the first.
    pub fn last(&self) -> Option<LastReload> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct LoaderThread {
    settings: ReloadSettings,
    store: Arc<Store>,
    watch: Box<dyn FnMut(&Progress) + Send>,
    queue: mpsc::Receiver<Trigger>,
    waiting: Vec<Trigger>,
    /// Replaced snapshots that a request may still hold. They are dropped here: a worker must not free a gigabyte.
    retired: Vec<Arc<Snapshot>>,
    last: Arc<Mutex<Option<LastReload>>>,
}

impl LoaderThread {
    fn run(mut self, first: oneshot::Sender<Outcome>) {
        let outcome = self.load(Request::default());
        // Whoever waited for the first load may be gone: the process is ending.
        let _ = first.send(outcome);
        self.settings.load.niceness = RELOAD_NICENESS;
        load::be_nice(RELOAD_NICENESS);
        while self.wait() {
            self.waiting.extend(self.queue.try_iter());
            while let Some(next) = self.waiting.first() {
                let request = next.request;
                let (served, later) = self.waiting.drain(..).partition(|trigger| trigger.request == request);
                self.waiting = later;
                self.serve(request, served);
                self.waiting.extend(self.queue.try_iter());
            }
        }
    }

    /// Waits for a trigger; `false` when there can be no more.
    fn wait(&mut self) -> bool {
        loop {
            self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
            let received = if self.retired.is_empty() {
                self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.queue.recv_timeout(RETIRED_INTERVAL)
            };
            match received {
                Ok(trigger) => {
                    self.waiting.push(trigger);
                    return true;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn serve(&mut self, request: Request, triggers: Vec<Trigger>) {
        let outcome = self.load(request);
        if !request.dry_run {
            let last = LastReload { at: Timestamp::now(), outcome: Arc::clone(&outcome) };
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        }
        log(request, &outcome);
        for trigger in triggers {
            // A caller may have hung up.
            let _ = trigger.reply.send(Arc::clone(&outcome));
        }
    }

    fn load(&mut self, request: Request) -> Outcome {
        let result = catch_unwind(AssertUnwindSafe(|| self.try_load(request)));
        Arc::new(result.unwrap_or(Err(ReloadError::Panicked)))
    }

    fn try_load(&mut self, request: Request) -> Result<Report, ReloadError> {
        self.check_memory()?;
        let loaded = load::load(&self.settings.data, &self.settings.load, &mut self.watch)?;
        log_oddities(&loaded.summary);
        let shipments = loaded.dataset.shipment_count();
        let load_seconds = loaded.summary.seconds;
        let version = loaded.summary.version.clone();
        let served = self.store.load();
        let mut changes = Changes { added: shipments, ..Changes::default() };
        let mut generation = 1;
        if let Some(served) = served.as_deref() {
            if served.summary.version == version {
                return Ok(Report::Unchanged { generation: served.generation, version, shipments, load_seconds });
            }
            changes = loaded.dataset.changes_since(&served.dataset);
            generation = served.generation + 1;
        }
        if !request.force {
            self.guard(&loaded, served.as_deref(), changes)?;
        }
        drop(served);
        if !request.dry_run {
            let (published, replaced) = self.store.publish(loaded, self.settings.data.clone());
            generation = published;
            self.retired.extend(replaced);
        }
        Ok(Report::Published { generation, version, shipments, changes, load_seconds })
    }

    /// Refuses a load that would not fit: by the size of the file and what the served one took.
    fn check_memory(&self) -> Result<(), ReloadError> {
        let served = self.store.load();
        let (Some(served), Some(available)) = (served.as_deref(), memory::available()) else { return Ok(()) };
        let forecast = Forecast::new(&served.dataset, &served.summary, self.settings.load.threads);
        // Where the file cannot be looked at, the load says why.
        let file_bytes = std::fs::metadata(&self.settings.data).map_or(0, |metadata| metadata.len());
        let scaled = u128::from(forecast.load_bytes) * u128::from(file_bytes);
        let needed = (scaled / u128::from(served.summary.file_bytes.max(1))) as u64;
        if available.bytes < needed {
            return Err(ReloadError::InsufficientMemory { needed, available });
        }
        Ok(())
    }

    fn guard(&self, loaded: &Loaded, served: Option<&Snapshot>, changes: Changes) -> Result<(), ReloadError> {
        let shipments = loaded.dataset.shipment_count();
        let min = self.settings.shipments_min;
        if shipments < min {
            return Err(ReloadError::TooFewShipments { shipments, min });
        }
        let served = served.map_or(0, |served| served.dataset.shipment_count());
        let percent_max = self.settings.removed_percent_max;
        if changes.removed as f64 * 100.0 > percent_max * served as f64 {
            return Err(ReloadError::TooManyRemoved { removed: changes.removed, served, percent_max });
        }
        Ok(())
    }
}

/// What was tolerated in the file.
fn log_oddities(summary: &Summary) {
    if !summary.ignored_columns.is_empty() {
        tracing::info!(columns = ?summary.ignored_columns, "columns that nothing needs are ignored");
    }
    if summary.final_newline_missing {
        tracing::warn!("the last line has no line break: was the file cut?");
    }
    if summary.bad_rows > 0 {
        tracing::warn!(bad_rows = summary.bad_rows, "bad rows were left out");
    }
    for error in &summary.errors {
        tracing::warn!(line = error.line, column = error.column, reason = error.reason, "left out");
    }
}

fn log(request: Request, outcome: &Outcome) {
    if let Err(ReloadError::Load(LoadError::Refused { errors, .. })) = outcome.as_ref() {
        for error in errors {
            tracing::error!(line = error.line, column = error.column, reason = error.reason, "refused");
        }
    }
    if request.dry_run {
        match outcome.as_ref() {
            Ok(report) => tracing::info!(?report, "dry run: the file would be served"),
            Err(error) => tracing::info!(%error, "dry run: the file would not be served"),
        }
        return;
    }
    match outcome.as_ref() {
        Ok(Report::Published { generation, version, shipments, changes, load_seconds }) => tracing::info!(
            generation,
            version,
            shipments,
            added = changes.added,
            removed = changes.removed,
            changed = changes.changed,
            load_seconds,
            "reloaded"
        ),
        Ok(Report::Unchanged { generation, version, .. }) => {
            tracing::info!(generation, version, "the file has not changed");
        }
        Err(error) => tracing::error!(%error, "not reloaded; what was served is still served"),
    }
}
