//! What storage says of an object: the state that it is in, or an error.

use std::io;
use std::sync::Arc;

/// What tells one state of an object from another without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) struct State {
    /// Its size.
    pub(in crate::source) bytes: u64,
    /// Its entity tag (RFC 9110, section 8.8.3), as it came.
    pub(in crate::source) tag: Option<Arc<str>>,
    /// When it was last modified, in seconds and nanoseconds since 1970; 0 where that is not told.
    pub(in crate::source) modified: (i64, i64),
}

/// What went wrong with an object, and what may help. It does not say with which.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::source) struct ObjectError(pub(super) String);

impl From<ObjectError> for io::Error {
    fn from(error: ObjectError) -> io::Error {
        io::Error::other(error)
    }
}

/// Whether `error` is that of an object, and not of what reads it.
pub(in crate::source) fn is_of_object(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<ObjectError>())
}
