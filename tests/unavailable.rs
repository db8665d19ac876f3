//! Before there is a dataset: the server in this process, since the binary ends when its first load fails.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use support::client::Client;
use support::{DEADLINE, SEED, run, waybill};
use tokio::sync::{Semaphore, watch};
use waybill::http::App;
use waybill::http::route::Listener;
use waybill::http::server::{self, Endpoint, Limits, Pulse, Stage, TimeLimits};
use waybill::load;
use waybill::reload::{ReloadSettings, Reloader};
use waybill::store::Store;

/// Both listeners, each on a thread.
struct InProcess {
    public: SocketAddr,
    admin: SocketAddr,
    pulse: watch::Sender<Pulse>,
    threads: Vec<JoinHandle<std::io::Result<usize>>>,
}

impl InProcess {
    /// Serves `data`, after the first load was tried.
    fn start(data: &Path) -> InProcess {
        let store = Arc::new(Store::default());
        let settings = ReloadSettings {
            data: data.to_owned(),
            load: load::Options::default(),
            shipments_min: 1,
            removed_percent_max: 50.0,
            keep_previous: false,
            watch_interval: None,
        };
        let (reloader, first_load) = Reloader::start(settings, Arc::clone(&store), Box::new(|_| ())).unwrap();
        assert!(first_load.blocking_recv().unwrap().is_err());
        let app = Arc::new(App { store, reloader, draining: AtomicBool::new(false) });
        let (pulse, followers) = watch::channel(Pulse::default());
        let mut threads = Vec::new();
        let mut listen = |listener| {
            let socket = server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), 1).unwrap().remove(0);
            let address = socket.local_addr().unwrap();
            let endpoint = Endpoint {
                listener,
                socket,
                app: Arc::clone(&app),
                permits: Arc::new(Semaphore::new(100)),
                limits: Limits {
                    connections_max: 100,
                    time: TimeLimits { header: DEADLINE, idle: DEADLINE, write: DEADLINE },
                },
                pulse: followers.clone(),
            };
            threads.push(std::thread::spawn(move || server::run(endpoint)));
            address
        };
        let (public, admin) = (listen(Listener::Public), listen(Listener::Admin));
        InProcess { public, admin, pulse, threads }
    }

    fn stop(self) {
        self.pulse.send_modify(|pulse| pulse.stage = Stage::Finishing);
        for thread in self.threads {
            assert_eq!(thread.join().unwrap().unwrap(), 0, "connections were cut off");
        }
    }
}

#[test]
fn until_there_is_a_dataset_all_but_livez_is_503_and_a_reload_brings_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    let server = InProcess::start(&data);
    let mut public = Client::connect(server.public);
    let mut admin = Client::connect(server.admin);
    let mut lookups = vec!["/v1/shipments/DHL/TN12345678", "/v1/shipments/TN1", "/v1/dataset", "/readyz"];
    for path in &lookups {
        let answer = public.request("GET", path, &["If-None-Match: *"]);
        answer.problem(503, "dataset_unavailable");
        assert_eq!(answer.field("retry-after").as_deref(), Some("1"), "{path}");
        assert_eq!(answer.field("etag"), None);
        assert_eq!(public.request("HEAD", path, &[]).status, 503, "{path}");
    }
    assert_eq!(public.get("/livez").status, 200);
    assert_eq!(admin.get("/livez").status, 200);
    for path in ["/readyz", "/-/dataset"] {
        admin.get(path).problem(503, "dataset_unavailable");
    }
    public.get("/nowhere").problem(404, "route_not_found");
    public.get("/v1/shipments/%").problem(400, "invalid_parameter");
    let url = format!("http://{}/readyz", server.public);
    assert_eq!(run(&mut waybill(&["health", &url])).code, Some(1));

    admin.request("POST", "/-/reload", &[]).problem(422, "dataset_unreadable");
    std::fs::write(&data, SEED).unwrap();
    let report = admin.request("POST", "/-/reload?dry_run=true", &[]).json();
    assert_eq!((&report["result"], &report["added"]), (&"ok".into(), &5.into()));
    public.get("/readyz").problem(503, "dataset_unavailable");
    let report = admin.request("POST", "/-/reload", &[]).json();
    assert_eq!((&report["result"], &report["generation"], &report["added"]), (&"ok".into(), &1.into(), &5.into()));
    lookups.retain(|path| *path != "/v1/shipments/TN1");
    for path in lookups {
        assert_eq!(public.get(path).status, 200, "{path}");
    }
    assert_eq!(run(&mut waybill(&["health", &url])).code, Some(0));
    server.stop();
    public.expect_end();
}
