//! Rates, and the generic cell rate algorithm (GCRA), a token bucket whose whole state is one point in time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;
/// Most requests per second, and most of a burst.
const NUMBER_MAX: u32 = 1_000_000;

/// How many requests may come: so many at once, and so many per second after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_second: u32,
    burst: u32,
}

/// A request came too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooEarly {
    /// Time after which it would have passed.
    pub wait: Duration,
    /// What was exceeded.
    pub rate: Rate,
}

impl TooEarly {
    /// The time in whole seconds, rounded up, 1 at least.
    pub fn wait_seconds(&self) -> u64 {
        (self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)).max(1)
    }
}

/// What is left in the bucket of one client: the time until which it has used its rate up, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(u64);

impl Rate {
    /// A rate of `per_second`, and of as many at once unless there is another `burst`. `None` where one is 0 or over a
    /// million.
    pub fn new(per_second: u32, burst: Option<u32>) -> Option<Rate> {
        let burst = burst.unwrap_or(per_second);
        let is_usable = |number| (1..=NUMBER_MAX).contains(&number);
        (is_usable(per_second) && is_usable(burst)).then_some(Rate { per_second, burst })
    }

    /// Reads the number in `100/s`.
    pub fn parse_per_second(text: &str) -> Option<u32> {
        number(text.strip_suffix("/s")?)
    }

    /// Requests that may come at once.
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// Time in which an empty bucket fills, in whole seconds, rounded up.
    pub fn window_seconds(self) -> u32 {
        self.burst.div_ceil(self.per_second)
    }

    fn interval_ns(self) -> u64 {
        SECOND_NS / u64::from(self.per_second)
    }
}

/// Reads a number of digits alone.
pub(super) fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Rate, &'static str> {
        let (rate, burst) = match text.split_once(",burst=") {
            Some((rate, burst)) => (rate, Some(burst)),
            None => (text, None),
        };
        let rate = || {
            let burst = burst.map(|burst| number(burst).ok_or(())).transpose().ok()?;
            Rate::new(Rate::parse_per_second(rate)?, burst)
        };
        rate().ok_or("expected N/s or N/s,burst=M, both from 1 to 1000000")
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.per_second)?;
        if self.burst == self.per_second { Ok(()) } else { write!(f, ",burst={}", self.burst) }
    }
}

impl Bucket {
    /// Takes `cost` at the time `now_ns`. What costs more than a burst passes where the bucket is full, and leaves it in
    /// debt.
    pub fn take(&mut self, rate: Rate, cost: u32, now_ns: u64) -> Result<(), TooEarly> {
        self.check(rate, cost, now_ns)?;
        self.0 = self.0.max(now_ns) + u64::from(cost) * rate.interval_ns();
        Ok(())
    }

    /// Whether `cost` could be taken.
    pub fn check(self, rate: Rate, cost: u32, now_ns: u64) -> Result<(), TooEarly> {
        let used_ns = self.0.saturating_sub(now_ns);
        let free_ns = u64::from(rate.burst.saturating_sub(cost)) * rate.interval_ns();
        if used_ns <= free_ns { Ok(()) } else { Err(TooEarly { wait: Duration::from_nanos(used_ns - free_ns), rate }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn a_rate_has_a_burst_of_its_own_or_the_same() {
        assert_eq!((rate("10/s").burst(), rate("10/s").window_seconds()), (10, 1));
        assert_eq!((rate("10/s,burst=25").burst(), rate("10/s,burst=25").window_seconds()), (25, 3));
        assert_eq!(rate("10/s,burst=25").to_string(), "10/s,burst=25");
        for wrong in
            ["", "10", "0/s", "-1/s", "+1/s", "1/m", "10/s,burst=0", "10/s,burst=", "1.5/s", "1000001/s", "1/s,b=2"]
        {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_burst_passes_then_one_per_interval() {
        let (rate, mut bucket) = (rate("10/s,burst=3"), Bucket::default());
        let mut take = |ms| bucket.take(rate, 1, ms * MS);
        assert!(take(1000).is_ok() && take(1000).is_ok() && take(1000).is_ok());
        assert_eq!(take(1040), Err(TooEarly { wait: Duration::from_millis(60), rate }));
        assert!(take(1100).is_ok() && take(1150).is_err() && take(1200).is_ok());
        // Full again, and no fuller than that.
        assert!(take(9000).is_ok() && take(9000).is_ok() && take(9000).is_ok() && take(9000).is_err());
    }

    #[test]
    fn what_costs_more_than_a_burst_passes_on_a_full_bucket_and_leaves_it_in_debt() {
        let (rate, mut bucket) = (rate("10/s,burst=5"), Bucket::default());
        assert!(bucket.take(rate, 20, 1000 * MS).is_ok());
        assert_eq!(bucket.take(rate, 20, 2999 * MS), Err(TooEarly { wait: Duration::from_millis(1), rate }));
        assert_eq!(bucket.take(rate, 1, 2000 * MS), Err(TooEarly { wait: Duration::from_millis(600), rate }));
        assert!(bucket.take(rate, 1, 2600 * MS).is_ok());
        assert!(bucket.take(rate, 20, 2700 * MS).is_err());
    }

    proptest! {
        /// A plain token bucket, in fractions of a token.
        #[test]
        fn it_passes_what_a_plain_token_bucket_passes(
            per_second in 1u32..50, burst in 1u32..20, steps in prop::collection::vec((0u64..2000, 1u32..8), 1..60),
        ) {
            let rate = Rate::new(per_second, Some(burst)).unwrap();
            let (mut bucket, mut tokens, mut now) = (Bucket::default(), u64::from(burst) * rate.interval_ns(), SECOND_NS);
            for (ms, cost) in steps {
                now += ms * MS;
                tokens = (tokens + ms * MS).min(u64::from(burst) * rate.interval_ns());
                let cost = cost.min(burst);
                let needed = u64::from(cost) * rate.interval_ns();
                prop_assert_eq!(bucket.take(rate, cost, now).is_ok(), tokens >= needed);
                tokens -= if tokens >= needed { needed } else { 0 };
            }
        }
    }
}
