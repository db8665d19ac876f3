//! Lookups by path.

use std::rc::Rc;
use std::sync::Arc;

use hyper::HeaderMap;
use smallvec::SmallVec;

use crate::dataset::{Dataset, Outline, OutlineLimits, OverLimits, Position, Record, View};
use crate::http::handlers::misdirected;
use crate::http::request::forwarded::Peer;
use crate::http::request::route::{Route, RouteId};
use crate::http::response::Response;
use crate::http::response::dataset::Variant;
use crate::http::response::problem::{self, Code};
use crate::http::response::reply::Reply;
use crate::http::worker::{Made, WHOLE_BYTES_MAX, Worker};
use crate::shipment::FoldedKey;
use crate::store::Snapshot;

/// Shipments of one number that are gathered without an allocation: more carriers than use one.
const SHIPMENTS_INLINE: usize = 4;
/// Shipments and articles of a response that is made at once; others are offloaded.
pub(crate) const SHORT_SHIPMENTS_MAX: usize = 100;
pub(crate) const SHORT_ARTICLES_MAX: u32 = 1000;
/// A lookup has no limit of its own: what it finds is made in parts.
pub(crate) const UNLIMITED: OutlineLimits =
    OutlineLimits { bytes_max: u64::MAX, shipment_bytes_max: u64::MAX, articles_max: u64::MAX };

/// What is behind the shipments of one number.
const AFTER_RESULTS: &[u8] = b"]}";

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
    render_head(records.len(), buffer);
    Record::render_all(records.iter().copied(), buffer);
    buffer.extend_from_slice(AFTER_RESULTS);
    Lookup::Found(buffer)
}

/// What is before the shipments of one number.
fn render_head(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"count\":");
    out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    out.extend_from_slice(b",\"results\":[");
}

/// `GET /v1/shipments/{carrier}/{tracking_number}` and `GET /v1/shipments/{tracking_number}`
#[inline]
pub(crate) fn lookup(
    worker: &Rc<Worker>,
    peer: Peer,
    headers: &HeaderMap,
    route: &Route<'_>,
    version: Option<&str>,
) -> Reply {
    worker.reply_from(version, |snapshot| {
        let number = FoldedKey::new(&route.tracking_number);
        let response = short(worker, headers, route, &number, snapshot);
        response.map_or_else(|| large(worker, peer, headers, route, number, snapshot), Reply::now)
    })
}

/// The response from `snapshot`; none where it takes long.
#[inline]
fn short(
    worker: &Worker,
    headers: &HeaderMap,
    route: &Route<'_>,
    number: &FoldedKey,
    snapshot: &Snapshot,
) -> Option<Response> {
    let fields = worker.dataset_fields(snapshot);
    let mut scratch = worker.scratch();
    match look_up(snapshot, route, number, || fields.are_known(headers), &mut scratch, WHOLE_BYTES_MAX) {
        Lookup::Found(body) => Some(worker.ok(&fields, body)),
        Lookup::NotModified => Some(fields.not_modified()),
        Lookup::Missing => Some(missing(snapshot, route, number)),
        Lookup::Long => None,
    }
}

/// The response from `snapshot`, which has what `route` names, off the worker.
#[cold]
fn large(
    worker: &Rc<Worker>,
    peer: Peer,
    headers: &HeaderMap,
    route: &Route<'_>,
    number: FoldedKey,
    snapshot: &Arc<Snapshot>,
) -> Reply {
    let client = worker.client(peer, headers);
    let carrier = (route.id == RouteId::Shipment).then(|| FoldedKey::new(&route.carrier));
    worker.offload(client, Arc::clone(snapshot), move |snapshot| {
        let positions: Vec<Position> = positions(&snapshot.dataset, &number, carrier.as_ref()).collect();
        let outline = outline(&snapshot.dataset, &positions, carrier.is_none(), |_| View::Full, UNLIMITED);
        made(outline, Variant::Ordinary)
    })
}

/// The positions of what a lookup names, in file order.
pub(crate) fn positions<'a>(
    dataset: &'a Dataset,
    number: &'a FoldedKey,
    carrier: Option<&FoldedKey>,
) -> impl Iterator<Item = Position> + 'a {
    let one = carrier.map(|carrier| dataset.shipment_position(number, carrier));
    let all = one.is_none().then(|| dataset.positions_with_number(number));
    one.flatten().into_iter().chain(all.into_iter().flatten())
}

/// Outlines the response with the shipments at `positions`, of which the caller sees what `view_of` says by their place there.
pub(crate) fn outline(
    dataset: &Dataset,
    positions: &[Position],
    is_list: bool,
    view_of: impl Fn(usize) -> View,
    limits: OutlineLimits,
) -> Result<Outline, OverLimits> {
    let mut outline = Outline::new(limits);
    if is_list {
        outline.text_with(|out| render_head(positions.len(), out));
    }
    for (at, position) in positions.iter().enumerate() {
        dataset.outline_view(&mut outline, *position, view_of(at))?;
    }
    if is_list {
        outline.text(AFTER_RESULTS);
    }
    outline.check()?;
    Ok(outline)
}

/// What is made of an outline without limits.
pub(crate) fn made(outline: Result<Outline, OverLimits>, variant: Variant) -> Made {
    match outline {
        Ok(outline) => Made::Outline(outline, variant),
        Err(_) => Made::Problem(Code::AnswerTooLarge, "the shipments are too large".to_owned()),
    }
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
