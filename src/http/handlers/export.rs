//! Exports: `GET /v1/shipments.csv?…` and `GET /v1/shipments.ndjson?…`

use std::rc::Rc;
use std::sync::Arc;

use hyper::{HeaderMap, Method, Uri};

use crate::dataset::{Export, ExportFormat, Filter, Sort};
use crate::http::handlers::misdirected;
use crate::http::offload::large_body::make_part;
use crate::http::request::forwarded::Peer;
use crate::http::request::query::{self, Invalid, SORT};
use crate::http::response::body::Body;
use crate::http::response::download::download;
use crate::http::response::problem;
use crate::http::response::reply::Reply;
use crate::http::worker::{Made, Worker};

/// `GET /v1/shipments.csv?…` and `GET /v1/shipments.ndjson?…`
pub(crate) fn export(
    worker: &Rc<Worker>,
    peer: Peer,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    format: ExportFormat,
) -> Reply {
    let (filter, sort) = match export_request(worker.app.with_stages, uri.query()) {
        Ok(request) => request,
        Err(invalid) => return Reply::now(invalid.response()),
    };
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_ref() else { return Reply::now(problem::loading()) };
    if let Some(refusal) = misdirected::refuse(snapshot, &filter, uri.query()) {
        return Reply::now(refusal);
    }
    let fields = worker.dataset_fields(snapshot);
    if fields.are_known(headers) {
        return Reply::now(fields.not_modified());
    }
    if method == Method::HEAD {
        // Its length is not known before it is rendered.
        return Reply::now(download(&fields, &snapshot.summary.version, format, Body::empty()));
    }
    let client = worker.client(peer, headers);
    worker.offload(client, Arc::clone(snapshot), move |snapshot| {
        let mut export = Export::new(filter, sort, format);
        let first = make_part(&mut export, &snapshot.dataset);
        Made::Export(Box::new(export), first)
    })
}

fn export_request(with_stages: bool, query: Option<&str>) -> Result<(Filter, Sort), Invalid> {
    let mut sort = None;
    let filter = query::strict_filter(with_stages, &query::pairs(query)?, &[SORT], |name, value| match name {
        SORT if sort.replace(query::sort(value)?).is_some() => Err(query::given_twice(name)),
        _ => Ok(name == SORT),
    })?;
    Ok((filter, sort.unwrap_or_default()))
}
