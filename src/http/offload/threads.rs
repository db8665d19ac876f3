//! The blocking threads of a worker.

use std::rc::Rc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::queue::{Patience, Queue, Turn};
use crate::http::request::forwarded::Peer;

/// Blocking threads of each worker.
pub(crate) const THREADS_MAX: usize = 2;

/// The blocking threads of a worker, and the queue for them.
#[derive(Clone)]
pub(crate) struct Offload(Rc<Queue>);

/// Why work was not done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// Too much other work waits, or waited for too long.
    Busy,
    /// It panicked.
    Panicked,
}

impl Offload {
    /// The threads of one worker.
    pub(crate) fn new() -> Offload {
        Offload(Queue::new(THREADS_MAX))
    }

    /// Does `work` for `client` when it is its turn.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        client: Peer,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        self.run_with(client, Patience::Limited, work).await
    }

    /// The same, however long it waits for its turn: for a response that has begun.
    pub(crate) async fn run_patiently<T: Send + 'static>(
        &self,
        client: Peer,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        self.run_with(client, Patience::Unlimited, work).await
    }

    async fn run_with<T: Send + 'static>(
        &self,
        client: Peer,
        patience: Patience,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        let turn = self.0.turn(client, patience).await.map_err(|_| NotDone::Busy)?;
        run(turn, work).await
    }

    /// Has work wait no longer that has waited too long by `now`.
    pub(crate) fn sweep(&self, now: Instant) {
        self.0.sweep(now);
    }
}

/// Does `work` in `turn`, which lasts until it is done, though the client may have gone.
async fn run<T: Send + 'static>(turn: Turn, work: impl FnOnce() -> T + Send + 'static) -> Result<T, NotDone> {
    let (done, result) = oneshot::channel();
    tokio::task::spawn_local(async move {
        let worked = tokio::task::spawn_blocking(work).await;
        drop(turn);
        // The client may have gone.
        let _ = done.send(worked);
    });
    // An error of the channel means that the runtime ends.
    result.await.ok().and_then(Result::ok).ok_or(NotDone::Panicked)
}
