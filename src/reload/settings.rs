//! What the operator and the callers of reloads decide.

use std::path::PathBuf;
use std::time::Duration;

use crate::load;
use crate::source::Source;

/// What a load has to keep, and when there is one.
#[derive(Clone, Debug)]
pub struct ReloadSettings {
    /// The file or object.
    pub data: Source,
    /// How it is loaded.
    pub load: load::Options,
    /// A dataset with fewer shipments is refused.
    pub shipments_min: u64,
    /// A dataset that drops more of the served shipments than this percentage is refused.
    pub removed_percent_max: f64,
    /// Whether the dataset served before is kept, for a rollback.
    pub keep_previous: bool,
    /// Time between two looks at the file, which is loaded when it has changed; none for no looks.
    pub watch_interval: Option<Duration>,
}

impl ReloadSettings {
    /// The settings that hold for the file `data` unless others are asked for.
    pub fn new(data: PathBuf) -> ReloadSettings {
        ReloadSettings {
            data: Source::File(data),
            load: load::Options::default(),
            shipments_min: 1,
            removed_percent_max: 50.0,
            keep_previous: false,
            watch_interval: None,
        }
    }
}

/// What a caller asks for. Callers that ask for the same share a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Only say what would happen.
    pub dry_run: bool,
    /// Pass the guards on the number of shipments.
    pub force: bool,
}
