//! The thread that controls the others, and the signals that it waits for.

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The runtime of the thread that controls the others, and the signals that it waits for.
#[derive(Debug)]
pub struct Control {
    pub(super) runtime: Runtime,
    pub(super) signals: Signals,
}

impl Control {
    /// Takes over the signals: from now on none of them ends the process by itself.
    pub fn start() -> std::io::Result<Control> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = runtime.block_on(async { Signals::new() })?;
        Ok(Control { runtime, signals })
    }
}

/// The signals that say what to do.
#[derive(Debug)]
pub(super) struct Signals {
    /// SIGHUP: reload.
    pub(super) hangup: Signal,
    pub(super) end: End,
}

/// SIGTERM and SIGINT: end.
#[derive(Debug)]
pub(super) struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Must be called within a runtime.
    fn new() -> std::io::Result<Signals> {
        let end = End { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
        Ok(Signals { hangup: signal(SignalKind::hangup())?, end })
    }
}

impl End {
    /// Waits until the process is asked to end.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
