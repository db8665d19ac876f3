//! Layers of settings, in order of precedence: flags, environment variables, the configuration file, defaults.
//!
//! The definitions in `cli` are the only ones: a key of the file is a flag's long name, and its value is converted to
//! the flag, which goes through the same parser. To add a setting, define it in `cli` and check it in `config`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Write};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

use super::file::{ConfigFile, ConfigFileError};
use super::setting::{CONFIG, NotUtf8, long, settings};
use super::value;
use super::variables::{self, UnknownVariable};
use crate::cli::{self, Cli, ServeArgs};

/// The command that has settings.
const SERVE: &str = "serve";

/// Settings from all layers, not yet checked.
pub struct Layers {
    matches: ArgMatches,
    /// Layer of each setting of `serve`, by name; empty for other commands.
    by_setting: BTreeMap<String, Layer>,
}

/// Error of a layer.
#[derive(Debug, thiserror::Error)]
pub enum LayersError {
    /// The command line or an environment variable is invalid, or help was requested.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The configuration file is invalid.
    #[error(transparent)]
    File(#[from] ConfigFileError),
}

/// Source of a setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A flag on the command line.
    Flag,
    /// The environment variable of this name.
    Variable(String),
    /// The configuration file.
    File {
        /// Path of the file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
    },
    /// The default.
    Default,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layer::Flag => f.write_str("flag"),
            Layer::Variable(name) => f.write_str(name),
            Layer::File { path, line } => write!(f, "{}:{line}", path.display()),
            Layer::Default => f.write_str("default"),
        }
    }
}

impl Layers {
    /// Reads a command line, the environment, and the configuration file that one of them names.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Layers, LayersError> {
        let mut arguments = Cli::with_command(arguments);
        let matches = Cli::command().try_get_matches_from(&arguments)?;
        let Some(serve) = matches.subcommand_matches(SERVE) else {
            return Ok(Layers { matches, by_setting: BTreeMap::new() });
        };
        let command = serve_command();
        let path = serve.get_one::<PathBuf>(CONFIG);
        let file = path.map(|path| ConfigFile::read(path, &command)).transpose()?.unwrap_or_default();
        let mut by_setting = BTreeMap::new();
        let mut from_file = Vec::new();
        for setting in settings(&command) {
            let mut layer = layer(serve, setting);
            if let (Layer::Default, Some(entry)) = (&layer, file.entry(long(setting))) {
                layer = Layer::File { path: file.path.clone(), line: entry.line };
                from_file.extend(entry.flags.clone());
            }
            by_setting.insert(long(setting).to_owned(), layer);
        }
        // After the names of the program and the command.
        arguments.splice(2..2, from_file);
        Ok(Layers { matches: Cli::command().try_get_matches_from(arguments)?, by_setting })
    }

    /// Reads the settings of `waybill serve` without flags.
    pub fn serve_args() -> Result<Box<ServeArgs>, LayersError> {
        match Layers::read(["waybill".into()])?.cli()?.command {
            cli::Command::Serve(args) => Ok(args),
            _ => Err(clap::Error::new(ErrorKind::MissingSubcommand).into()),
        }
    }

    /// Checks that each environment variable that begins as settings' do is one of a setting.
    pub fn check_variables() -> Result<(), UnknownVariable> {
        variables::check(&serve_command(), std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
    }

    /// Values of all flags, each from the layer with precedence.
    pub fn cli(&self) -> Result<Cli, clap::Error> {
        Cli::from_arg_matches(&self.matches)
    }

    /// Layer that a setting's value comes from.
    pub fn layer(&self, setting: &str) -> &Layer {
        self.by_setting.get(setting).unwrap_or(&Layer::Default)
    }

    /// Formats every setting of `serve`, and where it comes from, as an equivalent configuration file.
    pub fn print(&self) -> Result<String, NotUtf8> {
        let mut text = String::new();
        let Some(serve) = self.matches.subcommand_matches(SERVE) else { return Ok(text) };
        for setting in settings(&serve_command()) {
            let name = long(setting);
            let line = match value::to_toml(setting, serve)? {
                Some(value) => format!("{name} = {value}"),
                None => format!("# {name} is not set"),
            };
            // The path may contain a line break, which would end the comment.
            let layer = self.layer(name).to_string();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}  # {}", layer.escape_debug());
        }
        Ok(text)
    }
}

fn serve_command() -> Command {
    Cli::command().find_subcommand(SERVE).cloned().unwrap_or_default()
}

/// Layer of a value, the configuration file left out.
fn layer(matches: &ArgMatches, setting: &Arg) -> Layer {
    match matches.value_source(setting.get_id().as_str()) {
        Some(ValueSource::CommandLine) => Layer::Flag,
        Some(ValueSource::EnvVariable) => {
            Layer::Variable(setting.get_env().unwrap_or_default().to_string_lossy().into_owned())
        }
        _ => Layer::Default,
    }
}
