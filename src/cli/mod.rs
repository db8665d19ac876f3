//! The command line as it is typed: raw values, before they are checked (see `config`).

pub mod man;
mod target;

pub use target::Target;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, OsStringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::http::cors::Origin;
use crate::http::forwarded::TrustedProxy;
use crate::http::listen::Address;
use crate::load::{ColumnNames, Source};
use crate::shard::Shard;

/// Answers tracking questions from a CSV export of shipments: all in memory, reloaded while it serves.
#[derive(Debug, Parser)]
#[command(name = "waybill", version, after_help = "Without a command, waybill serves: waybill --data FILE")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// A command line with its command spelled out: `serve` is meant where flags come first.
    pub fn with_command(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = arguments.into_iter().collect();
        let first = arguments.get(1).and_then(|argument| argument.to_str());
        let is_flag = first.is_none_or(|first| first.starts_with('-'));
        if is_flag && !matches!(first, Some("-h" | "--help" | "-V" | "--version")) {
            arguments.insert(1.min(arguments.len()), "serve".into());
        }
        arguments
    }
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load a file and answer lookups from it (the default)
    Serve(Box<ServeArgs>),
    /// Load a file, say what is in it and what is wrong with it, and end
    Check(Box<CheckArgs>),
    /// Write a file of made-up shipments
    Generate(GenerateArgs),
    /// Ask a running server whether it is ready: exit status 0 if so, for container health checks
    Health(HealthArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, for man -l or a folder of manual pages
    Man,
}

const FILE: &str = "Settings file";
const LISTENERS: &str = "Listeners";
const ACCESS: &str = "Access";
const LIMITS: &str = "Limits";
const DATA: &str = "Data";
const ENDING: &str = "Ending";
const LOGS: &str = "Logs";

/// Flags of `serve`. Those with a variable are its settings, which a settings file may hold too (see `config`); what one
/// of them requires of another is for `config` to check, since a command line alone does not have them all.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Take settings from a TOML file; flags and variables go first
    ///
    /// Its keys are long flags without their dashes: max-connections = 100, listen = "0.0.0.0:8080", watch = "10s",
    /// keep-previous = true. Relative paths in it start at the working directory, as those of flags do. Besides `serve`
    /// only `health` reads it, if the variable names it.
    #[arg(long, help_heading = FILE, env = "WAYBILL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print every setting, and where it comes from, as such a file, and end
    #[arg(long, help_heading = FILE)]
    pub print_config: bool,

    /// CSV file of shipments, or the URL of such an object, where the build has the feature object-store
    ///
    /// `s3://BUCKET/KEY`, `gs://BUCKET/KEY`, `az://CONTAINER/KEY`, `https://HOST/PATH` or `http://HOST/PATH`. Credentials
    /// and endpoints are taken from the usual variables, which begin with `AWS_`, `GOOGLE_` and `AZURE_`.
    #[arg(long, help_heading = DATA, env = "WAYBILL_DATA", value_name = "FILE|URL", default_value = "seed_data.csv", value_parser = SourceParser)]
    pub data: Source,

    /// Address for everybody: an interface's, or unix:PATH for a socket in the file system
    ///
    /// The permissions of such a socket can follow: unix:PATH,mode=600. Whoever may write may connect; the server's own
    /// user and group may unless it is said (660).
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_LISTEN", value_name = "IP:PORT|unix:PATH", default_value = "127.0.0.1:8080")]
    pub listen: Address,

    /// Certificates of the listener for everybody, in PEM form, its own first; it then speaks TLS, HTTP/2 and HTTP/1.1
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The key of the certificate, in PEM form; both are read again at each reload
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Address for operators, likewise; `off` for none. One that other hosts reach needs --admin-token-file
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_ADMIN_LISTEN", value_name = "IP:PORT|unix:PATH|off", default_value = "127.0.0.1:8081")]
    pub admin_listen: AdminListen,

    /// Tokens of operators, one a line, of which POST requests to their address must show one
    #[arg(long, help_heading = ACCESS, env = "WAYBILL_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,

    /// Keys, name:key a line, of which requests for data must show one; both files are read again at each reload
    #[arg(long, help_heading = ACCESS, env = "WAYBILL_API_KEYS_FILE", value_name = "FILE")]
    pub api_keys_file: Option<PathBuf>,

    /// Let pages of this origin read answers in browsers, * for those of all. May be repeated
    #[arg(long, help_heading = ACCESS, env = "WAYBILL_CORS_ORIGIN", value_name = "SCHEME://HOST|*", value_delimiter = ',')]
    pub cors_origin: Vec<Origin>,

    /// Believe proxies of this network, or those over Unix sockets, about who asks and by which URL. May be repeated
    #[arg(long, help_heading = ACCESS, env = "WAYBILL_TRUSTED_PROXY", value_name = "CIDR|unix", value_delimiter = ',')]
    pub trusted_proxy: Vec<TrustedProxy>,

    /// Threads that serve, and that load [default: one per core]
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_THREADS", value_name = "N")]
    pub threads: Option<usize>,

    /// Open connections, all threads together; more wait to be accepted
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_MAX_CONNECTIONS", value_name = "N", default_value_t = 20_000)]
    pub max_connections: usize,

    /// Time for a request's head
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_HEADER_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub header_timeout: Duration,

    /// Time for a request's body
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_BODY_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub body_timeout: Duration,

    /// Time between two requests on a connection
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_IDLE_TIMEOUT", value_name = "TIME", default_value = "75s", value_parser = duration)]
    pub idle_timeout: Duration,

    /// Time in which a client must take some of its answer
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_WRITE_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub write_timeout: Duration,

    /// On SIGTERM or SIGINT, time to go on serving while /readyz already says 503
    #[arg(long, help_heading = ENDING, env = "WAYBILL_DRAIN_DELAY", value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub drain_delay: Duration,

    /// After that, time for open connections to finish
    #[arg(long, help_heading = ENDING, env = "WAYBILL_GRACE_PERIOD", value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub grace_period: Duration,

    #[command(flatten)]
    /// How the file is read.
    pub input: InputArgs,

    #[command(flatten)]
    /// What is tolerated in the file.
    pub tolerance: ToleranceArgs,

    /// Refuse a file with fewer shipments
    #[arg(long, help_heading = DATA, env = "WAYBILL_MIN_SHIPMENTS", value_name = "N", default_value_t = 1)]
    pub min_shipments: u64,

    /// Refuse a reload that drops more of the served shipments
    #[arg(long, help_heading = DATA, env = "WAYBILL_MAX_REMOVED_PERCENT", value_name = "PERCENT", default_value_t = 50.0)]
    pub max_removed_percent: f64,

    /// Keep the dataset served before, for POST /-/rollback: three of them are in memory during a reload
    #[arg(long, help_heading = DATA, env = "WAYBILL_KEEP_PREVIOUS", value_parser = BoolishValueParser::new())]
    pub keep_previous: bool,

    /// Look at the file this often, and reload it when it has changed and stood still since the last look
    #[arg(long, help_heading = DATA, env = "WAYBILL_WATCH", value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "5s", value_parser = duration)]
    pub watch: Option<Duration>,

    /// Pages for people, / and /browse and /docs, beside the API
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_PAGES", value_name = "on|off", default_value = "on", hide_possible_values = true)]
    pub pages: Pages,

    /// Form of the log, which goes to standard error
    #[arg(long, help_heading = LOGS, env = "WAYBILL_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Log answers to a file, a line of JSON for each; `-` is standard output, `off` none. SIGHUP opens the file again
    #[arg(long, help_heading = LOGS, env = "WAYBILL_ACCESS_LOG", value_name = "FILE|-|off", default_value = "off")]
    pub access_log: PathBuf,

    /// Log every Nth answer of each thread only
    #[arg(long, help_heading = LOGS, env = "WAYBILL_ACCESS_LOG_SAMPLE", value_name = "N", default_value_t = 1)]
    pub access_log_sample: u32,
}

/// How a file is read.
#[derive(Clone, Debug, Args)]
pub struct InputArgs {
    /// What separates fields: one ASCII character such as ; or | or tab
    #[arg(long, help_heading = DATA, env = "WAYBILL_DELIMITER", value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    pub delimiter: u8,

    /// What the header calls columns that it does not call by their own names; a comma within is written as \,
    #[arg(long, help_heading = DATA, env = "WAYBILL_COLUMNS", value_name = "NAME=HEADER,…")]
    pub columns: Option<ColumnNames>,

    /// Keep the shipments of part I of N alone, from 0, by the hash of the tracking number
    #[arg(long, help_heading = DATA, env = "WAYBILL_SHARD", value_name = "I/N")]
    pub shard: Option<Shard>,
}

/// What is tolerated in a file.
#[derive(Clone, Debug, Args)]
pub struct ToleranceArgs {
    /// Leave out up to N bad rows instead of refusing the file
    #[arg(long, help_heading = DATA, env = "WAYBILL_MAX_BAD_ROWS", value_name = "N", default_value_t = 0)]
    pub max_bad_rows: u64,

    /// Refuse a file whose last line has no line break: it may have been cut
    #[arg(long, help_heading = DATA, env = "WAYBILL_REQUIRE_FINAL_NEWLINE", value_parser = BoolishValueParser::new())]
    pub require_final_newline: bool,
}

/// Flags of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The file, or the URL of an object, as of --data
    #[arg(value_name = "FILE|URL", value_parser = SourceParser)]
    pub file: Source,

    #[command(flatten)]
    /// How the file is read.
    pub input: InputArgs,

    #[command(flatten)]
    /// What is tolerated in the file.
    pub tolerance: ToleranceArgs,

    /// Form of the report, which goes to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: LogFormat,
}

/// Flags of `generate`.
#[derive(Clone, Debug, Args)]
pub struct GenerateArgs {
    /// How many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub shipments: u64,

    /// Equal seeds make equal files
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,

    /// Where to write it [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Flags of `health`.
#[derive(Clone, Debug, Args)]
pub struct HealthArgs {
    /// What to ask, /readyz of a socket [default: /readyz where `serve` would listen, by its variables and the file they name]
    #[arg(value_name = "URL|unix:PATH")]
    pub target: Option<Target>,
}

/// For people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Value of `--pages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pages {
    /// They are served.
    On,
    /// The API alone is.
    Off,
}

/// Value of `--admin-listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminListen {
    /// No admin listener.
    Off,
    /// There.
    At(Address),
}

impl std::str::FromStr for AdminListen {
    type Err = String;

    fn from_str(text: &str) -> Result<AdminListen, String> {
        if text == "off" {
            return Ok(AdminListen::Off);
        }
        text.parse().map(AdminListen::At).map_err(|expected| format!("{expected}, or off"))
    }
}

/// Parses [`Source`]s. Its errors do not repeat the value, which may have a secret.
#[derive(Clone)]
struct SourceParser;

impl TypedValueParser for SourceParser {
    type Value = Source;

    fn parse_ref(&self, command: &clap::Command, arg: Option<&Arg>, value: &OsStr) -> Result<Source, clap::Error> {
        let value = OsStringValueParser::new().parse_ref(command, arg, value)?;
        Source::parse(value).map_err(|error| {
            let setting = arg.map(|arg| format!("{arg}: ")).unwrap_or_default();
            clap::Error::raw(ErrorKind::ValueValidation, format!("{setting}{error}\n")).with_cmd(command)
        })
    }
}

/// What separates fields: any ASCII character but a quote, what ends lines, and what names and numbers are made of.
fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [b'"' | b'\r' | b'\n' | 0] => Err("a quote, a line break or a NUL separates no fields".to_owned()),
        [byte] if byte.is_ascii_alphanumeric() => Err("letters and digits separate no fields".to_owned()),
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err("expected one ASCII character, such as ; or |, or tab".to_owned()),
    }
}

/// A time span: `10s`, `500ms`, `1m 30s`, or seconds as a plain number.
fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string());
    }
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| "expected a time span such as 10s, 500ms or 2m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

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

    #[test]
    fn a_delimiter_is_one_character_that_can_separate_fields() {
        for (text, byte) in
            [(",", b','), (";", b';'), ("|", b'|'), ("tab", b'\t'), ("\\t", b'\t'), ("\t", b'\t'), (" ", b' ')]
        {
            assert_eq!(delimiter(text), Ok(byte), "{text:?}");
        }
        for wrong in ["", "\"", "\n", "\r", "\0", "a", "Z", "7", ";;", "¦", "\\n", "comma"] {
            assert!(delimiter(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn time_spans_have_a_unit_or_are_seconds() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "-1", "-1s", "soon", "1 fortnight", "NaN"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
