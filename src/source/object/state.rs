//! State of an object, and errors of storage.

use std::io;
use std::sync::Arc;

/// State of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) struct State {
    /// Size of the object.
    pub(in crate::source) bytes: u64,
    /// Entity tag (RFC 9110, section 8.8.3), unchanged.
    pub(in crate::source) tag: Option<Arc<str>>,
    /// Time of the last modification, in seconds and nanoseconds since 1970; 0 if unknown.
    pub(in crate::source) modified: (i64, i64),
}

/// Error of storage, with advice. It does not name the object.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::source) struct ObjectError(pub(super) String);

impl From<ObjectError> for io::Error {
    fn from(error: ObjectError) -> io::Error {
        io::Error::other(error)
    }
}

/// Returns whether `error` comes from storage, and not from a decoder that reads the object.
pub(in crate::source) fn is_object_error(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<ObjectError>())
}
