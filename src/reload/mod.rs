//! The one loader thread: it loads, compares, guards, publishes, rolls back, and drops what was served before.
//!
//! Triggers queue up: SIGHUP, `POST /-/reload`, `POST /-/rollback`, and with `--watch` the file itself, which the
//! thread checks while it waits. All triggers with the same options that wait when a load begins share it; those that
//! arrive later wait for the next. So there are never two loads at once, every caller gets an answer, and the state of
//! the file at the last trigger is what ends up served. Loads and rollbacks are never reordered. The load that runs can
//! be cancelled; those that wait go on.

mod compare;
mod current;
mod guards;
mod loader;
mod report;
mod retired;
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
use current::CurrentLoad;
use loader::{LoaderThread, Task, Trigger};

/// Handle to the loader thread. Cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    triggers: mpsc::Sender<Trigger>,
    history: Arc<Mutex<History>>,
    current: Arc<CurrentLoad>,
}

impl Reloader {
    /// Starts the loader thread, which makes the first load at once and sends its result to the receiver. `progress`
    /// is called with the progress of every load, on the loader thread.
    pub fn start(
        settings: ReloadSettings,
        store: Arc<Store>,
        progress: Box<dyn FnMut(&Progress) + Send>,
    ) -> std::io::Result<(Reloader, oneshot::Receiver<Outcome>)> {
        let (triggers, queue) = mpsc::channel();
        let (first, first_outcome) = oneshot::channel();
        let (history, current) = (Arc::default(), Arc::default());
        let shared = (Arc::clone(&history), Arc::clone(&current));
        let thread = LoaderThread::new(settings, store, progress, queue, shared);
        std::thread::Builder::new().name("loader".to_owned()).spawn(move || thread.run(first))?;
        Ok((Reloader { triggers, history, current }, first_outcome))
    }

    /// Loads the file again. Returns the outcome when that is done.
    pub async fn reload(&self, request: Request) -> Outcome {
        self.send(Task::Load(request)).await
    }

    /// Rolls back to the dataset served before, which is kept only if the settings say so. The two change places.
    pub async fn roll_back(&self) -> Outcome {
        self.send(Task::RollBack).await
    }

    /// Cancels the reload that runs. Returns `false` if none does: the first load cannot be cancelled so.
    pub fn cancel(&self) -> bool {
        self.current.cancel()
    }

    /// Ends the load that runs, the first one too, and refuses all that wait or come later: the process is ending.
    pub fn shut_down(&self) {
        self.current.end();
    }

    async fn send(&self, task: Task) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let shutting_down = || Arc::new(Err(ReloadError::ShuttingDown));
        match self.triggers.send(Trigger { task, reply }) {
            // What the thread waits for need not know of the end, such as storage that does not answer.
            Ok(()) => tokio::select! {
                outcome = outcome => outcome.unwrap_or_else(|_| shutting_down()),
                () = self.current.ended() => shutting_down(),
            },
            Err(_) => shutting_down(),
        }
    }

    /// The outcomes of all reloads so far.
    pub fn history(&self) -> History {
        mutex::lock(&self.history).clone()
    }
}
