//! What waits to be taken by the client of a connection with HTTP/2.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use bytes::Bytes;

use crate::http::activity::{Taken, UNSENT_BYTES_MAX};
use crate::http::budget::{Budget, Reservation, TINY_BYTES_MAX};

/// What waits for the client of a connection: responses that are not handed over to hyper, and bytes that hyper has and
/// the client lets not come. Atomic, since hyper might drop the latter on any thread; it does so on the connection's.
#[derive(Default)]
pub(super) struct Sending {
    /// Responses of which there is something that is not handed over.
    pub(super) responses: AtomicUsize,
    /// Bytes that hyper has.
    bytes: AtomicUsize,
    /// Bytes of tiny responses, which are not counted elsewhere.
    tiny_bytes: AtomicUsize,
    taken_bytes: AtomicU64,
    /// How often nothing was left.
    taken_all: AtomicU64,
}

impl Sending {
    /// True if anything does.
    pub(super) fn waits(&self) -> bool {
        self.responses.load(Relaxed) + self.bytes.load(Relaxed) > 0
    }

    /// What the client has taken, while something waits.
    pub(super) fn taken(&self) -> Option<Taken> {
        let taken = || Taken { bytes: self.taken_bytes.load(Relaxed), all: self.taken_all.load(Relaxed) };
        self.waits().then(taken)
    }

    /// Notes that something waits no longer.
    pub(super) fn check_all(&self) {
        if !self.waits() {
            self.taken_all.fetch_add(1, Relaxed);
        }
    }
}

/// `bytes` to be handed over, which wait until the client has taken them: hyper has up to a chunk of each stream, whatever
/// the client lets come.
pub(super) fn in_flight(sending: &Arc<Sending>, bytes: Bytes, tiny: Option<Tiny>) -> Bytes {
    let sending = Arc::clone(sending);
    sending.bytes.fetch_add(bytes.len(), Relaxed);
    Bytes::from_owner(InFlight { bytes, sending, _tiny: tiny })
}

/// Bytes that hyper has, until the client has taken them.
struct InFlight {
    bytes: Bytes,
    sending: Arc<Sending>,
    _tiny: Option<Tiny>,
}

impl AsRef<[u8]> for InFlight {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.sending.taken_bytes.fetch_add(self.bytes.len() as u64, Relaxed);
        self.sending.bytes.fetch_sub(self.bytes.len(), Relaxed);
        self.sending.check_all();
    }
}

/// The bytes of a tiny response, until the client has taken them. What a connection has of them beyond a few is counted.
pub(super) struct Tiny {
    sending: Arc<Sending>,
    bytes: usize,
    _reservation: Option<Reservation>,
}

impl Tiny {
    /// Those of a response of `bytes` bytes, if that is tiny.
    pub(super) fn new(sending: &Arc<Sending>, budget: &Arc<Budget>, bytes: u64) -> Option<Tiny> {
        let bytes = usize::try_from(bytes).ok().filter(|bytes| (1..=TINY_BYTES_MAX).contains(bytes))?;
        let is_beyond = sending.tiny_bytes.fetch_add(bytes, Relaxed) + bytes > UNSENT_BYTES_MAX;
        let sending = Arc::clone(sending);
        Some(Tiny { sending, bytes, _reservation: is_beyond.then(|| budget.hold(bytes)) })
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        self.sending.tiny_bytes.fetch_sub(self.bytes, Relaxed);
    }
}
