//! The flags of `serve`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::input::{DATA, InputArgs, ToleranceArgs};
use super::value::{AdminListen, LogFormat, Pages, SourceParser, duration};
use crate::http::listener::Address;
use crate::http::request::cors::Origin;
use crate::http::request::forwarded::TrustedProxy;
use crate::source::Source;

const FILE: &str = "Settings file";
const LISTENERS: &str = "Listeners";
const ACCESS: &str = "Access";
const LIMITS: &str = "Limits";
const ENDING: &str = "Ending";
const LOGS: &str = "Logs";

/// Value of `--max-connections` where nobody sets it.
pub const MAX_CONNECTIONS_DEFAULT: usize = 20_000;

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
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_MAX_CONNECTIONS", value_name = "N", default_value_t = MAX_CONNECTIONS_DEFAULT)]
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
