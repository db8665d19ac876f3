//! Looking at the file now and then, to see when there is something new to load.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::source::{Source, Stamp};

/// The part of an interval by which looks are late at random, so that replicas do not look all at once.
const JITTER: f64 = 0.2;

/// When the file was looked at, and what was seen.
pub(super) struct FileWatch {
    interval: Duration,
    next_look: Instant,
    /// The file that needs no load: it was loaded, refused, or is what a rollback turned away from.
    settled: Option<Stamp>,
    /// Another one that stood there at the last look.
    seen: Option<Stamp>,
    missing: bool,
}

impl FileWatch {
    /// The first look is an interval from now.
    pub(super) fn new(interval: Duration) -> FileWatch {
        let mut watch = FileWatch { interval, next_look: Instant::now(), settled: None, seen: None, missing: false };
        watch.wait_an_interval();
        watch
    }

    fn wait_an_interval(&mut self) {
        self.next_look = Instant::now() + self.interval.mul_f64(1.0 + JITTER * random_fraction());
    }

    /// Time until the next look.
    pub(super) fn time_left(&self) -> Duration {
        self.next_look.saturating_duration_since(Instant::now())
    }

    /// The file of this stamp needs no load.
    pub(super) fn settle(&mut self, stamp: Stamp) {
        self.settled = Some(stamp);
        self.seen = None;
    }

    /// Looks at the file if it is time to. Whether there is something new to load.
    pub(super) fn look(&mut self, source: &Source) -> bool {
        if !self.time_left().is_zero() {
            return false;
        }
        self.wait_an_interval();
        let stamp = source.stamp(self.seen.as_ref().or(self.settled.as_ref()));
        match &stamp {
            Ok(_) => self.missing = false,
            Err(error) if !self.missing => {
                match source {
                    Source::File(_) => tracing::warn!(%error, "the file is gone; what was served is still served"),
                    Source::Object(object) => {
                        tracing::warn!(url = %object.url(), %error, "object unavailable; what was served is still served");
                    }
                }
                self.missing = true;
            }
            Err(_) => {}
        }
        let is_new = self.is_new(stamp.ok());
        tracing::debug!(is_new, "looked at the file");
        is_new
    }

    /// Whether what is seen now is not settled, and stood there at the last look already.
    fn is_new(&mut self, now: Option<Stamp>) -> bool {
        let earlier = std::mem::replace(&mut self.seen, now);
        self.seen.is_some() && self.seen != self.settled && self.seen == earlier
    }
}

/// A random number from 0 to 1. The standard library has none but the keys of its hashers, which every thread starts from
/// the system's random numbers: the hash of nothing by such keys is as random as they are.
fn random_fraction() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps() -> [Stamp; 3] {
        let file = tempfile::NamedTempFile::new().unwrap();
        [0, 1, 2].map(|bytes| {
            file.as_file().set_len(bytes).unwrap();
            Stamp::at(file.path()).unwrap()
        })
    }

    fn watch(settled: Stamp) -> FileWatch {
        let mut watch = FileWatch::new(Duration::ZERO);
        watch.settle(settled);
        watch
    }

    #[test]
    fn a_file_that_is_settled_is_never_new() {
        let [a, ..] = stamps();
        let mut watch = watch(a.clone());
        assert_eq!([&a, &a, &a].map(|stamp| watch.is_new(Some(stamp.clone()))), [false; 3]);
    }

    #[test]
    fn a_file_is_new_when_it_has_stood_still_since_the_last_look() {
        let [a, b, c] = stamps();
        let mut watch = watch(a);
        assert_eq!([&b, &c, &b, &b].map(|stamp| watch.is_new(Some(stamp.clone()))), [false, false, false, true]);
        watch.settle(b.clone());
        assert_eq!([&b, &b].map(|stamp| watch.is_new(Some(stamp.clone()))), [false; 2]);
    }

    #[test]
    fn a_file_that_was_gone_is_new_only_if_it_is_another_one() {
        let [a, b, _] = stamps().map(Some);
        let mut watch = watch(a.clone().unwrap());
        assert_eq!([&None, &None, &a, &a].map(|stamp| watch.is_new(stamp.clone())), [false; 4]);
        assert_eq!([&b, &None, &b, &b].map(|stamp| watch.is_new(stamp.clone())), [false, false, false, true]);
    }

    #[test]
    fn looks_are_late_by_a_random_part_of_the_interval() {
        let interval = Duration::from_secs(1000);
        let lefts: Vec<Duration> = (0..20).map(|_| FileWatch::new(interval).time_left()).collect();
        // Far less than this lies between making and asking.
        let least = interval.checked_sub(Duration::from_mins(1)).unwrap();
        assert!(lefts.iter().all(|left| *left > least && *left <= interval.mul_f64(1.0 + JITTER)), "{lefts:?}");
        assert!(lefts.iter().any(|left| left.abs_diff(lefts[0]) > Duration::from_secs(1)), "{lefts:?}");
    }
}
