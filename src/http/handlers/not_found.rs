//! Paths at which nothing is: a problem for programs, a page for people.

use hyper::header::ACCEPT;
use hyper::{HeaderMap, Method, StatusCode};

use crate::http::app::App;
use crate::http::request::accept::Weights;
use crate::http::request::language::Language;
use crate::http::request::route::Listener;
use crate::http::response::Response;
use crate::http::response::problem::{self, Code};

/// 404. Where pages are served, it says where the API is described, and a browser gets a page.
pub(crate) fn not_found(app: &App, listener: Listener, method: &Method, headers: &HeaderMap) -> Response {
    if listener == Listener::Admin || !app.offered.pages {
        return problem::response(Code::RouteNotFound, "nothing is at this path");
    }
    if matches!(*method, Method::GET | Method::HEAD) && is_browser(headers) {
        return app
            .pages
            .load()
            .not_found
            .in_language(Language::of_request(headers, None))
            .error(StatusCode::NOT_FOUND);
    }
    problem::response(Code::RouteNotFound, "nothing is at this path; /docs describes the API")
}

/// True for a client that names HTML among what it accepts, and JSON not: `*/*` alone is what programs send (RFC 9110,
/// section 12.5.1).
fn is_browser(headers: &HeaderMap) -> bool {
    let weights = Weights::of(headers, &ACCEPT);
    let names = |media_type| weights.named(media_type).is_some_and(|weight| weight > 0.0);
    names("text/html") && !names("application/json") && !names("application/problem+json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn a_browser_names_html_and_no_json() {
        let is = |accept: &'static str| is_browser(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]));
        for accept in
            ["text/html", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "*/*, TEXT/HTML;q=0.1"]
        {
            assert!(is(accept), "{accept}");
        }
        for accept in
            ["", "*/*", "text/*", "text/html;q=0", "text/html; Q=0.0", "application/json, text/html", "text/html5"]
        {
            assert!(!is(accept), "{accept}");
        }
        assert!(!is_browser(&HeaderMap::new()));
    }
}
