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
use crate::dataset::{Member, Record, View};
use crate::http::app::App;
use crate::shipment::FoldedKey;
use crate::store::Snapshot;

/// Shipments that are looked at before others have their turn.
const BATCH: usize = 256;

/// Bytes of a shipment whose look is noted.
const NOTED_BYTES_MAX: usize = 64 << 10;

/// What is waited for: that a shipment is another than in an earlier version, as far as its caller sees it.
pub(crate) struct Awaited {
    pub(crate) number: FoldedKey,
    pub(crate) carrier: FoldedKey,
    /// Version in which the caller knows it.
    pub(crate) known: Rc<str>,
    /// What the caller sees of it.
    pub(crate) view: View,
    /// Hash of that, if it was noted.
    pub(crate) look: Option<u64>,
}

impl Awaited {
    /// True if the shipment is there and as it was in the known version.
    pub(crate) fn is_as_known(&self, snapshot: &Snapshot, log: &ChangeLog) -> bool {
        let dataset = &snapshot.dataset;
        let Some(ordinal) = dataset.ordinal(&self.number, &self.carrier) else { return false };
        let looks_the_same = || self.look.is_some() && self.look == self.look_of(dataset.at(ordinal));
        // The steps since the known version may be forgotten.
        let Some(first_step) = log.first_step_since(&self.known, &snapshot.summary.version) else {
            return looks_the_same();
        };
        let Some(change) = log.change_of(ordinal, first_step, dataset) else { return true };
        let hides_it =
            || change.kind == Kind::Changed && change.members.iter().all(|member| member == Member::Articles);
        self.view != View::Full && (hides_it() || looks_the_same())
    }

    /// Notes that the shipment is known as it is in `snapshot`.
    pub(crate) fn note(&mut self, snapshot: &Snapshot) {
        let dataset = &snapshot.dataset;
        self.known = snapshot.summary.version.as_str().into();
        let ordinal = dataset.ordinal(&self.number, &self.carrier);
        self.look = ordinal.and_then(|ordinal| self.look_of(dataset.at(ordinal)));
    }

    /// Hash of what the caller sees of the shipment; `None` if there is much.
    fn look_of(&self, record: Record<'_>) -> Option<u64> {
        record.hash_of_view(self.view, NOTED_BYTES_MAX)
    }
}

struct Waiting {
    awaited: Awaited,
    until: Instant,
    is_over: bool,
    waker: Option<Waker>,
}

impl Waiting {
    fn end(&mut self) {
        self.is_over = true;
        self.waker.take().into_iter().for_each(Waker::wake);
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
        self.all.borrow_mut().insert(id, Waiting { awaited, until, is_over: false, waker: None });
        Wait { waits: Rc::clone(self), id, _place: place }
    }

    /// Ends what has waited until `now`, or all of it, and has shipments compared after a publication.
    pub(crate) fn sweep(self: &Rc<Waits>, app: &Arc<App>, now: Instant, ends_all: bool) {
        let mut all = self.all.borrow_mut();
        if all.is_empty() {
            return;
        }
        for waiting in all.values_mut().filter(|waiting| ends_all || waiting.until <= now) {
            waiting.end();
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
                waiting.end();
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
    /// What was waited for: it may have come about or not.
    type Output = Option<Awaited>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Awaited>> {
        let mut all = self.waits.all.borrow_mut();
        match all.get_mut(&self.id).filter(|waiting| !waiting.is_over) {
            Some(waiting) => {
                waiting.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(all.remove(&self.id).map(|waiting| waiting.awaited)),
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.waits.all.borrow_mut().remove(&self.id);
    }
}
