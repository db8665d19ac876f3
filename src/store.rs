//! The dataset that is served: one pointer, swapped whole.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use jiff::Timestamp;

use crate::dataset::Dataset;
use crate::load::{Loaded, Summary};

/// A published dataset and where it came from. Never changes.
pub struct Snapshot {
    /// 1 for the first dataset served, one more for each that replaced it.
    pub generation: u64,
    /// The file, or the URL of the object.
    pub source: PathBuf,
    /// When it was loaded.
    pub loaded_at: Timestamp,
    /// What the load did.
    pub summary: Summary,
    /// The shipments; shared with an earlier snapshot after a rollback to it.
    pub dataset: Arc<Dataset>,
}

/// Holds the snapshot that requests see. A request loads it once and answers from that alone. One thread publishes.
#[derive(Default)]
pub struct Store {
    current: ArcSwapOption<Snapshot>,
}

impl Store {
    /// The snapshot to answer from; none before the first was published. The guard is for one request: short, and on
    /// one thread.
    #[inline]
    pub fn load(&self) -> Guard<Option<Arc<Snapshot>>> {
        self.current.load()
    }

    /// Serves what was loaded from now on. Returns the snapshot before, which requests may still hold for a moment.
    pub fn publish(&self, loaded: Loaded, source: PathBuf) -> Option<Arc<Snapshot>> {
        let Loaded { dataset, summary } = loaded;
        let generation = self.next_generation();
        let dataset = Arc::new(dataset);
        self.replace(Snapshot { generation, source, loaded_at: Timestamp::now(), summary, dataset })
    }

    /// Serves what `earlier` served from now on, as a new generation. Returns that, and the snapshot before.
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
