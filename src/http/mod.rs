//! Request → route → answer.
//!
//! [`server`] accepts connections and drains them, `connection` bounds each in time and memory, `Worker::answer`
//! here is the pipeline of one request, and the other modules have one resource each.

mod admin;
pub mod answer;
mod connection;
mod etag;
pub mod route;
pub mod server;
mod shipments;
mod socket;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::{HeaderMap, Request};

use crate::reload::Reloader;
use crate::store::{Snapshot, Store};
use answer::{Answer, Code, DatasetFields};
use route::{Listener, NoRoute, Route};

/// What all workers share.
pub struct App {
    /// The dataset that is served.
    pub store: Arc<Store>,
    /// Who loads the next one.
    pub reloader: Reloader,
    /// Set when the process begins to end: `/readyz` says so.
    pub draining: AtomicBool,
}

/// What the requests of one thread share.
pub struct Worker {
    app: Arc<App>,
    /// The header fields for a generation: made once per worker, since copies of shared ones would contend.
    fields: RefCell<(u64, DatasetFields)>,
    /// Where answers are rendered before they are copied at their size.
    scratch: RefCell<Vec<u8>>,
    /// Whether each answer is the last on its connection.
    closing: Cell<bool>,
}

/// Memory that a worker keeps for rendering.
const SCRATCH_BYTES: usize = 16 << 10;

impl Worker {
    /// A worker of `app`, for the calling thread.
    pub fn new(app: Arc<App>) -> Worker {
        Worker {
            app,
            fields: RefCell::default(),
            scratch: RefCell::new(Vec::with_capacity(SCRATCH_BYTES)),
            closing: Cell::new(false),
        }
    }

    /// The whole way of a request, but for what has to wait.
    fn answer<B>(&self, listener: Listener, request: &Request<B>) -> Reply {
        let headers = request.headers();
        let path = match route::normalize(request.uri().path()) {
            Ok(path) => path,
            Err(error) => return Reply::now(no_route(&error)),
        };
        let route = match Route::parse(listener, request.method(), &path) {
            Ok(route) => route,
            Err(error) => return Reply::now(no_route(&error)),
        };
        Reply::now(match route {
            Route::Shipment { carrier, tracking_number } => shipments::one(self, headers, &carrier, &tracking_number),
            Route::ShipmentsWithNumber { tracking_number } => shipments::all(self, headers, &tracking_number),
            Route::Dataset => shipments::dataset(self, headers),
            Route::Live => answer::json(&serde_json::json!({"status": "live"})),
            Route::Ready => self.ready(),
            Route::AdminDataset => admin::dataset(&self.app),
            Route::Reload => return admin::reload(&self.app, headers, request.uri().query()),
            Route::RollBack => return admin::roll_back(&self.app, headers, request.uri().query()),
        })
    }

    fn ready(&self) -> Answer {
        if self.app.draining.load(Ordering::Relaxed) {
            answer::unavailable("the server is shutting down")
        } else if self.app.store.load().is_none() {
            answer::unavailable("the dataset is being loaded")
        } else {
            answer::json(&serde_json::json!({"status": "ready"}))
        }
    }

    /// The answer that `render` makes from `snapshot`, or 304 if the client has it.
    #[inline]
    fn dataset_answer(&self, snapshot: &Snapshot, headers: &HeaderMap, render: impl FnOnce(&mut Vec<u8>)) -> Answer {
        let mut cached = self.fields.borrow_mut();
        if cached.0 != snapshot.generation {
            *cached = (snapshot.generation, DatasetFields::new(etag::of_version(&snapshot.summary.version)));
        }
        let fields = &cached.1;
        if etag::is_known(headers, fields.etag()) {
            return fields.not_modified();
        }
        let mut scratch = self.scratch.borrow_mut();
        scratch.clear();
        render(&mut scratch);
        let body = Bytes::copy_from_slice(&scratch);
        scratch.shrink_to(SCRATCH_BYTES);
        fields.answer(body)
    }
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

/// Answers the requests of one listener on one worker.
#[derive(Clone)]
pub struct Service {
    listener: Listener,
    worker: Rc<Worker>,
}

impl Service {
    /// The service behind `listener`.
    pub fn new(listener: Listener, worker: Rc<Worker>) -> Service {
        Service { listener, worker }
    }
}

impl<B> hyper::service::Service<Request<B>> for Service {
    type Response = Answer;
    type Error = Infallible;
    type Future = Reply;

    #[inline]
    fn call(&self, request: Request<B>) -> Reply {
        // A panic would end the connection without an answer.
        let result = catch_unwind(AssertUnwindSafe(|| self.worker.answer(self.listener, &request)));
        let mut reply = result.unwrap_or_else(|_| {
            let mut answer = answer::problem(Code::Internal, "a bug in the server; its log has the message");
            answer::close(&mut answer);
            Reply::now(answer)
        });
        if let Reply::Now(Some(answer)) = &mut reply
            && self.worker.closing.get()
        {
            answer::close(answer);
        }
        reply
    }
}

/// An answer, now or later: most are there at once and cost no boxed future.
pub enum Reply {
    /// Until it was taken.
    Now(Option<Answer>),
    /// What waits for the loader.
    Later(Pin<Box<dyn Future<Output = Answer>>>),
}

impl Reply {
    #[inline]
    fn now(answer: Answer) -> Reply {
        Reply::Now(Some(answer))
    }

    fn later(answer: impl Future<Output = Answer> + 'static) -> Reply {
        Reply::Later(Box::pin(answer))
    }
}

impl Future for Reply {
    type Output = Result<Answer, Infallible>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Reply::Now(answer) => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None => Poll::Pending,
            },
            Reply::Later(answer) => answer.as_mut().poll(cx).map(Ok),
        }
    }
}
