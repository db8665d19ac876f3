//! Lookups by path.

use std::rc::Rc;
use std::sync::Arc;

use hyper::HeaderMap;
use smallvec::SmallVec;

use crate::dataset::{Dataset, Outline, OutlineLimits, OverLimits, Position, Record};
use crate::http::handlers::misdirected;
use crate::http::request::forwarded::Peer;
use crate::http::response::Response;
use crate::http::response::problem::{self, Code};
use crate::http::response::reply::Reply;
use crate::http::worker::{Made, WHOLE_BYTES_MAX, Worker};
use crate::shipment::FoldedKey;
use crate::store::Snapshot;

/// Shipments of one number that are gathered without an allocation: more carriers than use one.
const SHIPMENTS_INLINE: usize = 4;
/// Shipments and articles of a response that is made at once; others are offloaded.
const SHORT_SHIPMENTS_MAX: usize = 100;
const SHORT_ARTICLES_MAX: u32 = 1000;
/// A lookup has no limit of its own: what it finds is made in parts.
const UNLIMITED: OutlineLimits =
    OutlineLimits { bytes_max: u64::MAX, shipment_bytes_max: u64::MAX, articles_max: u64::MAX };

/// `GET /v1/shipments/{carrier}/{tracking_number}`. Where that takes long it sets `takes_long` instead, and the response is
/// to be made by [`large_one`]. (An optional response would be copied twice more: +60 instructions.)
#[inline]
pub(crate) fn one(
    worker: &Worker,
    headers: &HeaderMap,
    carrier: &str,
    tracking_number: &str,
    takes_long: &mut bool,
) -> Response {
    let number = FoldedKey::new(tracking_number);
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_deref() else { return problem::loading() };
    let Some(record) = snapshot.dataset.shipment_spelled(&number, carrier) else {
        let detail = || format!("no shipment {tracking_number} with carrier {carrier}");
        return missing(snapshot, &number, tracking_number, detail);
    };
    let fields = worker.dataset_fields(snapshot);
    if fields.are_known(headers) {
        return fields.not_modified();
    }
    let mut scratch = worker.scratch();
    let Some(body) = record.render_over(&mut scratch, SHORT_ARTICLES_MAX, WHOLE_BYTES_MAX) else {
        *takes_long = true;
        return fields.not_modified();
    };
    worker.ok(&fields, body)
}

/// The same, where the response takes long.
#[cold]
pub(crate) fn large_one(
    worker: &Rc<Worker>,
    peer: Peer,
    headers: &HeaderMap,
    carrier: &str,
    tracking_number: &str,
) -> Reply {
    let (number, carrier) = (FoldedKey::new(tracking_number), FoldedKey::new(carrier));
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_ref() else { return Reply::now(problem::loading()) };
    // Another dataset may be served now, which has no such shipment.
    if snapshot.dataset.shipment(&number, &carrier).is_none() {
        return Reply::now(missing(snapshot, &number, tracking_number, || format!("no shipment {tracking_number}")));
    }
    large(worker, peer, headers, snapshot, move |dataset, outline| {
        let position = dataset.shipment_position(&number, &carrier);
        position.map_or(Ok(()), |position| dataset.outline(outline, position))
    })
}

/// `GET /v1/shipments/{tracking_number}`
pub(crate) fn all(worker: &Rc<Worker>, peer: Peer, headers: &HeaderMap, tracking_number: &str) -> Reply {
    let number = FoldedKey::new(tracking_number);
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_ref() else { return Reply::now(problem::loading()) };
    let dataset = &snapshot.dataset;
    let records: SmallVec<[Record<'_>; SHIPMENTS_INLINE]> =
        dataset.shipments_with_number(&number).take(SHORT_SHIPMENTS_MAX + 1).collect();
    if records.is_empty() {
        return Reply::now(missing(snapshot, &number, tracking_number, || format!("no shipment {tracking_number}")));
    }
    let articles: u64 = records.iter().map(|record| u64::from(record.article_count())).sum();
    let is_short = records.len() <= SHORT_SHIPMENTS_MAX
        && articles <= u64::from(SHORT_ARTICLES_MAX)
        && records.iter().map(Record::rendered_bytes).sum::<usize>() <= WHOLE_BYTES_MAX;
    if !is_short {
        let fields = worker.dataset_fields(snapshot);
        if fields.are_known(headers) {
            return Reply::now(fields.not_modified());
        }
        let number = number.clone();
        return large(worker, peer, headers, snapshot, move |dataset, outline| {
            let positions: Vec<Position> = dataset.positions_with_number(&number).collect();
            outline.text(b"{\"count\":");
            outline.text(itoa::Buffer::new().format(positions.len()).as_bytes());
            outline.text(b",\"results\":[");
            for position in positions {
                dataset.outline(outline, position)?;
            }
            outline.text(b"]}");
            Ok(())
        });
    }
    Reply::now(worker.dataset_response(snapshot, headers, |out| {
        out.extend_from_slice(b"{\"count\":");
        out.extend_from_slice(itoa::Buffer::new().format(records.len()).as_bytes());
        out.extend_from_slice(b",\"results\":[");
        Record::render_all(records.iter().copied(), out);
        out.extend_from_slice(b"]}");
    }))
}

/// The response that `describe` describes, off the worker.
#[cold]
fn large(
    worker: &Rc<Worker>,
    peer: Peer,
    headers: &HeaderMap,
    snapshot: &Arc<Snapshot>,
    describe: impl FnOnce(&Dataset, &mut Outline) -> Result<(), OverLimits> + Send + 'static,
) -> Reply {
    let client = worker.client(peer, headers);
    worker.offload(client, Arc::clone(snapshot), move |snapshot| {
        let mut outline = Outline::new(UNLIMITED);
        match describe(&snapshot.dataset, &mut outline) {
            Ok(()) => Made::Outline(outline),
            Err(_) => Made::Problem(Code::AnswerTooLarge, "the shipments are too large".to_owned()),
        }
    })
}

/// 404, or 421 where another shard may have the shipment. Only lookups that find nothing pay for the check.
#[cold]
fn missing(snapshot: &Snapshot, number: &FoldedKey, spelled: &str, detail: impl FnOnce() -> String) -> Response {
    match snapshot.summary.shard.map(|shard| shard.check(number, spelled)) {
        Some(Err(error)) => misdirected::wrong_shard(&error),
        _ => problem::response(Code::ShipmentNotFound, &detail()),
    }
}
