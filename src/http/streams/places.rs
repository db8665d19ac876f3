//! Places of streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Streams that may be open, over all threads.
const STREAMS_MAX: usize = 1000;

/// The places of all threads.
#[derive(Default)]
pub(crate) struct StreamPlaces(AtomicUsize);

/// A place that is taken, until it is dropped.
pub(crate) struct StreamPlace(Arc<StreamPlaces>);

impl StreamPlaces {
    /// Takes a place; `None` if there is none left.
    pub(crate) fn take(self: &Arc<StreamPlaces>) -> Option<StreamPlace> {
        let one_more = |taken| (taken < STREAMS_MAX).then_some(taken + 1);
        let is_taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok();
        is_taken.then(|| StreamPlace(Arc::clone(self)))
    }

    /// Number of places that are taken.
    pub(crate) fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_a_thousand_places() {
        let places = Arc::new(StreamPlaces::default());
        let mut taken: Vec<StreamPlace> = (0..1000).map(|_| places.take().unwrap()).collect();
        assert!(places.take().is_none());
        taken.pop();
        assert_eq!(places.taken(), 999);
        assert!(places.take().is_some());
        drop(taken);
        assert_eq!(places.taken(), 0);
    }
}
