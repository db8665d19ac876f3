//! The only place that builds responses.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Body;
use hyper::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING,
    CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use super::etag;
use crate::load::FileError;

/// What is sent back: a status, header fields and a body that is there as a whole.
pub type Response = hyper::Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const PROMETHEUS_TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// Caches keep the response but ask each time whether it still holds.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
const NEVER_CACHE: HeaderValue = HeaderValue::from_static("no-store");

/// The `code` of a problem: what a client may branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No such shipment in the dataset.
    ShipmentNotFound,
    /// Nothing at this path.
    RouteNotFound,
    /// Something at this path, for other methods.
    MethodNotAllowed,
    /// A parameter of the path or query is unusable.
    InvalidParameter,
    /// The body is not what the resource takes.
    InvalidBody,
    /// The body is over its limit.
    BodyTooLarge,
    /// More lookups than are answered at once.
    TooManyLookups,
    /// The response would be over its limit.
    AnswerTooLarge,
    /// The body is of another media type, or coded.
    UnsupportedMediaType,
    /// The request shows no valid token or key.
    Unauthorized,
    /// The request comes from a page of another site.
    ForbiddenOrigin,
    /// Nothing is served yet, or no longer.
    DatasetUnavailable,
    /// The file breaks a rule.
    DatasetRefused,
    /// The file cannot be read.
    DatasetUnreadable,
    /// The file lacks too many of the served shipments.
    TooManyRemoved,
    /// The file has too few shipments.
    TooFewShipments,
    /// There is no dataset to go back to.
    NoPreviousDataset,
    /// The file's shipments do not fit beside the served ones.
    InsufficientMemory,
    /// The shipments are on another shard than the one that was asked.
    WrongShard,
    /// A bug.
    Internal,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Code::ShipmentNotFound | Code::RouteNotFound => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::InvalidParameter | Code::InvalidBody => StatusCode::BAD_REQUEST,
            Code::BodyTooLarge | Code::TooManyLookups => StatusCode::PAYLOAD_TOO_LARGE,
            Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::Unauthorized => StatusCode::UNAUTHORIZED,
            Code::ForbiddenOrigin => StatusCode::FORBIDDEN,
            Code::DatasetUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::AnswerTooLarge | Code::DatasetRefused | Code::DatasetUnreadable => StatusCode::UNPROCESSABLE_ENTITY,
            Code::TooManyRemoved | Code::TooFewShipments | Code::NoPreviousDataset => StatusCode::CONFLICT,
            Code::InsufficientMemory => StatusCode::INSUFFICIENT_STORAGE,
            Code::WrongShard => StatusCode::MISDIRECTED_REQUEST,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A problem detail (RFC 9457, section 3.1), with the extension members `code` and, for refused files, `errors`.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a [FileError]>,
}

/// The header fields of all responses from one dataset. Copying them costs a third of putting them together.
#[derive(Default)]
pub struct DatasetFields {
    etag: Vec<u8>,
    fields: HeaderMap,
}

impl DatasetFields {
    /// The fields for a dataset whose entity tag is `etag`.
    pub fn new(etag: HeaderValue) -> DatasetFields {
        DatasetFields {
            etag: etag.as_bytes().to_vec(),
            fields: HeaderMap::from_iter([(CONTENT_TYPE, JSON), (ETAG, etag), (CACHE_CONTROL, REVALIDATE)]),
        }
    }

    /// Whether a client that sends `headers` has the responses from the dataset.
    #[inline]
    pub fn are_known(&self, headers: &HeaderMap) -> bool {
        etag::is_known(headers, &self.etag)
    }

    /// 200 with JSON made from the dataset.
    #[inline]
    pub fn ok(&self, body: Bytes) -> Response {
        let mut response = Response::new(Full::new(body));
        *response.headers_mut() = self.fields.clone();
        response
    }

    /// 304: the client has what it would get (RFC 9110, section 15.4.5).
    pub fn not_modified(&self) -> Response {
        let mut response = self.ok(Bytes::new());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().remove(CONTENT_TYPE);
        response
    }
}

/// A header field.
pub type Field = (HeaderName, HeaderValue);
/// Of a page for a browser.
pub const HTML: Field = (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
/// Of a page whose address concerns nobody else: there may be tracking numbers in it.
pub const NO_REFERRER: Field = (REFERRER_POLICY, HeaderValue::from_static("no-referrer"));

/// Content that is part of the program, served as it is.
pub struct Document {
    etag: HeaderValue,
    fields: HeaderMap,
    body: Bytes,
}

impl Document {
    /// `body`, with header fields that are its own, its media type among them.
    pub fn new(body: impl Into<Bytes>, fields: impl IntoIterator<Item = Field>) -> Document {
        let body = body.into();
        let etag = etag::of_version(&format!("{:032x}", xxh3_128(&body)));
        let mut fields = HeaderMap::from_iter(fields);
        fields.insert(ETAG, etag.clone());
        fields.insert(CACHE_CONTROL, REVALIDATE);
        fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Document { etag, fields, body }
    }

    /// 200 with the content, or 304 if the client has it.
    pub fn response(&self, headers: &HeaderMap) -> Response {
        let is_known = etag::is_known(headers, self.etag.as_bytes());
        let mut response = Response::new(Full::new(if is_known { Bytes::new() } else { self.body.clone() }));
        *response.headers_mut() = self.fields.clone();
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().remove(CONTENT_TYPE);
            response.headers_mut().remove(CONTENT_ENCODING);
        }
        response
    }
}

/// 200 with JSON about the process itself.
pub fn json(value: &impl Serialize) -> Response {
    let Ok(body) = serde_json::to_vec(value) else { return problem(Code::Internal, "the response cannot be written") };
    of_now(JSON, body.into())
}

/// 200 with the text format of Prometheus, version 0.0.4.
pub fn metrics(text: String) -> Response {
    of_now(PROMETHEUS_TEXT, text.into())
}

/// 200 with what holds for this moment alone.
fn of_now(media_type: HeaderValue, body: Bytes) -> Response {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response.headers_mut().insert(CACHE_CONTROL, NEVER_CACHE);
    response
}

/// An error, with a sentence that says what is wrong.
pub fn problem(code: Code, detail: &str) -> Response {
    problem_with(code, detail, None)
}

/// A refused file, with its errors.
pub fn refused(detail: &str, errors: &[FileError]) -> Response {
    problem_with(Code::DatasetRefused, detail, Some(errors))
}

fn problem_with(code: Code, detail: &str, errors: Option<&[FileError]>) -> Response {
    let status = code.status();
    let problem = Problem {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        detail,
        code,
        errors,
    };
    let mut response = of_now(PROBLEM_JSON, serde_json::to_vec(&problem).unwrap_or_default().into());
    *response.status_mut() = status;
    response
}

/// 301: the resource is at `location` for good (RFC 9110, section 15.4.2).
pub fn moved(location: HeaderValue) -> Response {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    response.headers_mut().insert(LOCATION, location);
    // hyper would leave it out for HEAD.
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// 405, naming the methods that are allowed.
pub fn method_not_allowed(allow: &'static str) -> Response {
    let mut response = problem(Code::MethodNotAllowed, &format!("this resource takes {allow}"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// 401, naming how to show a token or key (RFC 6750, section 3).
pub fn unauthorized(detail: &str) -> Response {
    let mut response = problem(Code::Unauthorized, detail);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// Lets pages of `origin` read `response` with what they need of its fields; with `varies`, it may be another for others.
pub fn share(response: &mut Response, origin: Option<&HeaderValue>, varies: bool) {
    let headers = response.headers_mut();
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("etag, retry-after"));
    }
    if varies {
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
}

/// 204: a page may use these methods, and the fields that the API takes.
pub fn preflight(allow: &'static str) -> Response {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, allow),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, if-none-match, x-api-key"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// 415 for a body that is coded, naming what is taken (RFC 9110, section 12.5.3).
pub fn unsupported_coding(detail: &str) -> Response {
    let mut response = problem(Code::UnsupportedMediaType, detail);
    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    response
}

/// 503, to be asked again in a second.
pub fn unavailable(detail: &str) -> Response {
    let mut response = problem(Code::DatasetUnavailable, detail);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// 503: nothing is served yet.
pub fn loading() -> Response {
    unavailable("the dataset is being loaded")
}

/// `response` as to HEAD: no body, but its length (RFC 9110, section 9.3.2).
pub fn without_body(mut response: Response) -> Response {
    if let Some(length) = response.body().size_hint().exact().filter(|length| *length > 0) {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response.map(|_| Full::default())
}

/// `response`, as the last on its connection.
pub fn closing(mut response: Response) -> Response {
    close(&mut response);
    response
}

/// 500: the server failed, not the client.
pub fn bug() -> Response {
    problem(Code::Internal, "a bug in the server; its log has the message")
}

/// Makes `response` the last on its connection (RFC 9112, section 9.6).
pub fn close(response: &mut Response) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}
