//! Counts by facet: `GET /v1/facets?…`

use std::rc::Rc;
use std::sync::Arc;

use hyper::HeaderMap;

use crate::dataset::{Filter, Selection};
use crate::http::handlers::misdirected;
use crate::http::request::forwarded::Peer;
use crate::http::request::query::{self, VERSION};
use crate::http::response::dataset::Variant;
use crate::http::response::reply::Reply;
use crate::http::worker::{Made, Worker};
use crate::shipment::Facet;
use crate::store::Snapshot;

/// `GET /v1/facets?…`
pub(crate) fn facets(worker: &Rc<Worker>, peer: Peer, headers: &HeaderMap, query: Option<&str>) -> Reply {
    let mut version = None;
    let filter = query::pairs(query).and_then(|pairs| {
        query::strict_filter(worker.app.with_stages, &pairs, &[VERSION], |name, value| {
            let is_version = name == VERSION;
            if is_version { query::take_version(&mut version, value).map(|()| true) } else { Ok(false) }
        })
    });
    match filter {
        Ok(filter) => worker.reply_from(version.as_deref(), |snapshot| {
            misdirected::refuse(snapshot, &filter, query)
                .map_or_else(|| counts(worker, peer, headers, snapshot, filter), Reply::now)
        }),
        Err(invalid) => Reply::now(invalid.response()),
    }
}

fn counts(worker: &Rc<Worker>, peer: Peer, headers: &HeaderMap, snapshot: &Arc<Snapshot>, filter: Filter) -> Reply {
    if filter.value_count() == 0 {
        // They are ready since the load.
        let selection = snapshot.dataset.select(&filter);
        return Reply::now(worker.dataset_response(snapshot, headers, |out| render_facets(&selection, out)));
    }
    let fields = worker.dataset_fields(snapshot);
    if fields.are_known(headers) {
        return Reply::now(fields.not_modified());
    }
    let client = worker.client(peer, headers);
    worker.offload(client, Arc::clone(snapshot), move |snapshot| {
        let mut out = Vec::new();
        render_facets(&snapshot.dataset.select(&filter), &mut out);
        Made::Body(out, Variant::Ordinary)
    })
}

fn render_facets(selection: &Selection<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{\"count\":{},\"facets\":{{", selection.count()).as_bytes());
    let counted = Facet::ALL.into_iter().zip(selection.facets());
    let counted = counted.filter(|(facet, _)| *facet != Facet::Stage || selection.has_stages());
    for (at, (facet, counts)) in counted.enumerate() {
        let comma = if at > 0 { "," } else { "" };
        out.extend_from_slice(format!("{comma}\"{}\":", facet.name()).as_bytes());
        // Writing to memory cannot fail, and there is no map whose keys could.
        let _ = serde_json::to_writer(&mut *out, counts.as_ref());
    }
    out.extend_from_slice(b"}}");
}
