//! Columns of an export: their names in the header, and their positions.

use std::fmt;
use std::str::FromStr;

use super::csv::Record;
use super::report::FileError;
use crate::shipment::Column;
use crate::truncate::truncate;

/// Longest part of a value that an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Name of each column in the header; by default the column's own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnNames([String; Column::ALL.len()]);

impl Default for ColumnNames {
    fn default() -> ColumnNames {
        ColumnNames(Column::ALL.map(|column| column.name().to_owned()))
    }
}

impl ColumnNames {
    /// Name in the header, spelled exactly so.
    pub fn get(&self, column: Column) -> &str {
        &self.0[column as usize]
    }

    /// Creates the names that `name` gives the columns; `None` if two columns have the same.
    pub fn new(name: impl Fn(Column) -> String) -> Option<ColumnNames> {
        let names = ColumnNames(Column::ALL.map(name));
        Column::ALL.into_iter().all(|column| names.find(names.get(column)) == Some(column)).then_some(names)
    }

    /// Finds the column that is called `name` in the header.
    pub fn find(&self, name: &str) -> Option<Column> {
        Column::ALL.into_iter().find(|column| self.get(*column) == name)
    }

    /// Describes the name in the header, with the column's own name if that is another.
    fn described(&self, column: Column) -> String {
        match self.get(column) {
            name if name == column.name() => name.to_owned(),
            name => format!("{name:?} for {}", column.name()),
        }
    }
}

/// Parses `NAME=HEADER,…`: columns and their names in the header. A backslash before a comma or another backslash makes
/// that a part of the name.
impl FromStr for ColumnNames {
    type Err = String;

    fn from_str(text: &str) -> Result<ColumnNames, String> {
        let mut names = ColumnNames::default();
        let mut assigned = Vec::new();
        for piece in pieces(text)? {
            let Some((name, in_header)) = piece.split_once('=') else {
                return Err(format!("{piece:?}: NAME=HEADER is expected, such as tracking_number=TrackingNo"));
            };
            let name = name.trim();
            let Some(column) = Column::ALL.into_iter().find(|column| column.name() == name) else {
                return Err(format!("{name:?} is no column; there are {}", Column::ALL.map(Column::name).join(", ")));
            };
            if assigned.contains(&column) {
                return Err(format!("{name}: duplicate"));
            }
            if in_header.is_empty() {
                return Err(format!("{name}= is followed by no name"));
            }
            assigned.push(column);
            in_header.clone_into(&mut names.0[column as usize]);
        }
        for column in Column::ALL {
            let first = names.find(names.get(column)).unwrap_or(column);
            if first != column {
                let (name, one, other) = (names.get(column), first.name(), column.name());
                return Err(format!("{name:?} would stand for {one} and for {other}"));
            }
        }
        Ok(names)
    }
}

/// The form that is parsed, without columns that have their own name.
impl fmt::Display for ColumnNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = Column::ALL.into_iter().filter(|column| self.get(*column) != column.name());
        let pairs = others.map(|column| {
            let name = self.get(column).replace('\\', "\\\\").replace(',', "\\,");
            format!("{}={name}", column.name())
        });
        f.write_str(&pairs.collect::<Vec<_>>().join(","))
    }
}

/// Splits `text` at commas, and undoes escapes.
fn pieces(text: &str) -> Result<Vec<String>, String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ',' => pieces.push(std::mem::take(&mut piece)),
            '\\' => match characters.next() {
                Some(escaped @ (',' | '\\')) => piece.push(escaped),
                _ => return Err("a backslash stands before a comma or another backslash".to_owned()),
            },
            other => piece.push(other),
        }
    }
    pieces.push(piece);
    Ok(pieces)
}

/// Positions of the needed columns in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// Number of fields in the header.
    pub(super) fields: usize,
    /// Needed columns in file order, each with the index of its field.
    pub(super) in_file_order: [(usize, Column); Column::ALL.len()],
}

impl Columns {
    /// Finds the columns in the header on line `line`, by the names that `called` gives them. Also returns the names of
    /// columns that are not needed.
    pub(super) fn from_header(
        header: &Record<'_>,
        line: u64,
        called: &ColumnNames,
    ) -> Result<(Columns, Vec<String>), FileError> {
        let error = |column: Option<&'static str>, reason: String| FileError { line, column, reason };
        let names: Vec<String> =
            (0..header.len()).map(|field| String::from_utf8_lossy(header.field(field)).into_owned()).collect();
        let mut in_file_order = [(0, Column::TrackingNumber); Column::ALL.len()];
        for (slot, column) in in_file_order.iter_mut().zip(Column::ALL) {
            let mut fields = (0..names.len()).filter(|field| names[*field] == called.get(column));
            let Some(field) = fields.next() else {
                let (missing, there) = (called.described(column), quoted(&names.join(" | ")));
                let reason = format!("the header has no column {missing}; it has {there}");
                return Err(error(Some(column.name()), reason));
            };
            if fields.next().is_some() {
                return Err(error(Some(column.name()), format!("the header names {} twice", called.described(column))));
            }
            *slot = (field, column);
        }
        in_file_order.sort_unstable();
        let ignored = names.iter().filter(|name| called.find(name).is_none()).cloned().collect();
        Ok((Columns { fields: names.len(), in_file_order }, ignored))
    }

    /// The columns that must be equal in all rows of a shipment, in file order.
    pub(super) fn shared(&self) -> [Column; 3] {
        let mut shared = Column::SHARED;
        shared.sort_unstable_by_key(|column| self.rank(*column));
        shared
    }

    /// Index of a column among the needed ones, in file order.
    pub(super) fn rank(&self, column: Column) -> usize {
        self.in_file_order.iter().position(|(_, other)| *other == column).unwrap_or(usize::MAX)
    }
}

/// Quotes the start of `value`.
pub(super) fn quoted(value: &str) -> String {
    let (start, ellipsis) = truncate(value, SHOWN_CHARS_MAX);
    format!("{start:?}{ellipsis}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<ColumnNames>().unwrap_err()
    }

    #[test]
    fn columns_that_are_not_named_keep_their_names() {
        let names: ColumnNames = "tracking_number=Tracking No, SKU=a\\,b=c\\\\ ".parse().unwrap();
        assert_eq!((names.get(Column::TrackingNumber), names.get(Column::Sku)), ("Tracking No", "a,b=c\\ "));
        assert_eq!(names.get(Column::Carrier), "carrier");
        assert_eq!((names.find("a,b=c\\ "), names.find("SKU")), (Some(Column::Sku), None));
        assert_eq!(names.to_string(), "tracking_number=Tracking No,SKU=a\\,b=c\\\\ ");
        assert_eq!("carrier=carrier".parse(), Ok(ColumnNames::default()));
        // Two columns may exchange their names.
        assert!("carrier=status,status=carrier".parse::<ColumnNames>().is_ok());
    }

    #[test]
    fn names_that_cannot_be_meant_are_refused() {
        assert!(error("sku=x").starts_with("\"sku\" is no column; there are tracking_number, carrier,"));
        assert_eq!(error("carrier=a,carrier=b"), "carrier: duplicate");
        assert_eq!(error("carrier="), "carrier= is followed by no name");
        assert_eq!(error("carrier=status"), "\"status\" would stand for carrier and for status");
        assert_eq!(error("carrier=x,status=x"), "\"x\" would stand for carrier and for status");
        for wrong in ["", "carrier", "carrier=a,", ",carrier=a", "carrier:a", "carrier=a\\b", "carrier=a\\"] {
            assert!(!error(wrong).is_empty());
        }
    }
}
