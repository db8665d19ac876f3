//! The only place that builds responses.

pub mod body;
pub(crate) mod coding;
pub mod dataset;
pub mod document;
pub mod download;
pub mod etag;
pub mod problem;
pub mod reply;
pub(crate) mod wire;

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    LOCATION, VARY, X_CONTENT_TYPE_OPTIONS,
};

use body::Body;

/// A response: a status, header fields and a body.
pub type Response = hyper::Response<Body>;

/// A header field.
pub type Field = (HeaderName, HeaderValue);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Caches keep the response but revalidate it each time.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
/// The same for caches that serve one client (RFC 9111, section 5.2.2.7).
const PRIVATE_REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");
/// No cache stores the response, not even the client's own.
const NEVER_STORE: HeaderValue = HeaderValue::from_static("private, no-store");
/// The fields of requests that responses depend on where some callers have keys.
const BY_KEY: HeaderValue = HeaderValue::from_static("authorization, x-api-key");
/// The same where those without one see a limited view.
const BY_CALLER: HeaderValue = HeaderValue::from_static("authorization, x-api-key, waybill-postcode");
/// HTML Standard, section 9.2.1.
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// Tells nginx whether to gather what it passes on.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const NEVER_CACHE: HeaderValue = HeaderValue::from_static("no-store");
/// Browsers take the media type as it is (Fetch Standard, section 3.6).
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// 200 with `body` and a copy of `fields`.
#[inline]
fn ok(fields: &HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    // An empty map has nothing to drop, which the compiler cannot know.
    std::mem::forget(std::mem::replace(response.headers_mut(), fields.clone()));
    response
}

/// 304: the client has what it would get with `fields` (RFC 9110, section 15.4.5).
fn not_modified(fields: &HeaderMap) -> Response {
    let mut response = ok(fields, Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().remove(CONTENT_TYPE);
    response.headers_mut().remove(CONTENT_ENCODING);
    response
}

/// `status` with what holds for this moment alone.
fn never_cached(status: StatusCode, media_type: HeaderValue, body: Bytes) -> Response {
    let mut response = Response::new(Body::Whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response.headers_mut().insert(CACHE_CONTROL, NEVER_CACHE);
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    response
}

/// 200 with server-sent events, which no proxy is to gather or store.
pub(crate) fn event_stream(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().extend([
        (CONTENT_TYPE, EVENT_STREAM),
        (CACHE_CONTROL, NEVER_CACHE),
        (X_CONTENT_TYPE_OPTIONS, NO_SNIFF),
        (X_ACCEL_BUFFERING, HeaderValue::from_static("no")),
    ]);
    response
}

/// Value of `Strict-Transport-Security` (RFC 6797, section 6.1) for `time`, in whole seconds.
pub fn transport_security(time: Duration) -> HeaderValue {
    // Text and digits are fit for a header field.
    HeaderValue::from_str(&format!("max-age={}", time.as_secs())).unwrap_or(HeaderValue::from_static("max-age=0"))
}

/// 204 with `fields`.
pub fn no_content(fields: impl IntoIterator<Item = Field>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().extend(fields);
    response
}

/// 301: the resource is at `location` for good (RFC 9110, section 15.4.2).
pub fn moved(location: HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    response.headers_mut().insert(LOCATION, location);
    // hyper would leave it out for HEAD.
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// `response` as to HEAD: no body, but its length if that is known (RFC 9110, section 9.3.2).
pub fn without_body(mut response: Response) -> Response {
    if let Some(length @ 1..) = response.body().bytes_left() {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response.map(|_| Body::empty())
}

/// Keeps caches that several clients share from storing `response`, where they would have asked for it anew each time.
pub(crate) fn make_private(response: &mut Response) {
    if let Some(value) = response.headers_mut().get_mut(CACHE_CONTROL).filter(|value| **value == REVALIDATE) {
        *value = PRIVATE_REVALIDATE;
    }
}

/// Tells caches that `response` depends on the key that is shown (RFC 9110, section 12.5.5).
pub(crate) fn vary_by_key(response: &mut Response) {
    vary(response, BY_KEY);
}

/// Tells caches that `response` depends on who asks, and with which postcode (RFC 9110, section 12.5.5).
pub(crate) fn vary_by_caller(response: &mut Response) {
    vary(response, BY_CALLER);
}

/// Tells caches that `response` depends on the fields `names` of its request too, in one line, which all of them read.
pub(crate) fn vary(response: &mut Response, names: HeaderValue) {
    let fields = response.headers_mut();
    let all = fields.get(VARY).map(|others| [others.as_bytes(), b", ", names.as_bytes()].concat());
    fields.insert(VARY, all.and_then(|all| HeaderValue::try_from(all).ok()).unwrap_or(names));
}

/// `response`, as the last on its connection.
pub fn closing(mut response: Response) -> Response {
    close(&mut response);
    response
}

/// Makes `response` the last on its connection (RFC 9112, section 9.6).
pub fn close(response: &mut Response) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}
