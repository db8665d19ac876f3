//! Objects in storage: how they are named, looked at and read.
//!
//! What speaks with storage is `client`. It is in builds with the feature `object-store` alone; in others every URL is
//! refused where it is parsed.

#[cfg(feature = "object-store")]
mod client;
#[cfg(not(feature = "object-store"))]
#[path = "disabled.rs"]
mod client;
mod state;
mod url;

pub(super) use state::{State, is_of_object};
pub use url::{ObjectUrl, UrlError};

use std::fmt;
use std::sync::{Arc, OnceLock};

use client::{Body, Client};
use state::ObjectError;

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
    pub(super) fn look(&self, known: Option<&State>) -> Result<State, ObjectError> {
        self.client()?.look(known)
    }

    /// Asks for it: the state it was in then, and what it holds in that state.
    pub(super) fn open(&self) -> Result<(State, Body), ObjectError> {
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
