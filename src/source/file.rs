//! A file that is read as it stood when it was opened.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::content::{Compression, Content};
use super::error::SourceError;
use super::stamp::{self, Change, Stamp};

/// Opens the file at `path`. A FIFO opens too, without waiting for a writer.
pub(super) fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// A regular file that is open, and the state that it was in then.
pub(crate) struct OpenFile {
    path: PathBuf,
    file: File,
    stamp: Stamp,
}

impl OpenFile {
    /// Opens the file at `path`. Waits until a later write to it would show.
    pub(crate) fn open(path: &Path) -> Result<OpenFile, SourceError> {
        let unreadable = |operation, source| SourceError::unreadable(path, operation, source);
        let file = open(path).map_err(|source| unreadable("open", source))?;
        let metadata = file.metadata().map_err(|source| unreadable("stat", source))?;
        if !metadata.is_file() {
            let kind = if metadata.is_dir() { "a directory" } else { "not a regular file" };
            return Err(unreadable("read", io::Error::new(io::ErrorKind::InvalidInput, kind)));
        }
        let stamp = Stamp::of(&metadata);
        stamp::let_clock_tick(&metadata);
        Ok(OpenFile { path: path.to_owned(), file, stamp })
    }

    /// The state that it was in when it was opened.
    pub(crate) fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// What is in it.
    pub(crate) fn content(&self) -> Result<Content<'_>, SourceError> {
        let content = Compression::of(&self.file).and_then(|by| Content::new(Box::new(&self.file), by));
        content.map_err(|source| SourceError::unreadable(&self.path, "read", source))
    }

    /// An error if it is in another state now, or another file has its name.
    pub(crate) fn check_unchanged(&self) -> Result<(), SourceError> {
        let unreadable = |source| SourceError::unreadable(&self.path, "stat", source);
        let now = Stamp::of(&self.file.metadata().map_err(unreadable)?);
        let named = Stamp::at(&self.path).map_err(unreadable)?;
        match self.stamp.change_to(&now).or_else(|| self.stamp.change_to(&named)) {
            Some(what) => Err(SourceError::changed(&self.path, what)),
            None => Ok(()),
        }
    }

    /// An error if `bytes_read` bytes are not all that it had.
    pub(crate) fn check_size(&self, bytes_read: u64) -> Result<(), SourceError> {
        if bytes_read == self.stamp.bytes() { Ok(()) } else { Err(SourceError::changed(&self.path, Change::Size)) }
    }
}
