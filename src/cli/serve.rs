//! The flags of `serve`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::input::{DATA, InputArgs, ToleranceArgs};
use super::value::{AdminListen, LogFormat, SourceParser, Switch, bytes, changes, duration};
use crate::changes::ChangesLimits;
use crate::http::access::public::{Anonymous, PublicView};
use crate::http::access::rate::Rate;
use crate::http::listener::Address;
use crate::http::request::cors::Origin;
use crate::http::request::forwarded::TrustedProxy;
use crate::source::Source;

const FILE: &str = "Configuration file";
const LISTENERS: &str = "Listeners";
const ACCESS: &str = "Access";
const LIMITS: &str = "Limits";
const SHUTDOWN: &str = "Shutdown";
const LOGS: &str = "Logs";

/// Default of `--max-connections`.
pub const MAX_CONNECTIONS_DEFAULT: usize = 20_000;

/// Flags of `serve`. Those with an environment variable are its settings, which can be in a configuration file too.
/// Rules that involve several of them are checked in `config`, because a command line alone does not have all values.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Read settings from a TOML file; flags and environment variables take precedence
    ///
    /// Its keys are long flags without their dashes: max-connections = 100, listen = "0.0.0.0:8080", watch = "10s",
    /// keep-previous = true. Relative paths in it start at the working directory, as those of flags do. Of the other
    /// commands only `health` reads it, if `WAYBILL_CONFIG` names it.
    #[arg(long, help_heading = FILE, env = "WAYBILL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print every setting and where it comes from, in the form of such a file, and exit
    #[arg(long, help_heading = FILE)]
    pub print_config: bool,

    /// CSV file of shipments, or the URL of one in object storage, if built with the feature object-store
    ///
    /// `s3://BUCKET/KEY`, `gs://BUCKET/KEY`, `az://CONTAINER/KEY`, `https://HOST/PATH` or `http://HOST/PATH`.
    /// Credentials and endpoints come from the usual environment variables, which begin with `AWS_`, `GOOGLE_` and
    /// `AZURE_`.
    #[arg(long, help_heading = DATA, env = "WAYBILL_DATA", value_name = "FILE|URL", default_value = "seed_data.csv", value_parser = SourceParser)]
    pub data: Source,

    /// Address of the public listener: IP:PORT, or unix:PATH for a Unix domain socket
    ///
    /// Short forms are 8090 and localhost:8090 for 127.0.0.1:8090, and :8090 for that port on all interfaces.
    ///
    /// The permissions of the socket's file can follow: unix:PATH,mode=600. Users who may write to it may connect. The
    /// default, 660, allows the server's own user and group.
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_LISTEN", value_name = "IP:PORT|unix:PATH", default_value = "127.0.0.1:8080")]
    pub listen: Address,

    /// Enable TLS, with HTTP/2 and HTTP/1.1, on the public listener: its certificate chain in PEM form, its own first
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate, in PEM form; both files are read again at each reload
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Tell browsers to use nothing but TLS for so long: `Strict-Transport-Security` in every response over it
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_HSTS", value_name = "TIME", value_parser = duration)]
    pub hsts: Option<Duration>,

    /// Address of the admin listener, likewise; `off` for none. Other than loopback only with --admin-token-file
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_ADMIN_LISTEN", value_name = "IP:PORT|unix:PATH|off", default_value = "127.0.0.1:8081")]
    pub admin_listen: AdminListen,

    /// Share both addresses with another process of the same user, and take no connections before data is served
    ///
    /// For a restart without an interruption: the new process starts while the old one serves, which is stopped when
    /// the new one is ready. Of a Unix domain socket the new process replaces the file.
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_REUSE_PORT", value_parser = BoolishValueParser::new())]
    pub reuse_port: bool,

    /// File of admin tokens, TOKEN or TOKEN name=NAME per line, of which POST and DELETE requests to the admin listener
    /// need one
    #[arg(long, help_heading = ACCESS, env = "WAYBILL_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,

    /// File of API keys, one per line, as `waybill key` prints it; read again at each reload, as the tokens are
    #[arg(long, help_heading = ACCESS, env = "WAYBILL_API_KEYS_FILE", value_name = "FILE")]
    pub api_keys_file: Option<PathBuf>,

    /// What callers without a key may ask for [default: none with a file of keys, all without]
    #[arg(long, help_heading = ACCESS, env = "WAYBILL_ANONYMOUS", value_name = "WHAT")]
    pub anonymous: Option<Anonymous>,

    /// What callers without a key see of a shipment [with limited, --anonymous is lookup or none]
    #[arg(long, help_heading = ACCESS, env = "WAYBILL_PUBLIC_VIEW", value_name = "VIEW", default_value = "full")]
    pub public_view: PublicView,

    /// Requests of each client without a key: so many per second, and M at once [default of M: N]
    #[arg(long, help_heading = ACCESS, env = "WAYBILL_RATE_LIMIT", value_name = "N/s[,burst=M]")]
    pub rate_limit: Option<Rate>,

    /// Allow scripts of this origin to read responses in browsers; * for any origin. May be repeated
    #[arg(long, help_heading = ACCESS, env = "WAYBILL_CORS_ORIGIN", value_name = "SCHEME://HOST|*", value_delimiter = ',')]
    pub cors_origin: Vec<Origin>,

    /// Trust proxies of this network, or over Unix sockets, about the client and the URL. May be repeated
    #[arg(long, help_heading = ACCESS, env = "WAYBILL_TRUSTED_PROXY", value_name = "CIDR|unix", value_delimiter = ',')]
    pub trusted_proxy: Vec<TrustedProxy>,

    /// Threads that serve [default: one per core]
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_THREADS", value_name = "N")]
    pub threads: Option<usize>,

    /// Threads that load [default: as --threads]; each takes some memory during a load
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_LOAD_THREADS", value_name = "N")]
    pub load_threads: Option<usize>,

    /// Open connections per listener; a further one takes the place of the one that has been idle longest, or waits
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_MAX_CONNECTIONS", value_name = "N", default_value_t = MAX_CONNECTIONS_DEFAULT)]
    pub max_connections: usize,

    /// Memory for responses that wait to be read and bodies that arrive, over all connections: bytes, or 64MiB
    ///
    /// Requests that need more are refused with 503. What is smaller than 64 KiB may take as much again.
    /// [default: 256MiB, or an eighth of the memory limit if that is less]
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_MAX_BUFFERED_BYTES", value_name = "BYTES", value_parser = bytes)]
    pub max_buffered_bytes: Option<usize>,

    /// Time for the head of a request
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_HEADER_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub header_timeout: Duration,

    /// Time for the body of a request
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_BODY_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub body_timeout: Duration,

    /// Time between two requests on a connection
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_IDLE_TIMEOUT", value_name = "TIME", default_value = "75s", value_parser = duration)]
    pub idle_timeout: Duration,

    /// Time in which a client must read 64 KiB of its responses, or all that wait
    #[arg(long, help_heading = LIMITS, env = "WAYBILL_WRITE_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub write_timeout: Duration,

    /// Time to continue serving after SIGTERM or SIGINT, while /readyz is 503 already
    #[arg(long, help_heading = SHUTDOWN, env = "WAYBILL_DRAIN_DELAY", value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub drain_delay: Duration,

    /// Time for open connections to finish after that
    #[arg(long, help_heading = SHUTDOWN, env = "WAYBILL_GRACE_PERIOD", value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub grace_period: Duration,

    #[command(flatten)]
    /// Format of the file.
    pub input: InputArgs,

    #[command(flatten)]
    /// Defects of the file that are tolerated.
    pub tolerance: ToleranceArgs,

    /// Refuse a file with fewer shipments
    #[arg(long, help_heading = DATA, env = "WAYBILL_MIN_SHIPMENTS", value_name = "N", default_value_t = 1)]
    pub min_shipments: u64,

    /// Refuse a reload that drops more of the current shipments
    #[arg(long, help_heading = DATA, env = "WAYBILL_MAX_REMOVED_PERCENT", value_name = "PERCENT", default_value_t = 50.0)]
    pub max_removed_percent: f64,

    /// Keep the previous dataset for POST /-/rollback; up to three are in memory during a reload
    #[arg(long, help_heading = DATA, env = "WAYBILL_KEEP_PREVIOUS", value_parser = BoolishValueParser::new())]
    pub keep_previous: bool,

    /// Tell clients what changed since each of the last N replaced versions, in so much memory: bytes, or 64MiB
    ///
    /// What changed takes 48 bytes per shipment, and more where it went; what did not change takes nothing. The oldest
    /// versions are forgotten first. [default of BYTES: 64MiB]
    #[arg(long, help_heading = DATA, env = "WAYBILL_CHANGES", value_name = "N[,BYTES]", value_parser = changes)]
    pub changes: Option<ChangesLimits>,

    /// Check the file this often, and reload it when it changed and is stable
    #[arg(long, help_heading = DATA, env = "WAYBILL_WATCH", value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "5s", value_parser = duration)]
    pub watch: Option<Duration>,

    /// Say that the data is stale when its source was last written longer ago; it is served on
    #[arg(long, help_heading = DATA, env = "WAYBILL_MAX_DATA_AGE", value_name = "TIME", value_parser = duration)]
    pub max_data_age: Option<Duration>,

    /// Serve the pages for people, / and /browse and /docs, beside the API
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_PAGES", value_name = "on|off", default_value = "on", hide_possible_values = true)]
    pub pages: Switch,

    /// File of the brand of these pages: name, logo, colours, links, texts; read again at each reload
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_BRAND", value_name = "FILE")]
    pub brand: Option<PathBuf>,

    /// Compress pages, facets, batches, exports and documents for clients that take zstd or gzip
    #[arg(long, help_heading = LISTENERS, env = "WAYBILL_COMPRESSION", value_name = "on|off", default_value = "on", hide_possible_values = true)]
    pub compression: Switch,

    /// Format of the log, which goes to standard error
    #[arg(long, help_heading = LOGS, env = "WAYBILL_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// File for one line of JSON per response; `-` for standard output, `off` for none. SIGUSR1 or SIGHUP opens it again
    #[arg(long, help_heading = LOGS, env = "WAYBILL_ACCESS_LOG", value_name = "FILE|-|off", default_value = "off")]
    pub access_log: PathBuf,

    /// Log only every Nth response of each thread
    #[arg(long, help_heading = LOGS, env = "WAYBILL_ACCESS_LOG_SAMPLE", value_name = "N", default_value_t = 1)]
    pub access_log_sample: u32,

    /// Log every response that took longer, too
    #[arg(long, help_heading = LOGS, env = "WAYBILL_ACCESS_LOG_SLOW", value_name = "TIME", value_parser = duration)]
    pub access_log_slow: Option<Duration>,
}
