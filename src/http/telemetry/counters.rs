//! Counters. Each worker has its own, which no other thread writes, so that counting shares nothing on the way of a
//! request; a scrape reads and sums them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::StatusCode;

use crate::http::access::keys::NAMES_MAX;
use crate::http::activity::Phase;
use crate::http::request::route::{ROUTES, RouteId};

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
pub(crate) const CODES: [u16; 20] =
    [200, 404, 304, 204, 301, 400, 401, 403, 405, 409, 410, 412, 413, 415, 421, 422, 503, 507, 429, 500];

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

/// What became of a request with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyResult {
    Ok,
    Expired,
    Forbidden,
    RateLimited,
}

/// The requests with keys of one name, in the order of [`KeyResult::ALL`].
pub(crate) type KeyCounts = [Count; KeyResult::ALL.len()];

impl KeyResult {
    pub(crate) const ALL: [KeyResult; 4] =
        [KeyResult::Ok, KeyResult::Expired, KeyResult::Forbidden, KeyResult::RateLimited];

    /// Its label in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            KeyResult::Ok => "ok",
            KeyResult::Expired => "expired",
            KeyResult::Forbidden => "forbidden",
            KeyResult::RateLimited => "rate_limited",
        }
    }

    /// What a status says of the key that asked.
    fn of(status: StatusCode) -> KeyResult {
        match status {
            StatusCode::UNAUTHORIZED => KeyResult::Expired,
            StatusCode::FORBIDDEN => KeyResult::Forbidden,
            StatusCode::TOO_MANY_REQUESTS => KeyResult::RateLimited,
            _ => KeyResult::Ok,
        }
    }
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
    /// Requests of clients without a key that came too early.
    pub(crate) clients_limited: Count,
    /// Streams of changes since a version that is not known.
    pub(crate) streams_reset: Count,
    /// Requests by the numbers of their keys' names, once there is one.
    keys: OnceLock<Box<[KeyCounts]>>,
}

impl Counters {
    /// Counts a response to a request with a key whose name has this number.
    pub(crate) fn count_key(&self, name_number: usize, status: StatusCode) {
        let make = || std::iter::repeat_with(KeyCounts::default).take(NAMES_MAX + 1).collect();
        self.keys.get_or_init(make)[name_number.min(NAMES_MAX)][KeyResult::of(status) as usize].add(1);
    }

    /// The requests with keys whose name has this number, by result.
    pub(crate) fn of_key(&self, name_number: usize) -> Option<&KeyCounts> {
        self.keys.get()?.get(name_number)
    }

    /// Time of all lookups, by path and in batches, in nanoseconds: more whenever one is answered.
    pub(crate) fn lookups_ns(&self) -> u64 {
        let lookups = [RouteId::Shipment, RouteId::ShipmentsByNumber, RouteId::BatchLookup];
        lookups.map(|route| self.routes[route as usize].sum_ns.get()).into_iter().fold(0, u64::wrapping_add)
    }

    /// The responses of `route` with `status`, which is one of [`CODES`].
    pub(crate) fn of_status(&self, route: RouteId, status: StatusCode) -> u64 {
        let code = CODES.iter().position(|code| *code == status.as_u16());
        code.map_or(0, |code| self.routes[route as usize].codes[code].get())
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
