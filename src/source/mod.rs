//! Where shipments come from: a file, or an object in storage, compressed or not.

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

/// What is loaded.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The file at a path.
    File(PathBuf),
    /// An object in storage.
    Object(Object),
}

impl Source {
    /// The one that `text` names: an object by its URL, or else a file.
    pub fn parse(text: OsString) -> Result<Source, UrlError> {
        Ok(match text.to_str().map(ObjectUrl::parse).transpose()?.flatten() {
            Some(url) => Source::Object(Object::new(url)),
            None => Source::File(text.into()),
        })
    }

    /// The path, or the URL.
    pub fn name(&self) -> &Path {
        match self {
            Source::File(path) => path,
            Source::Object(object) => Path::new(object.url().as_str()),
        }
    }

    /// The state it is in. An object is not described again that is in the `known` one still.
    pub fn stamp(&self, known: Option<&Stamp>) -> io::Result<Stamp> {
        match self {
            Source::File(path) => Stamp::at(path),
            Source::Object(object) => {
                let known = known.map(Stamp::to_state);
                Ok(Stamp::of_object(object.look(known.as_ref())?))
            }
        }
    }

    /// What a load begins with. A file is opened later, an object is asked for once: what is told of it, and what it
    /// holds, come with the one answer.
    pub fn open(&self) -> Result<Opened, SourceError> {
        let object = match self {
            Source::File(path) => return Ok(Opened::File(path.clone())),
            Source::Object(object) => object,
        };
        let unreadable = |operation| move |source| SourceError::unreadable(self.name(), operation, source);
        let started = Instant::now();
        let (state, mut body) = object.open().map_err(io::Error::from).map_err(unreadable("open"))?;
        let mut first = Vec::new();
        body.by_ref().take(Compression::MARK_BYTES as u64).read_to_end(&mut first).map_err(unreadable("read"))?;
        let compression = Compression::by(&first);
        let content = Content::new(Box::new(io::Cursor::new(first).chain(body)), compression);
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

/// A source that a load has begun with.
pub enum Opened {
    /// The path of a file that is still to be opened.
    File(PathBuf),
    /// An object that is arriving.
    Object(OpenObject),
}

impl Opened {
    /// The state it is in.
    pub fn stamp(&self) -> io::Result<Stamp> {
        match self {
            Opened::File(path) => Stamp::at(path),
            Opened::Object(object) => Ok(object.stamp.clone()),
        }
    }

    /// Its size, and how it is compressed.
    pub(crate) fn size_and_compression(&self) -> io::Result<(u64, Option<Compression>)> {
        match self {
            Opened::File(path) => {
                let file = file::open(path)?;
                Ok((file.metadata()?.len(), Compression::of(&file)?))
            }
            Opened::Object(object) => Ok((object.stamp.bytes(), object.content.compression())),
        }
    }
}

/// An object that is arriving.
pub struct OpenObject {
    /// Its URL.
    pub(crate) name: PathBuf,
    /// When it was asked for.
    pub(crate) started: Instant,
    pub(crate) stamp: Stamp,
    pub(crate) content: Content<'static>,
}
