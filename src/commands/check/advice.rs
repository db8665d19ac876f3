//! Advice about a refused file: settings with which it was found to load, or what must be done to the file itself.

use std::fmt::Write as _;

use serde_json::json;

use super::command;
use super::header::Header;
use super::sample::{self, Form, Layout};
use crate::load::{self, FileError, LoadError, Loaded, Options, Progress};
use crate::shipment::Column;
use crate::source::{Compression, Source};

const NO_HEADER: &str = "none of the first lines names the columns: the file must begin with a line that does";
const WORKBOOK: &str = "this is a workbook or an archive, no CSV file: save it as \"CSV UTF-8\"";
const UTF_16: &str = "the text is in UTF-16, but must be in UTF-8";
const OTHER_ENCODING: &str = "the text is not in UTF-8, but probably in Windows-1252";

/// Advice about a refused file.
#[derive(Default)]
pub(super) struct Advice {
    /// Separator of fields in the file, if the settings have another one.
    delimiter: Option<u8>,
    /// Header with its likely columns, if the settings do not find all of them.
    header: Option<Header>,
    /// Prices have a decimal comma, which the settings do not expect.
    decimal_comma: bool,
    /// What is wrong with the file itself.
    fault: Option<String>,
    /// Result of a load with the settings advised, if there are any.
    result: Option<Result<Loaded, LoadError>>,
    /// Command lines that lead on, one after the other.
    commands: Vec<String>,
}

impl Advice {
    /// Finds advice about `source`, which was refused with `error`; `None` if there is none beyond the error.
    pub(super) fn find(
        source: &Source,
        given: &Options,
        error: &LoadError,
        watch: &mut dyn FnMut(&Progress),
    ) -> Option<Advice> {
        // Content that cannot be read or decompressed has its own error.
        let (head, compression) = source.head(sample::BYTES_MAX).ok()?;
        let correct = |by: &str| corrected(source, compression, given, by);
        if let Some(form) = Form::of(&head) {
            let (fault, commands) = match form {
                Form::Workbook => (WORKBOOK, Vec::new()),
                Form::Utf16 => (UTF_16, correct("iconv -f UTF-16 -t UTF-8")),
                Form::OtherEncoding => (OTHER_ENCODING, correct("iconv -f WINDOWS-1252 -t UTF-8")),
            };
            return Some(Advice { fault: Some(fault.to_owned()), commands, ..Advice::default() });
        }
        let layout = Layout::find(&head, given)?;
        let Some(line) = layout.line else {
            return Some(Advice { fault: Some(NO_HEADER.to_owned()), ..Advice::default() });
        };
        let names = layout.header.column_names();
        let mut advice = Advice {
            delimiter: (layout.delimiter != given.delimiter).then_some(layout.delimiter),
            header: (names.as_ref() != Some(&given.columns)).then(|| layout.header.clone()),
            ..Advice::default()
        };
        if layout.records_before > 0 {
            advice.fault = Some(format!("the header is on line {line}, but the file must begin with it"));
            advice.commands = correct(&format!("tail -n +{line}"));
            return Some(advice);
        }
        // Without a column there is nothing to try.
        let Some(columns) = names else { return Some(advice) };
        let mut options = Options { delimiter: layout.delimiter, columns, ..given.clone() };
        if advice.delimiter.is_some() || advice.header.is_some() {
            advice.result = Some(load::load(source.clone(), &options, watch));
        }
        advice.try_decimal_comma(source, &mut options, error, watch);
        let errors = advice.errors(error);
        if is_second_header(&layout, errors) {
            let line = errors[0].line;
            advice.fault = Some(format!("line {line} looks like a second header, but must be a row"));
            advice.commands = correct(&format!("sed {line}d"));
            return Some(advice);
        }
        let verb: &[&str] = match advice.result.as_ref()? {
            Ok(_) => &[],
            Err(_) => &["check"],
        };
        advice.commands = vec![command::waybill(verb, source, &options)];
        Some(advice)
    }

    /// Loads with a decimal comma if prices are refused, and keeps to that if it helps.
    fn try_decimal_comma(
        &mut self,
        source: &Source,
        options: &mut Options,
        error: &LoadError,
        watch: &mut dyn FnMut(&Progress),
    ) {
        let of_price = |error: &&FileError| error.column == Some(Column::ArticlePrice.name());
        let Some(price) = self.errors(error).iter().find(of_price).cloned() else { return };
        if options.decimal_comma {
            return;
        }
        let with_comma = Options { decimal_comma: true, ..options.clone() };
        let result = load::load(source.clone(), &with_comma, watch);
        let is_still_refused =
            |error: &LoadError| error.errors().iter().filter(of_price).any(|error| error.line == price.line);
        if !result.as_ref().is_err_and(is_still_refused) {
            (*options, self.decimal_comma, self.result) = (with_comma, true, Some(result));
        }
    }

    /// Errors with the settings advised, or else those of the first load.
    fn errors<'e>(&'e self, first: &'e LoadError) -> &'e [FileError] {
        match &self.result {
            None => first.errors(),
            Some(Ok(_)) => &[],
            Some(Err(error)) => error.errors(),
        }
    }

    /// Formats it for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        if let Some(delimiter) = self.delimiter {
            let _ = writeln!(text, "delimiter  {}", command::delimiter(delimiter));
        }
        if let Some(header) = &self.header {
            let mut title = "columns";
            for column in Column::ALL {
                let name = header
                    .name(column)
                    .map_or("missing: no single name is like it".to_owned(), |name| format!("{name:?}"));
                let _ = writeln!(text, "{title:<10} {:<16} {name}", column.name());
                title = "";
            }
            let unplaced: Vec<String> = header.unplaced().iter().map(|name| format!("{name:?}")).collect();
            if !unplaced.is_empty() {
                let _ = writeln!(text, "not placed {}", unplaced.join(", "));
            }
            if let Some(column) = header.missing().first() {
                let column = column.name();
                let _ =
                    writeln!(text, "The file needs all columns. If one has another name: --columns {column}=NAME,…");
            }
        }
        if self.decimal_comma {
            text.push_str("prices     have a decimal comma\n");
        }
        if let Some(fault) = &self.fault {
            let _ = writeln!(text, "{fault}");
        }
        match &self.result {
            Some(Ok(loaded)) => {
                let (rows, shipments) = (loaded.summary.rows, loaded.dataset.shipment_count());
                let _ = writeln!(text, "so it loads: rows {rows}, shipments {shipments}");
            }
            Some(Err(error)) => {
                let _ = writeln!(text, "so it is still refused: {}", error.text());
            }
            None => {}
        }
        for command in &self.commands {
            let _ = writeln!(text, "run        {command}");
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// Formats it for programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let header = self.header.as_ref();
        let columns = header.map(|header| {
            let columns = Column::ALL.iter().map(|column| (column.name().to_owned(), json!(header.name(*column))));
            columns.collect::<serde_json::Map<_, _>>()
        });
        json!({
            "delimiter": self.delimiter.map(|delimiter| char::from(delimiter).to_string()),
            "columns": columns,
            "missing": header.map(|header| header.missing().iter().map(|column| column.name()).collect::<Vec<_>>()),
            "not_placed": header.map(Header::unplaced),
            "decimal_comma": self.decimal_comma,
            "fault": self.fault,
            "loads": self.result.as_ref().map(Result::is_ok),
            "errors": self.result.as_ref().and_then(|result| result.as_ref().err()).map(LoadError::errors),
            "commands": self.commands,
        })
    }
}

/// Commands that make a corrected copy by a filter, and check that; none for what is compressed or an object.
fn corrected(source: &Source, compression: Option<Compression>, given: &Options, filter: &str) -> Vec<String> {
    let (Source::File(path), None) = (source, compression) else { return Vec::new() };
    let copy = Source::File(path.with_extension("corrected.csv"));
    let (from, to) = (command::quoted(&command::operand(source)), command::quoted(&command::operand(&copy)));
    vec![format!("{filter} {from} >{to}"), command::waybill(&["check"], &copy, given)]
}

/// True if the only bad row is the one behind the header, and has words for numbers.
fn is_second_header(layout: &Layout, errors: &[FileError]) -> bool {
    let ([error], Some(line), Some(first)) = (errors, layout.line, layout.rows.first()) else { return false };
    let is_word = |column: Column| {
        let value = layout.header.fields[column as usize].and_then(|field| first.get(field));
        value.is_some_and(|value| !value.bytes().any(|byte| byte.is_ascii_digit()))
    };
    error.line == line + 1 && is_word(Column::ArticleQuantity) && is_word(Column::ArticlePrice)
}
