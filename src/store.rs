//! The dataset that is served, and the one before it where that is kept.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use jiff::{SignedDuration, Timestamp};

use crate::changes::ChangeLog;
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
    /// The steps up to this dataset, while it is current, if they are kept.
    changes: Mutex<Option<Arc<ChangeLog>>>,
}

impl Snapshot {
    /// The steps up to this dataset; `None` if none are kept, or no longer since another snapshot is current.
    pub fn changes(&self) -> Option<Arc<ChangeLog>> {
        mutex::lock(&self.changes).clone()
    }

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

/// Holds the current snapshot, and perhaps the previous one. A request loads one of them once and answers from that alone.
/// Only the loader thread publishes.
#[derive(Default)]
pub struct Store {
    current: ArcSwapOption<Snapshot>,
    /// The previous one, if it is kept. Locked while either changes, so that whoever asks for a version misses neither.
    previous: Mutex<Option<Arc<Snapshot>>>,
    leases: Mutex<Vec<Weak<Leased>>>,
}

/// A snapshot for a response that a client takes over a long time, until the lease ends: a client that reads slowly
/// must not keep a replaced dataset in memory while the next one is loaded.
#[derive(Clone)]
pub struct Lease(Arc<Leased>);

struct Leased {
    generation: u64,
    snapshot: Mutex<Option<WithChanges>>,
}

/// A snapshot, and the steps up to it for those who need them.
type WithChanges = (Arc<Snapshot>, Option<Arc<ChangeLog>>);

impl Lease {
    /// The snapshot; `None` when the lease has ended. To be held for a moment only.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        mutex::lock(&self.0.snapshot).as_ref().map(|(snapshot, _)| Arc::clone(snapshot))
    }

    /// The snapshot and the steps up to it; `None` when the lease has ended, or has none. To be held for a moment only.
    pub fn with_changes(&self) -> Option<(Arc<Snapshot>, Arc<ChangeLog>)> {
        let (snapshot, changes) = mutex::lock(&self.0.snapshot).clone()?;
        Some((snapshot, changes?))
    }
}

impl Store {
    /// Returns the current snapshot; `None` before the first one. The guard is for one request: short-lived, and on one
    /// thread.
    #[inline]
    pub fn load(&self) -> Guard<Option<Arc<Snapshot>>> {
        self.current.load()
    }

    /// The snapshot that was current before, if it is kept.
    pub fn previous(&self) -> Option<Arc<Snapshot>> {
        mutex::lock(&self.previous).clone()
    }

    /// Returns the snapshot whose dataset has this version: the current one, or else the previous one.
    pub fn at_version(&self, version: &str) -> Option<Arc<Snapshot>> {
        let is_asked_for = |snapshot: &Arc<Snapshot>| snapshot.summary.version == version;
        let current = || self.current.load_full().filter(is_asked_for);
        current().or_else(|| {
            let previous = mutex::lock(&self.previous);
            current().or_else(|| previous.clone().filter(is_asked_for))
        })
    }

    /// The current snapshot and the steps up to it; `None` before the first one, or if none are kept.
    pub fn with_changes(&self) -> Option<(Arc<Snapshot>, Arc<ChangeLog>)> {
        let mut snapshot = self.current.load_full()?;
        loop {
            if let Some(changes) = snapshot.changes() {
                return Some((snapshot, changes));
            }
            // They go from a snapshot after another is current.
            let current = self.current.load_full()?;
            if Arc::ptr_eq(&snapshot, &current) {
                return None;
            }
            snapshot = current;
        }
    }

    /// Publishes what was loaded, with the steps up to it. The snapshot that it replaces becomes the previous one if it is
    /// to be kept. Returns the snapshot that is gone with that, which requests may still hold for a moment.
    pub fn publish(
        &self,
        loaded: Loaded,
        source: PathBuf,
        changes: Option<ChangeLog>,
        keep_previous: bool,
    ) -> Option<Arc<Snapshot>> {
        let Loaded { dataset, summary } = loaded;
        let generation = self.next_generation();
        let dataset = Arc::new(dataset);
        let mut previous = mutex::lock(&self.previous);
        let (loaded_at, changes) = (Timestamp::now(), Mutex::new(changes.map(Arc::new)));
        let replaced = self.replace(Snapshot { generation, source, loaded_at, summary, dataset, changes });
        if keep_previous { std::mem::replace(&mut *previous, replaced) } else { replaced }
    }

    /// Publishes the dataset of the previous snapshot again, as a new generation with the steps up to it; the two change
    /// places. Returns the generation, and the earlier snapshot of that dataset, which requests may still hold for a
    /// moment; `None` if no previous one is kept.
    pub fn restore_previous(&self, changes: Option<ChangeLog>) -> Option<(u64, Arc<Snapshot>)> {
        let mut previous = mutex::lock(&self.previous);
        let earlier = previous.take()?;
        let generation = self.next_generation();
        *previous = self.replace(Snapshot {
            generation,
            source: earlier.source.clone(),
            loaded_at: earlier.loaded_at,
            summary: earlier.summary.clone(),
            dataset: Arc::clone(&earlier.dataset),
            changes: Mutex::new(changes.map(Arc::new)),
        });
        Some((generation, earlier))
    }

    /// Publishes the current dataset again, in the same generation, as one whose source is in the state `stamp`. Returns
    /// the replaced snapshot.
    pub fn restamp(&self, stamp: Stamp) -> Option<Arc<Snapshot>> {
        let current = self.current.load_full()?;
        let summary = Summary { stamp, ..current.summary.clone() };
        let Snapshot { generation, loaded_at, .. } = *current;
        let (source, dataset) = (current.source.clone(), Arc::clone(&current.dataset));
        let changes = Mutex::new(current.changes());
        self.replace(Snapshot { generation, source, loaded_at, summary, dataset, changes })
    }

    /// Publishes the current dataset again as [`Store::restamp`] does, if `stamp` is the state that it was loaded in, and
    /// only later: an object that keeps its tag. Returns the replaced snapshot.
    pub fn note_rewritten(&self, stamp: Stamp) -> Option<Arc<Snapshot>> {
        let is_rewritten =
            |current: &Snapshot| current.summary.stamp == stamp && current.modified_at() != stamp.modified_at();
        let is_rewritten = self.load().as_deref().is_some_and(is_rewritten);
        if is_rewritten { self.restamp(stamp) } else { None }
    }

    /// Leases `snapshot`, with the steps up to it if they are needed.
    pub fn lease(&self, snapshot: Arc<Snapshot>, changes: Option<Arc<ChangeLog>>) -> Lease {
        let generation = snapshot.generation;
        let lease = Arc::new(Leased { generation, snapshot: Mutex::new(Some((snapshot, changes))) });
        let mut all = mutex::lock(&self.leases);
        if all.len() == all.capacity() {
            all.retain(|lease| lease.strong_count() > 0);
        }
        all.push(Arc::downgrade(&lease));
        Lease(lease)
    }

    /// True if a snapshot that is neither current nor kept is leased.
    pub fn has_leases_of_replaced(&self) -> bool {
        let oldest = self.oldest_served();
        let mut leases = mutex::lock(&self.leases);
        leases.retain(|lease| lease.strong_count() > 0);
        leases.iter().filter_map(Weak::upgrade).any(|lease| lease.generation < oldest)
    }

    /// Ends the leases of all snapshots but the current one and the previous one, if it is kept.
    pub fn end_leases_of_replaced(&self) {
        let oldest = self.oldest_served();
        mutex::lock(&self.leases).retain(|lease| {
            let Some(lease) = lease.upgrade() else { return false };
            if lease.generation < oldest {
                mutex::lock(&lease.snapshot).take();
            }
            lease.generation >= oldest
        });
    }

    /// Generation of the oldest snapshot that requests are answered from.
    fn oldest_served(&self) -> u64 {
        self.previous().map_or_else(|| self.next_generation() - 1, |kept| kept.generation)
    }

    fn next_generation(&self) -> u64 {
        self.load().as_ref().map_or(1, |current| current.generation + 1)
    }

    fn replace(&self, snapshot: Snapshot) -> Option<Arc<Snapshot>> {
        let replaced = self.current.swap(Some(Arc::new(snapshot)))?;
        // It may be kept for long; the steps are those of the current one.
        mutex::lock(&replaced.changes).take();
        Some(replaced)
    }
}
