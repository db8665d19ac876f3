//! The one pointer to the dataset that is served.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use jiff::{SignedDuration, Timestamp};

use crate::dataset::Dataset;
use crate::load::{Loaded, Summary};
use crate::mutex;
use crate::source::Stamp;

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

impl Snapshot {
    /// When the source was last written; `None` if that is unknown.
    pub fn modified_at(&self) -> Option<Timestamp> {
        self.summary.stamp.modified_at()
    }

    /// True if the source was last written longer ago than `age_max`. An unknown time, or one in the future, is no age.
    pub fn is_older_than(&self, age_max: Duration) -> bool {
        let age_max = SignedDuration::try_from(age_max).unwrap_or(SignedDuration::MAX);
        self.modified_at().is_some_and(|at| Timestamp::now().duration_since(at) > age_max)
    }
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

    /// Publishes the current dataset again, in the same generation, as one whose source is in the state `stamp`. Returns
    /// the replaced snapshot.
    pub fn restamp(&self, stamp: Stamp) -> Option<Arc<Snapshot>> {
        let current = self.current.load_full()?;
        let summary = Summary { stamp, ..current.summary.clone() };
        let Snapshot { generation, loaded_at, .. } = *current;
        let (source, dataset) = (current.source.clone(), Arc::clone(&current.dataset));
        self.replace(Snapshot { generation, source, loaded_at, summary, dataset })
    }

    /// Publishes the current dataset again as [`Store::restamp`] does, if `stamp` is the state that it was loaded in, and
    /// only later: an object that keeps its tag. Returns the replaced snapshot.
    pub fn note_rewritten(&self, stamp: Stamp) -> Option<Arc<Snapshot>> {
        let is_rewritten =
            |current: &Snapshot| current.summary.stamp == stamp && current.modified_at() != stamp.modified_at();
        let is_rewritten = self.load().as_deref().is_some_and(is_rewritten);
        if is_rewritten { self.restamp(stamp) } else { None }
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
