//! The socket of a connection with HTTP/1 as hyper sees it.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;

use crate::http::activity::UNSENT_BYTES_MAX;
use crate::http::connection::socket::Socket;

/// A socket as hyper sees it: it has what is due to it, and no byte more.
pub(crate) struct Transport(pub(crate) Rc<Socket>);

impl hyper::rt::Read for Transport {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let socket = &self.0;
        let arrived = &mut *socket.arrived.borrow_mut();
        let due = arrived.due();
        if due == 0 {
            // The connection's turn goes on without hyper.
            return Poll::Pending;
        }
        if socket.unsent.borrow().len() >= UNSENT_BYTES_MAX && socket.poll_send(cx)?.is_pending() {
            return Poll::Pending;
        }
        let room = due.min(buffer.remaining());
        if !arrived.held.is_empty() {
            let held = arrived.for_hyper(room);
            let bytes = held.len();
            socket.at_end.set(ends_like_head(held));
            buffer.put_slice(held);
            arrived.release(bytes);
            arrived.got(bytes);
            if !arrived.is_all_due() {
                socket.at_end.set(arrived.has_no_request());
            }
            return Poll::Ready(Ok(()));
        }
        match &arrived.end {
            Some(Ok(())) => return Poll::Ready(Ok(())),
            Some(Err(_)) => return Poll::Ready(arrived.end.replace(Ok(())).unwrap_or(Ok(()))),
            None => {}
        }
        let mut scratch = socket.buffers.read.borrow_mut();
        let room = room.min(scratch.len());
        let bytes = ready!(socket.poll_stream_read(cx, &mut scratch[..room]))?;
        if bytes > 0 {
            socket.head_begun();
        }
        socket.at_end.set(ends_like_head(&scratch[..bytes]));
        buffer.put_slice(&scratch[..bytes]);
        arrived.got(bytes);
        Poll::Ready(Ok(()))
    }
}

/// True if `bytes` end as a request without a body does.
fn ends_like_head(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\n\r\n") || bytes.ends_with(b"\n\n")
}

impl hyper::rt::Write for Transport {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let socket = &self.0;
        let mut unsent = socket.unsent.borrow_mut();
        if unsent.len() + bytes.len() <= UNSENT_BYTES_MAX {
            if unsent.capacity() == 0 {
                *unsent = socket.buffers.lend();
            }
            unsent.extend_from_slice(bytes);
            socket.blocked.set(false);
            return Poll::Ready(Ok(bytes.len()));
        }
        drop(unsent);
        // Too much to gather: send what waits, then this directly.
        let written = match socket.poll_send(cx)? {
            Poll::Ready(()) => socket.poll_stream_write(cx, bytes),
            Poll::Pending => Poll::Pending,
        };
        socket.blocked.set(written.is_pending());
        written
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // `Socket::send` does, at the end of the turn.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0.poll_send(cx)? {
            Poll::Ready(()) => self.0.poll_stream_shutdown(cx),
            Poll::Pending => Poll::Pending,
        }
    }
}
