//! The log, and the progress of loads: a bar on a terminal, or lines of the log.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::LogFormat;
use crate::load::Progress;

/// Time before progress is shown.
const DISPLAY_DELAY: Duration = Duration::from_millis(500);
/// Time between two lines of the log about a load.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Sends the log to standard error. `RUST_LOG` selects what is logged, `info` if unset.
pub fn init(format: LogFormat) {
    let filter = std::env::var("RUST_LOG").ok().and_then(|directives| directives.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO));
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let filtered = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => filtered.with(log.with_ansi(std::io::stderr().is_terminal())).init(),
        LogFormat::Json => filtered.with(log.json()).init(),
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
