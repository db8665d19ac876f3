//! The memory that clients make the server hold: responses that wait to be taken and request bodies that arrive, over
//! all connections, listeners and protocols (`--max-buffered-bytes`).
//!
//! What is small is never refused and not counted, so that lookups share no counter; a connection has little of it. What
//! is large is refused first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// Bytes of a response that are not counted.
pub const TINY_BYTES_MAX: usize = 4 << 10;
/// Bytes of a response or body that may take as much again as the budget.
pub const SMALL_BYTES_MAX: usize = 64 << 10;

/// Memory that may be held for clients.
pub struct Budget {
    bytes_max: usize,
    held: AtomicUsize,
}

/// What was asked for does not fit.
#[derive(Debug, PartialEq, Eq)]
pub struct Exhausted;

/// Memory that is held, until dropped.
pub struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// A budget of `bytes_max` bytes for what is large, and as much again for what is small.
    pub fn new(bytes_max: usize) -> Arc<Budget> {
        Arc::new(Budget { bytes_max, held: AtomicUsize::new(0) })
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Holds `bytes` bytes, if they fit.
    pub fn reserve(self: &Arc<Budget>, bytes: usize) -> Result<Reservation, Exhausted> {
        let mut reservation = Reservation { budget: Arc::clone(self), bytes: 0 };
        reservation.grow_to(bytes)?;
        Ok(reservation)
    }

    /// Counts `bytes` bytes that are held whether they fit or not.
    pub fn hold(self: &Arc<Budget>, bytes: usize) -> Reservation {
        let mut reservation = Reservation { budget: Arc::clone(self), bytes: 0 };
        reservation.set(bytes);
        reservation
    }

    /// `body`, held until its last byte was taken or dropped.
    pub fn keep(self: &Arc<Budget>, body: &[u8]) -> Result<Bytes, Exhausted> {
        if body.len() <= TINY_BYTES_MAX {
            return Ok(Bytes::copy_from_slice(body));
        }
        let reservation = self.reserve(body.len())?;
        Ok(Bytes::from_owner(Kept { body: body.to_vec(), _reservation: reservation }))
    }

    /// What was made already, counted until its last byte was taken or dropped, whether it fits or not.
    pub fn keep_made(self: &Arc<Budget>, body: Vec<u8>) -> Bytes {
        let reservation = self.hold(body.len());
        Bytes::from_owner(Kept { body, _reservation: reservation })
    }
}

impl Reservation {
    /// Holds `bytes` bytes in all, if they fit.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let more = bytes.saturating_sub(self.bytes);
        let is_small = bytes <= SMALL_BYTES_MAX;
        let held_max = if is_small { self.budget.bytes_max.saturating_mul(2) } else { self.budget.bytes_max };
        let with_more = |held: usize| held.checked_add(more).filter(|held| *held <= held_max);
        let grown = self.budget.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with_more);
        grown.map_err(|_| Exhausted)?;
        self.bytes += more;
        Ok(())
    }

    /// Holds `bytes` bytes in all, whether they fit or not.
    pub fn set(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            self.budget.held.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.budget.held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A body and its reservation.
struct Kept {
    body: Vec<u8>,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1 << 20;

    #[test]
    fn what_is_large_is_refused_before_what_is_small() {
        let budget = Budget::new(MAX);
        let large = budget.reserve(MAX).unwrap();
        assert_eq!(budget.reserve(SMALL_BYTES_MAX + 1).err(), Some(Exhausted));
        let small: Vec<_> = std::iter::from_fn(|| budget.reserve(SMALL_BYTES_MAX).ok()).collect();
        assert_eq!(small.len(), MAX / SMALL_BYTES_MAX);
        assert_eq!(budget.held(), 2 * MAX);
        drop(large);
        assert_eq!(budget.held(), MAX);
        assert!(budget.reserve(SMALL_BYTES_MAX).is_ok());
        drop(small);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_body_is_held_until_its_last_byte_was_taken() {
        let budget = Budget::new(MAX);
        let mut body = budget.keep(&[7; TINY_BYTES_MAX + 1]).unwrap();
        let last = body.split_off(TINY_BYTES_MAX);
        drop(body);
        assert_eq!((budget.held(), &last[..]), (TINY_BYTES_MAX + 1, &[7][..]));
        drop(last);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn what_is_tiny_is_neither_counted_nor_refused() {
        let budget = Budget::new(0);
        assert_eq!(budget.keep(&[7; TINY_BYTES_MAX]).unwrap().len(), TINY_BYTES_MAX);
        assert_eq!(budget.keep(&[7; TINY_BYTES_MAX + 1]).err(), Some(Exhausted));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_reservation_grows_as_far_as_there_is_room_and_shrinks() {
        let budget = Budget::new(MAX);
        let mut reservation = budget.reserve(SMALL_BYTES_MAX).unwrap();
        assert_eq!(reservation.grow_to(MAX), Ok(()));
        assert_eq!(reservation.grow_to(MAX + 1), Err(Exhausted));
        assert_eq!((budget.held(), reservation.grow_to(1)), (MAX, Ok(())));
        reservation.set(2 * MAX + 1);
        assert_eq!(budget.held(), 2 * MAX + 1);
        reservation.set(1);
        assert_eq!(budget.held(), 1);
    }
}
