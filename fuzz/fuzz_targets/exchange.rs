//! Requests through the whole of the server but for its listeners.
// Each target uses a part.
#![allow(dead_code)]

use std::rc::Rc;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use waybill::http::request::route::Listener;
use waybill::http::app::App;
use waybill::http::connection::run_http1;
use waybill::http::pipeline::Service;
use waybill::http::worker::Worker;
use waybill::reload::{ReloadSettings, Reloader};
use waybill::store::Store;

/// Turns that the server gets after each part.
const TURNS: usize = 12;

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
        let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default()).expect("a runtime");
        Server { runtime, worker: Rc::new(Worker::new(Arc::new(App::new(store, reloader)))) }
    }

    /// All that comes for `parts`.
    async fn answers(&self, parts: &[&[u8]], with_fast_path: bool) -> Vec<u8> {
        let (client, stream) = UnixStream::pair().expect("sockets");
        let service = Service::new(Listener::Public, Rc::clone(&self.worker));
        let connection = tokio::task::spawn_local(run_http1(stream, service, with_fast_path));
        let (mut from, mut to) = client.into_split();
        let answers = tokio::task::spawn_local(async move {
            let mut answers = Vec::new();
            // It ends with an error where the server closes over unread bytes.
            let _ = from.read_to_end(&mut answers).await;
            answers
        });
        for part in parts {
            if to.write_all(part).await.is_err() {
                break;
            }
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
        }
        // The server may have closed before.
        let _ = to.shutdown().await;
        let answers = answers.await.expect("answers");
        connection.await.expect("no panic");
        answers
    }
}

/// Sends `parts`, each when the one before was dealt with, to the server with and without its fast path, and compares what
/// comes but for the date.
pub fn compare(parts: &[&[u8]]) {
    // What is there of a body that nobody reads, and what of a long head, depends on when it is read.
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    if bytes >= 8 << 10 {
        return;
    }
    let [fast, hyper] = SERVER.with(|server| {
        [true, false].map(|with_fast_path| {
            let answers = server.runtime.block_on(server.answers(parts, with_fast_path));
            without_dates(&answers)
        })
    });
    assert_eq!(fast, hyper);
}

fn without_dates(answers: &[u8]) -> String {
    let text = String::from_utf8_lossy(answers);
    let lines = text.split("\r\n").map(|line| if line.starts_with("date: ") { "date" } else { line });
    lines.collect::<Vec<_>>().join("\r\n")
}

/// Sends `request`, which must be the last of its connection, and checks what comes.
pub fn ask(request: &[u8]) {
    let answer = SERVER.with(|server| {
        server.runtime.block_on(async {
            server.answers(&[request], true).await
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
