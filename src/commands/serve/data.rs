//! First load of the data.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::error::ServeError;
use crate::load::{LoadError, Progress};
use crate::reload::{Outcome, ReloadError, ReloadSettings, Reloader, Report};
use crate::stages::StatusMapSource;
use crate::store::Store;
use crate::systemd;

/// Checks that the data can be loaded at all, and the status map, before clients are told where to connect. Storage is asked
/// by the load.
pub fn check_source(settings: &ReloadSettings) -> Result<(), ServeError> {
    settings.status_map.as_ref().map(StatusMapSource::read).transpose()?;
    settings.data.check().map_err(|error| ServeError::Data(error.to_string()))
}

/// Data whose first load is running.
pub struct Data {
    pub(super) store: Arc<Store>,
    pub(super) reloader: Reloader,
    pub(super) first_load: oneshot::Receiver<Outcome>,
}

impl Data {
    /// Starts the first load. `progress` is called with the progress of this and all later loads.
    pub fn load(settings: &ReloadSettings, progress: Box<dyn FnMut(&Progress) + Send>) -> std::io::Result<Data> {
        let store = Arc::new(Store::default());
        let (reloader, first_load) = Reloader::start(settings.clone(), Arc::clone(&store), progress)?;
        Ok(Data { store, reloader, first_load })
    }
}

/// The error of the first load, if it has one. There is no outcome if the loader thread has ended.
pub(super) fn check(outcome: Option<&Result<Report, ReloadError>>) -> Result<(), ServeError> {
    match outcome {
        Some(Ok(_)) => Ok(()),
        Some(Err(ReloadError::StatusMap(error))) => Err(error.clone().into()),
        Some(Err(error)) => Err(ServeError::Data(explain(error))),
        None => Err(ServeError::Data(ReloadError::Panicked.to_string())),
    }
}

/// Logs, and tells systemd, that the data of the first load is served.
pub(super) fn announce(store: &Store) {
    let current = store.load();
    let Some(snapshot) = current.as_deref() else { return };
    let summary = &snapshot.summary;
    tracing::info!(
        source = %snapshot.source.display(),
        version = summary.version,
        rows = summary.rows,
        shipments = snapshot.dataset.shipment_count(),
        articles = snapshot.dataset.article_count(),
        bad_rows = summary.bad_rows,
        bytes = snapshot.dataset.bytes(),
        load_seconds = summary.seconds,
        shard = summary.shard.map(tracing::field::display),
        "serving"
    );
    systemd::ready("serving");
}

fn explain(error: &ReloadError) -> String {
    match error {
        ReloadError::Load(error @ LoadError::Refused { .. }) => {
            format!("{}\nwaybill check FILE finds out whether other settings would make it load", error.text())
        }
        other => other.to_string(),
    }
}
