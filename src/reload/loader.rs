//! The loader thread: from triggers to published datasets.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::compare;
use super::current::CurrentLoad;
use super::guards;
use super::guards::MemoryGuard;
use super::report::{
    History, LastReload, Outcome, ReloadError, Report, log_large_shipments, log_reload, log_rollback, log_warnings,
};
use super::retired::Retired;
use super::settings::{ReloadSettings, Request};
use super::watch::SourceWatch;
use crate::cancel::Cancel;
use crate::load::{self, LoadError, Loaded, Progress};
use crate::memory;
use crate::mutex;
use crate::source::{Opened, Stamp};
use crate::store::{Snapshot, Store};
use crate::thread::lower_thread_priority;

/// Niceness of the threads that load while others serve.
const RELOAD_NICENESS: i32 = 10;
/// Time between attempts to drop a replaced dataset that requests still hold.
const RETIRED_INTERVAL: Duration = Duration::from_millis(5);

/// A task for the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Load(Request),
    RollBack,
}

pub(super) struct Trigger {
    pub(super) task: Task,
    pub(super) reply: oneshot::Sender<Outcome>,
}

pub(super) struct LoaderThread {
    settings: ReloadSettings,
    store: Arc<Store>,
    progress: Box<dyn FnMut(&Progress) + Send>,
    queue: mpsc::Receiver<Trigger>,
    waiting: Vec<Trigger>,
    watch: Option<SourceWatch>,
    /// Replaced snapshots that requests may still hold.
    retired: Retired,
    /// When the allocator is asked to purge.
    purge_at: Option<Instant>,
    history: Arc<Mutex<History>>,
    current: Arc<CurrentLoad>,
}

impl LoaderThread {
    pub(super) fn new(
        settings: ReloadSettings,
        store: Arc<Store>,
        progress: Box<dyn FnMut(&Progress) + Send>,
        queue: mpsc::Receiver<Trigger>,
        (history, current): (Arc<Mutex<History>>, Arc<CurrentLoad>),
    ) -> LoaderThread {
        let watch = settings.watch_interval.map(SourceWatch::new);
        let (waiting, retired, purge_at) = (Vec::new(), Retired::default(), None);
        LoaderThread { settings, store, progress, queue, waiting, watch, retired, purge_at, history, current }
    }

    pub(super) fn run(mut self, first: oneshot::Sender<Outcome>) {
        let outcome = self.load(Request::default(), true);
        // Nobody may be waiting any more if the process is ending.
        let _ = first.send(outcome);
        self.settings.load.niceness = RELOAD_NICENESS;
        lower_thread_priority(RELOAD_NICENESS);
        while self.wait() {
            self.waiting.extend(self.queue.try_iter());
            while let Some(next) = self.waiting.first() {
                let task = next.task;
                let triggers = self.take_waiting(task);
                self.run_task(task, triggers);
                self.waiting.extend(self.queue.try_iter());
            }
        }
    }

    /// Waits until there is a trigger. Returns `false` when there can be no more.
    fn wait(&mut self) -> bool {
        while self.waiting.is_empty() {
            self.drop_retired();
            let retired = self.retired.iter().next().map(|_| RETIRED_INTERVAL);
            let check = self.watch.as_ref().map(SourceWatch::time_left);
            let purge = self.purge_at.map(|at| at.saturating_duration_since(Instant::now()));
            let received = match [retired, check, purge].into_iter().flatten().min() {
                Some(time) => self.queue.recv_timeout(time),
                None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match received {
                Ok(trigger) => self.waiting.push(trigger),
                Err(RecvTimeoutError::Timeout) => {
                    if self.purge_at.take_if(|at| *at <= Instant::now()).is_some() {
                        memory::purge();
                    }
                    self.check_source();
                }
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// Drops the replaced snapshots that nobody holds any more.
    fn drop_retired(&mut self) {
        if self.retired.drop_free() {
            self.purge_at = Some(Instant::now() + memory::PURGE_DELAY);
        }
    }

    fn check_source(&mut self) {
        let source = &self.settings.data;
        let Some(watch) = &mut self.watch else { return };
        let Some(stamp) = watch.look(source) else { return };
        mutex::lock(&self.history).add_check(stamp.is_ok());
        let is_new = watch.note(source, &stamp);
        self.retired.add(stamp.ok().and_then(|stamp| self.store.note_rewritten(stamp)));
        if is_new {
            tracing::info!("file changed and is stable");
            // Nobody waits for the outcome; it is in the log and in /-/dataset.
            let (reply, _) = oneshot::channel();
            self.waiting.push(Trigger { task: Task::Load(Request::default()), reply });
        }
    }

    /// Takes all waiting triggers of `task` up to the first of the other kind: loads and rollbacks stay in order.
    fn take_waiting(&mut self, task: Task) -> Vec<Trigger> {
        let is_rollback = |task| task == Task::RollBack;
        let turn = self.waiting.iter().position(|trigger| is_rollback(trigger.task) != is_rollback(task));
        let later = self.waiting.split_off(turn.unwrap_or(self.waiting.len()));
        let (taken, others) = self.waiting.drain(..).partition(|trigger| trigger.task == task);
        self.waiting = others;
        self.waiting.extend(later);
        taken
    }

    fn run_task(&mut self, task: Task, triggers: Vec<Trigger>) {
        let outcome = match task {
            Task::Load(request) => self.reload(request),
            Task::RollBack => self.roll_back(),
        };
        for trigger in triggers {
            // A caller may have hung up.
            let _ = trigger.reply.send(Arc::clone(&outcome));
        }
    }

    fn reload(&mut self, request: Request) -> Outcome {
        let outcome = self.load(request, false);
        if !request.dry_run {
            let last = LastReload { at: Timestamp::now(), outcome: Arc::clone(&outcome) };
            mutex::lock(&self.history).add(last);
        }
        log_reload(request, &outcome);
        outcome
    }

    fn load(&mut self, request: Request, is_first: bool) -> Outcome {
        let mut stamp = None;
        let cancel = self.current.begin(is_first);
        self.retired.end_leases(&self.store, &cancel);
        self.drop_retired();
        let result = catch_panic(|| {
            self.settings.read_status_map()?;
            let opened = self.settings.data.open(&cancel).map_err(LoadError::from)?;
            stamp = opened.stamp().ok();
            self.try_load(opened, request, &cancel)
        });
        // Cancelling a load explains every other error.
        let result = self.current.commit().and(result);
        self.purge_at = Some(Instant::now() + memory::PURGE_DELAY);
        if !request.dry_run && result.as_ref().is_err_and(ReloadError::is_permanent) {
            self.mark_handled(stamp);
        }
        Arc::new(result)
    }

    fn try_load(&mut self, opened: Opened, request: Request, cancel: &Cancel) -> Result<Report, ReloadError> {
        let loaded = self.load_within_memory(opened, cancel)?;
        log_warnings(&loaded.summary, self.store.load().as_deref().map(|served| &served.summary));
        log_large_shipments(&loaded.dataset);
        let (report, changes) = compare::with_loaded(&self.settings, &self.store, &loaded, request, cancel)?;
        self.current.commit()?;
        if !request.dry_run {
            self.mark_handled(Some(loaded.summary.stamp.clone()));
            match report {
                Report::Published { .. } => {
                    let source = self.settings.data.name().to_owned();
                    let past = self.store.publish(loaded, source, changes, self.settings.keep_previous);
                    self.retire_replaced(past);
                }
                Report::Unchanged { .. } => self.retired.add(self.store.restamp(loaded.summary.stamp)),
            }
        }
        Ok(report)
    }

    fn load_within_memory(&mut self, opened: Opened, cancel: &Cancel) -> Result<Loaded, ReloadError> {
        let (served, previous) = (self.store.load(), self.store.previous());
        let held = self.retired.iter().chain(&previous).chain(served.as_ref());
        let held_bytes = held.map(|snapshot| snapshot.dataset.bytes()).sum();
        let mut guard = guards::check_memory(&self.settings, &opened, served.as_deref(), held_bytes)?;
        drop(served);
        let memory_bytes_max = guard.as_ref().map_or(u64::MAX, MemoryGuard::bytes_max);
        let options = load::Options { memory_bytes_max, cancel: cancel.clone(), ..self.settings.load.clone() };
        let loaded = load::load_opened(opened, &options, &mut |progress| {
            (self.progress)(progress);
            if let (Some(guard), Some(available)) = (&mut guard, memory::available()) {
                guard.observe(progress, available);
            }
        });
        loaded.map_err(|error| match guard {
            Some(guard) => guard.explain(error),
            None => error.into(),
        })
    }

    fn roll_back(&mut self) -> Outcome {
        let outcome = Arc::new(catch_panic(|| self.try_roll_back()));
        log_rollback(&outcome);
        outcome
    }

    fn try_roll_back(&mut self) -> Result<Report, ReloadError> {
        let log = compare::with_previous(&self.settings, &self.store);
        let (counted, log) = log.map_or((None, None), |(changes, log)| (Some(changes), Some(log)));
        let (generation, back) = self.store.restore_previous(log).ok_or(ReloadError::NoPrevious)?;
        // The rollback stands until the file changes.
        self.mark_handled(self.settings.data.stamp().ok());
        let (dataset, summary) = (Arc::clone(&back.dataset), back.summary.clone());
        self.retire_replaced(Some(back));
        // Without steps to be kept, nobody waits for the numbers.
        let count = || compare::count(&dataset, &self.store.previous()?.dataset, self.settings.load.threads);
        let changes = counted.or_else(count).unwrap_or_default();
        Ok(Report::Published {
            generation,
            version: summary.version,
            shipments: dataset.shipment_count(),
            changes,
            load_seconds: summary.seconds,
        })
    }

    /// Takes over the snapshot that is gone since another was published.
    fn retire_replaced(&mut self, past: Option<Arc<Snapshot>>) {
        self.retired.note_replaced();
        self.retired.add(past);
    }

    /// Notes that the source needs no load in the state `stamp`, which is `None` if it could not be read.
    fn mark_handled(&mut self, stamp: Option<Stamp>) {
        if let (Some(watch), Some(stamp)) = (&mut self.watch, stamp) {
            watch.mark_handled(stamp);
        }
    }
}

fn catch_panic(task: impl FnOnce() -> Result<Report, ReloadError>) -> Result<Report, ReloadError> {
    catch_unwind(AssertUnwindSafe(task)).unwrap_or(Err(ReloadError::Panicked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    const DRY_RUN: Task = Task::Load(Request { dry_run: true, force: false });
    const LOAD: Task = Task::Load(Request { dry_run: false, force: false });

    fn write(path: &Path, number: &str) {
        let header = crate::shipment::Column::ALL.map(crate::shipment::Column::name).join(",");
        let row: Vec<&str> = crate::shipment::Column::ALL
            .iter()
            .map(|column| match column.name() {
                "tracking_number" => number,
                "article_quantity" | "article_price" => "1",
                _ => "x",
            })
            .collect();
        let next = path.with_extension("next");
        fs::write(&next, format!("{header}\n{}\n", row.join(","))).unwrap();
        fs::rename(next, path).unwrap();
    }

    /// A thread that was not started, keeps the previous snapshot and checks its file whenever it is asked to.
    fn thread(data: &Path) -> LoaderThread {
        let settings = ReloadSettings {
            removed_percent_max: 100.0,
            keep_previous: true,
            changes: None,
            watch_interval: Some(Duration::ZERO),
            ..ReloadSettings::new(data.to_owned())
        };
        let (_, queue) = mpsc::channel();
        LoaderThread::new(settings, Arc::default(), Box::new(|_| ()), queue, Default::default())
    }

    fn trigger(task: Task) -> Trigger {
        Trigger { task, reply: oneshot::channel().0 }
    }

    #[test]
    fn triggers_of_the_same_task_share_it_but_not_across_a_rollback() {
        let dir = tempfile::tempdir().unwrap();
        let mut thread = thread(&dir.path().join("none"));
        let requested = [LOAD, DRY_RUN, LOAD, Task::RollBack, Task::RollBack, LOAD, DRY_RUN, Task::RollBack, LOAD];
        thread.waiting = requested.map(trigger).into();
        let mut run = Vec::new();
        while let Some(next) = thread.waiting.first() {
            let task = next.task;
            run.push((task, thread.take_waiting(task).len()));
        }
        let expected =
            [(LOAD, 2), (DRY_RUN, 1), (Task::RollBack, 2), (LOAD, 1), (DRY_RUN, 1), (Task::RollBack, 1), (LOAD, 1)];
        assert_eq!(run, expected);
    }

    #[test]
    fn a_rollback_turns_away_from_the_file_as_it_is_then_loaded_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.csv");
        let mut thread = thread(&path);
        for number in ["TN0", "TN1"] {
            write(&path, number);
            assert!(thread.load(Request::default(), false).is_ok());
        }
        write(&path, "TN2");
        thread.check_source();
        assert!(thread.roll_back().is_ok());
        for _ in 0..3 {
            thread.check_source();
        }
        assert!(thread.waiting.is_empty());
        write(&path, "TN3");
        thread.check_source();
        assert!(thread.waiting.is_empty());
        thread.check_source();
        assert_eq!(thread.waiting.pop().map(|trigger| trigger.task), Some(LOAD));
    }

    #[test]
    fn no_more_is_kept_than_what_is_served_and_what_was_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.csv");
        let mut thread = thread(&path);
        for (number, kept) in [("TN0", None), ("TN1", Some(1)), ("TN2", Some(2))] {
            write(&path, number);
            assert!(thread.load(Request::default(), false).is_ok());
            assert_eq!(thread.store.previous().map(|previous| previous.generation), kept);
        }
        assert_eq!(thread.retired.iter().map(|retired| retired.generation).collect::<Vec<_>>(), [1]);
        assert!(thread.roll_back().is_ok());
        assert_eq!(thread.store.previous().map(|previous| previous.generation), Some(3));
        let mut thread = self::thread(&path);
        thread.settings.keep_previous = false;
        for number in ["TN4", "TN5"] {
            write(&path, number);
            assert!(thread.load(Request::default(), false).is_ok());
        }
        assert!(thread.store.previous().is_none());
        assert_eq!(thread.retired.iter().map(|retired| retired.generation).collect::<Vec<_>>(), [1]);
        assert!(matches!(thread.roll_back().as_ref(), Err(ReloadError::NoPrevious)));
    }
}
