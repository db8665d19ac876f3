//! The names that the header of an export has for the columns.

use std::str::FromStr;

use crate::shipment::Column;

/// What each column is called in the header: as it is here, unless told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnNames([String; Column::ALL.len()]);

impl Default for ColumnNames {
    fn default() -> ColumnNames {
        ColumnNames(Column::ALL.map(|column| column.name().to_owned()))
    }
}

impl ColumnNames {
    /// The name in the header, spelled exactly so.
    pub fn get(&self, column: Column) -> &str {
        &self.0[column as usize]
    }

    /// The column that `name` stands for in the header.
    pub fn find(&self, name: &str) -> Option<Column> {
        Column::ALL.into_iter().find(|column| self.get(*column) == name)
    }

    /// The name in the header, and what it stands for where that is another.
    pub(super) fn explained(&self, column: Column) -> String {
        match self.get(column) {
            name if name == column.name() => name.to_owned(),
            name => format!("{name:?} for {}", column.name()),
        }
    }
}

/// `NAME=HEADER,…`: columns, and what the header calls them. A backslash before a comma or another backslash makes that a
/// part of the name.
impl FromStr for ColumnNames {
    type Err = String;

    fn from_str(text: &str) -> Result<ColumnNames, String> {
        let mut names = ColumnNames::default();
        let mut told = Vec::new();
        for piece in pieces(text)? {
            let Some((name, in_header)) = piece.split_once('=') else {
                return Err(format!("{piece:?}: NAME=HEADER is expected, such as tracking_number=TrackingNo"));
            };
            let name = name.trim();
            let Some(column) = Column::ALL.into_iter().find(|column| column.name() == name) else {
                return Err(format!("{name:?} is no column; there are {}", Column::ALL.map(Column::name).join(", ")));
            };
            if told.contains(&column) {
                return Err(format!("{name} stands twice"));
            }
            if in_header.is_empty() {
                return Err(format!("{name}= is followed by no name"));
            }
            told.push(column);
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

/// What stands between commas, escapes undone.
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
        assert_eq!("carrier=carrier".parse(), Ok(ColumnNames::default()));
        // Two may change places.
        assert!("carrier=status,status=carrier".parse::<ColumnNames>().is_ok());
    }

    #[test]
    fn names_that_cannot_be_meant_are_refused() {
        assert!(error("sku=x").starts_with("\"sku\" is no column; there are tracking_number, carrier,"));
        assert_eq!(error("carrier=a,carrier=b"), "carrier stands twice");
        assert_eq!(error("carrier="), "carrier= is followed by no name");
        assert_eq!(error("carrier=status"), "\"status\" would stand for carrier and for status");
        assert_eq!(error("carrier=x,status=x"), "\"x\" would stand for carrier and for status");
        for wrong in ["", "carrier", "carrier=a,", ",carrier=a", "carrier:a", "carrier=a\\b", "carrier=a\\"] {
            assert!(!error(wrong).is_empty());
        }
    }
}
