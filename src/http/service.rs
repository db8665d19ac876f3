//! Requests as hyper hands them over, and what it gets for each: an answer, now or later.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::Request;
use hyper::body::Incoming;

use super::Worker;
use super::answer::{self, Answer};
use super::body::{Received, Receiving};
use super::listen::Peer;
use super::route::Listener;
use super::worker::Noted;

/// Answers the requests of one listener on one worker.
#[derive(Clone)]
pub struct Service {
    listener: Listener,
    peer: Peer,
    worker: Rc<Worker>,
}

impl Service {
    /// The service behind `listener`, of nobody in particular.
    pub fn new(listener: Listener, worker: Rc<Worker>) -> Service {
        Service { listener, peer: Peer::Unix, worker }
    }

    /// The same for a connection with `peer`.
    pub(super) fn of(&self, peer: Peer) -> Service {
        Service { peer, ..self.clone() }
    }
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Answer;
    type Error = Infallible;
    type Future = Reply;

    #[inline]
    fn call(&self, request: Request<Incoming>) -> Reply {
        self.worker.serve(self.listener, &self.peer, request)
    }
}

/// An answer, now or later: most are there at once and cost no boxed future.
pub enum Reply {
    /// Until it was taken.
    Now(Option<Answer>),
    /// What needs the request's body first.
    Receiving(Box<Receiving>),
    /// What waits for the loader or another thread.
    Later(Pin<Box<dyn Future<Output = Answer>>>),
}

impl Reply {
    #[inline]
    pub(super) fn now(answer: Answer) -> Reply {
        Reply::Now(Some(answer))
    }

    pub(super) fn later(answer: impl Future<Output = Answer> + 'static) -> Reply {
        Reply::Later(Box::pin(answer))
    }

    /// The same, as the last on its connection. One that needs the body first knows after it whether it is the last.
    #[cold]
    pub(super) fn closing(self) -> Reply {
        match self {
            Reply::Now(answer) => Reply::Now(answer.map(answer::closing)),
            Reply::Later(answer) => Reply::later(async move { answer::closing(answer.await) }),
            Reply::Receiving(_) => self,
        }
    }

    /// Waits for the body, if there is one to wait for. Whether it is there as a whole then.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Reply::Receiving(receiving) = self else { return Poll::Ready(true) };
        let (next, is_whole) = match ready!(receiving.poll(cx)) {
            Received::Whole(reply) => (reply, true),
            Received::Last(reply) => (reply, false),
        };
        *self = next;
        Poll::Ready(is_whole)
    }
}

impl Future for Reply {
    type Output = Result<Answer, Infallible>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match this {
            Reply::Receiving(_) => {
                ready!(this.poll_body(cx));
                Pin::new(this).poll(cx)
            }
            Reply::Now(answer) => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None => Poll::Pending,
            },
            Reply::Later(answer) => answer.as_mut().poll(cx).map(Ok),
        }
    }
}

/// Counts, and logs, a request whose answer is not there at once.
pub(super) struct Meter {
    worker: Rc<Worker>,
    noted: Noted,
}

impl Meter {
    pub(super) fn new(worker: Rc<Worker>, noted: Noted) -> Meter {
        Meter { worker, noted }
    }

    pub(super) fn worker(&self) -> &Worker {
        &self.worker
    }

    /// `reply`, counted when its answer is there.
    pub(super) fn over(self, reply: Reply) -> Reply {
        match reply {
            Reply::Now(mut answer) => {
                if let Some(answer) = &mut answer {
                    self.done(answer);
                }
                Reply::Now(answer)
            }
            Reply::Receiving(mut receiving) => {
                receiving.count_with(self);
                Reply::Receiving(receiving)
            }
            Reply::Later(answer) => Reply::later(async move {
                let mut answer = answer.await;
                self.done(&mut answer);
                answer
            }),
        }
    }

    fn done(self, answer: &mut Answer) {
        self.worker.done(self.noted, answer);
    }
}
