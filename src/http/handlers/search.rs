//! Pages of shipments: `GET /v1/shipments?…`

use std::rc::Rc;
use std::sync::Arc;

use hyper::{HeaderMap, Uri};
use serde::Serialize;

use crate::dataset::{Dataset, Filter, Outline, OutlineLimits, OverLimits, Record, Sort};
use crate::http::handlers::misdirected;
use crate::http::handlers::page_links::{self, Links};
use crate::http::request::forwarded::Peer;
use crate::http::request::query::{self, Invalid, LIMIT, OFFSET, SORT, VERSION};
use crate::http::response::dataset::Variant;
use crate::http::response::problem::Code;
use crate::http::response::reply::Reply;
use crate::http::worker::{LONG, Made, SHORT, Worker};
use crate::store::Snapshot;

const PATH: &str = "/v1/shipments";
/// Shipments of a page where the request does not say.
pub(crate) const LIMIT_DEFAULT: usize = 10;
/// Shipments of a page, at most.
pub(crate) const LIMIT_MAX: usize = 1000;
/// A page with more shipments, of a filter with more values or of a number that more shipments have is offloaded, as are
/// one over the limits of [`SHORT`], and one for which many shipments may have to be looked at: of a prefix, or of filtered
/// shipments in the order of numbers.
const SHORT_PAGE_SHIPMENTS_MAX: usize = 100;
const SHORT_FILTER_VALUES_MAX: usize = 8;
const SHORT_GROUP_SHIPMENTS_MAX: usize = 1000;

/// The page that is asked for.
pub(crate) struct PageRequest {
    /// The version that it is asked of, if not the current one.
    pub(crate) version: Option<String>,
    pub(crate) filter: Filter,
    pub(crate) sort: Sort,
    pub(crate) limit: usize,
    pub(crate) offset: u64,
    pub(crate) links: Links,
}

/// `GET /v1/shipments?…`
pub(crate) fn shipments(worker: &Rc<Worker>, peer: Peer, uri: &Uri, headers: &HeaderMap) -> Reply {
    let base = || page_links::base(&worker.app, peer, uri, headers, PATH);
    match page_request(worker.app.with_stages, uri, base) {
        Ok(request) => page(worker, peer, uri, headers, request),
        Err(invalid) => Reply::now(invalid.response()),
    }
}

fn page_request(with_stages: bool, uri: &Uri, base: impl FnOnce() -> String) -> Result<PageRequest, Invalid> {
    let pairs = query::pairs(uri.query())?;
    let (mut limit, mut offset, mut sort, mut version) = (None, None, None, None);
    let filter = query::strict_filter(with_stages, &pairs, &[SORT, LIMIT, OFFSET, VERSION], |name, value| {
        let is_repeated = match name {
            VERSION => return query::take_version(&mut version, value).map(|()| true),
            LIMIT => limit.replace(query::limit(value, LIMIT_MAX)?).is_some(),
            OFFSET => offset
                .replace(query::digits(value).ok_or_else(|| Invalid::new(OFFSET, "a number from 0 on is expected"))?)
                .is_some(),
            SORT => sort.replace(query::sort(value)?).is_some(),
            _ => return Ok(false),
        };
        if is_repeated { Err(query::given_twice(name)) } else { Ok(true) }
    })?;
    let mut others = String::new();
    for (name, value) in pairs.iter().filter(|(name, _)| name != OFFSET) {
        query::append(&mut others, name, value);
    }
    Ok(PageRequest {
        version,
        filter,
        sort: sort.unwrap_or_default(),
        limit: limit.unwrap_or(LIMIT_DEFAULT),
        offset: offset.unwrap_or(0),
        links: Links { base: base(), around_offset: [others, String::new()] },
    })
}

/// The page of `request`. One that takes long is offloaded.
pub(crate) fn page(worker: &Rc<Worker>, peer: Peer, uri: &Uri, headers: &HeaderMap, request: PageRequest) -> Reply {
    let version = request.version.clone();
    worker.reply_from(version.as_deref(), |snapshot| {
        misdirected::refuse(snapshot, &request.filter, uri.query())
            .map_or_else(|| page_of(worker, peer, headers, snapshot, request), Reply::now)
    })
}

fn page_of(
    worker: &Rc<Worker>,
    peer: Peer,
    headers: &HeaderMap,
    snapshot: &Arc<Snapshot>,
    request: PageRequest,
) -> Reply {
    let dataset = &snapshot.dataset;
    if is_short(dataset, &request)
        && let Ok(mut page) = outline(dataset, &request, SHORT)
    {
        return Reply::now(
            worker.dataset_response(snapshot, headers, |out| dataset.render_part(&mut page, out, usize::MAX)),
        );
    }
    let is_known = worker.dataset_fields(snapshot).are_known(headers);
    let client = worker.client(peer, headers);
    worker.offload(client, Arc::clone(snapshot), move |snapshot| match outline(&snapshot.dataset, &request, LONG) {
        // A page that is too large is none that the client could have.
        Ok(_) if is_known => Made::NotModified,
        Ok(page) => Made::Outline(page, Variant::Ordinary),
        Err(_) => Made::Problem(Code::AnswerTooLarge, too_large()),
    })
}

fn too_large() -> String {
    format!("the page would have more than {} bytes; ask for fewer shipments", LONG.bytes_max)
}

/// True if the shipments of a page are found soon.
fn is_short(dataset: &Dataset, request: &PageRequest) -> bool {
    let PageRequest { filter, sort, limit, .. } = request;
    let is_shared_by_few = |number| dataset.positions_with_number(number).nth(SHORT_GROUP_SHIPMENTS_MAX).is_none();
    *limit <= SHORT_PAGE_SHIPMENTS_MAX
        && filter.value_count() <= SHORT_FILTER_VALUES_MAX
        && filter.prefixes.is_empty()
        && (*sort == Sort::File || filter.value_count() == 0)
        && filter.tracking_numbers.iter().all(is_shared_by_few)
}

/// Outlines the page. A shipment that no page has room for is left out and named.
fn outline(dataset: &Dataset, request: &PageRequest, limits: OutlineLimits) -> Result<Outline, OverLimits> {
    let PageRequest { filter, sort, limit, offset, links, .. } = request;
    let selection = dataset.select(filter);
    let count = selection.count();
    let mut page = Outline::new(limits);
    page.text_with(|out| render_head(count, links.next(*offset, *limit, count), links.previous(*offset, *limit), out));
    let mut omitted = Vec::new();
    for position in selection.positions(*sort, *offset, *limit) {
        match dataset.outline(&mut page, position) {
            Err(OverLimits::Alone { bytes }) if bytes > LONG.shipment_bytes_max => {
                omitted.push(Omitted::new(&dataset.record(position), bytes));
            }
            appended => appended?,
        }
    }
    page.text(b"]");
    if !omitted.is_empty() {
        page.text(b",\"omitted\":");
        // Writing to memory cannot fail, and there is no map whose keys could.
        page.text_with(|out| serde_json::to_writer(out, &omitted).unwrap_or_default());
    }
    page.text(b"}");
    page.check()?;
    Ok(page)
}

fn render_head(count: u64, next: Option<String>, previous: Option<String>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"count\":");
    out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    for (key, link) in [("next", next), ("previous", previous)] {
        out.extend_from_slice(format!(",\"{key}\":").as_bytes());
        match link {
            // A URL has nothing that JSON escapes.
            Some(link) => out.extend_from_slice(format!("\"{link}\"").as_bytes()),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(b",\"results\":[");
}

/// A shipment that is too large for any page.
#[derive(Serialize)]
struct Omitted {
    carrier: String,
    tracking_number: String,
    bytes: u64,
}

impl Omitted {
    fn new(record: &Record<'_>, bytes: u64) -> Omitted {
        Omitted {
            carrier: record.carrier().into_owned(),
            tracking_number: record.tracking_number().into_owned(),
            bytes,
        }
    }
}
