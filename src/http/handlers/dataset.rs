//! The state of the dataset, for clients and for operators.

use std::rc::Rc;
use std::sync::Arc;

use hyper::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;

use crate::changes::ChangeLog;
use crate::http::app::App;
use crate::http::request::forwarded::Peer;
use crate::http::response::Response;
use crate::http::response::dataset::Variant;
use crate::http::response::document;
use crate::http::response::problem;
use crate::http::response::reply::Reply;
use crate::http::worker::{Made, Worker};
use crate::reload::LastReload;
use crate::store::Snapshot;

/// Carriers that are listed at once; more are offloaded.
const SHORT_CARRIERS_MAX: usize = 1000;

#[derive(Serialize)]
struct DatasetBody<'a> {
    version: &'a str,
    loaded_at: String,
    modified_at: Option<String>,
    shipments: u64,
    articles: u64,
    carriers: &'a [String],
    /// There with `--changes` only.
    #[serde(flatten)]
    changes: Option<ChangesBody<'a>>,
}

#[derive(Serialize)]
struct ChangesBody<'a> {
    previous_version: Option<&'a str>,
}

/// `GET /v1/dataset`
pub(crate) fn dataset(worker: &Rc<Worker>, peer: Peer, headers: &HeaderMap) -> Reply {
    let store = &worker.app.store;
    let with_changes = store.with_changes().map(|(snapshot, log)| (snapshot, Some(log)));
    let current = with_changes.or_else(|| store.load().clone().map(|snapshot| (snapshot, None)));
    let Some((snapshot, log)) = current else { return Reply::now(problem::loading()) };
    if snapshot.dataset.carriers().len() <= SHORT_CARRIERS_MAX {
        let response = worker.dataset_response(&snapshot, headers, |out| render(&snapshot, log.as_deref(), out));
        return Reply::now(response);
    }
    let fields = worker.dataset_fields(&snapshot);
    if fields.are_known(headers) {
        return Reply::now(fields.not_modified());
    }
    let client = worker.client(peer, headers);
    worker.offload(client, Arc::clone(&snapshot), move |snapshot| {
        let mut out = Vec::new();
        render(snapshot, log.as_deref(), &mut out);
        Made::Body(out, Variant::Ordinary)
    })
}

fn render(snapshot: &Snapshot, log: Option<&ChangeLog>, out: &mut Vec<u8>) {
    let body = DatasetBody {
        version: &snapshot.summary.version,
        loaded_at: rfc3339(snapshot.loaded_at),
        modified_at: snapshot.modified_at().map(rfc3339),
        shipments: snapshot.dataset.shipment_count(),
        articles: snapshot.dataset.article_count(),
        carriers: snapshot.dataset.carriers(),
        changes: log.map(|log| ChangesBody { previous_version: log.previous_version() }),
    };
    // Writing to memory cannot fail, and the body has no map whose keys could.
    let _ = serde_json::to_writer(out, &body);
}

#[derive(Serialize)]
struct AdminDatasetBody<'a> {
    generation: u64,
    version: &'a str,
    source: String,
    loaded_at: String,
    modified_at: Option<String>,
    stale: bool,
    rows: u64,
    shipments: u64,
    articles: u64,
    bytes: u64,
    load_seconds: f64,
    bad_rows: u64,
    last_reload: Option<LastReloadBody>,
}

#[derive(Serialize)]
struct LastReloadBody {
    at: String,
    result: &'static str,
    error: Option<String>,
}

impl From<LastReload> for LastReloadBody {
    fn from(last: LastReload) -> LastReloadBody {
        let (result, error) = match last.outcome.as_ref() {
            Ok(report) => (report.result(), None),
            Err(error) => ("failed", Some(error.to_string())),
        };
        LastReloadBody { at: rfc3339(last.at), result, error }
    }
}

/// `GET /-/dataset`
pub(crate) fn admin_dataset(app: &App) -> Response {
    let current = app.store.load();
    let Some(snapshot) = current.as_deref() else { return problem::loading() };
    let summary = &snapshot.summary;
    document::json(&AdminDatasetBody {
        generation: snapshot.generation,
        version: &summary.version,
        source: snapshot.source.to_string_lossy().into_owned(),
        loaded_at: rfc3339(snapshot.loaded_at),
        modified_at: snapshot.modified_at().map(rfc3339),
        stale: app.is_stale(snapshot),
        rows: summary.rows,
        shipments: snapshot.dataset.shipment_count(),
        articles: snapshot.dataset.article_count(),
        bytes: snapshot.dataset.bytes(),
        load_seconds: summary.seconds,
        bad_rows: summary.bad_rows,
        last_reload: app.reloader.history().last.map(LastReloadBody::from),
    })
}

fn rfc3339(timestamp: Timestamp) -> String {
    format!("{timestamp:.3}")
}
