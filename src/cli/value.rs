//! Values of flags, and how they are parsed.

use std::ffi::OsStr;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ValueEnum};
use jiff::civil::Date;

use crate::changes::{BYTES_LIMITS, BYTES_MAX_DEFAULT, ChangesLimits, VERSIONS_LIMITS};
use crate::http::access::scope::Scopes;
use crate::http::access::{credentials, key};
use crate::http::listener::Address;
use crate::source::Source;

/// Value of `--log-format` and `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// JSON for programs.
    Json,
}

/// Value of `--pages` and `--compression`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// With it.
    On,
    /// Without it.
    Off,
}

/// Value of `--admin-listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminListen {
    /// No admin listener.
    Off,
    /// An admin listener at this address.
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

/// Parses [`Source`]s. Its errors do not repeat the value, which may contain a secret.
#[derive(Clone)]
pub(super) struct SourceParser;

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

/// Parses a time span: `10s`, `500ms`, `1m 30s`, or seconds as a plain number.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string());
    }
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| "expected a time span such as 10s, 500ms or 2m".to_owned())
}

/// Parses a number of bytes: `1048576`, `1024KiB`, `1MiB` or `1GiB`.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => Some(0),
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        _ => None,
    };
    let number = digits.trim_end().parse::<usize>().ok();
    let bytes = shift.and_then(|shift| number?.checked_mul(1 << shift));
    bytes.ok_or_else(|| "expected a number of bytes such as 67108864 or 64MiB".to_owned())
}

/// Parses how many versions can be compared with, and perhaps in how much memory: `100`, or `100,256MiB`.
pub(super) fn changes(text: &str) -> Result<ChangesLimits, String> {
    let (versions, memory) = text.split_once(',').map_or((text, None), |(versions, memory)| (versions, Some(memory)));
    let expected = || {
        let (versions, memory) = (VERSIONS_LIMITS, BYTES_LIMITS);
        let [fewest, most] = [versions.start(), versions.end()];
        let [least, all] = [memory.start() >> 10, memory.end() >> 30];
        format!(
            "expected a number of versions from {fewest} to {most}, perhaps with bytes from {least}KiB to {all}GiB as in 100,256MiB"
        )
    };
    let versions_max = versions.trim().parse().ok().filter(|count| VERSIONS_LIMITS.contains(count));
    let bytes_max = memory.map_or(Some(BYTES_MAX_DEFAULT), |memory| bytes(memory.trim()).ok());
    let bytes_max = bytes_max.filter(|bytes| BYTES_LIMITS.contains(bytes));
    let limits = versions_max.zip(bytes_max).map(|(versions_max, bytes_max)| ChangesLimits { versions_max, bytes_max });
    limits.ok_or_else(expected)
}

/// Parses the name of a key.
pub(super) fn key_name(text: &str) -> Result<String, &'static str> {
    let expected = "expected letters, digits, -, _ and ., 64 at most";
    if credentials::is_name(text) { Ok(text.to_owned()) } else { Err(expected) }
}

/// Parses scopes.
pub(super) fn scopes(text: &str) -> Result<Scopes, &'static str> {
    Scopes::parse(text).map_err(|_| "expected lookup, list and feed, with commas between")
}

/// Parses a day that is not over, in UTC.
pub(super) fn day(text: &str) -> Result<Date, &'static str> {
    let day = key::date(text).ok_or("expected a day such as 2027-01-31")?;
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    if day < today { Err("that day is over") } else { Ok(day) }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn versions_may_come_with_bytes() {
        let limits = |versions_max, bytes_max| Ok(ChangesLimits { versions_max, bytes_max });
        assert_eq!(changes("1"), limits(1, BYTES_MAX_DEFAULT));
        assert_eq!(changes("10000,1GiB"), limits(10_000, 1 << 30));
        assert_eq!(changes("5, 65536"), limits(5, 65_536));
        for wrong in ["", "0", "-1", "10001", "5,", "5,1", "5,5GiB", "64MiB", "5,64MB", "5,64MiB,1"] {
            assert!(changes(wrong).is_err_and(|error| error.contains("from 1 to 10000")), "{wrong}");
        }
    }

    #[test]
    fn bytes_may_have_a_unit() {
        assert_eq!(
            (bytes("5"), bytes("2KiB"), bytes("64 MiB"), bytes("1GiB")),
            (Ok(5), Ok(2048), Ok(64 << 20), Ok(1 << 30))
        );
        for wrong in ["", "MiB", "-1", "1.5MiB", "1MB", "99999999999GiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
