//! Rendering the response of a batch, in one buffer of the right size.

use super::lookup::{BatchError, Lookup};
use crate::dataset::{Dataset, Key, Record};
use crate::json::{escape, escaped_bytes};
use crate::shipment::FoldedKey;

const BEFORE_RESULTS: &[u8] = br#"{"results":["#;
const AFTER_RESULTS: &[u8] = b"]}";
const BEFORE_NUMBER: &[u8] = br#"{"tracking_number":""#;
const BEFORE_CARRIER: &[u8] = br#"","carrier":"#;
const BEFORE_SHIPMENTS: &[u8] = br#","shipments":["#;
const AFTER_SHIPMENTS: &[u8] = b"]}";
const ANY_CARRIER: &[u8] = b"null";
/// Spare capacity, so that rendering can copy in chunks.
const SPARE_BYTES: usize = 4 << 10;

/// Renders the shipments of each of `lookups`, in their order and spelling, as JSON. The size is computed first, so
/// that a response over `bytes_max` takes no memory.
pub fn render(dataset: &Dataset, lookups: &[Lookup<'_>], bytes_max: usize) -> Result<Vec<u8>, BatchError> {
    let keys: Vec<Key> = lookups.iter().map(key).collect();
    let found = dataset.find_all(&keys);
    let bytes = size(lookups, &found, bytes_max).ok_or(BatchError::ResponseTooLarge { bytes_max })?;
    let mut out = Vec::with_capacity(bytes + SPARE_BYTES);
    out.extend_from_slice(BEFORE_RESULTS);
    for (at, (lookup, shipments)) in lookups.iter().zip(found).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        render_head(lookup, &mut out);
        Record::render_all(shipments, &mut out);
        out.extend_from_slice(AFTER_SHIPMENTS);
    }
    out.extend_from_slice(AFTER_RESULTS);
    debug_assert_eq!(out.len(), bytes);
    Ok(out)
}

/// Size of the response; `None` if it is over `bytes_max`.
fn size<'d>(
    lookups: &[Lookup<'_>],
    found: &[impl Iterator<Item = Record<'d>> + Clone],
    bytes_max: usize,
) -> Option<usize> {
    let commas = lookups.len().saturating_sub(1);
    let mut bytes = BEFORE_RESULTS.len() + commas + AFTER_RESULTS.len();
    for (lookup, shipments) in lookups.iter().zip(found) {
        bytes += head_bytes(lookup) + AFTER_SHIPMENTS.len();
        for (at, shipment) in shipments.clone().enumerate() {
            bytes += usize::from(at > 0) + shipment.rendered_bytes();
            if bytes > bytes_max {
                return None;
            }
        }
    }
    (bytes <= bytes_max).then_some(bytes)
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

/// Number of bytes that [`render_head`] appends.
fn head_bytes(lookup: &Lookup<'_>) -> usize {
    BEFORE_NUMBER.len()
        + escaped_bytes(lookup.tracking_number)
        + BEFORE_CARRIER.len()
        + lookup.carrier.map_or(ANY_CARRIER.len(), |carrier| escaped_bytes(carrier) + br#""""#.len())
        + BEFORE_SHIPMENTS.len()
}
