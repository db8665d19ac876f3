//! The pages that people look at.

use hyper::HeaderMap;

use crate::http::app::App;
use crate::http::response::Response;

/// `GET /`
pub(crate) fn track(app: &App, headers: &HeaderMap) -> Response {
    app.pages.track.response(headers)
}

/// `GET /browse`
pub(crate) fn browse(app: &App, headers: &HeaderMap) -> Response {
    app.pages.browse.response(headers)
}
