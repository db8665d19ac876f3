//! A file that must not change while it is read.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::content::{Compression, Content};
use super::error::SourceError;
use super::stamp::{self, Change, Stamp};
use crate::cancel::Cancel;

/// Opens the file at `path`. A FIFO opens too, without waiting for a writer.
pub(super) fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// Opens the file at `path`, which must be a regular one.
pub(super) fn open_regular(path: &Path) -> Result<(File, Metadata), SourceError> {
    let unreadable = |operation, source| SourceError::unreadable(path, operation, source);
    let file = open(path).map_err(|source| unreadable("open", source))?;
    let metadata = file.metadata().map_err(|source| unreadable("stat", source))?;
    if !metadata.is_file() {
        let kind = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        return Err(unreadable("read", io::Error::new(io::ErrorKind::InvalidInput, kind)));
    }
    Ok((file, metadata))
}

/// An open regular file, and its state when it was opened.
pub(crate) struct OpenFile {
    path: PathBuf,
    file: File,
    stamp: Stamp,
}

impl OpenFile {
    /// Opens the file at `path`. Waits until a later write would change its modification time.
    pub(crate) fn open(path: &Path) -> Result<OpenFile, SourceError> {
        let (file, metadata) = open_regular(path)?;
        let stamp = Stamp::of(&metadata);
        stamp::let_clock_tick(&metadata);
        Ok(OpenFile { path: path.to_owned(), file, stamp })
    }

    /// State of the file when it was opened.
    pub(crate) fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// Content of the file, from its start, until `cancel` ends it with an error.
    pub(crate) fn content(&self, cancel: &Cancel) -> Result<Content<'_>, SourceError> {
        let content = Compression::detect(&self.file)
            .and_then(|compression| Content::new(Box::new(&self.file), compression, cancel));
        content.map_err(|source| SourceError::unreadable(&self.path, "read", source))
    }

    /// Checks that the file has not changed since. Which file has its name by now does not matter: this one stood there.
    pub(crate) fn check_unchanged(&self) -> Result<(), SourceError> {
        let metadata = self.file.metadata().map_err(|source| SourceError::unreadable(&self.path, "stat", source))?;
        match self.stamp.change_to(&Stamp::of(&metadata)) {
            Some(what) => Err(SourceError::changed(&self.path, what)),
            None => Ok(()),
        }
    }

    /// Checks that `bytes_read` is the size that the file had.
    pub(crate) fn check_size(&self, bytes_read: u64) -> Result<(), SourceError> {
        if bytes_read == self.stamp.bytes() { Ok(()) } else { Err(SourceError::changed(&self.path, Change::Size)) }
    }
}
