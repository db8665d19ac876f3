//! One connection: hyper over its socket, bounded in memory by buffers of known size and in time by a sweep.
//!
//! No request sets a timer. Each turn only notes what the connection is doing, and a sweep of all connections of the
//! thread, at each beat of the pulse, ends those that have done the same for too long.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use slab::Slab;
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::answer::Answer;
use super::counters::Counters;
use super::socket::{Buffers, Phase, Socket, Transport};
use super::{Reply, Service};

/// Bytes of a request's head: the request line and all header fields.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Bytes that hyper buffers of one connection.
const BUFFER_BYTES_MAX: usize = 16 << 10;

/// How long a connection may be doing what it does.
#[derive(Clone, Debug)]
pub struct TimeLimits {
    /// Sending a request's head, from the first byte, or from the connection's start, to the last.
    pub header: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// Sending a request's body, from its head to its last byte; and ending a connection whose body was refused.
    pub body: Duration,
    /// Taking none of an answer's bytes.
    pub write: Duration,
}

impl TimeLimits {
    fn of(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::Idle => Some(self.idle),
            Phase::Head => Some(self.header),
            Phase::Body | Phase::Linger => Some(self.body),
            Phase::Write => Some(self.write),
            // The server's own time.
            Phase::Answer => None,
        }
    }
}

/// What a connection was told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Serve,
    /// End after the request that is being answered.
    Finish,
    /// End now.
    End,
}

/// One connection as its thread's [`Connections`] sees it.
struct Entry {
    socket: Rc<Socket>,
    order: Rc<Cell<Order>>,
    waker: Rc<RefCell<Option<Waker>>>,
    /// The socket's progress at a sweep, and the time of the first sweep that saw it.
    seen: (u64, Instant),
}

impl Entry {
    fn tell(&self, order: Order) {
        self.order.set(self.order.get().max(order));
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// All connections of one thread.
pub(super) struct Connections {
    entries: RefCell<Slab<Entry>>,
    limits: TimeLimits,
    counters: Arc<Counters>,
    emptied: Notify,
    builder: http1::Builder,
    buffers: Rc<Buffers>,
}

impl Connections {
    pub(super) fn new(limits: TimeLimits, counters: Arc<Counters>) -> Rc<Connections> {
        let mut builder = http1::Builder::new();
        // The sweep does this, without a timer per request.
        builder.header_read_timeout(None);
        // A client that has no more to ask may close its side and still gets its answers.
        builder.half_close(true);
        builder.max_buf_size(BUFFER_BYTES_MAX).max_header_size(HEAD_BYTES_MAX);
        Rc::new(Connections {
            entries: RefCell::default(),
            limits,
            counters,
            emptied: Notify::new(),
            builder,
            buffers: Rc::default(),
        })
    }

    /// Serves `stream` until it ends. `permit` is given back then.
    pub(super) async fn serve(self: Rc<Self>, stream: TcpStream, service: Service, permit: OwnedSemaphorePermit) {
        let socket = Rc::new(Socket::new(stream, Rc::clone(&self.buffers)));
        let order = Rc::new(Cell::new(Order::Serve));
        let waker = Rc::default();
        let key = self.entries.borrow_mut().insert(Entry {
            socket: Rc::clone(&socket),
            order: Rc::clone(&order),
            waker: Rc::clone(&waker),
            seen: (0, Instant::now()),
        });
        self.counters.accepted.add(1);
        let registered = Registered { connections: Rc::clone(&self), key };
        let tracked = Tracked { service, socket: Rc::clone(&socket) };
        let http = self.builder.serve_connection(Transport(Rc::clone(&socket)), tracked);
        Connection { http: Some(http), socket, order, waker, finishing: false, lingering: false }.await;
        drop((registered, permit));
    }

    /// Ends connections whose time is up.
    pub(super) fn sweep(&self, now: Instant) {
        for (_, entry) in self.entries.borrow_mut().iter_mut() {
            let progress = entry.socket.progress();
            if entry.seen.0 != progress {
                entry.seen = (progress, now);
            } else if self.limits.of(entry.socket.phase()).is_some_and(|limit| now - entry.seen.1 >= limit) {
                self.counters.timed_out[entry.socket.phase() as usize].add(1);
                entry.tell(Order::End);
            }
        }
    }

    /// Lets each connection finish what it is doing, then end.
    pub(super) fn finish(&self) {
        for (_, entry) in self.entries.borrow().iter() {
            entry.tell(Order::Finish);
        }
    }

    /// What their thread counts.
    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Open connections.
    pub(super) fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Waits until there are none.
    pub(super) async fn emptied(&self) {
        while self.len() > 0 {
            self.emptied.notified().await;
        }
    }
}

/// Takes its entry out when dropped.
struct Registered {
    connections: Rc<Connections>,
    key: usize,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut entries = self.connections.entries.borrow_mut();
        entries.remove(self.key);
        self.connections.counters.closed.add(1);
        if entries.is_empty() {
            self.connections.emptied.notify_one();
        }
    }
}

/// Runs one connection, turn by turn.
struct Connection {
    /// None once hyper is done and only unsent bytes remain.
    http: Option<http1::Connection<Transport, Tracked>>,
    socket: Rc<Socket>,
    order: Rc<Cell<Order>>,
    waker: Rc<RefCell<Option<Waker>>>,
    finishing: bool,
    /// Whether the client is to end the connection, since it may still be sending.
    lingering: bool,
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.waker.borrow().as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            *this.waker.borrow_mut() = Some(cx.waker().clone());
        }
        if this.order.get() == Order::End {
            return Poll::Ready(());
        }
        if let Some(http) = &mut this.http {
            let mut turn = Pin::new(&mut *http).poll(cx);
            if turn.is_pending() && this.order.get() == Order::Finish && !this.finishing {
                this.finishing = true;
                Pin::new(&mut *http).graceful_shutdown();
                turn = Pin::new(&mut *http).poll(cx);
            }
            if turn.is_ready() {
                // An error is the client's: malformed bytes or a connection that broke off. hyper has answered it.
                this.http = None;
                this.lingering = this.socket.has_unread_body();
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
