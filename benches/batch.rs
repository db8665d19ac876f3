//! A batch of a thousand numbers, from the bytes of the question to those of the answer, beside as many single lookups.
//!
//! The single ones wait for each other, as requests do; within a batch the cache misses of many numbers overlap.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

mod exports;
#[path = "exports/random.rs"]
mod random;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use serde_json::{Value, json};
use waybill::batch::{self, LOOKUPS_MAX, RESPONSE_BYTES_MAX};
use waybill::commands::generate::{self, Plan};
use waybill::dataset::Dataset;
use waybill::load::{self, Options};
use waybill::shipment::FoldedKey;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Questions that are asked in turn, so that what one needed is not at hand for the next.
const QUESTIONS: usize = 500;

/// A thousand random shipments: numbers and carriers.
type Keys = Vec<(String, &'static str)>;

fn keys(plan: &Plan, random: &mut impl FnMut() -> u64) -> Keys {
    let key = |shipment| (generate::tracking_number(plan, shipment), generate::carrier(plan, shipment));
    (0..LOOKUPS_MAX).map(|_| key(random() % plan.shipments)).collect()
}

fn question(keys: &Keys) -> Vec<u8> {
    let lookup = |(number, carrier): &(String, &str)| json!({"tracking_number": number, "carrier": carrier});
    json!({"lookups": keys.iter().map(lookup).collect::<Vec<_>>()}).to_string().into_bytes()
}

fn answer(dataset: &Dataset, question: &mut [u8]) -> Vec<u8> {
    batch::render(dataset, &batch::parse(question).unwrap(), RESPONSE_BYTES_MAX).unwrap()
}

/// Finds and renders each, the next when the one before is there. `zero` is zero, which the compiler does not know.
fn one_by_one(dataset: &Dataset, keys: &Keys, zero: usize, out: &mut Vec<u8>) -> usize {
    let (mut at, mut bytes) = (0, 0);
    while at < keys.len() {
        let (number, carrier) = &keys[at];
        out.clear();
        dataset.shipment(&FoldedKey::new(number), &FoldedKey::new(carrier)).unwrap().render(out);
        bytes += out.len();
        at += 1 + (usize::from(out[out.len() - 9]) & zero);
    }
    bytes
}

fn assert_is_right(dataset: &Dataset, keys: &Keys) {
    let answer: Value = serde_json::from_slice(&answer(dataset, &mut question(keys))).unwrap();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), keys.len());
    for (result, (number, carrier)) in results.iter().zip(keys) {
        let mut single = Vec::new();
        dataset.shipment(&FoldedKey::new(number), &FoldedKey::new(carrier)).unwrap().render(&mut single);
        let single: Value = serde_json::from_slice(&single).unwrap();
        assert_eq!(*result, json!({"tracking_number": number, "carrier": carrier, "shipments": [single]}));
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (shipments, questions) = if exports::is_test_run() { (100, 2) } else { (1_000_000, QUESTIONS) };
    let (plan, file) = exports::export(shipments);
    let dataset = load::load(file.path(), &Options::default(), &mut |_| ()).unwrap_or_else(|e| panic!("{e}")).dataset;
    let mut random = random::numbers();
    let keys: Vec<Keys> = (0..questions).map(|_| keys(&plan, &mut random)).collect();
    for keys in &keys[..2] {
        assert_is_right(&dataset, keys);
    }
    let bodies: Vec<Vec<u8>> = keys.iter().map(question).collect();

    let mut group = criterion.benchmark_group(format!("batch_of_{LOOKUPS_MAX}_among_{shipments}"));
    group.throughput(Throughput::Elements(LOOKUPS_MAX as u64));
    let mut turn = 0;
    let mut next = || {
        turn += 1;
        turn % questions
    };
    group.bench_function("parse", |bencher| {
        let body = || bodies[next()].clone();
        bencher.iter_batched_ref(body, |body| batch::parse(body).unwrap().len(), BatchSize::LargeInput);
    });
    group.bench_function("parse_find_render", |bencher| {
        let body = || bodies[next()].clone();
        bencher.iter_batched_ref(body, |body| answer(&dataset, body).len(), BatchSize::LargeInput);
    });
    group.bench_function("one_by_one", |bencher| {
        let (zero, mut out) = (black_box(0), Vec::new());
        bencher.iter(|| one_by_one(&dataset, &keys[next()], zero, &mut out));
    });
    group.finish();
    criterion.final_summary();
}
