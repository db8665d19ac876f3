//! Finding shipments whose JSON is very long, without reading the others.
//!
//! JSON is longer than its record by no more than a factor, and how long a record is at most is seen from where the
//! next one starts.

use super::record::Record;
use super::records::Records;

/// Fewest bytes of an article in a record: its name's id, its widths, one digit of each number, its SKU's length.
const ARTICLE_BYTES_MIN: usize = 5;
/// More than the constant bytes of an article in JSON.
const ARTICLE_CONSTANT_BYTES: usize = 64;
/// More than the constant bytes of a shipment in JSON.
const SHIPMENT_CONSTANT_BYTES: usize = 256;

/// Finds the shipments whose JSON is longer than `bytes_max`, with its length, in file order.
pub(super) fn longer_than(records: &Records, bytes_max: usize) -> impl Iterator<Item = (Record<'_>, usize)> {
    let (head_max, name_max) = records.dictionaries.longest();
    let factor = 1 + (ARTICLE_CONSTANT_BYTES + name_max).div_ceil(ARTICLE_BYTES_MIN);
    let record_max = bytes_max.saturating_sub(SHIPMENT_CONSTANT_BYTES + head_max) / factor;
    let positions = records.order.positions();
    let next = positions.iter().skip(1).map(Some).chain([None]);
    positions.iter().zip(next).filter_map(move |(position, next)| {
        let record_bytes = next.and_then(|next| position.bytes_until(*next));
        if record_bytes.is_some_and(|bytes| bytes <= record_max) {
            return None;
        }
        let record = records.record(*position);
        let bytes = record.rendered_bytes();
        (bytes > bytes_max).then_some((record, bytes))
    })
}

#[cfg(test)]
mod tests {
    use crate::dataset::build::Builder;
    use crate::shipment::{Column, Row};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shipments_over_a_length_are_found_and_no_others(
            articles in proptest::collection::vec((1..600_usize, 0..4_usize), 1..40),
            block_shipments in 1..20_usize,
            name_bytes in 0..60_usize,
            bytes_max in 500..60_000_usize,
        ) {
            let builder = Builder::new(1 << 20, 1);
            let mut writer = builder.writer();
            for (block, shipments) in (0..).zip(articles.chunks(block_shipments)) {
                for (at, (count, number)) in shipments.iter().enumerate() {
                    // Some continue elsewhere.
                    let number = if *number == 0 { "TN".to_owned() } else { format!("TN{block}-{at}") };
                    for line in 0..*count {
                        let name = "n".repeat(name_bytes * (line % 3) / 2);
                        let row = Row {
                            tracking_number: &number,
                            carrier: "DHL",
                            article_name: &name,
                            article_quantity: "1",
                            article_price: "1",
                            ..Row::default()
                        };
                        prop_assert!(writer.row((at * 1000 + line) as u32, &row).unwrap());
                    }
                }
                writer.end_block(block, 1 << 10, 1 << 20).unwrap();
            }
            drop(writer);
            let dataset = builder.finish(Column::SHARED, &mut |_| (), &mut |_| ()).unwrap();
            let lengths = dataset.shipments().map(|shipment| shipment.rendered_bytes());
            let expected: Vec<usize> = lengths.filter(|bytes| *bytes > bytes_max).collect();
            let found: Vec<usize> = dataset.shipments_longer_than(bytes_max).map(|(_, bytes)| bytes).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
