//! The `waybill` command. The library's documentation has the map of the modules.

use std::ffi::OsString;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;
use waybill::cli::{Cli, Command, GenerateArgs, ServeArgs, Target, man};
use waybill::commands::serve::{
    Control, Data, Listeners, ServeError, Server, check_source, open_access_log, read_pages, read_secrets,
};
use waybill::commands::{check, generate, health, key, log};
use waybill::config::{Layer, Layers, LayersError, Settings, SettingsError, health_target};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit status: the data is refused or unreadable, or a check failed.
const EXIT_DATA: u8 = 1;
/// Exit status: the command line or a setting is invalid, or an address cannot be bound.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    run(std::env::args_os()).unwrap_or_else(|error| fail(&error, EXIT_DATA))
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<ExitCode> {
    let layers = match Layers::read(arguments) {
        Ok(layers) => layers,
        Err(error) => return Ok(refuse(error)),
    };
    match layers.cli().unwrap_or_else(|error| error.exit()).command {
        Command::Serve(args) => return run_serve(&args, &layers),
        Command::Check(args) => {
            let (report, is_good) = match check::check(&args, &mut log::progress_display()) {
                Ok(checked) => checked,
                Err(error) => return Ok(fail(&error.into(), EXIT_USAGE)),
            };
            print(&report)?;
            return Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_DATA) });
        }
        Command::Generate(args) => write_generated(&args)?,
        Command::Health(args) => match args.target.map_or_else(default_target, Ok) {
            Ok(target) => health::health(&target)?,
            Err(error) => return Ok(refuse(error)),
        },
        Command::Key(args) => print(&key::key(&args).context("no random bits from the system")?)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "waybill", &mut script);
            std::io::stdout().write_all(&script).context("standard output")?;
        }
        Command::Man => std::io::stdout().write_all(&man::page()?).context("standard output")?,
    }
    Ok(ExitCode::SUCCESS)
}

fn run_serve(args: &ServeArgs, layers: &Layers) -> Result<ExitCode> {
    if let Err(error) = Layers::check_variables() {
        return Ok(fail(&error.into(), EXIT_USAGE));
    }
    let settings = match Settings::new(args) {
        Ok(settings) => settings,
        Err(error) => return Ok(fail(&with_layer(error, layers), EXIT_USAGE)),
    };
    if args.print_config {
        return match layers.print() {
            Ok(text) => print(text.trim_end()).map(|()| ExitCode::SUCCESS),
            Err(error) => Ok(fail(&error.into(), EXIT_USAGE)),
        };
    }
    log::init(settings.log_format);
    let Err(error) = serve(&settings) else { return Ok(ExitCode::SUCCESS) };
    let status = match error {
        ServeError::Data(_) => EXIT_DATA,
        _ => EXIT_USAGE,
    };
    Ok(fail(&error.into(), status))
}

/// Serves until a signal ends it.
fn serve(settings: &Settings) -> std::result::Result<(), ServeError> {
    let control = Control::start()?;
    let secrets = read_secrets(settings)?;
    let pages = read_pages(settings)?;
    let listeners = Listeners::bind(settings, &secrets)?;
    // Dropped last, so that all lines are written.
    let (access_log, _writing) = settings.access_log.as_ref().map(open_access_log).transpose()?.unzip();
    check_source(&settings.reload)?;
    // From this line of the log on, clients can connect, and signals are handled.
    listeners.announce();
    let data = Data::load(&settings.reload, log::progress_display())?;
    let mut server = Server::start(settings, control, secrets, pages, access_log, listeners, data)?;
    server.serve()?;
    server.drain();
    Ok(())
}

fn default_target() -> std::result::Result<Target, LayersError> {
    Layers::serve_args().map(|args| health_target(&args))
}

/// Prints why there are no settings: an error, or help that was requested.
fn refuse(error: LayersError) -> ExitCode {
    match error {
        LayersError::Usage(error) => error.exit(),
        LayersError::File(error) => fail(&error.into(), EXIT_USAGE),
    }
}

/// Adds where the value of a setting comes from, unless it was typed.
fn with_layer(error: SettingsError, layers: &Layers) -> anyhow::Error {
    match layers.layer(error.setting()) {
        Layer::Flag | Layer::Default => error.into(),
        layer => anyhow::Error::new(error).context(layer.to_string()),
    }
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
    // If this cannot be written, nothing else can be done.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::from(status)
}
