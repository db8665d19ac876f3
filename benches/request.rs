//! A whole request through hyper, without a socket: bytes in, bytes out.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use std::fs::File;
use std::hint::black_box;
use std::io::BufWriter;
use std::rc::Rc;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use waybill::commands::generate::{self, Plan};
use waybill::http::app::App;
use waybill::http::pipeline::Service;
use waybill::http::request::route::Listener;
use waybill::http::worker::Worker;
use waybill::reload::{ReloadSettings, Reloader};
use waybill::store::Store;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PLAN: Plan = Plan { shipments: 1000, seed: 1 };
/// Number of requests that a client sends before it reads a response.
const PIPELINED: usize = 16;

fn app(runtime: &LocalRuntime) -> Arc<App> {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("shipments.csv");
    generate::write(&PLAN, &mut BufWriter::new(File::create(&data).unwrap())).unwrap();
    let settings = ReloadSettings::new(data);
    let store = Arc::new(Store::default());
    let (reloader, first_load) = Reloader::start(settings, Arc::clone(&store), Box::new(|_| ())).unwrap();
    let outcome = runtime.block_on(first_load).unwrap();
    assert!(outcome.is_ok());
    Arc::new(App::new(store, reloader))
}

/// Connects to a server on the same runtime.
fn connect(runtime: &LocalRuntime, app: Arc<App>) -> DuplexStream {
    let (client, server) = tokio::io::duplex(64 << 10);
    let service = Service::new(Listener::Public, Rc::new(Worker::new(app)));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(server), service);
    runtime.spawn_local(connection);
    client
}

/// Sends `requests`, and fills `responses`, whose length is known.
async fn exchange(client: &mut DuplexStream, requests: &[u8], responses: &mut [u8]) {
    client.write_all(requests).await.unwrap();
    client.read_exact(responses).await.unwrap();
}

fn request(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().build_local(LocalOptions::default()).unwrap();
    let app = app(&runtime);
    let mut client = connect(&runtime, app);
    let path = format!("/v1/shipments/{}/{}", generate::carrier(&PLAN, 7), generate::tracking_number(&PLAN, 7));
    let one = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();

    let mut response = vec![0; 64 << 10];
    let length = runtime.block_on(async {
        client.write_all(&one).await.unwrap();
        client.read(&mut response).await.unwrap()
    });
    let text = String::from_utf8(response[..length].to_vec()).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains(&generate::tracking_number(&PLAN, 7)), "{text}");

    let mut group = criterion.benchmark_group("request");
    for (name, pipelined) in [("one", 1), ("pipelined", PIPELINED)] {
        let requests = one.repeat(pipelined);
        let mut responses = vec![0; length * pipelined];
        group.throughput(Throughput::Elements(pipelined as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(exchange(&mut client, black_box(&requests), &mut responses)));
        });
        assert!(responses.ends_with(b"}]}"));
    }
    group.finish();
}

criterion_group!(benches, request);
criterion_main!(benches);
