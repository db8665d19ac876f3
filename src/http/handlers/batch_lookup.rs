//! Many lookups in one request.
//!
//! `If-None-Match` is not looked at: for other methods than GET and HEAD a match would mean 412 (RFC 9110, section
//! 13.1.2), and a client of this resource wants its response.

use std::rc::Rc;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;

use crate::batch::{self, BatchError, RESPONSE_BYTES_MAX};
use crate::http::request::json_body;
use crate::http::response::Response;
use crate::http::response::problem::{self, Code};
use crate::http::response::reply::Reply;
use crate::http::worker::Worker;
use crate::store::Snapshot;

/// Bytes of a body that is parsed and responded to on the worker, some 100 lookups; longer ones would keep the other
/// requests of the thread waiting.
const SHORT_BODY_BYTES_MAX: usize = 8 << 10;
/// Bytes of a response that is rendered at once.
const SHORT_RESPONSE_BYTES_MAX: usize = 256 << 10;

/// `POST /v1/lookup`
pub(crate) fn batch(worker: &Rc<Worker>, request: Request<Incoming>) -> Reply {
    if worker.app.store.load().is_none() {
        return Reply::now(problem::loading());
    }
    let (head, body) = request.into_parts();
    let worker = Rc::clone(worker);
    json_body::receive_json(&head.headers, body, move |body| respond(&worker, body))
}

fn respond(worker: &Rc<Worker>, mut body: Vec<u8>) -> Reply {
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_ref() else { return Reply::now(problem::loading()) };
    if body.len() <= SHORT_BODY_BYTES_MAX {
        // Parsing spends its input, and this one may be needed again.
        match render(snapshot, &mut body.clone(), SHORT_RESPONSE_BYTES_MAX) {
            Ok(out) => return Reply::now(worker.dataset_fields(snapshot).ok(out.into())),
            Err(BatchError::ResponseTooLarge { .. }) => {}
            Err(error) => return Reply::now(problem(&error)),
        }
    }
    worker.offload(Arc::clone(snapshot), move |snapshot| {
        render(snapshot, &mut body, RESPONSE_BYTES_MAX).map_err(|error| Box::new(problem(&error)))
    })
}

fn render(snapshot: &Snapshot, body: &mut [u8], bytes_max: usize) -> Result<Vec<u8>, BatchError> {
    let lookups = batch::parse(body)?;
    if let Some(shard) = snapshot.summary.shard {
        batch::check_shard(&lookups, shard)?;
    }
    batch::render(&snapshot.dataset, &lookups, bytes_max)
}

fn problem(error: &BatchError) -> Response {
    let code = match error {
        BatchError::Invalid(_) => Code::InvalidBody,
        BatchError::TooManyLookups { .. } => Code::TooManyLookups,
        BatchError::ResponseTooLarge { .. } => Code::AnswerTooLarge,
        BatchError::WrongShard { .. } => Code::WrongShard,
    };
    problem::response(code, &error.to_string())
}
