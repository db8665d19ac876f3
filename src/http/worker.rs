//! A worker: what the requests of one thread share, and the pipeline that each of them goes through.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{HeaderMap, Request};
use tokio::sync::Semaphore;

use super::access::{AccessLog, Asked, Sampler};
use super::answer::{self, Answer, Code, DatasetFields};
use super::cors::Reader;
use super::counters::{Counters, NO_ROUTE};
use super::head::Framing;
use super::listen::Peer;
use super::route::{self, Listener, NoRoute, Route};
use super::service::Meter;
use super::{App, Reply, admin, cors, docs, etag, head, list, lookup, metrics, pages, shipments, site};
use crate::dataset::Record;
use crate::store::Snapshot;

/// What the requests of one thread share.
pub struct Worker {
    pub(super) app: Arc<App>,
    pub(super) counters: Arc<Counters>,
    /// The header fields for a generation: made once per worker, since copies of shared ones would contend.
    fields: RefCell<(u64, DatasetFields)>,
    /// Where answers are rendered before they are copied at their size.
    scratch: RefCell<Vec<u8>>,
    /// Chooses the requests that are logged, where some are.
    sampler: Option<Sampler>,
    /// Whether each answer is the last on its connection.
    pub(super) closing: Cell<bool>,
    /// One for each answer that is made aside.
    aside_permits: Arc<Semaphore>,
}

/// What is known of a request while its answer is made.
pub(super) struct Noted {
    begun: Instant,
    /// The number of its route.
    route: usize,
    framing: Framing,
    /// Who reads its answer.
    reader: Reader,
    /// What it asks, if that is logged.
    asked: Option<Box<Asked>>,
}

/// Answers that a worker has made aside at a time; more wait.
const ASIDE_MAX: usize = 2;
/// Memory that a worker keeps for rendering.
const SCRATCH_BYTES: usize = 16 << 10;

impl Worker {
    /// A worker of `app`, for the calling thread.
    pub fn new(app: Arc<App>) -> Worker {
        Worker {
            counters: app.counters_of_a_worker(),
            sampler: app.access_log.as_ref().map(AccessLog::sampler),
            app,
            fields: RefCell::default(),
            scratch: RefCell::new(Vec::with_capacity(SCRATCH_BYTES)),
            closing: Cell::new(false),
            aside_permits: Arc::new(Semaphore::new(ASIDE_MAX)),
        }
    }

    /// The way of a request from `peer`: answered, and counted when its answer is there.
    #[inline]
    pub(super) fn serve(self: &Rc<Worker>, listener: Listener, peer: &Peer, request: Request<Incoming>) -> Reply {
        let mut noted = Noted {
            begun: Instant::now(),
            route: NO_ROUTE,
            framing: Framing::Length,
            reader: Reader::Anybody,
            asked: None,
        };
        let mut reply = self.caught(|| self.answer(listener, peer, request, &mut noted));
        // hyper drops chunks that nobody reads, and what it takes for trailers with them (see `body`): nothing after
        // them is taken for a request.
        if noted.framing == Framing::Chunked {
            reply = reply.closing();
        }
        if let Reply::Now(Some(answer)) = &mut reply {
            self.done(noted, answer);
            return reply;
        }
        Meter::new(Rc::clone(self), noted).over(reply)
    }

    /// Counts an answer that is there, and logs it where the request was noted.
    #[inline]
    pub(super) fn done(&self, noted: Noted, answer: &mut Answer) {
        let Noted { begun, route, reader, asked, .. } = noted;
        if reader != Reader::Anybody
            && let Some(cors) = &self.app.cors
        {
            cors.mark(reader, answer);
        }
        if self.closing.get() {
            answer::close(answer);
        }
        let duration = begun.elapsed();
        self.counters.answered(route, answer.status(), duration);
        if let (Some(asked), Some(sampler)) = (asked, &self.sampler) {
            sampler.answered(asked, route, answer, duration);
        }
    }

    /// The reply that `make` makes, or 500 where it panics, which would end the connection without an answer.
    #[inline]
    pub(super) fn caught(&self, make: impl FnOnce() -> Reply) -> Reply {
        catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| Reply::now(self.panicked()))
    }

    fn panicked(&self) -> Answer {
        self.counters.panics.add(1);
        answer::closing(answer::bug())
    }

    /// From a request to its answer, or to what has to be waited for; notes its route, and what the log is to have.
    #[inline]
    fn answer(
        self: &Rc<Worker>,
        listener: Listener,
        peer: &Peer,
        request: Request<Incoming>,
        noted: &mut Noted,
    ) -> Reply {
        // Not before: a request that was looked at is copied when it is handed on (+35 instructions, logged or not).
        noted.asked =
            self.sampler.as_ref().and_then(|sampler| sampler.choose(&self.app.trusted_proxies, *peer, &request));
        match head::check(&request) {
            Ok(framing) => noted.framing = framing,
            Err(reason) => return Reply::now(refuse(reason)),
        }
        let headers = request.headers();
        if let (Some(cors), true) = (&self.app.cors, listener != Listener::Admin) {
            noted.reader = cors.reader(headers);
        }
        let path = match route::normalize(request.uri().path()) {
            Ok(path) => path,
            Err(error) => return Reply::now(no_route(&error)),
        };
        let route = match Route::parse(listener, request.method(), &path) {
            Ok(route) => route,
            Err(NoRoute::MethodNotAllowed { allow })
                if let Some(answer) = cors::preflight(noted.reader, request.method(), headers, allow) =>
            {
                return Reply::now(answer);
            }
            Err(error) => {
                let target = head::check_target(request.method(), &path);
                return Reply::now(target.map_or_else(refuse, |()| no_route(&error)));
            }
        };
        noted.route = route.number();
        if let Some(keys) = &self.app.api_keys
            && route.is_of_data()
        {
            match keys.check(headers) {
                Ok(name) => self.counters.key_used(name),
                Err(reason) => return Reply::now(answer::unauthorized(reason)),
            }
        }
        Reply::now(match route {
            Route::Shipment { carrier, tracking_number } => shipments::one(self, headers, &carrier, &tracking_number),
            Route::ShipmentsWithNumber { tracking_number } => shipments::all(self, headers, &tracking_number),
            Route::Shipments => return pages::shipments(self, *peer, request.uri(), headers),
            Route::Facets => return pages::facets(self, headers, request.uri().query()),
            Route::Lookup => return lookup::batch(self, request),
            Route::Dataset => shipments::dataset(self, headers),
            Route::List => return list::page(self, *peer, request.uri(), headers),
            Route::ListWithoutSlash => list::redirect(request.uri().query()),
            Route::Track => site::track(headers),
            Route::Browse => site::browse(headers),
            Route::Docs => docs::page(headers),
            Route::DocsAsset { asset } => docs::asset(headers, &asset),
            Route::OpenApi => docs::openapi(headers),
            Route::Live => answer::json(&serde_json::json!({"status": "live"})),
            Route::Ready => self.ready(),
            Route::Metrics => metrics::metrics(&self.app),
            Route::AdminDataset => admin::dataset(&self.app),
            Route::Reload => return admin::reload(&self.app, headers, request.uri().query()),
            Route::RollBack => return admin::roll_back(&self.app, headers, request.uri().query()),
        })
    }

    fn ready(&self) -> Answer {
        if self.app.draining.load(Ordering::Relaxed) {
            answer::unavailable("the server is shutting down")
        } else if self.app.store.load().is_none() {
            answer::loading()
        } else {
            answer::json(&serde_json::json!({"status": "ready"}))
        }
    }

    /// The answer that is the one shipment `record` of `snapshot`, or 304 if the client has it.
    #[inline]
    pub(super) fn shipment_answer(&self, snapshot: &Snapshot, headers: &HeaderMap, record: Record<'_>) -> Answer {
        self.unless_known(snapshot, headers, |scratch| Bytes::copy_from_slice(record.render_over(scratch)))
    }

    /// The answer that `render` makes from `snapshot`, or 304 if the client has it.
    #[inline]
    pub(super) fn dataset_answer(
        &self,
        snapshot: &Snapshot,
        headers: &HeaderMap,
        render: impl FnOnce(&mut Vec<u8>),
    ) -> Answer {
        self.unless_known(snapshot, headers, |scratch| {
            scratch.clear();
            render(scratch);
            Bytes::copy_from_slice(scratch)
        })
    }

    /// The answer with the body that `make` makes in the worker's scratch memory, or 304 if the client has it.
    #[inline]
    fn unless_known(
        &self,
        snapshot: &Snapshot,
        headers: &HeaderMap,
        make: impl FnOnce(&mut Vec<u8>) -> Bytes,
    ) -> Answer {
        self.with_fields(snapshot, |fields| {
            if etag::is_known(headers, fields.etag()) {
                return fields.not_modified();
            }
            let mut scratch = self.scratch.borrow_mut();
            let body = make(&mut scratch);
            scratch.truncate(SCRATCH_BYTES);
            scratch.shrink_to(SCRATCH_BYTES);
            fields.answer(body)
        })
    }

    /// 304, if the client has the answers from `snapshot`.
    pub(super) fn not_modified(&self, snapshot: &Snapshot, headers: &HeaderMap) -> Option<Answer> {
        self.with_fields(snapshot, |fields| etag::is_known(headers, fields.etag()).then(|| fields.not_modified()))
    }

    /// The answer that `make` makes from `snapshot` on a thread of its own, or 304 if the client has it. For what takes
    /// long: the requests of this thread don't wait for it.
    pub(super) fn dataset_answer_aside(
        self: &Rc<Worker>,
        snapshot: Arc<Snapshot>,
        headers: &HeaderMap,
        make: impl FnOnce(&Snapshot) -> Result<Vec<u8>, Box<Answer>> + Send + 'static,
    ) -> Reply {
        match self.not_modified(&snapshot, headers) {
            Some(answer) => Reply::now(answer),
            None => self.aside(snapshot, make),
        }
    }

    /// The answer that `make` makes from `snapshot` on a thread of its own.
    pub(super) fn aside(
        self: &Rc<Worker>,
        snapshot: Arc<Snapshot>,
        make: impl FnOnce(&Snapshot) -> Result<Vec<u8>, Box<Answer>> + Send + 'static,
    ) -> Reply {
        let worker = Rc::clone(self);
        Reply::later(async move {
            // An error would mean that the semaphore is closed, which it never is.
            let permit = Arc::clone(&worker.aside_permits).acquire_owned().await;
            let task = tokio::task::spawn_blocking(move || {
                let body = make(&snapshot).map(|body| (snapshot, body));
                // Not before, though the client may have gone.
                drop(permit);
                body
            });
            match task.await {
                Ok(Ok((snapshot, body))) => worker.with_fields(&snapshot, |fields| fields.answer(body.into())),
                Ok(Err(answer)) => *answer,
                Err(_) => worker.panicked(),
            }
        })
    }

    /// What `use_fields` makes of the header fields of answers from `snapshot`.
    #[inline]
    pub(super) fn with_fields<T>(&self, snapshot: &Snapshot, use_fields: impl FnOnce(&DatasetFields) -> T) -> T {
        let mut cached = self.fields.borrow_mut();
        if cached.0 != snapshot.generation {
            *cached = (snapshot.generation, DatasetFields::new(etag::of_version(&snapshot.summary.version)));
        }
        use_fields(&cached.1)
    }
}

/// The answer to a request that must not be forwarded, as the last on its connection.
fn refuse(reason: &str) -> Answer {
    answer::closing(answer::problem(Code::InvalidParameter, reason))
}

fn no_route(error: &NoRoute) -> Answer {
    match error {
        NoRoute::NotFound => answer::problem(Code::RouteNotFound, "nothing is at this path"),
        NoRoute::MethodNotAllowed { allow } => answer::method_not_allowed(allow),
        NoRoute::Undecodable { parameter, reason } => {
            answer::problem(Code::InvalidParameter, &format!("{parameter}: {reason}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Service;
    use crate::reload::{ReloadSettings, Reloader};
    use crate::store::Store;
    use hyper::server::conn::http1;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::runtime::{Builder, LocalOptions};

    /// All that comes for a request after which the connection ends.
    async fn ask(worker: &Rc<Worker>, fields: &str) -> String {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let service = Service::new(Listener::Public, Rc::clone(worker));
        tokio::task::spawn_local(http1::Builder::new().serve_connection(TokioIo::new(server), service));
        let request = format!("GET /v1/shipments/dhl/tn12345678 HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[test]
    #[expect(clippy::await_holding_refcell_ref, reason = "that is the fault")]
    fn a_panic_is_answered_500_counted_and_ends_its_connection_alone() {
        let settings = ReloadSettings::new(concat!(env!("CARGO_MANIFEST_DIR"), "/seed_data.csv").into());
        let store = Arc::new(Store::default());
        let (reloader, first_load) = Reloader::start(settings, Arc::clone(&store), Box::new(|_| ())).unwrap();
        assert!(first_load.blocking_recv().unwrap().is_ok());
        let worker = Rc::new(Worker::new(Arc::new(App::new(store, reloader))));
        let runtime = Builder::new_current_thread().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            // Whoever needs the fields panics while they are borrowed.
            let borrowed = worker.fields.borrow_mut();
            let answer = ask(&worker, "").await;
            assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("connection: close"), "{answer}");
            assert!(answer.contains(r#""code":"internal""#), "{answer}");
            drop(borrowed);
            assert!(ask(&worker, "Connection: close\r\n").await.starts_with("HTTP/1.1 200 "));
        });
        assert_eq!(worker.counters.panics.get(), 1);
    }
}
