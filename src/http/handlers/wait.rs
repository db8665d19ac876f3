//! Lookups by path that wait: `GET /v1/shipments/{carrier}/{tracking_number}?wait=…`

use std::borrow::Cow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::HeaderMap;
use hyper::header::IF_NONE_MATCH;

use crate::dataset::View;
use crate::http::handlers::{limited, shipments};
use crate::http::request::forwarded::Peer;
use crate::http::request::route::Route;
use crate::http::response::dataset::Variant;
use crate::http::response::etag;
use crate::http::response::problem;
use crate::http::response::reply::{Reply, Waited};
use crate::http::wait::waiting::Awaited;
use crate::http::worker::{Ending, Worker};
use crate::shipment::FoldedKey;

/// Who looks up, and what it sees.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) peer: Peer,
    pub(crate) has_key: bool,
    pub(crate) sees_all: bool,
}

/// The lookup of `route`, once its response is another than the one that `headers` name, or `time` is over.
pub(crate) fn lookup(
    worker: &Rc<Worker>,
    caller: Caller,
    headers: &HeaderMap,
    route: &Route<'_>,
    time: Duration,
) -> Reply {
    let Some((variant, awaited)) = awaited(worker, caller, headers, route) else {
        return look_up(worker, caller, headers, route);
    };
    let client = (!caller.has_key).then(|| worker.client(caller.peer, headers));
    let Some(place) = worker.app.wait_places.take(client) else {
        return Reply::now(problem::overloaded("too many requests wait for shipments to change"));
    };
    let started = Instant::now();
    let until = if worker.ending.get() == Ending::All { started } else { started + time };
    let wait = worker.waits.wait(awaited, until, place);
    let (worker, headers, route) = (Rc::clone(worker), headers.clone(), owned(route));
    Reply::later(async move {
        let awaited = wait.await;
        let waited = Waited(started.elapsed());
        // The tag of a 304 is that of the dataset that was compared with: the next one may be published by now.
        let as_known = worker
            .app
            .store
            .with_changes()
            .filter(|(snapshot, log)| awaited.as_ref().is_some_and(|awaited| awaited.is_as_known(snapshot, log)));
        let reply = match as_known {
            Some((snapshot, _)) => Reply::now(worker.variant_fields(&snapshot, variant).not_modified()),
            None => look_up(&worker, caller, &headers, &route),
        };
        let Ok(mut response) = reply.await;
        response.extensions_mut().insert(waited);
        response
    })
}

fn look_up(worker: &Rc<Worker>, caller: Caller, headers: &HeaderMap, route: &Route<'_>) -> Reply {
    let look_up = if caller.sees_all { shipments::lookup } else { limited::lookup };
    look_up(worker, caller.peer, headers, route, None)
}

/// What there is to wait for, and the variant of the response; `None` if the response is another already, if nothing is known
/// of the one that is named, or if the lookup has to say what is wrong.
fn awaited(worker: &Rc<Worker>, caller: Caller, headers: &HeaderMap, route: &Route<'_>) -> Option<(Variant, Awaited)> {
    if !headers.contains_key(IF_NONE_MATCH) {
        return None;
    }
    let (snapshot, log) = worker.app.store.with_changes()?;
    let variant = if caller.sees_all {
        Variant::Ordinary
    } else {
        limited::variant_to_await(worker, caller.peer, headers, route, &snapshot)?
    };
    let view = if variant == Variant::Limited { View::Limited } else { View::Full };
    let current = snapshot.summary.version.as_str();
    let (number, carrier) = (FoldedKey::new(&route.tracking_number), FoldedKey::new(&route.carrier));
    // The latest is the one that the caller got last.
    let step = |version: &&str| log.first_step_since(version, current);
    let known = etag::versions_in(headers, variant.suffix()).filter(|version| step(version).is_some());
    let known = known.max_by_key(step)?.into();
    let mut awaited = Awaited { number, carrier, known, view, look: None };
    if !awaited.is_as_known(&snapshot, &log) {
        return None;
    }
    awaited.note(&snapshot);
    Some((variant, awaited))
}

fn owned(route: &Route<'_>) -> Route<'static> {
    let text = |text: &Cow<'_, str>| Cow::Owned(text.clone().into_owned());
    Route { id: route.id, carrier: text(&route.carrier), tracking_number: text(&route.tracking_number), asset: "" }
}
