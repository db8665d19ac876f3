//! Command lines that are printed to be copied.

use crate::load::{ColumnNames, DELIMITER, Options};
use crate::source::Source;

/// The command that does `verb` (`check`, or nothing to serve) with a source and these options.
pub(super) fn waybill(verb: &[&str], source: &Source, options: &Options) -> String {
    let mut words = vec!["waybill".to_owned()];
    words.extend(verb.iter().map(ToString::to_string));
    words.push(operand(source));
    if options.delimiter != DELIMITER {
        words.extend(["--delimiter".to_owned(), delimiter(options.delimiter)]);
    }
    if options.columns != ColumnNames::default() {
        words.extend(["--columns".to_owned(), options.columns.to_string()]);
    }
    words.extend(options.decimal_comma.then(|| "--decimal-comma".to_owned()));
    words.extend(options.shard.into_iter().flat_map(|shard| ["--shard".to_owned(), shard.to_string()]));
    if let Some(map) = &options.status_map {
        words.extend(["--status-map".to_owned(), map.name().to_string_lossy().into_owned()]);
    }
    if options.bad_rows_max > 0 {
        words.extend(["--max-bad-rows".to_owned(), options.bad_rows_max.to_string()]);
    }
    words.extend(options.require_final_newline.then(|| "--require-final-newline".to_owned()));
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A file or URL as an argument that is taken for nothing else.
pub(super) fn operand(source: &Source) -> String {
    let name = source.name().to_string_lossy().into_owned();
    let is_plain = name.contains(['.', '/']) && !name.starts_with('-');
    if is_plain { name } else { format!("./{name}") }
}

/// A separator of fields as the value of `--delimiter`.
pub(super) fn delimiter(delimiter: u8) -> String {
    if delimiter == b'\t' { "tab".to_owned() } else { char::from(delimiter).to_string() }
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::StatusMapSource;
    use std::sync::Arc;

    #[test]
    fn a_command_names_what_differs_from_the_defaults() {
        let plain = waybill(&[], &Source::File("a b.csv".into()), &Options::default());
        assert_eq!(plain, "waybill 'a b.csv'");
        let options = Options {
            delimiter: b'\t',
            columns: "carrier=it's".parse().unwrap(),
            decimal_comma: true,
            bad_rows_max: 3,
            require_final_newline: true,
            shard: "0/2".parse().ok(),
            status_map: StatusMapSource::Builtin.read().ok().map(Arc::new),
            ..Options::default()
        };
        assert_eq!(
            waybill(&["check"], &Source::File("check".into()), &options),
            "waybill check ./check --delimiter tab --columns \"carrier=it's\" --decimal-comma --shard 0/2 --status-map builtin \
             --max-bad-rows 3 --require-final-newline"
        );
        assert_eq!(operand(&Source::File("-x.csv".into())), "./-x.csv");
    }
}
