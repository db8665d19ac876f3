//! Bodies of responses. They are handed over to hyper in parts: it copies what it is given, and over HTTP/2 the parts
//! show how much the client takes.

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
    /// Bytes of the parts after it, unless they are not known before they are made.
    bytes_to_come: Option<u64>,
    parts: Box<dyn Parts>,
    /// Dropped with the body.
    guard: Option<Box<dyn Guard>>,
}

/// One that is told how a body ends: dropped with it.
pub trait Guard {
    /// The body breaks off.
    fn broken_off(&self);
}

/// A body that is made part by part, as it is taken.
pub trait Parts {
    /// The next part. It is not empty, except at the end of a body whose length is not known before. Not called after the
    /// last one. An error breaks the response off.
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
        Body::InParts(Box::new(InParts { ready: Bytes::new(), bytes_to_come: Some(bytes), parts, guard: None }))
    }

    /// A body that begins with `first` and that `parts` goes on with until a part is empty.
    pub fn of_unknown_length(first: Bytes, parts: Box<dyn Parts>) -> Body {
        Body::InParts(Box::new(InParts { ready: first, bytes_to_come: None, parts, guard: None }))
    }

    /// Bytes that were not handed over; `None` where they are not known before they are made.
    #[inline]
    pub fn bytes_left(&self) -> Option<u64> {
        match self {
            Body::Whole(left) => Some(left.len() as u64),
            Body::InParts(body) => body.bytes_to_come.map(|bytes| body.ready.len() as u64 + bytes),
        }
    }
}

impl InParts {
    /// Keeps `guard` until the body is handed over to its end, or given up.
    pub fn keep(&mut self, guard: impl Guard + 'static) {
        self.guard = Some(Box::new(guard));
    }

    /// The next bytes to be handed over; none at the end.
    #[cold]
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let is_there = ready!(self.poll_ready(cx));
        Poll::Ready(is_there.map(|is_ok| is_ok.map(|()| take_chunk(&mut self.ready))))
    }

    /// The next part as a whole, for somebody who makes another body of it; none at the end.
    pub fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let is_there = ready!(self.poll_ready(cx));
        Poll::Ready(is_there.map(|is_ok| is_ok.map(|()| std::mem::take(&mut self.ready))))
    }

    /// Waits until there is something to hand over; none at the end.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<()>>> {
        if self.ready.is_empty() {
            if self.bytes_to_come == Some(0) {
                return Poll::Ready(None);
            }
            let part = ready!(self.parts.poll_part(cx));
            if let (Err(_), Some(guard)) = (&part, &self.guard) {
                guard.broken_off();
            }
            self.ready = part?;
            self.bytes_to_come = match self.bytes_to_come {
                Some(bytes) => Some(bytes.saturating_sub(self.ready.len() as u64)),
                None if self.ready.is_empty() => {
                    self.bytes_to_come = Some(0);
                    return Poll::Ready(None);
                }
                None => None,
            };
        }
        Poll::Ready(Some(Ok(())))
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
            Body::InParts(_) => self.bytes_left() == Some(0),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        self.bytes_left().map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use hyper::body::Body as _;

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
        assert!(body.is_end_stream());
        chunks
    }

    #[tokio::test]
    async fn a_body_is_handed_over_in_chunks() {
        assert_eq!(chunks(Body::empty()).await, [0; 0]);
        assert_eq!(chunks(Body::Whole(Bytes::from_static(b"a"))).await, [1]);
        let large = Body::Whole(vec![0; 2 * CHUNK_BYTES + 1].into());
        assert_eq!(large.bytes_left(), Some(2 * CHUNK_BYTES as u64 + 1));
        assert_eq!(chunks(large).await, [CHUNK_BYTES, CHUNK_BYTES, 1]);
        let parts = Body::in_parts(Box::new(Given(vec![CHUNK_BYTES + 1, 2].into_iter())), CHUNK_BYTES as u64 + 3);
        assert_eq!(parts.bytes_left(), Some(CHUNK_BYTES as u64 + 3));
        assert_eq!(chunks(parts).await, [CHUNK_BYTES, 1, 2]);
        let parts = Box::new(Given(vec![CHUNK_BYTES + 1, 2, 0].into_iter()));
        let unknown = Body::of_unknown_length(Bytes::from_static(b"first"), parts);
        assert_eq!((unknown.bytes_left(), unknown.size_hint().exact()), (None, None));
        assert_eq!(chunks(unknown).await, [5, CHUNK_BYTES, 1, 2]);
    }

    #[tokio::test]
    async fn a_body_whose_parts_cannot_be_made_breaks_off() {
        let mut body = Body::in_parts(Box::new(Given(vec![1].into_iter())), 2);
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.unwrap().is_err());
    }
}
