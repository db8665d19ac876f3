//! Where settings come from: a flag goes before its variable, that before the settings file, that before the default.
//!
//! The definitions in `cli` are all there is to know: a key of the file is a flag's long name, and its value is turned
//! into the flag, which goes through the same parser. So a setting is added in `cli`, and checked in `config`, alone.

mod file;
mod value;

pub use file::FileError;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Write};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

use crate::cli::{self, Cli, ServeArgs};
use file::SettingsFile;

/// The command that has settings.
const SERVE: &str = "serve";
/// The flag that names the file; no key of the file.
const CONFIG: &str = "config";

/// A command line, with what the variables and the settings file add to it.
pub struct Sources {
    matches: ArgMatches,
    /// By the long names of the settings; none for other commands than `serve`.
    origins: BTreeMap<String, Source>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// The command line or a variable is unusable, or help was asked for.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The file is unusable.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Flag,
    /// The variable of this name.
    Variable(String),
    /// The settings file.
    File {
        /// As it was named.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// Nobody set it.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag => f.write_str("flag"),
            Source::Variable(name) => f.write_str(name),
            Source::File { path, line } => write!(f, "{}:{line}", path.display()),
            Source::Default => f.write_str("default"),
        }
    }
}

/// A value that TOML has no way to write.
#[derive(Debug, thiserror::Error)]
#[error("--{0}: not UTF-8, so a settings file cannot hold it")]
pub struct NotUtf8(String);

impl Sources {
    /// Reads a command line and the file that it, or a variable, names.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Sources, SourcesError> {
        let mut arguments = Cli::with_command(arguments);
        let matches = Cli::command().try_get_matches_from(&arguments)?;
        let Some(serve) = matches.subcommand_matches(SERVE) else {
            return Ok(Sources { matches, origins: BTreeMap::new() });
        };
        let command = serve_command();
        let path = serve.get_one::<PathBuf>(CONFIG);
        let file = path.map(|path| SettingsFile::read(path, &command)).transpose()?.unwrap_or_default();
        let mut origins = BTreeMap::new();
        let mut from_file = Vec::new();
        for setting in settings(&command) {
            let mut origin = origin(serve, setting);
            if let (Source::Default, Some(entry)) = (&origin, file.entry(long(setting))) {
                origin = Source::File { path: file.path.clone(), line: entry.line };
                from_file.extend(entry.flags.clone());
            }
            origins.insert(long(setting).to_owned(), origin);
        }
        // After the names of the program and the command.
        arguments.splice(2..2, from_file);
        Ok(Sources { matches: Cli::command().try_get_matches_from(arguments)?, origins })
    }

    /// What `waybill` would serve on without arguments.
    pub fn serve_args() -> Result<Box<ServeArgs>, SourcesError> {
        match Sources::read(["waybill".into()])?.cli()?.command {
            cli::Command::Serve(args) => Ok(args),
            _ => Err(clap::Error::new(ErrorKind::MissingSubcommand).into()),
        }
    }

    /// All values, each from where it goes first.
    pub fn cli(&self) -> Result<Cli, clap::Error> {
        Cli::from_arg_matches(&self.matches)
    }

    /// Where the value of a setting comes from, by its long name.
    pub fn origin(&self, setting: &str) -> &Source {
        self.origins.get(setting).unwrap_or(&Source::Default)
    }

    /// Every setting of `serve` and where it comes from, as a settings file that says the same.
    pub fn print(&self) -> Result<String, NotUtf8> {
        let mut text = String::new();
        let Some(serve) = self.matches.subcommand_matches(SERVE) else { return Ok(text) };
        for setting in settings(&serve_command()) {
            let name = long(setting);
            let line = match value::to_toml(setting, serve)? {
                Some(value) => format!("{name} = {value}"),
                None => format!("# {name} is not set"),
            };
            // A comment ends with its line, whatever the file is called.
            let origin = self.origin(name).to_string();
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{line}  # {}", origin.escape_debug());
        }
        Ok(text)
    }
}

fn serve_command() -> Command {
    Cli::command().find_subcommand(SERVE).cloned().unwrap_or_default()
}

/// The flags of `command` that a file may hold: those that a variable may.
fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|flag| flag.get_env().is_some() && flag.get_long() != Some(CONFIG))
}

fn long(setting: &Arg) -> &str {
    setting.get_long().unwrap_or_default()
}

/// Where a value comes from that no file gave.
fn origin(matches: &ArgMatches, setting: &Arg) -> Source {
    match matches.value_source(setting.get_id().as_str()) {
        Some(ValueSource::CommandLine) => Source::Flag,
        Some(ValueSource::EnvVariable) => {
            Source::Variable(setting.get_env().unwrap_or_default().to_string_lossy().into_owned())
        }
        _ => Source::Default,
    }
}
