//! Many lookups in one request.
//!
//! `If-None-Match` is not looked at: for other methods than GET and HEAD a match would mean 412 (RFC 9110, section
//! 13.1.2), and a client of this resource wants its response.

use std::rc::Rc;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;

use crate::batch::{self, BatchError, Lookup};
use crate::dataset::{Dataset, Outline, OutlineLimits, Position, View};
use crate::http::access::{Payer, Refusal};
use crate::http::app::App;
use crate::http::handlers::limited::{COMPARED_MAX, Judge, TOO_MANY_CARRIERS};
use crate::http::request::forwarded::Peer;
use crate::http::request::json_body::{self, JsonBody};
use crate::http::response::dataset::Variant;
use crate::http::response::problem::{self, Code};
use crate::http::response::reply::Reply;
use crate::http::worker::{LONG, Made, SHORT, Worker};
use crate::place::Postcode;
use crate::store::Snapshot;

/// Bytes of a body that is parsed and responded to on the worker, some 100 lookups; longer ones would keep the other
/// requests of the thread waiting.
const SHORT_BODY_BYTES_MAX: usize = 8 << 10;

/// Why a batch is not answered.
enum BatchFailure {
    Batch(BatchError),
    Refused(Refusal),
}

/// `POST /v1/lookup`, for the lookups of which `payer` pays, where access is limited. A caller who does not see all sees
/// the limited view.
pub(crate) fn batch(
    worker: &Rc<Worker>,
    peer: Peer,
    payer: Option<Payer>,
    sees_all: bool,
    request: Request<Incoming>,
) -> Reply {
    if worker.app.store.load().is_none() {
        return Reply::now(problem::loading());
    }
    let (head, body) = request.into_parts();
    let client = worker.client(peer, &head.headers);
    let for_response = Rc::clone(worker);
    let app = &worker.app;
    let caller = Caller {
        charge: Charge { app: Arc::clone(app), payer },
        judge: (!sees_all).then(|| Judge::new(Arc::clone(app), client)),
    };
    let respond = move |body| respond(&for_response, client, caller, body);
    json_body::receive_json(&worker.app.budget, &head.headers, body, respond)
}

fn respond(worker: &Rc<Worker>, client: Peer, mut caller: Caller, mut body: JsonBody) -> Reply {
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_ref() else { return Reply::now(problem::loading()) };
    if body.bytes.len() <= SHORT_BODY_BYTES_MAX {
        // Parsing spends its input, and this one may be needed again.
        match outline(snapshot, &mut body.bytes.clone(), SHORT, &mut caller) {
            Ok(outline) => {
                let fields = worker.variant_fields(snapshot, caller.variant());
                return Reply::now(worker.ok(&fields, &snapshot.dataset.render(outline)));
            }
            Err(BatchFailure::Batch(BatchError::ResponseTooLarge { .. })) => {}
            Err(failure) => return Reply::now(worker.made(snapshot, client, failure.into())),
        }
    }
    worker.offload(client, Arc::clone(snapshot), move |snapshot| {
        let outline = outline(snapshot, &mut body.bytes, LONG, &mut caller);
        outline.map_or_else(Made::from, |outline| Made::Outline(outline, caller.variant()))
    })
}

fn outline(
    snapshot: &Snapshot,
    body: &mut [u8],
    limits: OutlineLimits,
    caller: &mut Caller,
) -> Result<Outline, BatchFailure> {
    let parsed = batch::parse(body);
    // One that cannot be read costs as much as a request.
    caller.charge.take(parsed.as_ref().map_or(1, Vec::len))?;
    let lookups = parsed?;
    if let Some(shard) = snapshot.summary.shard {
        batch::check_shard(&lookups, shard)?;
    }
    match &mut caller.judge {
        None => Ok(batch::outline(&snapshot.dataset, &lookups, limits)?),
        Some(judge) => limited_outline(&snapshot.dataset, &lookups, limits, judge),
    }
}

/// The outline for a caller who sees a limited view, but for the shipments whose postcodes it shows.
fn limited_outline(
    dataset: &Dataset,
    lookups: &[Lookup<'_>],
    limits: OutlineLimits,
    judge: &mut Judge,
) -> Result<Outline, BatchFailure> {
    batch::outline_with(dataset, lookups, limits, |at, lookup, mut shipments, outline| {
        let mut append = |position, view| {
            let appended = dataset.outline_view(outline, position, view);
            appended.map_err(|over| BatchFailure::from(batch::over_limits(over, limits)))
        };
        let Some(postcode) = lookup.postcode.and_then(Postcode::new) else {
            return shipments.try_for_each(|position| append(position, View::Limited));
        };
        let positions: Vec<Position> = shipments.take(COMPARED_MAX + 1).collect();
        if positions.len() > COMPARED_MAX {
            return Err(BatchError::Invalid(format!("lookups[{at}].postcode: {TOO_MANY_CARRIERS}")).into());
        }
        let views = judge.views(at, dataset, &positions, &postcode)?;
        positions.iter().zip(views).try_for_each(|(position, view)| append(*position, *view))
    })
}

/// Who sends a batch.
struct Caller {
    charge: Charge,
    /// Decides what it sees, if that is not everything.
    judge: Option<Judge>,
}

impl Caller {
    /// What its response shows.
    fn variant(&self) -> Variant {
        self.judge.as_ref().map_or(Variant::Ordinary, Judge::variant)
    }
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
