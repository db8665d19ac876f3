//! `GET /livez` and `/readyz`: whether the process runs, and whether it has something to serve.

use std::sync::atomic::Ordering;

use super::app::App;
use super::response::{self, Response};

/// `GET /livez`
pub(super) fn live() -> Response {
    response::json(&serde_json::json!({"status": "live"}))
}

/// `GET /readyz`
pub(super) fn ready(app: &App) -> Response {
    if app.draining.load(Ordering::Relaxed) {
        response::unavailable("the server is shutting down")
    } else if app.store.load().is_none() {
        response::loading()
    } else {
        response::json(&serde_json::json!({"status": "ready"}))
    }
}
