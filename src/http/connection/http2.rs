//! One connection with HTTP/2 (RFC 9113): hyper over a secured stream, its requests as streams of their own.
//!
//! The phase of the connection follows from its streams: a body that does not come counts before a response that is
//! not taken, and that before an idle connection.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HOST, HeaderValue};
use hyper::server::conn::http2;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio_rustls::server::TlsStream;

use crate::http::activity::{Activity, ConnectionCommand, HEAD_BYTES_MAX, Phase, Taken, UNSENT_BYTES_MAX};
use crate::http::budget::Budget;
use crate::http::connection::frames::CountedFrames;
use crate::http::connection::registry::Registered;
use crate::http::connection::sending::{self, Sending, Tiny};
use crate::http::connection::stream;
use crate::http::pipeline::Service;
use crate::http::response;
use crate::http::response::reply::Reply;

/// Requests that a client may have open on one connection.
const STREAMS_MAX: u32 = 100;
/// Bytes of one request's body that may be on the way.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// Bytes of all bodies of a connection that may be on the way, or wait to be read.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// Runs the streams of a connection on its thread.
#[derive(Clone, Copy)]
pub(crate) struct LocalTasks;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalTasks {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// The HTTP/2 server of one thread.
pub(crate) struct Http2 {
    builder: http2::Builder<LocalTasks>,
}

impl Http2 {
    /// For connections with the limits of this module.
    pub(crate) fn new() -> Http2 {
        let mut builder = http2::Builder::new(LocalTasks);
        builder
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(UNSENT_BYTES_MAX);
        Http2 { builder }
    }

    /// Runs a connection over `stream` until it ends.
    pub(crate) async fn run<S: stream::Stream>(&self, registered: &Registered, stream: TlsStream<S>, service: Service) {
        let streams = Rc::new(Streams::new(Arc::clone(&service.worker().app.budget)));
        registered.watch(Rc::clone(&streams) as Rc<_>);
        let stream = CountedFrames::new(stream, Arc::clone(&service.worker().counters));
        let http = self.builder.serve_connection(TokioIo::new(stream), TrackedService { service, streams });
        let mut http = std::pin::pin!(http);
        let mut is_draining = false;
        std::future::poll_fn(|cx| {
            let command = registered.command.poll_command(cx);
            if command == ConnectionCommand::End {
                return Poll::Ready(());
            }
            if command == ConnectionCommand::Drain && !is_draining {
                is_draining = true;
                http.as_mut().graceful_shutdown();
            }
            // An error is the client's: hyper has told it.
            http.as_mut().poll(cx).map(drop)
        })
        .await;
    }
}

/// The streams of one connection.
struct Streams {
    /// The memory that may be held for clients.
    budget: Arc<Budget>,
    /// Requests so far.
    requests: Cell<u64>,
    /// Requests whose responses are not there yet.
    responding: Cell<usize>,
    /// Responses whose next part is being made.
    making: Cell<usize>,
    /// What waits for the client.
    sending: Arc<Sending>,
    /// The requests whose bodies are awaited, by number.
    receiving: RefCell<BTreeSet<u64>>,
}

impl Streams {
    /// None yet.
    fn new(budget: Arc<Budget>) -> Streams {
        Streams {
            budget,
            requests: Cell::new(0),
            responding: Cell::new(0),
            making: Cell::new(0),
            sending: Arc::default(),
            receiving: RefCell::default(),
        }
    }
}

impl Activity for Streams {
    fn phase(&self) -> Phase {
        if !self.receiving.borrow().is_empty() {
            Phase::Body
        } else if self.sending.waits() {
            Phase::Write
        } else if self.responding.get() + self.making.get() > 0 {
            Phase::Response
        } else {
            Phase::Idle
        }
    }

    fn progress(&self) -> u64 {
        let phase = self.phase();
        let within = match phase {
            // Whatever else comes: the oldest one has to end.
            Phase::Body => self.receiving.borrow().first().copied().unwrap_or_default(),
            _ => self.requests.get(),
        };
        within << 3 | phase as u64
    }

    fn taken(&self) -> Option<Taken> {
        self.sending.taken()
    }
}

/// A service that tells its connection what its streams do.
struct TrackedService {
    service: Service,
    streams: Rc<Streams>,
}

impl hyper::service::Service<Request<Incoming>> for TrackedService {
    type Response = hyper::Response<Paced>;
    type Error = Infallible;
    type Future = StreamReply;

    fn call(&self, mut request: Request<Incoming>) -> StreamReply {
        let streams = &self.streams;
        let number = streams.requests.get() + 1;
        streams.requests.set(number);
        streams.responding.set(streams.responding.get() + 1);
        name_host(&mut request);
        let is_head = request.method() == Method::HEAD;
        let reply = self.service.reply(request);
        if matches!(reply, Reply::AfterBody(_)) {
            streams.receiving.borrow_mut().insert(number);
        }
        StreamReply { reply, is_head, stream: Stream { number, streams: Rc::clone(streams) } }
    }
}

/// Says in `Host` what `:authority` says, which takes its place in HTTP/2 (RFC 9113, section 8.3.1).
fn name_host(request: &mut Request<Incoming>) {
    let authority = request.uri().authority().and_then(|named| HeaderValue::from_str(named.as_str()).ok());
    if let Some(authority) = authority {
        request.headers_mut().entry(HOST).or_insert(authority);
    }
}

/// A request that is being responded to, until dropped.
struct Stream {
    number: u64,
    streams: Rc<Streams>,
}

impl Stream {
    fn body_ended(&self) {
        self.streams.receiving.borrow_mut().remove(&self.number);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.responding.set(self.streams.responding.get() - 1);
        self.body_ended();
    }
}

/// A reply on its way.
struct StreamReply {
    reply: Reply,
    is_head: bool,
    stream: Stream,
}

impl Future for StreamReply {
    type Output = Result<hyper::Response<Paced>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let stream = &this.stream;
        let response = ready!(this.reply.poll_response(cx, |_| stream.body_ended()));
        // hyper sends a body to HEAD too, if it is given one.
        let response = if this.is_head { response::without_body(response) } else { response };
        let unsent = Unsent::new(&this.stream.streams, response.body().bytes_left());
        Poll::Ready(Ok(response.map(|body| Paced { body, unsent })))
    }
}

/// A response's body, and how much of it the client takes.
struct Paced {
    body: response::body::Body,
    unsent: Unsent,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            self.unsent.is_to_be_made(true);
            return Poll::Pending;
        };
        self.unsent.is_to_be_made(false);
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(|chunk| self.unsent.hand_over(chunk)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response that is not handed over as a whole, until dropped.
struct Unsent {
    streams: Rc<Streams>,
    /// True while it is not the client that is waited for.
    is_to_be_made: bool,
    tiny: Option<Tiny>,
}

impl Unsent {
    /// One of `bytes` bytes, if that is known.
    fn new(streams: &Rc<Streams>, bytes: Option<u64>) -> Unsent {
        streams.sending.responses.fetch_add(1, Relaxed);
        let tiny = bytes.and_then(|bytes| Tiny::new(&streams.sending, &streams.budget, bytes));
        Unsent { streams: Rc::clone(streams), is_to_be_made: false, tiny }
    }

    /// A part of it, which waits until the client has taken it.
    fn hand_over(&mut self, bytes: Bytes) -> Bytes {
        sending::in_flight(&self.streams.sending, bytes, self.tiny.take())
    }

    /// Notes whether its next part is still to be made, for which the client is not to blame.
    fn is_to_be_made(&mut self, is_to_be_made: bool) {
        if is_to_be_made == self.is_to_be_made {
            return;
        }
        self.is_to_be_made = is_to_be_made;
        let Streams { making, sending, .. } = &*self.streams;
        if is_to_be_made {
            making.set(making.get() + 1);
            sending.responses.fetch_sub(1, Relaxed);
            sending.check_all();
        } else {
            making.set(making.get() - 1);
            sending.responses.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.is_to_be_made(false);
        self.streams.sending.responses.fetch_sub(1, Relaxed);
        self.streams.sending.check_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_waited_for_only_while_something_is_there_for_it() {
        let streams = Rc::new(Streams::new(Budget::new(0)));
        let mut large = Unsent::new(&streams, Some(1 << 20));
        let before = streams.taken().unwrap();
        large.is_to_be_made(true);
        large.is_to_be_made(true);
        assert_eq!((streams.taken(), streams.phase()), (None, Phase::Response));
        large.is_to_be_made(false);
        assert!(streams.taken().unwrap().is_enough_since(before));
        drop(large);
        assert_eq!((streams.taken(), streams.phase()), (None, Phase::Idle));
    }

    #[test]
    fn what_hyper_has_counts_until_the_client_has_taken_it() {
        let budget = Budget::new(0);
        let streams = Rc::new(Streams::new(Arc::clone(&budget)));
        let mut unsent = Unsent::new(&streams, Some(3000));
        let first = unsent.hand_over(vec![7; 3000].into());
        drop(unsent);
        assert_eq!((streams.phase(), streams.taken().map(|taken| taken.bytes)), (Phase::Write, Some(0)));
        // Those beyond 64 KiB are counted.
        let others: Vec<Bytes> =
            (0..30).map(|_| Unsent::new(&streams, Some(3000)).hand_over(vec![7; 3000].into())).collect();
        assert_eq!(budget.held(), 10 * 3000);
        drop((first, others));
        assert_eq!((streams.phase(), budget.held()), (Phase::Idle, 0));
    }
}
