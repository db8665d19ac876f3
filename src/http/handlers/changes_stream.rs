//! Changes as they are published: `GET /v1/changes/stream?…`

use std::rc::Rc;

use hyper::header::HeaderName;
use hyper::{HeaderMap, Method};

use crate::changes::ChangeFilter;
use crate::http::access::keys::ShownKey;
use crate::http::handlers::changes::{SINCE, no_version, take_filter};
use crate::http::request::query::{self, Invalid};
use crate::http::response::body::Body;
use crate::http::response::{Response, event_stream, problem};
use crate::http::streams::blocks::Selection;
use crate::http::streams::stream::{Stream, Wanted};
use crate::http::worker::Worker;

const ALLOWED: [&str; 4] = [SINCE, "carrier", "status", "kind"];
/// What a client that connects again had last (HTML Standard, section 9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// `GET /v1/changes/stream?…`
pub(crate) fn stream(worker: &Rc<Worker>, method: &Method, headers: &HeaderMap, query: Option<&str>) -> Response {
    let (mut since, selection) = match stream_request(query) {
        Ok(request) => request,
        Err(invalid) => return invalid.response(),
    };
    let app = &worker.app;
    let Some((snapshot, log)) = app.store.with_changes() else { return problem::loading() };
    if *method == Method::HEAD {
        return event_stream(Body::empty());
    }
    if let Some(last) = headers.get(LAST_EVENT_ID).filter(|last| !last.is_empty()) {
        since = Some(String::from_utf8_lossy(last.as_bytes()).into_owned());
    }
    let Some(place) = app.stream_places.take() else {
        return problem::overloaded("too many streams of changes are open");
    };
    let key = app.secrets.api_keys.as_ref().and_then(|_| ShownKey::of(headers));
    let wanted = Wanted { since, selection, key };
    let (stream, first, has_missed) = Stream::begin(app, &worker.streams, place, wanted, (&snapshot, &log));
    worker.counters.streams_reset.add(u64::from(has_missed));
    event_stream(Body::of_unknown_length(first, Box::new(stream)))
}

/// The version to begin with, if it is named, and the filters.
fn stream_request(query: Option<&str>) -> Result<(Option<String>, Selection), Invalid> {
    let (mut since, mut filter, mut text) = (None, ChangeFilter::default(), String::new());
    for (name, value) in query::pairs(query)? {
        if name != SINCE {
            take_filter(&mut filter, &name, &value, &ALLOWED)?;
            query::append(&mut text, &name, &value);
        } else if value.is_empty() {
            return Err(no_version());
        } else if since.replace(value.into_owned()).is_some() {
            return Err(query::given_twice(SINCE));
        }
    }
    Ok((since, Selection { filter: Rc::new(filter), text: text.into() }))
}
