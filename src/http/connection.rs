//! One connection with HTTP/1: hyper over its socket, bounded in memory by buffers of known size.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;

use super::answer::Answer;
use super::connections::{Order, Orders, Registered};
use super::socket::{Socket, Stream, Transport};
use super::{Reply, Service, Worker};

/// Bytes of a request's head: the request line and all header fields.
pub(super) const HEAD_BYTES_MAX: usize = 8 << 10;
/// Bytes that hyper buffers of one connection.
const BUFFER_BYTES_MAX: usize = 16 << 10;

/// How connections are served.
pub(super) fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The sweep does this, without a timer per request.
    builder.header_read_timeout(None);
    // A client that has no more to ask may close its side and still gets its answers.
    builder.half_close(true);
    builder.max_buf_size(BUFFER_BYTES_MAX).max_header_size(HEAD_BYTES_MAX);
    builder
}

/// Serves `stream` until it ends.
pub(super) fn serve<S: Stream>(registered: &Registered, stream: S, service: Service) -> Connection {
    let connections = &registered.connections;
    let socket = Rc::new(Socket::new(stream, Rc::clone(&connections.buffers)));
    registered.watch(Rc::clone(&socket) as Rc<_>);
    let socket: Rc<Socket> = socket;
    let tracked = Tracked { service, socket: Rc::clone(&socket) };
    let http = connections.http1.serve_connection(Transport(Rc::clone(&socket)), tracked);
    let (worker, orders) = (Rc::clone(&connections.worker), Rc::clone(&registered.orders));
    Connection { http: Some(http), socket, worker, orders, finishing: false, lingering: false }
}

/// Runs one connection, turn by turn.
pub(super) struct Connection {
    /// None once hyper is done and only unsent bytes remain.
    http: Option<http1::Connection<Transport, Tracked>>,
    socket: Rc<Socket>,
    worker: Rc<Worker>,
    orders: Rc<Orders>,
    finishing: bool,
    /// Whether the client is to end the connection, since it may still be sending.
    lingering: bool,
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let order = this.orders.heed(cx);
        if order == Order::End {
            this.socket.drop_untaken();
            return Poll::Ready(());
        }
        if let Some(http) = &mut this.http {
            let mut turn = Pin::new(&mut *http).poll(cx);
            let is_to_finish = order == Order::Finish && !this.finishing;
            // What has come is answered first. hyper would end a new connection over it.
            if turn.is_pending() && is_to_finish && !this.socket.has_more_to_read() {
                this.finishing = true;
                Pin::new(&mut *http).graceful_shutdown();
                turn = Pin::new(&mut *http).poll(cx);
            }
            if turn.is_ready() {
                // An error is the client's: malformed bytes or a connection that broke off. hyper has answered it.
                this.http = None;
                this.lingering = this.socket.has_unread_body() || this.worker.closing.get() && this.socket.may_cross();
            }
        }
        match this.socket.send(cx) {
            Poll::Ready(Ok(())) if this.http.is_some() => Poll::Pending,
            Poll::Ready(Ok(())) if this.lingering => this.socket.linger(cx),
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// A service that tells the socket where its requests are.
#[derive(Clone)]
struct Tracked {
    service: Service,
    socket: Rc<Socket>,
}

impl hyper::service::Service<Request<Incoming>> for Tracked {
    type Response = Answer;
    type Error = Infallible;
    type Future = TrackedReply;

    #[inline]
    fn call(&self, request: Request<Incoming>) -> TrackedReply {
        self.socket.answer_begun(!request.body().is_end_stream());
        let reply = hyper::service::Service::call(&self.service, request);
        let waiting = match &reply {
            Reply::Now(_) => {
                self.socket.answer_ready();
                None
            }
            Reply::Later(_) => Some(self.clone()),
            Reply::Receiving(_) => {
                self.socket.body_begun();
                Some(self.clone())
            }
        };
        TrackedReply { reply, waiting }
    }
}

impl Tracked {
    /// Waits for what is not there at once.
    fn poll(&self, reply: &mut Reply, cx: &mut Context<'_>) -> Poll<Result<Answer, Infallible>> {
        if matches!(reply, Reply::Receiving(_)) {
            self.socket.body_ended(ready!(reply.poll_body(cx)));
        }
        let answer = ready!(Pin::new(reply).poll(cx));
        self.socket.answer_ready();
        Poll::Ready(answer)
    }
}

/// A reply; `waiting` is told how it comes along.
struct TrackedReply {
    reply: Reply,
    waiting: Option<Tracked>,
}

impl Future for TrackedReply {
    type Output = Result<Answer, Infallible>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match &this.waiting {
            None => Pin::new(&mut this.reply).poll(cx),
            Some(waiting) => waiting.poll(&mut this.reply, cx),
        }
    }
}
