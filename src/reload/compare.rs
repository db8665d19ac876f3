//! Comparison of what is about to be served with what is: for reports and guards, and for clients who ask what changed.

use super::guards;
use super::report::{ReloadError, Report};
use super::settings::{ReloadSettings, Request};
use crate::cancel::Cancel;
use crate::changes::ChangeLog;
use crate::dataset::{Changes, Dataset, Difference};
use crate::load::Loaded;
use crate::store::{Snapshot, Store};

/// Compares `loaded` with what is served. Returns what serving it would change, if the guards let it pass, and the steps up
/// to it if they are to be kept.
pub(super) fn with_loaded(
    settings: &ReloadSettings,
    store: &Store,
    loaded: &Loaded,
    request: Request,
    cancel: &Cancel,
) -> Result<(Report, Option<ChangeLog>), ReloadError> {
    let shipments = loaded.dataset.shipment_count();
    let load_seconds = loaded.summary.seconds;
    let version = loaded.summary.version.clone();
    let served = store.load();
    let mut changes = Changes { added: shipments, ..Changes::default() };
    let mut step = None;
    let mut generation = 1;
    if let Some(served) = served.as_deref() {
        if served.summary.version == version {
            let report = Report::Unchanged { generation: served.generation, version, shipments, load_seconds };
            return Ok((report, None));
        }
        generation = served.generation + 1;
        match settings.changes.filter(|_| !request.dry_run) {
            Some(limits) => {
                let threads = settings.load.threads;
                let difference = loaded.dataset.difference_from(&served.dataset, limits.bytes_max, threads, cancel)?;
                changes = difference.changes;
                step = Some(difference);
            }
            None => changes = loaded.dataset.changes_since(&served.dataset, settings.load.threads, cancel)?,
        }
    }
    if !request.force {
        guards::check_shipments(settings, served.as_deref(), shipments, changes)?;
    }
    let log = match (served.as_deref(), step) {
        (Some(served), Some(step)) => followed(served, &loaded.dataset, step),
        _ => settings.changes.map(ChangeLog::new),
    };
    Ok((Report::Published { generation, version, shipments, changes, load_seconds }, log))
}

/// Compares the previous snapshot with the served one before they change places. Returns the numbers, and the steps up to
/// the previous one; `None` if there is none, or no steps are to be kept.
pub(super) fn with_previous(settings: &ReloadSettings, store: &Store) -> Option<(Changes, ChangeLog)> {
    let (limits, previous) = (settings.changes?, store.previous()?);
    let served = store.load();
    let served = served.as_deref()?;
    // Nothing cancels a rollback.
    let (dataset, cancel) = (&previous.dataset, Cancel::default());
    let step = dataset.difference_from(&served.dataset, limits.bytes_max, settings.load.threads, &cancel).ok()?;
    Some((step.changes, followed(served, dataset, step)?))
}

/// Counts the shipments in which `dataset` differs from `old`.
pub(super) fn count(dataset: &Dataset, old: &Dataset, threads: usize) -> Option<Changes> {
    // Nothing cancels this comparison.
    dataset.changes_since(old, threads, &Cancel::default()).ok()
}

/// The steps up to `dataset`, which follows the `served` one.
fn followed(served: &Snapshot, dataset: &Dataset, step: Difference) -> Option<ChangeLog> {
    Some(served.changes()?.followed_by(&served.summary.version, dataset, step))
}
