//! The command line: definitions of commands and flags, and their raw values, which `config` checks.

mod input;
pub mod man;
mod serve;
mod target;
mod value;

pub use input::{InputArgs, ToleranceArgs};
pub use serve::{MAX_CONNECTIONS_DEFAULT, ServeArgs};
pub use target::Target;
pub use value::{AdminListen, LogFormat, Switch};

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::builder::RangedU64ValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use jiff::civil::Date;

use crate::http::access::rate::Rate;
use crate::http::access::scope::Scopes;
use crate::source::Source;
use value::{SourceParser, day, key_name, scopes};

/// Most threads of a kind.
pub const THREADS_MAX: usize = 1024;

/// Serves shipment lookups from a CSV export, in memory, and reloads it without interruption
#[derive(Debug, Parser)]
#[command(
    name = "waybill",
    version,
    after_help = "Without a command, waybill serves: waybill FILE is waybill serve --data FILE"
)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Inserts the default command, `serve`, into a command line that starts with flags or with the data.
    pub fn with_command(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = arguments.into_iter().collect();
        let first = arguments.get(1).and_then(|argument| argument.to_str());
        if arguments.get(1).is_some_and(|first| Cli::is_data(first)) {
            arguments.splice(1..1, ["serve".into(), "--data".into()]);
        } else if first.is_none_or(|first| first.starts_with('-'))
            && !matches!(first, Some("-h" | "--help" | "-V" | "--version"))
        {
            arguments.insert(1.min(arguments.len()), "serve".into());
        }
        arguments
    }

    /// Returns whether the first argument is a file or URL to serve. Any other one is a command, or meant to be.
    fn is_data(first: &OsStr) -> bool {
        let bytes = first.as_encoded_bytes();
        let is_command =
            || first == "help" || Cli::command().get_subcommands().any(|command| first == command.get_name());
        !bytes.starts_with(b"-")
            && (bytes.iter().any(|byte| b"./".contains(byte)) || !is_command() && Path::new(first).is_file())
    }
}

/// Commands of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load a file and serve it (the default)
    Serve(Box<ServeArgs>),
    /// Load a file, and report what is in it, what is wrong with it, and the command that serves it
    Check(Box<CheckArgs>),
    /// Write a file of made-up shipments
    Generate(GenerateArgs),
    /// Check whether a server is ready: exit status 0 if so, for health checks of containers
    Health(HealthArgs),
    /// Make an API key: prints it once, and then its line for the file of keys, which has its hash alone
    Key(KeyArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, for man -l or a folder of manual pages
    Man,
}

/// Flags of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The file, or the URL of one in object storage, as with --data
    #[arg(value_name = "FILE|URL", value_parser = SourceParser)]
    pub file: Source,

    #[command(flatten)]
    /// Format of the file.
    pub input: InputArgs,

    #[command(flatten)]
    /// Defects of the file that are tolerated.
    pub tolerance: ToleranceArgs,

    /// Threads that load, for which the memory is foretold too: --load-threads of the server [default: one per core]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=THREADS_MAX as u64))]
    pub threads: Option<usize>,

    /// Format of the report, which goes to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: LogFormat,
}

/// Flags of `generate`.
#[derive(Clone, Debug, Args)]
pub struct GenerateArgs {
    /// Number of shipments
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub shipments: u64,

    /// Seed of the random generator: the same seed gives the same file
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,

    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Flags of `key`.
#[derive(Clone, Debug, Args)]
pub struct KeyArgs {
    /// Name of the key, under which its requests are counted: letters, digits, -, _ and ., 64 at most
    #[arg(value_name = "NAME", value_parser = key_name)]
    pub name: String,

    /// What it may ask for: lookup, list and feed, with commas between [default: everything]
    #[arg(long, value_name = "SCOPES", value_parser = scopes, default_value_t = Scopes::ALL, hide_default_value = true)]
    pub scope: Scopes,

    /// Requests that it may send: so many per second, and M at once [default: any number; of M: N]
    #[arg(long, value_name = "N/s[,burst=M]")]
    pub rate: Option<Rate>,

    /// The last day on which it is valid, in UTC, such as 2027-01-31 [default: it stays valid]
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub expires: Option<Date>,
}

/// Flags of `health`.
#[derive(Clone, Debug, Args)]
pub struct HealthArgs {
    /// URL, or the Unix domain socket of a server [default: /readyz of the server that `serve` starts with the same
    /// environment]
    #[arg(value_name = "URL|unix:PATH")]
    pub target: Option<Target>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_of_serve_has_its_variable() {
        let command = Cli::command();
        let serve = command.find_subcommand("serve").unwrap();
        for flag in serve.get_arguments().filter(|flag| flag.get_id() != "help" && flag.get_id() != "print_config") {
            let name = flag.get_long().unwrap();
            let variable = format!("WAYBILL_{}", name.replace('-', "_").to_uppercase());
            assert_eq!(flag.get_env().and_then(|env| env.to_str()), Some(variable.as_str()), "{name}");
        }
    }
}
