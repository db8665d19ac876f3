//! The flags of `serve` and `check` that say how a file is read.

use clap::Args;
use clap::builder::BoolishValueParser;

use crate::load::ColumnNames;
use crate::shard::Shard;

pub(super) const DATA: &str = "Data";

/// How a file is read.
#[derive(Clone, Debug, Args)]
pub struct InputArgs {
    /// What separates fields: one ASCII character such as ; or | or tab
    #[arg(long, help_heading = DATA, env = "WAYBILL_DELIMITER", value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    pub delimiter: u8,

    /// What the header calls columns that it does not call by their own names; a comma within is written as \,
    #[arg(long, help_heading = DATA, env = "WAYBILL_COLUMNS", value_name = "NAME=HEADER,…")]
    pub columns: Option<ColumnNames>,

    /// Keep the shipments of part I of N alone, from 0, by the hash of the tracking number
    #[arg(long, help_heading = DATA, env = "WAYBILL_SHARD", value_name = "I/N")]
    pub shard: Option<Shard>,
}

/// What is tolerated in a file.
#[derive(Clone, Debug, Args)]
pub struct ToleranceArgs {
    /// Leave out up to N bad rows instead of refusing the file
    #[arg(long, help_heading = DATA, env = "WAYBILL_MAX_BAD_ROWS", value_name = "N", default_value_t = 0)]
    pub max_bad_rows: u64,

    /// Refuse a file whose last line has no line break: it may have been cut
    #[arg(long, help_heading = DATA, env = "WAYBILL_REQUIRE_FINAL_NEWLINE", value_parser = BoolishValueParser::new())]
    pub require_final_newline: bool,
}

/// What separates fields: any ASCII character but a quote, what ends lines, and what names and numbers are made of.
fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [b'"' | b'\r' | b'\n' | 0] => Err("a quote, a line break or a NUL separates no fields".to_owned()),
        [byte] if byte.is_ascii_alphanumeric() => Err("letters and digits separate no fields".to_owned()),
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err("expected one ASCII character, such as ; or |, or tab".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_is_one_character_that_can_separate_fields() {
        for (text, byte) in
            [(",", b','), (";", b';'), ("|", b'|'), ("tab", b'\t'), ("\\t", b'\t'), ("\t", b'\t'), (" ", b' ')]
        {
            assert_eq!(delimiter(text), Ok(byte), "{text:?}");
        }
        for wrong in ["", "\"", "\n", "\r", "\0", "a", "Z", "7", ";;", "¦", "\\n", "comma"] {
            assert!(delimiter(wrong).is_err(), "{wrong:?}");
        }
    }
}
