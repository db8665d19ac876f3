//! Phases of a connection, their limits in time, and commands to connections.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};
use std::time::Duration;

/// Bytes of a request's head: the request line and all header fields.
pub(crate) const HEAD_BYTES_MAX: usize = 8 << 10;
/// Bytes of responses that wait to be sent on one connection with HTTP/1 before it is read no further, or on one stream
/// with HTTP/2.
pub(crate) const UNSENT_BYTES_MAX: usize = 64 << 10;

/// Bytes that a client must take within [`TimeLimits::write`] while more wait.
const TAKEN_BYTES_MIN: u64 = 64 << 10;

/// The activity of a connection; each has a limit in time of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between two requests.
    Idle,
    /// Sending a request's head.
    Head,
    /// Sending a request's body.
    Body,
    /// Waiting for a response that is being made.
    Response,
    /// Taking a response.
    Write,
    /// Ending the connection, having got the last response (RFC 9112, section 9.6).
    LingeringClose,
}

impl Phase {
    /// Every phase, in the order in which they are declared.
    pub(crate) const ALL: [Phase; 6] =
        [Phase::Idle, Phase::Head, Phase::Body, Phase::Response, Phase::Write, Phase::LingeringClose];

    /// Its label in metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Phase::Idle => "idle",
            Phase::Head => "header",
            Phase::Body => "body",
            Phase::Response => "answer",
            Phase::Write => "write",
            Phase::LingeringClose => "linger",
        }
    }
}

/// A connection as a sweep sees it.
pub(crate) trait Activity {
    /// Its phase.
    fn phase(&self) -> Phase;
    /// Another number whenever the time for this phase begins anew.
    fn progress(&self) -> u64;
    /// What the client has taken, while responses wait to be taken.
    fn taken(&self) -> Option<Taken>;
}

/// What a client has taken of its responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Bytes so far.
    pub(crate) bytes: u64,
    /// How often nothing was left to be taken.
    pub(crate) all: u64,
}

impl Taken {
    /// True if it is enough since `before`: all that waited, or [`TAKEN_BYTES_MIN`].
    pub(crate) fn is_enough_since(self, before: Taken) -> bool {
        self.all != before.all || self.bytes - before.bytes >= TAKEN_BYTES_MIN
    }
}

/// How long a connection may be in each phase.
#[derive(Clone, Debug)]
pub struct TimeLimits {
    /// Sending a request's head, from the first byte, or from the connection's start, to the last. With TLS the
    /// handshake is part of the first.
    pub header: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// Sending a request's body, from its head to its last byte; and ending a connection over which the client may
    /// still be sending: a body was refused, or the server ends.
    pub body: Duration,
    /// Taking less than 64 KiB of the responses that wait, and not all of them.
    pub write: Duration,
}

impl TimeLimits {
    /// The limit of `phase`, if it has one.
    pub(crate) fn of(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::Idle => Some(self.idle),
            Phase::Head => Some(self.header),
            Phase::Body | Phase::LingeringClose => Some(self.body),
            // The server's own time; and what the client takes, which has a limit of its own in any phase.
            Phase::Response | Phase::Write => None,
        }
    }
}

/// A command to a connection, the later the more urgent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConnectionCommand {
    /// Go on.
    #[default]
    Serve,
    /// End after the requests that are being responded to.
    Drain,
    /// End now.
    End,
}

/// Where a connection finds its command at its next turn.
#[derive(Default)]
pub(crate) struct CommandSlot {
    command: Cell<ConnectionCommand>,
    waker: RefCell<Option<Waker>>,
}

impl CommandSlot {
    /// Gives the connection `command`, unless it has a more urgent one, and wakes it.
    pub(crate) fn send(&self, command: ConnectionCommand) {
        self.command.set(self.command.get().max(command));
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Begins a turn: has the connection's task woken by the next command. Returns the one that holds.
    #[inline]
    pub(crate) fn poll_command(&self, cx: &Context<'_>) -> ConnectionCommand {
        if self.waker.borrow().as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            *self.waker.borrow_mut() = Some(cx.waker().clone());
        }
        self.command.get()
    }
}
