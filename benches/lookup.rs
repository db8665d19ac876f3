//! Finding shipments among many, each lookup waiting for the one before, as requests do: independent lookups would
//! overlap their cache misses, which a server never sees.
//!
//! `find_and_render` is compared with `copy_ready_made`, which stores every body as it is sent: the least work of a
//! lookup, at three times the memory.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

#[path = "exports/bodies.rs"]
mod bodies;
mod exports;
#[path = "exports/random.rs"]
mod random;

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use dashmap::{DashMap, ReadOnlyView};
use waybill::commands::generate::{self, Plan};
use waybill::dataset::Dataset;
use waybill::load::{self, Options};
use waybill::shipment::FoldedKey;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Length of a generated tracking number.
const NUMBER_BYTES: usize = 11;
/// Number of locks of the ready-made bodies' map while it is filled.
const SHARDS: usize = 64;

/// Key of a lookup.
struct Key {
    number: [u8; NUMBER_BYTES],
    carrier: &'static str,
}

impl Key {
    fn of(plan: &Plan, shipment: u64) -> Key {
        let number = generate::tracking_number(plan, shipment);
        Key { number: number.as_bytes().try_into().unwrap(), carrier: generate::carrier(plan, shipment) }
    }

    fn number(&self) -> &str {
        std::str::from_utf8(&self.number).unwrap()
    }
}

/// As many keys as there are shipments, in random order.
fn shuffled(plan: &Plan) -> Vec<Key> {
    let mut random = random::numbers();
    (0..plan.shipments).map(|_| Key::of(plan, random() % plan.shipments)).collect()
}

/// Iterates over keys so that no lookup can begin before the body of the previous one is complete.
struct Walk<'k> {
    keys: &'k [Key],
    at: usize,
    /// 0, which the compiler does not know.
    zero: usize,
}

impl<'k> Walk<'k> {
    fn new(keys: &'k [Key]) -> Walk<'k> {
        Walk { keys, at: 0, zero: black_box(0) }
    }

    fn next(&mut self, body: &[u8]) -> &'k Key {
        let before = body.len().checked_sub(9).map_or(0, |at| usize::from(body[at]));
        self.at += 1 + (before & self.zero);
        if self.at >= self.keys.len() {
            self.at = 0;
        }
        &self.keys[self.at]
    }
}

/// All bodies as they are sent, concatenated.
struct ReadyMade {
    bodies: Vec<u8>,
    starts: Vec<usize>,
    by_fingerprint: ReadOnlyView<u64, u32, Identity>,
}

impl ReadyMade {
    fn new(file: &Path) -> ReadyMade {
        let (mut text, mut starts) = (Vec::new(), vec![0]);
        let by_fingerprint = DashMap::with_capacity_and_hasher_and_shard_amount(1 << 20, Identity, SHARDS);
        bodies::for_each_body(file, |number, carrier, body| {
            by_fingerprint.insert(fingerprint(number.as_bytes(), carrier), (starts.len() - 1) as u32);
            text.extend_from_slice(body);
            starts.push(text.len());
        });
        ReadyMade { bodies: text, starts, by_fingerprint: by_fingerprint.into_read_only() }
    }

    /// Copies the body of `key`. Neither folds nor verifies the key, but trusts its hash.
    fn copy(&self, key: &Key, out: &mut Vec<u8>) {
        if let Some(&ordinal) = self.by_fingerprint.get(&fingerprint(&key.number, key.carrier)) {
            let ordinal = ordinal as usize;
            out.extend_from_slice(&self.bodies[self.starts[ordinal]..self.starts[ordinal + 1]]);
        }
    }
}

fn fingerprint(number: &[u8], carrier: &str) -> u64 {
    xxh3_64_with_seed(number, xxh3_64(carrier.as_bytes()))
}

/// Fingerprints are hashes already.
#[derive(Clone, Copy)]
struct Identity;

struct Hashed(u64);

impl BuildHasher for Identity {
    type Hasher = Hashed;

    fn build_hasher(&self) -> Hashed {
        Hashed(0)
    }
}

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 are hashed");
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

fn find_and_render(dataset: &Dataset, key: &Key, out: &mut Vec<u8>) {
    if let Some(record) = dataset.shipment(&FoldedKey::new(key.number()), &FoldedKey::new(key.carrier)) {
        record.render(out);
    }
}

/// Benchmarks finding alone. It gives no bytes that the next find could depend on, so a fence delays that one's reads.
fn bench_find(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, keys: &[Key], find: impl Fn(&Key) -> bool) {
    let mut walk = Walk::new(keys);
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            fence(Ordering::SeqCst);
            find(walk.next(&[]))
        });
    });
}

/// Benchmarks producing bodies in one buffer.
fn bench_body(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, keys: &[Key], body: impl Fn(&Key, &mut Vec<u8>)) {
    let mut walk = Walk::new(keys);
    let mut out = Vec::with_capacity(1 << 12);
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let key = walk.next(&out);
            out.clear();
            body(key, &mut out);
        });
    });
}

/// Measures the time in which each of `threads` threads looks up the same shipment `times` times.
fn hot_key(dataset: &Dataset, key: &Key, threads: usize, times: u64) -> Duration {
    let barrier = Barrier::new(threads);
    let ask = || {
        let mut out = Vec::with_capacity(1 << 12);
        barrier.wait();
        let started = Instant::now();
        for _ in 0..times {
            out.clear();
            find_and_render(black_box(dataset), black_box(key), &mut out);
            black_box(out.len());
        }
        started.elapsed()
    };
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..threads).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).max().unwrap_or_default()
    })
}

fn assert_bodies(dataset: &Dataset, ready_made: &ReadyMade, keys: &[Key], missing: &[Key]) {
    let (mut rendered, mut copied) = (Vec::new(), Vec::new());
    for key in keys {
        rendered.clear();
        copied.clear();
        find_and_render(dataset, key, &mut rendered);
        ready_made.copy(key, &mut copied);
        assert!(!rendered.is_empty() && rendered == copied, "{}", String::from_utf8_lossy(&rendered));
    }
    for key in missing {
        assert_eq!(dataset.shipments_with_number(&FoldedKey::new(key.number())).count(), 0);
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (plan, file) = exports::export(if exports::is_test_run() { 5000 } else { 1_000_000 });
    let loaded = load::load(file.path(), &Options::default(), &mut |_| ()).unwrap_or_else(|error| panic!("{error}"));
    let dataset = loaded.dataset;
    let ready_made = ReadyMade::new(file.path());
    let keys = shuffled(&plan);
    let missing: Vec<Key> = shuffled(&plan).into_iter().map(|key| Key { number: miss(key.number), ..key }).collect();
    assert_bodies(&dataset, &ready_made, &keys, &missing);

    let mut group = criterion.benchmark_group("lookup");
    group.throughput(Throughput::Elements(1));
    bench_find(&mut group, "find_by_number_and_carrier", &keys, |key| {
        dataset.shipment(&FoldedKey::new(key.number()), &FoldedKey::new(key.carrier)).is_some()
    });
    let has_number = |key: &Key| dataset.shipments_with_number(&FoldedKey::new(key.number())).next().is_some();
    bench_find(&mut group, "find_by_number", &keys, has_number);
    bench_find(&mut group, "miss", &missing, has_number);
    bench_body(&mut group, "find_and_render", &keys, |key, out| find_and_render(&dataset, key, out));
    bench_body(&mut group, "copy_ready_made", &keys, |key, out| ready_made.copy(key, out));
    group.finish();

    let mut group = criterion.benchmark_group("hot_key");
    for threads in [1, 2] {
        group.throughput(Throughput::Elements(threads as u64));
        group.bench_function(format!("threads_{threads}"), |bencher| {
            bencher.iter_custom(|times| hot_key(&dataset, &keys[0], threads, times));
        });
    }
    group.finish();
    criterion.final_summary();
}

/// Makes a number that no shipment has.
fn miss(mut number: [u8; NUMBER_BYTES]) -> [u8; NUMBER_BYTES] {
    number[0] = b'X';
    number
}
