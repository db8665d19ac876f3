//! Why the bytes of a source cannot be had.

use std::io;
use std::path::{Path, PathBuf};

use super::stamp::Change;

/// What went wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It could not be read.
    #[error("cannot {operation} {}: {source}", path.display())]
    Unreadable {
        /// The file, or the URL of the object.
        path: PathBuf,
        /// What failed: open, stat, read.
        operation: &'static str,
        /// What the system said, or storage.
        source: io::Error,
    },
    /// The file became another one while it was read.
    #[error("{} changed while it was read ({what}); write exports beside it and rename them over it", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What changed.
        what: Change,
    },
}

impl SourceError {
    /// The error of an `operation` on the source that `path` names.
    pub(crate) fn unreadable(path: &Path, operation: &'static str, source: io::Error) -> SourceError {
        SourceError::Unreadable { path: path.to_owned(), operation, source }
    }

    /// The error of a source that changed.
    pub(super) fn changed(path: &Path, what: Change) -> SourceError {
        SourceError::Changed { path: path.to_owned(), what }
    }
}
