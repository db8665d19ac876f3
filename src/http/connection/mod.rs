//! Connections: those of a thread, and the choice of protocol for each.

mod answers;
mod arrived;
mod fast_path;
mod frames;
mod head;
mod http1;
mod http2;
pub mod places;
pub(crate) mod registry;
mod sending;
mod socket;
mod stream;
mod transport;

use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::http::activity::{ConnectionCommand, TimeLimits};
use crate::http::connection::http1::Http1;
use crate::http::connection::http2::Http2;
use crate::http::connection::places::Places;
use crate::http::connection::registry::{Registered, Registry};
use crate::http::connection::stream::Stream;
use crate::http::pipeline::Service;
use crate::http::tls::{Protocol, Tls};
use crate::http::worker::{Ending, Worker};

/// The connections of one thread.
pub(crate) struct Connections {
    /// All that are open.
    pub(crate) registry: Rc<Registry>,
    worker: Rc<Worker>,
    tls: Option<Arc<Tls>>,
    http1: Http1,
    http2: Http2,
}

/// Runs one connection with HTTP/1 over `stream` until it ends, without limits in time: for tests that compare the fast
/// path with hyper.
#[doc(hidden)]
pub async fn run_http1(stream: UnixStream, service: Service, with_fast_path: bool) {
    let worker = Rc::clone(service.worker());
    let [header, idle, body, write] = [Duration::MAX; 4];
    let limits = TimeLimits { header, idle, body, write };
    let registry = Rc::new(Registry::new(limits, Arc::clone(&worker.counters), Places::new(1, 1)));
    let registered = registry.register();
    Http1::new(worker, with_fast_path).run(&registered, stream, service).await;
}

impl Connections {
    /// None yet; those that come are of clients of `worker`, within `limits`, have `places`, and use TLS if there
    /// is `tls`.
    pub(crate) fn new(
        limits: TimeLimits,
        worker: Rc<Worker>,
        tls: Option<Arc<Tls>>,
        places: Arc<Places>,
    ) -> Rc<Connections> {
        let registry = Rc::new(Registry::new(limits, Arc::clone(&worker.counters), places));
        let http1 = Http1::new(Rc::clone(&worker), true);
        Rc::new(Connections { registry, worker, tls, http1, http2: Http2::new() })
    }

    /// Enforces the limits in time of connections, of what waits to be offloaded, and of those who wait for changes;
    /// wakes streams of changes.
    pub(crate) fn sweep(&self, now: Instant) {
        self.registry.sweep(now);
        self.worker.offload.sweep(now);
        let Worker { app, waits, streams, ending, .. } = &*self.worker;
        let ends_all = ending.get() == Ending::All;
        waits.sweep(app, now, ends_all);
        streams.sweep(app, now, ends_all);
    }

    /// Runs a connection over `stream` until it ends. Its place, `permit`, is given back then. The connection counts from now on,
    /// though its turns come when the future is polled: what all connections are told, it is told too.
    pub(crate) fn run<S: Stream>(
        self: Rc<Self>,
        stream: S,
        service: Service,
        permit: Option<OwnedSemaphorePermit>,
    ) -> impl Future<Output = ()> + use<S> {
        let registered = self.registry.register();
        async move {
            match &self.tls {
                None => self.http1.run(&registered, stream, service).await,
                // Boxed, so that a connection without TLS does not have the size of one with it.
                Some(tls) => Box::pin(self.run_over_tls(tls, &registered, stream, service)).await,
            }
            drop((registered, permit));
        }
    }

    /// The same after a TLS handshake, in the protocol that was agreed on.
    async fn run_over_tls<S: Stream>(&self, tls: &Tls, registered: &Registered, stream: S, service: Service) {
        let mut handshake = std::pin::pin!(tls.accept(stream));
        let handshake = std::future::poll_fn(|cx| match registered.command.poll_command(cx) {
            ConnectionCommand::Serve => handshake.as_mut().poll(cx).map(Some),
            ConnectionCommand::Drain | ConnectionCommand::End => Poll::Ready(None),
        });
        match handshake.await {
            Some(Ok((Protocol::Http1, stream))) => self.http1.run(registered, stream, service).await,
            Some(Ok((Protocol::Http2, stream))) => self.http2.run(registered, stream, service).await,
            // The client speaks another protocol, or has gone. Counted before the connection ends.
            Some(Err(_stream)) => self.worker.counters.failed_handshakes.add(1),
            None => {}
        }
    }
}
