//! Settings of the access log.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// Where lines go.
    pub target: Target,
    /// Every how manyth request of a worker is logged; at least 1.
    pub sample: u32,
    /// What took longer is logged, whatever the sample.
    pub slow: Option<Duration>,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// To the end of a file, which need not be there yet.
    File(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Stdout => f.write_str("standard output"),
            Target::File(path) => path.display().fmt(f),
        }
    }
}
