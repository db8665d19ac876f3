//! What has arrived on a connection and was neither answered nor handed over to hyper.

use std::io;

use bytes::{Buf, BytesMut};

/// All bytes from here on, as an amount that is hyper's.
pub(super) const ALL: usize = usize::MAX;

/// Bytes that have arrived, and whose they are. hyper gets one request at a time, so that its buffer is known to be
/// empty between two.
pub(super) struct Arrived {
    /// Read but not used: it begins where a request does, or with what is hyper's.
    pub(super) held: BytesMut,
    /// The first bytes of `held` that were parsed, where they are the beginning of a head. hyper gets them first, and so
    /// finds in it what it would have.
    pub(super) partial: usize,
    /// Bytes that are hyper's, held or not read yet.
    due: usize,
    /// True if hyper waits for a request, having answered all that it got.
    hyper_waits: bool,
    /// The end of the stream, if that was met.
    pub(super) end: Option<io::Result<()>>,
}

impl Arrived {
    /// Of a new connection; everything on it is hyper's unless it `is_shared`.
    pub(super) fn new(is_shared: bool) -> Arrived {
        let due = if is_shared { 0 } else { ALL };
        Arrived { held: BytesMut::new(), partial: 0, due, hyper_waits: is_shared, end: None }
    }

    /// True if the next byte begins a request and nothing before it is on its way.
    #[inline]
    pub(super) fn is_between_requests(&self) -> bool {
        self.hyper_waits
    }

    /// Gives the next `bytes` bytes to hyper.
    pub(super) fn give_to_hyper(&mut self, bytes: usize) {
        (self.due, self.hyper_waits) = (bytes, false);
    }

    /// Bytes that hyper may have now. None, and it waits for the next request.
    #[inline]
    pub(super) fn due(&mut self) -> usize {
        self.hyper_waits = self.due == 0;
        self.due
    }

    /// Notes that hyper has got `bytes` of what is due.
    #[inline]
    pub(super) fn got(&mut self, bytes: usize) {
        if self.due != ALL {
            self.due -= bytes;
        }
    }

    /// True if hyper gets all that comes.
    #[inline]
    pub(super) fn is_all_due(&self) -> bool {
        self.due == ALL
    }

    /// Held bytes for hyper, `bytes_max` at most.
    pub(super) fn for_hyper(&self, bytes_max: usize) -> &[u8] {
        let all = if self.partial > 0 { self.partial } else { self.held.len() };
        &self.held[..all.min(bytes_max)]
    }

    /// True if nothing is held but blank lines, which may stand before a request (RFC 9112, section 2.2).
    pub(super) fn has_no_request(&self) -> bool {
        self.held.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
    }

    /// Lets go of the first `bytes` held bytes.
    pub(super) fn release(&mut self, bytes: usize) {
        self.partial = self.partial.saturating_sub(bytes);
        self.held.advance(bytes);
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
    }
}
