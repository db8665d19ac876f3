//! Stands in for `client` in builds without object-store support.

use std::convert::Infallible;
use std::io::{self, Read};
use std::sync::Arc;

use super::state::{ObjectError, State};
use super::url::{ObjectUrl, UNSUPPORTED};
use crate::cancel::Cancel;

/// Client that cannot be created.
pub(super) struct Client(Infallible);

impl Client {
    /// Returns an error.
    pub(super) fn new(_: &ObjectUrl) -> Result<Client, ObjectError> {
        Err(ObjectError(UNSUPPORTED.to_owned()))
    }

    pub(super) fn head(&self) -> Result<State, ObjectError> {
        match self.0 {}
    }

    pub(super) fn open(this: &Arc<Client>, _: &Cancel) -> Result<(State, Body), ObjectError> {
        match this.0 {}
    }
}

/// Bytes of an object, of which there are none.
pub(in crate::source) struct Body(Infallible);

impl Read for Body {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }
}
