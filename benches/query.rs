//! Pages, counts and facets of many shipments.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

#[path = "exports/bodies.rs"]
mod bodies;
mod exports;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;

use criterion::Criterion;
use waybill::dataset::{Dataset, Filter, Sort};
use waybill::load::{self, Options};
use waybill::shipment::{Facet, FoldedKey};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Number of shipments on a page.
const LIMIT: usize = 10;

fn filter(values: &[(Facet, &str)]) -> Filter {
    let mut filter = Filter::default();
    for (facet, value) in values {
        filter.facets[*facet as usize].push(FoldedKey::new(value));
    }
    filter
}

fn count(dataset: &Dataset, filter: &Filter) -> u64 {
    dataset.select(filter).count()
}

/// Selects shipments and renders a page of them.
fn page(dataset: &Dataset, filter: &Filter, offset: u64, out: &mut Vec<u8>) -> u64 {
    out.clear();
    let selection = dataset.select(filter);
    for record in selection.page(Sort::File, offset, LIMIT) {
        record.render(out);
    }
    selection.count()
}

/// Number of values that are listed.
fn facets(dataset: &Dataset, filter: &Filter) -> usize {
    dataset.select(filter).facets().iter().map(|counts| counts.len()).sum()
}

/// Counts shipments by carrier and status, without the crate's own code.
fn counted(file: &Path) -> BTreeMap<(String, String), u64> {
    let mut counts = BTreeMap::new();
    bodies::for_each_body(file, |_, carrier, body| {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        *counts.entry((carrier.to_owned(), body["status"].as_str().unwrap().to_owned())).or_default() += 1;
    });
    counts
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (plan, file) = exports::export(if exports::is_test_run() { 5000 } else { 1_000_000 });
    let loaded = load::load(file.path(), &Options::default(), &mut |_| ()).unwrap_or_else(|error| panic!("{error}"));
    let dataset = loaded.dataset;
    let all = Filter::default();
    let most_frequent = dataset.select(&all).facets().map(|counts| counts.first().cloned());
    let value = |facet: Facet| most_frequent[facet as usize].as_ref().map_or("", |count| count.value.as_str());
    let two = filter(&[Facet::Carrier, Facet::Status].map(|facet| (facet, value(facet))));
    let of_two = counted(file.path())[&(value(Facet::Carrier).to_owned(), value(Facet::Status).to_owned())];
    assert_eq!(count(&dataset, &two), of_two);

    let mut out = Vec::new();
    let last = plan.shipments - LIMIT as u64;
    let mut group = criterion.benchmark_group("page");
    for (name, filter, offset, expected) in [
        ("at_offset_0", &all, 0, plan.shipments),
        ("at_the_end", &all, last, plan.shipments),
        ("of_two_filters_at_offset_0", &two, 0, of_two),
        ("of_two_filters_at_the_end", &two, of_two - LIMIT as u64, of_two),
    ] {
        assert_eq!(page(&dataset, filter, offset, &mut out), expected);
        assert_eq!(out.windows(17).filter(|window| *window == br#"{"tracking_number"#).count(), LIMIT);
        group.bench_function(name, |bencher| {
            bencher.iter(|| page(black_box(&dataset), black_box(filter), black_box(offset), &mut out));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("count");
    // None has a stage.
    for (facet, most_frequent) in Facet::ALL.iter().zip(&most_frequent) {
        let Some(most_frequent) = most_frequent else { continue };
        let filter = filter(&[(*facet, &most_frequent.value)]);
        assert_eq!(count(&dataset, &filter), most_frequent.count);
        group.bench_function(facet.name(), |bencher| {
            bencher.iter(|| count(black_box(&dataset), black_box(&filter)));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("facets");
    for (name, filter) in [
        ("unfiltered", &all),
        ("of_one_filter", &filter(&[(Facet::Carrier, value(Facet::Carrier))])),
        ("of_two_filters", &two),
        ("of_two_filters_that_few_pass", &filter(&[Facet::SenderCity, Facet::ReceiverCity].map(|at| (at, value(at))))),
    ] {
        let counts = dataset.select(filter).facets();
        let counted = |facet: Facet| counts[facet as usize].iter().map(|count| count.count).sum::<u64>();
        assert!(Facet::of_data(false).all(|facet| counted(facet) == count(&dataset, filter)));
        group.bench_function(name, |bencher| bencher.iter(|| facets(black_box(&dataset), black_box(filter))));
    }
    group.finish();
    criterion.final_summary();
}
