//! One stream: the body of its response.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::blocks::{Place, Selection};
use super::events;
use super::places::StreamPlace;
use super::turns::Streams;
use crate::changes::ChangeLog;
use crate::http::access::keys::ShownKey;
use crate::http::access::scope::Scope;
use crate::http::app::App;
use crate::http::response::body::Parts;
use crate::store::{Lease, Snapshot};

/// Time from one comment to the next.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);

/// What a client asks for.
pub(crate) struct Wanted {
    /// The version to begin with, if it names one.
    pub(crate) since: Option<String>,
    pub(crate) selection: Selection,
    /// Its key, if it has one.
    pub(crate) key: Option<ShownKey>,
}

/// Tells of each publication what has changed since the one before.
pub(crate) struct Stream {
    app: Arc<App>,
    streams: Rc<Streams>,
    number: usize,
    selection: Selection,
    /// The key of its client, if it has one.
    key: Option<ShownKey>,
    /// The version up to which all is told.
    version: String,
    /// The generation that was seen last.
    generation: u64,
    /// What is being told.
    telling: Option<Telling>,
    comment_due: Instant,
    _place: StreamPlace,
}

/// The changes after a publication, and how far they are told.
struct Telling {
    lease: Lease,
    first_step: usize,
    /// Index of the next entry; `None` behind the last one.
    next: Option<usize>,
    /// Events so far.
    count: u64,
}

impl Stream {
    /// A stream of what has changed since a version, or else from the current one on. Returns its first events, and
    /// whether changes were missed.
    pub(crate) fn begin(
        app: &Arc<App>,
        streams: &Rc<Streams>,
        place: StreamPlace,
        Wanted { since, selection, key }: Wanted,
        (snapshot, log): (&Snapshot, &ChangeLog),
    ) -> (Stream, Bytes, bool) {
        let current = &snapshot.summary.version;
        let has_missed = since.as_ref().is_some_and(|since| log.first_step_since(since, current).is_none());
        let version = since.filter(|_| !has_missed).unwrap_or_else(|| current.clone());
        let mut first = events::RETRY.to_vec();
        let begin = if has_missed { events::reset } else { events::start };
        begin(&mut first, &version);
        let stream = Stream {
            app: Arc::clone(app),
            streams: Rc::clone(streams),
            number: streams.add(),
            selection,
            key,
            version,
            generation: 0,
            telling: None,
            comment_due: Instant::now() + COMMENT_INTERVAL,
            _place: place,
        };
        (stream, Bytes::from(first), has_missed)
    }

    /// True if it is over: the server ends, or the client's key no longer holds.
    fn is_over(&self) -> bool {
        let holds = |key: &ShownKey| self.app.secrets.api_keys.as_ref().is_some_and(|keys| key.may(keys, Scope::Feed));
        self.streams.are_ending() || self.key.as_ref().is_some_and(|key| !holds(key))
    }

    /// Looks for a publication. Returns the event that is to be told at once, if there is one.
    fn look(&mut self) -> Option<Vec<u8>> {
        let is_new = |generation| generation != self.generation;
        if !self.app.store.load().as_ref().is_some_and(|current| is_new(current.generation)) {
            return None;
        }
        let (snapshot, log) = self.app.store.with_changes()?;
        self.generation = snapshot.generation;
        let current = &snapshot.summary.version;
        if self.version == *current {
            return None;
        }
        let Some(first_step) = log.first_step_since(&self.version, current) else {
            return Some(self.missed(&snapshot));
        };
        let next = (log.entry_count() > 0).then_some(0);
        let lease = self.app.store.lease(snapshot, Some(log));
        self.telling = Some(Telling { lease, first_step, next, count: 0 });
        None
    }

    /// The events after which the stream goes on from `snapshot`.
    fn missed(&mut self, snapshot: &Snapshot) -> Vec<u8> {
        let mut out = Vec::new();
        self.version.clone_from(&snapshot.summary.version);
        self.generation = snapshot.generation;
        self.telling = None;
        events::reset(&mut out, &self.version);
        out
    }

    /// The next events of what is being told; none if those that were looked at do not match.
    fn tell(&mut self) -> Option<Bytes> {
        let telling = self.telling.as_mut()?;
        let Some((snapshot, log)) = telling.lease.with_changes() else {
            let (current, _) = self.app.store.with_changes()?;
            return Some(self.missed(&current).into());
        };
        let mut part = Bytes::new();
        if let Some(start) = telling.next {
            let place = Place { generation: snapshot.generation, first_step: telling.first_step, start };
            let block = self.streams.blocks.get(place, &self.selection, &snapshot, &log, &self.app.budget);
            telling.count += block.count;
            telling.next = block.next;
            part = block.bytes;
        }
        if telling.next.is_none() {
            let mut end = part.to_vec();
            events::version(&mut end, &self.version, &snapshot.summary.version, telling.count);
            self.version.clone_from(&snapshot.summary.version);
            self.telling = None;
            part = self.app.budget.keep_made(end);
        }
        Some(part).filter(|part| !part.is_empty())
    }
}

impl Parts for Stream {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            if self.is_over() {
                return Poll::Ready(Ok(Bytes::new()));
            }
            if self.telling.is_none()
                && let Some(events) = self.look()
            {
                return Poll::Ready(Ok(events.into()));
            }
            let now = Instant::now();
            if self.comment_due <= now {
                self.comment_due = now + COMMENT_INTERVAL;
                return Poll::Ready(Ok(Bytes::from_static(events::COMMENT)));
            }
            if self.telling.is_none() {
                self.streams.await_news(self.number, self.comment_due, cx.waker());
                return Poll::Pending;
            }
            if !self.streams.take_turn(self.number, &self.app, cx.waker()) {
                return Poll::Pending;
            }
            if let Some(part) = self.tell() {
                self.streams.told(part.len());
                return Poll::Ready(Ok(part));
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.remove(self.number);
    }
}
