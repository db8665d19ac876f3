//! Objects in storage.
//!
//! Only builds with the feature `object-store` have a `client` of storage; the others refuse every URL when it is
//! parsed.

#[cfg(feature = "object-store")]
mod client;
#[cfg(not(feature = "object-store"))]
#[path = "disabled.rs"]
mod client;
mod state;
mod url;

pub(super) use state::{State, is_object_error};
pub use url::{ObjectUrl, UrlError};

use std::fmt;
use std::sync::{Arc, OnceLock};

use client::{Body, Client};
use state::ObjectError;

use crate::cancel::Cancel;

/// An object. Clones share the client that connects to its storage, which is created when it is first needed.
#[derive(Clone)]
pub struct Object {
    url: ObjectUrl,
    client: Arc<OnceLock<Arc<Client>>>,
}

impl Object {
    /// Creates the object that `url` names, without connecting.
    pub fn new(url: ObjectUrl) -> Object {
        Object { url, client: Arc::default() }
    }

    /// URL of the object.
    pub fn url(&self) -> &ObjectUrl {
        &self.url
    }

    /// Requests the current state.
    pub(super) fn head(&self) -> Result<State, ObjectError> {
        self.client()?.head()
    }

    /// Requests the object: its state, and its bytes in that state. Both are an error once `cancel` is set.
    pub(super) fn open(&self, cancel: &Cancel) -> Result<(State, Body), ObjectError> {
        Client::open(self.client()?, cancel)
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

/// Objects with the same URL are equal.
impl PartialEq for Object {
    fn eq(&self, other: &Object) -> bool {
        self.url == other.url
    }
}
