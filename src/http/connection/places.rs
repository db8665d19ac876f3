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
        Arc::new(Places { permits: Arc::new(Semaphore::new(max)), started: Instant::now(), threads })
    }

    /// A place that is free.
    pub(crate) fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// Waits for a free place.
    pub(crate) async fn take(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.permits).acquire_owned().await {
            Ok(permit) => permit,
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Has the connection ended that has been idle longest, if one is.
    pub(crate) fn free_one(&self) {
        let idle_since = |of: &&OfThread| of.idle_since.load(Ordering::Relaxed);
        if let Some(longest) = self.threads.iter().min_by_key(idle_since).filter(|of| idle_since(of) != NONE) {
            longest.wanted.fetch_add(1, Ordering::Relaxed);
            longest.told.notify_one();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_thread_with_the_longest_idle_connection_is_to_end_one() {
        let places = Places::new(1, 3);
        let taken = places.try_take().unwrap();
        assert!(places.try_take().is_none());
        let later = Instant::now();
        places.note_idle(1, Some(later + Duration::from_secs(1)));
        places.note_idle(2, Some(later));
        places.free_one();
        assert_eq!(places.wanted_of(2).await, 1);
        places.note_idle(2, None);
        places.free_one();
        places.free_one();
        assert_eq!(places.wanted_of(1).await, 2);
        drop(taken);
        drop(places.take().await);
    }

    #[test]
    fn where_none_is_idle_none_is_ended() {
        let places = Places::new(1, 2);
        places.free_one();
        assert!(places.threads.iter().all(|of| of.wanted.load(Ordering::Relaxed) == 0));
    }
}
