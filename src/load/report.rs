//! What a load says of itself: progress while it runs, errors with their places, a summary.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::Serialize;

use crate::dataset::{ArenaError, Dataset};
use crate::shard::Shard;
use crate::source::{Compression, SourceError, Stamp};

/// Errors of rows that are reported one by one; the rest is counted.
pub const REPORTED_ERRORS_MAX: usize = 20;

/// What is wrong in one place of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileError {
    /// Line on which the record starts, from 1, the first of the file.
    pub line: u64,
    /// The column; none where the whole record or file is meant.
    pub column: Option<&'static str>,
    /// What is wrong with it and what is expected.
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

/// Why a file did not become a dataset.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The content breaks a rule.
    #[error("{}: {summary}", path.display())]
    Refused {
        /// The file, or the URL of the object, as in the others.
        path: PathBuf,
        /// What is wrong, in one line.
        summary: String,
        /// Where: the first few places, in file order.
        errors: Vec<FileError>,
    },
    /// The file or object could not be read, or changed meanwhile.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Who watched its progress stopped it.
    #[error("loading {} was stopped", path.display())]
    Stopped {
        /// The file.
        path: PathBuf,
    },
    /// The shipments do not fit in memory.
    #[error("{}: {source}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit that was met.
        source: ArenaError,
    },
}

/// The problem code of a [`LoadError`]: what a client or a script may branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadErrorCode {
    /// The data break a rule or a limit.
    DatasetRefused,
    /// The data could not be read as a whole.
    DatasetUnreadable,
}

impl LoadError {
    /// The problem code.
    pub fn code(&self) -> LoadErrorCode {
        match self {
            LoadError::Refused { .. } | LoadError::TooLarge { .. } => LoadErrorCode::DatasetRefused,
            LoadError::Source(_) | LoadError::Stopped { .. } => LoadErrorCode::DatasetUnreadable,
        }
    }

    /// The places in the file where it breaks a rule: the first few, in file order.
    pub fn errors(&self) -> &[FileError] {
        match self {
            LoadError::Refused { errors, .. } => errors,
            _ => &[],
        }
    }
}

/// A file that became a dataset.
pub struct Loaded {
    /// The shipments.
    pub dataset: Dataset,
    /// What was read.
    pub summary: Summary,
}

/// What a load did.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Rows of the file: articles and bad rows, without those of other shards.
    pub rows: u64,
    /// The part of the shipments that was kept; none for all.
    pub shard: Option<Shard>,
    /// Good rows of other shards.
    pub rows_elsewhere: u64,
    /// Rows that were left out.
    pub bad_rows: u64,
    /// The first of them, in file order.
    pub errors: Vec<FileError>,
    /// Columns of the file that nothing needs.
    pub ignored_columns: Vec<String>,
    /// Whether the last line has no line break: the mark of a file that was cut.
    pub final_newline_missing: bool,
    /// Size of the file.
    pub file_bytes: u64,
    /// How it is compressed.
    pub compression: Option<Compression>,
    /// Size of its content: that of the file, where it is not compressed.
    pub content_bytes: u64,
    /// The file as it stood while it was read.
    pub stamp: Stamp,
    /// 128 bits over content, settings and rendering, in lowercase hex.
    pub version: String,
    /// Wall time.
    pub seconds: f64,
}

/// How far a load is. Written by the loader threads, read by whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Size of the file.
    pub bytes_total: u64,
    bytes: AtomicU64,
    rows: AtomicU64,
    stopped: AtomicBool,
}

impl Progress {
    pub(super) fn new(bytes_total: u64) -> Progress {
        Progress { bytes_total, ..Progress::default() }
    }

    pub(crate) fn add(&self, bytes: u64, rows: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Ends the load without a result.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Bytes of the file that were parsed so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Rows parsed so far, without those of other shards.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}
