//! The way of a request, from what hyper hands over to what it gets back. Read it top to bottom: `Service::reply`
//! sees that each request is recorded once, `Service::respond` has the steps.

use std::convert::Infallible;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{ALLOW, ETAG, HeaderValue, STRICT_TRANSPORT_SECURITY};
use hyper::{HeaderMap, Method, Request, StatusCode};

use crate::dataset::ExportFormat;
use crate::http::access::{Access, DataRequest};
use crate::http::compression::{self, Compression};
use crate::http::handlers::wait::Caller;
use crate::http::handlers::{
    batch_lookup, changes, changes_stream, dataset, docs, export, facets, legacy_list, limited, metrics, not_found,
    probes, reload, search, shipments, ui, wait,
};
use crate::http::request::correlation;
use crate::http::request::cors::{self, OriginMatch};
use crate::http::request::forwarded::Peer;
use crate::http::request::query;
use crate::http::request::route::{self, Content, Listener, NoRoute, Route, RouteId};
use crate::http::request::validate::{self, Framing};
use crate::http::response::etag::IfMatch;
use crate::http::response::problem::{self, Code};
use crate::http::response::reply::{ReceiveBody, Received, Reply, Waited};
use crate::http::response::{self, Response};
use crate::http::trail::Trail;
use crate::http::worker::{Ending, Worker};

/// Responds to the requests of one connection.
#[derive(Clone)]
pub struct Service {
    listener: Listener,
    peer: Peer,
    worker: Rc<Worker>,
}

/// The facts of a request that are needed when its response is recorded.
struct RequestContext {
    started: Instant,
    listener: Listener,
    /// Its route, if it has one.
    route: Option<RouteId>,
    framing: Framing,
    origin: OriginMatch,
    /// What its response must be made from, if that matters.
    if_match: Option<Box<IfMatch>>,
    /// What is to be done with its response, if it may be compressed.
    compression: Option<Box<Compression>>,
    /// The number of its key's name, if it shows a key.
    key: Option<usize>,
    /// What its records need, if it has some.
    trail: Option<Box<Trail>>,
}

impl Service {
    /// The service behind `listener`, of no client in particular.
    pub fn new(listener: Listener, worker: Rc<Worker>) -> Service {
        Service { listener, peer: Peer::Unix, worker }
    }

    /// The same for a connection with `peer`.
    pub(crate) fn with_peer(&self, peer: Peer) -> Service {
        Service { peer, ..self.clone() }
    }

    /// The listener that it is behind.
    pub(crate) fn listener(&self) -> Listener {
        self.listener
    }

    /// The other end of its connection.
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }

    /// The worker that responds.
    pub(crate) fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// The reply to `request`, which is recorded when its response is there.
    #[inline]
    pub(crate) fn reply(&self, request: Request<Incoming>) -> Reply {
        let mut context = RequestContext {
            started: Instant::now(),
            listener: self.listener,
            route: None,
            framing: Framing::Length,
            origin: OriginMatch::NotChecked,
            if_match: None,
            compression: None,
            key: None,
            trail: None,
        };
        let mut reply = self.worker.catch_panic(|| self.respond(request, &mut context), Reply::now);
        // hyper drops chunks that nobody reads, and what it takes for trailers with them (see `json_body`): nothing
        // after them is taken for a request.
        if context.framing == Framing::Chunked {
            reply = reply.closing();
        }
        if let (None, Reply::Now(Some(response))) = (&context.compression, &mut reply) {
            record(&self.worker, context, response);
            return reply;
        }
        RequestRecorder { worker: Rc::clone(&self.worker), context }.record_later(reply)
    }

    /// The steps of a request. Each passes it on or has the response.
    #[inline]
    fn respond(&self, request: Request<Incoming>, context: &mut RequestContext) -> Reply {
        let worker = &self.worker;
        let app = &worker.app;

        // 1. Keep what its records need, where all requests may have some. Not before: a request that was looked at is
        //    copied when it is handed on (+35 instructions, logged or not).
        let has_records = worker.sampler.is_some() || self.listener == Listener::Admin;
        if has_records {
            context.trail = Trail::begin(worker, self.listener, self.peer, &request);
        }

        // 2. Refuse what a proxy may have read otherwise than hyper.
        let checked = validate::check(&request);
        let headers = request.headers();
        if !has_records && correlation::may_have_request_id(headers) {
            context.trail = Trail::begin(worker, self.listener, self.peer, &request);
        }
        match checked {
            Ok(framing) => context.framing = framing,
            Err(reason) => return Reply::now(refuse(reason)),
        }

        context.if_match = IfMatch::of(headers);

        // 3. Look which other site's page may read the response.
        if let (Some(cors), true) = (&app.cors, self.listener != Listener::Admin) {
            context.origin = cors.match_origin(headers);
        }

        // 4. Find its route.
        let path = match route::normalize(request.uri().path()) {
            Ok(path) => path,
            Err(error) => return Reply::now(self.no_route(&error, request.method(), headers)),
        };
        let route = match Route::parse(self.listener, app.offered, request.method(), &path) {
            Ok(route) => route,
            Err(NoRoute::MethodNotAllowed { allow })
                if let Some(response) = cors::preflight(context.origin, request.method(), headers, allow) =>
            {
                return Reply::now(response);
            }
            Err(_) if validate::is_about_server(request.method(), &path) => {
                return Reply::now(response::no_content([(ALLOW, HeaderValue::from_static(route::ALLOW_ANYWHERE))]));
            }
            Err(error) => {
                let target = validate::check_target(request.method(), &path);
                let no_route = |()| self.no_route(&error, request.method(), headers);
                return Reply::now(target.map_or_else(refuse, no_route));
            }
        };
        context.route = Some(route.id);

        // 5. Decide whether its caller may ask for that, and how often.
        let (mut payer, mut sees_all) = (None, true);
        if let (Some(access), Content::Data(scope)) = (&app.access, route.id.spec().content) {
            let client = &|| worker.client(self.peer, headers);
            let keys = app.secrets.api_keys.as_ref();
            let admission = access.admit(keys, &DataRequest { route: route.id, scope, headers, client });
            context.key = admission.key;
            sees_all = admission.key.is_some() || !access.limits_view();
            if let (Some(trail), Some(keys), Some(key)) = (&mut context.trail, keys, admission.key) {
                trail.key_is(keys.name(key));
            }
            match admission.payer {
                Ok(of_batch) => payer = of_batch,
                Err(refusal) => return Reply::now(worker.refuse(&refusal)),
            }
        }

        // 6. See whether its response may be compressed.
        let negotiated = compression::negotiate(worker, self.peer, route.id, &request, &mut context.compression);
        let headers = negotiated.as_ref().unwrap_or(headers);

        // 7. Hand it to its handler.
        let (peer, uri) = (self.peer, request.uri());
        Reply::now(match route.id {
            RouteId::Shipment | RouteId::ShipmentsByNumber => {
                let (version, time) = match uri.query().map_or(Ok((None, None)), query::version_and_wait) {
                    Ok(asked) => asked,
                    Err(invalid) => return Reply::now(invalid.response()),
                };
                let may_wait = app.offered.changes && route.id == RouteId::Shipment && version.is_none();
                if let Some(time) = time.filter(|_| may_wait) {
                    let caller = Caller { peer, has_key: context.key.is_some(), sees_all };
                    return wait::lookup(worker, caller, headers, &route, time);
                }
                let lookup = if sees_all { shipments::lookup } else { limited::lookup };
                return lookup(worker, peer, headers, &route, version.as_deref());
            }
            RouteId::Search => return search::shipments(worker, peer, uri, headers),
            RouteId::CsvExport | RouteId::NdjsonExport => {
                let format = if route.id == RouteId::CsvExport { ExportFormat::Csv } else { ExportFormat::Ndjson };
                return export::export(worker, peer, request.method(), uri, headers, format);
            }
            RouteId::Facets => return facets::facets(worker, peer, headers, uri.query()),
            RouteId::Changes => return changes::changes(worker, peer, uri, headers),
            RouteId::ChangesStream => changes_stream::stream(worker, request.method(), headers, uri.query()),
            RouteId::BatchLookup => return batch_lookup::batch(worker, peer, payer, sees_all, request),
            RouteId::Dataset => return dataset::dataset(worker, peer, headers),
            RouteId::LegacyList => return legacy_list::page(worker, peer, uri, headers),
            RouteId::LegacyListRedirect => legacy_list::redirect(uri.query()),
            RouteId::Track => ui::track(app, headers, uri.query()),
            RouteId::TrackLater => ui::later(app, headers),
            RouteId::Browse => ui::browse(app, headers, uri.query()),
            RouteId::Docs => docs::page(app, headers),
            RouteId::DocsAsset => docs::asset(app, headers, route.asset)
                .unwrap_or_else(|| not_found::not_found(app, self.listener, request.method(), headers)),
            RouteId::OpenApi => docs::openapi(headers),
            RouteId::Robots => ui::robots(headers),
            RouteId::Live => probes::live(),
            RouteId::Ready => probes::ready(app),
            RouteId::Metrics => metrics::metrics(app),
            RouteId::AdminDataset => dataset::admin_dataset(app),
            RouteId::Reload if request.method() == Method::DELETE => reload::cancel(app, headers, uri.query()),
            RouteId::Reload => return reload::reload(app, headers, uri.query()),
            RouteId::Rollback => return reload::roll_back(app, headers, uri.query()),
        })
    }
}

impl Service {
    /// The response to a request without a route.
    fn no_route(&self, error: &NoRoute, method: &Method, headers: &HeaderMap) -> Response {
        match error {
            NoRoute::NotFound => not_found::not_found(&self.worker.app, self.listener, method, headers),
            NoRoute::MethodNotAllowed { allow } => problem::method_not_allowed(allow),
            NoRoute::Undecodable { parameter, reason } => {
                problem::response(Code::InvalidParameter, &format!("{parameter}: {reason}"))
            }
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response;
    type Error = Infallible;
    type Future = Reply;

    #[inline]
    fn call(&self, request: Request<Incoming>) -> Reply {
        self.reply(request)
    }
}

/// Finishes a response that is there: counts it, ends its trail where it has one, and adds what all responses have.
#[inline]
fn record(worker: &Worker, context: RequestContext, response: &mut Response) {
    let RequestContext { started, listener, route, origin, if_match, key, trail, .. } = context;
    if let Some(if_match) = if_match {
        check_precondition(&if_match, response);
    }
    mark(worker, listener, origin, response);
    if let Some(access) = &worker.app.access {
        mark_access(worker, access, route, key.is_some(), response);
        if let Some(name_number) = key {
            worker.counters.count_key(name_number, response.status());
        }
    }
    if worker.ending.get() != Ending::No {
        end_connection(worker.ending.get(), route, response);
    }
    let duration = started.elapsed();
    worker.counters.count_response(route, response.status(), duration);
    if let Some(trail) = trail {
        trail.end(worker, route, response, duration);
    }
}

/// Withholds a response that `if_match` rules out.
#[cold]
fn check_precondition(if_match: &IfMatch, response: &mut Response) {
    let would_be_ok = matches!(response.status(), StatusCode::OK | StatusCode::NOT_MODIFIED);
    if would_be_ok && let Some(etag) = response.headers().get(ETAG).filter(|etag| !if_match.names(etag)) {
        *response = problem::precondition_failed(etag);
    }
}

/// Tells caches whose a response is. What a key gets is no one else's.
fn mark_access(worker: &Worker, access: &Access, route: Option<RouteId>, has_key: bool, response: &mut Response) {
    let is_for_some = route.is_some_and(|route| matches!(route.spec().content, Content::Data(Some(_))));
    if is_for_some && access.limits_view() {
        response::vary_by_caller(response);
    } else if is_for_some && worker.app.secrets.api_keys.is_some() {
        response::vary_by_key(response);
    }
    if has_key {
        response::make_private(response);
    }
}

#[cold]
fn end_connection(ending: Ending, route: Option<RouteId>, response: &mut Response) {
    if ending == Ending::All || !matches!(route, Some(RouteId::Live | RouteId::Ready)) {
        response::close(response);
    }
}

/// Adds to the response to a lookup what all such responses have, to requests without `Origin`, with a key or without.
pub(crate) fn mark_plain(worker: &Worker, has_key: bool, response: &mut Response) {
    let origin = if worker.app.cors.is_some() { OriginMatch::None } else { OriginMatch::NotChecked };
    mark(worker, Listener::Public, origin, response);
    if let Some(access) = &worker.app.access {
        mark_access(worker, access, Some(RouteId::Shipment), has_key, response);
    }
}

/// Adds the header fields that all responses of `listener` have, to requests of `origin`.
#[inline]
fn mark(worker: &Worker, listener: Listener, origin: OriginMatch, response: &mut Response) {
    if origin != OriginMatch::NotChecked
        && let Some(cors) = &worker.app.cors
    {
        cors.mark(origin, response);
    }
    if let (Some(value), Listener::Public) = (&worker.app.transport_security, listener) {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value.clone());
    }
}

/// Records a request whose response is not there at once.
struct RequestRecorder {
    worker: Rc<Worker>,
    context: RequestContext,
}

impl RequestRecorder {
    /// `reply`, recorded when its response is there.
    fn record_later(self, reply: Reply) -> Reply {
        match reply {
            Reply::Now(Some(response)) => self.finish(response),
            Reply::Now(None) => reply,
            Reply::AfterBody(body) => Reply::AfterBody(Box::new(RecordedBody { body, recorder: Some(self) })),
            Reply::Later(response) => Reply::later(async move {
                let mut response = response.await;
                let mut recorder = self;
                if let Some(Waited(time)) = response.extensions_mut().remove() {
                    recorder.context.started += time;
                }
                match recorder.finish(response).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }),
        }
    }

    /// `response`, compressed if that is to be, and recorded.
    fn finish(mut self, mut response: Response) -> Reply {
        if let Some(compression) = self.context.compression.take() {
            let compressed = compression.apply(&self.worker, response);
            return self.record_later(compressed);
        }
        record(&self.worker, self.context, &mut response);
        Reply::now(response)
    }
}

/// A body that is awaited, and who records its request after it.
struct RecordedBody {
    body: Box<dyn ReceiveBody>,
    /// Until the body has ended.
    recorder: Option<RequestRecorder>,
}

impl ReceiveBody for RecordedBody {
    fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        let Some(recorder) = self.recorder.take() else { return self.body.poll_received(cx) };
        let panicked = |response| Poll::Ready(Received { reply: Reply::now(response), is_whole: false });
        let Poll::Ready(received) = recorder.worker.catch_panic(|| self.body.poll_received(cx), panicked) else {
            self.recorder = Some(recorder);
            return Poll::Pending;
        };
        Poll::Ready(Received { reply: recorder.record_later(received.reply), is_whole: received.is_whole })
    }
}

/// The response to a request that must not be forwarded, as the last on its connection.
fn refuse(reason: &str) -> Response {
    response::closing(problem::response(Code::InvalidParameter, reason))
}
