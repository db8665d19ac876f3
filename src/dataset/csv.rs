//! Shipments as CSV (RFC 4180): one row for each article, in the columns of the documentation. What is loaded from it is
//! the same again.

use super::outline::RecordCursor;
use super::record::{Article, Record};
use crate::json::unescape;
use crate::shipment::Column;

const ROW_END: &[u8; 2] = b"\r\n";

/// Appends the header row.
pub(super) fn header(out: &mut Vec<u8>) {
    out.extend_from_slice(Column::ALL.map(Column::name).join(",").as_bytes());
    out.extend_from_slice(ROW_END);
}

/// Appends the next rows of `record` to `out`, until that has `bytes_max` bytes or a few more: a row is not split.
/// Returns whether they were the last ones.
pub(super) fn rows(record: Record<'_>, cursor: &mut RecordCursor, out: &mut Vec<u8>, bytes_max: usize) -> bool {
    let dictionaries = record.dictionaries();
    let parsed = record.parse();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    field(parsed.number.bytes(), &mut before);
    for value in [
        dictionaries.carriers.get(parsed.carrier),
        &record.escaped_address(parsed.sender),
        &record.escaped_address(parsed.receiver),
    ] {
        before.push(b',');
        field(value, &mut before);
    }
    before.push(b',');
    after.push(b',');
    field(dictionaries.escaped_status(parsed.status), &mut after);
    after.extend_from_slice(ROW_END);

    let mut articles = if cursor.is_at_start() { parsed.first_article } else { record.from(cursor.offset) };
    while cursor.articles < parsed.articles && out.len() < bytes_max {
        let article = Article::parse(&mut articles);
        out.extend_from_slice(&before);
        field(article.name(dictionaries), out);
        // Digits and points.
        for number in [article.quantity, article.price] {
            out.push(b',');
            out.extend_from_slice(number.bytes());
        }
        out.push(b',');
        field(article.sku.bytes(), out);
        out.extend_from_slice(&after);
        cursor.articles += 1;
    }
    cursor.offset = record.offset_of(&articles);
    cursor.articles == parsed.articles
}

/// Appends a field that is given JSON-escaped: quoted only where it must be (RFC 4180, section 2).
fn field(escaped: &[u8], out: &mut Vec<u8>) {
    // Quotes and line breaks are escaped in JSON.
    if memchr::memchr(b'\\', escaped).is_some() {
        return unescaped_field(unescape(escaped).as_bytes(), out);
    }
    let is_quoted = memchr::memchr(b',', escaped).is_some();
    if is_quoted {
        out.push(b'"');
    }
    out.extend_from_slice(escaped);
    if is_quoted {
        out.push(b'"');
    }
}

#[cold]
fn unescaped_field(text: &[u8], out: &mut Vec<u8>) {
    if !text.iter().any(|byte| b",\"\r\n".contains(byte)) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for part in text.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(part);
        if part.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::escape;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        for (text, expected) in [
            ("", ""),
            (" a ", " a "),
            ("=1+2", "=1+2"),
            ("a\\b\tc\u{0}", "a\\b\tc\u{0}"),
            ("a,b", "\"a,b\""),
            ("\"a\" b\"", "\"\"\"a\"\" b\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("a\r", "\"a\r\""),
            ("\\,", "\"\\,\""),
        ] {
            let (mut escaped, mut out) = (Vec::new(), Vec::new());
            escape(text, &mut escaped);
            field(&escaped, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
