//! Load test of `waybill`: starts the release binary on made-up data, asks it as many clients at once would, reloads
//! the data all the while, and fails when any answer is wrong, a reload fails or the rate is too low.
//!
//! ```text
//! cargo build --release && cargo run --release -p loadtest
//! ```

mod data;
mod figures;
mod server;
mod workload;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use goose::GooseAttack;
use goose::config::GooseConfiguration;
use goose::metrics::GooseMetrics;

use crate::data::Exports;
use crate::server::Server;
use crate::workload::Workload;

/// Users at least: one of each kind.
const USERS_MIN: u64 = 4;

/// Loads a waybill server while its data is replaced, and fails when a request fails.
#[derive(Debug, Parser)]
struct Cli {
    /// Time under load, in seconds
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,

    /// Users, each with one request at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u64).range(USERS_MIN..))]
    users: u64,

    /// Shipments served; every other reload brings a tenth more
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(10..))]
    shipments: u64,

    /// Seed of the data
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Time between two reloads, in seconds; 0 for none
    #[arg(long, value_name = "N", default_value_t = 1)]
    reload_interval: u64,

    /// Lookups a second that are enough
    #[arg(long, value_name = "N", default_value_t = 1000.0)]
    min_rate: f64,

    /// Where goose writes its report
    #[arg(long, value_name = "FILE", default_value = "loadtest/report/goose.html")]
    report: PathBuf,

    /// The server [default: target/release/waybill beside this program]
    #[arg(long, env = "WAYBILL_BIN", value_name = "FILE")]
    binary: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done where even this cannot be written.
            let _ = writeln!(std::io::stderr(), "load test: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<()> {
    let binary = server::locate(cli.binary.as_deref())?;
    create_parent(&cli.report)?;
    let exports = Exports::generate(&binary, cli.shipments, cli.seed)?;
    let server = Server::start(&binary, exports.served()).await?;
    server.until_ready().await?;
    let workload = Workload::new(exports, &server);
    let reload_interval = (cli.reload_interval > 0).then(|| Duration::from_secs(cli.reload_interval));
    let attack = workload.register(attack(cli, &server)?, usize::try_from(cli.users)?, reload_interval)?;
    // On the heap, since goose's future is large.
    let metrics = Box::pin(attack.execute()).await.context("goose")?;
    workload.print_figures()?;
    server.stop().await?;
    judge(cli, &workload, &metrics)
}

/// Goose, told everything here instead of on its own command line.
fn attack(cli: &Cli, server: &Server) -> Result<GooseAttack> {
    let mut goose = GooseConfiguration::default();
    goose.host = Some(format!("http://{}", server.public));
    goose.users = Some(usize::try_from(cli.users)?);
    // All of them within the first second, which counts: our own figures have it too.
    goose.increase_rate = Some(cli.users.to_string());
    goose.no_reset_metrics = true;
    goose.run_time = Some(format!("{}s", cli.seconds));
    goose.report_file = vec![cli.report.to_str().context("--report is not UTF-8")?.to_owned()];
    goose.no_gzip = true;
    // Its control port would be one more listener.
    goose.no_telnet = true;
    goose.quiet = 1;
    GooseAttack::initialize_with_config(goose).context("goose")
}

fn judge(cli: &Cli, workload: &Workload, metrics: &GooseMetrics) -> Result<()> {
    let failed_requests: usize = metrics.requests.values().map(|request| request.fail_count).sum();
    let failed_transactions: usize =
        metrics.transactions.iter().flatten().map(|transaction| transaction.fail_count).sum();
    // A failed request fails its transaction too, and a transaction can fail without one.
    let failed = failed_requests.max(failed_transactions);
    if failed > 0 {
        bail!("{failed} requests failed: goose names them above");
    }
    if cli.reload_interval > 0 && workload.reloads() == 0 {
        bail!("no reload was answered");
    }
    let rate = workload.lookups_per_second();
    if rate < cli.min_rate {
        bail!("{rate:.0} lookups a second are fewer than {:.0}", cli.min_rate);
    }
    Ok(())
}

fn create_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))
}
