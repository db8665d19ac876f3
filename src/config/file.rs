//! The configuration file: TOML, one line `key = value` per setting.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Command;
use toml::de::{DeTable, DeValue};

use super::setting::{long, settings};
use super::value;
use crate::similar;

/// A configuration file whose values are all accepted by their flags.
#[derive(Debug, Default)]
pub(super) struct ConfigFile {
    /// Path as given.
    pub(super) path: PathBuf,
    entries: Vec<Entry>,
}

/// A setting of the file.
#[derive(Debug)]
pub(super) struct Entry {
    key: String,
    /// Line number, from 1.
    pub(super) line: usize,
    /// Flags with the same meaning.
    pub(super) flags: Vec<OsString>,
}

/// Error of the configuration file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The file cannot be read as text.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// A line is invalid.
    #[error("{}:{line}: {reason}", path.display())]
    Invalid {
        /// Path of the file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// Key, and what is expected of its value.
        reason: String,
    },
}

impl ConfigFile {
    /// Reads the settings of `command` from the file at `path`.
    pub(super) fn read(path: &Path, command: &Command) -> Result<ConfigFile, ConfigFileError> {
        let unreadable = |source| ConfigFileError::Unreadable { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let entries = parse(&text, command).map_err(|(line, reason)| {
            let path = path.to_owned();
            ConfigFileError::Invalid { path, line, reason }
        })?;
        Ok(ConfigFile { path: path.to_owned(), entries })
    }

    /// Finds the entry of a setting.
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == name)
    }
}

/// Parses the settings in `text`. An error has its line.
fn parse(text: &str, command: &Command) -> Result<Vec<Entry>, (usize, String)> {
    let line_of = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let at = text.get(span.clone()).filter(|at| !at.trim().is_empty()).map(|at| format!(": {at:?}"));
        (line_of(span.start), format!("{}{}", error.message(), at.unwrap_or_default()))
    })?;
    let mut pairs: Vec<_> = table.get_ref().iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    let mut entries = Vec::new();
    for (key, value) in pairs {
        let line = line_of(key.span().start);
        entries.push(entry(command, key.get_ref(), line, value.get_ref()).map_err(|reason| (line, reason))?);
    }
    Ok(entries)
}

fn entry(command: &Command, key: &str, line: usize, value: &DeValue<'_>) -> Result<Entry, String> {
    let setting = settings(command).find(|setting| long(setting) == key).ok_or_else(|| unknown(key, command))?;
    let flags = value::to_flags(setting, value).map_err(|reason| format!("{key}: {reason}"))?;
    accept(command, &flags).map_err(|reason| {
        let says_what = ["expected", "possible values"].iter().any(|words| reason.contains(words));
        if says_what { reason } else { format!("{reason}; expected {}", value::expected(setting)) }
    })?;
    Ok(Entry { key: key.to_owned(), line, flags })
}

fn unknown(key: &str, command: &Command) -> String {
    match similar::nearest(key, settings(command).map(long)) {
        Some(name) => format!("unknown key {key:?}; did you mean {name:?}?"),
        None => format!("unknown key {key:?}; expected a flag of waybill serve, without its dashes"),
    }
}

/// Checks flags with the parser of the command line.
fn accept(command: &Command, flags: &[OsString]) -> Result<(), String> {
    let parsed = command.clone().no_binary_name(true).try_get_matches_from(flags);
    parsed.map(|_| ()).map_err(|error| {
        let text = error.to_string();
        // The first paragraph is the error; advice on command lines follows.
        let reason = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        reason.split_whitespace().collect::<Vec<_>>().join(" ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, ArgAction, value_parser};

    fn command() -> Command {
        let flag = |name: &'static str| Arg::new(name).long(name).env("WAYBILL_TEST_UNSET");
        Command::new("test").args([
            flag("config"),
            flag("name"),
            flag("max-things").value_parser(value_parser!(u64)),
            flag("from").action(ArgAction::Append),
            flag("port").action(ArgAction::Append).value_parser(value_parser!(u16)),
            flag("quiet").action(ArgAction::SetTrue),
            Arg::new("once").long("once"),
        ])
    }

    fn flags(text: &str) -> Result<Vec<OsString>, (usize, String)> {
        parse(text, &command()).map(|entries| entries.into_iter().flat_map(|entry| entry.flags).collect())
    }

    #[test]
    fn keys_become_flags_and_arrays_become_repeated_ones() {
        let text = "from = ['a', 'b=c']\nport = 80\nquiet = true\nmax-things = 0x1_0\nname = '--'";
        let expected = ["--from=a", "--from=b=c", "--port=80", "--quiet", "--max-things=16", "--name=--"];
        assert_eq!(flags(text), Ok(expected.map(OsString::from).to_vec()));
        assert_eq!(flags("quiet = false\nfrom = []\n# nothing\n"), Ok(Vec::new()));
        assert_eq!(flags(""), Ok(Vec::new()));
    }

    #[test]
    fn an_error_has_its_line_and_what_is_expected() {
        for (text, line, reason) in [
            ("\nmax_things = 1", 2, r#"unknown key "max_things"; did you mean "max-things"?"#),
            ("zzz = 1", 1, r#"unknown key "zzz"; expected a flag of waybill serve, without its dashes"#),
            ("config = 'x'", 1, r#"unknown key "config"; expected a flag of waybill serve, without its dashes"#),
            ("once = 'x'", 1, r#"unknown key "once"; expected a flag of waybill serve, without its dashes"#),
            ("name = 1", 1, "name: expected a string, got a value of type integer"),
            ("name.first = 'x'", 1, "name: expected a string, got a value of type table"),
            ("name = ['x']", 1, "name: expected a string, got a value of type array"),
            ("max-things = '1'", 1, "max-things: expected a whole number, got a value of type string"),
            ("quiet = 'yes'", 1, "quiet: expected true or false, got a value of type string"),
            ("port = [80, 'x']", 1, "port: expected a whole number, or an array of such, got a value of type string"),
            ("name = 'a'\nname = 'b'", 2, r#"duplicate key: "name""#),
        ] {
            assert_eq!(flags(text), Err((line, reason.to_owned())), "{text}");
        }
        let (line, reason) = flags("quiet = true\nport = [80, 65536]").unwrap_err();
        assert!(line == 2 && reason.contains("65536") && reason.contains("--port"), "{line}: {reason}");
        let (_, reason) = flags("max-things = -1").unwrap_err();
        assert!(reason.contains("'-1'") && reason.ends_with("; expected a whole number"), "{reason}");
        assert!(matches!(flags("name ="), Err((1, _))) && matches!(flags("\n[name"), Err((2, _))));
    }
}
