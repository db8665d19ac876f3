//! The load that runs, between the thread that makes it and those who may cancel it.

use std::sync::Mutex;

use tokio::sync::watch;

use super::report::ReloadError;
use crate::cancel::Cancel;
use crate::mutex;

/// The load that runs, if one does, and whether the process is ending.
#[derive(Default)]
pub(super) struct CurrentLoad {
    running: Mutex<Option<Running>>,
    ending: watch::Sender<bool>,
}

struct Running {
    cancel: Cancel,
    /// The first load ends with the process alone: there is nothing to serve in its place.
    is_first: bool,
}

impl CurrentLoad {
    /// Notes that a load begins. Returns the flag that cancels it.
    pub(super) fn begin(&self, is_first: bool) -> Cancel {
        let cancel = Cancel::default();
        *mutex::lock(&self.running) = Some(Running { cancel: cancel.clone(), is_first });
        if self.is_ending() {
            cancel.cancel();
        }
        cancel
    }

    /// Notes that the load can no longer be cancelled: it ends, or its dataset is published now. The error says that
    /// somebody was told that it is cancelled, or that the process is ending.
    pub(super) fn commit(&self) -> Result<(), ReloadError> {
        let Some(running) = mutex::lock(&self.running).take() else { return Ok(()) };
        match running.cancel.check() {
            Err(_) if self.is_ending() => Err(ReloadError::ShuttingDown),
            Err(cancelled) => Err(cancelled.into()),
            Ok(()) => Ok(()),
        }
    }

    /// Cancels the load that runs. Returns `false` if there is none but the first.
    pub(super) fn cancel(&self) -> bool {
        let running = mutex::lock(&self.running);
        let Some(running) = running.as_ref().filter(|running| !running.is_first) else { return false };
        running.cancel.cancel();
        true
    }

    /// Cancels the load that runs, the first one too, and all that begin later.
    pub(super) fn end(&self) {
        self.ending.send_replace(true);
        if let Some(running) = &*mutex::lock(&self.running) {
            running.cancel.cancel();
        }
    }

    fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }

    /// Waits until the process is ending.
    pub(super) async fn ended(&self) {
        // The sender is this very value, so it cannot be gone.
        let _ = self.ending.subscribe().wait_for(|is_ending| *is_ending).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_cancelled_until_it_is_committed() {
        let current = CurrentLoad::default();
        assert!(!current.cancel());
        let cancel = current.begin(false);
        assert!(current.cancel() && current.cancel() && cancel.is_cancelled());
        assert!(matches!(current.commit(), Err(ReloadError::Cancelled(_))));
        assert!(current.commit().is_ok() && !current.cancel());
        let next = current.begin(false);
        assert!(!next.is_cancelled());
        assert!(current.commit().is_ok() && !current.cancel());
    }

    #[test]
    fn the_first_load_ends_with_the_process_alone_and_so_does_every_later_one() {
        let current = CurrentLoad::default();
        let first = current.begin(true);
        assert!(!current.cancel() && !first.is_cancelled());
        current.end();
        assert!(first.is_cancelled());
        assert!(matches!(current.commit(), Err(ReloadError::ShuttingDown)));
        assert!(current.begin(false).is_cancelled());
        assert!(matches!(current.commit(), Err(ReloadError::ShuttingDown)));
    }
}
