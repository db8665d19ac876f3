//! Those who wait, of one thread. They have neither task nor timer: at each tick of the clock that all threads follow, the
//! thread ends what has waited long enough, and after a publication looks which shipments are others, a batch at a time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::places::WaitPlace;
use crate::changes::{ChangeLog, Kind};
use crate::dataset::Member;
use crate::http::app::App;
use crate::shipment::FoldedKey;
use crate::store::Snapshot;

/// Shipments that are looked at before others have their turn.
const BATCH: usize = 256;

/// What is waited for: that a shipment is another than in an earlier version.
pub(crate) struct Awaited {
    pub(crate) number: FoldedKey,
    pub(crate) carrier: FoldedKey,
    /// Version in which the caller knows it.
    pub(crate) known: Rc<str>,
    /// True if the caller does not see the articles.
    pub(crate) is_limited: bool,
}

impl Awaited {
    /// True if the shipment is there and as it was in the known version.
    pub(crate) fn is_as_known(&self, snapshot: &Snapshot, log: &ChangeLog) -> bool {
        let dataset = &snapshot.dataset;
        let Some(first_step) = log.first_step_since(&self.known, &snapshot.summary.version) else { return false };
        let Some(ordinal) = dataset.ordinal(&self.number, &self.carrier) else { return false };
        let is_seen = |member| !(self.is_limited && member == Member::Articles);
        log.change_of(ordinal, first_step, dataset)
            .is_none_or(|change| change.kind == Kind::Changed && !change.members.iter().any(is_seen))
    }
}

/// How waiting ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The shipment is another, or gone, or it is not known whether it is.
    Another,
    /// The time is over.
    TimeIsOver,
}

struct Waiting {
    awaited: Awaited,
    until: Instant,
    end: Option<End>,
    waker: Option<Waker>,
}

impl Waiting {
    fn end(&mut self, end: End) {
        if self.end.is_none() {
            self.end = Some(end);
            self.waker.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// Those who wait on one thread.
#[derive(Default)]
pub(crate) struct Waits {
    all: RefCell<BTreeMap<u64, Waiting>>,
    next_id: Cell<u64>,
    /// Generation that all who wait were compared with.
    generation: Cell<u64>,
    is_comparing: Cell<bool>,
}

impl Waits {
    /// Waits for `awaited`, which is as it is known now, at most until `until`. `place` is kept as long.
    pub(crate) fn wait(self: &Rc<Waits>, awaited: Awaited, until: Instant, place: WaitPlace) -> Wait {
        let id = self.next_id.replace(self.next_id.get() + 1);
        self.all.borrow_mut().insert(id, Waiting { awaited, until, end: None, waker: None });
        Wait { waits: Rc::clone(self), id, _place: place }
    }

    /// Ends what has waited until `now`, or all of it, and has shipments compared after a publication.
    pub(crate) fn sweep(self: &Rc<Waits>, app: &Arc<App>, now: Instant, ends_all: bool) {
        let mut all = self.all.borrow_mut();
        if all.is_empty() {
            return;
        }
        for waiting in all.values_mut().filter(|waiting| ends_all || waiting.until <= now) {
            waiting.end(End::TimeIsOver);
        }
        let generation = app.store.load().as_ref().map_or(0, |current| current.generation);
        if generation != self.generation.get() && !self.is_comparing.replace(true) {
            let (waits, app) = (Rc::clone(self), Arc::clone(app));
            tokio::task::spawn_local(async move {
                waits.compare(&app).await;
                waits.generation.set(generation);
                waits.is_comparing.set(false);
            });
        }
    }

    async fn compare(&self, app: &App) {
        let ids: Vec<u64> = self.all.borrow().keys().copied().collect();
        for batch in ids.chunks(BATCH) {
            self.compare_batch(app, batch);
            tokio::task::yield_now().await;
        }
    }

    fn compare_batch(&self, app: &App, ids: &[u64]) {
        let Some((snapshot, log)) = app.store.with_changes() else { return };
        let current: Rc<str> = snapshot.summary.version.as_str().into();
        let mut all = self.all.borrow_mut();
        for id in ids {
            let Some(waiting) = all.get_mut(id) else { continue };
            if waiting.awaited.is_as_known(&snapshot, &log) {
                // The steps until now may be forgotten.
                waiting.awaited.known = Rc::clone(&current);
            } else {
                waiting.end(End::Another);
            }
        }
    }
}

/// Waiting, until it ends or is given up.
pub(crate) struct Wait {
    waits: Rc<Waits>,
    id: u64,
    _place: WaitPlace,
}

impl Future for Wait {
    type Output = End;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let mut all = self.waits.all.borrow_mut();
        let Some(waiting) = all.get_mut(&self.id) else { return Poll::Ready(End::TimeIsOver) };
        match waiting.end {
            Some(end) => Poll::Ready(end),
            None => {
                waiting.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.waits.all.borrow_mut().remove(&self.id);
    }
}
