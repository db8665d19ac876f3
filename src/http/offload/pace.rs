//! The pace of long responses: lookups come first.

use std::sync::Arc;
use std::time::Duration;

use crate::http::app::App;
use crate::http::telemetry::counters::Counters;
use crate::http::timers::Timers;

/// Tells when to pause.
pub(crate) struct Pace {
    length: Duration,
    workers: Vec<Arc<Counters>>,
    /// Nanoseconds of all lookups when the part before was made.
    lookups_ns: u64,
    timers: Timers,
}

impl Pace {
    /// Gives way for `length` at a time to lookups that are answered.
    pub(crate) fn new(length: Duration, app: &App) -> Pace {
        Pace::beside(length, app.all_counters(), app.timers.clone())
    }

    fn beside(length: Duration, workers: Vec<Arc<Counters>>, timers: Timers) -> Pace {
        let mut pace = Pace { length, workers, lookups_ns: 0, timers };
        pace.is_to_give_way();
        pace
    }

    /// The pause before the next part, if lookups were answered since the part before.
    pub(crate) fn pause(&mut self) -> Option<impl Future<Output = ()> + use<>> {
        let (timers, length) = (self.timers.clone(), self.length);
        self.is_to_give_way().then_some(async move { timers.pause(length).await })
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
        let mut pace = Pace::beside(Duration::ZERO, workers.to_vec(), Timers::default());
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
