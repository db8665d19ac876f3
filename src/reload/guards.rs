//! Guards of a load: it must not take more memory than there is, nor drop too many shipments.

use super::report::ReloadError;
use super::settings::ReloadSettings;
use crate::dataset::{ArenaError, Changes};
use crate::load::{LoadError, Progress, SizeEstimate, in_proportion};
use crate::memory::{self, Available, Forecast, RoughForecast};
use crate::shard::Shard;
use crate::source::Opened;
use crate::store::Snapshot;

/// Refuses a load that would not fit in memory, judging by the size of the file and the memory that the served dataset
/// took for its own. The served dataset and the one kept for a rollback, together `held_bytes`, count as used. Returns
/// the guard of the load; `None` if the kernel does not tell how much memory is available.
pub(super) fn check_memory(
    settings: &ReloadSettings,
    opened: &Opened,
    served: Option<&Snapshot>,
    held_bytes: u64,
) -> Result<Option<MemoryGuard>, ReloadError> {
    // If the file cannot be read, the load will say why.
    let file = SizeEstimate::of(opened, served.map(|served| &served.summary)).unwrap_or_default();
    let file_bytes = file.file_bytes;
    // What a small dataset takes is mostly the same for any.
    let alike = served.filter(|served| served.summary.content_bytes >= ALIKE_BYTES_MIN);
    let estimate = match alike {
        Some(served) => {
            let forecast = Forecast::new(&served.dataset, &served.summary);
            let content_bytes = served.summary.content_bytes;
            let in_proportion = |content| in_proportion(forecast.load_bytes, content, content_bytes);
            let reused_max = forecast.load_bytes.saturating_sub(forecast.dataset_bytes);
            (in_proportion(file.content_bytes_min), in_proportion(file.content_bytes_usual), reused_max)
        }
        None => {
            let rough = RoughForecast::new(&file);
            let parts = u64::from(settings.load.shard.map_or(1, Shard::count));
            (rough.bytes_min / parts, rough.bytes_usual / parts, 0)
        }
    };
    let Some(mut available) = memory::available() else { return Ok(None) };
    if served.is_some() && available.bytes < estimate.0 {
        // The allocator may still hold what the previous load freed.
        #[expect(clippy::disallowed_methods, reason = "what is waited for is the allocator's clock")]
        std::thread::sleep(memory::PURGE_DELAY);
        memory::purge();
        available = memory::available().unwrap_or(available);
    }
    // What it goes on holding serves for all but the records.
    let reused = memory::free_bytes(held_bytes).min(estimate.2);
    let [needed, usual] = [estimate.0, estimate.1].map(|bytes| bytes.saturating_sub(reused));
    let lacks = |available: &Available| available.bytes < needed;
    if lacks(&available) {
        return Err(ReloadError::InsufficientMemory { file_bytes, needed, available });
    }
    if available.bytes < usual {
        tracing::warn!(
            file_mib = file_bytes >> 20,
            usual_mib = usual >> 20,
            left_mib = available.bytes >> 20,
            of = available.limit,
            "a file of this size often needs more memory than is left"
        );
    }
    Ok(Some(MemoryGuard { reused, ..MemoryGuard::new(&file, needed, available) }))
}

/// Bytes of content from which on a dataset tells what a larger one would take.
const ALIKE_BYTES_MIN: u64 = 8 << 20;

/// Memory that a load leaves for serving; a file with less content leaves the size of its content.
const RESERVE_BYTES: u64 = 8 << 20;

/// From this part of the file on, memory grows evenly with what is read.
const STARTED_SHARE: u64 = 20;

/// Number of steps of the largest size that must still fit, since the time between observations grows.
const STEPS_AHEAD: u64 = 2;

/// Observes the memory during a load, and stops it before memory runs out: the estimate can be wrong for data of
/// another kind, and an allocation that fails ends the process.
pub(super) struct MemoryGuard {
    file: SizeEstimate,
    /// Bytes that the load was estimated to take.
    needed: u64,
    /// Memory available before the load.
    available: Available,
    /// Bytes that the allocator held before, for the load to use.
    reused: u64,
    /// Bytes read and bytes taken for them when memory began to grow evenly.
    start: Option<(u64, u64)>,
    grown_last: u64,
    /// The most that was taken between two observations, since `start` once that is set.
    step_bytes_max: u64,
    refusal: Option<ReloadError>,
}

impl MemoryGuard {
    /// Creates the guard of a load of `file` that is estimated to take `needed` bytes, with `available` memory at its
    /// start.
    fn new(file: &SizeEstimate, needed: u64, available: Available) -> MemoryGuard {
        MemoryGuard {
            file: *file,
            needed,
            available,
            reused: 0,
            start: None,
            grown_last: 0,
            step_bytes_max: 0,
            refusal: None,
        }
    }

    /// Bytes that the load may take.
    pub(super) fn bytes_max(&self) -> u64 {
        self.available.bytes + self.reused
    }

    /// Stops the load if the available memory could be gone at the next observation.
    pub(super) fn observe(&mut self, progress: &Progress, available: Available) {
        let left = available.bytes;
        let (read_bytes, file_bytes) = (progress.bytes(), progress.bytes_total);
        let unread = file_bytes.saturating_sub(read_bytes);
        let taken = self.available.bytes.saturating_sub(left);
        let counted = progress.memory();
        let grown = taken.saturating_sub(counted.fixed);
        self.step_bytes_max = self.step_bytes_max.max(grown.saturating_sub(self.grown_last));
        self.grown_last = grown;
        // The unread part takes at most as much per byte as the part before, or after `start` once that is set.
        let mut rest = in_proportion(grown, unread, read_bytes);
        if read_bytes >= file_bytes / STARTED_SHARE {
            let (start_read, start_grown) = *self.start.get_or_insert_with(|| {
                self.step_bytes_max = 0;
                (read_bytes, grown)
            });
            rest = rest.min(in_proportion(grown.saturating_sub(start_grown), unread, read_bytes - start_read));
        } else if taken <= self.needed && left >= self.needed - taken {
            // Much is taken at once at the start, which means nothing as long as it is within the estimate.
            return;
        }
        let ahead = rest.min(STEPS_AHEAD * self.step_bytes_max);
        // What is counted for reading and not taken yet will be.
        let pending = if unread > 0 { counted.taken.saturating_sub(taken + self.reused) } else { 0 };
        let reserve = RESERVE_BYTES.min(self.file.content_bytes_usual);
        if left < ahead + pending + counted.ahead + reserve {
            self.refusal = Some(ReloadError::MemoryRunsOut { read_bytes, file_bytes, taken, available });
            progress.stop();
        }
    }

    /// Turns the load's error into why the guard stopped it, if it did.
    pub(super) fn explain(self, error: LoadError) -> ReloadError {
        match (error, self.refusal) {
            (LoadError::Stopped { .. }, Some(refusal)) => refusal,
            (LoadError::TooLarge { source: ArenaError::TooMany { needed, .. }, .. }, _) => {
                ReloadError::InsufficientMemory { file_bytes: self.file.file_bytes, needed, available: self.available }
            }
            (error, _) => error.into(),
        }
    }
}

/// Refuses a dataset that has too few shipments, or drops too many of those `served`.
pub(super) fn check_shipments(
    settings: &ReloadSettings,
    served: Option<&Snapshot>,
    shipments: u64,
    changes: Changes,
) -> Result<(), ReloadError> {
    let min = settings.shipments_min;
    if shipments < min {
        return Err(ReloadError::TooFewShipments { shipments, shard: settings.load.shard, min });
    }
    let served = served.map_or(0, |served| served.dataset.shipment_count());
    let percent_max = settings.removed_percent_max;
    if changes.removed as f64 * 100.0 > percent_max * served as f64 {
        return Err(ReloadError::TooManyRemoved { removed: changes.removed, served, percent_max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceError;

    const MIB: u64 = 1 << 20;

    fn available(mib: u64) -> Available {
        Available { bytes: mib * MIB, limit: "the test" }
    }

    fn plain(bytes: u64) -> SizeEstimate {
        SizeEstimate { file_bytes: bytes, content_bytes_min: bytes, content_bytes_usual: bytes }
    }

    fn guard(left_before_mib: u64) -> MemoryGuard {
        MemoryGuard::new(&plain(100 * MIB), 0, available(left_before_mib))
    }

    /// Observes a load of a file of 100 MiB: MiB read, and MiB left then. Returns where it was stopped.
    fn stopped_at(mut guard: MemoryGuard, observations: &[(u64, u64)]) -> Option<u64> {
        let mut progress = Progress::default();
        progress.bytes_total = 100 * MIB;
        for (read, left) in observations {
            progress.add(read * MIB - progress.bytes(), 0);
            guard.observe(&progress, available(*left));
            if progress.is_stopped() {
                let error = guard.explain(LoadError::Stopped { path: "x".into() });
                assert!(matches!(error, ReloadError::MemoryRunsOut { read_bytes, .. } if read_bytes == read * MIB));
                return Some(*read);
            }
        }
        None
    }

    #[test]
    fn a_load_that_fits_is_not_stopped() {
        assert_eq!(stopped_at(guard(60), &[(1, 59), (5, 57), (50, 35), (90, 15), (100, 10)]), None);
        assert_eq!(stopped_at(guard(60), &[(1, 60), (2, 60), (100, 60)]), None);
        // Much is taken at the start, and little later.
        assert_eq!(stopped_at(guard(90), &[(0, 88), (5, 65), (30, 52), (60, 38), (100, 20)]), None);
        // More memory came free meanwhile.
        assert_eq!(stopped_at(guard(60), &[(50, 80), (100, 50)]), None);
    }

    #[test]
    fn a_load_is_stopped_before_nothing_is_left() {
        assert_eq!(stopped_at(guard(100), &[(1, 99), (10, 80), (20, 60), (30, 40), (40, 20)]), Some(30));
        assert_eq!(stopped_at(guard(100), &[(10, 100), (20, 3)]), Some(20));
        assert_eq!(stopped_at(guard(100), &[(0, 98), (0, 90), (0, 60), (0, 40)]), Some(0));
        assert_eq!(stopped_at(guard(100), &[(50, 70), (99, 55), (100, 3)]), Some(100));
    }

    #[test]
    fn what_is_taken_at_the_start_as_estimated_stops_nothing() {
        let estimated = || MemoryGuard::new(&plain(100 * MIB), 47 * MIB, available(49));
        assert_eq!(stopped_at(estimated(), &[(0, 40), (2, 25), (6, 23), (50, 16), (100, 8)]), None);
        // More than estimated, or taken by others.
        assert_eq!(stopped_at(estimated(), &[(0, 40), (2, 1)]), Some(2));
        assert_eq!(stopped_at(estimated(), &[(0, 40), (2, 25), (6, 23), (10, 3)]), Some(10));
    }

    #[test]
    fn a_small_file_needs_no_more_than_its_size() {
        let mut progress = Progress::default();
        progress.bytes_total = 1000;
        let mut small = MemoryGuard::new(&plain(1000), 0, available(1));
        progress.add(1000, 10);
        small.observe(&progress, available(1));
        assert!(!progress.is_stopped());
    }

    #[test]
    fn other_errors_of_a_load_stay_as_they_are() {
        let mut progress = Progress::default();
        let mut guard = guard(1);
        progress.bytes_total = MIB;
        guard.observe(&progress, available(0));
        assert!(progress.is_stopped());
        let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
        let gone = SourceError::Unreadable { path: "x".into(), operation: "open", source: gone };
        let error = guard.explain(gone.into());
        assert!(matches!(error, ReloadError::Load(LoadError::Source(SourceError::Unreadable { .. }))));
    }

    #[test]
    fn shipments_that_cannot_fit_are_told_with_the_figures() {
        let source = ArenaError::TooMany { needed: 5 * MIB, max: 2 * MIB };
        let error = guard(2).explain(LoadError::TooLarge { path: "x".into(), source });
        let expected = "loading a file of 100 MiB needs about 5 MiB and 2 MiB are left of the test";
        assert_eq!(error.to_string(), expected);
    }
}
