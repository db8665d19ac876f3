//! Errors: problem details (RFC 9457) with a `code` to branch on.

use hyper::StatusCode;
use hyper::header::{ACCEPT_ENCODING, ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;

use super::{Response, never_cached};
use crate::http::access::guesses::{self, TooManyGuesses};
use crate::http::access::{RateOf, Refusal};
use crate::load::FileError;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

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
    /// More lookups than one batch may have.
    TooManyLookups,
    /// The response would be over its limit.
    AnswerTooLarge,
    /// The body is of another media type, or coded.
    UnsupportedMediaType,
    /// The request shows no valid token or key.
    Unauthorized,
    /// The request's key lacks what this needs.
    Forbidden,
    /// The client, or the key, sends too many requests.
    RateLimited,
    /// The request comes from a page of another site.
    ForbiddenOrigin,
    /// The version that the request names is not served, or no longer.
    VersionGone,
    /// `If-Match` names another version than the one that the response would have been made from.
    PreconditionFailed,
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
    /// The reload was cancelled.
    ReloadCancelled,
    /// There is no reload to cancel.
    NoReloadRunning,
    /// There is no dataset to go back to.
    NoPreviousDataset,
    /// The file's shipments do not fit beside the served ones.
    InsufficientMemory,
    /// The shipments are on another shard than this one.
    WrongShard,
    /// Other requests take what this one needs: memory, or its turn.
    Overloaded,
    /// A bug.
    Internal,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Code::ShipmentNotFound | Code::RouteNotFound => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::InvalidParameter | Code::InvalidBody => StatusCode::BAD_REQUEST,
            Code::VersionGone => StatusCode::GONE,
            Code::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Code::BodyTooLarge | Code::TooManyLookups => StatusCode::PAYLOAD_TOO_LARGE,
            Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::Unauthorized => StatusCode::UNAUTHORIZED,
            Code::Forbidden | Code::ForbiddenOrigin => StatusCode::FORBIDDEN,
            Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Code::DatasetUnavailable | Code::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Code::AnswerTooLarge | Code::DatasetRefused | Code::DatasetUnreadable => StatusCode::UNPROCESSABLE_ENTITY,
            Code::TooManyRemoved
            | Code::TooFewShipments
            | Code::ReloadCancelled
            | Code::NoReloadRunning
            | Code::NoPreviousDataset => StatusCode::CONFLICT,
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

/// An error, with a sentence that says what is wrong.
pub fn response(code: Code, detail: &str) -> Response {
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
    never_cached(status, PROBLEM_JSON, serde_json::to_vec(&problem).unwrap_or_default().into())
}

/// 405, naming the methods that are allowed.
pub fn method_not_allowed(allow: &'static str) -> Response {
    let mut response = response(Code::MethodNotAllowed, &format!("this resource takes {allow}"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// 401, naming how to show a token or key (RFC 6750, section 3).
pub fn unauthorized(detail: &str) -> Response {
    let mut response = response(Code::Unauthorized, detail);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// The response to a request that is not let through: 401, 403 or 429, which says when to come back (RFC 6585, section 4,
/// and the IETF's draft of the fields for rate limits).
pub(crate) fn refusal(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::Unauthorized(reason) => unauthorized(reason),
        Refusal::Forbidden(scope) => response(Code::Forbidden, &format!("the key lacks the scope {}", scope.name())),
        Refusal::TooEarly { of, early } => {
            let name = match of {
                RateOf::Client => "client",
                RateOf::Key => "key",
            };
            let (seconds, rate) = (early.wait_seconds(), early.rate);
            let detail = format!("more than {rate} for this {name}; try again in {seconds} s");
            rate_limited(&detail, name, rate.burst(), rate.window_seconds(), seconds)
        }
        Refusal::TooManyGuesses(TooManyGuesses { guesses_max, wait }) => {
            let seconds = wait.as_secs().max(1);
            let detail = format!("too many wrong postcodes; try again in {seconds} s, or without a postcode");
            rate_limited(&detail, "postcode", *guesses_max, guesses::WINDOW_S, seconds)
        }
    }
}

/// 429 by the limit `name`: `quota` within `window` seconds. It may be tried again after `seconds`.
fn rate_limited(detail: &str, name: &str, quota: u32, window: u32, seconds: u64) -> Response {
    let mut response = response(Code::RateLimited, detail);
    let mut insert = |field, value: String| {
        // Names of ours and numbers are always a value.
        response.headers_mut().extend(HeaderValue::try_from(value).ok().map(|value| (field, value)));
    };
    insert(RETRY_AFTER, seconds.to_string());
    insert(RATE_LIMIT_POLICY, format!("\"{name}\";q={quota};w={window}"));
    insert(RATE_LIMIT, format!("\"{name}\";r=0;t={seconds}"));
    response
}

/// 410: the version that is asked for is not served; `current` is.
pub(crate) fn version_gone(current: &str) -> Response {
    let detail = format!("this version is not served, or no longer; the current one is {current}");
    response(Code::VersionGone, &detail)
}

/// 412: the response would have this entity tag, which the request rules out (RFC 9110, section 15.5.13).
pub(crate) fn precondition_failed(etag: &HeaderValue) -> Response {
    let etag = etag.to_str().unwrap_or_default();
    response(Code::PreconditionFailed, &format!("If-Match names another entity tag than {etag}"))
}

/// 415 for a body that is coded, naming what is taken (RFC 9110, section 12.5.3).
pub fn unsupported_coding(detail: &str) -> Response {
    let mut response = response(Code::UnsupportedMediaType, detail);
    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    response
}

/// 503, to be retried after a second.
pub fn unavailable(detail: &str) -> Response {
    to_be_retried(Code::DatasetUnavailable, detail)
}

/// 503: other requests take what this one needs.
pub fn overloaded(detail: &str) -> Response {
    to_be_retried(Code::Overloaded, &format!("{detail}; try again in a moment"))
}

fn to_be_retried(code: Code, detail: &str) -> Response {
    let mut response = response(code, detail);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// 503: nothing is served yet.
pub fn loading() -> Response {
    unavailable("the dataset is being loaded")
}

/// 500: the server failed, not the client.
pub fn bug() -> Response {
    response(Code::Internal, "a bug in the server; its log has the message")
}
