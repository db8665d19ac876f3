//! Two workers that answer lookups one after the other, on the fast path and with hyper, each marking when on standard error. Under a tool that records
//! every access to memory (`tests/system/shared_writes.sh`) this shows what both write to.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::File;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, LocalOptions};
use waybill::http::app::App;
use waybill::http::connection::run_http1;
use waybill::http::pipeline::Service;
use waybill::http::request::route::Listener;
use waybill::http::worker::Worker;
use waybill::reload::{ReloadSettings, Reloader};
use waybill::store::Store;

/// The allocator of the real binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REQUEST: &[u8] = b"GET /v1/shipments/dhl/tn12345678 HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
/// First, to fill caches and buffers.
const WARM_UP: usize = 5;
const REQUESTS: usize = 5;
/// How often others are let go first before a worker begins.
const YIELDS: usize = 100;

/// A worker on the calling thread: prepares, reports to be `ready`, answers when `turn` says so, reports to be `done`, and
/// ends when there are no more turns: what it gives back then is nobody's to write while another one answers.
fn work(app: Arc<App>, name: &str, ready: impl FnOnce(), turn: &Receiver<()>, done: impl FnOnce()) {
    // Not through a lock that both workers take.
    let mut marks = File::options().append(true).open("/dev/stderr").unwrap();
    let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async {
        let worker = Rc::new(Worker::new(app));
        let mut clients = [true, false].map(|with_fast_path| {
            let (client, server) = UnixStream::pair().unwrap();
            let service = Service::new(Listener::Public, Rc::clone(&worker));
            tokio::task::spawn_local(run_http1(server, service, with_fast_path));
            client
        });
        let mut answer = vec![0; 4096];
        let mut length = 0;
        for client in &mut clients {
            for _ in 0..WARM_UP {
                client.write_all(REQUEST).await.unwrap();
                length = client.read(&mut answer).await.unwrap();
            }
        }
        ready();
        turn.recv().unwrap();
        // The others fall asleep meanwhile, where one thread runs at a time.
        for _ in 0..YIELDS {
            std::thread::yield_now();
        }
        let (begin, end) = (format!("\nMARK {name} begins\n"), format!("\nMARK {name} ends\n"));
        marks.write_all(begin.as_bytes()).unwrap();
        for client in &mut clients {
            for _ in 0..REQUESTS {
                client.write_all(REQUEST).await.unwrap();
                client.read_exact(&mut answer[..length]).await.unwrap();
            }
        }
        marks.write_all(end.as_bytes()).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer[..length].ends_with(b"]}"));
        done();
        assert!(turn.recv().is_err());
    });
}

#[test]
fn two_workers_answer_in_turn() {
    let settings = ReloadSettings::new(concat!(env!("CARGO_MANIFEST_DIR"), "/seed_data.csv").into());
    let store = Arc::new(Store::default());
    let (reloader, first_load) = Reloader::start(settings, Arc::clone(&store), Box::new(|_| ())).unwrap();
    assert!(first_load.blocking_recv().unwrap().is_ok());
    let app = Arc::new(App::new(store, reloader));
    let workers = ["first", "second"].map(|name| {
        let (turn, wait) = channel();
        let (ready, is_ready) = channel::<()>();
        let (done, is_done) = channel::<()>();
        let app = Arc::clone(&app);
        let thread = std::thread::spawn(move || work(app, name, move || drop(ready), &wait, move || drop(done)));
        // The sender is dropped then.
        assert!(is_ready.recv().is_err());
        (turn, is_done, thread)
    });
    for (turn, is_done, _) in &workers {
        turn.send(()).unwrap();
        assert!(is_done.recv().is_err());
    }
    for (turn, _, thread) in workers {
        drop(turn);
        thread.join().unwrap();
    }
}
