//! Outcomes of loads and rollbacks, for callers and for the log.

use std::sync::Arc;

use jiff::Timestamp;

use super::settings::Request;
use crate::batch::SHIPMENT_BYTES_MAX;
use crate::cancel::Cancelled;
use crate::dataset::{Changes, Dataset, Unmapped};
use crate::load::{LoadError, Summary};
use crate::memory::Available;
use crate::shard::Shard;
use crate::stages::StatusMapError;
use crate::truncate::truncate;

/// Outcome of a load or a rollback that did not fail.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// A new dataset is served (or would be, if this was no dry run).
    Published {
        /// Generation of the new dataset.
        generation: u64,
        /// Version of the new dataset.
        version: String,
        /// Number of its shipments.
        shipments: u64,
        /// Difference to what was served until then.
        changes: Changes,
        /// Wall time of the load that made it; after a rollback, that of the earlier load.
        load_seconds: f64,
    },
    /// The file has the version that is already served.
    Unchanged {
        /// Generation that is served.
        generation: u64,
        /// Its version.
        version: String,
        /// Number of its shipments.
        shipments: u64,
        /// Wall time of the load.
        load_seconds: f64,
    },
}

impl Report {
    /// Name for operators.
    pub fn result(&self) -> &'static str {
        match self {
            Report::Published { .. } => "ok",
            Report::Unchanged { .. } => "unchanged",
        }
    }
}

/// Reason why a load or a rollback failed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file did not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The status map cannot be used.
    #[error(transparent)]
    StatusMap(#[from] StatusMapError),
    /// The file has fewer shipments than the settings allow.
    #[error("{shipments} shipments{}, at least {min} expected (--min-shipments)", of_shard(*shard))]
    TooFewShipments {
        /// Number of shipments in the file.
        shipments: u64,
        /// Shard that they are counted on; `None` if the process has all shipments.
        shard: Option<Shard>,
        /// Limit of the settings.
        min: u64,
    },
    /// The file drops more shipments than the settings allow.
    #[error(
        "{removed} of {served} shipments would be gone, more than {percent_max} % (--max-removed-percent); \
         if that is right, reload with ?force=true"
    )]
    TooManyRemoved {
        /// Number of shipments that are served and not in the file.
        removed: u64,
        /// Number of shipments that are served.
        served: u64,
        /// Limit of the settings.
        percent_max: f64,
    },
    /// The new dataset would not fit in memory beside the served one and the one kept for a rollback.
    #[error(
        "loading a file of {} MiB needs about {} MiB and {} MiB are left of {}",
        file_bytes >> 20, needed >> 20, available.bytes >> 20, available.limit
    )]
    InsufficientMemory {
        /// Size of the file.
        file_bytes: u64,
        /// Estimated bytes: what the served dataset took, in proportion; for a first load, the least that such a file
        /// takes.
        needed: u64,
        /// Memory that is available.
        available: Available,
    },
    /// The load was stopped before it took the last of the memory.
    #[error(
        "memory runs out: {} of {} MiB of the file took {} MiB, and {} MiB are left of {}",
        read_bytes >> 20, file_bytes >> 20, taken >> 20, available.bytes >> 20, available.limit
    )]
    MemoryRunsOut {
        /// Bytes of the file that were loaded.
        read_bytes: u64,
        /// Size of the file.
        file_bytes: u64,
        /// Bytes of memory that they took.
        taken: u64,
        /// Memory that was left.
        available: Available,
    },
    /// No dataset is kept to roll back to.
    #[error("no dataset from before is kept (with --keep-previous one is, from the first reload on)")]
    NoPrevious,
    /// The reload was cancelled.
    #[error("the reload was {0}")]
    Cancelled(#[from] Cancelled),
    /// A bug in the loader.
    #[error("the loader panicked; the log has the message")]
    Panicked,
    /// The process is shutting down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl ReloadError {
    /// Returns whether `--watch` must not load the same state of the file again: it would only be refused again, or
    /// cost too much to try unasked.
    pub(super) fn is_permanent(&self) -> bool {
        match self {
            ReloadError::Load(LoadError::Refused { .. } | LoadError::TooLarge { .. })
            | ReloadError::TooFewShipments { .. }
            | ReloadError::TooManyRemoved { .. }
            | ReloadError::MemoryRunsOut { .. }
            | ReloadError::Cancelled(_)
            | ReloadError::Panicked => true,
            ReloadError::Load(LoadError::Source(_) | LoadError::Stopped { .. })
            | ReloadError::StatusMap(_)
            | ReloadError::InsufficientMemory { .. }
            | ReloadError::NoPrevious
            | ReloadError::ShuttingDown => false,
        }
    }
}

fn of_shard(shard: Option<Shard>) -> String {
    shard.map_or(String::new(), |shard| format!(" on shard {} of {}", shard.index(), shard.count()))
}

/// Result of a load or a rollback, shared by all its callers.
pub type Outcome = Arc<Result<Report, ReloadError>>;

/// The last reload that was not a dry run.
#[derive(Clone, Debug)]
pub struct LastReload {
    /// When it ended.
    pub at: Timestamp,
    /// Its outcome.
    pub outcome: Outcome,
}

/// Outcomes of all reloads but dry runs, and of looks at the source. The first load and rollbacks are no reloads.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The last reload; `None` before the first.
    pub last: Option<LastReload>,
    /// Number of reloads that published a new dataset.
    pub published: u64,
    /// Number of reloads that found the version that was already served.
    pub unchanged: u64,
    /// Number of reloads that were cancelled.
    pub cancelled: u64,
    /// Number of reloads that were refused or failed.
    pub failed: u64,
    /// End of the last reload that was neither refused nor failed.
    pub last_success: Option<Timestamp>,
    /// Number of times that `--watch` found the source.
    pub checks_ok: u64,
    /// Number of times that `--watch` did not find the source, or could not look.
    pub checks_failed: u64,
}

impl History {
    pub(super) fn add(&mut self, reload: LastReload) {
        match reload.outcome.as_ref() {
            Ok(Report::Unchanged { .. }) => self.unchanged += 1,
            Ok(_) => self.published += 1,
            Err(ReloadError::Cancelled(_)) => self.cancelled += 1,
            Err(_) => self.failed += 1,
        }
        if reload.outcome.is_ok() {
            self.last_success = Some(reload.at);
        }
        self.last = Some(reload);
    }

    /// Counts a look at the source.
    pub(super) fn add_check(&mut self, is_ok: bool) {
        *(if is_ok { &mut self.checks_ok } else { &mut self.checks_failed }) += 1;
    }
}

const NO_FINAL_NEWLINE: &str = "the last line has no line break: was the file cut?";

/// Logs what was tolerated in the file. `served` is the one that it may replace.
pub(super) fn log_warnings(summary: &Summary, served: Option<&Summary>) {
    if !summary.ignored_columns.is_empty() {
        tracing::info!(columns = ?summary.ignored_columns, "columns that nothing needs are ignored");
    }
    if summary.final_newline_missing {
        // Many editors and tools write no last line break. An export that had one until now was probably cut.
        if served.is_some_and(|served| !served.final_newline_missing) {
            tracing::warn!("{NO_FINAL_NEWLINE}");
        } else {
            tracing::info!("{NO_FINAL_NEWLINE}");
        }
    }
    if summary.bad_rows > 0 {
        tracing::warn!(bad_rows = summary.bad_rows, "bad rows were left out");
    }
    if let Some(unmapped) = summary.unmapped.as_ref().filter(|unmapped| unmapped.shipments > 0) {
        let Unmapped { shipments, statuses, .. } = unmapped;
        tracing::warn!(shipments, statuses, "statuses without a stage");
    }
    for error in &summary.errors {
        tracing::warn!(line = error.line, column = error.column, reason = error.reason, "left out");
    }
}

/// Most shipments that are named because they are too large.
const NAMED_LARGE_MAX: usize = 5;
/// Longest tracking number or carrier that is logged of them, in characters.
const NAMED_CHARS_MAX: usize = 80;

/// Warns of shipments that no batch or page can have, because they alone are over the limit of a response.
pub(super) fn log_large_shipments(dataset: &Dataset) {
    let mut large = dataset.shipments_longer_than(SHIPMENT_BYTES_MAX);
    for (shipment, bytes) in large.by_ref().take(NAMED_LARGE_MAX) {
        let (carrier, tracking_number) = (shipment.carrier(), shipment.tracking_number());
        let (carrier, _) = truncate(&carrier, NAMED_CHARS_MAX);
        let (tracking_number, _) = truncate(&tracking_number, NAMED_CHARS_MAX);
        tracing::warn!(carrier, tracking_number, bytes, "a shipment is too large for batches and pages");
    }
    let others = large.count();
    if others > 0 {
        tracing::warn!(others, "further shipments are too large for batches and pages");
    }
}

pub(super) fn log_reload(request: Request, outcome: &Outcome) {
    if let Err(ReloadError::Load(LoadError::Refused { errors, .. })) = outcome.as_ref() {
        for error in errors {
            tracing::error!(line = error.line, column = error.column, reason = error.reason, "refused");
        }
    }
    match outcome.as_ref() {
        Ok(report @ Report::Published { .. }) if request.dry_run => {
            log_published("dry run: the file would be served", report);
        }
        Ok(Report::Unchanged { generation, version, .. }) if request.dry_run => {
            tracing::info!(generation, version, "dry run: the file has not changed");
        }
        Err(ReloadError::Cancelled(_)) if request.dry_run => tracing::info!("dry run: cancelled"),
        Err(error) if request.dry_run => tracing::info!(%error, "dry run: the file would not be served"),
        Ok(report @ Report::Published { .. }) => log_published("reloaded", report),
        Ok(Report::Unchanged { generation, version, .. }) => {
            tracing::info!(generation, version, "the file has not changed");
        }
        Err(error) => tracing::error!(%error, "not reloaded; what was served is still served"),
    }
}

pub(super) fn log_rollback(outcome: &Outcome) {
    match outcome.as_ref() {
        Ok(report) => log_published("rolled back", report),
        Err(error) => tracing::error!(%error, "not rolled back"),
    }
}

fn log_published(what: &'static str, report: &Report) {
    if let Report::Published { generation, version, shipments, changes, load_seconds } = report {
        tracing::info!(
            generation,
            version,
            shipments,
            added = changes.added,
            removed = changes.removed,
            changed = changes.changed,
            load_seconds,
            "{what}"
        );
    }
}
