//! Stages against what a map says, looked up the obvious way: of shipments in any order of rows, on several threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use tempfile::NamedTempFile;
use waybill::dataset::Filter;
use waybill::load::Options;
use waybill::shipment::{Facet, FoldedKey};
use waybill::stages::{StatusMap, StatusMapSource};

use super::agreement::{loaded, rendered};
use super::folded;
use crate::support::csv;

const CARRIERS: [&str; 6] = ["DHL", "dhl", " Dhl ", "UPS", "\u{c4}", "\u{e4}"];
const STATUSES: [&str; 9] = ["done", "Done", " done", "lost", "\u{c4}", "a \"b\"", "", "else", "x\",\"stage\":\"y"];
const MAP: &str = "[default]\ndone = 'delivered'\nlost = 'exception'\n'\u{e4}' = 'unknown'\n'a \"b\"' = 'returning'\n'x\",\"stage\":\"y' = 'cancelled'\n[carrier.DHL]\ndone = 'out_for_delivery'\nelse = 'unknown'\n";

fn map() -> Arc<StatusMap> {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), MAP).unwrap();
    Arc::new(StatusMapSource::File(file.path().to_owned()).read().unwrap())
}

/// Stage of a status; none if the map does not have it.
fn stage(carrier: &str, status: &str) -> Option<&'static str> {
    match (folded(carrier).as_str(), folded(status).as_str()) {
        ("dhl", "done") => Some("out_for_delivery"),
        ("dhl", "else") | (_, "\u{e4}") => Some("unknown"),
        (_, "done") => Some("delivered"),
        (_, "lost") => Some("exception"),
        (_, "a \"b\"") => Some("returning"),
        (_, "x\",\"stage\":\"y") => Some("cancelled"),
        _ => None,
    }
}

proptest! {
    #[test]
    fn every_shipment_has_the_stage_of_its_status_and_is_found_and_counted_by_it(
        rows in proptest::collection::vec((0..12_usize, select(&CARRIERS[..])), 1..60),
        statuses in proptest::collection::vec(select(&STATUSES[..]), 12 * 3),
        block_bytes in 1..400_usize,
    ) {
        // All rows of a shipment have the same status.
        let status_of = |number: usize, carrier: &str| {
            let carriers = ["dhl", "ups", "\u{e4}"];
            statuses[3 * number + carriers.iter().position(|other| *other == folded(carrier)).unwrap()]
        };
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let row = |(number, carrier): &(usize, &str)| {
            format!("TN{number},{},from,to,Mouse,1,5,M1,{}", quoted(carrier), quoted(status_of(*number, carrier)))
        };
        let file = csv(&rows.iter().map(row).collect::<Vec<_>>());
        let options = Options { threads: 3, block_bytes, ..Options::default() };
        let plain = loaded(file.as_bytes(), &options).unwrap();
        let staged = loaded(file.as_bytes(), &Options { status_map: Some(map()), ..options }).unwrap();
        prop_assert_eq!(plain.summary.unmapped, None);
        prop_assert_ne!(plain.summary.version, staged.summary.version);

        let (mut by_stage, mut unmapped) = (BTreeMap::new(), BTreeMap::new());
        prop_assert_eq!(plain.dataset.shipment_count(), staged.dataset.shipment_count());
        for (plain, staged) in plain.dataset.shipments().zip(staged.dataset.shipments()) {
            let without: serde_json::Value = serde_json::from_str(&rendered(&plain)).unwrap();
            let [carrier, status] = ["carrier", "status"].map(|member| without[member].as_str().unwrap());
            let stage = stage(carrier, status);
            let name = stage.unwrap_or("unknown");
            let before = format!("\"status\":{}", without["status"]);
            let expected = rendered(&plain).replacen(&before, &format!("{before},\"stage\":\"{name}\""), 1);
            prop_assert_eq!(rendered(&staged), expected);
            prop_assert_eq!(staged.rendered_bytes(), rendered(&staged).len());
            *by_stage.entry(name).or_insert(0_u64) += 1;
            if stage.is_none() {
                *unmapped.entry(folded(status)).or_insert(0_u64) += 1;
            }
        }

        let all = staged.dataset.select(&Filter::default());
        let facets = all.facets();
        let counted: BTreeMap<&str, u64> =
            facets[Facet::Stage as usize].iter().map(|of| (of.value.as_str(), of.count)).collect();
        prop_assert_eq!(&counted, &by_stage);
        for name in ["delivered", "exception", "returning", "unknown", "out_for_delivery", "cancelled", "in_transit"] {
            let mut filter = Filter::default();
            filter.facets[Facet::Stage as usize].push(FoldedKey::new(&name.to_uppercase()));
            let count = staged.dataset.select(&filter).count();
            prop_assert_eq!(count, by_stage.get(name).copied().unwrap_or(0), "{}", name);
        }
        let plain_all = plain.dataset.select(&Filter::default());
        prop_assert!(!plain_all.has_stages() && plain_all.facets()[Facet::Stage as usize].is_empty());
        for facet in Facet::of_data(false) {
            prop_assert_eq!(&plain_all.facets()[facet as usize], &facets[facet as usize], "{}", facet.name());
        }

        let counted = staged.summary.unmapped.unwrap();
        prop_assert_eq!((counted.shipments, counted.statuses), (unmapped.values().sum(), unmapped.len() as u64));
        let listed: BTreeMap<String, u64> =
            counted.most_frequent.iter().map(|of| (folded(&of.value), of.count)).collect();
        prop_assert_eq!(listed, unmapped);
    }
}
