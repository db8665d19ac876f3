//! The one pointer to the dataset that is served.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use arc_swap::{ArcSwapOption, Guard};
use jiff::Timestamp;

use crate::dataset::Dataset;
use crate::load::{Loaded, Summary};
use crate::mutex;

/// A published dataset and its origin. Never changes.
pub struct Snapshot {
    /// Counts published snapshots, from 1.
    pub generation: u64,
    /// Path of the file, or URL of the object.
    pub source: PathBuf,
    /// End of the load.
    pub loaded_at: Timestamp,
    /// Summary of the load.
    pub summary: Summary,
    /// The dataset; after a rollback shared with the earlier snapshot.
    pub dataset: Arc<Dataset>,
}

/// Holds the current snapshot. A request loads it once and answers from that alone. Only the loader thread publishes.
#[derive(Default)]
pub struct Store {
    current: ArcSwapOption<Snapshot>,
    leases: Mutex<Vec<Weak<Leased>>>,
}

/// A snapshot for a response that a client takes over a long time, until the lease ends: a client that reads slowly
/// must not keep a replaced dataset in memory while the next one is loaded.
#[derive(Clone)]
pub struct Lease(Arc<Leased>);

struct Leased {
    generation: u64,
    snapshot: Mutex<Option<Arc<Snapshot>>>,
}

impl Lease {
    /// The snapshot; `None` when the lease has ended. To be held for a moment only.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        mutex::lock(&self.0.snapshot).clone()
    }
}

impl Store {
    /// Returns the current snapshot; `None` before the first one. The guard is for one request: short-lived, and on one
    /// thread.
    #[inline]
    pub fn load(&self) -> Guard<Option<Arc<Snapshot>>> {
        self.current.load()
    }

    /// Publishes what was loaded. Returns the replaced snapshot, which requests may still hold for a moment.
    pub fn publish(&self, loaded: Loaded, source: PathBuf) -> Option<Arc<Snapshot>> {
        let Loaded { dataset, summary } = loaded;
        let generation = self.next_generation();
        let dataset = Arc::new(dataset);
        self.replace(Snapshot { generation, source, loaded_at: Timestamp::now(), summary, dataset })
    }

    /// Publishes the dataset of `earlier` again, as a new generation. Returns the generation, and the replaced
    /// snapshot.
    pub fn restore(&self, earlier: &Snapshot) -> (u64, Option<Arc<Snapshot>>) {
        let generation = self.next_generation();
        let replaced = self.replace(Snapshot {
            generation,
            source: earlier.source.clone(),
            loaded_at: earlier.loaded_at,
            summary: earlier.summary.clone(),
            dataset: Arc::clone(&earlier.dataset),
        });
        (generation, replaced)
    }

    /// Leases `snapshot`.
    pub fn lease(&self, snapshot: Arc<Snapshot>) -> Lease {
        let lease = Arc::new(Leased { generation: snapshot.generation, snapshot: Mutex::new(Some(snapshot)) });
        let mut all = mutex::lock(&self.leases);
        if all.len() == all.capacity() {
            all.retain(|lease| lease.strong_count() > 0);
        }
        all.push(Arc::downgrade(&lease));
        Lease(lease)
    }

    /// True if a snapshot that was replaced is leased.
    pub fn has_leases_of_replaced(&self) -> bool {
        let current = self.next_generation() - 1;
        let mut leases = mutex::lock(&self.leases);
        leases.retain(|lease| lease.strong_count() > 0);
        leases.iter().filter_map(Weak::upgrade).any(|lease| lease.generation < current)
    }

    /// Ends the leases of all snapshots but the current one.
    pub fn end_leases_of_replaced(&self) {
        let current = self.next_generation() - 1;
        mutex::lock(&self.leases).retain(|lease| {
            let Some(lease) = lease.upgrade() else { return false };
            if lease.generation < current {
                mutex::lock(&lease.snapshot).take();
            }
            lease.generation >= current
        });
    }

    fn next_generation(&self) -> u64 {
        self.load().as_ref().map_or(1, |current| current.generation + 1)
    }

    fn replace(&self, snapshot: Snapshot) -> Option<Arc<Snapshot>> {
        self.current.swap(Some(Arc::new(snapshot)))
    }
}
