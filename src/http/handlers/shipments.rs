//! Lookups by path.

use std::rc::Rc;
use std::sync::Arc;

use hyper::HeaderMap;
use smallvec::SmallVec;

use crate::dataset::{Dataset, Outline, OutlineLimits, OverLimits, Position, Record};
use crate::http::handlers::misdirected;
use crate::http::request::forwarded::Peer;
use crate::http::request::route::{Route, RouteId};
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

/// What a lookup by path comes to.
pub(crate) enum Lookup<'b> {
    /// The body of its response.
    Found(&'b [u8]),
    /// The client has what it would get.
    NotModified,
    /// No shipment: [`missing`] is the response.
    Missing,
    /// A response that is not made at once.
    Long,
}

/// Finds what `route` names, whose folded tracking number is `number`, and renders it over `buffer`, unless it has more
/// than `bytes_max` bytes or `is_known` says that the client has it.
#[inline]
pub(crate) fn look_up<'b>(
    snapshot: &Snapshot,
    route: &Route<'_>,
    number: &FoldedKey,
    is_known: impl Fn() -> bool,
    buffer: &'b mut Vec<u8>,
    bytes_max: usize,
) -> Lookup<'b> {
    match route.id {
        RouteId::Shipment => look_up_one(snapshot, route, number, is_known, buffer, bytes_max),
        _ => look_up_all(snapshot, number, is_known, buffer, bytes_max),
    }
}

#[inline]
fn look_up_one<'b>(
    snapshot: &Snapshot,
    route: &Route<'_>,
    number: &FoldedKey,
    is_known: impl Fn() -> bool,
    buffer: &'b mut Vec<u8>,
    bytes_max: usize,
) -> Lookup<'b> {
    let Some(record) = snapshot.dataset.shipment_spelled(number, &route.carrier) else { return Lookup::Missing };
    if is_known() {
        return Lookup::NotModified;
    }
    record.render_over(buffer, SHORT_ARTICLES_MAX, bytes_max).map_or(Lookup::Long, Lookup::Found)
}

fn look_up_all<'b>(
    snapshot: &Snapshot,
    number: &FoldedKey,
    is_known: impl Fn() -> bool,
    buffer: &'b mut Vec<u8>,
    bytes_max: usize,
) -> Lookup<'b> {
    let records: SmallVec<[Record<'_>; SHIPMENTS_INLINE]> =
        snapshot.dataset.shipments_with_number(number).take(SHORT_SHIPMENTS_MAX + 1).collect();
    if records.is_empty() {
        return Lookup::Missing;
    }
    if is_known() {
        return Lookup::NotModified;
    }
    let articles: u64 = records.iter().map(|record| u64::from(record.article_count())).sum();
    let is_short = records.len() <= SHORT_SHIPMENTS_MAX
        && articles <= u64::from(SHORT_ARTICLES_MAX)
        && records.iter().map(Record::rendered_bytes).sum::<usize>() <= bytes_max;
    if !is_short {
        return Lookup::Long;
    }
    buffer.clear();
    buffer.extend_from_slice(b"{\"count\":");
    buffer.extend_from_slice(itoa::Buffer::new().format(records.len()).as_bytes());
    buffer.extend_from_slice(b",\"results\":[");
    Record::render_all(records.iter().copied(), buffer);
    buffer.extend_from_slice(b"]}");
    Lookup::Found(buffer)
}

/// `GET /v1/shipments/{carrier}/{tracking_number}`. Where that takes long it sets `takes_long` instead, and the response is
/// to be made by [`large_one`]. (An optional response would be copied twice more: +60 instructions.)
#[inline]
pub(crate) fn one(worker: &Worker, headers: &HeaderMap, route: &Route<'_>, takes_long: &mut bool) -> Response {
    let number = FoldedKey::new(&route.tracking_number);
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_deref() else { return problem::loading() };
    let fields = worker.dataset_fields(snapshot);
    let mut scratch = worker.scratch();
    match look_up_one(snapshot, route, &number, || fields.are_known(headers), &mut scratch, WHOLE_BYTES_MAX) {
        Lookup::Found(body) => worker.ok(&fields, body),
        Lookup::NotModified => fields.not_modified(),
        Lookup::Missing => missing(snapshot, route, &number),
        Lookup::Long => {
            *takes_long = true;
            fields.not_modified()
        }
    }
}

/// The same, where the response takes long.
#[cold]
pub(crate) fn large_one(worker: &Rc<Worker>, peer: Peer, headers: &HeaderMap, route: &Route<'_>) -> Reply {
    let (number, carrier) = (FoldedKey::new(&route.tracking_number), FoldedKey::new(&route.carrier));
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_ref() else { return Reply::now(problem::loading()) };
    // Another dataset may be served now, which has no such shipment.
    if snapshot.dataset.shipment(&number, &carrier).is_none() {
        return Reply::now(missing(snapshot, route, &number));
    }
    large(worker, peer, headers, snapshot, move |dataset, outline| {
        let position = dataset.shipment_position(&number, &carrier);
        position.map_or(Ok(()), |position| dataset.outline(outline, position))
    })
}

/// `GET /v1/shipments/{tracking_number}`
pub(crate) fn all(worker: &Rc<Worker>, peer: Peer, headers: &HeaderMap, route: &Route<'_>) -> Reply {
    let number = FoldedKey::new(&route.tracking_number);
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_ref() else { return Reply::now(problem::loading()) };
    let fields = worker.dataset_fields(snapshot);
    let mut scratch = worker.scratch();
    match look_up_all(snapshot, &number, || fields.are_known(headers), &mut scratch, WHOLE_BYTES_MAX) {
        Lookup::Found(body) => Reply::now(worker.ok(&fields, body)),
        Lookup::NotModified => Reply::now(fields.not_modified()),
        Lookup::Missing => Reply::now(missing(snapshot, route, &number)),
        Lookup::Long => large(worker, peer, headers, snapshot, move |dataset, outline| {
            let positions: Vec<Position> = dataset.positions_with_number(&number).collect();
            outline.text(b"{\"count\":");
            outline.text(itoa::Buffer::new().format(positions.len()).as_bytes());
            outline.text(b",\"results\":[");
            for position in positions {
                dataset.outline(outline, position)?;
            }
            outline.text(b"]}");
            Ok(())
        }),
    }
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
pub(crate) fn missing(snapshot: &Snapshot, route: &Route<'_>, number: &FoldedKey) -> Response {
    let spelled = &*route.tracking_number;
    if let Some(Err(error)) = snapshot.summary.shard.map(|shard| shard.check(number, spelled)) {
        return misdirected::wrong_shard(&error);
    }
    let detail = match route.id {
        RouteId::Shipment => format!("no shipment {spelled} with carrier {}", route.carrier),
        _ => format!("no shipment {spelled}"),
    };
    problem::response(Code::ShipmentNotFound, &detail)
}
