//! A request through the whole of the server but for its sockets.

use std::rc::Rc;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use waybill::http::request::route::Listener;
use waybill::http::app::App;
use waybill::http::pipeline::Service;
use waybill::http::worker::Worker;
use waybill::reload::{ReloadSettings, Reloader};
use waybill::store::Store;

struct Server {
    runtime: LocalRuntime,
    worker: Rc<Worker>,
}

thread_local! {
    static SERVER: Server = Server::start();
}

impl Server {
    fn start() -> Server {
        let settings = ReloadSettings::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../seed_data.csv").into());
        let store = Arc::new(Store::default());
        let (reloader, first_load) =
            Reloader::start(settings, Arc::clone(&store), Box::new(|_| ())).expect("a loader thread");
        assert!(first_load.blocking_recv().is_ok_and(|outcome| outcome.is_ok()));
        let runtime = Builder::new_current_thread().build_local(LocalOptions::default()).expect("a runtime");
        Server { runtime, worker: Rc::new(Worker::new(Arc::new(App::new(store, reloader)))) }
    }
}

/// Sends `request`, which must be the last of its connection, and checks what comes.
pub fn ask(request: &[u8]) {
    let answer = SERVER.with(|server| {
        server.runtime.block_on(async {
            let (mut client, stream) = tokio::io::duplex(4 << 20);
            let service = Service::new(Listener::Public, Rc::clone(&server.worker));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let connection = tokio::task::spawn_local(connection);
            client.write_all(request).await.expect("room");
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.expect("an answer");
            connection.abort();
            answer
        })
    });
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let head = std::str::from_utf8(&answer[..end]).expect("a head of text");
    let status: u16 = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    assert!(status != 500, "{}", String::from_utf8_lossy(&answer));
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    if let Some(length) = length.and_then(|length| length.parse::<usize>().ok()) {
        assert_eq!(answer.len() - end - 4, length, "{head}");
    }
}
