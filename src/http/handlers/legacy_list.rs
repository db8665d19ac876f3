//! The list of the Django REST Framework service that this replaces. Its `LimitOffsetPagination` takes anything for a
//! page, and so does this: what cannot be used is as if it were not there.

use std::rc::Rc;

use hyper::header::HeaderValue;
use hyper::{HeaderMap, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::dataset::{Filter, Sort};
use crate::http::handlers::page_links::{self, Links};
use crate::http::handlers::search::{self, LIMIT_DEFAULT, LIMIT_MAX, PageRequest};
use crate::http::request::forwarded::Peer;
use crate::http::request::query::{self, LIMIT, OFFSET, Pair};
use crate::http::response::reply::Reply;
use crate::http::response::{self, Response};
use crate::http::worker::Worker;

const PATH: &str = "/shipment/list/";
/// The parameters that the list is filtered by.
const FILTERS: [&str; 2] = ["tracking_number", "carrier"];
/// The bytes that are escaped in a query that is kept: all but those that a URL may have there (RFC 3986, section 3.4)
/// and the escapes that it has already.
const ESCAPED_IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/')
    .remove(b'?')
    .remove(b'%');

/// `GET /shipment/list/?…`
pub(crate) fn page(worker: &Rc<Worker>, peer: Peer, uri: &Uri, headers: &HeaderMap) -> Reply {
    match query::pairs(uri.query()) {
        Ok(pairs) => {
            let base = page_links::base(&worker.app, peer, uri, headers, PATH);
            search::page(worker, peer, uri, headers, page_request(pairs, base))
        }
        Err(invalid) => Reply::now(invalid.response()),
    }
}

fn page_request(mut pairs: Vec<Pair<'_>>, base: String) -> PageRequest {
    let last = |name: &str| pairs.iter().rev().find(|(other, _)| other == name).map_or("", |(_, value)| value.trim());
    let mut filter = Filter::default();
    for name in FILTERS {
        if !last(name).is_empty() {
            query::add_filter(&mut filter, name, last(name));
        }
    }
    let limit = integer(last(LIMIT)).filter(|limit| *limit > 0);
    let limit = limit.map_or(LIMIT_DEFAULT, |limit| limit.min(LIMIT_MAX as u64) as usize);
    let offset = integer(last(OFFSET)).unwrap_or(0);

    pairs.retain(|(name, _)| name != LIMIT && name != OFFSET);
    pairs.push((LIMIT.into(), limit.to_string().into()));
    // Parameters of one name keep their order.
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut around_offset = [String::new(), String::new()];
    for (name, value) in &pairs {
        query::append(&mut around_offset[usize::from(name.as_ref() > OFFSET)], name, value);
    }
    PageRequest { version: None, filter, sort: Sort::File, limit, offset, links: Links { base, around_offset } }
}

/// A whole number that is not negative, with or without a sign.
fn integer(text: &str) -> Option<u64> {
    match text.strip_prefix('-') {
        Some(negative) => query::digits(negative).filter(|number| *number == 0),
        None => query::digits(text.strip_prefix('+').unwrap_or(text)),
    }
}

/// `GET /shipment/list`
pub(crate) fn redirect(query: Option<&str>) -> Response {
    if let Err(invalid) = query::pairs(query) {
        return invalid.response();
    }
    let location =
        query.map_or(PATH.to_owned(), |query| format!("{PATH}?{}", utf8_percent_encode(query, ESCAPED_IN_QUERY)));
    // Percent-encoded text is fit for a header field.
    response::moved(HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static(PATH)))
}
