//! Changes since an earlier version: `GET /v1/changes?since=…`

use std::rc::Rc;

use hyper::{HeaderMap, Uri};

use crate::batch::RESPONSE_BYTES_MAX;
use crate::changes::{ChangeFilter, ChangeLog, ChangePage, ChangeQuery, Kind};
use crate::http::handlers::page_links;
use crate::http::request::forwarded::Peer;
use crate::http::request::query::{self, Invalid, LIMIT, VERSION};
use crate::http::response::dataset::{DatasetFields, Variant};
use crate::http::response::problem::{self, Code};
use crate::http::response::reply::Reply;
use crate::http::worker::{Made, Worker};
use crate::shipment::Facet;
use crate::store::Snapshot;

const PATH: &str = "/v1/changes";
pub(super) const SINCE: &str = "since";
const KIND: &str = "kind";
/// The parameter that links to a next page have.
const CURSOR: &str = "cursor";
const ALLOWED: [&str; 7] = [SINCE, "carrier", "status", KIND, LIMIT, VERSION, CURSOR];
/// Changes of a page where the request does not say, and at most.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;
/// A page for which more has to be looked at is offloaded.
const SHORT_ENTRIES_MAX: usize = 1000;

/// The changes that are asked for.
struct ChangesRequest {
    since: String,
    /// The version that it is asked of, if that matters.
    version: Option<String>,
    query: ChangeQuery,
    /// What the page before ended with, if there is one.
    cursor: Option<Cursor>,
    /// The URL of the next page, before its version and cursor.
    next: String,
}

/// Where a page begins, and what it depends on beside the versions: pages of two different orders would not fit together.
#[derive(Clone, Copy)]
struct Cursor {
    offset: u64,
    removed_order: u32,
}

/// `GET /v1/changes?since=…`
pub(crate) fn changes(worker: &Rc<Worker>, peer: Peer, uri: &Uri, headers: &HeaderMap) -> Reply {
    let base = || page_links::base(&worker.app, peer, uri, headers, PATH);
    let request = match changes_request(uri.query(), base) {
        Ok(request) => request,
        Err(invalid) => return Reply::now(invalid.response()),
    };
    let Some((snapshot, log)) = worker.app.store.with_changes() else { return Reply::now(problem::loading()) };
    let current = &snapshot.summary.version;
    let first_step = log.first_step_since(&request.since, current);
    let is_of_current = request.version.as_ref().is_none_or(|version| version == current);
    let Some(first_step) = first_step.filter(|_| is_of_current) else {
        return Reply::now(problem::response(Code::VersionGone, &gone(current)));
    };
    let is_short = log.entry_count() <= SHORT_ENTRIES_MAX;
    let fields = headers.clone();
    let respond = move |snapshot: &Snapshot| made(snapshot, &log, first_step, &request, &fields);
    let client = worker.client(peer, headers);
    if is_short {
        let made = respond(&snapshot);
        return Reply::now(worker.made(&snapshot, client, made));
    }
    worker.offload(client, snapshot, respond)
}

fn changes_request(query: Option<&str>, base: impl FnOnce() -> String) -> Result<ChangesRequest, Invalid> {
    let pairs = query::pairs(query)?;
    let (mut since, mut limit, mut version, mut cursor) = (None, None, None, None);
    let mut filter = ChangeFilter::default();
    let mut others = String::new();
    for (name, value) in &pairs {
        let is_repeated = match &**name {
            VERSION => {
                query::take_version(&mut version, value)?;
                continue;
            }
            CURSOR => cursor.replace(parse_cursor(value)?).is_some(),
            SINCE if value.is_empty() => return Err(no_version()),
            SINCE => since.replace(value.clone().into_owned()).is_some(),
            LIMIT => limit.replace(query::limit(value, LIMIT_MAX)?).is_some(),
            _ => {
                take_filter(&mut filter, name, value, &ALLOWED)?;
                false
            }
        };
        if is_repeated {
            return Err(query::given_twice(name));
        }
        if name != CURSOR {
            query::append(&mut others, name, value);
        }
    }
    let since = since.ok_or_else(no_version)?;
    let offset = cursor.map_or(0, |cursor: Cursor| cursor.offset);
    let query = ChangeQuery { filter, offset, limit: limit.unwrap_or(LIMIT_DEFAULT) };
    Ok(ChangesRequest { since, version, query, cursor, next: format!("{}?{others}", base()) })
}

/// Adds what the parameter `name` filters by. There are those that are `allowed`.
pub(super) fn take_filter(filter: &mut ChangeFilter, name: &str, value: &str, allowed: &[&str]) -> Result<(), Invalid> {
    let is = |facet: Facet| facet.name() == name;
    if name == KIND {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == value);
        filter.kinds.push(kind.ok_or_else(|| Invalid::new(KIND, "added, changed or removed is expected"))?);
        return Ok(());
    }
    let values = if is(Facet::Carrier) {
        &mut filter.carriers
    } else if is(Facet::Status) {
        &mut filter.statuses
    } else {
        return Err(Invalid::new(name, query::no_such_parameter(name, allowed)));
    };
    values.insert(query::filter_value(name, value)?);
    Ok(())
}

pub(super) fn no_version() -> Invalid {
    Invalid::new(SINCE, "a version is expected, as /v1/dataset names it")
}

fn parse_cursor(value: &str) -> Result<Cursor, Invalid> {
    let parse = |(offset, order)| {
        let removed_order = u32::from_str_radix(order, 16).ok()?;
        Some(Cursor { offset: query::digits(offset)?, removed_order })
    };
    let cursor = value.split_once('-').and_then(parse);
    cursor.ok_or_else(|| Invalid::new(CURSOR, "one is expected that a next page had"))
}

fn made(
    snapshot: &Snapshot,
    log: &ChangeLog,
    first_step: usize,
    request: &ChangesRequest,
    headers: &HeaderMap,
) -> Made {
    let version = &snapshot.summary.version;
    let page = log.page(first_step, &snapshot.dataset, &request.query);
    if request.cursor.is_some_and(|cursor| cursor.removed_order != page.removed_order) {
        return Made::Problem(Code::VersionGone, gone(version));
    }
    let next = next(request, version, &page);
    // The versions do not tell the order of those that went, on which the link depends, so its tag does.
    let tag = match (&next, page.removed_order) {
        (Some(_), order @ 1..) => format!("{version}-{order:08x}"),
        _ => version.clone(),
    };
    let fields = Box::new(DatasetFields::new(&tag, Variant::Ordinary));
    if fields.are_known(headers) {
        return Made::Tagged(fields, None);
    }
    render(request, version, &page, next).map_or_else(
        |OverLimit| Made::Problem(Code::AnswerTooLarge, too_large()),
        |body| Made::Tagged(fields, Some(body)),
    )
}

/// The page would be over the limit of a response.
struct OverLimit;

fn render(
    request: &ChangesRequest,
    version: &str,
    page: &ChangePage<'_>,
    next: Option<String>,
) -> Result<Vec<u8>, OverLimit> {
    // A URL and a version have nothing that JSON escapes.
    let next = next.map_or("null".to_owned(), |next| format!("\"{next}\""));
    let (since, count) = (&request.since, page.count);
    let head = format!(r#"{{"since":"{since}","version":"{version}","count":{count},"next":{next},"results":["#);
    let mut out = head.into_bytes();
    for (at, change) in page.changes.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        change.render(&mut out);
        if out.len() > RESPONSE_BYTES_MAX {
            return Err(OverLimit);
        }
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

fn too_large() -> String {
    format!("the page would have more than {RESPONSE_BYTES_MAX} bytes; ask for fewer changes")
}

/// The URL of the page after `page`, if there is more.
fn next(request: &ChangesRequest, version: &str, page: &ChangePage<'_>) -> Option<String> {
    let offset = request.query.offset.saturating_add(request.query.limit as u64);
    let mut next = request.next.clone();
    query::append(&mut next, VERSION, version);
    query::append(&mut next, CURSOR, &format!("{offset}-{:08x}", page.removed_order));
    (offset < page.count).then_some(next)
}

fn gone(current: &str) -> String {
    format!(
        "changes since this version, or between these two, are not known, or no longer; the current version is {current}"
    )
}
