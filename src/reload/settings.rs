//! Settings of reloads, and the options of a single one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::changes::ChangesLimits;
use crate::load;
use crate::source::Source;
use crate::stages::{StatusMapError, StatusMapSource};

/// Settings of the loader thread.
#[derive(Clone, Debug)]
pub struct ReloadSettings {
    /// Source of the data.
    pub data: Source,
    /// Options of every load.
    pub load: load::Options,
    /// Where the map of statuses to stages is from, which is read again for each load; `None` for no stages.
    pub status_map: Option<StatusMapSource>,
    /// Fewest shipments that a dataset may have.
    pub shipments_min: u64,
    /// Percentage of the served shipments that a new dataset may drop.
    pub removed_percent_max: f64,
    /// Keeps the dataset served before, for a rollback.
    pub keep_previous: bool,
    /// Bounds of what is kept of changes since earlier versions; `None` to keep nothing.
    pub changes: Option<ChangesLimits>,
    /// Time between two checks for changes of the source; `None` for no checks.
    pub watch_interval: Option<Duration>,
}

impl ReloadSettings {
    /// Creates the default settings for the file `data`.
    pub fn new(data: PathBuf) -> ReloadSettings {
        ReloadSettings {
            data: Source::File(data),
            load: load::Options::default(),
            status_map: None,
            shipments_min: 1,
            removed_percent_max: 50.0,
            keep_previous: false,
            changes: None,
            watch_interval: None,
        }
    }

    /// Reads the status map, if there is one, for the next load.
    pub(super) fn read_status_map(&mut self) -> Result<(), StatusMapError> {
        if let Some(source) = &self.status_map {
            self.load.status_map = Some(Arc::new(source.read()?));
        }
        Ok(())
    }
}

/// Options of one reload. Callers with equal options share a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Reports what would happen, and changes nothing.
    pub dry_run: bool,
    /// Skips the guards on the number of shipments.
    pub force: bool,
}
