//! Rendering records that are in the cache: the cost of a response once its shipment is found.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

#[path = "exports/bodies.rs"]
mod bodies;
mod exports;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use waybill::dataset::Record;
use waybill::load::{self, Options};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Number of lookups in the largest batch.
const BATCH: usize = 1000;

fn render_all(records: &[Record<'_>], out: &mut Vec<u8>) {
    for record in records {
        record.render(out);
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let shipments = if exports::is_test_run() { 100 } else { BATCH as u64 };
    let (_, file) = exports::export(shipments);
    let dataset = load::load(file.path(), &Options::default(), &mut |_| ()).unwrap_or_else(|e| panic!("{e}")).dataset;
    let records: Vec<Record<'_>> = dataset.shipments().collect();
    let mut all = Vec::new();
    bodies::for_each_body(file.path(), |_, _, body| all.extend_from_slice(body));
    let mut out = Vec::new();
    render_all(&records, &mut out);
    assert_eq!(out, all);

    let mut group = criterion.benchmark_group("render");
    let record = &records[records.len() / 2];
    out.clear();
    record.render(&mut out);
    group.throughput(Throughput::Bytes(out.len() as u64));
    group.bench_function("one", |bencher| {
        bencher.iter(|| {
            out.clear();
            black_box(record).render(&mut out);
            black_box(out.len())
        });
    });
    group.throughput(Throughput::Bytes(all.len() as u64));
    group.bench_function(format!("batch_of_{shipments}"), |bencher| {
        bencher.iter(|| {
            out.clear();
            render_all(&records, &mut out);
            black_box(out.len())
        });
    });
    group.finish();
    criterion.final_summary();
}
