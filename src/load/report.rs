//! Reports of a load: progress while it runs, errors with their lines, a summary.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::cancel::Cancel;
use crate::dataset::build::BuildMemory;
use crate::dataset::{ArenaError, Dataset, Unmapped};
use crate::shard::Shard;
use crate::source::{Compression, SourceError, Stamp};

/// Most errors of rows that are reported one by one. All are counted.
pub const REPORTED_ERRORS_MAX: usize = 20;

/// An error on one line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileError {
    /// Line on which the record starts, from 1.
    pub line: u64,
    /// Failing column; `None` if the error concerns the whole record or file.
    pub column: Option<&'static str>,
    /// The fault, and the expected form.
    pub reason: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "line {}, {column}: {}", self.line, self.reason),
            None => write!(f, "line {}: {}", self.line, self.reason),
        }
    }
}

/// Error of a load.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The content breaks a rule.
    #[error("{}: {summary}", path.display())]
    Refused {
        /// Path of the file, or URL of the object, as in the other variants.
        path: PathBuf,
        /// Description of the errors, in one line.
        summary: String,
        /// First errors, in file order.
        errors: Vec<FileError>,
    },
    /// The source could not be read, or changed while it was.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The load was stopped through its [`Progress`], or cancelled.
    #[error("loading {} was stopped", path.display())]
    Stopped {
        /// Path or URL.
        path: PathBuf,
    },
    /// The shipments do not fit in memory.
    #[error("{}: {source}", path.display())]
    TooLarge {
        /// Path or URL.
        path: PathBuf,
        /// Limit that was reached.
        source: ArenaError,
    },
}

/// Problem code of a [`LoadError`], which clients and scripts may branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadErrorCode {
    /// The data break a rule or a limit.
    DatasetRefused,
    /// The data could not be read completely.
    DatasetUnreadable,
}

impl LoadError {
    /// Problem code of the error.
    pub fn code(&self) -> LoadErrorCode {
        match self {
            LoadError::Refused { .. } | LoadError::TooLarge { .. } => LoadErrorCode::DatasetRefused,
            LoadError::Source(_) | LoadError::Stopped { .. } => LoadErrorCode::DatasetUnreadable,
        }
    }

    /// Text for people: the error, which may name the first one of the file, and the others below it.
    pub fn text(&self) -> String {
        let others = self.errors().iter().skip(1).map(|error| format!("\n  {error}"));
        std::iter::once(self.to_string()).chain(others).collect()
    }

    /// First errors of the file, in file order; none if the content is not the reason.
    pub fn errors(&self) -> &[FileError] {
        match self {
            LoadError::Refused { errors, .. } => errors,
            _ => &[],
        }
    }
}

/// Result of a load.
pub struct Loaded {
    /// The dataset.
    pub dataset: Dataset,
    /// Summary of the load.
    pub summary: Summary,
}

/// Summary of a load.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Number of rows in the file: articles and bad rows, without those of other shards.
    pub rows: u64,
    /// Shard whose shipments were kept; `None` for all shipments.
    pub shard: Option<Shard>,
    /// Number of good rows of other shards.
    pub rows_elsewhere: u64,
    /// Number of bad rows, which were left out.
    pub bad_rows: u64,
    /// Errors of the first of them, in file order.
    pub errors: Vec<FileError>,
    /// Shipments whose status has no stage; `None` without a status map.
    pub unmapped: Option<Unmapped>,
    /// Columns of the file that are not needed.
    pub ignored_columns: Vec<String>,
    /// The last line has no line break, which may mean that the file was truncated.
    pub final_newline_missing: bool,
    /// Size of the file.
    pub file_bytes: u64,
    /// Compression of the file.
    pub compression: Option<Compression>,
    /// Size of the content: that of the file, if it is not compressed.
    pub content_bytes: u64,
    /// State of the source while it was read.
    pub stamp: Stamp,
    /// Hash of 128 bits over content, settings and rendering, in lowercase hex.
    pub version: String,
    /// Wall time of the load.
    pub seconds: f64,
    /// The most memory that the load took, with the dataset.
    pub peak_bytes: u64,
}

/// Progress of a load, written by its threads.
#[derive(Debug, Default)]
pub struct Progress {
    /// Size of the file.
    pub bytes_total: u64,
    bytes: AtomicU64,
    rows: AtomicU64,
    counted: AtomicU64,
    fixed: AtomicU64,
    ahead: AtomicU64,
    cancel: Cancel,
}

impl Progress {
    /// Creates the progress of a load of so many bytes, which `cancel` cancels.
    pub(super) fn new(bytes_total: u64, cancel: Cancel) -> Progress {
        Progress { bytes_total, cancel, ..Progress::default() }
    }

    pub(crate) fn add(&self, bytes: u64, rows: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn count_memory(&self, memory: BuildMemory) {
        self.counted.store(memory.taken, Ordering::Relaxed);
        self.fixed.store(memory.fixed, Ordering::Relaxed);
        self.ahead.store(memory.ahead, Ordering::Relaxed);
    }

    /// Memory that the load has taken so far, or is about to take for its threads.
    pub fn memory(&self) -> BuildMemory {
        let [taken, fixed, ahead] =
            [&self.counted, &self.fixed, &self.ahead].map(|bytes| bytes.load(Ordering::Relaxed));
        BuildMemory { taken, fixed, ahead }
    }

    /// Stops the load, which then has no result.
    pub fn stop(&self) {
        self.cancel.cancel();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Number of bytes of the file parsed so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Number of rows parsed so far, without those of other shards.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}
