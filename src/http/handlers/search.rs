//! Pages of shipments: `GET /v1/shipments?…`

use std::rc::Rc;
use std::sync::Arc;

use hyper::{HeaderMap, Uri};

use crate::dataset::{Dataset, Filter, Record};
use crate::http::handlers::misdirected;
use crate::http::handlers::page_links::{self, Links};
use crate::http::request::forwarded::Peer;
use crate::http::request::query::{self, Invalid, LIMIT, OFFSET};
use crate::http::response::Response;
use crate::http::response::problem::{self, Code};
use crate::http::response::reply::Reply;
use crate::http::worker::Worker;

const PATH: &str = "/v1/shipments";
/// Shipments of a page where the request does not say.
pub(crate) const LIMIT_DEFAULT: usize = 10;
/// Shipments of a page, at most.
pub(crate) const LIMIT_MAX: usize = 1000;
/// Bytes of a page: one shipment may have any number of articles.
const PAGE_BYTES_MAX: usize = 64 << 20;
/// A page with more shipments than this, of a filter with more values, or with more bytes is offloaded.
const SHORT_PAGE_SHIPMENTS_MAX: usize = 100;
const SHORT_FILTER_VALUES_MAX: usize = 8;
const SHORT_PAGE_BYTES_MAX: usize = 256 << 10;

/// The page that is asked for.
pub(crate) struct PageRequest {
    pub(crate) filter: Filter,
    pub(crate) limit: usize,
    pub(crate) offset: u64,
    pub(crate) links: Links,
}

/// `GET /v1/shipments?…`
pub(crate) fn shipments(worker: &Rc<Worker>, peer: Peer, uri: &Uri, headers: &HeaderMap) -> Reply {
    let base = || page_links::base(&worker.app, peer, uri, headers, PATH);
    match page_request(uri, base) {
        Ok(request) => page(worker, uri, headers, request),
        Err(invalid) => Reply::now(invalid.response()),
    }
}

fn page_request(uri: &Uri, base: impl FnOnce() -> String) -> Result<PageRequest, Invalid> {
    let pairs = query::pairs(uri.query())?;
    let (mut limit, mut offset) = (None, None);
    let filter = query::strict_filter(&pairs, &[LIMIT, OFFSET], |name, value| {
        let before = match name {
            LIMIT => limit.replace(
                query::digits(value)
                    .filter(|limit| (1..=LIMIT_MAX as u64).contains(limit))
                    .ok_or_else(|| Invalid::new(LIMIT, format!("a number from 1 to {LIMIT_MAX} is expected")))?,
            ),
            OFFSET => offset
                .replace(query::digits(value).ok_or_else(|| Invalid::new(OFFSET, "a number from 0 on is expected"))?),
            _ => return Ok(false),
        };
        if before.is_some() { Err(Invalid::new(name, "given twice; once is allowed")) } else { Ok(true) }
    })?;
    let mut others = String::new();
    for (name, value) in pairs.iter().filter(|(name, _)| name != OFFSET) {
        query::append(&mut others, name, value);
    }
    Ok(PageRequest {
        filter,
        limit: limit.map_or(LIMIT_DEFAULT, |limit| limit as usize),
        offset: offset.unwrap_or(0),
        links: Links { base: base(), around_offset: [others, String::new()] },
    })
}

/// The page of `request`. One that takes long is offloaded.
pub(crate) fn page(worker: &Rc<Worker>, uri: &Uri, headers: &HeaderMap, request: PageRequest) -> Reply {
    let current = worker.app.store.load();
    let Some(snapshot) = current.as_ref() else { return Reply::now(problem::loading()) };
    if let Some(refusal) = misdirected::refuse(snapshot, &request.filter, uri.query()) {
        return Reply::now(refusal);
    }
    if request.limit <= SHORT_PAGE_SHIPMENTS_MAX && request.filter.value_count() <= SHORT_FILTER_VALUES_MAX {
        let page = Page::new(&request, &snapshot.dataset);
        if page.bytes <= SHORT_PAGE_BYTES_MAX {
            return Reply::now(worker.dataset_response(snapshot, headers, |out| page.render(out)));
        }
    }
    // A page that is too large is none that the client could have.
    let fields = worker.dataset_fields(snapshot);
    let not_modified = fields.are_known(headers).then(|| fields.not_modified());
    drop(fields);
    worker.offload(Arc::clone(snapshot), move |snapshot| {
        let page = Page::new(&request, &snapshot.dataset);
        if page.bytes > PAGE_BYTES_MAX {
            return Err(Box::new(too_large(page.bytes)));
        }
        if let Some(response) = not_modified {
            return Err(Box::new(response));
        }
        let mut out = Vec::with_capacity(page.bytes);
        page.render(&mut out);
        Ok(out)
    })
}

fn too_large(bytes: usize) -> Response {
    let detail = format!("the page would have {bytes} bytes, of {PAGE_BYTES_MAX} allowed; ask for fewer shipments");
    problem::response(Code::AnswerTooLarge, &detail)
}

/// A page that is ready to be written.
struct Page<'d> {
    count: u64,
    next: Option<String>,
    previous: Option<String>,
    records: Vec<Record<'d>>,
    /// An upper bound of its rendered size.
    bytes: usize,
}

impl<'d> Page<'d> {
    fn new(request: &PageRequest, dataset: &'d Dataset) -> Page<'d> {
        let PageRequest { filter, limit, offset, links } = request;
        let selection = dataset.select(filter);
        let count = selection.count();
        let records = selection.page(*offset, *limit);
        let (next, previous) = (links.next(*offset, *limit, count), links.previous(*offset, *limit));
        let of_links = [&next, &previous].into_iter().flatten().map(String::len).sum::<usize>();
        let of_records = records.iter().map(|record| record.rendered_bytes() + b",".len()).sum::<usize>();
        let around = r#"{"count":18446744073709551615,"next":null,"previous":null,"results":[]}"#.len();
        Page { count, next, previous, records, bytes: around + of_links + of_records }
    }

    fn render(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"count\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.count).as_bytes());
        for (key, link) in [("next", &self.next), ("previous", &self.previous)] {
            out.extend_from_slice(format!(",\"{key}\":").as_bytes());
            match link {
                // A URL has nothing that JSON escapes.
                Some(link) => out.extend_from_slice(format!("\"{link}\"").as_bytes()),
                None => out.extend_from_slice(b"null"),
            }
        }
        out.extend_from_slice(b",\"results\":[");
        Record::render_all(self.records.iter().copied(), out);
        out.extend_from_slice(b"]}");
    }
}
