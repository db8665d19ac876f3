//! The pace of exports: lookups come first.

use std::sync::Arc;
use std::time::Duration;

use crate::http::telemetry::counters::Counters;
use crate::http::timers::Timers;

/// How long an export waits before each part while lookups are answered: it gets some 8 MB/s then, so that several leave
/// the processors to others.
const PAUSE: Duration = Duration::from_millis(16);

/// Tells an export when to wait.
pub(crate) struct Pace {
    workers: Vec<Arc<Counters>>,
    /// Nanoseconds of all lookups when the part before was made.
    lookups_ns: u64,
    timers: Timers,
}

impl Pace {
    /// Gives way to lookups that `workers` count.
    pub(crate) fn new(workers: Vec<Arc<Counters>>, timers: Timers) -> Pace {
        let mut pace = Pace { workers, lookups_ns: 0, timers };
        pace.is_to_give_way();
        pace
    }

    /// The pause before the next part, if lookups were answered since the part before.
    pub(super) fn pause(&mut self) -> Option<impl Future<Output = ()> + use<>> {
        let timers = self.timers.clone();
        self.is_to_give_way().then(|| async move { timers.pause(PAUSE).await })
    }

    /// True if lookups were answered since this was asked before.
    fn is_to_give_way(&mut self) -> bool {
        let now = self.workers.iter().map(|counters| counters.lookups_ns()).fold(0, u64::wrapping_add);
        std::mem::replace(&mut self.lookups_ns, now) != now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::route::RouteId;
    use hyper::StatusCode;

    #[test]
    fn an_export_waits_while_any_worker_answers_lookups() {
        let workers = [Arc::<Counters>::default(), Arc::default()];
        let answer =
            |worker: &Counters, route| worker.count_response(Some(route), StatusCode::OK, Duration::from_nanos(9));
        answer(&workers[0], RouteId::Shipment);
        let mut pace = Pace::new(workers.to_vec(), Timers::default());
        assert!(!pace.is_to_give_way());
        for (worker, route) in
            [(0, RouteId::Shipment), (1, RouteId::Shipment), (1, RouteId::ShipmentsByNumber), (0, RouteId::BatchLookup)]
        {
            answer(&workers[worker], route);
            assert_eq!((pace.is_to_give_way(), pace.is_to_give_way()), (true, false));
        }
        answer(&workers[0], RouteId::CsvExport);
        assert!(!pace.is_to_give_way());
    }
}
