//! The response of a batch.

use super::lookup::{BatchError, Lookup};
use crate::dataset::{Dataset, Key, Outline, OutlineLimits, OverLimits};
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
    let too_large = |_: OverLimits| BatchError::ResponseTooLarge { bytes_max: limits.bytes_max };
    let keys: Vec<Key> = lookups.iter().map(key).collect();
    let found = dataset.find_all(&keys);
    let mut outline = Outline::new(limits);
    outline.text(BEFORE_RESULTS);
    for (at, (lookup, shipments)) in lookups.iter().zip(found).enumerate() {
        if at > 0 {
            outline.text(b",");
        }
        outline.text_with(|out| render_head(lookup, out));
        for position in shipments {
            dataset.outline(&mut outline, position).map_err(too_large)?;
        }
        outline.text(AFTER_SHIPMENTS);
    }
    outline.text(AFTER_RESULTS);
    outline.check().map_err(too_large)?;
    Ok(outline)
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
