//! The time of lines, written anew once a millisecond.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

const NANOS_PER_MS: u32 = 1_000_000;
/// `2026-11-22T12:27:36.205Z`
const TEXT_BYTES: usize = 24;
/// Where the milliseconds are in it.
const MS_AT: usize = 20;

/// The time as text. What asks for it has read a clock already that costs less.
pub(super) struct Clock {
    text: [u8; TEXT_BYTES],
    second: u64,
    good_until: Instant,
}

impl Clock {
    /// A clock that goes from now on.
    pub(super) fn new() -> Clock {
        let now = Instant::now();
        let mut clock = Clock { text: text_of(0), second: 0, good_until: now };
        clock.renew(now);
        clock
    }

    /// The time at `now`.
    #[inline]
    pub(super) fn at(&mut self, now: Instant) -> &[u8; TEXT_BYTES] {
        if now >= self.good_until {
            self.renew(now);
        }
        &self.text
    }

    #[inline(never)]
    fn renew(&mut self, now: Instant) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.set(time);
        self.good_until = now + Duration::from_nanos(u64::from(NANOS_PER_MS - time.subsec_nanos() % NANOS_PER_MS));
    }

    /// Writes the time so long after the epoch.
    fn set(&mut self, time: Duration) {
        if self.second != time.as_secs() {
            self.second = time.as_secs();
            self.text = text_of(self.second);
        }
        let ms = time.subsec_millis();
        for (at, unit) in [100, 10, 1].into_iter().enumerate() {
            self.text[MS_AT + at] = b'0' + (ms / unit % 10) as u8;
        }
    }
}

/// The first millisecond of a second after the epoch.
fn text_of(second: u64) -> [u8; TEXT_BYTES] {
    let time = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok()).unwrap_or_default();
    let text = format!("{time:.3}");
    let mut bytes = [b' '; TEXT_BYTES];
    bytes.copy_from_slice(&text.as_bytes()[..TEXT_BYTES]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_timestamps_are() {
        let mut clock = Clock::new();
        for ms in [0, 7, 999, 1_000, 1_795_350_456_205, 1_795_350_456_206, 1_795_350_457_000, 4_102_444_799_999] {
            clock.set(Duration::from_millis(ms));
            let expected = format!("{:.3}", Timestamp::from_millisecond(ms.cast_signed()).unwrap());
            assert_eq!(str::from_utf8(&clock.text).unwrap(), expected);
        }
    }

    #[test]
    fn it_changes_with_the_millisecond() {
        let mut clock = Clock::new();
        let before = clock.good_until;
        assert!(before <= Instant::now() + Duration::from_millis(1));
        clock.text = [b'x'; TEXT_BYTES];
        clock.second = 0;
        assert_eq!(clock.at(before.checked_sub(Duration::from_nanos(1)).unwrap()), &[b'x'; TEXT_BYTES]);
        assert_ne!(clock.at(before), &[b'x'; TEXT_BYTES]);
        assert!(clock.good_until > before);
    }
}
