//! One connection with HTTP/2 (RFC 9113): hyper over a secured stream, its requests as streams of their own.
//!
//! The phase of the connection follows from its streams: a body that does not come counts before a response that is
//! not taken, and that before an idle connection.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HOST, HeaderValue};
use hyper::server::conn::http2;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio_rustls::server::TlsStream;

use crate::http::activity::{Activity, ConnectionCommand, HEAD_BYTES_MAX, Phase, UNSENT_BYTES_MAX};
use crate::http::connection::registry::Registered;
use crate::http::connection::socket;
use crate::http::pipeline::Service;
use crate::http::response;
use crate::http::response::reply::Reply;

/// Requests that a client may have open on one connection.
const STREAMS_MAX: u32 = 100;
/// Bytes of one request's body that may be on the way.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// Bytes of all bodies of a connection that may be on the way, or wait to be read.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// Bytes of a response that are handed over at a time, once the client lets some come.
const CHUNK_BYTES: usize = 16 << 10;

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
    pub(crate) async fn run<S: socket::Stream>(&self, registered: &Registered, stream: TlsStream<S>, service: Service) {
        let streams = Rc::new(Streams::default());
        registered.watch(Rc::clone(&streams) as Rc<_>);
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
#[derive(Default)]
struct Streams {
    /// Requests so far.
    requests: Cell<u64>,
    /// Requests whose responses are not there yet.
    responding: Cell<usize>,
    /// Responses that are there and not handed over as a whole.
    unsent: Cell<usize>,
    /// Parts of responses handed over so far.
    sent: Cell<u64>,
    /// The requests whose bodies are awaited, by number.
    receiving: RefCell<BTreeSet<u64>>,
}

impl Activity for Streams {
    fn phase(&self) -> Phase {
        if !self.receiving.borrow().is_empty() {
            Phase::Body
        } else if self.unsent.get() > 0 {
            Phase::Write
        } else if self.responding.get() > 0 {
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
            Phase::Write => self.sent.get(),
            _ => self.requests.get(),
        };
        within << 3 | phase as u64
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
        let unsent = Unsent::new(Rc::clone(&this.stream.streams));
        Poll::Ready(Ok(response.map(|body| Paced { body, rest: Bytes::new(), unsent })))
    }
}

/// A response's body that is handed over in parts, so that it shows whether the client takes them.
struct Paced {
    /// Until the first part was taken from it: all.
    body: Full<Bytes>,
    rest: Bytes,
    unsent: Unsent,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty()
            && let Some(Ok(frame)) = ready!(Pin::new(&mut self.body).poll_frame(cx))
        {
            self.rest = frame.into_data().unwrap_or_default();
        }
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let streams = &self.unsent.0;
        streams.sent.set(streams.sent.get() + 1);
        let part = CHUNK_BYTES.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(part)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64 + self.body.size_hint().exact().unwrap_or_default())
    }
}

/// A response that is not handed over as a whole, until dropped.
struct Unsent(Rc<Streams>);

impl Unsent {
    fn new(streams: Rc<Streams>) -> Unsent {
        streams.unsent.set(streams.unsent.get() + 1);
        Unsent(streams)
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.0.unsent.set(self.0.unsent.get() - 1);
    }
}
