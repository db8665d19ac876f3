//! Flags that `serve` and `check` share: the format of the file, and what is tolerated in it.

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use crate::load::ColumnNames;
use crate::shard::Shard;

pub(super) const DATA: &str = "Data";

/// Format of a file.
#[derive(Clone, Debug, Args)]
pub struct InputArgs {
    /// Field separator: one ASCII character such as ; or |, or tab
    #[arg(long, help_heading = DATA, env = "WAYBILL_DELIMITER", value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    pub delimiter: u8,

    /// Prices have a comma before their fraction: 5,00, which is 5.00 in responses
    #[arg(long, help_heading = DATA, env = "WAYBILL_DECIMAL_COMMA", value_parser = BoolishValueParser::new())]
    pub decimal_comma: bool,

    /// Names that the header uses for columns; a comma in a name is written as \,
    #[arg(long, help_heading = DATA, env = "WAYBILL_COLUMNS", value_name = "NAME=HEADER,…")]
    pub columns: Option<ColumnNames>,

    /// Give shipments a stage by their status: a map in TOML, read again at each reload, or `builtin` for the built-in one
    ///
    /// A table `[default]` of statuses and their stages, and one such as `[carrier.DHL]` for a carrier whose statuses mean
    /// something else. Stages are `pre_transit`, `in_transit`, `out_for_delivery`, `available_for_pickup`, `delivered`,
    /// `attempt_failed`, `returning`, `exception`, `cancelled` and `unknown`, which is also that of any other status.
    #[arg(long, help_heading = DATA, env = "WAYBILL_STATUS_MAP", value_name = "FILE|builtin")]
    pub status_map: Option<PathBuf>,

    /// Keep only part I (from 0) of N of the shipments, by the hash of the tracking number
    #[arg(long, help_heading = DATA, env = "WAYBILL_SHARD", value_name = "I/N")]
    pub shard: Option<Shard>,
}

/// Defects of a file that are tolerated.
#[derive(Clone, Debug, Args)]
pub struct ToleranceArgs {
    /// Bad rows to leave out instead of refusing the file
    #[arg(long, help_heading = DATA, env = "WAYBILL_MAX_BAD_ROWS", value_name = "N", default_value_t = 0)]
    pub max_bad_rows: u64,

    /// Refuse a file whose last line has no line break: it may have been truncated
    #[arg(long, help_heading = DATA, env = "WAYBILL_REQUIRE_FINAL_NEWLINE", value_parser = BoolishValueParser::new())]
    pub require_final_newline: bool,
}

/// Parses a field separator: any ASCII character but quotes, line breaks, NUL, letters and digits.
fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [b'"' | b'\r' | b'\n' | 0] => Err("a quote, a line break or a NUL cannot separate fields".to_owned()),
        [byte] if byte.is_ascii_alphanumeric() => Err("letters and digits cannot separate fields".to_owned()),
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
