//! The queue for the blocking threads of a worker: clients have their turns one after the other, however many requests
//! each of them sends.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::http::request::forwarded::Peer;

/// Requests that wait, at most.
const WAITING_MAX: usize = 256;
/// Time that a request may wait.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(5);

/// The queue.
pub(super) struct Queue(RefCell<State>);

struct State {
    /// Turns that may begin at once.
    free: usize,
    /// The clients that wait, in the order of their turns. None has no turn to wait for.
    clients: VecDeque<Waiting>,
}

struct Waiting {
    client: Peer,
    turns: VecDeque<Waiter>,
}

struct Waiter {
    since: Instant,
    patience: Patience,
    begin: oneshot::Sender<Turn>,
}

/// How long somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Some seconds, if there is room: a request.
    Limited,
    /// As long as it takes: the next part of a response that has begun. Their number is bounded by the memory of each.
    Unlimited,
}

/// Too many wait, or it has taken too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// A turn, until dropped.
pub(super) struct Turn(Option<Rc<Queue>>);

impl Queue {
    /// A queue that lets `turns` go on at a time.
    pub(super) fn new(turns: usize) -> Rc<Queue> {
        Rc::new(Queue(RefCell::new(State { free: turns, clients: VecDeque::new() })))
    }

    /// Waits for a turn of `client`.
    pub(super) async fn turn(self: &Rc<Queue>, client: Peer, patience: Patience) -> Result<Turn, Busy> {
        let waiting = {
            let mut state = self.0.borrow_mut();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Turn(Some(Rc::clone(self))));
            }
            state.wait(client, patience)?
        };
        waiting.await.map_err(|_| Busy)
    }

    /// Has those wait no longer that have waited too long by `now`.
    pub(super) fn sweep(&self, now: Instant) {
        self.0.borrow_mut().retain(|waiter| waiter.patience == Patience::Unlimited || now - waiter.since < WAIT_MAX);
    }

    /// Gives the turn that has become free to the next who waits.
    fn pass_on(self: &Rc<Queue>) {
        let mut state = self.0.borrow_mut();
        while let Some(waiter) = state.next() {
            let Err(mut unused) = waiter.begin.send(Turn(Some(Rc::clone(self)))) else { return };
            // That client has gone.
            unused.0 = None;
        }
        state.free += 1;
    }
}

impl State {
    fn wait(&mut self, client: Peer, patience: Patience) -> Result<oneshot::Receiver<Turn>, Busy> {
        if patience == Patience::Limited {
            self.make_room(client)?;
        }
        let (begin, waiting) = oneshot::channel();
        let waiter = Waiter { since: Instant::now(), patience, begin };
        match self.clients.iter_mut().find(|waiting| waiting.client == client) {
            Some(waiting) => waiting.turns.push_back(waiter),
            None => self.clients.push_back(Waiting { client, turns: VecDeque::from([waiter]) }),
        }
        Ok(waiting)
    }

    /// Sees that one more request of `client` may wait: in a full queue it takes the place of the last one of a client
    /// that has more.
    fn make_room(&mut self, client: Peer) -> Result<(), Busy> {
        let requests =
            |waiting: &Waiting| waiting.turns.iter().filter(|turn| turn.patience == Patience::Limited).count();
        if self.clients.iter().map(requests).sum::<usize>() < WAITING_MAX {
            return Ok(());
        }
        self.retain(|waiter| !waiter.begin.is_closed());
        if self.clients.iter().map(requests).sum::<usize>() < WAITING_MAX {
            return Ok(());
        }
        let own = self.clients.iter().find(|waiting| waiting.client == client).map_or(0, requests);
        let most = self.clients.iter_mut().max_by_key(|waiting| requests(waiting)).ok_or(Busy)?;
        if requests(most) <= own + 1 {
            return Err(Busy);
        }
        let last = most.turns.iter().rposition(|turn| turn.patience == Patience::Limited).ok_or(Busy)?;
        most.turns.remove(last);
        Ok(())
    }

    fn retain(&mut self, mut stays: impl FnMut(&Waiter) -> bool) {
        for waiting in &mut self.clients {
            waiting.turns.retain(&mut stays);
        }
        self.clients.retain(|waiting| !waiting.turns.is_empty());
    }

    /// The first of the client whose turn it is, which is the last one to have another.
    fn next(&mut self) -> Option<Waiter> {
        let mut waiting = self.clients.pop_front()?;
        let waiter = waiting.turns.pop_front();
        if !waiting.turns.is_empty() {
            self.clients.push_back(waiting);
        }
        waiter
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    type Pending = Pin<Box<dyn Future<Output = Result<Turn, Busy>>>>;

    fn client(number: u32) -> Peer {
        Peer::Ip(Ipv4Addr::from_bits(number).into())
    }

    fn ask(queue: &Rc<Queue>, of: u32, patience: Patience) -> Pending {
        let queue = Rc::clone(queue);
        let mut turn: Pending = Box::pin(async move { queue.turn(client(of), patience).await });
        match poll(&mut turn) {
            Poll::Ready(result) => Box::pin(std::future::ready(result)),
            Poll::Pending => turn,
        }
    }

    fn poll(turn: &mut Pending) -> Poll<Result<Turn, Busy>> {
        turn.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn begun(turn: &mut Pending) -> Option<Turn> {
        match poll(turn) {
            Poll::Ready(Ok(turn)) => Some(turn),
            Poll::Ready(Err(Busy)) | Poll::Pending => None,
        }
    }

    fn is_refused(turn: &mut Pending) -> bool {
        matches!(poll(turn), Poll::Ready(Err(Busy)))
    }

    #[test]
    fn clients_take_turns_however_many_requests_each_has() {
        let queue = Queue::new(1);
        let mut running = begun(&mut ask(&queue, 1, Patience::Limited));
        let mut many: Vec<Pending> = (0..100).map(|_| ask(&queue, 1, Patience::Limited)).collect();
        let mut other = ask(&queue, 2, Patience::Limited);
        assert!(running.take().is_some());
        let first = begun(&mut many[0]).unwrap();
        drop(first);
        let second = begun(&mut other).unwrap();
        drop(second);
        assert!(begun(&mut many[1]).is_some());
    }

    #[test]
    fn a_turn_that_nobody_waits_for_any_more_is_passed_on() {
        let queue = Queue::new(1);
        let running = begun(&mut ask(&queue, 1, Patience::Limited));
        let gone = ask(&queue, 1, Patience::Limited);
        let mut waiting = ask(&queue, 1, Patience::Limited);
        drop(gone);
        drop(running);
        drop(begun(&mut waiting).unwrap());
        assert!(begun(&mut ask(&queue, 1, Patience::Limited)).is_some());
    }

    #[test]
    fn in_a_full_queue_a_client_with_few_requests_takes_the_place_of_one_with_many() {
        let queue = Queue::new(1);
        let running = begun(&mut ask(&queue, 1, Patience::Limited));
        let mut many: Vec<Pending> = (0..WAITING_MAX).map(|_| ask(&queue, 1, Patience::Limited)).collect();
        assert!(is_refused(&mut ask(&queue, 1, Patience::Limited)));
        let mut other = ask(&queue, 2, Patience::Limited);
        assert!(poll(&mut other).is_pending());
        assert!(is_refused(many.last_mut().unwrap()));
        assert!(poll(&mut many[WAITING_MAX - 2]).is_pending());
        assert!(poll(&mut ask(&queue, 1, Patience::Unlimited)).is_pending());
        drop(running);
    }

    #[test]
    fn those_who_have_gone_leave_their_places() {
        let queue = Queue::new(1);
        let _running = begun(&mut ask(&queue, 1, Patience::Limited));
        drop((0..WAITING_MAX).map(|_| ask(&queue, 1, Patience::Limited)).collect::<Vec<_>>());
        assert!(poll(&mut ask(&queue, 1, Patience::Limited)).is_pending());
    }

    #[test]
    fn a_request_waits_for_a_limited_time_and_what_has_begun_for_as_long_as_it_takes() {
        let queue = Queue::new(1);
        let running = begun(&mut ask(&queue, 1, Patience::Limited));
        let mut request = ask(&queue, 1, Patience::Limited);
        let mut part = ask(&queue, 1, Patience::Unlimited);
        queue.sweep(Instant::now());
        assert!(poll(&mut request).is_pending());
        queue.sweep(Instant::now() + WAIT_MAX);
        assert!(is_refused(&mut request));
        assert!(poll(&mut part).is_pending());
        drop(running);
        assert!(begun(&mut part).is_some());
    }
}
