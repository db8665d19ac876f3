//! Bodies of responses. They are handed over to hyper in parts: it copies what it is given, and over HTTP/2 the parts
//! show how much the client takes.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// Bytes that are handed over at a time.
const CHUNK_BYTES: usize = 16 << 10;

/// The body of a response.
pub enum Body {
    /// What is there and was not handed over.
    Whole(Bytes),
    /// One that is made part by part. Boxed, since responses are copied several times on their way.
    InParts(Box<InParts>),
}

/// A body that others make.
pub struct InParts {
    /// The part that is there, as far as it was not handed over.
    ready: Bytes,
    /// Bytes of the parts after it.
    bytes_to_come: u64,
    parts: Box<dyn Parts>,
    /// Dropped with the body.
    guard: Option<Box<dyn Any>>,
}

/// A body that is made part by part, as it is taken.
pub trait Parts {
    /// The next part, which is not empty. Not called after the last one. An error breaks the response off.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>>;
}

impl Body {
    /// No body.
    #[inline]
    pub fn empty() -> Body {
        Body::Whole(Bytes::new())
    }

    /// A body of `bytes` bytes, more than none, that `parts` makes.
    pub fn in_parts(parts: Box<dyn Parts>, bytes: u64) -> Body {
        Body::InParts(Box::new(InParts { ready: Bytes::new(), bytes_to_come: bytes, parts, guard: None }))
    }

    /// Bytes that were not handed over.
    #[inline]
    pub fn bytes_left(&self) -> u64 {
        match self {
            Body::Whole(left) => left.len() as u64,
            Body::InParts(body) => body.ready.len() as u64 + body.bytes_to_come,
        }
    }
}

impl InParts {
    /// Keeps `guard` until the body is handed over to its end, or given up.
    pub fn keep(&mut self, guard: impl Any) {
        self.guard = Some(Box::new(guard));
    }

    /// The next bytes to be handed over; none at the end.
    #[cold]
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.ready.is_empty() {
            if self.bytes_to_come == 0 {
                return Poll::Ready(None);
            }
            self.ready = ready!(self.parts.poll_part(cx))?;
            self.bytes_to_come = self.bytes_to_come.saturating_sub(self.ready.len() as u64);
        }
        Poll::Ready(Some(Ok(take_chunk(&mut self.ready))))
    }
}

#[inline]
fn take_chunk(bytes: &mut Bytes) -> Bytes {
    if bytes.len() <= CHUNK_BYTES { std::mem::take(bytes) } else { bytes.split_to(CHUNK_BYTES) }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    // Part of hyper's own loop: 40 instructions less.
    #[inline(always)]
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Body::Whole(left) if left.is_empty() => Poll::Ready(None),
            Body::Whole(left) => Poll::Ready(Some(Ok(Frame::data(take_chunk(left))))),
            Body::InParts(body) => body.poll_chunk(cx).map_ok(Frame::data),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match self {
            Body::Whole(left) => left.is_empty(),
            Body::InParts(_) => self.bytes_left() == 0,
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes_left())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    /// Parts of these lengths.
    struct Given(std::vec::IntoIter<usize>);

    impl Parts for Given {
        fn poll_part(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
            let part = self.0.next().map(|bytes| Bytes::from(vec![b'x'; bytes]));
            Poll::Ready(part.ok_or_else(|| io::ErrorKind::BrokenPipe.into()))
        }
    }

    async fn chunks(mut body: Body) -> Vec<usize> {
        let mut chunks = Vec::new();
        while let Some(frame) = body.frame().await {
            chunks.push(frame.unwrap().into_data().unwrap().len());
        }
        assert!(hyper::body::Body::is_end_stream(&body));
        chunks
    }

    #[tokio::test]
    async fn a_body_is_handed_over_in_chunks() {
        assert_eq!(chunks(Body::empty()).await, [0; 0]);
        assert_eq!(chunks(Body::Whole(Bytes::from_static(b"a"))).await, [1]);
        let large = Body::Whole(vec![0; 2 * CHUNK_BYTES + 1].into());
        assert_eq!(large.bytes_left(), 2 * CHUNK_BYTES as u64 + 1);
        assert_eq!(chunks(large).await, [CHUNK_BYTES, CHUNK_BYTES, 1]);
        let parts = Body::in_parts(Box::new(Given(vec![CHUNK_BYTES + 1, 2].into_iter())), CHUNK_BYTES as u64 + 3);
        assert_eq!(parts.bytes_left(), CHUNK_BYTES as u64 + 3);
        assert_eq!(chunks(parts).await, [CHUNK_BYTES, 1, 2]);
    }

    #[tokio::test]
    async fn a_body_whose_parts_cannot_be_made_breaks_off() {
        let mut body = Body::in_parts(Box::new(Given(vec![1].into_iter())), 2);
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.unwrap().is_err());
    }
}
