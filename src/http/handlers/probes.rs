//! `GET /livez` and `/readyz`: whether the process runs, and whether it has something to serve.

use std::sync::atomic::Ordering;

use crate::http::app::App;
use crate::http::response::Response;
use crate::http::response::document;
use crate::http::response::problem;

/// `GET /livez`
pub(crate) fn live() -> Response {
    document::json(&serde_json::json!({"status": "live"}))
}

/// `GET /readyz`
pub(crate) fn ready(app: &App) -> Response {
    if app.draining.load(Ordering::Relaxed) {
        problem::unavailable("the server is shutting down")
    } else if app.store.load().is_none() || !app.listening.load(Ordering::Relaxed) {
        problem::loading()
    } else {
        document::json(&serde_json::json!({"status": "ready"}))
    }
}
