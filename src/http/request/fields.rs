//! Header fields that may stand once.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// A field stands more than once: others may read another one of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Duplicate;

/// The value of a field that may stand once, if it is there.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, Duplicate> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(HeaderValue::as_bytes)),
        _ => Err(Duplicate),
    }
}
