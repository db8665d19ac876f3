//! The one pointer to the dataset that is served.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use jiff::Timestamp;

use crate::dataset::Dataset;
use crate::load::{Loaded, Summary};

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

    fn next_generation(&self) -> u64 {
        self.load().as_ref().map_or(1, |current| current.generation + 1)
    }

    fn replace(&self, snapshot: Snapshot) -> Option<Arc<Snapshot>> {
        self.current.swap(Some(Arc::new(snapshot)))
    }
}
