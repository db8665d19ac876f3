//! The access log: a line of JSON for every Nth request of a worker and for slow ones, for none without `--access-log`.
//!
//! A worker makes the line when the response is there and adds it to those of its own that wait (`waiting`). The one
//! thread that writes takes them from all workers: soon after the first one, and then at intervals or by blocks. A worker
//! never waits for the file: what finds too much waiting is dropped and counted. Requests that are not sampled cost a
//! countdown, and without an access log one branch. Where slow ones are logged, all are kept: which are slow shows at the
//! end.

mod clock;
pub(crate) mod line;
pub mod settings;
mod waiting;
mod writer;

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Thread;
use std::time::{Duration, Instant};

use clock::Clock;
use line::Line;
use settings::AccessLogSettings;
use waiting::{Added, Waiting};
use writer::{State, WARNING_INTERVAL, Writer};

use crate::mutex;

/// How long the end waits for lines to be written.
const ENDING_TIME_MAX: Duration = Duration::from_secs(2);

/// The way to the thread that writes.
#[derive(Clone)]
pub struct AccessLog {
    state: Arc<State>,
    thread: Thread,
    sample: u32,
    slow: Option<Duration>,
}

impl AccessLog {
    /// Opens the target and starts the thread. It has written all lines, as far as they can be written, when the second
    /// value has been dropped.
    pub fn start(settings: &AccessLogSettings) -> io::Result<(AccessLog, Writing)> {
        let state = Arc::default();
        let writer = Writer::open(settings.target.clone(), Arc::clone(&state))?;
        let (running, ended) = channel();
        let thread = std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            writer.run();
            drop::<Sender<()>>(running);
        })?;
        let thread = thread.thread().clone();
        let log = AccessLog { state, thread, sample: settings.sample, slow: settings.slow };
        Ok((log.clone(), Writing { log, ended }))
    }

    /// Opens the file again by its name: it may have been renamed to begin a new one. All lines until now are written to
    /// the file that it was.
    pub fn reopen(&self) {
        self.state.reopen.store(true, Ordering::Release);
        self.thread.unpark();
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

    /// A sampler for one worker.
    pub(crate) fn sampler(&self) -> Sampler {
        let waiting = Arc::<Waiting>::default();
        mutex::lock(&self.state.waiting).push(Arc::clone(&waiting));
        Sampler { log: self.clone(), left: Cell::new(self.sample), clock: RefCell::new(Clock::new()), waiting }
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
        self.log.thread.unpark();
        if self.ended.recv_timeout(ENDING_TIME_MAX) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the access log takes no lines; the last ones are lost");
        }
    }
}

/// Chooses the requests of one worker that are logged.
pub(crate) struct Sampler {
    log: AccessLog,
    /// Requests until the next one that is logged, that one included.
    left: Cell<u32>,
    clock: RefCell<Clock>,
    /// Its lines.
    waiting: Arc<Waiting>,
}

impl Sampler {
    /// Chooses whether a request may be logged. Kept out of the way of servers that log nothing.
    #[cold]
    #[inline(never)]
    pub(crate) fn choose(&self) -> Option<Choice> {
        let left = self.left.get() - 1;
        if left > 0 {
            self.left.set(left);
            return self.log.slow.map(Choice::IfSlow);
        }
        self.left.set(self.log.sample);
        Some(Choice::Sampled)
    }

    /// Adds the line of a response that was ready at `ready`.
    pub(crate) fn log(&self, ready: Instant, line: &Line<'_>) {
        let clock = &mut *self.clock.borrow_mut();
        let state = &self.log.state;
        match self.waiting.add(|text| line.write_to(clock.at(ready), text)) {
            Added::Another => {}
            Added::First if !state.is_idle.swap(false, Ordering::AcqRel) => {}
            Added::First | Added::Block => self.log.thread.unpark(),
            Added::Dropped => {
                state.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The reason why a request may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// It is part of the sample.
    Sampled,
    /// It may take longer than this.
    IfSlow(Duration),
}

impl Choice {
    /// True if a request that took `duration` is logged.
    pub(crate) fn holds(self, duration: Duration) -> bool {
        match self {
            Choice::Sampled => true,
            Choice::IfSlow(slow) => duration > slow,
        }
    }
}
