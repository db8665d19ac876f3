//! The access log: a line of JSON for every Nth request of a worker and for slow ones, for none without `--access-log`.
//!
//! A worker keeps what is logged of a sampled request, and when the response is there hands it to the one thread that
//! makes lines and writes them. It never waits for that thread: what finds the channel full is dropped and counted.
//! Requests that are not sampled cost a countdown, and without an access log one branch. Where slow ones are logged, all
//! are kept: which are slow shows at the end.

pub(crate) mod line;
pub mod settings;
mod writer;

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::time::Duration;

use line::Line;
use settings::AccessLogSettings;
use writer::{Message, State, WARNING_INTERVAL, Writer};

/// Lines that wait to be written; more are dropped.
const LINES_WAITING_MAX: usize = 16 << 10;
/// How long the end waits for lines to be written.
const ENDING_TIME_MAX: Duration = Duration::from_secs(2);

/// The way to the thread that writes.
#[derive(Clone)]
pub struct AccessLog {
    messages: SyncSender<Message>,
    state: Arc<State>,
    sample: u32,
    slow: Option<Duration>,
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
        let log = AccessLog { messages, state, sample: settings.sample, slow: settings.slow };
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

    /// A sampler for one worker.
    pub(crate) fn sampler(&self) -> Sampler {
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
pub(crate) struct Sampler {
    log: AccessLog,
    /// Requests until the next one that is logged, that one included.
    left: Cell<u32>,
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

    /// Hands over a line.
    pub(crate) fn log(&self, line: Line) {
        if self.log.messages.try_send(Message::Line(line)).is_err() {
            self.log.state.dropped.fetch_add(1, Ordering::Relaxed);
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
