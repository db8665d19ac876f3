//! The log's word on the age of the data.

use std::sync::Arc;
use std::time::Duration;

use crate::http::app::App;

/// Logs when the data becomes stale, and when it no longer is. Looks at each `interval`.
pub(super) async fn tell(app: Arc<App>, interval: Duration) {
    if app.data_age_max.is_none() {
        return;
    }
    let mut was_stale = false;
    loop {
        tokio::time::sleep(interval).await;
        let served = app.store.load();
        let Some(snapshot) = served.as_deref() else { continue };
        let is_stale = app.is_stale(snapshot);
        let modified_at = snapshot.modified_at().map(tracing::field::display);
        match (was_stale, is_stale) {
            (false, true) => tracing::warn!(modified_at, "the data is older than --max-data-age; it is served on"),
            (true, false) => tracing::info!(modified_at, "the data is no longer older than --max-data-age"),
            _ => {}
        }
        was_stale = is_stale;
    }
}
