//! Receiving a request's body as JSON: refused by its head before a byte of it is read, or read within a limit.
//!
//! hyper sends `100 Continue` when a body is first polled, so a client that waits for it never sends what is refused
//! here. A body that is left unread is the last on its connection (see `crate::http::connection`).
//!
//! So is one with trailers. hyper reads on to the next line of CRLF alone, over one of LF alone, where others may see
//! the trailers end: what they take for the next request would be lost.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http_body_util::{LengthLimitError, Limited};
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::http::budget::{Budget, Exhausted, Reservation, SMALL_BYTES_MAX};
use crate::http::response::problem::{self, Code};
use crate::http::response::reply::{ReceiveBody, Received, Reply};
use crate::http::response::{self, Response};

/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Memory that a body grows by, at most, beyond what has come of it.
const AHEAD_BYTES_MAX: usize = 64 << 10;

/// A request's body on its way in, and what is to be done with it.
struct Receiving {
    body: Limited<Incoming>,
    received: Option<JsonBody>,
    has_trailers: bool,
    then: Option<Box<dyn FnOnce(JsonBody) -> Reply>>,
}

/// A body, and the memory that is held for it, which grows with what has come, whatever its length is said to be.
pub(crate) struct JsonBody {
    /// What has come.
    pub(crate) bytes: Vec<u8>,
    reservation: Reservation,
}

impl JsonBody {
    fn push(&mut self, data: &[u8]) -> Result<(), Exhausted> {
        let bytes = self.bytes.len() + data.len();
        if bytes > self.bytes.capacity() {
            // Far ahead would be memory that the client has not paid for, and make of a small body a large one.
            let ahead = self.bytes.capacity().min(AHEAD_BYTES_MAX);
            let capacity_max = if bytes <= SMALL_BYTES_MAX { SMALL_BYTES_MAX } else { BODY_BYTES_MAX };
            let capacity = bytes.max(self.bytes.capacity() + ahead).min(capacity_max);
            self.reservation.grow_to(capacity)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

/// Takes JSON, for which `budget` has the memory, then does `then` with it.
pub(crate) fn receive_json(
    budget: &Arc<Budget>,
    headers: &HeaderMap,
    body: Incoming,
    then: impl FnOnce(JsonBody) -> Reply + 'static,
) -> Reply {
    let bytes_min = body.size_hint().lower();
    if let Some(refusal) = refuse_json(headers, bytes_min) {
        return Reply::now(refusal);
    }
    Reply::AfterBody(Box::new(Receiving {
        body: Limited::new(body, BODY_BYTES_MAX),
        received: Some(JsonBody { bytes: Vec::new(), reservation: budget.hold(0) }),
        has_trailers: false,
        then: Some(Box::new(then)),
    }))
}

/// Why a body is not even read, if so.
fn refuse_json(headers: &HeaderMap, bytes_min: u64) -> Option<Response> {
    if !is_json(headers) {
        let detail = "the body must be JSON and say so: Content-Type: application/json";
        Some(problem::response(Code::UnsupportedMediaType, detail))
    } else if !is_plain(headers) {
        Some(problem::unsupported_coding("the body must not be compressed: no Content-Encoding but identity"))
    } else if bytes_min > BODY_BYTES_MAX as u64 {
        Some(too_large())
    } else {
        None
    }
}

/// True if the one `Content-Type` is JSON, with any parameters (RFC 9110, section 8.3.1).
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(media_type), None) = (types.next(), types.next()) else { return false };
    let name = media_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    name.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// True if the body is not compressed or otherwise coded (RFC 9110, section 8.4).
fn is_plain(headers: &HeaderMap) -> bool {
    let codings =
        headers.get_all(CONTENT_ENCODING).iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
    codings.map(<[u8]>::trim_ascii).all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
}

impl ReceiveBody for Receiving {
    fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        while let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) => {
                    let pushed = self.received.as_mut().map(|received| received.push(&data));
                    if pushed == Some(Err(Exhausted)) {
                        return Poll::Ready(refused(problem::overloaded("too many bodies are arriving")));
                    }
                }
                // No trailer field has a meaning here.
                Ok(Err(trailers)) if trailers.trailers_ref().is_some_and(|fields| !fields.is_empty()) => {
                    self.has_trailers = true;
                }
                Err(error) if error.is::<LengthLimitError>() => return Poll::Ready(refused(too_large())),
                // A trailer section without a field is none.
                Ok(Err(_)) | Err(_) => return Poll::Ready(refused(broken())),
            }
        }
        let reply = match (self.received.take(), self.then.take()) {
            (Some(body), Some(then)) => then(body),
            _ => Reply::now(problem::bug()),
        };
        let is_whole = !self.has_trailers;
        Poll::Ready(Received { reply: if is_whole { reply } else { reply.closing() }, is_whole })
    }
}

fn refused(response: Response) -> Received {
    Received { reply: Reply::now(response::closing(response)), is_whole: false }
}

fn too_large() -> Response {
    problem::response(Code::BodyTooLarge, &format!("the body has more than {BODY_BYTES_MAX} bytes"))
}

fn broken() -> Response {
    problem::response(Code::InvalidBody, "the body breaks off, or its chunks are malformed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn json_is_json_with_any_parameters_in_any_case() {
        for json in
            ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json ;x=1;"]
        {
            assert!(is_json(&headers(&CONTENT_TYPE, &[json])), "{json}");
        }
        for other in [
            &[][..],
            &[""],
            &["text/plain"],
            &["application/jsonp"],
            &["application/json, text/plain"],
            &["application/json", "application/json"],
            &["application/problem+json"],
            &["text/plain; application/json"],
        ] {
            assert!(!is_json(&headers(&CONTENT_TYPE, other)), "{other:?}");
        }
    }

    #[test]
    fn only_identity_is_no_coding() {
        for plain in [&[][..], &["identity"], &["Identity"], &[""], &["identity", "identity, identity"]] {
            assert!(is_plain(&headers(&CONTENT_ENCODING, plain)), "{plain:?}");
        }
        for coded in [&["gzip"][..], &["identity, gzip"], &["identity", "br"], &["identity;q=1"]] {
            assert!(!is_plain(&headers(&CONTENT_ENCODING, coded)), "{coded:?}");
        }
    }
}
