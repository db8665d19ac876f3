//! Rules of a row: checking records. Pure: no file, no thread.

use super::columns::{Columns, quoted};
use super::csv::Record;
use crate::shipment::{Column, Row};

/// Largest quantity of an article.
const QUANTITY_MAX: u64 = u32::MAX as u64;
/// Number of digits of the largest quantity.
const QUANTITY_DIGITS_MAX: usize = 10;
/// Most digits of a price, before and after the point together.
const PRICE_DIGITS_MAX: usize = 18;

impl Columns {
    /// Checks the rules that a single row must keep. With a `decimal_comma`, `price` is where the price is put that has a
    /// point instead.
    pub(super) fn check<'r>(
        &self,
        record: &'r Record<'_>,
        decimal_comma: bool,
        price: &'r mut String,
    ) -> Result<Row<'r>, BadRow> {
        if record.len() != self.fields {
            let reason = format!("number of fields: {}; the header has {}", record.len(), self.fields);
            return Err(BadRow { column: None, reason });
        }
        let mut row = Row::default();
        let text = record.text();
        let mut price = Some(price);
        for (field, column) in self.in_file_order {
            let value = match text.and_then(|text| text.get(record.range(field))) {
                Some(value) => value,
                None => std::str::from_utf8(record.field(field)).map_err(|error| BadRow {
                    column: Some(column),
                    reason: format!("not UTF-8 from byte {} on", error.valid_up_to() + 1),
                })?,
            };
            let checked = match (column, price.take_if(|_| decimal_comma && column == Column::ArticlePrice)) {
                (_, Some(price)) => with_point(value, price).ok_or_else(|| not_a_price(value, "19,90")),
                _ => check_value(column, value).map(|()| value),
            };
            *row_field(&mut row, column) = checked.map_err(|reason| BadRow { column: Some(column), reason })?;
        }
        Ok(row)
    }

    /// Extracts what a bad row says of its shipment; `None` if its number or carrier is not UTF-8.
    pub(super) fn claim(&self, record: &Record<'_>) -> Option<Claim> {
        let mut claim = Claim::default();
        for (field, column) in self.in_file_order {
            let value = std::str::from_utf8(record.field(field));
            match column {
                Column::TrackingNumber => value.ok()?.clone_into(&mut claim.tracking_number),
                Column::Carrier => value.ok()?.clone_into(&mut claim.carrier),
                Column::SenderAddress => value.unwrap_or_default().clone_into(&mut claim.sender_address),
                Column::ReceiverAddress => value.unwrap_or_default().clone_into(&mut claim.receiver_address),
                Column::Status => value.unwrap_or_default().clone_into(&mut claim.status),
                _ => {}
            }
        }
        Some(claim)
    }
}

/// Reason why a row is bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    /// First failing column in file order; `None` for a wrong number of fields.
    pub(super) column: Option<Column>,
    pub(super) reason: String,
}

/// Values of a bad row that concern its shipment as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) tracking_number: String,
    pub(super) carrier: String,
    pub(super) sender_address: String,
    pub(super) receiver_address: String,
    pub(super) status: String,
}

impl Claim {
    /// Value of a column that all rows of a shipment share; empty for other columns.
    pub(super) fn shared_value(&self, column: Column) -> &str {
        match column {
            Column::SenderAddress => &self.sender_address,
            Column::ReceiverAddress => &self.receiver_address,
            Column::Status => &self.status,
            _ => "",
        }
    }

    pub(super) fn row(&self) -> Row<'_> {
        Row {
            tracking_number: &self.tracking_number,
            carrier: &self.carrier,
            sender_address: &self.sender_address,
            receiver_address: &self.receiver_address,
            status: &self.status,
            ..Row::default()
        }
    }
}

fn row_field<'a, 'r>(row: &'a mut Row<'r>, column: Column) -> &'a mut &'r str {
    match column {
        Column::TrackingNumber => &mut row.tracking_number,
        Column::Carrier => &mut row.carrier,
        Column::SenderAddress => &mut row.sender_address,
        Column::ReceiverAddress => &mut row.receiver_address,
        Column::ArticleName => &mut row.article_name,
        Column::ArticleQuantity => &mut row.article_quantity,
        Column::ArticlePrice => &mut row.article_price,
        Column::Sku => &mut row.sku,
        Column::Status => &mut row.status,
    }
}

/// Puts a price with a comma before its fraction into `price`, with a point there. Returns `None` if it is no price.
fn with_point<'p>(value: &str, price: &'p mut String) -> Option<&'p str> {
    // Points would separate thousands.
    if value.contains('.') {
        return None;
    }
    price.clear();
    price.push_str(value);
    if let Some(comma) = value.find(',') {
        price.replace_range(comma..=comma, ".");
    }
    is_price(price).then_some(price)
}

fn not_a_price(value: &str, example: &str) -> String {
    format!("{} is not a price such as 800 or {example} of at most {PRICE_DIGITS_MAX} digits", quoted(value))
}

fn check_value(column: Column, value: &str) -> Result<(), String> {
    match column {
        Column::TrackingNumber | Column::Carrier if value.trim().is_empty() => Err("blank".to_owned()),
        Column::ArticleQuantity if !is_quantity(value) => {
            Err(format!("{} is not a whole number from 0 to {QUANTITY_MAX}", quoted(value)))
        }
        Column::ArticlePrice if !is_price(value) => Err(not_a_price(value, "19.90")),
        _ => Ok(()),
    }
}

/// Returns whether `digits` match `0|[1-9][0-9]*`.
fn is_integer(digits: &[u8]) -> bool {
    match digits {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn is_quantity(value: &str) -> bool {
    is_integer(value.as_bytes())
        && value.len() <= QUANTITY_DIGITS_MAX
        && value.parse::<u64>().is_ok_and(|quantity| quantity <= QUANTITY_MAX)
}

fn is_price(value: &str) -> bool {
    match value.split_once('.') {
        None => is_integer(value.as_bytes()) && value.len() <= PRICE_DIGITS_MAX,
        Some((whole, fraction)) => {
            is_integer(whole.as_bytes())
                && !fraction.is_empty()
                && fraction.bytes().all(|byte| byte.is_ascii_digit())
                && whole.len() + fraction.len() <= PRICE_DIGITS_MAX
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_and_prices_follow_their_grammar() {
        for good in ["0", "1", "4294967295"] {
            assert!(is_quantity(good), "{good}");
        }
        for bad in ["", "00", "01", "+1", "-1", "1.0", "4294967296", " 1", "1e3", "99999999999999999999"] {
            assert!(!is_quantity(bad), "{bad}");
        }
        for good in ["0", "800", "19.90", "0.05", "123456789012345678", "1.23456789012345678", "0.0"] {
            assert!(is_price(good), "{good}");
        }
        for bad in
            ["", ".5", "5.", "00.1", "1,5", "-1", "1e3", "1.2.3", "1234567890123456789", "٣", "1.234567890123456789"]
        {
            assert!(!is_price(bad), "{bad}");
        }
    }

    #[test]
    fn a_decimal_comma_becomes_a_point() {
        let mut price = String::new();
        for (value, expected) in [("800", "800"), ("19,90", "19.90"), ("0,05", "0.05"), ("1,5", "1.5")] {
            assert_eq!(with_point(value, &mut price), Some(expected), "{value}");
        }
        for bad in ["", ",5", "5,", "19.90", "1.234,50", "1,234,50", "00,1", "-1,5", "1,5 "] {
            assert_eq!(with_point(bad, &mut price), None, "{bad}");
        }
    }
}
