//! Sources of data: a file or an object in storage, compressed or not.

mod content;
mod error;
mod file;
mod object;
mod stamp;

pub use content::Compression;
pub(crate) use content::Content;
pub use error::SourceError;
pub(crate) use file::OpenFile;
pub use object::{Object, ObjectUrl, UrlError};
pub use stamp::{Change, Stamp};

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::cancel::Cancel;

/// Source of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The file at a path.
    File(PathBuf),
    /// An object in storage.
    Object(Object),
}

impl Source {
    /// Parses the URL of an object, or else the path of a file.
    pub fn parse(text: OsString) -> Result<Source, UrlError> {
        Ok(match text.to_str().map(ObjectUrl::parse).transpose()?.flatten() {
            Some(url) => Source::Object(Object::new(url)),
            None => Source::File(text.into()),
        })
    }

    /// Path or URL.
    pub fn name(&self) -> &Path {
        match self {
            Source::File(path) => path,
            Source::Object(object) => Path::new(object.url().as_str()),
        }
    }

    /// Looks up the current state.
    pub fn stamp(&self) -> io::Result<Stamp> {
        match self {
            Source::File(path) => Stamp::at(path),
            Source::Object(object) => Ok(Stamp::of_object(object.head()?)),
        }
    }

    /// Checks that a file is there and can be read. An object is not asked for.
    pub fn check(&self) -> Result<(), SourceError> {
        match self {
            Source::File(path) => file::open_regular(path).map(|_| ()),
            Source::Object(_) => Ok(()),
        }
    }

    /// Reads the first bytes of the content, at most `bytes_max`, and says how they were compressed.
    pub fn head(&self, bytes_max: u64) -> Result<(Vec<u8>, Option<Compression>), SourceError> {
        let cancel = Cancel::default();
        let read = |content: Content<'_>| {
            let (mut head, compression) = (Vec::new(), content.compression());
            let read = content.take(bytes_max).read_to_end(&mut head);
            read.map_err(|source| SourceError::unreadable(self.name(), "read", source)).map(|_| (head, compression))
        };
        match self.open(&cancel)? {
            Opened::File(path) => read(OpenFile::open(&path)?.content(&cancel)?),
            Opened::Object(object) => read(object.content),
        }
    }

    /// Begins a load. A file is opened later; an object is requested now, since its state and its content come with one
    /// response. `cancel` ends the load early.
    pub fn open(&self, cancel: &Cancel) -> Result<Opened, SourceError> {
        let object = match self {
            Source::File(path) => return Ok(Opened::File(path.clone())),
            Source::Object(object) => object,
        };
        let unreadable = |operation| move |source| SourceError::unreadable(self.name(), operation, source);
        let started = Instant::now();
        let (state, mut body) = object.open(cancel).map_err(io::Error::from).map_err(unreadable("open"))?;
        let mut first = Vec::new();
        body.by_ref().take(Compression::MAGIC_BYTES as u64).read_to_end(&mut first).map_err(unreadable("read"))?;
        let compression = Compression::from_magic(&first);
        let content = Content::new(Box::new(io::Cursor::new(first).chain(body)), compression, cancel);
        let content = content.map_err(unreadable("read"))?;
        Ok(Opened::Object(OpenObject {
            name: self.name().to_owned(),
            started,
            stamp: Stamp::of_object(state),
            content,
        }))
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Source {
    fn from(path: &P) -> Source {
        Source::File(path.as_ref().to_owned())
    }
}

/// Source with which a load has begun.
pub enum Opened {
    /// Path of a file, not opened yet.
    File(PathBuf),
    /// Object that is arriving.
    Object(OpenObject),
}

impl Opened {
    /// State of the source.
    pub fn stamp(&self) -> io::Result<Stamp> {
        match self {
            Opened::File(path) => Stamp::at(path),
            Opened::Object(object) => Ok(object.stamp.clone()),
        }
    }

    /// Size of the file or object, and its compression.
    pub(crate) fn size_and_compression(&self) -> io::Result<(u64, Option<Compression>)> {
        match self {
            Opened::File(path) => {
                let file = file::open(path)?;
                Ok((file.metadata()?.len(), Compression::detect(&file)?))
            }
            Opened::Object(object) => Ok((object.stamp.bytes(), object.content.compression())),
        }
    }
}

/// Object that is arriving.
pub struct OpenObject {
    /// URL of the object.
    pub(crate) name: PathBuf,
    /// Time of the request.
    pub(crate) started: Instant,
    pub(crate) stamp: Stamp,
    pub(crate) content: Content<'static>,
}
