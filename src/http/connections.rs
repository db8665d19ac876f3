//! The connections of one thread: what each may take in time and memory, and the sweep that ends those that have done
//! the same for too long.
//!
//! No request sets a timer. Each turn only notes what the connection is doing, and a sweep of all connections of the
//! thread comes at each beat of the pulse.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::server::conn::{http1, http2};
use slab::Slab;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::counters::Counters;
use super::socket::{Buffers, Phase, Stream};
use super::streams::{self, LocalTasks};
use super::tls::{Protocol, Tls};
use super::{Service, Worker, connection};

/// How long a connection may be doing what it does.
#[derive(Clone, Debug)]
pub struct TimeLimits {
    /// Sending a request's head, from the first byte, or from the connection's start, to the last. With TLS the
    /// handshake is part of the first.
    pub header: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// Sending a request's body, from its head to its last byte; and ending a connection over which the client may
    /// still be sending: a body was refused, or the server ends.
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

/// What a sweep sees of a connection.
pub(super) trait Activity {
    /// What it is doing.
    fn phase(&self) -> Phase;
    /// Another number whenever the time for this phase begins anew.
    fn progress(&self) -> u64;
}

/// What a connection was told to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    #[default]
    Serve,
    /// End after the requests that are being answered.
    Finish,
    /// End now.
    End,
}

/// How a connection is told, at its next turn.
#[derive(Default)]
pub(super) struct Orders {
    order: Cell<Order>,
    waker: RefCell<Option<Waker>>,
}

impl Orders {
    fn tell(&self, order: Order) {
        self.order.set(self.order.get().max(order));
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Begins a turn: has the connection's task woken by the next order. The order that holds.
    #[inline]
    pub(super) fn heed(&self, cx: &Context<'_>) -> Order {
        if self.waker.borrow().as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            *self.waker.borrow_mut() = Some(cx.waker().clone());
        }
        self.order.get()
    }
}

/// One connection as its thread's [`Connections`] sees it.
struct Entry {
    /// None during the TLS handshake, which is part of the first head.
    activity: Option<Rc<dyn Activity>>,
    orders: Rc<Orders>,
    /// The connection's progress at a sweep, and the time of the first sweep that saw it.
    seen: (u64, Instant),
}

impl Entry {
    fn phase(&self) -> Phase {
        self.activity.as_ref().map_or(Phase::Head, |activity| activity.phase())
    }

    fn progress(&self) -> u64 {
        self.activity.as_ref().map_or(0, |activity| activity.progress())
    }
}

/// All connections of one thread.
pub(super) struct Connections {
    entries: RefCell<Slab<Entry>>,
    limits: TimeLimits,
    pub(super) worker: Rc<Worker>,
    emptied: Notify,
    tls: Option<Arc<Tls>>,
    pub(super) http1: http1::Builder,
    pub(super) http2: http2::Builder<LocalTasks>,
    pub(super) buffers: Rc<Buffers>,
}

impl Connections {
    pub(super) fn new(limits: TimeLimits, worker: Rc<Worker>, tls: Option<Arc<Tls>>) -> Rc<Connections> {
        Rc::new(Connections {
            entries: RefCell::default(),
            limits,
            worker,
            emptied: Notify::new(),
            tls,
            http1: connection::builder(),
            http2: streams::builder(),
            buffers: Rc::default(),
        })
    }

    /// Serves `stream` until it ends. `permit` is given back then. The connection counts from now on, though its turns
    /// come when the future is polled: what all connections are told, it is told too.
    pub(super) fn serve<S: Stream>(
        self: Rc<Self>,
        stream: S,
        service: Service,
        permit: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + use<S> {
        let registered = self.register();
        async move {
            match &self.tls {
                None => connection::serve(&registered, stream, service).await,
                // Boxed, so that a connection without TLS does not have the size of one with it.
                Some(tls) => Box::pin(secure(tls, &registered, stream, service)).await,
            }
            drop((registered, permit));
        }
    }

    fn register(self: &Rc<Self>) -> Registered {
        self.counters().accepted.add(1);
        let orders = Rc::<Orders>::default();
        let entry = Entry { activity: None, orders: Rc::clone(&orders), seen: (0, Instant::now()) };
        Registered { connections: Rc::clone(self), key: self.entries.borrow_mut().insert(entry), orders }
    }

    /// Ends connections whose time is up.
    pub(super) fn sweep(&self, now: Instant) {
        for (_, entry) in self.entries.borrow_mut().iter_mut() {
            let progress = entry.progress();
            if entry.seen.0 != progress {
                entry.seen = (progress, now);
            } else if self.limits.of(entry.phase()).is_some_and(|limit| now - entry.seen.1 >= limit) {
                self.counters().timed_out[entry.phase() as usize].add(1);
                entry.orders.tell(Order::End);
            }
        }
    }

    /// Lets each connection finish what it is doing, then end.
    pub(super) fn finish(&self) {
        for (_, entry) in self.entries.borrow().iter() {
            entry.orders.tell(Order::Finish);
        }
    }

    /// What their thread counts.
    pub(super) fn counters(&self) -> &Counters {
        &self.worker.counters
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

/// A connection among its thread's, until dropped.
pub(super) struct Registered {
    pub(super) connections: Rc<Connections>,
    key: usize,
    pub(super) orders: Rc<Orders>,
}

impl Registered {
    /// Has the sweep look at `activity` from now on.
    pub(super) fn watch(&self, activity: Rc<dyn Activity>) {
        self.connections.entries.borrow_mut()[self.key].activity = Some(activity);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut entries = self.connections.entries.borrow_mut();
        entries.remove(self.key);
        self.connections.counters().closed.add(1);
        if entries.is_empty() {
            self.connections.emptied.notify_one();
        }
    }
}

/// Serves `stream` behind a TLS handshake, in the protocol that was agreed on.
async fn secure<S: Stream>(tls: &Tls, registered: &Registered, stream: S, service: Service) {
    let mut handshake = std::pin::pin!(tls.accept(stream));
    let secured = std::future::poll_fn(|cx| match registered.orders.heed(cx) {
        Order::Serve => handshake.as_mut().poll(cx).map(Some),
        Order::Finish | Order::End => Poll::Ready(None),
    });
    match secured.await {
        Some(Ok((Protocol::Http1, stream))) => connection::serve(registered, stream, service).await,
        Some(Ok((Protocol::Http2, stream))) => streams::serve(registered, stream, service).await,
        // The client speaks another language, or has gone. Counted before the connection ends.
        Some(Err(_stream)) => registered.connections.counters().failed_handshakes.add(1),
        None => {}
    }
}
