//! Lookups of callers who see a limited view: status and countries, and everything with the postcode of the receiver.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::HeaderName;
use smallvec::SmallVec;

use crate::dataset::{Dataset, OutlineLimits, Position, View};
use crate::http::access::Refusal;
use crate::http::app::App;
use crate::http::handlers::shipments::{self, SHORT_ARTICLES_MAX, SHORT_SHIPMENTS_MAX, UNLIMITED};
use crate::http::request::fields;
use crate::http::request::forwarded::Peer;
use crate::http::request::query;
use crate::http::request::route::{Route, RouteId};
use crate::http::response::Response;
use crate::http::response::dataset::Variant;
use crate::http::response::problem::{self, Code};
use crate::http::response::reply::Reply;
use crate::http::worker::{WHOLE_BYTES_MAX, Worker};
use crate::place::Postcode;
use crate::shipment::FoldedKey;
use crate::store::Snapshot;

/// The field that has the postcode of the receiver.
static POSTCODE: HeaderName = HeaderName::from_static("waybill-postcode");
/// Shipments of one number that a postcode is compared with: more take long.
pub(crate) const COMPARED_MAX: usize = SHORT_SHIPMENTS_MAX;
/// What is wrong with a postcode for more.
pub(crate) const TOO_MANY_CARRIERS: &str = "too many carriers use this number; name one";
/// Limits of a response that is made at once.
const SHORT: OutlineLimits = OutlineLimits {
    bytes_max: WHOLE_BYTES_MAX as u64,
    shipment_bytes_max: WHOLE_BYTES_MAX as u64,
    articles_max: SHORT_ARTICLES_MAX as u64,
};

/// What a caller sees of each shipment of a lookup.
pub(crate) type Views = SmallVec<[View; 4]>;

/// Decides by postcodes what a caller sees. Whatever it has decided of a lookup stands, and is not counted again.
pub(crate) struct Judge {
    app: Arc<App>,
    client: Peer,
    /// By the indices of lookups.
    decided: HashMap<usize, Views>,
    variant: Variant,
}

impl Judge {
    /// One for the lookups of a request of `client`.
    pub(crate) fn new(app: Arc<App>, client: Peer) -> Judge {
        Judge { app, client, decided: HashMap::new(), variant: Variant::Limited }
    }

    /// What the caller sees of the shipments at `positions`, which the lookup with the index `at` has found and for which it
    /// shows `postcode`.
    pub(crate) fn views(
        &mut self,
        at: usize,
        dataset: &Dataset,
        positions: &[Position],
        postcode: &Postcode,
    ) -> Result<&[View], Refusal> {
        if !self.decided.contains_key(&at) {
            let views = self.decide(dataset, positions, postcode)?;
            self.decided.insert(at, views);
        }
        Ok(self.decided.get(&at).map_or(&[], |views| views.as_slice()))
    }

    fn decide(&mut self, dataset: &Dataset, positions: &[Position], postcode: &Postcode) -> Result<Views, Refusal> {
        if positions.is_empty() {
            return Ok(Views::new());
        }
        let records = || positions.iter().map(|position| dataset.record(*position));
        let view = |is_receiver| if is_receiver { View::Full } else { View::Limited };
        let mut views: Views = records().map(|record| view(record.is_received_at(postcode))).collect();
        let is_wrong = !views.contains(&View::Full);
        if let Some(access) = &self.app.access {
            let shipments: SmallVec<[u64; 4]> = records().map(|record| record.key_hash()).collect();
            access.admit_postcode(self.client, &shipments, is_wrong)?;
        }
        if is_wrong {
            views.fill(View::Unverified);
        }
        self.variant = match (self.variant, is_wrong) {
            (Variant::Verified, _) | (_, false) => Variant::Verified,
            (_, true) => Variant::Unverified,
        };
        Ok(views)
    }

    /// What the response shows, after all lookups.
    pub(crate) fn variant(&self) -> Variant {
        self.variant
    }
}

/// `GET /v1/shipments/{carrier}/{tracking_number}` and `GET /v1/shipments/{tracking_number}`
pub(crate) fn lookup(
    worker: &Rc<Worker>,
    peer: Peer,
    headers: &HeaderMap,
    route: &Route<'_>,
    version: Option<&str>,
) -> Reply {
    let postcode = match shown(headers) {
        Ok(postcode) => postcode,
        Err(reason) => return Reply::now(invalid(reason)),
    };
    worker.reply_from(version, |snapshot| respond(worker, peer, headers, route, postcode.as_ref(), snapshot))
}

fn respond(
    worker: &Rc<Worker>,
    peer: Peer,
    headers: &HeaderMap,
    route: &Route<'_>,
    postcode: Option<&Postcode>,
    snapshot: &Arc<Snapshot>,
) -> Reply {
    let dataset = &snapshot.dataset;
    let (number, client) = (FoldedKey::new(&route.tracking_number), worker.client(peer, headers));
    let carrier = (route.id == RouteId::Shipment).then(|| FoldedKey::new(&route.carrier));
    let found = shipments::positions(dataset, &number, carrier.as_ref()).take(COMPARED_MAX + 1);
    let positions: SmallVec<[Position; 4]> = found.collect();
    if positions.is_empty() {
        return Reply::now(shipments::missing(snapshot, route, &number));
    }
    let mut judge = Judge::new(Arc::clone(&worker.app), client);
    let views: Views = match postcode {
        None => Views::new(),
        Some(_) if positions.len() > COMPARED_MAX => return Reply::now(invalid(TOO_MANY_CARRIERS)),
        Some(postcode) => match judge.views(0, dataset, &positions, postcode) {
            Ok(views) => Views::from_slice(views),
            Err(refusal) => return Reply::now(worker.refuse(&refusal)),
        },
    };
    let variant = judge.variant();
    let fields = worker.variant_fields(snapshot, variant);
    if fields.are_known(headers) {
        return Reply::now(fields.not_modified());
    }
    let is_list = carrier.is_none();
    let view_of = move |at: usize| views.get(at).copied().unwrap_or(View::Limited);
    if positions.len() <= SHORT_SHIPMENTS_MAX
        && let Ok(outline) = shipments::outline(dataset, &positions, is_list, &view_of, SHORT)
    {
        return Reply::now(worker.ok(&fields, &dataset.render(outline)));
    }
    worker.offload(client, Arc::clone(snapshot), move |snapshot| {
        let dataset = &snapshot.dataset;
        let positions: Vec<Position> = shipments::positions(dataset, &number, carrier.as_ref()).collect();
        shipments::made(shipments::outline(dataset, &positions, is_list, view_of, UNLIMITED), variant)
    })
}

/// The postcode that a request shows. One of blanks is none.
fn shown(headers: &HeaderMap) -> Result<Option<Postcode>, &'static str> {
    let field = fields::only(headers, &POSTCODE).map_err(|fields::Duplicate| query::TWICE)?;
    let text = field.map(str::from_utf8).transpose().map_err(|_| "its bytes are not UTF-8")?;
    Ok(text.and_then(Postcode::new))
}

/// What the caller sees of the one shipment of `route` in `snapshot`; `None` for the lookup to say: it shows a postcode that is
/// wrong, which is counted there, or not to be compared.
pub(crate) fn variant_to_await(
    worker: &Rc<Worker>,
    peer: Peer,
    headers: &HeaderMap,
    route: &Route<'_>,
    snapshot: &Snapshot,
) -> Option<Variant> {
    let Some(postcode) = shown(headers).ok()? else { return Some(Variant::Limited) };
    let (number, carrier) = (FoldedKey::new(&route.tracking_number), FoldedKey::new(&route.carrier));
    let position = snapshot.dataset.shipment_position(&number, &carrier)?;
    if !snapshot.dataset.record(position).is_received_at(&postcode) {
        return None;
    }
    let mut judge = Judge::new(Arc::clone(&worker.app), worker.client(peer, headers));
    judge.views(0, &snapshot.dataset, &[position], &postcode).ok()?;
    Some(judge.variant())
}

fn invalid(reason: &str) -> Response {
    problem::response(Code::InvalidParameter, &format!("Waybill-Postcode: {reason}"))
}
