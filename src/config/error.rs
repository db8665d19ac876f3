//! Errors of settings.

use crate::http::listener::Address;

/// Error of a setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The admin listener can be reached from the network, and needs no token.
    #[error(
        "--admin-listen {0}: other hosts reach it, so --admin-token-file is needed; without one, a loopback address such as 127.0.0.1:8081"
    )]
    AdminWithoutToken(Address),
    /// Both listeners would share an address with each other.
    #[error("--admin-listen {0}: that is the public listener's address, which --reuse-port would share with it")]
    SameAddress(Address),
    /// A setting is set, and another one that it needs is not.
    #[error("--{given}: --{missing} is missing")]
    Incomplete {
        /// The setting that is set.
        given: &'static str,
        /// The setting that is not.
        missing: &'static str,
    },
    /// Filters and facets would tell what the limited view withholds.
    #[error(
        "--public-view limited: callers without a key may filter by what it withholds; --anonymous lookup or none is needed"
    )]
    LimitedViewOfAll,
    /// A number or time is out of range.
    #[error("{flag} {value}: expected {expected}")]
    OutOfRange {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
        /// Accepted values.
        expected: String,
    },
}

impl SettingsError {
    /// Name of the setting: its long flag without the dashes.
    pub fn setting(&self) -> &'static str {
        match self {
            SettingsError::AdminWithoutToken(_) | SettingsError::SameAddress(_) => "admin-listen",
            SettingsError::LimitedViewOfAll => "public-view",
            SettingsError::Incomplete { given, .. } => given,
            SettingsError::OutOfRange { flag, .. } => flag.trim_start_matches('-'),
        }
    }
}
