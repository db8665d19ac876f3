//! A worker: the state that the requests of one thread share.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;

use crate::batch::{RESPONSE_BYTES_MAX, SHIPMENT_BYTES_MAX};
use crate::dataset::{Export, Outline, OutlineLimits};
use crate::http::access::{RateOf, Refusal};
use crate::http::app::App;
use crate::http::budget::{Exhausted, TINY_BYTES_MAX};
use crate::http::offload::large_body::{Description, EXPORT_PAUSE, LargeBody, PART_BYTES};
use crate::http::offload::pace::Pace;
use crate::http::offload::threads::{NotDone, Offload};
use crate::http::request::forwarded::{self, Peer};
use crate::http::response::body::Body;
use crate::http::response::dataset::{DatasetFields, Variant};
use crate::http::response::download::download;
use crate::http::response::problem::{self, Code};
use crate::http::response::reply::Reply;
use crate::http::response::{self, Response};
use crate::http::streams::turns::Streams;
use crate::http::telemetry::access_log::{AccessLog, Sampler};
use crate::http::telemetry::counters::Counters;
use crate::http::wait::waiting::Waits;
use crate::store::Snapshot;

/// The state that the requests of one thread share.
pub struct Worker {
    pub(crate) app: Arc<App>,
    pub(crate) counters: Arc<Counters>,
    /// Chooses the requests that are logged, where some are.
    pub(crate) sampler: Option<Sampler>,
    /// Whose responses are the last on their connections.
    pub(crate) ending: Cell<Ending>,
    /// The header fields for a generation and the one before, which may be served too, by what responses show: made once per
    /// worker, since copies of shared ones would contend.
    fields: [RefCell<(u64, [DatasetFields; Variant::ALL.len()])>; 2],
    /// Where responses are rendered before they are copied at their size.
    scratch: RefCell<Vec<u8>>,
    /// Where responses are made that take long.
    pub(crate) offload: Offload,
    /// Those who wait for shipments to change.
    pub(crate) waits: Rc<Waits>,
    /// The streams of changes.
    pub(crate) streams: Rc<Streams>,
}

/// Whose responses are the last on their connections, since the process ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nobody's.
    #[default]
    No,
    /// Those to all requests but `/livez` and `/readyz`, by which others learn of the end.
    ButProbes,
    /// Those to all requests.
    All,
}

/// What was made for a response on a blocking thread.
pub(crate) enum Made {
    /// The body.
    Body(Vec<u8>, Variant),
    /// The body, unless the client has it, with a tag of its own.
    Tagged(Box<DatasetFields>, Option<Vec<u8>>),
    /// The body's outline.
    Outline(Outline, Variant),
    /// An export, and its first part.
    Export(Box<Export>, Vec<u8>),
    /// The client has what it would get.
    NotModified,
    /// There is no such response, and why.
    Problem(Code, String),
    /// The caller may not have it.
    Refused(Refusal),
}

/// Bytes of a response that is made at once and not in parts.
pub(crate) const WHOLE_BYTES_MAX: usize = 256 << 10;
/// Limits of a page or batch that is made on the worker; others are offloaded.
pub(crate) const SHORT: OutlineLimits =
    OutlineLimits { bytes_max: WHOLE_BYTES_MAX as u64, shipment_bytes_max: WHOLE_BYTES_MAX as u64, articles_max: 2000 };
/// Limits of any page or batch: one shipment may have any number of articles.
pub(crate) const LONG: OutlineLimits = OutlineLimits {
    bytes_max: RESPONSE_BYTES_MAX as u64,
    shipment_bytes_max: SHIPMENT_BYTES_MAX as u64,
    articles_max: u64::MAX,
};
/// Memory that a worker keeps for rendering.
const SCRATCH_BYTES: usize = 16 << 10;

impl Worker {
    /// A worker of `app`, for the calling thread.
    pub fn new(app: Arc<App>) -> Worker {
        Worker {
            counters: app.add_counters(),
            sampler: app.access_log.as_ref().map(AccessLog::sampler),
            app,
            fields: Default::default(),
            scratch: RefCell::new(Vec::with_capacity(SCRATCH_BYTES)),
            ending: Cell::default(),
            offload: Offload::new(),
            waits: Rc::default(),
            streams: Rc::default(),
        }
    }

    /// The client of a request, whose turn it is to have work offloaded.
    pub(crate) fn client(&self, peer: Peer, headers: &HeaderMap) -> Peer {
        forwarded::client(&self.app.trusted_proxies, peer, headers)
    }

    /// The reply of `respond` from the snapshot whose dataset has `version`, or from the current one.
    #[inline]
    pub(crate) fn reply_from(&self, version: Option<&str>, respond: impl FnOnce(&Arc<Snapshot>) -> Reply) -> Reply {
        let current = self.app.store.load();
        let Some(snapshot) = current.as_ref() else { return Reply::now(problem::loading()) };
        let is_current = |asked: &&str| *asked == snapshot.summary.version;
        let Some(version) = version.filter(|asked| !is_current(asked)) else { return respond(snapshot) };
        match self.app.store.at_version(version) {
            Some(snapshot) => respond(&snapshot),
            None => Reply::now(problem::version_gone(&snapshot.summary.version)),
        }
    }

    /// The header fields of ordinary responses from `snapshot`.
    #[inline]
    pub(crate) fn dataset_fields(&self, snapshot: &Snapshot) -> Ref<'_, DatasetFields> {
        self.variant_fields(snapshot, Variant::Ordinary)
    }

    /// The header fields of responses from `snapshot` that show `variant` of it.
    #[inline]
    pub(crate) fn variant_fields(&self, snapshot: &Snapshot, variant: Variant) -> Ref<'_, DatasetFields> {
        let of_generation = &self.fields[snapshot.generation as usize % self.fields.len()];
        let mut fields = of_generation.borrow();
        if fields.0 != snapshot.generation {
            drop(fields);
            make_fields(snapshot, of_generation);
            fields = of_generation.borrow();
        }
        Ref::map(fields, |(_, fields)| &fields[variant as usize])
    }

    /// Memory to render in, with whatever was rendered there last.
    #[inline]
    pub(crate) fn scratch(&self) -> Scratch<'_> {
        Scratch(self.scratch.borrow_mut())
    }

    /// The response with what `render` appends, from `snapshot`; 304 if the client has it.
    #[inline]
    pub(crate) fn dataset_response(
        &self,
        snapshot: &Snapshot,
        headers: &HeaderMap,
        render: impl FnOnce(&mut Vec<u8>),
    ) -> Response {
        let fields = self.dataset_fields(snapshot);
        if fields.are_known(headers) {
            return fields.not_modified();
        }
        let mut scratch = self.scratch();
        scratch.clear();
        render(&mut scratch);
        self.ok(&fields, &scratch)
    }

    /// 200 with `fields` and a copy of `body`, if there is memory for it.
    #[inline]
    pub(crate) fn ok(&self, fields: &DatasetFields, body: &[u8]) -> Response {
        if body.len() <= TINY_BYTES_MAX {
            return fields.ok(Body::Whole(Bytes::copy_from_slice(body)));
        }
        self.app.budget.keep(body).map_or_else(|Exhausted| exhausted(), |body| fields.ok(Body::Whole(body)))
    }

    /// The response to `client` with what `prepare` makes from `snapshot` on a blocking thread, for what takes long: the
    /// requests of this thread don't wait for it.
    pub(crate) fn offload(
        self: &Rc<Worker>,
        client: Peer,
        snapshot: Arc<Snapshot>,
        prepare: impl FnOnce(&Snapshot) -> Made + Send + 'static,
    ) -> Reply {
        let worker = Rc::clone(self);
        Reply::later(async move {
            let work = move || {
                let mut made = prepare(&snapshot);
                if let Made::Outline(outline, variant) = made {
                    let is_small = outline.bytes() <= WHOLE_BYTES_MAX as u64;
                    made = if is_small {
                        Made::Body(snapshot.dataset.render(outline), variant)
                    } else {
                        Made::Outline(outline, variant)
                    };
                }
                (snapshot, made)
            };
            let (snapshot, made) = match worker.offload.run(client, work).await {
                Ok(done) => done,
                Err(NotDone::Busy) => return busy(),
                Err(NotDone::Panicked) => return worker.panicked(),
            };
            worker.made(&snapshot, client, made)
        })
    }

    /// The response to `client` with what was made from `snapshot`.
    pub(crate) fn made(&self, snapshot: &Arc<Snapshot>, client: Peer, made: Made) -> Response {
        match made {
            Made::Body(body, variant) => self.ok(&self.variant_fields(snapshot, variant), &body),
            Made::Tagged(fields, body) => body.map_or_else(|| fields.not_modified(), |body| self.ok(&fields, &body)),
            Made::Outline(outline, variant) => {
                self.large(&self.variant_fields(snapshot, variant), client, snapshot, outline)
            }
            Made::Export(export, first) => {
                self.export(&self.dataset_fields(snapshot), client, snapshot, *export, first)
            }
            Made::NotModified => self.dataset_fields(snapshot).not_modified(),
            Made::Problem(code, detail) => problem::response(code, &detail),
            Made::Refused(refusal) => self.refuse(&refusal),
        }
    }

    /// The response to a request that is not let through, which is counted if its client is too fast.
    #[cold]
    pub(crate) fn refuse(&self, refusal: &Refusal) -> Response {
        self.counters.clients_limited.add(u64::from(matches!(refusal, Refusal::TooEarly { of: RateOf::Client, .. })));
        problem::refusal(refusal)
    }

    fn large(&self, fields: &DatasetFields, client: Peer, snapshot: &Arc<Snapshot>, outline: Outline) -> Response {
        let bytes = outline.bytes();
        match self.large_body(client, snapshot, outline, None) {
            Ok(parts) => fields.ok(Body::in_parts(Box::new(parts), bytes)),
            Err(Exhausted) => exhausted(),
        }
    }

    fn export(
        &self,
        fields: &DatasetFields,
        client: Peer,
        snapshot: &Arc<Snapshot>,
        export: Export,
        first: Vec<u8>,
    ) -> Response {
        let format = export.format();
        let body = if first.len() < PART_BYTES {
            self.app.budget.keep(&first).map(Body::Whole)
        } else {
            let pace = Pace::new(EXPORT_PAUSE, &self.app);
            self.large_body(client, snapshot, export, Some(pace))
                .map(|parts| Body::of_unknown_length(self.app.budget.keep_made(first), Box::new(parts)))
        };
        body.map_or_else(|Exhausted| exhausted(), |body| download(fields, &snapshot.summary.version, format, body))
    }

    fn large_body<D: Description>(
        &self,
        client: Peer,
        snapshot: &Arc<Snapshot>,
        description: D,
        pace: Option<Pace>,
    ) -> Result<LargeBody<D>, Exhausted> {
        let lease = self.app.store.lease(Arc::clone(snapshot), None);
        LargeBody::new(&self.offload, client, lease, description, pace, &self.app.budget)
    }

    /// The result of `make`, or `otherwise` of a 500 where it panics, which would end the connection without a
    /// response.
    #[inline]
    pub(crate) fn catch_panic<T>(&self, make: impl FnOnce() -> T, otherwise: impl FnOnce(Response) -> T) -> T {
        catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| otherwise(self.panicked()))
    }

    #[cold]
    fn panicked(&self) -> Response {
        self.counters.panics.add(1);
        response::closing(problem::bug())
    }
}

#[cold]
fn make_fields(snapshot: &Snapshot, fields: &RefCell<(u64, [DatasetFields; Variant::ALL.len()])>) {
    let made = Variant::ALL.map(|variant| DatasetFields::new(&snapshot.summary.version, variant));
    *fields.borrow_mut() = (snapshot.generation, made);
}

/// The response where too much other work waits.
#[cold]
pub(crate) fn busy() -> Response {
    problem::overloaded("too many requests wait for work that takes long")
}

/// The response where there is no memory for another one.
#[cold]
pub(crate) fn exhausted() -> Response {
    problem::overloaded("too much waits to be taken by clients")
}

/// Memory that is lent for rendering, and cut to its usual size when it is given back.
pub(crate) struct Scratch<'w>(RefMut<'w, Vec<u8>>);

impl Deref for Scratch<'_> {
    type Target = Vec<u8>;

    #[inline]
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Scratch<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Scratch<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.truncate(SCRATCH_BYTES);
        self.0.shrink_to(SCRATCH_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::pipeline::Service;
    use crate::http::request::route::Listener;
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
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        response
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
            // A handler that needs the fields panics while they are borrowed.
            let borrowed = worker.fields[1].borrow_mut();
            let response = ask(&worker, "").await;
            assert!(response.starts_with("HTTP/1.1 500 ") && response.contains("connection: close"), "{response}");
            assert!(response.contains(r#""code":"internal""#), "{response}");
            drop(borrowed);
            assert!(ask(&worker, "Connection: close\r\n").await.starts_with("HTTP/1.1 200 "));
        });
        assert_eq!(worker.counters.panics.get(), 1);
    }
}
