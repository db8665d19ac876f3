//! What a lookup costs besides time: allocations, counted over whole exchanges on the fast path and with hyper.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::System;
use std::rc::Rc;
use std::sync::Arc;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, LocalOptions};
use waybill::http::app::App;
use waybill::http::connection::run_http1;
use waybill::http::pipeline::Service;
use waybill::http::request::route::Listener;
use waybill::http::telemetry::access_log::AccessLog;
use waybill::http::telemetry::access_log::settings::{AccessLogSettings, Target};
use waybill::http::worker::Worker;
use waybill::reload::{ReloadSettings, Reloader};
use waybill::store::Store;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUEST: &[u8] = b"GET /v1/shipments/dhl/tn12345678 HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
const REQUESTS: usize = 1000;
/// The fast path renders into what is there.
const ALLOCATIONS_ON_FAST_PATH: usize = 0;
/// The answer's body, and the two parts of its header fields, which hyper then uses for the next request's.
const ALLOCATIONS_WITH_HYPER: usize = 3;

#[test]
fn a_lookup_allocates_nothing_logged_or_not_and_with_hyper_its_answer() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::File(dir.path().join("access.log"));
    let (log, _writing) = AccessLog::start(&AccessLogSettings { target, sample: 1, slow: None }).unwrap();
    for (access_log, with_fast_path, expected) in [
        (None, true, ALLOCATIONS_ON_FAST_PATH),
        (None, false, ALLOCATIONS_WITH_HYPER),
        (Some(log), true, ALLOCATIONS_ON_FAST_PATH),
    ] {
        let per_request = allocations_per_request(access_log, with_fast_path);
        // Now and then a buffer is replaced; that is far less than one allocation a request.
        assert!((per_request - expected as f64).abs() < 0.1, "{per_request} {with_fast_path}");
    }
}

fn allocations_per_request(access_log: Option<AccessLog>, with_fast_path: bool) -> f64 {
    let settings = ReloadSettings::new(concat!(env!("CARGO_MANIFEST_DIR"), "/seed_data.csv").into());
    let store = Arc::new(Store::default());
    let (reloader, first_load) = Reloader::start(settings, Arc::clone(&store), Box::new(|_| ())).unwrap();
    let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async {
        assert!(first_load.await.unwrap().is_ok());
        let mut app = App::new(store, reloader);
        app.access_log = access_log;
        let app = Arc::new(app);
        let (mut client, server) = UnixStream::pair().unwrap();
        let service = Service::new(Listener::Public, Rc::new(Worker::new(app)));
        tokio::task::spawn_local(run_http1(server, service, with_fast_path));
        let mut answer = vec![0; 4096];
        let mut length = 0;
        // The first requests fill caches and buffers.
        for _ in 0..2 {
            client.write_all(REQUEST).await.unwrap();
            length = client.read(&mut answer).await.unwrap();
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        let region = Region::new(ALLOCATOR);
        for _ in 0..REQUESTS {
            client.write_all(REQUEST).await.unwrap();
            client.read_exact(&mut answer[..length]).await.unwrap();
        }
        let change = region.change();
        assert!(answer[..length].ends_with(b"]}"));
        (change.allocations + change.reallocations) as f64 / REQUESTS as f64
    })
}
