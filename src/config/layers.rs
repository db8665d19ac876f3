//! The layers that settings come from: a flag goes before its variable, that before the settings file, that before the
//! default.
//!
//! The definitions in `cli` are all there is to know: a key of the file is a flag's long name, and its value is turned
//! into the flag, which goes through the same parser. So a setting is added in `cli`, and checked in `config`, alone.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Write};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

use super::file::{FileError, SettingsFile};
use super::setting::{CONFIG, NotUtf8, long, settings};
use super::value;
use crate::cli::{self, Cli, ServeArgs};

/// The command that has settings.
const SERVE: &str = "serve";

/// A command line, with what the variables and the settings file add to it: not checked yet.
pub struct Layers {
    matches: ArgMatches,
    /// The layer of each setting, by its long name; none for other commands than `serve`.
    by_setting: BTreeMap<String, Layer>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum LayersError {
    /// The command line or a variable is unusable, or help was asked for.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The file is unusable.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
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
    /// Reads a command line and the file that it, or a variable, names.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Layers, LayersError> {
        let mut arguments = Cli::with_command(arguments);
        let matches = Cli::command().try_get_matches_from(&arguments)?;
        let Some(serve) = matches.subcommand_matches(SERVE) else {
            return Ok(Layers { matches, by_setting: BTreeMap::new() });
        };
        let command = serve_command();
        let path = serve.get_one::<PathBuf>(CONFIG);
        let file = path.map(|path| SettingsFile::read(path, &command)).transpose()?.unwrap_or_default();
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

    /// What `waybill` would serve on without arguments.
    pub fn serve_args() -> Result<Box<ServeArgs>, LayersError> {
        match Layers::read(["waybill".into()])?.cli()?.command {
            cli::Command::Serve(args) => Ok(args),
            _ => Err(clap::Error::new(ErrorKind::MissingSubcommand).into()),
        }
    }

    /// All values, each from where it goes first.
    pub fn cli(&self) -> Result<Cli, clap::Error> {
        Cli::from_arg_matches(&self.matches)
    }

    /// Where the value of a setting comes from, by its long name.
    pub fn layer(&self, setting: &str) -> &Layer {
        self.by_setting.get(setting).unwrap_or(&Layer::Default)
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
            let layer = self.layer(name).to_string();
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{line}  # {}", layer.escape_debug());
        }
        Ok(text)
    }
}

fn serve_command() -> Command {
    Cli::command().find_subcommand(SERVE).cloned().unwrap_or_default()
}

/// Where a value comes from that no file gave.
fn layer(matches: &ArgMatches, setting: &Arg) -> Layer {
    match matches.value_source(setting.get_id().as_str()) {
        Some(ValueSource::CommandLine) => Layer::Flag,
        Some(ValueSource::EnvVariable) => {
            Layer::Variable(setting.get_env().unwrap_or_default().to_string_lossy().into_owned())
        }
        _ => Layer::Default,
    }
}
