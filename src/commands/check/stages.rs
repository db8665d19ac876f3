//! Statuses without a stage in the report of a check.

use std::fmt::Write as _;

use serde_json::json;

use crate::dataset::Unmapped;
use crate::truncate::truncate;

/// Characters of a status that are shown.
const STATUS_CHARS_MAX: usize = 200;

/// Lists the statuses without a stage, each with its number of shipments.
pub(super) fn text(unmapped: &Unmapped) -> String {
    let Unmapped { shipments, statuses, most_frequent } = unmapped;
    if *statuses == 0 {
        return "\nstages     all statuses have one".to_owned();
    }
    let mut text = format!("\nstages     {statuses} statuses of {shipments} shipments have none:");
    for status in most_frequent {
        // Writing to a String cannot fail.
        let (value, ellipsis) = truncate(&status.value, STATUS_CHARS_MAX);
        let _ = write!(text, "\n  {value:?}{ellipsis}  {}", status.count);
    }
    if *statuses > most_frequent.len() as u64 {
        text.push_str("\n  …");
    }
    text
}

/// Adds the same to a report in JSON.
pub(super) fn add_to(report: &mut serde_json::Value, unmapped: &Unmapped) {
    let of = |status: &crate::dataset::FacetCount| json!({"status": status.value, "shipments": status.count});
    report["unmapped_shipments"] = json!(unmapped.shipments);
    report["unmapped_statuses"] = unmapped.most_frequent.iter().map(of).collect();
}
