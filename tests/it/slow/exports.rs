//! Exports of files with every oddity: what is exported is loaded as the same, and is what the reference lists.

use proptest::prelude::*;
use waybill::dataset::{Dataset, Export as DatasetExport, ExportFormat, Filter, Sort};
use waybill::load::{Loaded, Options};

use super::queries::{filter, order};
use crate::reference::Export;
use crate::reference::agreement::{assert_same_dataset, loaded, rendered};
use crate::reference::exports::exports;
use crate::reference::odd::Random;
use crate::reference::queries::Model;

/// An export in parts of about so many bytes.
fn export(dataset: &Dataset, filter: &Filter, sort: Sort, format: ExportFormat, part_bytes: usize) -> Vec<u8> {
    const SPARE_BYTES: usize = 4 << 10;
    let (mut export, mut all) = (DatasetExport::new(filter.clone(), sort, format), Vec::new());
    loop {
        let mut part = Vec::new();
        dataset.render_export(&mut export, &mut part, part_bytes);
        assert!(part.len() <= part_bytes + SPARE_BYTES, "{}", part.len());
        if part.is_empty() {
            return all;
        }
        all.append(&mut part);
    }
}

fn load(file: &[u8], options: &Options) -> Option<Dataset> {
    loaded(file, options).ok().map(|Loaded { dataset, .. }| dataset)
}

proptest! {
    #[test]
    fn what_is_exported_is_loaded_as_the_same(file in exports(30), part_bytes in 1..2000_usize) {
        let options = Options { bad_rows_max: 1000, ..Options::default() };
        let Some(dataset) = load(&file.0, &options) else { return Ok(()) };
        let csv = export(&dataset, &Filter::default(), Sort::File, ExportFormat::Csv, part_bytes);
        let strict = Options { require_final_newline: true, ..Options::default() };
        let again = load(&csv, &strict).unwrap();
        let reference = Export::read(&csv).unwrap();
        prop_assert_eq!(reference.bad_rows.len(), 0);
        assert_same_dataset(&again, &reference);
        let shipments = |dataset: &Dataset| dataset.shipments().map(|record| rendered(&record)).collect::<Vec<_>>();
        prop_assert_eq!(shipments(&again), shipments(&dataset));
        prop_assert_eq!(again.carriers(), dataset.carriers());
        let lines = export(&dataset, &Filter::default(), Sort::File, ExportFormat::Ndjson, part_bytes);
        let expected: String = shipments(&dataset).into_iter().map(|line| line + "\n").collect();
        prop_assert_eq!(String::from_utf8(lines).unwrap(), expected);
    }
}

#[test]
fn exports_have_what_the_reference_lists_in_its_order() {
    for (seed, (shipments, cities)) in (1..).zip([(1, 1), (60, 10), (400, 30), (1000, 500)]) {
        let random = &mut Random::new(seed);
        let file = random.export(shipments, cities);
        let dataset = load(file.as_bytes(), &Options { threads: 2, ..Options::default() }).unwrap();
        let model = Model::new(&Export::read(file.as_bytes()).unwrap());
        for _ in 0..60 {
            let (filters, sort, part_bytes) = (random.filters(&model), random.sort(), 1 + random.below(20_000));
            let (filter, order) = (filter(&filters), order(sort));
            let listed = model.page(&filters, sort, 0, usize::MAX);
            let lines = export(&dataset, &filter, order, ExportFormat::Ndjson, part_bytes);
            let lines = String::from_utf8(lines).unwrap();
            assert!(lines.lines().eq(listed.iter().map(String::as_str)), "{filters:?} {sort}");
            let csv = export(&dataset, &filter, order, ExportFormat::Csv, part_bytes);
            match load(&csv, &Options::default()) {
                Some(again) => {
                    assert!(again.shipments().map(|record| rendered(&record)).eq(listed), "{filters:?} {sort}");
                }
                None => assert!(listed.is_empty(), "{filters:?} {sort}"),
            }
        }
    }
}

#[test]
fn values_much_longer_than_a_part_are_split() {
    let long = "\u{1}, \"".repeat(8_000);
    let field = format!("\"{}\"", long.replace('"', "\"\""));
    let row = |number: &str| format!("{number},DHL,{field},to,{field},1,2,{field},s\n");
    let file = crate::support::HEADER.to_owned() + "\n" + &row("1") + &row("1") + &row("2");
    let dataset = load(file.as_bytes(), &Options::default()).unwrap();
    let csv = export(&dataset, &Filter::default(), Sort::File, ExportFormat::Csv, 3000);
    let reference = Export::read(&csv).unwrap();
    assert_eq!((reference.articles(), reference.bad_rows.len()), (3, 0));
    assert_same_dataset(&dataset, &reference);
    let lines = export(&dataset, &Filter::default(), Sort::NumberDescending, ExportFormat::Ndjson, 3000);
    let mut expected: Vec<String> = reference.shipments.iter().map(crate::reference::Shipment::json).collect();
    expected.reverse();
    assert!(String::from_utf8(lines).unwrap().lines().eq(expected));
}

#[test]
fn more_shipments_than_are_selected_at_a_time_come_in_every_order() {
    const SHIPMENTS: usize = 40_000;
    let row = |at: usize| format!("T{},C{},a,b,Laptop,1,1,L,s\n", at * 7_919 % 40_009, at % 3);
    let file = (0..SHIPMENTS).map(row).fold(crate::support::HEADER.to_owned() + "\n", |file, row| file + &row);
    let dataset = load(file.as_bytes(), &Options { threads: 2, ..Options::default() }).unwrap();
    let model = Model::new(&Export::read(file.as_bytes()).unwrap());
    let two_of_three = vec![("carrier", "c0".to_owned()), ("carrier", "c2".to_owned())];
    let prefix = vec![("tracking_number_prefix", "t".to_owned()), ("tracking_number_prefix", "t1".to_owned())];
    let parts = (1..=8).map(|digit| ("tracking_number_prefix", format!("T{digit}"))).collect();
    for filters in [vec![], two_of_three, prefix, parts] {
        for sort in ["", "-tracking_number"] {
            let lines = export(&dataset, &filter(&filters), order(sort), ExportFormat::Ndjson, 128 << 10);
            let listed = model.page(&filters, sort, 0, usize::MAX);
            let lines = String::from_utf8(lines).unwrap();
            assert!(lines.lines().eq(listed.iter().map(String::as_str)), "{filters:?} {sort}");
        }
    }
}
