//! Sorting shipments by tracking number, on several threads.
//!
//! Sorted are not numbers, but entries of 16 bytes: 12 bytes of the number, from where numbers begin to differ, and the
//! ordinal. Ranges of shipments are sorted each for itself; then each bucket, an interval of keys, is put together from all
//! ranges. Where those 12 bytes do not tell numbers apart, the next ones do.

use std::sync::Mutex;

use memmap2::{MmapMut, MmapOptions};

use super::account::Account;
use super::posting_lists::in_parallel;
use crate::cancel::{Cancel, Cancelled};
use crate::dataset::arena::ArenaError;
use crate::dataset::numbers::NumberOrder;
use crate::dataset::records::Records;
use crate::mutex;

/// Shipments of a range, and about those of a bucket.
const RANGE_SHIPMENTS: usize = 1 << 16;
/// Fewest ranges for each thread.
const RANGES_PER_THREAD: usize = 2;
/// Keys of each range from which the limits of buckets are chosen.
const SAMPLES_PER_RANGE: usize = 32;
/// Numbers from which it is told how all begin.
const COMPARED_NUMBERS: usize = 1 << 10;

/// Bytes of a number in a key.
const KEY_BYTES: usize = 12;
/// The key of what is behind all numbers with the prefix.
const KEY_MAX: u128 = (1 << (8 * KEY_BYTES)) - 1;
/// Size of an entry: a key and an ordinal.
pub(super) const ENTRY_BYTES: usize = size_of::<u128>();

/// Numbers with the same key that are compared as a whole.
const COMPARED_MAX: usize = 64;
/// Keys that are made of a number, one after the other, before it is compared as a whole.
const KEYS_MAX: usize = 16;

/// A key and an ordinal, in native order of bytes, so that memory of any kind can hold them.
type Entry = [u8; ENTRY_BYTES];

fn entry(key: u128, ordinal: u32) -> Entry {
    (key << u32::BITS | u128::from(ordinal)).to_ne_bytes()
}

fn value(entry: &Entry) -> u128 {
    u128::from_ne_bytes(*entry)
}

fn key(entry: &Entry) -> u128 {
    value(entry) >> u32::BITS
}

fn ordinal(entry: &Entry) -> u32 {
    value(entry) as u32
}

/// The first bytes of `number` after `prefix`. The keys of two numbers are in the order of the numbers, or equal: all
/// numbers before those with the prefix have one key, and all behind them.
fn key_of(number: &[u8], prefix: &[u8]) -> u128 {
    let Some(rest) = number.strip_prefix(prefix) else { return if number < prefix { 0 } else { KEY_MAX } };
    let mut bytes = [0; size_of::<u128>()];
    let len = rest.len().min(KEY_BYTES);
    bytes[..len].copy_from_slice(&rest[..len]);
    u128::from_be_bytes(bytes) >> (u128::BITS as usize - 8 * KEY_BYTES)
}

/// Sorts the shipments in `records` by number, on so many threads.
pub(super) fn by_number(
    records: &Records,
    threads: usize,
    account: &Account,
    cancel: &Cancel,
) -> Result<NumberOrder, ArenaError> {
    let len = records.len();
    let threads = threads.min(len.div_ceil(RANGE_SHIPMENTS * RANGES_PER_THREAD)).max(1);
    let bytes = len * ENTRY_BYTES;
    account.take(bytes as u64)?;
    let mut map = map(bytes)?;
    let entries = &mut map.as_chunks_mut::<ENTRY_BYTES>().0[..len];

    let step = len.div_ceil(COMPARED_NUMBERS).max(1);
    let prefix = common_prefix(records, (0..len).step_by(step).map(|ordinal| ordinal as u32));
    let ranges: Vec<Mutex<&mut [Entry]>> = entries.chunks_mut(RANGE_SHIPMENTS).map(Mutex::new).collect();
    in_parallel(threads, ranges.len(), || {
        |range: usize| {
            if cancel.is_cancelled() {
                return;
            }
            let mut entries = mutex::lock(&ranges[range]);
            for (ordinal, to) in ((range * RANGE_SHIPMENTS) as u32..).zip(entries.iter_mut()) {
                *to = entry(key_of(records.at(ordinal).folded_number().as_bytes(), &prefix), ordinal);
            }
            entries.sort_unstable_by_key(value);
        }
    });
    cancel.check()?;
    let ranges: Vec<&[Entry]> = ranges.into_iter().map(|range| &*mutex::into_inner(range)).collect();
    account.take((len * size_of::<u32>()) as u64)?;
    let mut ordinals = vec![0; len];
    merge(records, &ranges, &mut ordinals, threads, account, cancel)?;
    account.give_back(bytes as u64);
    Ok(NumberOrder::new(ordinals))
}

/// Merges sorted `ranges` to `ordinals`.
fn merge(
    records: &Records,
    ranges: &[&[Entry]],
    ordinals: &mut [u32],
    threads: usize,
    account: &Account,
    cancel: &Cancel,
) -> Result<(), ArenaError> {
    let limits = limits(ranges);
    let at = |range: &[Entry], limit: u128| range.partition_point(|entry| key(entry) < limit);
    let parts = |bucket: usize| {
        ranges.iter().map({
            let limits = &limits;
            move |range| {
                &range[at(range, limits[bucket])..limits.get(bucket + 1).map_or(range.len(), |end| at(range, *end))]
            }
        })
    };
    let (mut buckets, mut rest) = (Vec::with_capacity(limits.len()), ordinals);
    for bucket in 0..limits.len() {
        let (ordinals, others) = rest.split_at_mut(parts(bucket).map(<[Entry]>::len).sum());
        buckets.push(Mutex::new(ordinals));
        rest = others;
    }
    let merged = in_parallel(threads, buckets.len(), || {
        |bucket: usize| {
            cancel.check()?;
            let mut ordinals = mutex::lock(&buckets[bucket]);
            let bytes = (ordinals.len() * ENTRY_BYTES) as u64;
            account.take(bytes)?;
            let mut map = map(bytes as usize)?;
            let entries = &mut map.as_chunks_mut().0[..ordinals.len()];
            let mut rest = &mut *entries;
            for part in parts(bucket) {
                let (to, others) = rest.split_at_mut(part.len());
                to.copy_from_slice(part);
                rest = others;
            }
            entries.sort_unstable_by_key(value);
            resolve(records, entries, 1, cancel)?;
            for (to, entry) in ordinals.iter_mut().zip(&*entries) {
                *to = ordinal(entry);
            }
            account.give_back(bytes);
            Ok(())
        }
    });
    merged.into_iter().collect()
}

/// Memory for so many bytes of entries. The allocator would keep it; a map is returned to the system at once.
fn map(bytes: usize) -> Result<MmapMut, ArenaError> {
    let map = MmapOptions::new().len(bytes.max(1)).map_anon();
    map.map_err(|source| ArenaError::Map { bytes, source })
}

/// The lowest key of each bucket, the first being 0.
fn limits(ranges: &[&[Entry]]) -> Vec<u128> {
    let samples = |range: &&[Entry]| {
        let step = range.len().div_ceil(SAMPLES_PER_RANGE).max(1);
        range.iter().step_by(step).map(key).collect::<Vec<u128>>()
    };
    let mut samples: Vec<u128> = ranges.iter().flat_map(samples).collect();
    samples.sort_unstable();
    let mut limits = vec![0];
    limits.extend(samples.into_iter().skip(SAMPLES_PER_RANGE).step_by(SAMPLES_PER_RANGE));
    limits.dedup();
    limits
}

/// Sorts those of `entries`, sorted by key, that have the same key. It is made of the `keys`th part of their numbers.
fn resolve(records: &Records, entries: &mut [Entry], keys: usize, cancel: &Cancel) -> Result<(), Cancelled> {
    let number = |entry: &Entry| records.at(ordinal(entry)).folded_number();
    for same in entries.chunk_by_mut(|a, b| key(a) == key(b)).filter(|same| same.len() > 1) {
        cancel.check()?;
        if same.len() <= COMPARED_MAX {
            let mut numbers: Vec<_> = same.iter().map(|entry| (number(entry), ordinal(entry))).collect();
            numbers.sort_unstable();
            for (to, (_, ordinal)) in same.iter_mut().zip(numbers) {
                *to = entry(0, ordinal);
            }
            continue;
        }
        if keys == KEYS_MAX {
            same.sort_unstable_by(|a, b| number(a).cmp(&number(b)).then(ordinal(a).cmp(&ordinal(b))));
            continue;
        }
        let prefix = common_prefix(records, same.iter().map(ordinal));
        if same.iter().all(|entry| number(entry).as_bytes() == prefix) {
            // One number of many carriers, in file order already.
            continue;
        }
        for entry_of_number in same.iter_mut() {
            *entry_of_number = entry(key_of(number(entry_of_number).as_bytes(), &prefix), ordinal(entry_of_number));
        }
        same.sort_unstable_by_key(value);
        resolve(records, same, keys + 1, cancel)?;
    }
    Ok(())
}

/// What the folded numbers of all these shipments begin with.
fn common_prefix(records: &Records, mut ordinals: impl Iterator<Item = u32>) -> Vec<u8> {
    let number = |ordinal| records.at(ordinal).folded_number();
    let mut prefix = ordinals.next().map_or(Vec::new(), |ordinal| number(ordinal).as_bytes().to_vec());
    for ordinal in ordinals {
        let number = number(ordinal);
        let common = prefix.iter().zip(number.as_bytes()).take_while(|(a, b)| a == b).count();
        prefix.truncate(common);
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Dataset;
    use crate::dataset::build::Builder;
    use crate::shipment::{Column, FoldedKey, Row};
    use proptest::prelude::*;

    /// A dataset of these numbers, each with a carrier of its own.
    fn dataset(numbers: &[String], threads: usize) -> Dataset {
        let builder = Builder::new(1 << 20, threads);
        let mut writer = builder.writer();
        for (block, numbers) in (0..).zip(numbers.chunks(500)) {
            for (line, number) in (0..).zip(numbers) {
                let row = Row {
                    tracking_number: number,
                    carrier: &format!("{block} {line}"),
                    article_quantity: "1",
                    article_price: "1",
                    ..Row::default()
                };
                assert!(writer.row(line, &row).unwrap());
            }
            writer.end_block(block, 1 << 20, 1 << 20).unwrap();
        }
        drop(writer);
        builder.finish(Column::SHARED, &mut |_| (), &mut |_| ()).unwrap()
    }

    fn assert_sorted(numbers: &[String], threads: usize) {
        let dataset = dataset(numbers, threads);
        let mut expected: Vec<(FoldedKey, u32)> =
            numbers.iter().map(|number| FoldedKey::new(number)).zip(0..).collect();
        expected.sort();
        let expected: Vec<u32> = expected.into_iter().map(|(_, ordinal)| ordinal).collect();
        let sorted = by_number(&dataset.records, threads, &Account::new(u64::MAX), &Cancel::default()).unwrap();
        assert!(sorted.ordinals() == expected, "{threads} {numbers:.100?}");
    }

    proptest! {
        #[test]
        fn keys_are_in_the_order_of_numbers_or_equal(
            a in "[ab\\x00\u{ff}]{0,16}", b in "[ab\\x00\u{ff}]{0,16}", prefix in "[ab]{0,3}",
        ) {
            let keys = [&a, &b].map(|number| key_of(number.as_bytes(), prefix.as_bytes()));
            prop_assert!(keys[0] == keys[1] || keys[0].cmp(&keys[1]) == a.cmp(&b));
        }

        #[test]
        fn shipments_are_sorted_by_number_and_then_as_in_the_file(
            numbers in proptest::collection::vec("(1Z999AA1)?(000000000000){0,2}[aAb\u{e9}\u{c9}\"\\\\0-3]{1,6}", 1..300),
        ) {
            assert_sorted(&numbers, 1);
        }
    }

    #[test]
    fn long_starts_that_numbers_share_do_not_matter() {
        let zeros = |count: usize| "0".repeat(count);
        for number in [
            (|at| format!("{}{}", "0".repeat(13), at % 1000)) as fn(usize) -> String,
            |at| format!("{}x{at}", "0".repeat(at % 400)),
            |at| format!("a{}", "\u{0}".repeat(at % 70)),
            |at| ["b".to_owned(), "a".repeat(40), format!("{}{}", "a".repeat(40), at % 9)][at % 3].clone(),
            |_| "TN1".to_owned(),
        ] {
            assert_sorted(&(0..500).map(number).collect::<Vec<_>>(), 2);
        }
        assert_sorted(&[zeros(60), zeros(5), zeros(59)], 2);
        assert_sorted(&[], 2);
    }

    #[test]
    fn more_than_one_range_is_merged_by_several_threads() {
        let number = |at: usize| format!("TN{:09}", at * 7_919 % 1_000_003 / 2);
        let numbers: Vec<String> = (0..5 * RANGE_SHIPMENTS / 2).map(number).collect();
        assert_sorted(&numbers, 2);
    }

    #[test]
    fn a_cancelled_sort_has_no_result_and_one_without_memory_says_so() {
        let numbers: Vec<String> = (0..100).map(|at| format!("TN{at}")).collect();
        let dataset = dataset(&numbers, 1);
        let cancel = Cancel::default();
        let sort = |bytes_max| by_number(&dataset.records, 1, &Account::new(bytes_max), &cancel);
        assert!(matches!(sort(1000).err(), Some(ArenaError::TooMany { .. })));
        assert!(matches!(sort(3500).err(), Some(ArenaError::TooMany { .. })));
        assert!(sort(3600).is_ok());
        cancel.cancel();
        assert!(matches!(sort(3600).err(), Some(ArenaError::Cancelled(_))));
    }
}
