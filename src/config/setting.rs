//! The flags that are settings: those that a variable, and so the settings file, may set too.

use clap::{Arg, Command};

/// The flag that names the file; no key of the file.
pub(super) const CONFIG: &str = "config";

/// A value that TOML has no way to write.
#[derive(Debug, thiserror::Error)]
#[error("--{0}: not UTF-8, so a settings file cannot hold it")]
pub struct NotUtf8(pub(super) String);

/// The settings among the flags of `command`.
pub(super) fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|flag| flag.get_env().is_some() && flag.get_long() != Some(CONFIG))
}

/// The name of a setting: its long flag without the dashes.
pub(super) fn long(setting: &Arg) -> &str {
    setting.get_long().unwrap_or_default()
}
