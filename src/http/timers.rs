//! Pauses of what workers do: their own runtimes have no timers.

use std::time::Duration;

use tokio::runtime::Handle;

/// The timers of another runtime.
#[derive(Clone, Debug, Default)]
pub struct Timers(Option<Handle>);

impl Timers {
    /// Those of `runtime`, which must have them enabled.
    pub fn of(runtime: &Handle) -> Timers {
        Timers(Some(runtime.clone()))
    }

    /// Waits for `time`; not at all where there are no timers, or no longer.
    pub(crate) async fn pause(&self, time: Duration) {
        if let Some(runtime) = &self.0 {
            // An error means that the other runtime ends.
            let _ = runtime.spawn(async move { tokio::time::sleep(time).await }).await;
        }
    }
}
