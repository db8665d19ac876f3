//! Control of a server by signals.

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runtime of the control thread, and the signals that it waits for.
#[derive(Debug)]
pub struct Control {
    pub(super) runtime: Runtime,
    pub(super) signals: Signals,
}

impl Control {
    /// Installs the signal handlers: from now on none of the signals ends the process by itself.
    pub fn start() -> std::io::Result<Control> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = runtime.block_on(async { Signals::new() })?;
        Ok(Control { runtime, signals })
    }
}

/// Signals that control a server.
#[derive(Debug)]
pub(super) struct Signals {
    /// SIGHUP, which reloads.
    pub(super) hangup: Signal,
    /// SIGUSR1, which opens the access log again.
    pub(super) user: Signal,
    /// SIGTERM and SIGINT, which shut down.
    pub(super) shutdown: ShutdownSignals,
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub(super) struct ShutdownSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Must be called within a runtime.
    fn new() -> std::io::Result<Signals> {
        let shutdown = ShutdownSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        Ok(Signals { hangup: signal(SignalKind::hangup())?, user: signal(SignalKind::user_defined1())?, shutdown })
    }
}

impl ShutdownSignals {
    /// Waits for one of the signals.
    pub(super) async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
