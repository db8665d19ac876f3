//! The connections of one thread, and the sweep that ends those that have been at the same for too long.
//!
//! No request sets a timer. Each turn only notes what the connection is doing, and a sweep of all connections of the
//! thread comes at each tick.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;
use tokio::sync::Notify;

use crate::http::activity::{Activity, CommandSlot, ConnectionCommand, Phase, Taken, TimeLimits};
use crate::http::connection::places::Places;
use crate::http::telemetry::counters::Counters;

/// Time that a connection without a request so far has for one when the others are to end: its client may have connected,
/// or be amid the TLS handshake.
const FIRST_REQUEST_TIME: Duration = Duration::from_secs(1);

/// One connection as its thread's [`Registry`] sees it.
struct Entry {
    /// None during the TLS handshake, which is part of the first head.
    activity: Option<Rc<dyn Activity>>,
    command: Rc<CommandSlot>,
    /// The connection's progress at a sweep, and the time of the first sweep that saw it.
    seen: (u64, Instant),
    /// What the client had taken at a sweep, and when: the last one at which that was enough. None while nothing waits.
    taken: Option<(Taken, Instant)>,
    /// True once it is to give its place to another one.
    is_evicted: bool,
}

impl Entry {
    fn phase(&self) -> Phase {
        self.activity.as_ref().map_or(Phase::Head, |activity| activity.phase())
    }

    fn progress(&self) -> u64 {
        self.activity.as_ref().map_or(0, |activity| activity.progress())
    }

    /// True if it is between two requests, or its first request is not complete.
    fn is_idle(&self) -> bool {
        match self.phase() {
            Phase::Idle => true,
            Phase::Head => self.progress() == 0,
            _ => false,
        }
    }

    /// True if its first request may be on its way.
    fn awaits_first_request(&self, now: Instant) -> bool {
        self.progress() == 0 && now - self.seen.1 < FIRST_REQUEST_TIME
    }

    /// Since when it is idle, if it is and was not evicted: as the last sweep saw it, or `now` if it was busy since.
    fn idle_since(&self, now: Instant) -> Option<Instant> {
        let since = if self.seen.0 == self.progress() { self.seen.1 } else { now };
        (!self.is_evicted && self.is_idle()).then_some(since)
    }

    /// Ends the connection in favour of another: at first in good order, since a request may have arrived just now.
    fn evict(&mut self) {
        self.command.send(if self.is_evicted { ConnectionCommand::End } else { ConnectionCommand::Drain });
        self.is_evicted = true;
    }

    /// The phase that has exceeded its limit by `now`, if one has.
    fn overdue(&mut self, limits: &TimeLimits, now: Instant) -> Option<Phase> {
        self.overdue_taking(limits, now).or_else(|| self.overdue_progress(limits, now))
    }

    fn overdue_taking(&mut self, limits: &TimeLimits, now: Instant) -> Option<Phase> {
        let taken = self.activity.as_ref().and_then(|activity| activity.taken());
        match (taken, self.taken) {
            (Some(taken), Some((before, since))) if !taken.is_enough_since(before) => {
                (now - since >= limits.write).then_some(Phase::Write)
            }
            _ => {
                self.taken = taken.map(|taken| (taken, now));
                None
            }
        }
    }

    fn overdue_progress(&mut self, limits: &TimeLimits, now: Instant) -> Option<Phase> {
        let (progress, phase) = (self.progress(), self.phase());
        if self.seen.0 != progress {
            self.seen = (progress, now);
            return None;
        }
        limits.of(phase).is_some_and(|limit| now - self.seen.1 >= limit).then_some(phase)
    }
}

/// All connections of one thread.
pub(crate) struct Registry {
    entries: RefCell<Slab<Entry>>,
    limits: TimeLimits,
    counters: Arc<Counters>,
    places: Arc<Places>,
    emptied: Notify,
    is_draining: Cell<bool>,
}

impl Registry {
    /// None yet. Those that come have `limits` and `places`, and are counted in `counters`.
    pub(crate) fn new(limits: TimeLimits, counters: Arc<Counters>, places: Arc<Places>) -> Registry {
        Registry {
            entries: RefCell::default(),
            limits,
            counters,
            places,
            emptied: Notify::new(),
            is_draining: Cell::new(false),
        }
    }

    /// Counts a connection as open, and sends it commands, until the result is dropped.
    pub(crate) fn register(self: &Rc<Self>) -> Registered {
        self.counters.accepted.add(1);
        let command = Rc::<CommandSlot>::default();
        let entry = Entry {
            activity: None,
            command: Rc::clone(&command),
            seen: (0, Instant::now()),
            taken: None,
            is_evicted: false,
        };
        Registered { registry: Rc::clone(self), key: self.entries.borrow_mut().insert(entry), command }
    }

    /// Ends connections whose time is up.
    pub(crate) fn sweep(&self, now: Instant) {
        if self.is_draining.get() {
            self.drain(now);
        }
        for (_, entry) in self.entries.borrow_mut().iter_mut() {
            if let Some(phase) = entry.overdue(&self.limits, now) {
                self.counters.timed_out[phase as usize].add(1);
                entry.command.send(ConnectionCommand::End);
            } else if entry.is_evicted && entry.is_idle() {
                entry.evict();
            } else if entry.is_evicted {
                // A request came first. It is the last one, but another connection may leave sooner.
                entry.is_evicted = false;
                self.places.left();
            }
        }
    }

    /// Since when the connection is idle that has been so longest, as far as sweeps have seen it.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let now = Instant::now();
        self.entries.borrow().iter().filter_map(|(_, entry)| entry.idle_since(now)).min()
    }

    /// Ends the connection that has been idle longest, if one is.
    pub(crate) fn evict_longest_idle(&self) {
        let now = Instant::now();
        let mut entries = self.entries.borrow_mut();
        let idle = entries.iter_mut().filter_map(|(_, entry)| entry.idle_since(now).map(|since| (since, entry)));
        if let Some((_, longest)) = idle.min_by_key(|(since, _)| *since) {
            longest.evict();
            self.counters.evicted.add(1);
        } else {
            self.places.left();
        }
    }

    /// Lets each connection finish what it is doing, then end. New ones are left to further sweeps.
    pub(crate) fn drain(&self, now: Instant) {
        self.is_draining.set(true);
        for (_, entry) in self.entries.borrow().iter() {
            if !entry.awaits_first_request(now) {
                entry.command.send(ConnectionCommand::Drain);
            }
        }
    }

    /// Open connections.
    pub(crate) fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Waits until there are none.
    pub(crate) async fn emptied(&self) {
        while self.len() > 0 {
            self.emptied.notified().await;
        }
    }
}

/// A connection among its thread's, until dropped.
pub(crate) struct Registered {
    registry: Rc<Registry>,
    key: usize,
    /// Where it finds its commands.
    pub(crate) command: Rc<CommandSlot>,
}

impl Registered {
    /// Has the sweep look at `activity` from now on.
    pub(crate) fn watch(&self, activity: Rc<dyn Activity>) {
        self.registry.entries.borrow_mut()[self.key].activity = Some(activity);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut entries = self.registry.entries.borrow_mut();
        if entries.remove(self.key).is_evicted {
            self.registry.places.left();
        }
        self.registry.counters.closed.add(1);
        if entries.is_empty() {
            self.registry.emptied.notify_one();
        }
    }
}
