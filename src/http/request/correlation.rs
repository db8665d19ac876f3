//! What ties a request to the records that others keep of it: its `X-Request-Id`, and its trace (W3C Trace Context,
//! section 3.2).

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::http::request::fields;

/// The field that has the id of a request. (As constants, names would be dropped where they are used.)
pub(crate) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Names of fields that are compared one by one sooner than one is hashed (+130 instructions).
const NAMES_COMPARED_MAX: usize = 8;
/// Bytes of an id.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// Bytes of a `traceparent` of version 00. Later versions may have more, behind a dash.
const TRACEPARENT_BYTES: usize = 55;

/// True if `headers` may have an id. Each lookup pays for this.
#[inline]
pub(crate) fn may_have_request_id(headers: &HeaderMap) -> bool {
    if headers.len() <= NAMES_COMPARED_MAX {
        return headers.keys().any(|name| *name == REQUEST_ID);
    }
    headers.contains_key(&REQUEST_ID)
}

/// The id of a request: 1 to 128 visible ASCII characters. None of several: others may have read another one.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    // A copy: what came is a part of the connection's buffer.
    fields::only(headers, &REQUEST_ID).ok()?.and_then(id_in).and_then(|id| HeaderValue::from_str(id).ok())
}

/// The id that the value of the only `X-Request-Id` is, if it is one.
pub(crate) fn id_in(field: &[u8]) -> Option<&str> {
    let is_id = (1..=REQUEST_ID_BYTES_MAX).contains(&field.len()) && field.iter().all(u8::is_ascii_graphic);
    str::from_utf8(field).ok().filter(|_| is_id)
}

/// The id of the trace that a request belongs to.
pub(crate) fn trace_id(headers: &HeaderMap) -> Option<Box<str>> {
    fields::only(headers, &TRACEPARENT).ok()?.and_then(trace_in).map(Box::from)
}

/// The id of the trace that the value of the only `traceparent` names, if it is valid.
pub(crate) fn trace_in(field: &[u8]) -> Option<&str> {
    let (known, rest) = field.split_at_checked(TRACEPARENT_BYTES)?;
    let mut parts = known.split(|byte| *byte == b'-');
    let mut hex = |digits: usize| {
        let is_hex = |part: &&[u8]| part.len() == digits && part.iter().all(|byte| b"0123456789abcdef".contains(byte));
        parts.next().filter(is_hex)
    };
    let (version, trace, parent, _flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    let is_whole = rest.is_empty() || version != b"00" && rest.starts_with(b"-");
    let is_null = |id: &[u8]| id.iter().all(|digit| *digit == b'0');
    if version == b"ff" || !is_whole || is_null(trace) || is_null(parent) {
        return None;
    }
    str::from_utf8(trace).ok()
}
