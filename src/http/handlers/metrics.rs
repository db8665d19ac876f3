//! `GET /metrics`: what the workers count and what is served, in the text format of Prometheus.

use std::sync::Arc;

use hyper::StatusCode;
use prometheus::TextEncoder;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::http::access::Access;
use crate::http::access::guesses::PostcodeCounts;
use crate::http::access::keys::ApiKeys;
use crate::http::activity::Phase;
use crate::http::app::App;
use crate::http::request::route::{ROUTES, RouteId};
use crate::http::response::Response;
use crate::http::response::document;
use crate::http::response::problem::{self, Code};
use crate::http::telemetry::access_log::AccessLog;
use crate::http::telemetry::counters::{BUCKETS_NS, CODES, Count, Counters, KeyResult, RouteCounts};
use crate::http::tls::Tls;
use crate::reload::History;
use crate::store::Snapshot;

/// The response to a scrape.
pub(crate) fn metrics(app: &App) -> Response {
    let workers = app.all_counters();
    let mut families = of_requests(&workers, app.connections_max);
    families.push(family(
        "waybill_http_buffered_bytes",
        "Memory held for responses that wait to be read and bodies that arrive.",
        MetricType::GAUGE,
        vec![gauge(app.budget.held() as f64, &[])],
    ));
    families.push(of_access_log(app));
    families.push(of_secrets(app));
    families.extend(app.secrets.certificates.as_deref().map(of_certificate));
    let keys = app.secrets.api_keys.as_ref();
    families.extend(keys.map(|keys| of_keys(&workers, keys)));
    let postcodes = app.access.as_ref().and_then(Access::postcode_counts).unwrap_or_default();
    families.push(of_rates(&workers, keys, postcodes));
    families.push(of_postcodes(postcodes));
    if let Some(snapshot) = app.store.load().as_deref() {
        families.extend(of_dataset(snapshot));
        families.extend(of_age(app, snapshot));
        families.extend(of_changes(app, &workers, snapshot));
        families.extend(of_reloads(&app.reloader.history(), snapshot));
    }
    families.extend(ProcessCollector::for_self().collect());
    // The format knows no family without a value.
    families.retain(|family| !family.get_metric().is_empty());
    families.sort_by(|a, b| a.name().cmp(b.name()));
    match TextEncoder::new().encode_to_string(&families) {
        Ok(text) => document::metrics(app.budget.keep_made(text.into_bytes())),
        Err(error) => problem::response(Code::Internal, &error.to_string()),
    }
}

fn of_requests(workers: &[Arc<Counters>], connections_max: usize) -> Vec<MetricFamily> {
    let sum = |count: &dyn Fn(&Counters) -> &Count| workers.iter().map(|worker| count(worker).get()).sum::<u64>();
    let mut requests = Vec::new();
    let mut durations = Vec::new();
    for (route, pattern) in ROUTES.iter().map(|spec| spec.pattern).chain(["none"]).enumerate() {
        for (at, code) in CODES.iter().enumerate() {
            let count = sum(&|worker| &worker.routes[route].codes[at]);
            if count > 0 {
                requests.push(counter(count, &[("route", pattern), ("code", &code.to_string())]));
            }
        }
        let counts: Vec<&RouteCounts> = workers.iter().map(|worker| &worker.routes[route]).collect();
        durations.extend(histogram(&counts, pattern));
    }
    let accepted = sum(&|worker| &worker.accepted);
    let closed = sum(&|worker| &worker.closed);
    let timed_out = Phase::ALL
        .map(|phase| counter(sum(&|worker| &worker.timed_out[phase as usize]), &[("phase", phase.label())]))
        .to_vec();
    let rejected = vec![
        counter(sum(&|worker| &worker.accept_errors), &[("reason", "accept_error")]),
        counter(sum(&|worker| &worker.failed_handshakes), &[("reason", "tls_handshake")]),
        counter(sum(&|worker| &worker.evicted), &[("reason", "evicted")]),
        counter(sum(&|worker| &worker.floods), &[("reason", "flood")]),
    ];
    let panics = counter(sum(&|worker| &worker.panics), &[]);
    vec![
        family(
            "waybill_http_requests_total",
            "Requests responded to, by route and status.",
            MetricType::COUNTER,
            requests,
        ),
        family(
            "waybill_http_request_duration_seconds",
            "Time from a request's head to its response.",
            MetricType::HISTOGRAM,
            durations,
        ),
        family(
            "waybill_http_connections",
            "Open connections.",
            MetricType::GAUGE,
            vec![gauge(accepted.saturating_sub(closed) as f64, &[])],
        ),
        family(
            "waybill_http_connections_max",
            "Connections of the public listener that may be open.",
            MetricType::GAUGE,
            vec![gauge(connections_max as f64, &[])],
        ),
        family(
            "waybill_http_connections_total",
            "Connections accepted.",
            MetricType::COUNTER,
            vec![counter(accepted, &[])],
        ),
        family(
            "waybill_http_connections_rejected_total",
            "Connections that could not be accepted, whose TLS handshake failed, that gave their place to a new one, or that flooded the server.",
            MetricType::COUNTER,
            rejected,
        ),
        family(
            "waybill_http_connections_timed_out_total",
            "Connections ended for exceeding a time limit, by phase.",
            MetricType::COUNTER,
            timed_out,
        ),
        family("waybill_http_panics_total", "Requests whose handling panicked.", MetricType::COUNTER, vec![panics]),
    ]
}

fn of_access_log(app: &App) -> MetricFamily {
    family(
        "waybill_access_log_dropped_total",
        "Lines of the access log that were not written: too many waited, or the system refused them.",
        MetricType::COUNTER,
        vec![counter(app.access_log.as_ref().map_or(0, AccessLog::dropped), &[])],
    )
}

fn of_secrets(app: &App) -> MetricFamily {
    let read = app.secrets.last_read().into_iter();
    family(
        "waybill_secrets_last_read_successful",
        "1 unless such files could not be read again, so that what they held before still holds.",
        MetricType::GAUGE,
        read.map(|(name, is_read)| gauge(f64::from(u8::from(is_read)), &[("files", name)])).collect(),
    )
}

fn of_certificate(tls: &Tls) -> MetricFamily {
    let not_after = tls.not_after().map(|at| gauge(at.as_second() as f64, &[]));
    family(
        "waybill_tls_certificate_not_after_timestamp_seconds",
        "When the certificate that is served ends.",
        MetricType::GAUGE,
        not_after.into_iter().collect(),
    )
}

fn of_keys(workers: &[Arc<Counters>], keys: &ApiKeys) -> MetricFamily {
    let mut counts = Vec::new();
    for (number, name) in keys.names().iter().enumerate() {
        for result in KeyResult::ALL {
            let of_worker = |worker: &Arc<Counters>| Some(worker.of_key(number)?[result as usize].get());
            let count = workers.iter().filter_map(of_worker).sum();
            if count > 0 || result == KeyResult::Ok {
                counts.push(counter(count, &[("key", name), ("result", result.label())]));
            }
        }
    }
    family(
        "waybill_http_key_requests_total",
        "Requests with a known key, by its name and by what became of them.",
        MetricType::COUNTER,
        counts,
    )
}

fn of_rates(workers: &[Arc<Counters>], keys: Option<&ApiKeys>, postcodes: PostcodeCounts) -> MetricFamily {
    let names = keys.map_or(0, |keys| keys.names().len());
    let of_keys = |worker: &Counters| {
        let of_name = |number| Some(worker.of_key(number)?[KeyResult::RateLimited as usize].get());
        (0..names).filter_map(of_name).sum::<u64>()
    };
    let clients = workers.iter().map(|worker| worker.clients_limited.get()).sum();
    let keys = workers.iter().map(|worker| of_keys(worker)).sum();
    family(
        "waybill_http_rate_limited_total",
        "Requests that came too early, by whose rate they exceeded.",
        MetricType::COUNTER,
        vec![
            counter(clients, &[("by", "client")]),
            counter(keys, &[("by", "key")]),
            counter(postcodes.refused, &[("by", "postcode")]),
        ],
    )
}

fn of_postcodes(postcodes: PostcodeCounts) -> MetricFamily {
    family(
        "waybill_http_postcodes_total",
        "Postcodes that callers without a key have shown and that were compared, by what came of it.",
        MetricType::COUNTER,
        vec![counter(postcodes.verified, &[("result", "verified")]), counter(postcodes.wrong, &[("result", "wrong")])],
    )
}

fn of_dataset(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let dataset = &snapshot.dataset;
    let one = |name: &str, help: &str, value: f64, labels: &[(&str, &str)]| {
        family(name, help, MetricType::GAUGE, vec![gauge(value, labels)])
    };
    let mut families = vec![
        one(
            "waybill_dataset_info",
            "1, with the version that is served.",
            1.0,
            &[("version", &snapshot.summary.version)],
        ),
        one("waybill_dataset_generation", "Generation that is served.", snapshot.generation as f64, &[]),
        one("waybill_dataset_shipments", "Shipments that are served.", dataset.shipment_count() as f64, &[]),
        one("waybill_dataset_articles", "Articles that are served.", dataset.article_count() as f64, &[]),
        one("waybill_dataset_bytes", "Memory of the dataset.", dataset.bytes() as f64, &[]),
        one(
            "waybill_dataset_load_duration_seconds",
            "Time that loading what is served took.",
            snapshot.summary.seconds,
            &[],
        ),
    ];
    if let Some(unmapped) = &snapshot.summary.unmapped {
        families.push(one(
            "waybill_dataset_unmapped_shipments",
            "Shipments that are served whose status has no stage.",
            unmapped.shipments as f64,
            &[],
        ));
    }
    if let Some(shard) = snapshot.summary.shard {
        let (index, count) = (f64::from(shard.index()), f64::from(shard.count()));
        families.push(one("waybill_dataset_shard", "Which shard of the shipments is served, from 0.", index, &[]));
        families.push(one("waybill_dataset_shards", "Shards that the shipments are spread over.", count, &[]));
    }
    families
}

fn of_changes(app: &App, workers: &[Arc<Counters>], snapshot: &Snapshot) -> Vec<MetricFamily> {
    let Some(log) = snapshot.changes() else { return Vec::new() };
    let one =
        |name: &str, help: &str, value: usize| family(name, help, MetricType::GAUGE, vec![gauge(value as f64, &[])]);
    let gone_of =
        |worker: &Arc<Counters>| worker.of_status(RouteId::Changes, StatusCode::GONE) + worker.streams_reset.get();
    let gone = workers.iter().map(gone_of).sum();
    vec![
        one("waybill_changes_versions", "Replaced versions that can be compared with.", log.versions()),
        one("waybill_changes_bytes", "Memory of what changed since these versions.", log.bytes()),
        one("waybill_changes_streams", "Open streams of changes.", app.stream_places.taken()),
        one("waybill_changes_waits", "Lookups that wait for their shipment to change.", app.wait_places.taken()),
        family(
            "waybill_changes_gone_total",
            "Requests for changes since versions that are not known, or no longer.",
            MetricType::COUNTER,
            vec![counter(gone, &[])],
        ),
    ]
}

fn of_age(app: &App, snapshot: &Snapshot) -> Vec<MetricFamily> {
    let one = |name: &str, help: &str, value: Option<f64>| {
        family(name, help, MetricType::GAUGE, value.map(|value| gauge(value, &[])).into_iter().collect())
    };
    vec![
        one(
            "waybill_dataset_modified_timestamp_seconds",
            "When the source of what is served was last written.",
            snapshot.modified_at().map(|at| at.as_millisecond() as f64 / 1e3),
        ),
        one(
            "waybill_dataset_stale",
            "1 if what is served is older than it may be.",
            Some(f64::from(u8::from(app.is_stale(snapshot)))),
        ),
        one(
            "waybill_dataset_age_max_seconds",
            "Age of the data from which on it is stale.",
            app.data_age_max.map(|age| age.as_secs_f64()),
        ),
    ]
}

fn of_reloads(history: &History, snapshot: &Snapshot) -> Vec<MetricFamily> {
    let History { published, unchanged, cancelled, failed, checks_ok, checks_failed, .. } = *history;
    let checks =
        [("ok", checks_ok), ("failed", checks_failed)].map(|(result, count)| counter(count, &[("result", result)]));
    let by_result = [("ok", published), ("unchanged", unchanged), ("cancelled", cancelled), ("failed", failed)];
    let reloads = by_result.map(|(result, count)| counter(count, &[("result", result)])).to_vec();
    let is_successful = history.last.as_ref().is_none_or(|last| last.outcome.is_ok());
    let last_success = history.last_success.unwrap_or(snapshot.loaded_at).as_millisecond() as f64 / 1e3;
    let one = |name: &str, help: &str, value: f64| family(name, help, MetricType::GAUGE, vec![gauge(value, &[])]);
    vec![
        family(
            "waybill_dataset_reloads_total",
            "Reloads, dry runs not counted, by result.",
            MetricType::COUNTER,
            reloads,
        ),
        family(
            "waybill_dataset_source_checks_total",
            "Looks of --watch at the source, by result.",
            MetricType::COUNTER,
            checks.to_vec(),
        ),
        one(
            "waybill_dataset_last_reload_successful",
            "1 unless the last reload was refused, cancelled or failed.",
            f64::from(u8::from(is_successful)),
        ),
        one(
            "waybill_dataset_last_reload_success_timestamp_seconds",
            "When the file was last found good, by a load or a reload.",
            last_success,
        ),
    ]
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn counter(value: u64, labels: &[(&str, &str)]) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value as f64);
    let mut metric = Metric::from_label(pairs(labels));
    metric.set_counter(counter);
    metric
}

fn gauge(value: f64, labels: &[(&str, &str)]) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::from_label(pairs(labels));
    metric.set_gauge(gauge);
    metric
}

/// The durations of a route; none before its first request.
fn histogram(workers: &[&RouteCounts], route: &str) -> Option<Metric> {
    let mut count = 0;
    let mut cumulative = |at: usize| {
        count += workers.iter().map(|counts| counts.buckets[at].get()).sum::<u64>();
        count
    };
    let buckets = BUCKETS_NS.iter().enumerate().map(|(at, bound)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(seconds(*bound));
        bucket.set_cumulative_count(cumulative(at));
        bucket
    });
    let buckets = buckets.collect();
    let count = cumulative(BUCKETS_NS.len());
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(count);
    histogram.set_sample_sum(seconds(workers.iter().map(|counts| counts.sum_ns.get()).sum()));
    let mut metric = Metric::from_label(pairs(&[("route", route)]));
    metric.set_histogram(histogram);
    (count > 0).then_some(metric)
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}
