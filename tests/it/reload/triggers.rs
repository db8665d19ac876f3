//! A hundred triggers at once: few loads, an answer for everybody, the newest file served.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use crate::support::client::Client;
use crate::support::{DEADLINE, Server, Signal, csv, row};
use waybill::reload::{Outcome, ReloadError, ReloadSettings, Reloader, Report, Request};
use waybill::store::Store;

const TRIGGERS: usize = 100;
/// As many of them come by HTTP.
const POSTS: usize = 60;

fn file_of(number: usize) -> String {
    csv(&[row(&format!("TN{number}"), "DHL")])
}

fn replace(path: &Path, file: &str) {
    let next = path.with_extension("next");
    std::fs::write(&next, file).unwrap();
    std::fs::rename(next, path).unwrap();
}

/// Where loads are held up, to have something happen during one.
struct Gate {
    is_shut: Arc<AtomicBool>,
    reached: mpsc::Receiver<()>,
    open: mpsc::Sender<()>,
}

/// A reloader that serves the file at `data` and looks at it all the time, and the gate in its loads.
fn gated(data: &Path) -> (Reloader, Arc<Store>, Gate) {
    let settings = ReloadSettings {
        removed_percent_max: 100.0,
        keep_previous: true,
        changes: None,
        watch_interval: Some(Duration::from_millis(1)),
        ..ReloadSettings::new(data.to_owned())
    };
    let is_shut = Arc::new(AtomicBool::new(false));
    let (reach, reached) = mpsc::channel();
    let (open, opened) = mpsc::channel();
    let shut = Arc::clone(&is_shut);
    let progress = move |_: &waybill::load::Progress| {
        if shut.swap(false, Ordering::SeqCst) {
            reach.send(()).unwrap();
            opened.recv().unwrap();
        }
    };
    let store = Arc::new(Store::default());
    let (reloader, first) = Reloader::start(settings, Arc::clone(&store), Box::new(progress)).unwrap();
    assert!(first.blocking_recv().unwrap().is_ok());
    (reloader, store, Gate { is_shut, reached, open })
}

fn generation(outcome: &Outcome) -> u64 {
    match outcome.as_ref() {
        Ok(Report::Published { generation, .. } | Report::Unchanged { generation, .. }) => *generation,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn triggers_at_once_share_one_load_besides_that_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    replace(&data, &file_of(0));
    let (reloader, store, gate) = gated(&data);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let outcomes: Vec<Outcome> = runtime.block_on(async {
        let ask = || {
            let reloader = reloader.clone();
            tokio::spawn(async move { reloader.reload(Request::default()).await })
        };
        gate.is_shut.store(true, Ordering::SeqCst);
        // The watch may be first to load it; then this waits in the queue with the others.
        replace(&data, &file_of(1));
        let mut asked = vec![ask()];
        tokio::task::yield_now().await;
        gate.reached.recv().unwrap();
        asked.extend((1..TRIGGERS).map(|_| ask()));
        // All of them are in the queue when each was polled once.
        tokio::task::yield_now().await;
        replace(&data, &file_of(2));
        gate.open.send(()).unwrap();
        let mut outcomes = Vec::new();
        for task in asked {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    });
    assert_eq!(outcomes.len(), TRIGGERS);
    // Those who share a load share its outcome.
    let loads: BTreeSet<*const _> = outcomes.iter().map(Arc::as_ptr).collect();
    assert!(loads.len() <= 2, "{loads:?}");
    let served = store.load();
    let served = served.as_deref().unwrap();
    assert!(outcomes.iter().all(|outcome| generation(outcome) <= served.generation));
    assert_eq!(outcomes.last().map(generation), Some(served.generation));
    let mut shipment = Vec::new();
    served.dataset.shipments().next().unwrap().render(&mut shipment);
    assert!(shipment.starts_with(br#"{"tracking_number":"TN2""#));
}

#[test]
fn a_cancelled_load_publishes_nothing_and_those_that_wait_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    replace(&data, &file_of(0));
    let (reloader, store, gate) = gated(&data);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let ask = |request| {
            let reloader = reloader.clone();
            tokio::spawn(async move { reloader.reload(request).await })
        };
        assert!(!reloader.cancel());
        gate.is_shut.store(true, Ordering::SeqCst);
        let under_way = ask(Request { dry_run: false, force: true });
        tokio::task::yield_now().await;
        gate.reached.recv().unwrap();
        let waiting = ask(Request::default());
        tokio::task::yield_now().await;
        replace(&data, &file_of(1));
        assert!(reloader.cancel() && reloader.cancel());
        gate.open.send(()).unwrap();
        let cancelled = under_way.await.unwrap();
        assert!(matches!(cancelled.as_ref(), Err(ReloadError::Cancelled(_))), "{cancelled:?}");
        assert_eq!(generation(&waiting.await.unwrap()), 2);
        assert!(!reloader.cancel());
        // Those that wait when the process ends are answered while the load is still held up.
        gate.is_shut.store(true, Ordering::SeqCst);
        let under_way = ask(Request::default());
        tokio::task::yield_now().await;
        gate.reached.recv().unwrap();
        reloader.shut_down();
        let ended = under_way.await.unwrap();
        assert!(matches!(ended.as_ref(), Err(ReloadError::ShuttingDown)), "{ended:?}");
        gate.open.send(()).unwrap();
        assert!(reloader.reload(Request::default()).await.is_err());
    });
    assert_eq!(store.load().as_ref().unwrap().generation, 2);
}

#[test]
fn a_file_that_is_replaced_during_its_load_is_loaded_by_the_watch_next() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    replace(&data, &file_of(0));
    let (reloader, store, gate) = gated(&data);
    for round in 0..5 {
        gate.is_shut.store(true, Ordering::SeqCst);
        replace(&data, &file_of(2 * round + 1));
        gate.reached.recv_timeout(DEADLINE).unwrap();
        // The load that is under way has opened the file.
        replace(&data, &file_of(2 * round + 2));
        let opened = format!("TN{}", 2 * round + 1);
        while first_number(&store) != opened {
            // A load reaches the gate several times. Once it is served, another one does.
            gate.is_shut.store(true, Ordering::SeqCst);
            gate.open.send(()).unwrap();
            gate.reached.recv_timeout(DEADLINE).expect("the watch loads the other file");
        }
        gate.open.send(()).unwrap();
        // A reload has its turn after it.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(reloader.reload(Request::default())).is_ok());
        assert_eq!(first_number(&store), format!("TN{}", 2 * round + 2));
    }
}

fn first_number(store: &Store) -> String {
    let served = store.load();
    let mut shipment = Vec::new();
    served.as_deref().unwrap().dataset.shipments().next().unwrap().render(&mut shipment);
    serde_json::from_slice::<serde_json::Value>(&shipment).unwrap()["tracking_number"].as_str().unwrap().to_owned()
}

#[test]
fn rollbacks_and_reloads_take_turns_in_the_order_they_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    replace(&data, &file_of(0));
    let (reloader, store, gate) = gated(&data);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        replace(&data, &file_of(1));
        assert!(reloader.reload(Request::default()).await.is_ok());
        let ask = |rolls_back: bool| {
            let reloader = reloader.clone();
            tokio::spawn(async move {
                if rolls_back { reloader.roll_back().await } else { reloader.reload(Request::default()).await }
            })
        };
        gate.is_shut.store(true, Ordering::SeqCst);
        let under_way = ask(false);
        tokio::task::yield_now().await;
        gate.reached.recv().unwrap();
        // Two at once go back once.
        let asked = [ask(true), ask(true), ask(false), ask(true), ask(false)];
        tokio::task::yield_now().await;
        gate.open.send(()).unwrap();
        assert_eq!(generation(&under_way.await.unwrap()), 2);
        let mut generations = Vec::new();
        for task in asked {
            generations.push(generation(&task.await.unwrap()));
        }
        assert_eq!(generations, [3, 3, 4, 5, 6]);
    });
    assert_eq!(store.load().as_ref().unwrap().generation, 6);
}

#[test]
fn signals_posts_and_the_watch_at_once_are_all_answered_and_the_newest_file_is_served() {
    let server = Server::start(file_of(0), &["--watch", "10ms", "--max-removed-percent", "100"]);
    for round in 1..=5 {
        let start = Barrier::new(POSTS + 1);
        let admin = server.admin.unwrap();
        let answers: Vec<u16> = std::thread::scope(|scope| {
            let post = |_| {
                scope.spawn(|| {
                    let mut client = Client::connect(admin);
                    start.wait();
                    client.request("POST", "/-/reload", &["Content-Length: 0"]).status
                })
            };
            let posts: Vec<_> = (0..POSTS).map(post).collect();
            start.wait();
            // For the watch, and in the midst of the others.
            server.replace(file_of(round));
            for _ in POSTS..TRIGGERS {
                server.signal(Signal::HUP);
            }
            posts.into_iter().map(|post| post.join().unwrap()).collect()
        });
        assert_eq!(answers, vec![200; POSTS]);
        assert_eq!(server.reload().status, 200);
        assert_eq!(server.get(&format!("/v1/shipments/TN{round}")).status, 200);
        assert_eq!(server.state()["generation"], round + 1);
    }
}
