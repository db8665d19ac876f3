//! The access log: a line of JSON for every Nth answer of a worker, for none unless asked for.
//!
//! When a request comes whose turn it is, its worker notes what is asked, and when the response is there hands the note to
//! the one thread that makes lines and writes them. A worker never waits for that thread: a note that finds the channel
//! full is dropped and counted. Requests whose turn it is not cost a countdown, and without an access log one branch.

mod line;
mod writer;

use std::cell::Cell;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::time::Duration;

use hyper::Request;
use jiff::Timestamp;

use super::forwarded::TrustedProxy;
use super::listen::Peer;
use super::response::Response;
use super::route::RouteId;
use line::Line;
pub(super) use line::LoggedRequest;
use writer::Writer;

/// Lines that wait to be written; more are dropped.
const LINES_WAITING_MAX: usize = 16 << 10;
/// How long the end waits for lines to be written.
const ENDING_TIME_MAX: Duration = Duration::from_secs(2);
/// Time between two warnings of dropped lines.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// What is logged, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// Where lines go.
    pub target: Target,
    /// Every how manyth request of a worker is logged; at least 1.
    pub sample: u32,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// To the end of a file, which need not be there yet.
    File(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Stdout => f.write_str("standard output"),
            Target::File(path) => path.display().fmt(f),
        }
    }
}

/// The way to the thread that writes.
#[derive(Clone)]
pub struct AccessLog {
    messages: SyncSender<Message>,
    state: Arc<State>,
    sample: u32,
}

enum Message {
    Line(Line),
    /// What comes later belongs to a new file.
    Reopen,
    /// Look at the state.
    Wake,
}

/// What the thread is to look at, and what it and the workers count.
#[derive(Default)]
struct State {
    reopen: AtomicBool,
    ending: AtomicBool,
    dropped: AtomicU64,
}

impl AccessLog {
    /// Opens the target and starts the thread. It has written all lines, as far as they can be written, when the second
    /// value has been dropped.
    pub fn start(settings: &AccessLogSettings) -> io::Result<(AccessLog, Writing)> {
        let (messages, queue) = sync_channel(LINES_WAITING_MAX);
        let state = Arc::default();
        let writer = Writer::open(settings.target.clone(), Arc::clone(&state))?;
        let (running, ended) = channel();
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            writer.run(&queue);
            drop::<std::sync::mpsc::Sender<()>>(running);
        })?;
        let log = AccessLog { messages, state, sample: settings.sample };
        Ok((log.clone(), Writing { log, ended }))
    }

    /// Opens the file again by its name: it may have been renamed to begin a new one.
    pub fn reopen(&self) {
        if self.messages.try_send(Message::Reopen).is_err() {
            // Not after the lines that wait: they are too many.
            self.state.reopen.store(true, Ordering::Release);
            self.wake();
        }
    }

    /// Lines that were not written, because too many waited or the system refused them.
    pub fn dropped(&self) -> u64 {
        self.state.dropped.load(Ordering::Relaxed)
    }

    /// Warns of dropped lines now and then, forever.
    pub async fn warn_of_drops(self, look_interval: Duration) {
        let mut warned_of = 0;
        loop {
            tokio::time::sleep(look_interval).await;
            let dropped = self.dropped();
            if dropped > warned_of {
                tracing::warn!(lines = dropped - warned_of, "lines of the access log were dropped");
                warned_of = dropped;
                tokio::time::sleep(WARNING_INTERVAL).await;
            }
        }
    }

    /// What a worker logs by.
    pub(super) fn sampler(&self) -> Sampler {
        Sampler { log: self.clone(), left: Cell::new(self.sample) }
    }

    /// Where the channel is full the thread looks at the state anyway.
    fn wake(&self) {
        let _ = self.messages.try_send(Message::Wake);
    }
}

/// The thread's end: waits for it when dropped, unless it takes too long.
pub struct Writing {
    log: AccessLog,
    ended: Receiver<()>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.log.state.ending.store(true, Ordering::Release);
        self.log.wake();
        if self.ended.recv_timeout(ENDING_TIME_MAX) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the access log takes no lines; the last ones are lost");
        }
    }
}

/// Chooses the requests of one worker that are logged.
pub(super) struct Sampler {
    log: AccessLog,
    /// Requests until the next one that is logged, that one included.
    left: Cell<u32>,
}

impl Sampler {
    /// What is asked by `peer`, or by whom `trusted` proxies name, if it is logged. Kept out of the way of servers that log nothing.
    #[cold]
    #[inline(never)]
    pub(super) fn choose<B>(
        &self,
        trusted: &[TrustedProxy],
        peer: Peer,
        request: &Request<B>,
    ) -> Option<Box<LoggedRequest>> {
        let left = self.left.get() - 1;
        if left > 0 {
            self.left.set(left);
            return None;
        }
        self.left.set(self.log.sample);
        Some(Box::new(LoggedRequest::new(trusted, peer, request)))
    }

    /// Hands over a request of `route`, if it has one, and its response.
    #[cold]
    #[inline(never)]
    pub(super) fn log(
        &self,
        request: Box<LoggedRequest>,
        route: Option<RouteId>,
        response: &Response,
        duration: Duration,
    ) {
        let line = Line::new(request, Timestamp::now(), route, response, duration);
        if self.log.messages.try_send(Message::Line(line)).is_err() {
            self.log.state.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
