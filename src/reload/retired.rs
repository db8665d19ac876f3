//! Snapshots that were replaced, and those who still hold them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::store::{Snapshot, Store};

/// Time for those who hold a lease when their snapshot is replaced, before it ends.
const LEASE_TIME_MIN: Duration = Duration::from_secs(5);
/// Pause between two looks whether they have let go.
const LEASE_INTERVAL: Duration = Duration::from_millis(10);

/// Replaced snapshots that requests may still hold. The loader drops them: a worker must not free a gigabyte.
#[derive(Default)]
pub(super) struct Retired {
    snapshots: Vec<Arc<Snapshot>>,
    /// When the last one was replaced.
    replaced_at: Option<Instant>,
}

impl Retired {
    /// Takes over a snapshot, if there is one.
    pub(super) fn add(&mut self, snapshot: Option<Arc<Snapshot>>) {
        self.snapshots.extend(snapshot);
    }

    /// Notes that a snapshot was replaced just now, whether it is kept or comes here.
    pub(super) fn note_replaced(&mut self) {
        self.replaced_at = Some(Instant::now());
    }

    /// Those that may still be held.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Snapshot>> {
        self.snapshots.iter()
    }

    /// Drops those that nobody holds any more. Returns whether there were any.
    pub(super) fn drop_free(&mut self) -> bool {
        let held = self.snapshots.len();
        self.snapshots.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        self.snapshots.len() < held
    }

    /// Ends the leases of replaced snapshots, since the next load is to have their memory. Where loads follow one another
    /// closely, those who hold leases have some time first.
    pub(super) fn end_leases(&self, store: &Store, cancel: &Cancel) {
        let has_time = |replaced_at: Instant| replaced_at.elapsed() < LEASE_TIME_MIN;
        while self.replaced_at.is_some_and(has_time) && !cancel.is_cancelled() && store.has_leases_of_replaced() {
            #[expect(clippy::disallowed_methods, reason = "a pause between two looks")]
            std::thread::sleep(LEASE_INTERVAL);
        }
        store.end_leases_of_replaced();
    }
}
