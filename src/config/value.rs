//! Conversion of settings' values between TOML and flags.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches};
use toml::Value;
use toml::de::DeValue;

use super::setting::{NotUtf8, long};

/// Type of a setting's value in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A boolean; its flag takes no value.
    Switch,
    /// An integer.
    Integer,
    /// An integer or a float.
    Number,
    /// A string, or seconds as a number.
    Time,
    /// A string.
    Text,
}

impl Kind {
    fn of(setting: &Arg) -> Kind {
        let value = setting.get_value_parser().type_id();
        let is_one_of = |types: &[TypeId]| types.iter().any(|of| value == *of);
        if matches!(setting.get_action(), ArgAction::SetTrue) {
            Kind::Switch
        } else if is_one_of(&[TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<usize>()]) {
            Kind::Integer
        } else if is_one_of(&[TypeId::of::<f64>()]) {
            Kind::Number
        } else if is_one_of(&[TypeId::of::<Duration>()]) {
            Kind::Time
        } else {
            Kind::Text
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Kind::Switch => "true or false",
            Kind::Integer => "a whole number",
            Kind::Number => "a number",
            Kind::Time => "a string such as \"10s\", or seconds as a number",
            Kind::Text => "a string",
        }
    }

    /// Converts a TOML value of this kind to a flag's value.
    fn typed(self, value: &DeValue<'_>) -> Option<String> {
        match (self, value) {
            (Kind::Switch, DeValue::Boolean(value)) => Some(value.to_string()),
            (Kind::Integer | Kind::Number | Kind::Time, DeValue::Integer(number)) => {
                let decimal = i128::from_str_radix(number.as_str(), number.radix());
                Some(decimal.map_or_else(|_| number.to_string(), |decimal| decimal.to_string()))
            }
            (Kind::Number | Kind::Time, DeValue::Float(number)) => Some(number.to_string()),
            (Kind::Time | Kind::Text, DeValue::String(text)) => Some(text.to_string()),
            _ => None,
        }
    }

    /// Converts a flag's value to TOML.
    fn toml(self, typed: &str) -> String {
        let number = match self {
            Kind::Integer => typed.parse::<u64>().ok().map(|number| number.to_string()),
            Kind::Number => typed.parse().ok().map(|number| Value::Float(number).to_string()),
            Kind::Switch | Kind::Time | Kind::Text => None,
        };
        number.unwrap_or_else(|| Value::String(typed.to_owned()).to_string())
    }
}

/// Describes the values that the configuration file accepts for `setting`.
pub(super) fn expected(setting: &Arg) -> String {
    Kind::of(setting).expected().to_owned() + if repeats(setting) { ", or an array of such" } else { "" }
}

fn repeats(setting: &Arg) -> bool {
    matches!(setting.get_action(), ArgAction::Append)
}

/// Converts a value of the configuration file to flags. The error says what is expected instead.
pub(super) fn to_flags(setting: &Arg, value: &DeValue<'_>) -> Result<Vec<OsString>, String> {
    let kind = Kind::of(setting);
    let flag = |value: &DeValue<'_>| {
        let typed = kind
            .typed(value)
            .ok_or_else(|| format!("expected {}, got a value of type {}", expected(setting), value.type_str()))?;
        Ok(match (kind, typed.as_str()) {
            (Kind::Switch, "false") => None,
            (Kind::Switch, _) => Some(format!("--{}", long(setting)).into()),
            _ => Some(format!("--{}={typed}", long(setting)).into()),
        })
    };
    match value {
        DeValue::Array(values) if repeats(setting) => {
            values.iter().filter_map(|value| flag(value.get_ref()).transpose()).collect()
        }
        value => Ok(flag(value)?.into_iter().collect()),
    }
}

/// Converts the value of `setting`, if it has one, to TOML.
pub(super) fn to_toml(setting: &Arg, matches: &ArgMatches) -> Result<Option<String>, NotUtf8> {
    let (kind, id) = (Kind::of(setting), setting.get_id().as_str());
    if kind == Kind::Switch {
        return Ok(Some(matches.get_flag(id).to_string()));
    }
    let write = |typed: &OsStr| typed.to_str().map(|typed| kind.toml(typed)).ok_or(NotUtf8(long(setting).to_owned()));
    let mut values = matches.get_raw(id).into_iter().flatten().map(write);
    if repeats(setting) {
        return Ok(Some(format!("[{}]", values.collect::<Result<Vec<_>, _>>()?.join(", "))));
    }
    values.next().transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, value_parser};

    #[test]
    fn values_are_written_as_toml_of_their_kind() {
        let command = Command::new("test").no_binary_name(true).args([
            Arg::new("text").long("text"),
            Arg::new("many").long("many").action(ArgAction::Append),
            Arg::new("whole").long("whole").value_parser(value_parser!(u64)),
            Arg::new("number").long("number").value_parser(value_parser!(f64)),
            Arg::new("switch").long("switch").action(ArgAction::SetTrue),
        ]);
        let written = |typed: &[&str]| {
            let matches = command.clone().try_get_matches_from(typed).unwrap();
            command.get_arguments().map(|arg| to_toml(arg, &matches).unwrap()).collect::<Vec<_>>()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(written(&[]), [None, some("[]"), None, None, some("false")]);
        let typed = ["--text=a\"b\\\u{1}", "--many=1", "--many=x", "--whole=+007", "--number=50", "--switch"];
        let expected = [r#"'a"b\'"#, r#"["1", "x"]"#, "7", "50.0", "true"].map(some);
        assert_eq!(written(&typed)[1..], expected[1..]);
        let text: toml::Table = format!("text = {}", written(&typed)[0].as_deref().unwrap()).parse().unwrap();
        assert_eq!(text["text"].as_str(), Some("a\"b\\\u{1}"));
    }
}
