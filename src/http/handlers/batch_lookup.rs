//! Many lookups in one request.
//!
//! `If-None-Match` is not looked at: for other methods than GET and HEAD a match would mean 412 (RFC 9110, section
//! 13.1.2), and a client of this resource wants its response.

use std::rc::Rc;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;

use crate::batch::{self, BatchError};
use crate::dataset::{Outline, OutlineLimits};
use crate::http::request::forwarded::Peer;
use crate::http::request::json_body::{self, JsonBody};
use crate::http::response::problem::{self, Code};
use crate::http::response::reply::Reply;
use crate::http::worker::{LONG, Made, SHORT, Worker};
use crate::store::Snapshot;

/// Bytes of a body that is parsed and responded to on the worker, some 100 lookups; longer ones would keep the other
/// requests of the thread waiting.
const SHORT_BODY_BYTES_MAX: usize = 8 << 10;
/// `POST /v1/lookup`
pub(crate) fn batch(worker: &Rc<Worker>, peer: Peer, request: Request<Incoming>) -> Reply {
    if worker.app.store.load().is_none() {
        return Reply::now(problem::loading());
    }
    let (head, body) = request.into_parts();
    let client = worker.client(peer, &head.headers);
    let for_response = Rc::clone(worker);
    json_body::receive_json(&worker.app.budget, &head.headers, body, move |body| respond(&for_response, client, body))
}

fn respond(worker: &Rc<Worker>, client: Peer, mut body: JsonBody) -> Reply {
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_ref() else { return Reply::now(problem::loading()) };
    if body.bytes.len() <= SHORT_BODY_BYTES_MAX {
        // Parsing spends its input, and this one may be needed again.
        match outline(snapshot, &mut body.bytes.clone(), SHORT) {
            Ok(outline) => {
                let fields = worker.dataset_fields(snapshot);
                return Reply::now(worker.ok(&fields, &snapshot.dataset.render(outline)));
            }
            Err(BatchError::ResponseTooLarge { .. }) => {}
            Err(error) => return Reply::now(problem::response(code(&error), &error.to_string())),
        }
    }
    worker.offload(client, Arc::clone(snapshot), move |snapshot| match outline(snapshot, &mut body.bytes, LONG) {
        Ok(outline) => Made::Outline(outline),
        Err(error) => Made::Problem(code(&error), error.to_string()),
    })
}

fn outline(snapshot: &Snapshot, body: &mut [u8], limits: OutlineLimits) -> Result<Outline, BatchError> {
    let lookups = batch::parse(body)?;
    if let Some(shard) = snapshot.summary.shard {
        batch::check_shard(&lookups, shard)?;
    }
    batch::outline(&snapshot.dataset, &lookups, limits)
}

fn code(error: &BatchError) -> Code {
    match error {
        BatchError::Invalid(_) => Code::InvalidBody,
        BatchError::TooManyLookups { .. } => Code::TooManyLookups,
        BatchError::ResponseTooLarge { .. } => Code::AnswerTooLarge,
        BatchError::WrongShard { .. } => Code::WrongShard,
    }
}
