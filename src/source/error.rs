//! Errors of sources.

use std::io;
use std::path::{Path, PathBuf};

use super::stamp::Change;

/// Error of a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The source could not be read.
    #[error("cannot {operation} {}: {source}", path.display())]
    Unreadable {
        /// Path of the file, or URL of the object.
        path: PathBuf,
        /// Operation that failed: open, stat or read.
        operation: &'static str,
        /// Error of the system, or of storage.
        source: io::Error,
    },
    /// The file changed while it was read.
    #[error("{} changed while it was read ({what}); write exports beside it and rename them over it", path.display())]
    Changed {
        /// Path of the file.
        path: PathBuf,
        /// The change.
        what: Change,
    },
}

impl SourceError {
    /// Creates the error of an `operation` on the source `path`.
    pub(crate) fn unreadable(path: &Path, operation: &'static str, source: io::Error) -> SourceError {
        SourceError::Unreadable { path: path.to_owned(), operation, source }
    }

    /// Creates the error of a file that changed.
    pub(super) fn changed(path: &Path, what: Change) -> SourceError {
        SourceError::Changed { path: path.to_owned(), what }
    }
}
