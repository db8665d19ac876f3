//! Accepting connections and shutting down in good order: a runtime per core, one accept loop for every listener.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::LocalOptions;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::http::activity::TimeLimits;
use crate::http::app::App;
use crate::http::connection::Connections;
use crate::http::connection::places::Places;
use crate::http::listener::{Accepted, Acceptor, Socket};
use crate::http::offload::threads;
use crate::http::pipeline::Service;
use crate::http::request::forwarded::Peer;
use crate::http::request::route::Listener;
use crate::http::tls::Tls;
use crate::http::worker::{Ending, Worker};
use crate::mutex;
use crate::thread::lower_thread_priority;

/// Ticks to wait after failed accepts, at most: the wait doubles from one tick to this.
const ACCEPT_BACKOFF_TICKS_MAX: u32 = 4;

/// Added to the scheduling niceness of blocking threads, so that what is short goes first.
const BLOCKING_NICENESS: i32 = 5;

/// Limits of a server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections of the public listener, over all threads.
    pub connections_max: usize,
    /// How long a connection may be doing what it does.
    pub time: TimeLimits,
}

/// How far a server is on its way to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The first dataset is being loaded. Connections are accepted where clients are not to wait for it.
    #[default]
    Loading,
    /// Connections are accepted.
    Open,
    /// Connections are accepted. Each response is the last on its connection, but for those to probes.
    Retiring,
    /// None is accepted any more. Requests on their way get a response, the last on its connection.
    StopAccepting,
    /// Connections end as soon as they are idle; new ones after their first request, or a second.
    Draining,
    /// Whatever is left is cut off.
    Ended,
}

/// The clock that all workers follow. Only the control thread has timers: a worker's runtime without them does less
/// work each time it waits for the network (some 5 % of a lookup's instructions).
#[derive(Clone, Copy, Debug, Default)]
pub struct Tick {
    /// The stage that workers are to be in.
    pub stage: Stage,
    /// Changes every [`TICK_INTERVAL`].
    pub count: u64,
}

/// Time between two ticks: how late a time limit may come.
pub const TICK_INTERVAL: Duration = Duration::from_millis(250);

/// How long the stage [`Stage::StopAccepting`] lasts.
pub const STOP_ACCEPTING_TIME: Duration = Duration::from_millis(100);

/// One accept loop of a listener, and all that it needs.
pub struct Endpoint {
    /// Which requests it takes.
    pub listener: Listener,
    /// The bound socket.
    pub socket: Socket,
    /// True if no connection is accepted before [`Stage::Open`].
    pub awaits_data: bool,
    /// True if connections that wait to be accepted in the end are those of a process that follows on the socket.
    pub leaves_queue: bool,
    /// The state that all workers share.
    pub app: Arc<App>,
    /// The places for connections of all threads of its listener.
    pub places: Arc<Places>,
    /// Index of the thread among them.
    pub thread: usize,
    /// Certificates, where its connections use TLS.
    pub tls: Option<Arc<Tls>>,
    /// Its limits.
    pub limits: Limits,
    /// The clock to follow.
    pub tick: watch::Receiver<Tick>,
}

/// Serves `endpoint` on the calling thread until it has ended. Returns how many connections were cut off then.
pub fn run(endpoint: Endpoint) -> io::Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .max_blocking_threads(threads::THREADS_MAX)
        .on_thread_start(|| lower_thread_priority(BLOCKING_NICENESS))
        .build_local(LocalOptions::default())?;
    let cut_off = runtime.block_on(serve(endpoint));
    // Responses that are still being made have no client left: dropping the runtime would wait for them.
    runtime.shutdown_background();
    cut_off
}

async fn serve(endpoint: Endpoint) -> io::Result<usize> {
    let Endpoint { listener, socket, awaits_data, leaves_queue, app, places, thread, tls, limits, mut tick } = endpoint;
    if awaits_data {
        // An error means the end.
        let _ = tick.wait_for(|tick| tick.stage >= Stage::Open).await;
        if app.store.load().is_none() {
            return Ok(0);
        }
    }
    // Not before: a socket that does not listen yet has nothing to wait for.
    let socket = socket.acceptor()?;
    let worker = Rc::new(Worker::new(app));
    let connections = Connections::new(limits.time, Rc::clone(&worker), tls, Arc::clone(&places));
    let accept = Accept {
        socket,
        leaves_queue,
        places: Arc::clone(&places),
        accepted: Cell::default(),
        connections: Rc::clone(&connections),
        service: Service::new(listener, Rc::clone(&worker)),
        tick: tick.clone(),
    };
    let note_idle = || places.note_idle(thread, connections.registry.idle_since());
    let open = async {
        follow(&mut tick, Stage::Retiring, &connections, note_idle).await;
        worker.ending.set(Ending::ButProbes);
        follow(&mut tick, Stage::StopAccepting, &connections, note_idle).await;
    };
    tokio::select! {
        () = open => {}
        never = accept.all() => match never {},
        never = evict(&places, thread, &connections) => match never {},
    }
    worker.ending.set(Ending::All);
    accept.rest().await;
    let one_at_a_time = mutex::lock(&worker.app.closing);
    drop(accept);
    drop(one_at_a_time);
    follow(&mut tick, Stage::Draining, &connections, || ()).await;
    connections.registry.drain(Instant::now());
    tokio::select! {
        () = follow(&mut tick, Stage::Ended, &connections, || ()) => {}
        () = connections.registry.emptied() => {}
    }
    Ok(connections.registry.len())
}

/// Enforces the connections' time limits at each tick, after which it calls `swept`, until `stage` has come.
async fn follow(tick: &mut watch::Receiver<Tick>, stage: Stage, connections: &Connections, swept: impl Fn()) {
    while tick.borrow_and_update().stage < stage {
        connections.sweep(Instant::now());
        swept();
        if tick.changed().await.is_err() {
            return;
        }
    }
}

/// Ends idle connections of this thread that others are to have the places of.
async fn evict(places: &Places, thread: usize, connections: &Connections) -> Infallible {
    loop {
        for _ in 0..places.wanted_of(thread).await {
            connections.registry.evict_longest_idle();
        }
        places.note_idle(thread, connections.registry.idle_since());
    }
}

/// The accept loop.
struct Accept {
    socket: Acceptor,
    leaves_queue: bool,
    places: Arc<Places>,
    /// A connection that waits for a place. Kept here, for the end may come while it waits.
    accepted: Cell<Option<Accepted>>,
    connections: Rc<Connections>,
    service: Service,
    tick: watch::Receiver<Tick>,
}

impl Accept {
    async fn all(&self) -> Infallible {
        let mut backoff_ticks = 1;
        loop {
            match self.next().await {
                Ok((accepted, permit)) => {
                    backoff_ticks = 1;
                    self.spawn(accepted, Some(permit));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.service.worker().counters.accept_errors.add(1);
                    tracing::warn!(%error, "cannot accept connections; trying again");
                    self.wait(backoff_ticks).await;
                    backoff_ticks = (backoff_ticks * 2).min(ACCEPT_BACKOFF_TICKS_MAX);
                }
            }
        }
    }

    /// The next connection and a place for it. Without one nothing more is accepted: clients wait in the backlog. The
    /// place comes second, or threads without clients would keep places from those with some.
    async fn next(&self) -> io::Result<(Accepted, OwnedSemaphorePermit)> {
        self.accepted.set(Some(std::future::poll_fn(|cx| self.socket.poll_accept(cx)).await?));
        // As long as no connection is idle, the next tick may find one.
        let place = self.places.take(|| self.wait(1)).await;
        match self.accepted.take() {
            Some(accepted) => Ok((accepted, place)),
            // It is taken nowhere else while this waits.
            None => std::future::pending().await,
        }
    }

    async fn wait(&self, ticks: u32) {
        let mut tick = self.tick.clone();
        for _ in 0..ticks {
            tick.mark_unchanged();
            // An error means the end, which the caller sees by the stage.
            let _ = tick.changed().await;
        }
    }

    /// Accepts what the kernel has completed already, unless another process will: closing the listener would reset it.
    async fn rest(&self) {
        if let Some(accepted) = self.accepted.take() {
            // It has waited for a place, and would be reset: rather one too many.
            self.spawn(accepted, self.places.try_take());
        }
        if self.leaves_queue {
            return;
        }
        let accept_now = std::future::poll_fn(|cx| match self.socket.poll_accept(cx) {
            Poll::Ready(Ok(accepted)) => Poll::Ready(Some(accepted)),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(None),
        });
        // However many they are: tokio would have a task yield after a while.
        let mut accept_now = tokio::task::unconstrained(accept_now);
        while let Some(permit) = self.places.try_take() {
            let Some(accepted) = (&mut accept_now).await else { return };
            self.spawn(accepted, Some(permit));
        }
    }

    fn spawn(&self, accepted: Accepted, permit: Option<OwnedSemaphorePermit>) {
        let connections = Rc::clone(&self.connections);
        match accepted {
            Accepted::Tcp(stream, address) => {
                // Responses are written whole: waiting to fill a segment would only delay them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection ended before it was served");
                    return;
                }
                tokio::task::spawn_local(connections.run(stream, self.service.with_peer(Peer::Ip(address)), permit));
            }
            Accepted::Unix(stream) => {
                tokio::task::spawn_local(connections.run(stream, self.service.with_peer(Peer::Unix), permit));
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
