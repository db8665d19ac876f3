//! The `waybill` command: see the library's documentation for how it works inside.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;
use waybill::cli::{Cli, Command, GenerateArgs, ServeArgs};
use waybill::config::Settings;
use waybill::serve::{ServeError, serve};
use waybill::{check, generate, health, terminal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The data is refused or unreadable, or a check failed.
const EXIT_DATA: u8 = 1;
/// The command line or a setting is unusable, or an address cannot be bound.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse_with_default(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let result = match cli.command {
        Command::Serve(args) => Ok(run(&args)),
        Command::Check(args) => {
            let (report, is_good) = check::check(&args, &mut terminal::progress_display());
            print(&report).map(|()| if is_good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_DATA) })
        }
        Command::Generate(args) => write_generated(&args).map(|()| ExitCode::SUCCESS),
        Command::Health(args) => {
            health::health(&args.url.unwrap_or_else(health::default_url)).map(|()| ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "waybill", &mut script);
            std::io::stdout().write_all(&script).context("standard output").map(|()| ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| fail(&error, EXIT_DATA))
}

fn run(args: &ServeArgs) -> ExitCode {
    let settings = match Settings::new(args) {
        Ok(settings) => settings,
        Err(error) => return fail(&error.into(), EXIT_USAGE),
    };
    terminal::init_log(settings.log_format);
    let Err(error) = serve(&settings, terminal::progress_display()) else { return ExitCode::SUCCESS };
    let status = match error {
        ServeError::Data(_) => EXIT_DATA,
        _ => EXIT_USAGE,
    };
    fail(&error.into(), status)
}

fn write_generated(args: &GenerateArgs) -> Result<()> {
    let plan = generate::Plan { shipments: args.shipments, seed: args.seed };
    let Some(path) = &args.output else {
        return generate::write(&plan, &mut BufWriter::new(std::io::stdout().lock())).context("standard output");
    };
    let context = || format!("cannot write {}", path.display());
    let mut file = BufWriter::new(std::fs::File::create(path).with_context(context)?);
    generate::write(&plan, &mut file).and_then(|()| file.flush()).with_context(context)
}

fn print(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("standard output")
}

fn fail(error: &anyhow::Error, status: u8) -> ExitCode {
    // Nothing is left to be done where even this cannot be written.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::from(status)
}
