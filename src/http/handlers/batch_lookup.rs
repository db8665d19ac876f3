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
use crate::http::access::{Payer, Refusal};
use crate::http::app::App;
use crate::http::request::forwarded::Peer;
use crate::http::request::json_body::{self, JsonBody};
use crate::http::response::problem::{self, Code};
use crate::http::response::reply::Reply;
use crate::http::worker::{LONG, Made, SHORT, Worker};
use crate::store::Snapshot;

/// Bytes of a body that is parsed and responded to on the worker, some 100 lookups; longer ones would keep the other
/// requests of the thread waiting.
const SHORT_BODY_BYTES_MAX: usize = 8 << 10;

/// Why a batch is not answered.
enum BatchFailure {
    Batch(BatchError),
    Refused(Refusal),
}

/// `POST /v1/lookup`, for the lookups of which `payer` pays, where access is limited.
pub(crate) fn batch(worker: &Rc<Worker>, peer: Peer, payer: Option<Payer>, request: Request<Incoming>) -> Reply {
    if worker.app.store.load().is_none() {
        return Reply::now(problem::loading());
    }
    let (head, body) = request.into_parts();
    let client = worker.client(peer, &head.headers);
    let for_response = Rc::clone(worker);
    let charge = Charge { app: Arc::clone(&worker.app), payer };
    let respond = move |body| respond(&for_response, client, charge, body);
    json_body::receive_json(&worker.app.budget, &head.headers, body, respond)
}

fn respond(worker: &Rc<Worker>, client: Peer, mut charge: Charge, mut body: JsonBody) -> Reply {
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_ref() else { return Reply::now(problem::loading()) };
    if body.bytes.len() <= SHORT_BODY_BYTES_MAX {
        // Parsing spends its input, and this one may be needed again.
        match outline(snapshot, &mut body.bytes.clone(), SHORT, &mut charge) {
            Ok(outline) => {
                let fields = worker.dataset_fields(snapshot);
                return Reply::now(worker.ok(&fields, &snapshot.dataset.render(outline)));
            }
            Err(BatchFailure::Batch(BatchError::ResponseTooLarge { .. })) => {}
            Err(failure) => return Reply::now(worker.made(snapshot, client, failure.into())),
        }
    }
    worker.offload(client, Arc::clone(snapshot), move |snapshot| {
        outline(snapshot, &mut body.bytes, LONG, &mut charge).map_or_else(Made::from, Made::Outline)
    })
}

fn outline(
    snapshot: &Snapshot,
    body: &mut [u8],
    limits: OutlineLimits,
    charge: &mut Charge,
) -> Result<Outline, BatchFailure> {
    let parsed = batch::parse(body);
    // One that cannot be read costs as much as a request.
    charge.take(parsed.as_ref().map_or(1, Vec::len))?;
    let lookups = parsed?;
    if let Some(shard) = snapshot.summary.shard {
        batch::check_shard(&lookups, shard)?;
    }
    Ok(batch::outline(&snapshot.dataset, &lookups, limits)?)
}

/// What is still to be paid for a batch.
struct Charge {
    app: Arc<App>,
    /// Until it has paid.
    payer: Option<Payer>,
}

impl Charge {
    fn take(&mut self, lookups: usize) -> Result<(), Refusal> {
        let (Some(access), Some(payer)) = (&self.app.access, self.payer.take()) else { return Ok(()) };
        access.charge_batch(&payer, lookups)
    }
}

/// A body that was refused, or did not come, costs as much as a request.
impl Drop for Charge {
    fn drop(&mut self) {
        // It is refused already, whatever is left.
        let _ = self.take(1);
    }
}

impl From<BatchError> for BatchFailure {
    fn from(error: BatchError) -> BatchFailure {
        BatchFailure::Batch(error)
    }
}

impl From<Refusal> for BatchFailure {
    fn from(refusal: Refusal) -> BatchFailure {
        BatchFailure::Refused(refusal)
    }
}

impl From<BatchFailure> for Made {
    fn from(failure: BatchFailure) -> Made {
        match failure {
            BatchFailure::Batch(error) => Made::Problem(code(&error), error.to_string()),
            BatchFailure::Refused(refusal) => Made::Refused(refusal),
        }
    }
}

fn code(error: &BatchError) -> Code {
    match error {
        BatchError::Invalid(_) => Code::InvalidBody,
        BatchError::TooManyLookups { .. } => Code::TooManyLookups,
        BatchError::ResponseTooLarge { .. } => Code::AnswerTooLarge,
        BatchError::WrongShard { .. } => Code::WrongShard,
    }
}
