//! Counts by facet: `GET /v1/facets?…`

use std::rc::Rc;
use std::sync::Arc;

use hyper::HeaderMap;

use crate::dataset::Selection;
use crate::http::handlers::misdirected;
use crate::http::request::forwarded::Peer;
use crate::http::request::query;
use crate::http::response::problem;
use crate::http::response::reply::Reply;
use crate::http::worker::{Made, Worker};
use crate::shipment::Facet;

/// `GET /v1/facets?…`
pub(crate) fn facets(worker: &Rc<Worker>, peer: Peer, headers: &HeaderMap, query: Option<&str>) -> Reply {
    let filter = query::pairs(query).and_then(|pairs| query::strict_filter(&pairs, &[], |_, _| Ok(false)));
    let filter = match filter {
        Ok(filter) => filter,
        Err(invalid) => return Reply::now(invalid.response()),
    };
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_ref() else { return Reply::now(problem::loading()) };
    if let Some(refusal) = misdirected::refuse(snapshot, &filter, query) {
        return Reply::now(refusal);
    }
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
        Made::Body(out)
    })
}

fn render_facets(selection: &Selection<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{\"count\":{},\"facets\":{{", selection.count()).as_bytes());
    for (at, (facet, counts)) in Facet::ALL.iter().zip(selection.facets()).enumerate() {
        let comma = if at > 0 { "," } else { "" };
        out.extend_from_slice(format!("{comma}\"{}\":", facet.name()).as_bytes());
        // Writing to memory cannot fail, and there is no map whose keys could.
        let _ = serde_json::to_writer(&mut *out, counts.as_ref());
    }
    out.extend_from_slice(b"}}");
}
