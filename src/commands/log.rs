//! The log, and the progress of loads: a bar on a terminal, or lines of the log.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::LogFormat;
use crate::http::telemetry::audit;
use crate::load::Progress;

/// Time before progress is shown.
const DISPLAY_DELAY: Duration = Duration::from_millis(500);
/// Time between two lines of the log about a load.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Sends the log to standard error. `RUST_LOG` selects what is logged, `info` if unset, beside the audit trail.
pub fn init(format: LogFormat) {
    let is_audited = |metadata: &Metadata<'_>| metadata.target() == audit::TARGET;
    tracing_subscriber::registry()
        .with(targets(std::env::var("RUST_LOG").ok().as_deref()))
        .with(layer(format, false).with_filter(filter_fn(move |metadata| !is_audited(metadata))))
        // Its lines are told from others by their target.
        .with(layer(format, true).with_filter(filter_fn(is_audited)))
        .init();
}

/// What `directives` select. They turn the audit trail off by its name alone: none of it is lost with the rest.
fn targets(directives: Option<&str>) -> Targets {
    let targets = directives.and_then(|directives| directives.parse::<Targets>().ok());
    let targets = targets.unwrap_or_else(|| Targets::new().with_default(Level::INFO));
    let names_audit = targets.iter().any(|(target, _)| target == audit::TARGET);
    if names_audit { targets } else { targets.with_target(audit::TARGET, Level::INFO) }
}

fn layer<S: Subscriber + for<'s> LookupSpan<'s>>(
    format: LogFormat,
    with_target: bool,
) -> Box<dyn Layer<S> + Send + Sync> {
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(with_target);
    match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => log.json().boxed(),
    }
}

/// Shows the progress of loads: as a bar on a terminal, otherwise in the log.
pub fn progress_display() -> Box<dyn FnMut(&Progress) + Send> {
    let is_terminal = std::io::stderr().is_terminal();
    let mut display: Option<Display> = None;
    Box::new(move |progress| {
        let done = progress.bytes() >= progress.bytes_total;
        let current = display.get_or_insert_with(Display::start);
        if is_terminal {
            current.draw(progress);
        } else {
            current.log(progress);
        }
        if done && let Some(Display { bar: Some(bar), .. }) = display.take() {
            bar.finish_and_clear();
        }
    })
}

/// Display of one load.
struct Display {
    started: Instant,
    logged: Instant,
    bar: Option<ProgressBar>,
}

impl Display {
    fn start() -> Display {
        Display { started: Instant::now(), logged: Instant::now(), bar: None }
    }

    fn draw(&mut self, progress: &Progress) {
        if self.bar.is_none() && self.started.elapsed() < DISPLAY_DELAY {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(progress.bytes_total), ProgressDrawTarget::stderr());
            let template = "loading {bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {msg}";
            bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_elapsed(self.started.elapsed())
        });
        bar.set_message(format!("{} rows", HumanCount(progress.rows())));
        bar.set_position(progress.bytes());
    }

    fn log(&mut self, progress: &Progress) {
        if self.logged.elapsed() >= LOG_INTERVAL {
            self.logged = Instant::now();
            tracing::info!(bytes = progress.bytes(), of = progress.bytes_total, rows = progress.rows(), "loading");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_trail_is_turned_off_by_its_name_alone() {
        let has = |directives, target| targets(directives).would_enable(target, &Level::INFO);
        for (directives, of_audit, of_others) in [
            (None, true, true),
            (Some("warn"), true, false),
            (Some("off"), true, false),
            (Some("no=such=thing"), true, true),
            (Some("warn,audit=info"), true, false),
            (Some("info,audit=off"), false, true),
        ] {
            assert_eq!((has(directives, "audit"), has(directives, "waybill")), (of_audit, of_others), "{directives:?}");
        }
    }
}
