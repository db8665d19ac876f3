//! Memory of a build, counted while it is taken: what it takes beyond the dataset depends on the data.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::dataset::arena::ArenaError;

/// Bytes that a build has taken and not given back, and the most that they ever were.
#[derive(Debug)]
pub struct Account {
    taken: AtomicU64,
    peak: AtomicU64,
    max: u64,
}

impl Account {
    /// Creates an account that fails when more than `max` bytes are taken.
    pub(super) fn new(max: u64) -> Account {
        Account { taken: AtomicU64::new(0), peak: AtomicU64::new(0), max }
    }

    /// Notes that `bytes` more are taken.
    pub(super) fn take(&self, bytes: u64) -> Result<(), ArenaError> {
        let taken = self.taken.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(taken, Ordering::Relaxed);
        self.check(0)
    }

    /// Notes that `bytes` are given back.
    pub(super) fn give_back(&self, bytes: u64) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Checks that `bytes` more can be taken.
    pub(super) fn check(&self, bytes: u64) -> Result<(), ArenaError> {
        let needed = self.taken.load(Ordering::Relaxed).saturating_add(bytes);
        if needed > self.max { Err(ArenaError::TooMany { needed, max: self.max }) } else { Ok(()) }
    }

    /// What is taken now.
    pub fn taken_bytes(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// The most that was ever taken.
    pub fn peak_bytes(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

/// Memory of a build, in bytes, as it is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuildMemory {
    /// What is taken now.
    pub taken: u64,
    /// Part of it that does not grow with what is read: that of the threads, and the index.
    pub fixed: u64,
    /// What would still be taken, at least, if there was no more to read.
    pub ahead: u64,
}

/// Part of an account that is counted anew now and then.
#[derive(Default)]
pub(super) struct Gauge(u64);

impl Gauge {
    /// Creates a gauge of what has been counted already and takes `bytes` now.
    pub(super) fn counted(bytes: usize) -> Gauge {
        Gauge(bytes as u64)
    }

    /// Notes that it takes `bytes` now.
    pub(super) fn set(&mut self, bytes: usize, account: &Account) -> Result<(), ArenaError> {
        let bytes = bytes as u64;
        let before = std::mem::replace(&mut self.0, bytes);
        if bytes >= before {
            return account.take(bytes - before);
        }
        account.give_back(before - bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_stays_and_what_is_over_the_limit_is_refused_with_the_figures() {
        let account = Account::new(100);
        let mut gauge = Gauge::default();
        account.take(30).unwrap();
        gauge.set(60, &account).unwrap();
        gauge.set(10, &account).unwrap();
        assert_eq!(account.peak_bytes(), 90);
        assert!(account.check(60).is_ok());
        assert!(matches!(account.check(61), Err(ArenaError::TooMany { needed: 101, max: 100 })));
        assert!(gauge.set(71, &account).is_err());
    }
}
