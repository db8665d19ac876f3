//! Content of the program itself: documents that are part of it, and JSON about the process.

use std::sync::OnceLock;

use bytes::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use super::body::Body;
use super::coding::{Accepted, BY_ENCODING, BYTES_MIN, Coding};
use super::problem::{self, Code};
use super::{Field, JSON, NEVER_CACHE, NO_SNIFF, REVALIDATE, Response, etag, never_cached, not_modified, ok};

const PROMETHEUS_TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// Of a page for a browser.
pub const HTML: Field = (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
/// Of a style.
pub const CSS: Field = (CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
/// Of a script.
pub const JAVASCRIPT: Field = (CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
/// Of a text for people.
pub const TEXT: Field = (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
/// Of a page that no search engine may list.
pub const NO_INDEX: Field = (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
/// Of a page whose URL must not be sent to other sites: there may be tracking numbers in it.
pub const NO_REFERRER: Field = (REFERRER_POLICY, HeaderValue::from_static("no-referrer"));

/// Content that is part of the program, served as it is, or compressed once for all who take that.
pub struct Document {
    plain: Form,
    /// Other fields of requests than `Accept-Encoding` that it was chosen by.
    vary: Option<HeaderValue>,
    /// In the order of [`Coding::ALL`], once somebody takes one; none where it is not worth it.
    coded: [OnceLock<Option<Form>>; Coding::ALL.len()],
}

struct Form {
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
        fields.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
        let vary = fields.get(VARY).cloned();
        if body.len() >= BYTES_MIN {
            let names = vary.as_ref().map(|others| [BY_ENCODING.as_bytes(), b", ", others.as_bytes()].concat());
            fields.insert(VARY, names.and_then(|names| HeaderValue::try_from(names).ok()).unwrap_or(BY_ENCODING));
        }
        Document { plain: Form { etag, fields, body }, vary, coded: Default::default() }
    }

    /// `status` with the content, for this moment alone.
    pub fn error(&self, status: StatusCode) -> Response {
        let mut response = ok(&self.plain.fields, Body::Whole(self.plain.body.clone()));
        *response.status_mut() = status;
        response.headers_mut().remove(ETAG);
        match &self.vary {
            Some(vary) => drop(response.headers_mut().insert(VARY, vary.clone())),
            None => drop(response.headers_mut().remove(VARY)),
        }
        response.headers_mut().insert(CACHE_CONTROL, NEVER_CACHE);
        response
    }

    /// 200 with the content, or 304 if the client has it.
    pub fn response(&self, headers: &HeaderMap) -> Response {
        let form = self.form(headers);
        if etag::is_known(headers, form.etag.as_bytes()) {
            not_modified(&form.fields)
        } else {
            ok(&form.fields, Body::Whole(form.body.clone()))
        }
    }

    /// The form that the client prefers.
    fn form(&self, headers: &HeaderMap) -> &Form {
        let is_coded = self.plain.fields.contains_key(CONTENT_ENCODING);
        let accepted = Accepted::by(headers).filter(|_| !is_coded && self.plain.body.len() >= BYTES_MIN);
        let Some(Accepted { coding, .. }) = accepted else { return &self.plain };
        self.coded[coding as usize].get_or_init(|| self.plain.coded(coding)).as_ref().unwrap_or(&self.plain)
    }
}

impl Form {
    /// The same content, compressed; none if it cannot be.
    fn coded(&self, coding: Coding) -> Option<Form> {
        let body = coding.encode_best(&self.body).ok()?;
        let etag = etag::with_suffix(&self.etag, coding.suffix())?;
        let mut fields = self.fields.clone();
        fields.insert(ETAG, etag.clone());
        fields.extend([coding.field()]);
        Some(Form { etag, fields, body: body.into() })
    }
}

/// 200 with JSON about the process itself.
pub fn json(value: &impl Serialize) -> Response {
    let Ok(body) = serde_json::to_vec(value) else {
        return problem::response(Code::Internal, "the response cannot be written");
    };
    never_cached(StatusCode::OK, JSON, body.into())
}

/// 200 with the text format of Prometheus, version 0.0.4.
pub fn metrics(text: Bytes) -> Response {
    never_cached(StatusCode::OK, PROMETHEUS_TEXT, text)
}
