//! Compression of responses that are made from the dataset: pages, facets, batches and exports. Lookups by path stay as
//! they are; documents are compressed once (`response/document.rs`).

mod parts;

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{ACCEPT_ENCODING, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH};
use hyper::{Method, Request, StatusCode};

use crate::http::offload::threads::NotDone;
use crate::http::request::forwarded::Peer;
use crate::http::request::route::RouteId;
use crate::http::response::body::Body;
use crate::http::response::coding::{Accepted, BY_ENCODING, BYTES_MIN, Coding, ENCODER_BYTES, Encoder};
use crate::http::response::etag;
use crate::http::response::reply::Reply;
use crate::http::response::{Response, problem, vary};
use crate::http::worker::{self, Worker};
use parts::CodedParts;

/// Bytes of a response that is compressed on the worker; what is longer is offloaded.
const SHORT_BYTES_MAX: usize = 8 << 10;

/// What is to be done with the response to a request.
pub(crate) struct Compression {
    /// What the client takes, unless the response is best left as it is.
    accepted: Option<Accepted>,
    /// `If-None-Match`, if tags of compressed responses are named there.
    known: HeaderMap,
    /// True for a response whose length is not known before it is made, if it is.
    is_export: bool,
    /// True for a request that gets no body.
    is_head: bool,
    /// Whose turn it is to have work offloaded.
    client: Peer,
}

/// Sees how the response to `request` for `route` is to be compressed, if it may be. Returns the header fields as those
/// are to see them who know nothing of compression, where they are others.
#[inline]
pub(crate) fn negotiate<B>(
    worker: &Worker,
    peer: Peer,
    route: RouteId,
    request: &Request<B>,
    compression: &mut Option<Box<Compression>>,
) -> Option<HeaderMap> {
    let headers = request.headers();
    if !worker.app.with_compression {
        return headers.contains_key(ACCEPT_ENCODING).then(|| without(headers, ACCEPT_ENCODING));
    }
    let is_export = match route {
        RouteId::Search | RouteId::LegacyList | RouteId::Facets | RouteId::BatchLookup => false,
        RouteId::CsvExport | RouteId::NdjsonExport => true,
        _ => return None,
    };
    let accepted = Accepted::by(headers);
    let plain = accepted.and_then(|accepted| without_suffix(headers, accepted.coding));
    *compression = Some(Box::new(Compression {
        accepted,
        known: if plain.is_some() { headers.clone() } else { HeaderMap::new() },
        is_export,
        is_head: request.method() == Method::HEAD,
        client: worker.client(peer, headers),
    }));
    plain
}

/// `headers` with the tags of responses without `coding` for those with it in `If-None-Match`, if there are some.
fn without_suffix(headers: &HeaderMap, coding: Coding) -> Option<HeaderMap> {
    let coded = format!("{}\"", coding.suffix());
    let has_coded = |field: &HeaderValue| field.to_str().is_ok_and(|field| field.contains(&coded));
    if !headers.get_all(IF_NONE_MATCH).iter().any(has_coded) {
        return None;
    }
    let mut plain = without(headers, IF_NONE_MATCH);
    for field in headers.get_all(IF_NONE_MATCH) {
        let changed = field.to_str().ok().and_then(|text| HeaderValue::try_from(text.replace(&coded, "\"")).ok());
        plain.append(IF_NONE_MATCH, changed.unwrap_or_else(|| field.clone()));
    }
    Some(plain)
}

fn without(headers: &HeaderMap, name: HeaderName) -> HeaderMap {
    let mut others = headers.clone();
    others.remove(name);
    others
}

impl Compression {
    /// `response`, compressed if that is worth it.
    pub(crate) fn apply(self, worker: &Rc<Worker>, mut response: Response) -> Reply {
        let is_ok = response.status() == StatusCode::OK;
        if !is_ok && response.status() != StatusCode::NOT_MODIFIED {
            return Reply::now(response);
        }
        vary(&mut response, BY_ENCODING);
        let Some(Accepted { coding, always }) = self.accepted else { return Reply::now(response) };
        if !is_ok {
            tag_if_named(&mut response, coding, &self.known);
            return Reply::now(response);
        }
        let is_long = || response.body().bytes_left().is_none_or(|bytes| bytes >= BYTES_MIN as u64);
        let is_worth_it = always || self.is_export || is_long();
        if !is_worth_it {
            return Reply::now(response);
        }
        let body = std::mem::replace(response.body_mut(), Body::empty());
        response.headers_mut().extend([coding.field()]);
        tag(&mut response, coding);
        let with = move |body| {
            *response.body_mut() = body;
            response
        };
        let budget = Arc::clone(&worker.app.budget);
        match body {
            body if self.is_export && self.is_head => Reply::now(with(body)),
            Body::Whole(bytes) if bytes.len() <= SHORT_BYTES_MAX => Reply::now(match coding.encode(&bytes) {
                Ok(coded) => with(Body::Whole(budget.keep_made(coded))),
                Err(_) => problem::bug(),
            }),
            Body::Whole(bytes) => {
                let (worker, client) = (Rc::clone(worker), self.client);
                Reply::later(async move {
                    match worker.offload.run(client, move || coding.encode(&bytes)).await {
                        Ok(Ok(coded)) => with(Body::Whole(budget.keep_made(coded))),
                        Err(NotDone::Busy) => worker::busy(),
                        Ok(Err(_)) | Err(NotDone::Panicked) => problem::bug(),
                    }
                })
            }
            Body::InParts(parts) => {
                let Ok(memory) = budget.reserve(ENCODER_BYTES) else {
                    return Reply::now(worker::exhausted());
                };
                let Ok(encoder) = Encoder::new(coding) else { return Reply::now(problem::bug()) };
                let coded = CodedParts::new(parts, (encoder, memory), worker.offload.clone(), self.client, budget);
                Reply::now(with(Body::of_unknown_length(Bytes::new(), Box::new(coded))))
            }
        }
    }
}

/// The same for a response that tells the client to use what it has, if it has that in `coding`.
fn tag_if_named(response: &mut Response, coding: Coding, known: &HeaderMap) {
    if coded_tag(response, coding).is_some_and(|coded| etag::is_known(known, coded.as_bytes())) {
        tag(response, coding);
    }
}

/// Tells the entity tag of `response` from that of the same in another coding (RFC 9110, section 8.8.3.3).
fn tag(response: &mut Response, coding: Coding) {
    if let Some(etag) = coded_tag(response, coding) {
        response.headers_mut().insert(ETAG, etag);
    }
}

fn coded_tag(response: &Response, coding: Coding) -> Option<HeaderValue> {
    etag::with_suffix(response.headers().get(ETAG)?, coding.suffix())
}
