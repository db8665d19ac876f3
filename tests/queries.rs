//! Filters, pages and facets against a slow and obvious reference: of the dataset, and of the real binary.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod reference;

use waybill::dataset::{Dataset, Filter};
use waybill::load::Options;
use waybill::shipment::{Facet, Folded};

use reference::Export;
use reference::agreement::{loaded, rendered};
use reference::odd::Random;
use reference::queries::{FACETS, Filters, Model};

/// Files, of so many shipments in so many cities, and queries about each.
const FILES: [(usize, usize, usize); 6] =
    [(1, 1, 200), (7, 20, 800), (60, 10, 2000), (300, 25, 3000), (400, 500, 2000), (1000, 30, 2000)];

fn filter(filters: &Filters) -> Filter {
    let mut filter = Filter::default();
    for (parameter, value) in filters {
        let values = match FACETS.iter().position(|facet| facet == parameter) {
            Some(facet) => &mut filter.facets[facet],
            None => &mut filter.tracking_numbers,
        };
        values.push(Folded::new(value));
    }
    filter
}

fn assert_same_facets(dataset: &Dataset, model: &Model, filters: &Filters) {
    let facets = dataset.select(&filter(filters)).facets();
    for ((facet, counts), expected) in Facet::ALL.into_iter().zip(facets).zip(model.facets(filters)) {
        let counts: Vec<(String, u64)> = counts.iter().map(|count| (count.value.clone(), count.count)).collect();
        assert_eq!(counts, expected, "{facet:?} among {filters:?}");
    }
}

fn assert_same_page(dataset: &Dataset, model: &Model, filters: &Filters, offset: u64, limit: usize) {
    let selection = dataset.select(&filter(filters));
    assert_eq!(selection.count(), model.count(filters) as u64, "{filters:?}");
    let page: Vec<String> = selection.page(offset, limit).iter().map(rendered).collect();
    assert_eq!(page, model.page(filters, offset, limit), "{filters:?} {offset} {limit}");
}

#[test]
fn the_dataset_selects_and_counts_as_the_reference_does() {
    for (seed, (shipments, cities, queries)) in (1..).zip(FILES) {
        let random = &mut Random::new(seed);
        let file = random.export(shipments, cities);
        let block_bytes = [1, 500, 4000, 1 << 20][random.below(4)];
        let options = Options { threads: 1 + random.below(3), block_bytes, ..Options::default() };
        let dataset = loaded(file.as_bytes(), &options).unwrap_or_else(|error| panic!("{error}")).dataset;
        let model = Model::new(&Export::read(file.as_bytes()).unwrap());
        assert_same_facets(&dataset, &model, &Filters::new());
        for _ in 0..queries {
            let filters = random.filters(&model);
            let offset = random.offset(model.count(&filters));
            assert_same_page(&dataset, &model, &filters, offset, random.limit());
            assert_same_facets(&dataset, &model, &filters);
        }
    }
}
