//! Bad rows: keeping the first of them in file order, and reporting them.

use std::collections::BTreeMap;

use super::columns::{Columns, quoted};
use super::options::Options;
use super::report::{FileError, REPORTED_ERRORS_MAX};
use super::rows::{BadRow, Claim};
use crate::dataset::Dataset;
use crate::dataset::build::ConflictDetails;
use crate::shipment::{Column, FoldedKey};

/// Position of a row, ordered as in the file: its block, and its line counted from 0 at the block's start.
pub(super) type RowPosition = (u32, u64);

/// Error of a row.
pub(super) enum RowError {
    /// The row itself is bad. It may also contradict its shipment, in an earlier column.
    Own(BadRow, Option<Claim>),
    /// The row contradicts the first good row of its shipment in this column.
    Contradiction(Column, ConflictDetails),
}

/// Lines on which blocks start.
pub(super) struct Lines(BTreeMap<u32, u64>);

impl Lines {
    /// Computes them from the number of line breaks in each block; `first` is the first block and its line.
    pub(super) fn new(block_lines: &BTreeMap<u32, u64>, first: (u32, u64)) -> Lines {
        let mut next = first.1;
        let mut first_lines = BTreeMap::from([first]);
        for (block, lines) in block_lines {
            next += lines;
            first_lines.insert(block + 1, next);
        }
        Lines(first_lines)
    }

    /// Line at `place`, from 1.
    pub(super) fn at(&self, (block, line): RowPosition) -> u64 {
        line + self.0.range(..=block).next_back().map_or(1, |(_, first)| *first)
    }

    /// Line after the last line break.
    pub(super) fn last(&self) -> u64 {
        self.0.last_key_value().map_or(1, |(_, first)| *first)
    }
}

/// The first errors of a file, added in any order, and the number of all.
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

impl FirstErrors<RowPosition, RowError> {
    /// Describes the errors for reports.
    pub(super) fn described(self, lines: &Lines, columns: &Columns, dataset: &Dataset) -> Vec<FileError> {
        let described = |(place, error)| describe(lines.at(place), error, lines, columns, dataset);
        self.into_first().map(described).collect()
    }
}

/// Describes a row's error: that of its first failing column.
fn describe(line: u64, error: RowError, lines: &Lines, columns: &Columns, dataset: &Dataset) -> FileError {
    let contradiction = |column: Column, value: &str, first_value: &str, first: &str| FileError {
        line,
        column: Some(column.name()),
        reason: format!("{} differs from {} {first}", quoted(value), quoted(first_value)),
    };
    match error {
        RowError::Contradiction(column, details) => {
            let first_line = lines.at((details.first_block, u64::from(details.first_line)));
            let first = format!("on line {first_line}, the shipment's first good row");
            contradiction(column, &details.value, &details.first_value, &first)
        }
        RowError::Own(bad, claim) => {
            let earlier: Vec<Column> = columns
                .shared()
                .into_iter()
                .filter(|column| bad.column.is_some_and(|own| columns.rank(*column) < columns.rank(own)))
                .collect();
            let contradicted = claim.and_then(|claim| {
                let (number, carrier) = (FoldedKey::new(&claim.tracking_number), FoldedKey::new(&claim.carrier));
                let record = dataset.shipment(&number, &carrier)?;
                let column = record.first_contradiction(&claim.row(), &earlier)?;
                let first_value = record.shared_value(column);
                // The lines of good rows are forgotten by now.
                let first = "in the shipment's first good row";
                Some(contradiction(column, claim.shared_value(column), &first_value, first))
            });
            match contradicted {
                Some(error) => error,
                None => FileError { line, column: bad.column.map(Column::name), reason: bad.reason },
            }
        }
    }
}

/// Returns why a file with `bad` bad rows is refused, if it is.
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
