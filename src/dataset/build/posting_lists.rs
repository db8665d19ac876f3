//! Building posting lists: first ranges of shipments are grouped by value, then the ranges of each facet are merged,
//! both on several threads.

use std::cmp::Reverse;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::MmapOptions;
use roaring::RoaringBitmap;

use super::account::{Account, Gauge};
use super::facet_values::SharedFacetValues;
use crate::cancel::Cancel;
use crate::dataset::arena::ArenaError;
use crate::dataset::records::Records;
use crate::dataset::search::postings::{FacetPostings, Value};
use crate::dataset::search::values::{FACETS, FacetKind, FacetValueIds, NO_VALUE};
use crate::mutex;
use crate::shipment::Facet;

/// Bits of an ordinal within its range. A range has the ordinals of one container of a bitmap.
const RANGE_BITS: u32 = 16;
const RANGE_SHIPMENTS: usize = 1 << RANGE_BITS;
/// Most shipments per range for which a list takes less memory than a bitmap.
const LISTED_PER_RANGE: usize = 32;

/// Size of an ordinal within its range, little-endian.
pub(super) const LOW_BYTES: usize = size_of::<u16>();
/// Size of a range's ordinals, once for each facet.
const RANGE_BYTES: usize = RANGE_SHIPMENTS * FACETS * LOW_BYTES;
/// Size of a value's id, little-endian.
const ID_BYTES: usize = size_of::<u32>();
/// Size of the value ids of a range's shipments, once for each facet.
const IDS_BYTES: usize = RANGE_SHIPMENTS * FACETS * ID_BYTES;

/// Lower bits of the ordinals of a range all of whose shipments have the same value.
static ALL_LOWS: [u8; RANGE_SHIPMENTS * LOW_BYTES] = {
    let mut lows = [0; RANGE_SHIPMENTS * LOW_BYTES];
    let mut at = 0;
    while at < RANGE_SHIPMENTS {
        [lows[LOW_BYTES * at], lows[LOW_BYTES * at + 1]] = (at as u16).to_le_bytes();
        at += 1;
    }
    lows
};
/// Fewest ranges for each thread: its buffer is as large as the result of two.
const RANGES_PER_THREAD: usize = 4;

/// Builds the postings of all facets.
pub(super) fn group(
    records: &Records,
    threads: usize,
    value_ids: &FacetValueIds,
    values: &SharedFacetValues,
    account: &Account,
    cancel: &Cancel,
) -> Result<[FacetPostings; FACETS], ArenaError> {
    let ordinals_bytes = records.len() * FACETS * LOW_BYTES;
    let threads = threads.min(records.len().div_ceil(RANGE_SHIPMENTS * RANGES_PER_THREAD)).max(1);
    let bytes = ordinals_bytes + threads * IDS_BYTES;
    // The allocator would keep the memory; a map is returned to the system at once.
    let map = MmapOptions::new().len(bytes).map_anon();
    let mut map = map.map_err(|source| ArenaError::Map { bytes, source })?;
    let (ordinals, ids) = map.split_at_mut(ordinals_bytes);
    let lows: Vec<Mutex<&mut [u8]>> = ordinals.chunks_mut(RANGE_BYTES).map(Mutex::new).collect();
    let ids = Mutex::new(ids.chunks_exact_mut(IDS_BYTES));
    let grouped = in_parallel(threads, lows.len(), || {
        let (mut interner, mut grouper) =
            (values.interner(threads), Grouper::new(mutex::lock(&ids).next().unwrap_or_default()));
        let mut gauge = Gauge::default();
        let lows = &lows;
        move |range| {
            if cancel.is_cancelled() {
                return Default::default();
            }
            for ordinal in range * RANGE_SHIPMENTS..records.len().min((range + 1) * RANGE_SHIPMENTS) {
                let record = records.at(ordinal as u32);
                grouper.add(value_ids.of(&record, |place| interner.place(place)));
            }
            // What is too much shows below.
            let _ = gauge.set(interner.bytes() + grouper.counts.capacity() * size_of::<u32>(), account);
            grouper.take(&mut mutex::lock(&lows[range]))
        }
    });
    cancel.check()?;
    drop(lows);
    let lows = map[..ordinals_bytes].chunks(RANGE_BYTES);
    let ranges: Vec<Range<'_>> = grouped.into_iter().zip(lows).map(|(values, lows)| Range { values, lows }).collect();
    let map_bytes = (ranges.iter().map(Range::bytes).sum::<usize>() + threads * IDS_BYTES) as u64;
    let counts_bytes =
        size_of::<ValueCount>() * ranges.iter().flat_map(|range| &range.values).map(Vec::capacity).sum::<usize>();
    account.take(map_bytes + (counts_bytes + values.bytes()) as u64)?;
    let facets = in_parallel(threads, FACETS, || |facet| collect(Facet::ALL[facet], &ranges));
    account.take(facets.iter().map(FacetPostings::bytes).sum())?;
    account.give_back(map_bytes);
    Ok(<[FacetPostings; FACETS]>::try_from(facets).unwrap_or_default())
}

/// Id of a value, and the number of shipments of a range with it.
type ValueCount = (u32, u32);

/// Shipments of a range, grouped by value.
struct Range<'m> {
    /// Values of each facet.
    values: [Vec<ValueCount>; FACETS],
    /// Lower bits of the shipments' ordinals, for each facet and each value in the order of `values`, ascending; unless
    /// the facet has only one, see [`ALL_LOWS`].
    lows: &'m [u8],
}

impl Range<'_> {
    /// Size of the ordinals that were written.
    fn bytes(&self) -> usize {
        let written = self.values.iter().filter(|values| values.len() > 1).count();
        written * self.lows.len() / FACETS
    }

    /// Ids and shipments of the values of `facet`.
    fn of(&self, facet: Facet) -> impl Iterator<Item = (u32, &[u8])> {
        let bytes = self.lows.len() / FACETS;
        let values = &self.values[facet as usize];
        let of_facet = if values.len() == 1 { &ALL_LOWS[..] } else { &self.lows[bytes * facet as usize..] };
        let mut rest = &of_facet[..bytes];
        values.iter().map(move |(id, count)| {
            let (lows, others) = rest.split_at(*count as usize * LOW_BYTES);
            rest = others;
            (*id, lows)
        })
    }
}

/// Ordinals in a range, given by their lower bits.
fn ordinals(range: u32, lows: &[u8]) -> impl Iterator<Item = u32> {
    let lows = lows.as_chunks::<LOW_BYTES>().0.iter();
    lows.map(move |low| range << RANGE_BITS | u32::from(u16::from_le_bytes(*low)))
}

/// Groups the shipments of a range by their values.
struct Grouper<'m> {
    /// Value ids of the shipments so far, for each facet.
    ids: [&'m mut [[u8; ID_BYTES]]; FACETS],
    shipments: usize,
    /// Counts by id; all zero between two facets.
    counts: Vec<u32>,
}

impl<'m> Grouper<'m> {
    /// Creates a grouper that works in `buffer`, of which each facet uses an equal part.
    fn new(buffer: &'m mut [u8]) -> Grouper<'m> {
        let bytes = buffer.len() / FACETS;
        let mut ids = buffer.chunks_mut(bytes.max(1));
        let ids = std::array::from_fn(|_| ids.next().unwrap_or_default().as_chunks_mut().0);
        Grouper { ids, shipments: 0, counts: Vec::new() }
    }

    fn add(&mut self, ids: [u32; FACETS]) {
        for (of_facet, id) in self.ids.iter_mut().zip(ids) {
            of_facet[self.shipments] = id.to_le_bytes();
        }
        self.shipments += 1;
    }

    /// Groups the shipments that were added: writes their ordinals to `lows` as in [`Range::lows`], and starts again.
    fn take(&mut self, lows: &mut [u8]) -> [Vec<ValueCount>; FACETS] {
        let bytes = lows.len() / FACETS;
        let mut lows = lows.chunks_mut(bytes);
        let shipments = std::mem::take(&mut self.shipments);
        self.ids.each_ref().map(|ids| group_facet(&ids[..shipments], &mut self.counts, lows.next().unwrap_or_default()))
    }
}

fn group_facet(ids: &[[u8; ID_BYTES]], counts: &mut Vec<u32>, lows: &mut [u8]) -> Vec<ValueCount> {
    let ids = || ids.iter().map(|id| u32::from_le_bytes(*id));
    let values_max = ids().max().map_or(0, |max| max as usize + 1);
    counts.resize(counts.len().max(values_max), 0);
    let mut values = Vec::new();
    for id in ids() {
        let count = &mut counts[id as usize];
        if *count == 0 {
            values.push((id, 0));
        }
        *count += 1;
    }
    if let [(only, count)] = &mut values[..] {
        // Nothing is written, so that no memory is taken.
        *count = std::mem::take(&mut counts[*only as usize]);
        return values;
    }
    // From here on `counts` has the position of each value's next shipment.
    let mut next = 0;
    for (id, count) in &mut values {
        *count = std::mem::replace(&mut counts[*id as usize], next);
        next += *count;
    }
    let lows = lows.as_chunks_mut::<LOW_BYTES>().0;
    for (low, id) in ids().enumerate() {
        let place = &mut counts[id as usize];
        lows[*place as usize] = (low as u16).to_le_bytes();
        *place += 1;
    }
    for (id, _) in &values {
        counts[*id as usize] = 0;
    }
    values
}

/// Merges the shipments of all ranges to the postings of `facet`.
fn collect(facet: Facet, ranges: &[Range<'_>]) -> FacetPostings {
    let mut values = count(facet, ranges);
    let listed_max = (ranges.len() * LISTED_PER_RANGE) as u32;
    let (mut listed, mut bitmaps_len) = (0, 0);
    for value in &mut values {
        let next = if value.count <= listed_max { &mut listed } else { &mut bitmaps_len };
        value.start = *next;
        *next += if value.count <= listed_max { value.count } else { 1 };
    }
    let mut lists = vec![0; listed as usize];
    let mut parts = vec![Vec::new(); bitmaps_len as usize];
    for (range, of_range) in (0..).zip(ranges) {
        for (id, lows) in of_range.of(facet) {
            let value = &mut values[id as usize];
            if value.count > listed_max {
                parts[value.start as usize].push((range, lows));
            } else if value.count > 0 {
                for ordinal in ordinals(range, lows) {
                    lists[value.start as usize] = ordinal;
                    value.start += 1;
                }
            }
        }
    }
    for value in values.iter_mut().filter(|value| value.count <= listed_max) {
        value.start -= value.count;
    }
    let mut by_count: Vec<u32> = (0..).zip(&values).filter(|(_, value)| value.count > 0).map(|(at, _)| at).collect();
    // Equally frequent values are in the order of ids, which is about that of their first rows in the file.
    by_count.sort_unstable_by_key(|id| (Reverse(values[*id as usize].count), *id));
    FacetPostings {
        values: values.into_boxed_slice(),
        listed_max,
        lists: lists.into_boxed_slice(),
        bitmaps: parts.iter().map(|parts| bitmap(parts)).collect(),
        by_count: by_count.into_boxed_slice(),
    }
}

/// Counts the shipments of each value of `facet`.
fn count(facet: Facet, ranges: &[Range<'_>]) -> Vec<Value> {
    let mut values = Vec::new();
    for (id, count) in ranges.iter().flat_map(|range| &range.values[facet as usize]) {
        let id = *id as usize;
        if values.len() <= id {
            values.resize(id + 1, Value::default());
        }
        values[id].count += count;
    }
    if let Some(nothing) = values.get_mut(NO_VALUE as usize).filter(|_| !FacetKind::of(facet).counts_no_value()) {
        nothing.count = 0;
    }
    values
}

/// Builds a bitmap of shipments, given range by range.
fn bitmap(parts: &[(u32, &[u8])]) -> RoaringBitmap {
    let mut bitmap = RoaringBitmap::new();
    for (range, lows) in parts {
        // This cannot fail, since ordinals ascend.
        let _ = bitmap.append(ordinals(*range, lows));
    }
    // A copy has no spare capacity.
    bitmap.clone()
}

/// Runs `tasks` tasks on so many threads, of which this one is one; each creates a worker of its own. Returns the
/// results in order.
pub(super) fn in_parallel<T: Send, Worker: FnMut(usize) -> T>(
    threads: usize,
    tasks: usize,
    worker: impl Fn() -> Worker + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut worker, mut done) = (worker(), Vec::new());
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return done;
            }
            done.push((task, worker(task)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(tasks)).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(task, _)| *task);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_grouped_by_value_and_the_next_one_afresh() {
        let mut buffer = [0; 6 * FACETS * ID_BYTES];
        let mut grouper = Grouper::new(&mut buffer);
        for _ in 0..2 {
            for id in [7, 0, 7, 3, 0, 7] {
                grouper.add([id, 1, id, id, id, id, id]);
            }
            let mut lows = [0; 6 * FACETS * LOW_BYTES];
            let values = grouper.take(&mut lows);
            assert_eq!(values[0], [(7, 3), (0, 2), (3, 1)]);
            let range = Range { values, lows: &lows };
            let by_value: Vec<(u32, Vec<u32>)> =
                range.of(Facet::ALL[0]).map(|(id, lows)| (id, ordinals(1, lows).collect())).collect();
            let expected = [(7, vec![0, 2, 5]), (0, vec![1, 4]), (3, vec![3])];
            assert_eq!(by_value, expected.map(|(id, lows)| (id, lows.iter().map(|low| 65536 + low).collect())));
            assert_eq!(range.of(Facet::ALL[1]).map(|(id, lows)| (id, lows.len())).collect::<Vec<_>>(), [(1, 12)]);
        }
    }

    #[test]
    fn results_come_in_order_from_any_number_of_threads() {
        for (threads, tasks) in [(0, 3), (1, 5), (3, 100), (8, 2), (4, 0)] {
            let squares = in_parallel(threads, tasks, || |task| task * task);
            assert_eq!(squares, (0..tasks).map(|task| task * task).collect::<Vec<_>>());
        }
    }
}
