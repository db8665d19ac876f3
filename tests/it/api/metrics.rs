//! `GET /metrics`, asked of the real binary.

use crate::support::client::Client;
use crate::support::{SEED, Server};

/// The samples of a scrape: name with labels, and value.
fn scrape(server: &Server) -> Vec<(String, f64)> {
    let answer = server.admin_get("/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("content-type").as_deref(), Some("text/plain; version=0.0.4; charset=utf-8"));
    let samples = answer.text().lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap())).unwrap())
        .collect()
}

fn sample(samples: &[(String, f64)], name: &str) -> Option<f64> {
    samples.iter().find(|(sample, _)| sample == name).map(|(_, value)| *value)
}

fn requests(samples: &[(String, f64)], route: &str, code: u16) -> Option<f64> {
    sample(samples, &format!("waybill_http_requests_total{{code=\"{code}\",route=\"{route}\"}}"))
        .or_else(|| sample(samples, &format!("waybill_http_requests_total{{route=\"{route}\",code=\"{code}\"}}")))
}

const ONE: &str = "/v1/shipments/{carrier}/{tracking_number}";
const ALL: &str = "/v1/shipments/{tracking_number}";

#[test]
fn every_answer_is_counted_once_whichever_worker_gives_it() {
    let server = Server::start(SEED, &["--threads", "2"]);
    // Connections are spread over the workers.
    let mut clients: Vec<Client> = (0..16).map(|_| server.client()).collect();
    for client in &mut clients {
        for _ in 0..3 {
            assert_eq!(client.get("/v1/shipments/dhl/tn12345678").status, 200);
        }
        assert_eq!(client.get("/v1/shipments/dhl/nowhere").status, 404);
        assert_eq!(client.get("/v1/shipments/nowhere").status, 404);
        assert_eq!(client.get("/nothing/here").status, 404);
        assert_eq!(client.request("HEAD", "/livez", &[]).status, 200);
        assert_eq!(client.request("PUT", "/v1/dataset", &[]).status, 405);
    }
    let samples = scrape(&server);
    let counted = [(ONE, 200), (ONE, 404), (ALL, 404), ("none", 404), ("/livez", 200), ("none", 405)]
        .map(|(route, code)| requests(&samples, route, code));
    assert_eq!(counted, [48.0, 16.0, 16.0, 16.0, 16.0, 16.0].map(Some));
    let of_route = |name: &str| sample(&samples, &format!("waybill_http_request_duration_seconds_{name}"));
    assert_eq!(of_route(&format!("count{{route=\"{ONE}\"}}")), Some(64.0));
    assert_eq!(of_route(&format!("bucket{{route=\"{ONE}\",le=\"+Inf\"}}")), Some(64.0));
    assert!(of_route(&format!("sum{{route=\"{ONE}\"}}")).is_some_and(|seconds| seconds > 0.0));
    // The scrape's own connection is the 17th.
    assert_eq!(sample(&samples, "waybill_http_connections"), Some(17.0));
    assert_eq!(sample(&samples, "waybill_http_connections_total"), Some(17.0));
    assert_eq!(sample(&samples, "waybill_http_panics_total"), Some(0.0));
    for client in &mut clients {
        client.request("GET", "/livez", &["Connection: close"]);
        client.expect_end();
    }
    let samples = scrape(&server);
    assert_eq!(sample(&samples, "waybill_http_connections_total"), Some(18.0));
    server.stop();
}

#[test]
fn the_dataset_and_the_process_are_described() {
    let server = Server::start(SEED, &[]);
    let state = server.state();
    let samples = scrape(&server);
    let dataset = |name: &str| sample(&samples, &format!("waybill_dataset_{name}"));
    for name in ["generation", "shipments", "articles", "bytes"] {
        assert_eq!(dataset(name), state[name].as_f64(), "{name}");
    }
    let version = state["version"].as_str().unwrap();
    assert_eq!(dataset(&format!("info{{version=\"{version}\"}}")), Some(1.0));
    assert!(dataset("load_duration_seconds").is_some_and(|seconds| seconds > 0.0));
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds"] {
        assert!(sample(&samples, name).is_some(), "{name}");
    }
    server.stop();
}

#[test]
fn connections_that_take_too_long_are_counted_by_what_they_did() {
    let server = Server::start(SEED, &["--idle-timeout", "100ms", "--header-timeout", "100ms"]);
    let mut idle = server.client();
    idle.get("/livez");
    let mut slow = server.client();
    slow.send("GET /livez HTTP/1.1\r\n");
    idle.expect_end();
    slow.expect_end();
    let samples = scrape(&server);
    let timed_out = ["idle", "header", "write"]
        .map(|phase| sample(&samples, &format!("waybill_http_connections_timed_out_total{{phase=\"{phase}\"}}")));
    assert_eq!(timed_out, [Some(1.0), Some(1.0), Some(0.0)]);
    server.stop();
}
