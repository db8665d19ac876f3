//! Latencies as a client sees them, to the microsecond: goose's own end with the answer's head.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Longer ones count as this.
const LATENCY_US_MAX: u64 = 60_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

/// Good answers of one kind.
#[derive(Debug)]
pub(crate) struct Figures {
    name: &'static str,
    recorded: Mutex<Recorded>,
}

#[derive(Debug)]
struct Recorded {
    latencies_us: Histogram<u64>,
    /// From the first question to the last answer.
    span: Option<(Instant, Instant)>,
}

impl Figures {
    pub(crate) fn new(name: &'static str) -> Figures {
        let latencies_us = Histogram::new_with_bounds(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS)
            .expect("the bounds and the digits are valid");
        Figures { name, recorded: Mutex::new(Recorded { latencies_us, span: None }) }
    }

    /// What is asked.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Counts an answer.
    pub(crate) fn record(&self, asked: Instant, answered: Instant) {
        let latency_us = u64::try_from((answered - asked).as_micros()).unwrap_or(LATENCY_US_MAX);
        let mut recorded = self.lock();
        recorded.latencies_us.saturating_record(latency_us);
        let (first, last) = recorded.span.unwrap_or((asked, answered));
        recorded.span = Some((first.min(asked), last.max(answered)));
    }

    /// Answers.
    pub(crate) fn count(&self) -> u64 {
        self.lock().latencies_us.len()
    }

    /// Answers a second.
    pub(crate) fn per_second(&self) -> f64 {
        let recorded = self.lock();
        let span = recorded.span.map_or(Duration::ZERO, |(first, last)| last - first);
        if span.is_zero() { 0.0 } else { recorded.latencies_us.len() as f64 / span.as_secs_f64() }
    }

    /// Writes a line of the table that [`write_head`] begins.
    pub(crate) fn write_line(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{:<16}{:>12}{:>12.1}", self.name, self.count(), self.per_second())?;
        let latencies_us = &self.lock().latencies_us;
        for quantile in QUANTILES {
            write!(out, "{:>12.3}", latencies_us.value_at_quantile(quantile) as f64 / 1000.0)?;
        }
        writeln!(out, "{:>12.3}", latencies_us.max() as f64 / 1000.0)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the head of the table.
pub(crate) fn write_head(out: &mut dyn Write) -> io::Result<()> {
    let columns = ["answers", "per second", "p50 ms", "p99 ms", "p99.9 ms", "max ms"];
    write!(out, "{:<16}", "scenario")?;
    columns.iter().try_for_each(|column| write!(out, "{column:>12}"))?;
    writeln!(out)
}
