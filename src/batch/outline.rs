//! The response of a batch.

use std::iter::Peekable;

use super::lookup::{BatchError, Lookup};
use crate::dataset::{Dataset, Key, Matches, Outline, OutlineLimits, OverLimits};
use crate::json::escape;
use crate::shipment::FoldedKey;

const BEFORE_RESULTS: &[u8] = br#"{"results":["#;
const AFTER_RESULTS: &[u8] = b"]}";
const BEFORE_NUMBER: &[u8] = br#"{"tracking_number":""#;
const BEFORE_CARRIER: &[u8] = br#"","carrier":"#;
const BEFORE_SHIPMENTS: &[u8] = br#","shipments":["#;
const AFTER_SHIPMENTS: &[u8] = b"]}";
const ANY_CARRIER: &[u8] = b"null";

/// Outlines the response: the shipments of each of `lookups`, in their order and spelling. Fails if it would be
/// over `limits`.
pub fn outline(dataset: &Dataset, lookups: &[Lookup<'_>], limits: OutlineLimits) -> Result<Outline, BatchError> {
    outline_with(dataset, lookups, limits, |_, _, mut shipments, outline| {
        let appended = shipments.try_for_each(|position| dataset.outline(outline, position));
        appended.map_err(|over| over_limits(over, limits))
    })
}

/// The same where `append` appends the shipments of a lookup, which it is given with its index.
pub fn outline_with<'b, E: From<BatchError>>(
    dataset: &Dataset,
    lookups: &[Lookup<'b>],
    limits: OutlineLimits,
    mut append: impl FnMut(usize, &Lookup<'b>, Peekable<Matches<'_, '_>>, &mut Outline) -> Result<(), E>,
) -> Result<Outline, E> {
    let keys: Vec<Key> = lookups.iter().map(key).collect();
    let found = dataset.find_all(&keys);
    let mut outline = Outline::new(limits);
    outline.text(BEFORE_RESULTS);
    for (at, (lookup, shipments)) in lookups.iter().zip(found).enumerate() {
        if at > 0 {
            outline.text(b",");
        }
        outline.text_with(|out| render_head(lookup, out));
        append(at, lookup, shipments, &mut outline)?;
        outline.text(AFTER_SHIPMENTS);
    }
    outline.text(AFTER_RESULTS);
    outline.check().map_err(|over| over_limits(over, limits))?;
    Ok(outline)
}

/// The error of a batch whose response would be over `limits`.
pub fn over_limits(_: OverLimits, limits: OutlineLimits) -> BatchError {
    BatchError::ResponseTooLarge { bytes_max: limits.bytes_max }
}

fn key(lookup: &Lookup<'_>) -> Key {
    Key { number: FoldedKey::new(lookup.tracking_number), carrier: lookup.carrier.map(FoldedKey::new) }
}

fn render_head(lookup: &Lookup<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(BEFORE_NUMBER);
    escape(lookup.tracking_number, out);
    out.extend_from_slice(BEFORE_CARRIER);
    match lookup.carrier {
        Some(carrier) => {
            out.push(b'"');
            escape(carrier, out);
            out.push(b'"');
        }
        None => out.extend_from_slice(ANY_CARRIER),
    }
    out.extend_from_slice(BEFORE_SHIPMENTS);
}
