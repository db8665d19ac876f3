//! The places for connections of a listener, over all its threads. Where all are taken, a new connection gets the place
//! of the one that has been idle longest, whichever thread that is on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// No connection of a thread is idle.
const NONE: u64 = u64::MAX;

/// The places of a listener.
pub struct Places {
    permits: Arc<Semaphore>,
    started: Instant,
    threads: Vec<OfThread>,
    /// Connections that wait for a place.
    waiting: AtomicUsize,
    /// Connections that are about to give up theirs.
    leaving: AtomicUsize,
}

/// What the threads tell each other about one of them.
struct OfThread {
    /// Since when its longest idle connection is idle, in milliseconds from the start, at its last sweep.
    idle_since: AtomicU64,
    /// Connections that it is to end.
    wanted: AtomicUsize,
    told: Notify,
}

impl Places {
    /// `max` places for the connections of `threads` threads.
    pub fn new(max: usize, threads: usize) -> Arc<Places> {
        let of_thread = || OfThread { idle_since: NONE.into(), wanted: 0.into(), told: Notify::new() };
        let threads = std::iter::repeat_with(of_thread).take(threads).collect();
        Arc::new(Places {
            permits: Arc::new(Semaphore::new(max)),
            started: Instant::now(),
            threads,
            waiting: 0.into(),
            leaving: 0.into(),
        })
    }

    /// A place that is free.
    pub(crate) fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// A place, if need be that of an idle connection. As long as none is idle, it looks again after each `pause`.
    pub(crate) async fn take<P: Future<Output = ()>>(&self, pause: impl Fn() -> P) -> OwnedSemaphorePermit {
        if let Some(place) = self.try_take() {
            return place;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        loop {
            self.free_one();
            tokio::select! {
                biased;
                // An error would mean that the semaphore is closed, which it never is.
                Ok(place) = Arc::clone(&self.permits).acquire_owned() => return place,
                () = pause() => {}
            }
        }
    }

    /// Has the connection ended that has been idle longest, unless enough are ending.
    fn free_one(&self) {
        if self.leaving.load(Ordering::Relaxed) >= self.waiting.load(Ordering::Relaxed) {
            return;
        }
        let idle_since = |of: &&OfThread| of.idle_since.load(Ordering::Relaxed);
        if let Some(longest) = self.threads.iter().min_by_key(idle_since).filter(|of| idle_since(of) != NONE) {
            self.leaving.fetch_add(1, Ordering::Relaxed);
            longest.wanted.fetch_add(1, Ordering::Relaxed);
            longest.told.notify_one();
        }
    }

    /// Notes that a connection that was to leave has left, or that there was none.
    pub(crate) fn left(&self) {
        self.leaving.fetch_sub(1, Ordering::Relaxed);
    }

    /// Waits until connections of `thread` are to be ended. Returns how many.
    pub(crate) async fn wanted_of(&self, thread: usize) -> usize {
        let of = &self.threads[thread];
        loop {
            let wanted = of.wanted.swap(0, Ordering::Relaxed);
            if wanted > 0 {
                return wanted;
            }
            of.told.notified().await;
        }
    }

    /// Notes since when the longest idle connection of `thread` is idle.
    pub(crate) fn note_idle(&self, thread: usize, since: Option<Instant>) {
        let since = since.map_or(NONE, |since| {
            since.checked_duration_since(self.started).unwrap_or(Duration::ZERO).as_millis() as u64
        });
        self.threads[thread].idle_since.store(since, Ordering::Relaxed);
    }
}

/// One that waits, until dropped.
struct Waiting<'p>(&'p AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::future::{pending, poll_fn};
    use std::pin::pin;
    use std::task::Poll;

    /// Polls `future` once.
    async fn is_pending(mut future: std::pin::Pin<&mut impl Future>) -> bool {
        poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
    }

    #[tokio::test]
    async fn the_thread_with_the_longest_idle_connection_is_to_end_one_for_each_that_waits() {
        let places = Places::new(1, 3);
        let taken = places.try_take().unwrap();
        let later = Instant::now();
        places.note_idle(1, Some(later + Duration::from_secs(1)));
        places.note_idle(2, Some(later));
        let mut first = pin!(places.take(pending::<()>));
        assert!(is_pending(first.as_mut()).await);
        assert_eq!(places.wanted_of(2).await, 1);
        places.note_idle(2, None);
        // One is leaving already.
        places.free_one();
        let mut second = pin!(places.take(pending::<()>));
        assert!(is_pending(second.as_mut()).await);
        assert_eq!(places.wanted_of(1).await, 1);
        places.left();
        drop(taken);
        drop(first.await);
        drop(second.await);
    }

    #[tokio::test]
    async fn where_none_is_idle_none_is_ended() {
        let places = Places::new(1, 2);
        let _taken = places.try_take().unwrap();
        assert!(is_pending(pin!(places.take(pending::<()>))).await);
        assert!(places.threads.iter().all(|of| of.wanted.load(Ordering::Relaxed) == 0));
    }
}
