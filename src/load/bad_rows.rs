//! Bad rows: the first of them in file order, whatever the order in which they are found, and how they are reported.

use std::collections::BTreeMap;

use super::columns::Columns;
use super::options::Options;
use super::report::{FileError, REPORTED_ERRORS_MAX};
use super::rows::{BadRow, Claim};
use crate::dataset::Dataset;
use crate::shipment::{Column, FoldedKey};

/// A row's place, ordered as in the file: its block, and its line from the block's first.
pub(super) type RowPlace = (u32, u64);

/// What is wrong with a row.
pub(super) enum RowError {
    /// In itself. What it says of its shipment may be wrong in an earlier column.
    Own(BadRow, Option<Claim>),
    /// It contradicts its shipment's first good row.
    Contradiction(Column),
}

/// The lines on which blocks start.
pub(super) struct Lines(BTreeMap<u32, u64>);

impl Lines {
    /// Of blocks with so many line breaks; `first` is a block, and the line on which it starts.
    pub(super) fn new(block_lines: &BTreeMap<u32, u64>, first: (u32, u64)) -> Lines {
        let mut next = first.1;
        let mut first_lines = BTreeMap::from([first]);
        for (block, lines) in block_lines {
            next += lines;
            first_lines.insert(block + 1, next);
        }
        Lines(first_lines)
    }

    /// The line at `place`, from 1.
    pub(super) fn at(&self, (block, line): RowPlace) -> u64 {
        line + self.0.range(..=block).next_back().map_or(1, |(_, first)| *first)
    }

    /// The one after the last line break.
    pub(super) fn last(&self) -> u64 {
        self.0.last_key_value().map_or(1, |(_, first)| *first)
    }
}

/// The first errors of a file, found in any order, and how many there are.
#[derive(Debug)]
pub(super) struct FirstErrors<K, E> {
    first: BTreeMap<K, E>,
    count: u64,
}

impl<K, E> Default for FirstErrors<K, E> {
    fn default() -> Self {
        FirstErrors { first: BTreeMap::new(), count: 0 }
    }
}

impl<K: Ord, E> FirstErrors<K, E> {
    pub(super) fn add(&mut self, place: K, error: impl FnOnce() -> E) {
        self.count += 1;
        let is_late = self.first.last_key_value().is_some_and(|(last, _)| *last < place);
        if self.first.len() == REPORTED_ERRORS_MAX && is_late {
            return;
        }
        self.first.insert(place, error());
        if self.first.len() > REPORTED_ERRORS_MAX {
            self.first.pop_last();
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    fn into_first(self) -> impl Iterator<Item = (K, E)> {
        self.first.into_iter()
    }
}

impl FirstErrors<RowPlace, RowError> {
    /// The errors as they are reported.
    pub(super) fn described(self, lines: &Lines, columns: &Columns, dataset: &Dataset) -> Vec<FileError> {
        let described = |(place, error)| describe(lines.at(place), error, columns, dataset);
        self.into_first().map(described).collect()
    }
}

/// A row's error as it is reported: that of its first failing column.
fn describe(line: u64, error: RowError, columns: &Columns, dataset: &Dataset) -> FileError {
    let contradiction = |column: Column| FileError {
        line,
        column: Some(column.name()),
        reason: "differs from the shipment's first good row".to_owned(),
    };
    match error {
        RowError::Contradiction(column) => contradiction(column),
        RowError::Own(bad, claim) => {
            let earlier: Vec<Column> = columns
                .shared()
                .into_iter()
                .filter(|column| bad.column.is_some_and(|own| columns.rank(*column) < columns.rank(own)))
                .collect();
            let contradicted = claim.and_then(|claim| {
                let (number, carrier) = (FoldedKey::new(&claim.tracking_number), FoldedKey::new(&claim.carrier));
                dataset.shipment(&number, &carrier)?.first_contradiction(&claim.row(), &earlier)
            });
            match contradicted {
                Some(column) => contradiction(column),
                None => FileError { line, column: bad.column.map(Column::name), reason: bad.reason },
            }
        }
    }
}

/// Why a file with `bad` bad rows is refused, if it is. `has_good_rows` tells whether it has others.
pub(super) fn refusal(bad: u64, has_good_rows: bool, errors: &[FileError], options: &Options) -> Option<String> {
    let first = errors.first().map(ToString::to_string).unwrap_or_default();
    if bad > options.bad_rows_max {
        let rows = if bad == 1 { "row" } else { "rows" };
        return Some(format!("{bad} bad {rows}, {} allowed; the first: {first}", options.bad_rows_max));
    }
    (!has_good_rows).then(|| format!("all rows are bad; the first: {first}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_errors_are_kept_whatever_the_order_in_which_they_are_found() {
        let mut errors = FirstErrors::default();
        for line in (0..100).rev().chain(100..150) {
            errors.add(line, || line * 2);
        }
        assert_eq!(errors.count(), 150);
        let first: Vec<(u64, u64)> = errors.into_first().collect();
        assert_eq!(first, (0..REPORTED_ERRORS_MAX as u64).map(|line| (line, line * 2)).collect::<Vec<_>>());
    }
}
