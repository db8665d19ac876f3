//! Environment variables that look like settings.

use clap::Command;

use super::setting::{CONFIG, long, settings};
use crate::similar;

/// What the variables of all settings begin with.
const PREFIX: &str = "WAYBILL_";

/// Error of an environment variable that is no setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownVariable {
    /// It is probably a setting's, misspelled.
    #[error("{name}: no such setting; did you mean {meant}?")]
    Misspelled {
        /// Name of the variable.
        name: String,
        /// Name of the setting's variable.
        meant: String,
    },
    /// It is like no setting's.
    #[error("{name}: no such setting; waybill serve --help lists them with their variables")]
    Unlike {
        /// Name of the variable.
        name: String,
    },
}

/// Checks that those of `names` that begin as settings' variables do are settings of `command`, or are set by Kubernetes
/// for a Service named waybill.
pub(super) fn check(command: &Command, names: impl Iterator<Item = String>) -> Result<(), UnknownVariable> {
    let known: Vec<&str> = settings(command).map(long).chain([CONFIG]).collect();
    let variable = |setting: &str| format!("{PREFIX}{}", setting.replace('-', "_").to_uppercase());
    // In the order of names, so that the error is always the same.
    let mut unknown: Vec<String> = names
        .filter(|name| name.strip_prefix(PREFIX).is_some_and(|rest| !is_of_kubernetes(rest)))
        .filter(|name| !known.iter().any(|setting| variable(setting) == *name))
        .collect();
    unknown.sort_unstable();
    let Some(name) = unknown.into_iter().next() else { return Ok(()) };
    let like_setting = name[PREFIX.len()..].replace('_', "-");
    Err(match similar::nearest(&like_setting, known) {
        Some(setting) => UnknownVariable::Misspelled { name, meant: variable(setting) },
        None => UnknownVariable::Unlike { name },
    })
}

/// True for the end of `WAYBILL_SERVICE_HOST`, `WAYBILL_PORT`, `WAYBILL_PORT_80_TCP_ADDR` and the like.
fn is_of_kubernetes(rest: &str) -> bool {
    rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    use crate::cli::Cli;

    fn checked(names: &[&str]) -> Result<(), String> {
        let command = Cli::command().find_subcommand("serve").cloned().unwrap();
        check(&command, names.iter().map(ToString::to_string)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_variable_that_is_no_setting_is_named_with_the_nearest_that_is() {
        for (name, meant) in [
            ("WAYBILL_LISTN", "did you mean WAYBILL_LISTEN?"),
            ("WAYBILL_MAX_BADROWS", "did you mean WAYBILL_MAX_BAD_ROWS?"),
            ("WAYBILL_listen", "did you mean WAYBILL_LISTEN?"),
            ("WAYBILL_CONFIGS", "did you mean WAYBILL_CONFIG?"),
            ("WAYBILL_PORTS", "--help"),
            ("WAYBILL_", "--help"),
        ] {
            let error = checked(&["PATH", "WAYBILL_DATA", "WAYBILL_CONFIG", name]).unwrap_err();
            assert!(error.starts_with(&format!("{name}: ")) && error.contains(meant), "{error}");
        }
        assert!(checked(&["WAYBILL_ZZ", "WAYBILL_AA"]).unwrap_err().starts_with("WAYBILL_AA: "));
    }

    #[test]
    fn variables_of_others_are_none_of_ours() {
        let of_kubernetes =
            ["WAYBILL_SERVICE_HOST", "WAYBILL_SERVICE_PORT_HTTP", "WAYBILL_PORT", "WAYBILL_PORT_80_TCP_ADDR"];
        assert_eq!(checked(&of_kubernetes), Ok(()));
        assert_eq!(checked(&["WAYBILLS", "waybill_listn", "RUST_LOG", "WAYBILL_WATCH"]), Ok(()));
    }
}
