//! The streams of one thread: those that wait for something to tell, and those that wait for their turn to tell it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

use super::blocks::Blocks;
use crate::http::app::App;
use crate::http::offload::pace::Pace;

/// Bytes that streams of a thread tell between two pauses, and how long these are, while lookups are answered: some
/// 30 MB/s, which leaves the processor to them. What is looked at and not told counts, too.
const BYTES_BETWEEN_PAUSES: usize = 64 << 10;
const PAUSE: Duration = Duration::from_millis(2);

/// What a stream is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It waits for nothing here.
    Running,
    /// It waits for a publication, or for this time, when a comment is due.
    AwaitingNews(Instant),
    /// It waits for its turn.
    Queued,
    /// It is its turn.
    Turn,
}

struct Entry {
    state: State,
    waker: Option<Waker>,
}

impl Entry {
    fn wake(&mut self, state: State) {
        self.state = state;
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

/// The streams of one thread.
#[derive(Default)]
pub(crate) struct Streams {
    pub(super) blocks: Blocks,
    all: RefCell<Slab<Entry>>,
    /// Those that wait for their turn, the next one first.
    queue: RefCell<VecDeque<usize>>,
    /// True while turns are given.
    is_giving_turns: Cell<bool>,
    /// Bytes that were told since the last pause.
    told_bytes: Cell<usize>,
    /// Generation that all have been woken for.
    generation: Cell<u64>,
    is_ending: Cell<bool>,
}

impl Streams {
    /// Adds a stream. Returns its number.
    pub(super) fn add(&self) -> usize {
        self.all.borrow_mut().insert(Entry { state: State::Running, waker: None })
    }

    /// Removes a stream.
    pub(super) fn remove(&self, number: usize) {
        self.all.borrow_mut().remove(number);
        // Another stream may get the number.
        self.queue.borrow_mut().retain(|queued| *queued != number);
    }

    /// True if all streams are to end.
    pub(super) fn are_ending(&self) -> bool {
        self.is_ending.get()
    }

    /// Has a stream woken at the next publication, or when its next comment is due.
    pub(super) fn await_news(&self, number: usize, comment_due: Instant, waker: &Waker) {
        self.all.borrow_mut()[number] = Entry { state: State::AwaitingNews(comment_due), waker: Some(waker.clone()) };
    }

    /// True if it is a stream's turn, which ends with that. Otherwise the stream is woken when it is.
    pub(super) fn take_turn(self: &Rc<Self>, number: usize, app: &Arc<App>, waker: &Waker) -> bool {
        let mut all = self.all.borrow_mut();
        let entry = &mut all[number];
        if entry.state == State::Turn {
            entry.state = State::Running;
            return true;
        }
        entry.waker = Some(waker.clone());
        if std::mem::replace(&mut entry.state, State::Queued) != State::Queued {
            self.queue.borrow_mut().push_back(number);
            self.give_turns(app);
        }
        false
    }

    /// Notes that a stream has told so many bytes.
    pub(super) fn told(&self, bytes: usize) {
        self.told_bytes.set(self.told_bytes.get() + bytes);
    }

    /// Wakes those for whom there is a comment, a turn after a publication, or the end, by `now`.
    pub(crate) fn sweep(self: &Rc<Self>, app: &Arc<App>, now: Instant, ends_all: bool) {
        self.is_ending.set(ends_all);
        let mut all = self.all.borrow_mut();
        if all.is_empty() {
            return;
        }
        let generation = app.store.load().as_ref().map_or(0, |current| current.generation);
        let has_news = self.generation.replace(generation) != generation;
        for (number, entry) in all.iter_mut() {
            match entry.state {
                _ if ends_all => entry.wake(State::Running),
                State::AwaitingNews(_) if has_news => {
                    entry.state = State::Queued;
                    self.queue.borrow_mut().push_back(number);
                }
                State::AwaitingNews(comment_due) if comment_due <= now => entry.wake(State::Running),
                _ => {}
            }
        }
        drop(all);
        self.give_turns(app);
    }

    /// Gives turns to those that wait for them, until none does.
    fn give_turns(self: &Rc<Self>, app: &Arc<App>) {
        if self.queue.borrow().is_empty() || self.is_giving_turns.replace(true) {
            return;
        }
        let (streams, app) = (Rc::clone(self), Arc::clone(app));
        tokio::task::spawn_local(async move {
            let mut pace = Pace::new(PAUSE, &app);
            while streams.give_turn() {
                // The stream has its turn before anything else that arrives is looked for.
                tokio::task::yield_now().await;
                streams.told(streams.blocks.take_work());
                if streams.told_bytes.get() >= BYTES_BETWEEN_PAUSES {
                    streams.told_bytes.set(0);
                    if let Some(pause) = pace.pause() {
                        pause.await;
                    }
                }
            }
            streams.blocks.clear();
            streams.is_giving_turns.set(false);
        });
    }

    /// Gives the next turn. Returns whether there was one to give.
    fn give_turn(&self) -> bool {
        let Some(number) = self.queue.borrow_mut().pop_front() else { return false };
        if let Some(entry) = self.all.borrow_mut().get_mut(number).filter(|entry| entry.state == State::Queued) {
            entry.wake(State::Turn);
        }
        true
    }
}
