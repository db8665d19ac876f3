//! Lookups by path.

use bytes::Bytes;
use hyper::HeaderMap;
use smallvec::SmallVec;

use crate::dataset::Record;
use crate::http::handlers::misdirected;
use crate::http::response::Response;
use crate::http::response::problem::{self, Code};
use crate::http::worker::Worker;
use crate::shipment::FoldedKey;
use crate::store::Snapshot;

/// Shipments of one number that are gathered without an allocation: more carriers than use one.
const SHIPMENTS_INLINE: usize = 4;

/// `GET /v1/shipments/{carrier}/{tracking_number}`
#[inline]
pub(crate) fn one(worker: &Worker, headers: &HeaderMap, carrier: &str, tracking_number: &str) -> Response {
    let folded = (FoldedKey::new(tracking_number), FoldedKey::new(carrier));
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_deref() else { return problem::loading() };
    let Some(record) = snapshot.dataset.shipment(&folded.0, &folded.1) else {
        let detail = || format!("no shipment {tracking_number} with carrier {carrier}");
        return missing(snapshot, &folded.0, tracking_number, detail);
    };
    let fields = worker.dataset_fields(snapshot);
    if fields.are_known(headers) {
        return fields.not_modified();
    }
    fields.ok(Bytes::copy_from_slice(record.render_over(&mut worker.scratch())))
}

/// `GET /v1/shipments/{tracking_number}`
pub(crate) fn all(worker: &Worker, headers: &HeaderMap, tracking_number: &str) -> Response {
    let number = FoldedKey::new(tracking_number);
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_deref() else { return problem::loading() };
    let records: SmallVec<[Record<'_>; SHIPMENTS_INLINE]> = snapshot.dataset.shipments_with_number(&number).collect();
    if records.is_empty() {
        return missing(snapshot, &number, tracking_number, || format!("no shipment {tracking_number}"));
    }
    worker.dataset_response(snapshot, headers, |out| {
        out.extend_from_slice(b"{\"count\":");
        out.extend_from_slice(itoa::Buffer::new().format(records.len()).as_bytes());
        out.extend_from_slice(b",\"results\":[");
        Record::render_all(records.iter().copied(), out);
        out.extend_from_slice(b"]}");
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
