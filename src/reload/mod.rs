//! The one loader thread: it loads, compares, guards, publishes, goes back, and drops what was served before.
//!
//! Triggers queue up: SIGHUP, `POST /-/reload`, `POST /-/rollback`, and with `--watch` the file itself, which the
//! thread looks at while it waits. Whatever waits when a load begins and asks for the same shares it; what arrives
//! later waits for the next. So there are never two loads at once, every caller gets an answer, and the state of the
//! file at the last trigger is what ends up served. No load is moved across a rollback, nor a rollback across a load.

mod guards;
mod loader;
mod report;
mod settings;
mod watch;

pub use report::{History, LastReload, Outcome, ReloadError, Report};
pub use settings::{ReloadSettings, Request};

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::load::Progress;
use crate::mutex;
use crate::store::Store;
use loader::{LoaderThread, Task, Trigger};

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
