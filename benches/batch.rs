//! A batch of a thousand lookups, from the bytes of the request to those of the response, compared with single lookups.
//!
//! Single lookups wait for each other, as requests do; within a batch the cache misses of many lookups overlap.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

mod exports;
#[path = "exports/random.rs"]
mod random;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use serde_json::{Value, json};
use waybill::batch::{self, LOOKUPS_MAX, RESPONSE_BYTES_MAX};
use waybill::commands::generate::{self, Plan};
use waybill::dataset::{Dataset, OutlineLimits};
use waybill::load::{self, Options};
use waybill::shipment::FoldedKey;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Number of different request bodies, which are used in turn so that none finds its data in the cache.
const REQUEST_BODIES: usize = 500;

/// Numbers and carriers of a thousand random shipments.
type Keys = Vec<(String, &'static str)>;

fn keys(plan: &Plan, random: &mut impl FnMut() -> u64) -> Keys {
    let key = |shipment| (generate::tracking_number(plan, shipment), generate::carrier(plan, shipment));
    (0..LOOKUPS_MAX).map(|_| key(random() % plan.shipments)).collect()
}

fn request_body(keys: &Keys) -> Vec<u8> {
    let lookup = |(number, carrier): &(String, &str)| json!({"tracking_number": number, "carrier": carrier});
    json!({"lookups": keys.iter().map(lookup).collect::<Vec<_>>()}).to_string().into_bytes()
}

fn respond(dataset: &Dataset, request_body: &mut [u8]) -> Vec<u8> {
    let limits = OutlineLimits {
        bytes_max: RESPONSE_BYTES_MAX as u64,
        shipment_bytes_max: RESPONSE_BYTES_MAX as u64,
        articles_max: u64::MAX,
    };
    dataset.render(batch::outline(dataset, &batch::parse(request_body).unwrap(), limits).unwrap())
}

/// Finds and renders one shipment after the other. `zero` is 0, which the compiler does not know, and makes each lookup
/// depend on the one before.
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
    let response: Value = serde_json::from_slice(&respond(dataset, &mut request_body(keys))).unwrap();
    let results = response["results"].as_array().unwrap();
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
    let (shipments, body_count) = if exports::is_test_run() { (100, 2) } else { (1_000_000, REQUEST_BODIES) };
    let (plan, file) = exports::export(shipments);
    let dataset = load::load(file.path(), &Options::default(), &mut |_| ()).unwrap_or_else(|e| panic!("{e}")).dataset;
    let mut random = random::numbers();
    let keys: Vec<Keys> = (0..body_count).map(|_| keys(&plan, &mut random)).collect();
    for keys in &keys[..2] {
        assert_is_right(&dataset, keys);
    }
    let bodies: Vec<Vec<u8>> = keys.iter().map(request_body).collect();

    let mut group = criterion.benchmark_group(format!("batch_of_{LOOKUPS_MAX}_among_{shipments}"));
    group.throughput(Throughput::Elements(LOOKUPS_MAX as u64));
    let mut turn = 0;
    let mut next = || {
        turn += 1;
        turn % body_count
    };
    group.bench_function("parse", |bencher| {
        let body = || bodies[next()].clone();
        bencher.iter_batched_ref(body, |body| batch::parse(body).unwrap().len(), BatchSize::LargeInput);
    });
    group.bench_function("parse_find_render", |bencher| {
        let body = || bodies[next()].clone();
        bencher.iter_batched_ref(body, |body| respond(&dataset, body).len(), BatchSize::LargeInput);
    });
    group.bench_function("one_by_one", |bencher| {
        let (zero, mut out) = (black_box(0), Vec::new());
        bencher.iter(|| one_by_one(&dataset, &keys[next()], zero, &mut out));
    });
    group.finish();
    criterion.final_summary();
}
