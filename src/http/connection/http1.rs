//! One connection with HTTP/1: hyper over its socket, bounded in memory by buffers of known size.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;

use crate::http::activity::{CommandSlot, ConnectionCommand, HEAD_BYTES_MAX};
use crate::http::connection::arrived::{ALL, Arrived};
use crate::http::connection::fast_path::{FastPath, HYPERS_TURN, TURN_MAX};
use crate::http::connection::registry::Registered;
use crate::http::connection::socket::{Buffers, Socket};
use crate::http::connection::stream::Stream;
use crate::http::connection::transport::Transport;
use crate::http::pipeline::Service;
use crate::http::response::Response;
use crate::http::response::body::{Body, Guard};
use crate::http::response::reply::Reply;
use crate::http::worker::{Ending, Worker};

/// Bytes that hyper buffers of one connection.
const BUFFER_BYTES_MAX: usize = 16 << 10;

/// The HTTP/1 server of one thread.
pub(crate) struct Http1 {
    builder: http1::Builder,
    buffers: Rc<Buffers>,
    with_fast_path: bool,
    fast_path: Rc<FastPath>,
}

impl Http1 {
    /// For connections of clients of `worker`, with the limits of this module. Without the fast path all is hyper's.
    pub(crate) fn new(worker: Rc<Worker>, with_fast_path: bool) -> Http1 {
        let mut builder = http1::Builder::new();
        // The sweep does this, without a timer per request.
        builder.header_read_timeout(None);
        // A client that sends no more may close its side and still gets its responses.
        builder.half_close(true);
        builder.max_buf_size(BUFFER_BYTES_MAX).max_header_size(HEAD_BYTES_MAX);
        Http1 { builder, buffers: Rc::default(), with_fast_path, fast_path: Rc::new(FastPath::new(worker)) }
    }

    /// A connection over `stream`, which is run by polling it until it ends.
    pub(crate) fn run<S: Stream>(&self, registered: &Registered, stream: S, service: Service) -> Connection {
        let budget = Arc::clone(&service.worker().app.budget);
        let arrived = Arrived::new(self.with_fast_path && FastPath::is_for(&service));
        let socket = Rc::new(Socket::new(stream, service.peer(), arrived, Rc::clone(&self.buffers), budget));
        registered.watch(Rc::clone(&socket) as Rc<_>);
        let socket: Rc<Socket> = socket;
        let worker = Rc::clone(service.worker());
        let tracked = TrackedService { service, socket: Rc::clone(&socket) };
        let http = self.builder.serve_connection(Transport(Rc::clone(&socket)), tracked);
        let (command, fast_path) = (Rc::clone(&registered.command), Rc::clone(&self.fast_path));
        Connection { http: Some(http), fast_path, socket, worker, command, is_draining: false, lingers: false }
    }
}

/// One connection, run turn by turn.
pub(crate) struct Connection {
    /// None once hyper is done and only unsent bytes remain.
    http: Option<http1::Connection<Transport, TrackedService>>,
    fast_path: Rc<FastPath>,
    socket: Rc<Socket>,
    worker: Rc<Worker>,
    command: Rc<CommandSlot>,
    is_draining: bool,
    /// True when the client is to close the connection, since it may still be sending.
    lingers: bool,
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let command = this.command.poll_command(cx);
        if command == ConnectionCommand::End {
            this.socket.reset_on_close();
            return Poll::Ready(());
        }
        if let Some(http) = &mut this.http {
            let mut turn = take_turns(http, &this.fast_path, &this.socket, cx);
            let is_to_drain = command == ConnectionCommand::Drain && !this.is_draining;
            // Requests that have arrived get their responses first: hyper would end a new connection without.
            if turn.is_pending() && is_to_drain && !this.socket.has_more_to_read() {
                this.is_draining = true;
                if this.socket.is_between_requests() {
                    this.socket.arrived.borrow_mut().give_to_hyper(ALL);
                    turn = Pin::new(&mut *http).poll(cx).map(drop);
                }
                if turn.is_pending() {
                    Pin::new(&mut *http).graceful_shutdown();
                    turn = Pin::new(&mut *http).poll(cx).map(drop);
                }
            }
            if turn.is_ready() {
                this.http = None;
                if this.socket.is_broken_off() {
                    this.socket.reset_on_close();
                    return Poll::Ready(());
                }
                this.lingers = this.socket.has_unread_body()
                    || this.worker.ending.get() != Ending::No && this.socket.response_may_race();
            }
        }
        match this.socket.send(cx) {
            Poll::Ready(Ok(())) if this.http.is_some() => Poll::Pending,
            Poll::Ready(Ok(())) if this.lingers => this.socket.poll_lingering_close(cx),
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Lets the fast path and hyper go on, as long as either has something to do. Ready when hyper is done.
#[inline]
fn take_turns(
    http: &mut http1::Connection<Transport, TrackedService>,
    fast_path: &FastPath,
    socket: &Socket,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let mut turn_left = TURN_MAX;
    loop {
        if socket.is_between_requests() && fast_path.poll(socket, &mut turn_left, cx).is_pending() {
            return Poll::Pending;
        }
        // An error is the client's: malformed bytes or a connection that broke off. hyper has responded to it.
        if Pin::new(&mut *http).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !socket.is_between_requests() {
            return Poll::Pending;
        }
        turn_left = turn_left.saturating_sub(HYPERS_TURN);
    }
}

/// A service that tells the socket how its requests come along.
struct TrackedService {
    service: Service,
    socket: Rc<Socket>,
}

impl hyper::service::Service<Request<Incoming>> for TrackedService {
    type Response = Response;
    type Error = Infallible;
    type Future = TrackedReply;

    #[inline]
    fn call(&self, request: Request<Incoming>) -> TrackedReply {
        self.socket.response_begun(!request.body().is_end_stream());
        let reply = self.service.reply(request);
        let waiting = match &reply {
            Reply::Now(Some(response)) if matches!(response.body(), Body::Whole(_)) => {
                self.socket.response_ready();
                None
            }
            Reply::Now(_) | Reply::Later(_) => Some(Rc::clone(&self.socket)),
            Reply::AfterBody(_) => {
                self.socket.body_awaited();
                Some(Rc::clone(&self.socket))
            }
        };
        TrackedReply { reply, waiting }
    }
}

/// A reply, and the socket where that waits for it.
struct TrackedReply {
    reply: Reply,
    waiting: Option<Rc<Socket>>,
}

impl Future for TrackedReply {
    type Output = Result<Response, Infallible>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let TrackedReply { reply, waiting } = &mut *self;
        let Some(socket) = waiting else { return Pin::new(reply).poll(cx) };
        let mut response = ready!(reply.poll_response(cx, |is_whole| socket.body_ended(is_whole)));
        match response.body_mut() {
            Body::Whole(_) => socket.response_ready(),
            Body::InParts(body) => body.keep(BeingMade(Rc::clone(socket))),
        }
        Poll::Ready(Ok(response))
    }
}

/// A response whose parts are being made, until dropped: its connection is not idle between them.
struct BeingMade(Rc<Socket>);

impl Guard for BeingMade {
    fn broken_off(&self) {
        self.0.break_off();
    }
}

impl Drop for BeingMade {
    fn drop(&mut self) {
        self.0.response_ready();
    }
}
