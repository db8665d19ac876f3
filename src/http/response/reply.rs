//! A response, now or later: most are there at once and cost no boxed future.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::{Response, closing};

/// The response to a request, or how it comes about.
pub enum Reply {
    /// A response that is there; none once it was taken.
    Now(Option<Response>),
    /// One that needs the request's body first.
    AfterBody(Box<dyn ReceiveBody>),
    /// One that waits for the loader or another thread.
    Later(Pin<Box<dyn Future<Output = Response>>>),
}

/// How long a response was put off because its client wants to wait: time that it did not take to make.
#[derive(Clone, Copy, Debug)]
pub struct Waited(pub Duration);

/// A request's body on its way in.
pub trait ReceiveBody {
    /// Takes what has come, until there is no more to wait for.
    fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<Received>;
}

/// The end of waiting for a body.
pub struct Received {
    /// The reply that follows: it needs no body.
    pub reply: Reply,
    /// True if all of the body is there. Otherwise the rest is not wanted or will not come, or where it ends is not
    /// certain: the response is the last on its connection.
    pub is_whole: bool,
}

impl Reply {
    /// A response that is there.
    #[inline]
    pub fn now(response: Response) -> Reply {
        Reply::Now(Some(response))
    }

    /// A response that has to be waited for.
    pub fn later(response: impl Future<Output = Response> + 'static) -> Reply {
        Reply::Later(Box::pin(response))
    }

    /// The same, as the last on its connection. One that needs the body first knows after it whether it is the last.
    #[cold]
    #[must_use]
    pub fn closing(self) -> Reply {
        match self {
            Reply::Now(response) => Reply::Now(response.map(closing)),
            Reply::Later(response) => Reply::later(async move { closing(response.await) }),
            Reply::AfterBody(_) => self,
        }
    }

    /// The response, once it is there. `body_ended` hears before, where there is a body to wait for, that it is waited
    /// for no more, and whether it is whole.
    ///
    /// # Panics
    ///
    /// When polled again after the response was taken, as futures may.
    #[inline]
    pub fn poll_response(&mut self, cx: &mut Context<'_>, mut body_ended: impl FnMut(bool)) -> Poll<Response> {
        while let Reply::AfterBody(body) = self {
            let Received { reply, is_whole } = ready!(body.poll_received(cx));
            *self = reply;
            body_ended(is_whole);
        }
        match self {
            Reply::Now(response) => Poll::Ready(response.take().expect("a response is taken once")),
            Reply::Later(response) => response.as_mut().poll(cx),
            Reply::AfterBody(_) => Poll::Pending,
        }
    }
}

impl Future for Reply {
    type Output = Result<Response, Infallible>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_response(cx, |_| ()).map(Ok)
    }
}
