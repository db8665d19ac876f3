//! Checked settings of `serve`. `layers` collects their values from flags, environment variables and the configuration
//! `file`.

mod error;
mod file;
mod layers;
mod local;
mod setting;
mod value;
mod variables;

pub use error::SettingsError;
pub use file::ConfigFileError;
pub use layers::{Layer, Layers, LayersError};
pub use local::local_url;
pub use setting::NotUtf8;
pub use variables::UnknownVariable;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{self, AdminListen, InputArgs, LogFormat, ServeArgs, Switch, THREADS_MAX, ToleranceArgs};
use crate::http::access::public::{Anonymous, Public, PublicView};
use crate::http::activity::TimeLimits;
use crate::http::app::BUFFERED_BYTES_MAX_DEFAULT;
use crate::http::listener::Address;
use crate::http::request::cors::Origin;
use crate::http::request::forwarded::TrustedProxy;
use crate::http::server::Limits;
use crate::http::telemetry::access_log::settings::{AccessLogSettings, Target};
use crate::load;
use crate::memory;
use crate::reload::ReloadSettings;
use crate::stages::StatusMapSource;

/// Shortest time limit: no client could meet a shorter one.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);
/// Shortest age of stale data: no export is written more often.
const DATA_AGE_MAX_MIN: Duration = Duration::from_secs(1);
/// Intervals at which the file can be checked for changes.
const WATCH_INTERVALS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(24);
/// Part of the memory limit that is held for clients by default.
const BUFFERED_MEMORY_SHARE: u64 = 8;
/// Least memory that can be held for clients: a large body, or a few large responses.
const BUFFERED_BYTES_MIN: usize = 1 << 20;

/// Checked settings of `serve`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address of the public listener.
    pub listen: Address,
    /// True if the public listener has the pages for people beside the API.
    pub with_pages: bool,
    /// File of the brand of these pages, if there is one.
    pub brand_file: Option<PathBuf>,
    /// True if responses are compressed for clients that take that.
    pub with_compression: bool,
    /// Files of the certificate chain and its key, if TLS is enabled.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Time for which browsers use nothing but TLS, if they are told so.
    pub hsts: Option<Duration>,
    /// Address of the admin listener, if there is one.
    pub admin_listen: Option<Address>,
    /// True if another process may listen on these addresses.
    pub reuse_port: bool,
    /// File of admin tokens, if admin requests need one.
    pub admin_token_file: Option<PathBuf>,
    /// File of API keys, if there are any.
    pub api_keys_file: Option<PathBuf>,
    /// What callers without a key may ask for and see, and how often.
    pub public: Public,
    /// Origins whose scripts may read responses.
    pub cors_origins: Vec<Origin>,
    /// Proxies that are trusted about the client and the URL.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Threads that serve.
    pub threads: usize,
    /// Limits of connections and their time.
    pub limits: Limits,
    /// Bytes that are held for clients.
    pub buffered_bytes_max: usize,
    /// Time between the signal to shut down and closing the listeners.
    pub drain_delay: Duration,
    /// Time that connections have to finish after that.
    pub grace_period: Duration,
    /// Source of the data, and rules for loading it.
    pub reload: ReloadSettings,
    /// Age of the data from which on it is said to be stale, if there is one.
    pub data_age_max: Option<Duration>,
    /// Format of the log.
    pub log_format: LogFormat,
    /// Access log, if there is one.
    pub access_log: Option<AccessLogSettings>,
}

impl Settings {
    /// Checks the values of all flags.
    pub fn new(args: &ServeArgs) -> Result<Settings, SettingsError> {
        let admin_listen = match args.admin_listen.clone() {
            AdminListen::Off => None,
            AdminListen::At(address) if address.is_local() || args.admin_token_file.is_some() => Some(address),
            AdminListen::At(address) => return Err(SettingsError::AdminWithoutToken(address)),
        };
        if let Some(admin) = admin_listen.as_ref().filter(|admin| args.reuse_port && admin.overlaps(&args.listen)) {
            return Err(SettingsError::SameAddress(admin.clone()));
        }
        let load = load_options(&args.input, &args.tolerance);
        let threads = args.threads.unwrap_or(load.threads);
        let load_threads = args.load_threads.unwrap_or(threads);
        check_ranges(args, threads, load_threads)?;
        Ok(Settings {
            listen: args.listen.clone(),
            with_pages: args.pages == Switch::On,
            brand_file: args.brand.clone(),
            with_compression: args.compression == Switch::On,
            tls: tls_files(args)?,
            hsts: args.hsts,
            admin_listen,
            reuse_port: args.reuse_port,
            admin_token_file: args.admin_token_file.clone(),
            api_keys_file: args.api_keys_file.clone(),
            public: public(args)?,
            cors_origins: args.cors_origin.clone(),
            trusted_proxies: args.trusted_proxy.clone(),
            threads,
            limits: Limits {
                connections_max: args.max_connections,
                time: TimeLimits {
                    header: args.header_timeout,
                    body: args.body_timeout,
                    idle: args.idle_timeout,
                    write: args.write_timeout,
                },
            },
            buffered_bytes_max: args.max_buffered_bytes.unwrap_or_else(buffered_bytes_max_default),
            drain_delay: args.drain_delay,
            grace_period: args.grace_period,
            reload: ReloadSettings {
                data: args.data.clone(),
                load: load::Options { threads: load_threads, ..load },
                status_map: args.input.status_map.clone().map(StatusMapSource::from),
                shipments_min: args.min_shipments,
                removed_percent_max: args.max_removed_percent,
                keep_previous: args.keep_previous,
                changes: args.changes,
                watch_interval: args.watch,
            },
            data_age_max: args.max_data_age,
            log_format: args.log_format,
            access_log: access_log(args)?,
        })
    }
}

/// Default of `--max-buffered-bytes`.
fn buffered_bytes_max_default() -> usize {
    let share = memory::limit().map_or(u64::MAX, |limit| limit / BUFFERED_MEMORY_SHARE);
    usize::try_from(share).unwrap_or(usize::MAX).min(BUFFERED_BYTES_MAX_DEFAULT)
}

fn check_ranges(args: &ServeArgs, threads: usize, load_threads: usize) -> Result<(), SettingsError> {
    in_range("--threads", &threads, 1..=THREADS_MAX)?;
    in_range("--load-threads", &load_threads, 1..=THREADS_MAX)?;
    in_range("--max-connections", &args.max_connections, 1..=tokio::sync::Semaphore::MAX_PERMITS)?;
    if let Some(bytes) = &args.max_buffered_bytes {
        in_range("--max-buffered-bytes", bytes, BUFFERED_BYTES_MIN..=usize::MAX / 4)?;
    }
    for (flag, time) in [
        ("--header-timeout", args.header_timeout),
        ("--body-timeout", args.body_timeout),
        ("--idle-timeout", args.idle_timeout),
        ("--write-timeout", args.write_timeout),
    ] {
        if time < TIMEOUT_MIN {
            let expected = format!("at least {TIMEOUT_MIN:?}");
            return Err(SettingsError::OutOfRange { flag, value: format!("{time:?}"), expected });
        }
    }
    if let Some(time) = args.hsts.filter(|time| time.subsec_nanos() > 0) {
        let expected = "whole seconds".to_owned();
        return Err(SettingsError::OutOfRange { flag: "--hsts", value: format!("{time:?}"), expected });
    }
    in_range("--max-removed-percent", &args.max_removed_percent, 0.0..=100.0)?;
    if let Some(interval) = args.watch.filter(|interval| !WATCH_INTERVALS.contains(interval)) {
        let expected = format!("from {:?} to {:?}", WATCH_INTERVALS.start(), WATCH_INTERVALS.end());
        return Err(SettingsError::OutOfRange { flag: "--watch", value: format!("{interval:?}"), expected });
    }
    if let Some(age) = args.max_data_age.filter(|age| *age < DATA_AGE_MAX_MIN) {
        let expected = format!("at least {DATA_AGE_MAX_MIN:?}");
        return Err(SettingsError::OutOfRange { flag: "--max-data-age", value: format!("{age:?}"), expected });
    }
    in_range("--access-log-sample", &args.access_log_sample, 1..=u32::MAX)
}

fn public(args: &ServeArgs) -> Result<Public, SettingsError> {
    let by_keys = if args.api_keys_file.is_some() { Anonymous::None } else { Anonymous::All };
    let anonymous = args.anonymous.unwrap_or(by_keys);
    if args.public_view == PublicView::Limited && anonymous == Anonymous::All {
        return Err(SettingsError::LimitedViewOfAll);
    }
    Ok(Public { anonymous, view: args.public_view, rate: args.rate_limit })
}

fn tls_files(args: &ServeArgs) -> Result<Option<(PathBuf, PathBuf)>, SettingsError> {
    match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate.clone(), key.clone()))),
        (Some(_), None) => Err(SettingsError::Incomplete { given: "tls-cert", missing: "tls-key" }),
        (None, Some(_)) => Err(SettingsError::Incomplete { given: "tls-key", missing: "tls-cert" }),
        (None, None) if args.hsts.is_some() => Err(SettingsError::Incomplete { given: "hsts", missing: "tls-cert" }),
        (None, None) => Ok(None),
    }
}

fn access_log(args: &ServeArgs) -> Result<Option<AccessLogSettings>, SettingsError> {
    let target = match args.access_log.to_str() {
        Some("off") if args.access_log_slow.is_some() => {
            return Err(SettingsError::Incomplete { given: "access-log-slow", missing: "access-log" });
        }
        Some("off") => return Ok(None),
        Some("-") => Target::Stdout,
        _ => Target::File(args.access_log.clone()),
    };
    Ok(Some(AccessLogSettings { target, sample: args.access_log_sample, slow: args.access_log_slow }))
}

/// Default target of `waybill health`: the server with these settings, on this host. The check speaks no TLS, so if TLS
/// is enabled, the target is the admin listener, if there is one.
pub fn health_target(args: &ServeArgs) -> cli::Target {
    let listen = match &args.admin_listen {
        AdminListen::At(admin) if args.tls_cert.is_some() => admin,
        _ => &args.listen,
    };
    match listen {
        Address::Unix { path, .. } => cli::Target::Socket(path.clone()),
        Address::Ip(address) => {
            cli::Target::Url(format!("{}/readyz", local_url("http", *address)).parse().unwrap_or_default())
        }
    }
}

/// Options for loading a file of the given format and with the given tolerance.
pub fn load_options(input: &InputArgs, tolerance: &ToleranceArgs) -> load::Options {
    load::Options {
        delimiter: input.delimiter,
        decimal_comma: input.decimal_comma,
        columns: input.columns.clone().unwrap_or_default(),
        shard: input.shard,
        bad_rows_max: tolerance.max_bad_rows,
        require_final_newline: tolerance.require_final_newline,
        ..load::Options::default()
    }
}

fn in_range<T: PartialOrd + std::fmt::Display>(
    flag: &'static str,
    value: &T,
    range: RangeInclusive<T>,
) -> Result<(), SettingsError> {
    if range.contains(value) {
        return Ok(());
    }
    let expected = format!("a number from {} to {}", range.start(), range.end());
    Err(SettingsError::OutOfRange { flag, value: value.to_string(), expected })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Command;

    fn settings(arguments: &[&str]) -> Result<Settings, SettingsError> {
        let arguments = [&["waybill"], arguments].concat();
        match Layers::read(arguments.into_iter().map(Into::into)).unwrap().cli().unwrap().command {
            Command::Serve(args) => Settings::new(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_admin_listener_that_other_hosts_reach_needs_a_token() {
        assert!(settings(&["--admin-listen", "[::1]:9"]).is_ok_and(|settings| settings.admin_listen.is_some()));
        assert!(settings(&["--admin-listen", "off"]).is_ok_and(|settings| settings.admin_listen.is_none()));
        assert!(settings(&["--admin-listen", "unix:a"]).is_ok());
        assert!(matches!(settings(&["--admin-listen", "0.0.0.0:9"]), Err(SettingsError::AdminWithoutToken(_))));
        assert!(settings(&["--admin-listen", "0.0.0.0:9", "--admin-token-file", "token"]).is_ok());
    }

    #[test]
    fn browsers_are_told_of_tls_for_whole_seconds_and_where_there_is_tls() {
        let tls = ["--tls-cert", "a", "--tls-key", "b"];
        let hsts = |time| settings(&[&tls[..], &["--hsts", time]].concat()).map(|settings| settings.hsts);
        assert_eq!(hsts("8760h").unwrap(), Some(Duration::from_hours(8760)));
        assert_eq!(hsts("0").unwrap(), Some(Duration::ZERO));
        assert_eq!(hsts("1500ms").unwrap_err().to_string(), "--hsts 1.5s: expected whole seconds");
        assert_eq!(settings(&["--hsts", "1h"]).unwrap_err().to_string(), "--hsts: --tls-cert is missing");
    }

    #[test]
    fn clients_may_hold_an_eighth_of_the_memory_or_256_mib_unless_told_otherwise() {
        let bytes = |arguments: &[&str]| settings(arguments).unwrap().buffered_bytes_max;
        let share = memory::limit().map_or(usize::MAX, |limit| limit as usize / 8);
        assert_eq!(bytes(&[]), share.min(256 << 20));
        assert_eq!(bytes(&["--max-buffered-bytes", "2MiB"]), 2 << 20);
    }

    #[test]
    fn data_may_have_any_age_unless_told_otherwise() {
        let age = |arguments: &[&str]| settings(arguments).map(|settings| settings.data_age_max);
        assert_eq!(age(&[]).unwrap(), None);
        assert_eq!(age(&["--max-data-age", "26h"]).unwrap(), Some(Duration::from_hours(26)));
        let error = age(&["--max-data-age", "999ms"]).unwrap_err().to_string();
        assert_eq!(error, "--max-data-age 999ms: expected at least 1s");
    }

    #[test]
    fn listeners_that_share_their_addresses_do_not_share_one_with_each_other() {
        let both = |public, admin| settings(&["--listen", public, "--admin-listen", admin, "--reuse-port"]);
        let error = both("0.0.0.0:9", "127.0.0.1:9").unwrap_err().to_string();
        assert!(error.starts_with("--admin-listen 127.0.0.1:9: "), "{error}");
        assert!(both("127.0.0.1:9", "127.0.0.1:10").is_ok_and(|settings| settings.reuse_port));
    }

    #[test]
    fn pages_can_be_switched_off() {
        assert!(settings(&[]).is_ok_and(|settings| settings.with_pages));
        assert!(settings(&["--pages", "off"]).is_ok_and(|settings| !settings.with_pages));
    }

    #[test]
    fn as_many_threads_load_as_serve_unless_told_otherwise() {
        let threads = |arguments: &[&str]| settings(arguments).map(|settings| settings.reload.load.threads);
        assert_eq!(threads(&["--threads", "3"]).unwrap(), 3);
        assert_eq!(threads(&["--threads", "3", "--load-threads", "1"]).unwrap(), 1);
    }

    #[test]
    fn a_time_limit_that_no_client_could_meet_is_refused() {
        let error = settings(&["--idle-timeout", "0"]).unwrap_err().to_string();
        assert_eq!(error, "--idle-timeout 0ns: expected at least 1ms");
        assert!(settings(&["--idle-timeout", "1ms"]).is_ok());
    }

    #[test]
    fn a_watch_looks_every_five_seconds_unless_told_otherwise_or_not_at_all() {
        let interval = |arguments: &[&str]| settings(arguments).map(|settings| settings.reload.watch_interval);
        assert_eq!(interval(&[]).unwrap(), None);
        assert_eq!(interval(&["--watch"]).unwrap(), Some(Duration::from_secs(5)));
        assert_eq!(interval(&["--watch", "--keep-previous"]).unwrap(), Some(Duration::from_secs(5)));
        assert_eq!(interval(&["--watch", "1m"]).unwrap(), Some(Duration::from_mins(1)));
        for wrong in ["0", "9ms", "25h"] {
            let error = interval(&["--watch", wrong]).unwrap_err().to_string();
            assert!(error.starts_with("--watch ") && error.ends_with("expected from 10ms to 86400s"), "{error}");
        }
    }

    #[test]
    fn numbers_out_of_range_name_their_flag() {
        for (flag, value) in [
            ("--threads", "0"),
            ("--load-threads", "1025"),
            ("--max-connections", "0"),
            ("--max-removed-percent", "101"),
            ("--max-buffered-bytes", "1023KiB"),
        ] {
            let error = settings(&[flag, value]).unwrap_err().to_string();
            assert!(error.starts_with(flag) && error.contains("expected a number from"), "{error}");
        }
    }
}
