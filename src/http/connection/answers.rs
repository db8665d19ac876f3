//! The answers of the fast path as bytes: made like those that handlers return, and written like hyper writes them. What
//! is the same until the dataset is replaced is written once.

use std::cell::{Ref, RefCell};
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;

use crate::http::pipeline;
use crate::http::request::correlation::REQUEST_ID;
use crate::http::response::Response;
use crate::http::response::body::Body;
use crate::http::response::wire::{self, HeadEnd};
use crate::http::worker::Worker;
use crate::store::Snapshot;

/// Writes the answers of one thread.
pub(super) struct Answers {
    worker: Rc<Worker>,
    heads: RefCell<Heads>,
    end: RefCell<HeadEnd>,
}

/// Heads of answers from one dataset, up to what differs: to callers without a key, and with one.
#[derive(Default)]
struct Heads {
    generation: u64,
    of_callers: [Head; 2],
}

#[derive(Default)]
struct Head {
    ok: Vec<u8>,
    not_modified: Vec<u8>,
}

/// Whom an answer is for, and when and with which id it was asked for.
#[derive(Clone, Copy)]
pub(super) struct Occasion<'r> {
    pub(super) has_key: bool,
    pub(super) at: Instant,
    pub(super) request_id: Option<&'r str>,
}

impl Answers {
    /// Those of `worker`.
    pub(super) fn new(worker: Rc<Worker>) -> Answers {
        Answers { worker, heads: RefCell::default(), end: RefCell::new(HeadEnd::new()) }
    }

    /// Appends 200 with `body` from `snapshot` to `out`.
    #[inline]
    pub(super) fn ok(
        &self,
        out: &mut Vec<u8>,
        snapshot: &Snapshot,
        for_whom: Occasion<'_>,
        body: &[u8],
        is_head: bool,
    ) {
        out.extend_from_slice(&self.head(snapshot, for_whom).ok);
        push_id(out, for_whom);
        wire::push_length(out, body.len());
        out.extend_from_slice(self.end.borrow_mut().at(for_whom.at));
        if !is_head {
            out.extend_from_slice(body);
        }
    }

    /// Appends 304.
    pub(super) fn not_modified(&self, out: &mut Vec<u8>, snapshot: &Snapshot, for_whom: Occasion<'_>) {
        out.extend_from_slice(&self.head(snapshot, for_whom).not_modified);
        push_id(out, for_whom);
        out.extend_from_slice(self.end.borrow_mut().at(for_whom.at));
    }

    /// The head of `response`, and its status and body; none if that is not there as a whole.
    #[cold]
    pub(super) fn whole(&self, mut response: Response, for_whom: Occasion<'_>) -> Option<(StatusCode, Vec<u8>, Bytes)> {
        pipeline::mark_plain(&self.worker, for_whom.has_key, &mut response);
        if let Some(id) = for_whom.request_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            response.headers_mut().insert(REQUEST_ID.clone(), id);
        }
        let (parts, body) = response.into_parts();
        let Body::Whole(body) = body else { return None };
        let mut head = Vec::new();
        wire::push_head(&mut head, parts.status, &parts.headers);
        wire::push_length(&mut head, body.len());
        head.extend_from_slice(self.end.borrow_mut().at(for_whom.at));
        Some((parts.status, head, body))
    }

    #[inline]
    fn head(&self, snapshot: &Snapshot, for_whom: Occasion<'_>) -> Ref<'_, Head> {
        if self.heads.borrow().generation != snapshot.generation {
            self.write_heads(snapshot);
        }
        Ref::map(self.heads.borrow(), |heads| &heads.of_callers[usize::from(for_whom.has_key)])
    }

    #[cold]
    fn write_heads(&self, snapshot: &Snapshot) {
        let fields = self.worker.dataset_fields(snapshot);
        let head = |mut response: Response, has_key| {
            pipeline::mark_plain(&self.worker, has_key, &mut response);
            let mut head = Vec::new();
            wire::push_head(&mut head, response.status(), response.headers());
            head
        };
        let of_callers = [false, true].map(|has_key| Head {
            ok: head(fields.ok(Body::empty()), has_key),
            not_modified: head(fields.not_modified(), has_key),
        });
        *self.heads.borrow_mut() = Heads { generation: snapshot.generation, of_callers };
    }
}

/// Appends the id of the request, if it has one.
#[inline]
fn push_id(out: &mut Vec<u8>, for_whom: Occasion<'_>) {
    if let Some(id) = for_whom.request_id {
        wire::push_field(out, &REQUEST_ID, id.as_bytes());
    }
}
