//! The fast path: lookups by path are answered here, in front of hyper, at half its cost.
//!
//! hyper stays the server. Only what is fully understood (`head.rs`) is answered here; any other request goes to hyper,
//! and has not been changed, counted or answered before. The answer is made by the functions that the handlers call, and
//! is byte for byte hyper's but for the date: tests and a fuzz target hold both together.
//!
//! 1. Between two requests, when hyper has nothing to do and nothing to send, the connection's turn begins here
//!    ([`FastPath::poll`]). What has arrived is taken request by request.
//! 2. A lookup is answered into the connection's outgoing buffer, behind all that hyper has written.
//! 3. Another request is given to hyper, up to its last byte. It has the turn until it asks for the next one.
//! 4. What cannot be understood, a client that has closed its side, and a server that is ending, are hyper's for good.
//!
//! A turn is bounded, and so is what waits to be taken by the client: then nothing more is read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::{Method, StatusCode, Version};

use crate::http::access::{Access, Caller, PlainLookup};
use crate::http::activity::{HEAD_BYTES_MAX, UNSENT_BYTES_MAX};
use crate::http::budget::TINY_BYTES_MAX;
use crate::http::connection::answers::{Answers, Occasion};
use crate::http::connection::arrived::{ALL, Arrived};
use crate::http::connection::head::{self, Next, Plain, Said};
use crate::http::connection::socket::{READ_BYTES, Socket};
use crate::http::handlers::shipments::{self, Lookup};
use crate::http::pipeline::Service;
use crate::http::request::correlation;
use crate::http::request::forwarded::{self, Peer};
use crate::http::request::route::{Listener, Route, RouteId};
use crate::http::telemetry::access_log::Sampler;
use crate::http::telemetry::access_log::line::Line;
use crate::http::worker::{Ending, Worker};
use crate::shipment::FoldedKey;
use crate::store::Snapshot;

/// Answers of a connection in a turn, after which others have theirs.
pub(super) const TURN_MAX: usize = 64;
/// What an answer of hyper's counts as.
pub(super) const HYPERS_TURN: usize = 4;
/// Bytes of an answer: a body that is not counted, and a head.
const ANSWER_BYTES_MAX: usize = TINY_BYTES_MAX + (1 << 10);

/// Bytes of a path that may be repeated in an answer, where it finds nothing: escapes in JSON are twice as long at most.
const MISSING_PATH_BYTES_MAX: usize = 1 << 10;

/// The fast path of one thread's connections.
pub(super) struct FastPath {
    worker: Rc<Worker>,
    answers: Answers,
}

/// What is logged of an answer.
struct Answered {
    client: Peer,
    caller: Caller,
    route: RouteId,
    status: StatusCode,
    body_bytes: usize,
    started: Instant,
    ended: Instant,
}

/// Why no more is taken of what has arrived.
enum Stop {
    /// The next request is not complete.
    Partial,
    /// It is hyper's, in so many bytes.
    Hypers(usize),
    /// The client is to take answers first.
    Full,
    /// It was this connection's turn for long enough.
    TurnOver,
}

impl FastPath {
    /// For connections whose requests `worker` answers.
    pub(super) fn new(worker: Rc<Worker>) -> FastPath {
        FastPath { answers: Answers::new(Rc::clone(&worker)), worker }
    }

    /// True if there may be lookups for it on connections of `service`.
    pub(super) fn is_for(service: &Service) -> bool {
        service.listener() == Listener::Public
    }

    /// Answers the lookups that have arrived on `socket`, which is between requests, as many as are left of its turn.
    /// Ready when it is for hyper to go on.
    pub(super) fn poll(&self, socket: &Socket, turn_left: &mut usize, cx: &mut Context<'_>) -> Poll<()> {
        let arrived = &mut *socket.arrived.borrow_mut();
        if self.worker.ending.get() != Ending::No {
            arrived.give_to_hyper(ALL);
            return Poll::Ready(());
        }
        loop {
            let stop = if arrived.held.is_empty() || arrived.partial > 0 {
                self.read(socket, arrived, turn_left, cx)
            } else {
                Poll::Ready(self.answer_held(socket, arrived, turn_left, cx))
            };
            match stop {
                Poll::Ready(Stop::Partial) => continue,
                Poll::Ready(Stop::Hypers(bytes)) => {
                    arrived.give_to_hyper(bytes);
                    return Poll::Ready(());
                }
                Poll::Ready(Stop::TurnOver) => cx.waker().wake_by_ref(),
                // Sending wakes it, or what arrives.
                Poll::Ready(Stop::Full) | Poll::Pending => {}
            }
            socket.at_end.set(arrived.has_no_request());
            return Poll::Pending;
        }
    }

    /// Reads once, and answers from where that was read to: only what is left is copied.
    #[inline]
    fn read(&self, socket: &Socket, arrived: &mut Arrived, turn_left: &mut usize, cx: &mut Context<'_>) -> Poll<Stop> {
        let scratch = &mut *socket.buffers.read.borrow_mut();
        let room = READ_BYTES - arrived.held.len();
        let read = match std::task::ready!(socket.poll_stream_read(cx, &mut scratch[..room])) {
            Ok(0) => Err(Ok(())),
            Ok(bytes) => Ok(&scratch[..bytes]),
            Err(error) => Err(Err(error)),
        };
        let read = match read {
            Ok(read) => read,
            Err(end) => {
                arrived.end = Some(end);
                return Poll::Ready(Stop::Hypers(ALL));
            }
        };
        socket.head_begun();
        if arrived.held.is_empty() {
            let (taken, stop) = self.answer(read, socket, turn_left, cx);
            if taken < read.len() {
                arrived.held.extend_from_slice(&read[taken..]);
            }
            arrived.partial = if matches!(stop, Stop::Partial) { arrived.held.len() } else { 0 };
            return Poll::Ready(stop);
        }
        let before = arrived.held.len().saturating_sub(3);
        arrived.held.extend_from_slice(read);
        // A head that comes in many small parts is not parsed at each.
        if !head::may_end(&arrived.held[before..]) {
            let is_too_long = arrived.held.len() >= HEAD_BYTES_MAX;
            return Poll::Ready(if is_too_long { Stop::Hypers(ALL) } else { Stop::Partial });
        }
        Poll::Ready(self.answer_held(socket, arrived, turn_left, cx))
    }

    fn answer_held(&self, socket: &Socket, arrived: &mut Arrived, turn_left: &mut usize, cx: &mut Context<'_>) -> Stop {
        let (taken, stop) = self.answer(&arrived.held, socket, turn_left, cx);
        arrived.release(taken);
        arrived.partial = if matches!(stop, Stop::Partial) { arrived.held.len() } else { 0 };
        stop
    }

    /// Answers the lookups that `bytes` begin with. Returns how many bytes that were, and why there are no more.
    #[inline]
    fn answer(&self, bytes: &[u8], socket: &Socket, turn_left: &mut usize, cx: &mut Context<'_>) -> (usize, Stop) {
        let mut taken = 0;
        let mut started = Instant::now();
        while taken < bytes.len() {
            if *turn_left == 0 {
                return (taken, Stop::TurnOver);
            }
            if socket.unsent.borrow().len() > UNSENT_BYTES_MAX - ANSWER_BYTES_MAX {
                match socket.poll_send(cx) {
                    Poll::Ready(Ok(())) => {}
                    // hyper meets it when it reads or writes.
                    Poll::Ready(Err(_)) => return (taken, Stop::Hypers(ALL)),
                    Poll::Pending => return (taken, Stop::Full),
                }
            }
            // It stays where it was read to: a copy costs as much as the rest of this.
            let next = head::next(&bytes[taken..]);
            let (lookup, lookup_bytes) = match &next {
                Next::Lookup(lookup, bytes) => (lookup, *bytes),
                Next::Hypers(bytes) => return (taken, Stop::Hypers(*bytes)),
                Next::Partial => return (taken, Stop::Partial),
            };
            // What panics does so again with hyper, where that is answered and counted.
            let answered = catch_unwind(AssertUnwindSafe(|| self.answer_one(lookup, started, socket)));
            let Ok(Some(ended)) = answered else { return (taken, Stop::Hypers(lookup_bytes)) };
            socket.answered();
            started = ended;
            taken += lookup_bytes;
            *turn_left -= 1;
        }
        (taken, Stop::Partial)
    }

    /// Answers `lookup`, which began at `started`. Returns when it has ended; none if it is hyper's after all.
    #[inline]
    fn answer_one(&self, lookup: &Plain<'_>, started: Instant, socket: &Socket) -> Option<Instant> {
        let worker = &*self.worker;
        let route = Route::parse(Listener::Public, worker.app.offered, &Method::GET, lookup.path).ok()?;
        let number = FoldedKey::new(&route.tracking_number);
        let current = worker.app.store.load();
        let snapshot = current.as_deref()?;
        let fields = worker.dataset_fields(snapshot);
        let mut scratch = worker.scratch();
        let is_known = || lookup.if_none_match.is_some_and(|value| fields.are_named_in(value));
        let found = shipments::look_up(snapshot, &route, &number, is_known, &mut scratch, TINY_BYTES_MAX);
        match found {
            Lookup::Long => return None,
            Lookup::Missing if lookup.path.len() > MISSING_PATH_BYTES_MAX => return None,
            _ => {}
        }
        let client = match &worker.sampler {
            None => socket.peer,
            Some(_) => self.client(lookup.said, socket.peer)?,
        };
        // It is paid for only when it is answered here.
        let caller = match &worker.app.access {
            None => Caller::Keyless,
            Some(access) => self.admit(access, lookup, started, socket.peer)?,
        };
        let request_id = lookup.request_id.and_then(correlation::id_in);
        let for_whom = Occasion { has_key: caller != Caller::Keyless, at: started, request_id };
        let mut body_bytes = 0;
        let status = match found {
            Lookup::Found(body) => {
                body_bytes = body.len();
                self.answers.ok(&mut socket.lend_unsent(), snapshot, for_whom, body, lookup.is_head);
                StatusCode::OK
            }
            Lookup::NotModified => {
                self.answers.not_modified(&mut socket.lend_unsent(), snapshot, for_whom);
                StatusCode::NOT_MODIFIED
            }
            Lookup::Missing => {
                let (status, head, body) =
                    self.answers.whole(shipments::missing(snapshot, &route, &number), for_whom)?;
                body_bytes = body.len();
                let mut out = socket.lend_unsent();
                out.extend_from_slice(&head);
                out.extend_from_slice(if lookup.is_head { &[] } else { &body });
                status
            }
            Lookup::Long => return None,
        };
        let ended = Instant::now();
        worker.counters.count_response(Some(route.id), status, ended - started);
        if let Caller::Key(name_number) = caller {
            worker.counters.count_key(name_number, status);
        }
        if let Some(sampler) = &worker.sampler {
            let answered = Answered { client, caller, route: route.id, status, body_bytes, started, ended };
            self.log(sampler, lookup, snapshot, &answered);
        }
        Some(ended)
    }

    /// Logs an answer from `snapshot`, if it is to be logged. Kept out of the way of servers that log nothing.
    #[cold]
    #[inline(never)]
    fn log(&self, sampler: &Sampler, lookup: &Plain<'_>, snapshot: &Snapshot, answered: &Answered) {
        let Answered { client, caller, route, status, body_bytes, started, ended } = *answered;
        let duration = ended - started;
        if !sampler.choose().is_some_and(|choice| choice.holds(duration)) {
            return;
        }
        let keys = self.worker.app.secrets.api_keys.as_ref();
        let line = Line {
            client,
            method: if lookup.is_head { "HEAD" } else { "GET" },
            path: lookup.path,
            version: Version::HTTP_11,
            route: Some(route),
            status,
            body_bytes: Some(if lookup.is_head { 0 } else { body_bytes as u64 }),
            duration,
            request_id: lookup.request_id.and_then(correlation::id_in),
            trace_id: lookup.traceparent.and_then(correlation::trace_in),
            key: if let Caller::Key(number) = caller { keys.map(|keys| keys.name(number)) } else { None },
            dataset: Some(&snapshot.summary.version),
        };
        sampler.log(ended, &line);
    }

    /// The client of a lookup that came from `peer`, of which proxies have `said` so much, unless hyper must be asked.
    fn client(&self, said: Said<'_>, peer: Peer) -> Option<Peer> {
        let trusted = &self.worker.app.trusted_proxies;
        match said {
            Said::More if !trusted.is_empty() => None,
            Said::List(list) if !trusted.is_empty() => Some(forwarded::client_in_list(trusted, peer, list)),
            _ => Some(peer),
        }
    }

    /// Admits a lookup that came at `at`, unless it is hyper's to decide.
    fn admit(&self, access: &Access, lookup: &Plain<'_>, at: Instant, peer: Peer) -> Option<Caller> {
        let app = &self.worker.app;
        let client = &|| self.client(lookup.said, peer).map(forwarded::one_of_network);
        let Plain { api_key, authorization, .. } = *lookup;
        access.admit_lookup(app.secrets.api_keys.as_ref(), &PlainLookup { api_key, authorization, client, at })
    }
}
