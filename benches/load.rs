//! Loading a file, compared with the least work of any loader: parsing its fields once.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

mod exports;

use std::path::Path;

use criterion::{BenchmarkId, Criterion, Throughput};
use exports::{export, is_test_run};
use waybill::load::{Loaded, Options};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn load(file: &Path, threads: usize) -> Loaded {
    let options = Options { threads, ..Options::default() };
    waybill::load::load(file, &options, &mut |_| ()).unwrap_or_else(|error| panic!("{error}"))
}

/// Counts the rows of the file, parsing each into fields.
fn csv_rows(file: &Path) -> u64 {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 20).from_path(file).unwrap();
    let mut record = csv::ByteRecord::new();
    let mut rows = 0;
    while reader.read_byte_record(&mut record).unwrap() {
        rows += 1;
    }
    rows
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (plan, file) = export(if is_test_run() { 2000 } else { 100_000 });
    let (path, rows) = (file.path(), csv_rows(file.path()));
    let all_threads = Options::default().threads;

    let mut group = criterion.benchmark_group("load");
    group.throughput(Throughput::Bytes(path.metadata().unwrap().len())).sample_size(20);
    let mut threads = vec![1, all_threads];
    threads.dedup();
    for threads in threads {
        let loaded = load(path, threads);
        assert_eq!(loaded.dataset.shipment_count(), plan.shipments);
        assert_eq!(loaded.dataset.article_count(), rows);
        group.bench_function(BenchmarkId::new("waybill_threads", threads), |bencher| {
            bencher.iter_with_large_drop(|| load(path, threads));
        });
    }
    group.bench_function("csv_byte_record", |bencher| bencher.iter(|| csv_rows(path)));
    group.finish();
    criterion.final_summary();
}
