//! Reloads, their cancelling, and rollbacks on the admin listener.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};
use serde::Serialize;

use crate::http::app::App;
use crate::http::request::query;
use crate::http::response::Response;
use crate::http::response::document;
use crate::http::response::problem::{self, Code};
use crate::http::response::reply::Reply;
use crate::load::LoadErrorCode;
use crate::reload::{Outcome, ReloadError, Report, Request};

/// `POST /-/reload`
pub(crate) fn reload(app: &Arc<App>, headers: &HeaderMap, query: Option<&str>) -> Reply {
    if let Some(refusal) = refuse(app, headers) {
        return Reply::now(refusal);
    }
    let request = match parse_options(query.unwrap_or_default()) {
        Ok(request) => request,
        Err(detail) => return Reply::now(problem::response(Code::InvalidParameter, &detail)),
    };
    if !request.dry_run {
        app.reopen_files();
    }
    let app = Arc::clone(app);
    Reply::later(async move {
        let outcome = app.reloader.reload(request).await;
        let not_read = if request.dry_run {
            NotRead::default()
        } else {
            NotRead { secrets: app.secrets.unread(), brand: app.pages.is_unread() }
        };
        outcome_response(&outcome, not_read)
    })
}

/// `DELETE /-/reload`
pub(crate) fn cancel(app: &App, headers: &HeaderMap, query: Option<&str>) -> Response {
    if let Some(refusal) = refuse(app, headers) {
        return refusal;
    }
    if query.is_some_and(|query| !query.is_empty()) {
        return problem::response(Code::InvalidParameter, "cancelling a reload takes no parameters");
    }
    if app.reloader.cancel() {
        document::json(&CancelBody { result: "cancelled" })
    } else {
        problem::response(Code::NoReloadRunning, "no reload is running")
    }
}

/// `POST /-/rollback`
pub(crate) fn roll_back(app: &Arc<App>, headers: &HeaderMap, query: Option<&str>) -> Reply {
    if let Some(refusal) = refuse(app, headers) {
        return Reply::now(refusal);
    }
    if query.is_some_and(|query| !query.is_empty()) {
        return Reply::now(problem::response(Code::InvalidParameter, "a rollback takes no parameters"));
    }
    let app = Arc::clone(app);
    Reply::later(async move { outcome_response(&app.reloader.roll_back().await, NotRead::default()) })
}

/// What could not be read again with the data.
#[derive(Default)]
pub(crate) struct NotRead {
    /// Kinds of secrets.
    secrets: Vec<&'static str>,
    /// True if the brand of the pages was not.
    brand: bool,
}

/// The response that tells `outcome`, and what could not be read again with it.
pub(crate) fn outcome_response(outcome: &Outcome, not_read: NotRead) -> Response {
    match outcome.as_ref() {
        Ok(report) => document::json(&ReportBody {
            secrets_not_read: not_read.secrets,
            brand_not_read: not_read.brand,
            ..ReportBody::from(report)
        }),
        Err(error) => failure(error),
    }
}

/// The refusal of a request without a valid token, or from a page of another site.
fn refuse(app: &App, headers: &HeaderMap) -> Option<Response> {
    if let Some(Err(reason)) = app.secrets.admin_tokens.as_ref().map(|tokens| tokens.check(headers)) {
        return Some(problem::unauthorized(reason));
    }
    let is_foreign = !is_same_origin(headers);
    is_foreign.then(|| problem::response(Code::ForbiddenOrigin, "the request comes from a page of another site"))
}

/// True if the request comes from no page, or from one of this very host (RFC 6454, section 7).
fn is_same_origin(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    headers.get_all(ORIGIN).iter().all(|origin| {
        let origin_host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        matches!((host, origin_host), (Some(host), Some(origin)) if host.eq_ignore_ascii_case(origin))
    })
}

fn parse_options(query: &str) -> Result<Request, String> {
    let mut request = Request::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let option = match name.as_ref() {
            "dry_run" => &mut request.dry_run,
            "force" => &mut request.force,
            unknown => return Err(format!("{unknown}: {}", query::no_such_parameter(unknown, &["dry_run", "force"]))),
        };
        *option = match value.as_ref() {
            "true" => true,
            "false" => false,
            _ => return Err(format!("{name} is true or false")),
        };
    }
    Ok(request)
}

#[derive(Serialize)]
struct CancelBody {
    result: &'static str,
}

#[derive(Serialize)]
struct ReportBody<'a> {
    result: &'static str,
    generation: u64,
    version: &'a str,
    shipments: u64,
    added: u64,
    removed: u64,
    changed: u64,
    load_seconds: f64,
    /// Kinds of secrets that could not be read again, so that those from before still hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets_not_read: Vec<&'static str>,
    /// True if the brand file could not be read again, so that the pages stay as they are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    brand_not_read: bool,
}

impl<'a> From<&'a Report> for ReportBody<'a> {
    fn from(report: &'a Report) -> ReportBody<'a> {
        let (Report::Published { generation, version, shipments, load_seconds, .. }
        | Report::Unchanged { generation, version, shipments, load_seconds }) = report;
        let changes = match report {
            Report::Published { changes, .. } => *changes,
            Report::Unchanged { .. } => crate::dataset::Changes::default(),
        };
        ReportBody {
            result: report.result(),
            generation: *generation,
            version,
            shipments: *shipments,
            added: changes.added,
            removed: changes.removed,
            changed: changes.changed,
            load_seconds: *load_seconds,
            secrets_not_read: Vec::new(),
            brand_not_read: false,
        }
    }
}

fn failure(error: &ReloadError) -> Response {
    let detail = error.to_string();
    match error {
        ReloadError::Load(error) => match error.code() {
            LoadErrorCode::DatasetRefused => problem::refused(&detail, error.errors()),
            LoadErrorCode::DatasetUnreadable => problem::response(Code::DatasetUnreadable, &detail),
        },
        ReloadError::StatusMap(_) => problem::refused(&detail, &[]),
        ReloadError::TooFewShipments { .. } => problem::response(Code::TooFewShipments, &detail),
        ReloadError::TooManyRemoved { .. } => problem::response(Code::TooManyRemoved, &detail),
        ReloadError::Cancelled(_) => problem::response(Code::ReloadCancelled, &detail),
        ReloadError::NoPrevious => problem::response(Code::NoPreviousDataset, &detail),
        ReloadError::InsufficientMemory { .. } | ReloadError::MemoryRunsOut { .. } => {
            problem::response(Code::InsufficientMemory, &detail)
        }
        ReloadError::Panicked => problem::response(Code::Internal, &detail),
        ReloadError::ShuttingDown => problem::unavailable(&detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn only_pages_of_the_same_host_may_post() {
        let with = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("127.0.0.1:8081"));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            is_same_origin(&headers)
        };
        assert!(with(None));
        assert!(with(Some("http://127.0.0.1:8081")));
        for other in ["http://evil.example", "http://127.0.0.1", "null", "http://127.0.0.1:8081.evil.example"] {
            assert!(!with(Some(other)), "{other}");
        }
    }

    #[test]
    fn reload_options_are_true_or_false() {
        assert_eq!(parse_options("dry_run=true&force=false"), Ok(Request { dry_run: true, force: false }));
        assert!(parse_options("dry_run").is_err());
        assert!(parse_options("dryrun=true").is_err());
    }
}
