//! Objects in storage: how they are named, looked at and read.
//!
//! What speaks with storage is `client`. It is in builds with the feature `object-store` alone; in others every URL is
//! refused where it is parsed.

#[cfg(feature = "object-store")]
mod client;
#[cfg(not(feature = "object-store"))]
#[path = "no_client.rs"]
mod client;
mod url;

pub use client::Body;
pub use url::{ObjectUrl, UrlError};

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use client::Client;

/// What tells one state of an object from another without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Its size.
    pub bytes: u64,
    /// Its entity tag (RFC 9110, section 8.8.3), as it came.
    pub tag: Option<Arc<str>>,
    /// When it was last modified, in seconds and nanoseconds since 1970; 0 where that is not told.
    pub modified: (i64, i64),
}

/// What went wrong with an object, and what may help. It does not say with which.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ObjectError(pub(self) String);

impl From<ObjectError> for io::Error {
    fn from(error: ObjectError) -> io::Error {
        io::Error::other(error)
    }
}

/// Whether `error` is that of an object, and not of what reads it.
pub fn is_of_object(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<ObjectError>())
}

/// An object, and once it was asked for, the connections to it, which clones share.
#[derive(Clone)]
pub struct Object {
    url: ObjectUrl,
    client: Arc<OnceLock<Arc<Client>>>,
}

impl Object {
    /// The one that `url` names. Nothing is connected before it is asked for.
    pub fn new(url: ObjectUrl) -> Object {
        Object { url, client: Arc::default() }
    }

    /// Its name.
    pub fn url(&self) -> &ObjectUrl {
        &self.url
    }

    /// The state it is in. Where it is the `known` one still, storage need not describe it again.
    pub fn look(&self, known: Option<&State>) -> Result<State, ObjectError> {
        self.client()?.look(known)
    }

    /// Asks for it: the state it was in then, and what it holds in that state.
    pub fn open(&self) -> Result<(State, Body), ObjectError> {
        Client::open(self.client()?)
    }

    fn client(&self) -> Result<&Arc<Client>, ObjectError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Arc::new(Client::new(&self.url)?);
        Ok(self.client.get_or_init(|| client))
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.url, f)
    }
}

/// Objects of the same name are equal.
impl PartialEq for Object {
    fn eq(&self, other: &Object) -> bool {
        self.url == other.url
    }
}
