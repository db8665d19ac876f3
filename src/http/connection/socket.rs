//! The socket of a connection with HTTP/1: responses are gathered while requests keep coming and sent together; both
//! directions are bounded.
//!
//! hyper flushes after every response, which costs a system call per response when a client pipelines. So a flush here
//! only notes; the connection's task calls [`Socket::send`] at the end of each of its turns, when hyper has seen all
//! requests that have arrived. Nothing is ever held back beyond a turn, whatever hyper still has in its buffer.

use std::cell::{Cell, RefCell, RefMut};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::ReadBuf;

use crate::http::activity::{Activity, Phase, Taken, UNSENT_BYTES_MAX};
use crate::http::budget::{Budget, Reservation};
use crate::http::connection::arrived::Arrived;
use crate::http::connection::stream::Stream;
use crate::http::request::forwarded::Peer;

/// Unused buffers for responses that a thread keeps.
const SPARE_BUFFERS_MAX: usize = 4;
/// Bytes taken from the socket at a time.
pub(super) const READ_BYTES: usize = 16 << 10;
/// Bytes that a client may still send after the last response.
const LINGER_BYTES_MAX: usize = 64 << 20;

/// How far a connection's last request is.
#[derive(Clone, Copy)]
enum RequestState {
    /// Its response is being made.
    Responding(RequestBody),
    /// Its response is there, or there was no request yet.
    Responded(RequestBody),
}

/// How far a request's body is.
#[derive(Clone, Copy)]
enum RequestBody {
    /// All of it was read, if there is one.
    Ended,
    /// It was not read so far.
    Unread,
    /// The response waits for it.
    Awaited,
    /// The rest was refused, so that the connection ends with the response.
    Refused,
}

/// A socket and what is known of its connection. Lives on one thread. Whatever it runs over, it is of one type for
/// hyper: code that is there once is inlined (300 instructions of a lookup less than with a copy for each kind of
/// stream).
pub(crate) struct Socket<S: ?Sized = dyn Stream> {
    /// Who is at its other end.
    pub(super) peer: Peer,
    /// Responses that were not sent.
    pub(super) unsent: RefCell<Vec<u8>>,
    /// Requests that were not taken.
    pub(super) arrived: RefCell<Arrived>,
    /// True when the stream may have taken bytes that it has not passed on yet, as with TLS.
    unflushed: Cell<bool>,
    phase: Cell<Phase>,
    /// Grows with each change of phase.
    progress: Cell<u64>,
    /// What the client has taken.
    taken: Cell<Taken>,
    /// The memory of `unsent`, while it is left waiting.
    reservation: RefCell<Option<Reservation>>,
    budget: Arc<Budget>,
    /// True when hyper has more to write than may wait here.
    pub(super) blocked: Cell<bool>,
    /// True when a response was broken off.
    broken_off: Cell<bool>,
    /// How far the last request is.
    request: Cell<RequestState>,
    /// Bytes that came after the last response.
    lingered_bytes: Cell<usize>,
    /// True when the bytes read last end like a request, so that no other one has begun.
    pub(super) at_end: Cell<bool>,
    pub(super) buffers: Rc<Buffers>,
    stream: RefCell<S>,
}

/// Memory that the connections of a thread share, so that what one turn touched is at hand for the next.
pub(crate) struct Buffers {
    pub(super) read: RefCell<[u8; READ_BYTES]>,
    /// Unused buffers for responses. A connection has one only while responses wait.
    responses: RefCell<Vec<Vec<u8>>>,
}

impl Default for Buffers {
    fn default() -> Buffers {
        Buffers { read: RefCell::new([0; READ_BYTES]), responses: RefCell::default() }
    }
}

impl Buffers {
    #[inline]
    pub(super) fn lend(&self) -> Vec<u8> {
        self.responses.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(UNSENT_BYTES_MAX))
    }

    #[inline]
    fn take_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut responses = self.responses.borrow_mut();
        if responses.len() < SPARE_BUFFERS_MAX {
            responses.push(buffer);
        }
    }
}

impl<S: ?Sized> Activity for Socket<S> {
    fn phase(&self) -> Phase {
        self.phase.get()
    }

    fn progress(&self) -> u64 {
        self.progress.get()
    }

    fn taken(&self) -> Option<Taken> {
        (self.phase.get() == Phase::Write).then(|| self.taken.get())
    }
}

impl<S: Stream> Socket<S> {
    /// A socket over `stream`, of a connection that shares `buffers` with others; `budget` counts what waits, and
    /// `arrived` says whose the bytes are that arrive.
    pub(crate) fn new(stream: S, peer: Peer, arrived: Arrived, buffers: Rc<Buffers>, budget: Arc<Budget>) -> Socket<S> {
        Socket {
            peer,
            unsent: RefCell::default(),
            arrived: RefCell::new(arrived),
            unflushed: Cell::new(false),
            // A new connection has as long for its first head as any other.
            phase: Cell::new(Phase::Head),
            progress: Cell::new(0),
            taken: Cell::default(),
            reservation: RefCell::default(),
            budget,
            blocked: Cell::new(false),
            broken_off: Cell::new(false),
            request: Cell::new(RequestState::Responded(RequestBody::Ended)),
            lingered_bytes: Cell::new(0),
            at_end: Cell::new(true),
            buffers,
            stream: RefCell::new(stream),
        }
    }
}

impl Socket {
    #[inline]
    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.progress.set(self.progress.get() + 1);
    }

    /// A request's head is complete. Where a request ends that `has_body` does not show in its last bytes.
    #[inline]
    pub(crate) fn response_begun(&self, has_body: bool) {
        let body = if has_body { RequestBody::Unread } else { RequestBody::Ended };
        self.request.set(RequestState::Responding(body));
        if has_body {
            self.at_end.set(true);
        }
        self.enter(Phase::Response);
    }

    /// The response needs the request's body.
    pub(crate) fn body_awaited(&self) {
        self.request.set(RequestState::Responding(RequestBody::Awaited));
        self.enter(Phase::Body);
    }

    /// No more of the body is waited for: all is there, unless the rest is not wanted.
    pub(crate) fn body_ended(&self, is_whole: bool) {
        let body = if is_whole { RequestBody::Ended } else { RequestBody::Refused };
        self.request.set(RequestState::Responding(body));
        self.at_end.set(true);
        self.enter(Phase::Response);
    }

    /// The response is there as a whole, to be written.
    #[inline]
    pub(crate) fn response_ready(&self) {
        if let RequestState::Responding(body) = self.request.get() {
            self.request.set(RequestState::Responded(body));
        }
    }

    /// True if hyper waits for a request, and all that it has written waits here to be sent or was.
    #[inline]
    pub(crate) fn is_between_requests(&self) -> bool {
        !self.blocked.get() && self.arrived.borrow().is_between_requests()
    }

    /// Bytes have come: if none were expected, a request begins.
    #[inline]
    pub(super) fn head_begun(&self) {
        if self.phase.get() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// A request without a body was answered without hyper.
    #[inline]
    pub(super) fn answered(&self) {
        self.request.set(RequestState::Responded(RequestBody::Ended));
        self.enter(Phase::Response);
    }

    /// Where responses wait, with room for some.
    #[inline]
    pub(super) fn lend_unsent(&self) -> RefMut<'_, Vec<u8>> {
        let mut unsent = self.unsent.borrow_mut();
        if unsent.capacity() == 0 {
            *unsent = self.buffers.lend();
        }
        unsent
    }

    /// Ends a turn: sends what waits, and notes what the connection is left doing.
    #[inline]
    pub(crate) fn send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.poll_send(cx);
        if sent.is_pending() || self.blocked.get() {
            self.leave_waiting();
            return sent;
        }
        // Whatever has come meanwhile.
        if self.reservation.borrow().is_some() {
            self.taken.set(Taken { all: self.taken.get().all + 1, ..self.taken.get() });
            self.reservation.take();
        }
        match (self.request.get(), self.phase.get()) {
            (RequestState::Responded(_), Phase::Response | Phase::Write) => {
                self.enter(if self.at_end.get() { Phase::Idle } else { Phase::Head });
            }
            (RequestState::Responding(RequestBody::Awaited), Phase::Write) => self.enter(Phase::Body),
            (RequestState::Responding(_), Phase::Write) => self.enter(Phase::Response),
            _ => {}
        }
        sent
    }

    /// Leaves responses waiting until the client takes some.
    #[cold]
    fn leave_waiting(&self) {
        if self.phase.get() != Phase::Write {
            self.enter(Phase::Write);
        }
        let mut reservation = self.reservation.borrow_mut();
        reservation.get_or_insert_with(|| self.budget.hold(0)).set(self.unsent.borrow().capacity());
    }

    /// True if a response may be on its way still while the client sends: it was sent just now, or the client has begun
    /// another request.
    pub(crate) fn response_may_race(&self) -> bool {
        self.progress.get() > 0 && self.phase.get() != Phase::Idle
    }

    /// True if there is something to read, though the runtime may not have heard of it yet.
    pub(crate) fn has_more_to_read(&self) -> bool {
        let stream = self.stream.borrow();
        matches!(stream.system().peek(&mut [MaybeUninit::uninit()]), Ok(1..))
    }

    /// True if the last request has a body of which a part was not read. hyper reads what is there already of a body
    /// that no handler reads; where that was all of it, the connection goes on to the next request.
    pub(crate) fn has_unread_body(&self) -> bool {
        let (RequestState::Responding(body) | RequestState::Responded(body)) = self.request.get();
        match body {
            RequestBody::Ended => false,
            RequestBody::Refused => true,
            RequestBody::Unread | RequestBody::Awaited => !matches!(self.phase.get(), Phase::Idle | Phase::Head),
        }
    }

    /// Lets the client end the connection after the last response, dropping what it still sends. A socket that is
    /// closed over unread bytes, or gets more then, is reset, which may take the response from the client (RFC 9112,
    /// section 9.6).
    pub(crate) fn poll_lingering_close(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.phase.get() != Phase::LingeringClose {
            self.enter(Phase::LingeringClose);
        }
        let mut scratch = self.buffers.read.borrow_mut();
        while self.lingered_bytes.get() < LINGER_BYTES_MAX {
            match ready!(self.poll_stream_read(cx, &mut scratch[..])) {
                Ok(0) | Err(_) => break,
                Ok(bytes) => self.lingered_bytes.set(self.lingered_bytes.get() + bytes),
            }
        }
        Poll::Ready(())
    }

    /// Notes that the response was broken off.
    #[cold]
    pub(crate) fn break_off(&self) {
        self.broken_off.set(true);
    }

    /// True if the response was broken off.
    pub(crate) fn is_broken_off(&self) -> bool {
        self.broken_off.get()
    }

    /// Has a response that the client does not take dropped with the connection. The kernel would go on offering it
    /// what it has of it, for minutes, and keep that memory. One that was broken off ends so too: to a client that takes
    /// the end of the connection for that of the response, as with HTTP/1.0, it would seem to be whole.
    pub(crate) fn reset_on_close(&self) {
        if self.phase.get() == Phase::Write || self.is_broken_off() {
            // Without it the kernel gives up later.
            let _ = self.stream.borrow().system().set_linger(Some(Duration::ZERO));
        }
    }

    #[inline]
    pub(super) fn poll_stream_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(buffer);
        ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, &mut read))?;
        Poll::Ready(Ok(read.filled().len()))
    }

    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut unsent = self.unsent.borrow_mut();
        if unsent.is_empty() {
            return self.poll_flush(cx);
        }
        let mut sent = 0;
        while sent < unsent.len() {
            match self.poll_stream_write(cx, &unsent[sent..]) {
                Poll::Ready(Ok(bytes)) => sent += bytes,
                Poll::Ready(Err(error)) => {
                    unsent.clear();
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {
                    unsent.drain(..sent);
                    return Poll::Pending;
                }
            }
        }
        self.buffers.take_back(std::mem::take(&mut unsent));
        self.poll_flush(cx)
    }

    #[inline]
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed.get() {
            ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx))?;
            self.unflushed.set(false);
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_stream_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = written {
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.taken.set(Taken { bytes: self.taken.get().bytes + written as u64, ..self.taken.get() });
            self.unflushed.set(true);
        }
        written
    }

    pub(super) fn poll_stream_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }
}
