//! The pages that people look at, and what search engines may list of them: the tracking page alone, without the numbers
//! that somebody has looked up.

use std::sync::LazyLock;

use hyper::HeaderMap;

use crate::http::app::App;
use crate::http::request::language::Language;
use crate::http::response::Response;
use crate::http::response::document::{Document, NO_INDEX, TEXT};

/// The parameter of the tracking page that has a number.
const NUMBER: &str = "n";

/// The Robots Exclusion Protocol (RFC 9309): the path `/` and nothing below it.
static ROBOTS: LazyLock<Document> = LazyLock::new(|| Document::new("User-agent: *\nAllow: /$\nDisallow: /\n", [TEXT]));

/// `GET /`
pub(crate) fn track(app: &App, headers: &HeaderMap, query: Option<&str>) -> Response {
    let mut response = app.pages.load().track.in_language(Language::of_request(headers, query)).response(headers);
    let mut names = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).map(|(name, _)| name);
    if names.any(|name| name == NUMBER) {
        response.headers_mut().extend([NO_INDEX]);
    }
    response
}

/// `GET /later.js`
pub(crate) fn later(app: &App, headers: &HeaderMap) -> Response {
    app.pages.load().later.response(headers)
}

/// `GET /browse`
pub(crate) fn browse(app: &App, headers: &HeaderMap, query: Option<&str>) -> Response {
    app.pages.load().browse.in_language(Language::of_request(headers, query)).response(headers)
}

/// `GET /robots.txt`
pub(crate) fn robots(headers: &HeaderMap) -> Response {
    ROBOTS.response(headers)
}
