//! Numbers that many carriers share: found, compared and counted as one after the other would be.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use waybill::cancel::Cancel;
use waybill::dataset::{Changes, Dataset, Filter, Key, Sort};
use waybill::load::{Options, load};
use waybill::shipment::{Facet, FoldedKey};

use crate::support::csv;

/// Status by number and carrier: few numbers, so that groups of all sizes occur.
type Shipments = BTreeMap<(u8, u8), u8>;

const CARRIERS: u8 = 60;

fn shipments() -> impl Strategy<Value = Shipments> {
    prop::collection::btree_map((0..4_u8, 0..CARRIERS), 0..3_u8, 1..150)
}

/// Some are spelt otherwise than they are asked for.
fn spelt(text: &str, at: u8) -> String {
    if at.is_multiple_of(3) { text.to_uppercase() } else { text.to_owned() }
}

fn loaded(shipments: &Shipments) -> Dataset {
    let row = |((number, carrier), status): (&(u8, u8), &u8)| {
        let (number, name) = (spelt(&format!("tn{number}"), *carrier), spelt(&format!("ä{carrier}"), *carrier));
        format!("{number},{name},from,to,Laptop,1,800,LP1,status {status}")
    };
    let rows: Vec<String> = shipments.iter().map(row).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), csv(&rows)).unwrap();
    load(file.path(), &Options { block_bytes: 500, ..Options::default() }, &mut |_| ()).unwrap().dataset
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn datasets_are_compared_shipment_by_shipment(old in shipments(), new in shipments()) {
        let expected = Changes {
            added: new.keys().filter(|key| !old.contains_key(*key)).count() as u64,
            removed: old.keys().filter(|key| !new.contains_key(*key)).count() as u64,
            changed: new.iter().filter(|(key, now)| old.get(*key).is_some_and(|then| then != *now)).count() as u64,
        };
        prop_assert_eq!(loaded(&new).changes_since(&loaded(&old), 2, &Cancel::default()), Ok(expected));
    }

    #[test]
    fn filters_by_numbers_and_carriers_select_what_has_both(
        shipments in shipments(),
        numbers in prop::collection::vec(0..5_u8, 1..6),
        carriers in prop::collection::vec(0..=CARRIERS, 0..20),
    ) {
        let tracking_numbers = numbers.iter().map(|number| FoldedKey::new(&format!("TN{number}"))).collect();
        let mut filter = Filter { tracking_numbers, ..Filter::default() };
        filter.facets[Facet::Carrier as usize] =
            carriers.iter().map(|carrier| FoldedKey::new(&format!("Ä{carrier}"))).collect();
        let is_selected = |(number, carrier): &&(u8, u8)| {
            numbers.contains(number) && (carriers.is_empty() || carriers.contains(carrier))
        };
        let expected: Vec<String> =
            shipments.keys().filter(is_selected).map(|(number, carrier)| format!("tn{number} ä{carrier}")).collect();
        let dataset = loaded(&shipments);
        let selection = dataset.select(&filter);
        let found = selection.page(Sort::File, 0, 1000).into_iter();
        let found: Vec<String> =
            found.map(|record| format!("{} {}", record.tracking_number(), record.carrier()).to_lowercase()).collect();
        prop_assert_eq!(selection.count(), expected.len() as u64);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn every_shipment_is_found_by_number_and_carrier_and_no_other(shipments in shipments()) {
        let dataset = loaded(&shipments);
        let key = |number: u8, carrier: u8| Key {
            number: FoldedKey::new(&format!("TN{number}")),
            carrier: Some(FoldedKey::new(&format!("Ä{carrier}"))),
        };
        let asked: Vec<(u8, u8)> = (0..5).flat_map(|number| (0..=CARRIERS).map(move |carrier| (number, carrier))).collect();
        let keys: Vec<Key> = asked.iter().map(|(number, carrier)| key(*number, *carrier)).collect();
        for ((asked, key), found) in asked.iter().zip(&keys).zip(dataset.find_all(&keys)) {
            let status = shipments.get(asked).map(|status| format!(r#""status":"status {status}""#));
            let render = |record: waybill::dataset::Record<'_>| {
                let mut shipment = Vec::new();
                record.render(&mut shipment);
                String::from_utf8(shipment).unwrap()
            };
            let one = dataset.shipment(&key.number, key.carrier.as_ref().unwrap()).map(render);
            prop_assert_eq!(&one.iter().cloned().collect::<Vec<_>>(), &found.map(|position| render(dataset.record(position))).collect::<Vec<_>>());
            prop_assert_eq!(one.is_some(), status.is_some());
            if let (Some(one), Some(status)) = (one, status) {
                prop_assert!(one.contains(&status), "{}", one);
            }
        }
    }
}
