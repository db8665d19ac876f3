//! Frames of HTTP/2 that ask for work without being part of a request: some are normal, a flood of them is an attack
//! (RFC 9113, section 10.5). hyper answers each and tells nobody, so they are counted on their way to it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::telemetry::counters::Counters;

/// Bytes that a client sends before its first frame (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;
/// Bytes before a frame's payload: length, type, flags, stream (RFC 9113, section 4.1).
const HEADER_BYTES: usize = 9;
/// Types of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// Frames that a client may send at once without a request.
const FRAMES_MAX: f64 = 1000.0;
/// Frames that it may send more in each second, with each request, and with each byte that it takes: with little flow
/// control windows it opens them often.
const FRAMES_PER_SECOND: f64 = 100.0;
const FRAMES_PER_REQUEST: f64 = 4.0;
const FRAMES_PER_BYTE_TAKEN: f64 = 1.0 / 1024.0;

/// A stream whose connection ends when its client floods it with frames.
pub(crate) struct CountedFrames<S> {
    stream: S,
    counters: Arc<Counters>,
    frames: Frames,
    allowance: Allowance,
}

impl<S> CountedFrames<S> {
    /// `stream`, from its first byte on. Connections that end because of a flood are counted in `counters`.
    pub(crate) fn new(stream: S, counters: Arc<Counters>) -> CountedFrames<S> {
        CountedFrames { stream, counters, frames: Frames::default(), allowance: Allowance::new(Instant::now()) }
    }
}

/// Finds the frames among the bytes of a connection.
struct Frames {
    /// Bytes that are not of the next frame's header: the preface, or a payload.
    skip: usize,
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
}

impl Default for Frames {
    fn default() -> Frames {
        Frames { skip: PREFACE_BYTES, header: [0; HEADER_BYTES], header_bytes: 0 }
    }
}

impl Frames {
    /// Calls `on_frame` with the type and the payload's size of each frame whose header is complete with `bytes`.
    fn read(&mut self, mut bytes: &[u8], mut on_frame: impl FnMut(u8, usize)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let part = (HEADER_BYTES - self.header_bytes).min(bytes.len());
            self.header[self.header_bytes..][..part].copy_from_slice(&bytes[..part]);
            self.header_bytes += part;
            bytes = &bytes[part..];
            if self.header_bytes == HEADER_BYTES {
                let [a, b, c, kind, ..] = self.header;
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                self.header_bytes = 0;
                on_frame(kind, self.skip);
            }
        }
    }
}

/// The frames that a client may still send.
struct Allowance {
    frames: f64,
    since: Instant,
}

impl Allowance {
    fn new(now: Instant) -> Allowance {
        Allowance { frames: FRAMES_MAX, since: now }
    }

    fn add(&mut self, frames: f64) {
        self.frames = (self.frames + frames).min(FRAMES_MAX);
    }

    fn frame(&mut self, kind: u8, payload_bytes: usize) {
        match kind {
            HEADERS => self.add(FRAMES_PER_REQUEST),
            DATA if payload_bytes > 0 => {}
            _ => self.frames -= 1.0,
        }
    }

    /// True if the client has sent more than it may by `now`.
    fn is_exceeded(&mut self, now: impl FnOnce() -> Instant) -> bool {
        if self.frames < 0.0 {
            let now = now();
            self.add((now - self.since).as_secs_f64() * FRAMES_PER_SECOND);
            self.since = now;
        }
        self.frames < 0.0
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedFrames<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        this.frames.read(&buffer.filled()[before..], |kind, bytes| this.allowance.frame(kind, bytes));
        if this.allowance.is_exceeded(Instant::now) {
            this.counters.floods.add(1);
            return Poll::Ready(Err(io::Error::other("the client floods the connection with frames")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> CountedFrames<S> {
    fn count_taken(&mut self, written: &io::Result<usize>) {
        if let Ok(bytes) = written {
            self.allowance.add(*bytes as f64 * FRAMES_PER_BYTE_TAKEN);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CountedFrames<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.count_taken(&written);
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bytes));
        self.count_taken(&written);
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const PING: u8 = 6;

    fn frame(kind: u8, payload_bytes: usize) -> Vec<u8> {
        let length = (payload_bytes as u32).to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, 0, 0, 0, 0, 1];
        frame.resize(HEADER_BYTES + payload_bytes, 0xff);
        frame
    }

    proptest! {
        #[test]
        fn frames_are_found_however_their_bytes_arrive(
            sent in proptest::collection::vec((0..12_u8, 0..70_usize), 0..20), split in 1..40_usize,
        ) {
            let mut bytes = vec![b'P'; PREFACE_BYTES];
            bytes.extend(sent.iter().flat_map(|(kind, payload_bytes)| frame(*kind, *payload_bytes)));
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for part in bytes.chunks(split) {
                frames.read(part, |kind, payload_bytes| found.push((kind, payload_bytes)));
            }
            prop_assert_eq!(found, sent);
        }
    }

    #[test]
    fn a_flood_is_what_comes_without_requests_faster_than_time_allows() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let pings = |allowance: &mut Allowance, count: usize, at: Duration| {
            (0..count).for_each(|_| allowance.frame(PING, 8));
            allowance.is_exceeded(|| start + at)
        };
        assert!(!pings(&mut allowance, 1000, Duration::ZERO));
        assert!(!pings(&mut allowance, 100, Duration::from_secs(1)));
        assert!(pings(&mut allowance, 101, Duration::from_secs(2)));
        let mut busy = Allowance::new(start);
        for _ in 0..10_000 {
            busy.frame(HEADERS, 30);
            busy.frame(DATA, 30);
            assert!(!pings(&mut busy, 4, Duration::ZERO));
        }
    }
}
