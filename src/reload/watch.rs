//! Checking the source regularly for something new to load.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::time::{Duration, Instant};

use crate::source::{Source, Stamp};

/// Part of an interval by which checks are delayed at random, so that replicas do not check all at once.
const JITTER: f64 = 0.2;

/// Decides when the source is checked, and whether it has changed.
pub(super) struct SourceWatch {
    interval: Duration,
    next_check: Instant,
    /// State of the source that needs no load: it was loaded, refused, or rolled back from.
    handled: Option<Stamp>,
    /// State that the last check found, if it was another one.
    seen: Option<Stamp>,
    missing: bool,
}

impl SourceWatch {
    /// Creates a watch whose first check is an interval from now.
    pub(super) fn new(interval: Duration) -> SourceWatch {
        let now = Instant::now();
        let mut watch = SourceWatch { interval, next_check: now, handled: None, seen: None, missing: false };
        watch.schedule_next();
        watch
    }

    fn schedule_next(&mut self) {
        self.next_check = Instant::now() + self.interval.mul_f64(1.0 + JITTER * random_fraction());
    }

    /// Time until the next check.
    pub(super) fn time_left(&self) -> Duration {
        self.next_check.saturating_duration_since(Instant::now())
    }

    /// Notes that the source needs no load in the state `stamp`.
    pub(super) fn mark_handled(&mut self, stamp: Stamp) {
        self.handled = Some(stamp);
        self.seen = None;
    }

    /// Looks up the state of the source if the time has come.
    pub(super) fn look(&mut self, source: &Source) -> Option<io::Result<Stamp>> {
        if !self.time_left().is_zero() {
            return None;
        }
        self.schedule_next();
        Some(source.stamp())
    }

    /// Notes what a look found. Returns whether there is something new to load.
    pub(super) fn note(&mut self, source: &Source, stamp: &io::Result<Stamp>) -> bool {
        match stamp {
            Ok(_) => self.missing = false,
            Err(error) if !self.missing => {
                match source {
                    Source::File(_) => tracing::warn!(%error, "the file is gone; what was served is still served"),
                    Source::Object(object) => {
                        let url = object.url();
                        tracing::warn!(%url, %error, "object unavailable; what was served is still served");
                    }
                }
                self.missing = true;
            }
            Err(_) => {}
        }
        let is_new = self.is_new(stamp.as_ref().ok().cloned());
        tracing::debug!(is_new, "checked the source");
        is_new
    }

    /// Returns whether the state `now` is not handled yet and the same as at the last check.
    fn is_new(&mut self, now: Option<Stamp>) -> bool {
        let earlier = std::mem::replace(&mut self.seen, now);
        self.seen.is_some() && self.seen != self.handled && self.seen == earlier
    }
}

/// Returns a random number from 0 to 1. The standard library offers none, but every `RandomState` has keys of its own
/// that derive from the system's random numbers, so the hash of nothing under them is as random.
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

    fn watch(handled: Stamp) -> SourceWatch {
        let mut watch = SourceWatch::new(Duration::ZERO);
        watch.mark_handled(handled);
        watch
    }

    #[test]
    fn a_file_that_is_handled_is_never_new() {
        let [a, ..] = stamps();
        let mut watch = watch(a.clone());
        assert_eq!([&a, &a, &a].map(|stamp| watch.is_new(Some(stamp.clone()))), [false; 3]);
    }

    #[test]
    fn a_file_is_new_when_it_is_the_same_as_at_the_last_check() {
        let [a, b, c] = stamps();
        let mut watch = watch(a);
        assert_eq!([&b, &c, &b, &b].map(|stamp| watch.is_new(Some(stamp.clone()))), [false, false, false, true]);
        watch.mark_handled(b.clone());
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
    fn checks_are_late_by_a_random_part_of_the_interval() {
        let interval = Duration::from_secs(1000);
        let lefts: Vec<Duration> = (0..20).map(|_| SourceWatch::new(interval).time_left()).collect();
        // Far less than this passes between creating a watch and asking it.
        let least = interval.checked_sub(Duration::from_mins(1)).unwrap();
        assert!(lefts.iter().all(|left| *left > least && *left <= interval.mul_f64(1.0 + JITTER)), "{lefts:?}");
        assert!(lefts.iter().any(|left| left.abs_diff(lefts[0]) > Duration::from_secs(1)), "{lefts:?}");
    }
}
