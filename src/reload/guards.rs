//! What a load must not do: take more memory than there is, or lose too many shipments.

use super::{ReloadError, ReloadSettings};
use crate::dataset::Changes;
use crate::load::{LoadError, Progress};
use crate::memory::{self, Available, Forecast, RoughForecast};
use crate::store::Snapshot;

/// Refuses a load that would not fit: by the size of the file, and by what the served dataset took of its own. The
/// served dataset, and the one kept from before, are part of what is used already.
pub(super) fn check_memory(settings: &ReloadSettings, served: Option<&Snapshot>) -> Result<(), ReloadError> {
    // Where the file cannot be looked at, the load says why.
    let (Ok(metadata), Some(available)) = (std::fs::metadata(&settings.data), memory::available()) else {
        return Ok(());
    };
    let file_bytes = metadata.len();
    let needed = match served {
        Some(served) => {
            let forecast = Forecast::new(&served.dataset, &served.summary, settings.load.threads);
            let scaled = u128::from(forecast.load_bytes) * u128::from(file_bytes);
            (scaled / u128::from(served.summary.file_bytes.max(1))) as u64
        }
        None => {
            let rough = RoughForecast::new(file_bytes);
            if (rough.bytes_min..rough.bytes_usual).contains(&available.bytes) {
                tracing::warn!(
                    file_mib = file_bytes >> 20,
                    usual_mib = rough.bytes_usual >> 20,
                    left_mib = available.bytes >> 20,
                    of = available.limit,
                    "a file of this size often needs more memory than is left"
                );
            }
            rough.bytes_min
        }
    };
    if available.bytes < needed {
        return Err(ReloadError::InsufficientMemory { file_bytes, needed, available });
    }
    Ok(())
}

/// Memory that a load leaves for what is served meanwhile; a smaller file leaves its own size.
const RESERVE_BYTES: u64 = 4 << 20;
/// What putting the dataset together takes at the end of a load, for each row of the file.
const FINISH_ROW_BYTES: u64 = 8;

/// Looks on while a load takes memory, and stops it before it takes the last: forecasts can be wrong where the new data
/// is of another kind, and an allocation that fails ends the process.
pub(super) struct MemoryGuard {
    /// What was left before the load, and at the last look.
    left_before: u64,
    left_last: u64,
    /// The most that was taken between two looks.
    step_bytes_max: u64,
    refusal: Option<ReloadError>,
}

impl MemoryGuard {
    /// Of a load that begins with so much memory left.
    pub(super) fn new(available: Option<Available>) -> MemoryGuard {
        let left = available.map_or(u64::MAX, |available| available.bytes);
        MemoryGuard { left_before: left, left_last: left, step_bytes_max: 0, refusal: None }
    }

    /// Stops the load if what is left could be gone at the next look.
    pub(super) fn look(&mut self, progress: &Progress, available: Option<Available>) {
        let Some(available) = available else { return };
        let left = available.bytes;
        self.step_bytes_max = self.step_bytes_max.max(self.left_last.saturating_sub(left));
        self.left_last = left;
        let read_bytes = progress.bytes();
        let file_bytes = progress.bytes_total;
        let taken = u128::from(self.left_before.saturating_sub(left));
        let unread = u128::from(file_bytes.saturating_sub(read_bytes));
        let rest = u64::try_from(taken * unread / u128::from(read_bytes.max(1))).unwrap_or(u64::MAX);
        let reserve = RESERVE_BYTES.min(file_bytes) + progress.rows() * FINISH_ROW_BYTES;
        if left < reserve + rest.min(2 * self.step_bytes_max) {
            let needed = rest.saturating_add(reserve);
            self.refusal = Some(ReloadError::MemoryRunsOut { read_bytes, file_bytes, needed, available });
            progress.stop();
        }
    }

    /// The load's error, or why it was stopped.
    pub(super) fn explain(self, error: LoadError) -> ReloadError {
        match (error, self.refusal) {
            (LoadError::Stopped { .. }, Some(refusal)) => refusal,
            (error, _) => error.into(),
        }
    }
}

/// Refuses a dataset of `shipments` shipments that differs from what is served by `changes` where that is too much.
pub(super) fn check_shipments(
    settings: &ReloadSettings,
    served: Option<&Snapshot>,
    shipments: u64,
    changes: Changes,
) -> Result<(), ReloadError> {
    let min = settings.shipments_min;
    if shipments < min {
        return Err(ReloadError::TooFewShipments { shipments, min });
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

    const MIB: u64 = 1 << 20;

    fn available(mib: u64) -> Available {
        Available { bytes: mib * MIB, limit: "the test" }
    }

    /// Looks at a load of a file of 100 MiB: after how many of them, so much is left. Where it was stopped.
    fn stopped_at(left_before: u64, looks: &[(u64, u64)]) -> Option<u64> {
        let mut progress = Progress::default();
        progress.bytes_total = 100 * MIB;
        let mut guard = MemoryGuard::new(Some(available(left_before)));
        for (read, left) in looks {
            progress.add(read * MIB - progress.bytes(), 0);
            guard.look(&progress, Some(available(*left)));
            if progress.is_stopped() {
                let error = guard.explain(LoadError::Stopped { path: "x".into() });
                assert!(matches!(error, ReloadError::MemoryRunsOut { needed, .. } if needed > left * MIB), "{error}");
                return Some(*read);
            }
        }
        None
    }

    #[test]
    fn a_load_that_fits_is_not_stopped() {
        assert_eq!(stopped_at(60, &[(50, 35), (90, 15), (100, 10)]), None);
        assert_eq!(stopped_at(60, &[(1, 60), (2, 60), (100, 60)]), None);
        // More memory came free meanwhile.
        assert_eq!(stopped_at(60, &[(50, 80), (100, 50)]), None);
    }

    #[test]
    fn a_load_is_stopped_before_the_next_look_finds_nothing_left() {
        assert_eq!(stopped_at(100, &[(10, 80), (20, 60), (30, 40), (40, 20)]), Some(30));
        assert_eq!(stopped_at(100, &[(10, 100), (20, 3)]), Some(20));
        assert_eq!(stopped_at(100, &[(99, 50), (100, 3)]), Some(100));
    }

    #[test]
    fn a_small_file_needs_no_more_than_its_size() {
        let mut progress = Progress::default();
        progress.bytes_total = 1000;
        let mut guard = MemoryGuard::new(Some(available(1)));
        progress.add(1000, 10);
        guard.look(&progress, Some(available(1)));
        assert!(!progress.is_stopped());
    }

    #[test]
    fn other_errors_of_a_load_stay_as_they_are() {
        let mut progress = Progress::default();
        let mut guard = MemoryGuard::new(Some(available(1)));
        progress.bytes_total = MIB;
        guard.look(&progress, Some(available(0)));
        assert!(progress.is_stopped());
        let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
        let error = guard.explain(LoadError::Unreadable { path: "x".into(), operation: "open", source: gone });
        assert!(matches!(error, ReloadError::Load(LoadError::Unreadable { .. })));
    }
}
