//! In place of `client`, where the build has none: there are no clients.

use std::convert::Infallible;
use std::io::{self, Read};
use std::sync::Arc;

use super::state::{ObjectError, State};
use super::url::{ObjectUrl, UNSUPPORTED};

/// None.
pub(super) struct Client(Infallible);

impl Client {
    /// An error.
    pub(super) fn new(_: &ObjectUrl) -> Result<Client, ObjectError> {
        Err(ObjectError(UNSUPPORTED.to_owned()))
    }

    pub(super) fn look(&self, _: Option<&State>) -> Result<State, ObjectError> {
        match self.0 {}
    }

    pub(super) fn open(this: &Arc<Client>) -> Result<(State, Body), ObjectError> {
        match this.0 {}
    }
}

/// What an object holds: none does.
pub(in crate::source) struct Body(Infallible);

impl Read for Body {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }
}
