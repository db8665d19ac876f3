//! Flags that are settings: those with an environment variable. A configuration file can contain them too.

use clap::{Arg, Command};

/// Flag that names the configuration file, and is therefore no key of it.
pub(super) const CONFIG: &str = "config";

/// Error of a value that TOML cannot represent.
#[derive(Debug, thiserror::Error)]
#[error("--{0}: not UTF-8, so a configuration file cannot contain it")]
pub struct NotUtf8(pub(super) String);

/// Selects the settings among the flags of `command`.
pub(super) fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|flag| flag.get_env().is_some() && flag.get_long() != Some(CONFIG))
}

/// Name of a setting: its long flag without the dashes.
pub(super) fn long(setting: &Arg) -> &str {
    setting.get_long().unwrap_or_default()
}
