//! Counters. Each worker has its own, which no other thread writes, so that counting shares nothing on the way of a
//! request; a scrape reads and sums them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::StatusCode;

use crate::http::activity::Phase;
use crate::http::request::route::{ROUTES, RouteId};
use crate::mutex;

/// Upper bounds of the buckets of durations, in nanoseconds: 10 µs to 10 s.
pub(crate) const BUCKETS_NS: [u64; 19] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Every status that a response may have, the most frequent first; the last stands for all others.
pub(crate) const CODES: [u16; 19] =
    [200, 404, 304, 204, 301, 400, 401, 403, 405, 409, 412, 413, 415, 421, 422, 503, 507, 429, 500];

/// A number that one thread adds to and any thread may read.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Adds `n`. For the one thread that the count belongs to: a second one would lose what they add at once.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The sum so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The requests of one route.
#[derive(Debug, Default)]
pub(crate) struct RouteCounts {
    /// By status, in the order of [`CODES`].
    pub(crate) codes: [Count; CODES.len()],
    /// By time, in the order of [`BUCKETS_NS`]; the last took longer.
    pub(crate) buckets: [Count; BUCKETS_NS.len() + 1],
    /// Of all, in nanoseconds.
    pub(crate) sum_ns: Count,
}

/// The counters of one worker. Aligned so that no two workers write to one cache line, or to the pair of lines that
/// processors fetch together.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    /// In the order of [`ROUTES`]; the last is for requests without a route.
    pub(crate) routes: [RouteCounts; ROUTES.len() + 1],
    /// Connections accepted.
    pub(crate) accepted: Count,
    /// Connections ended.
    pub(crate) closed: Count,
    /// Connections that could not be accepted.
    pub(crate) accept_errors: Count,
    /// Idle connections that were ended so that another could be accepted.
    pub(crate) evicted: Count,
    /// Connections that were ended because their clients flooded them.
    pub(crate) floods: Count,
    /// Connections on which TLS could not be agreed on.
    pub(crate) failed_handshakes: Count,
    /// Connections that were ended because they took too long, in the order of [`Phase::ALL`].
    pub(crate) timed_out: [Count; Phase::ALL.len()],
    /// Requests whose handling panicked.
    pub(crate) panics: Count,
    /// Requests by the names of their keys. Only a scrape takes the lock beside the worker.
    pub(crate) keys: Mutex<BTreeMap<Arc<str>, u64>>,
}

impl Counters {
    /// Counts a request with a key of this name.
    pub(crate) fn key_used(&self, name: Arc<str>) {
        *mutex::lock(&self.keys).entry(name).or_default() += 1;
    }

    /// Counts a response of `route`, which took `duration` to make.
    #[inline]
    pub(crate) fn count_response(&self, route: Option<RouteId>, status: StatusCode, duration: Duration) {
        let counts = &self.routes[route.map_or(ROUTES.len(), |route| route as usize)];
        let code = CODES.iter().position(|code| *code == status.as_u16()).unwrap_or(CODES.len() - 1);
        counts.codes[code].add(1);
        let ns = duration.as_nanos() as u64;
        let bucket = BUCKETS_NS.iter().position(|bound| ns <= *bound).unwrap_or(BUCKETS_NS.len());
        counts.buckets[bucket].add(1);
        counts.sum_ns.add(ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_counted_once_by_status_and_by_time() {
        let counters = Counters::default();
        counters.count_response(Some(RouteId::Shipment), StatusCode::OK, Duration::from_micros(10));
        counters.count_response(Some(RouteId::Shipment), StatusCode::OK, Duration::from_nanos(10_001));
        counters.count_response(Some(RouteId::Shipment), StatusCode::IM_A_TEAPOT, Duration::from_secs(11));
        let counts = &counters.routes[0];
        let counted = |counts: &[Count]| counts.iter().map(Count::get).collect::<Vec<_>>();
        assert_eq!(counted(&counts.codes)[..2], [2, 0]);
        assert_eq!(counts.codes[CODES.len() - 1].get(), 1);
        let buckets = counted(&counts.buckets);
        assert_eq!((buckets[0], buckets[1], buckets[BUCKETS_NS.len()]), (1, 1, 1));
        assert_eq!(counts.sum_ns.get(), 10_000 + 10_001 + 11_000_000_000);
    }

    #[test]
    fn buckets_ascend() {
        assert!(BUCKETS_NS.is_sorted());
    }
}
