//! The trail of a request: what is kept of it until its response is there, for its id, the access log and the
//! audit trail. Most requests leave none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::{ETAG, HeaderValue};
use hyper::{Request, StatusCode};

use crate::http::request::correlation::{self, REQUEST_ID};
use crate::http::request::forwarded::Peer;
use crate::http::request::route::{Content, Listener, RouteId};
use crate::http::response::{Response, etag};
use crate::http::telemetry::access_log::line::LoggedRequest;
use crate::http::telemetry::access_log::{Choice, Sampler};
use crate::http::telemetry::audit::Entry;
use crate::http::worker::Worker;

/// What is kept of a request.
pub(crate) struct Trail {
    /// Its `X-Request-Id`.
    id: Option<HeaderValue>,
    /// Its part in the access log, if it may be logged, and why.
    logged: Option<(Choice, Box<LoggedRequest>)>,
    /// Its line of the audit trail, if it is to have one.
    audited: Option<Entry>,
    /// The generation that was served when it came; 0 for none.
    generation: u64,
}

impl Trail {
    /// Keeps what there is of a request of `peer` to `listener`, if any record needs something.
    #[cold]
    #[inline(never)]
    pub(crate) fn begin<B>(
        worker: &Worker,
        listener: Listener,
        peer: Peer,
        request: &Request<B>,
    ) -> Option<Box<Trail>> {
        let app = &worker.app;
        let id = correlation::request_id(request.headers());
        let choice = worker.sampler.as_ref().and_then(Sampler::choose);
        let logged = choice.map(|choice| {
            let logged = LoggedRequest::new(&app.trusted_proxies, peer, request, id.clone());
            (choice, Box::new(logged))
        });
        let audited = (listener == Listener::Admin).then(|| {
            let token = app.secrets.admin_tokens.as_ref().and_then(|tokens| tokens.check(request.headers()).ok());
            Entry::of_request(&app.trusted_proxies, peer, request, token)
        });
        let audited = audited.flatten();
        (id.is_some() || logged.is_some() || audited.is_some())
            .then(|| Box::new(Trail { id, logged, audited, generation: generation(worker) }))
    }

    /// Keeps the name of the key that the request showed.
    pub(crate) fn key_is(&mut self, name: Arc<str>) {
        if let Some((_, logged)) = &mut self.logged {
            logged.key = Some(name);
        }
    }

    /// Marks the response to the request, of `route`, if it has one, and logs it where it is to be logged.
    #[cold]
    #[inline(never)]
    pub(crate) fn end(self, worker: &Worker, route: Option<RouteId>, response: &mut Response, duration: Duration) {
        let Trail { id, logged, audited, generation } = self;
        if let Some(id) = id {
            response.headers_mut().insert(REQUEST_ID.clone(), id);
        }
        if let Some((choice, logged)) = logged
            && choice.holds(duration)
            && let Some(sampler) = &worker.sampler
        {
            let dataset = version(worker, route, response, generation);
            sampler.log(Instant::now(), &logged.line(route, response, duration, dataset.as_deref()));
        }
        if let Some(entry) = audited {
            entry.end(route, response);
        }
    }
}

fn generation(worker: &Worker) -> u64 {
    worker.app.store.load().as_ref().map_or(0, |snapshot| snapshot.generation)
}

/// The version of the dataset that responded, where that is certain: by the entity tag of the response. What a dataset
/// lacks has none: then no other one was served since the request came.
fn version(worker: &Worker, route: Option<RouteId>, response: &Response, generation: u64) -> Option<Box<str>> {
    route.filter(|route| matches!(route.spec().content, Content::Data(_)))?;
    if let Some(etag) = response.headers().get(ETAG) {
        return etag::version_in(etag).map(Box::from);
    }
    let served = worker.app.store.load();
    let served = served.as_ref().filter(|served| served.generation == generation)?;
    matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::MISDIRECTED_REQUEST)
        .then(|| served.summary.version.as_str().into())
}
