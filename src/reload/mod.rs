//! The one loader thread: it loads, compares, guards, publishes, goes back, and drops what was served before.
//!
//! Triggers queue up: SIGHUP, `POST /-/reload`, `POST /-/rollback`, and with `--watch` the file itself, which the
//! thread looks at while it waits. Whatever waits when a load begins and asks for the same shares it; what arrives
//! later waits for the next. So there are never two loads at once, every caller gets an answer, and the state of the
//! file at the last trigger is what ends up served. No load is moved across a rollback, nor a rollback across a load.

mod guards;
mod loader;
mod report;
mod watch;

pub use report::{History, LastReload, Outcome, ReloadError, Report};

use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::load::{self, Progress};
use crate::mutex;
use crate::source::Source;
use crate::store::Store;
use loader::{LoaderThread, Task, Trigger};

/// What a load has to keep, and when there is one.
#[derive(Clone, Debug)]
pub struct ReloadSettings {
    /// The file or object.
    pub data: Source,
    /// How it is loaded.
    pub load: load::Options,
    /// A dataset with fewer shipments is refused.
    pub shipments_min: u64,
    /// A dataset that drops more of the served shipments than this percentage is refused.
    pub removed_percent_max: f64,
    /// Whether the dataset served before is kept, for a rollback.
    pub keep_previous: bool,
    /// Time between two looks at the file, which is loaded when it has changed; none for no looks.
    pub watch_interval: Option<Duration>,
}

impl ReloadSettings {
    /// The settings that hold for the file `data` unless others are asked for.
    pub fn new(data: PathBuf) -> ReloadSettings {
        ReloadSettings {
            data: Source::File(data),
            load: load::Options::default(),
            shipments_min: 1,
            removed_percent_max: 50.0,
            keep_previous: false,
            watch_interval: None,
        }
    }
}

/// What a caller asks for. Callers that ask for the same share a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Only say what would happen.
    pub dry_run: bool,
    /// Pass the guards on the number of shipments.
    pub force: bool,
}

/// Asks the loader thread for loads. Cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    triggers: mpsc::Sender<Trigger>,
    history: Arc<Mutex<History>>,
}

impl Reloader {
    /// Starts the loader thread, which makes the first load at once and sends its result to the receiver. `progress`
    /// sees how far every load is, on the loader thread.
    pub fn start(
        settings: ReloadSettings,
        store: Arc<Store>,
        progress: Box<dyn FnMut(&Progress) + Send>,
    ) -> std::io::Result<(Reloader, oneshot::Receiver<Outcome>)> {
        let (triggers, queue) = mpsc::channel();
        let (first, first_outcome) = oneshot::channel();
        let history = Arc::default();
        let thread = LoaderThread::new(settings, store, progress, queue, Arc::clone(&history));
        std::thread::Builder::new().name("loader".to_owned()).spawn(move || thread.run(first))?;
        Ok((Reloader { triggers, history }, first_outcome))
    }

    /// Loads the file again; the answer comes when that is done.
    pub async fn reload(&self, request: Request) -> Outcome {
        self.ask(Task::Load(request)).await
    }

    /// Goes back to the dataset served before, which is kept only where the settings say so. What is served until then
    /// becomes the one served before.
    pub async fn roll_back(&self) -> Outcome {
        self.ask(Task::RollBack).await
    }

    async fn ask(&self, task: Task) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let shutting_down = || Arc::new(Err(ReloadError::ShuttingDown));
        match self.triggers.send(Trigger { task, reply }) {
            Ok(()) => outcome.await.unwrap_or_else(|_| shutting_down()),
            Err(_) => shutting_down(),
        }
    }

    /// What became of the reloads so far.
    pub fn history(&self) -> History {
        mutex::lock(&self.history).clone()
    }
}
