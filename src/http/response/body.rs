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
pub struct Body {
    /// What is there and was not handed over.
    ready: Bytes,
    /// Makes the rest.
    rest: Option<Box<Rest>>,
}

struct Rest {
    parts: Box<dyn Parts>,
    bytes: u64,
}

/// A body that is made part by part, as it is taken.
pub trait Parts {
    /// The next part, which is not empty. Not called after the last one. An error breaks the response off.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>>;
}

impl Body {
    /// A body that is there as a whole.
    #[inline]
    pub fn whole(bytes: Bytes) -> Body {
        Body { ready: bytes, rest: None }
    }

    /// No body.
    #[inline]
    pub fn empty() -> Body {
        Body::whole(Bytes::new())
    }

    /// A body of `bytes` bytes, more than none, that `parts` makes.
    pub fn in_parts(parts: Box<dyn Parts>, bytes: u64) -> Body {
        Body { ready: Bytes::new(), rest: Some(Box::new(Rest { parts, bytes })) }
    }

    /// Bytes that were not handed over.
    #[inline]
    pub fn bytes_left(&self) -> u64 {
        self.ready.len() as u64 + self.rest.as_ref().map_or(0, |rest| rest.bytes)
    }

    /// Takes the next part from those who make it. False if there is none.
    #[cold]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(Ok(false)) };
        self.ready = ready!(rest.parts.poll_part(cx))?;
        rest.bytes = rest.bytes.saturating_sub(self.ready.len() as u64);
        if rest.bytes == 0 {
            self.rest = None;
        }
        Poll::Ready(Ok(true))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    #[inline]
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.ready.is_empty() && (self.rest.is_none() || !ready!(self.poll_ready(cx))?) {
            return Poll::Ready(None);
        }
        let chunk = if self.ready.len() <= CHUNK_BYTES {
            std::mem::take(&mut self.ready)
        } else {
            self.ready.split_to(CHUNK_BYTES)
        };
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.rest.is_none()
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
        assert_eq!(chunks(Body::whole(Bytes::from_static(b"a"))).await, [1]);
        let large = Body::whole(vec![0; 2 * CHUNK_BYTES + 1].into());
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
