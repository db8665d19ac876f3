//! Before there is a dataset: the server in this process, since the binary ends when its first load fails.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::support::client::{Client, post, request};
use crate::support::openapi::{Document, Response};
use crate::support::{DEADLINE, SEED, run, waybill};
use tokio::sync::watch;
use waybill::http::activity::TimeLimits;
use waybill::http::app::App;
use waybill::http::connection::places::Places;
use waybill::http::listener::{Address, Bound, Sharing};
use waybill::http::request::route::Listener;
use waybill::http::server::{self, Endpoint, Limits, Stage, Tick};
use waybill::reload::{ReloadSettings, Reloader};
use waybill::store::Store;

/// Both listeners, each on a thread.
struct InProcess {
    public: SocketAddr,
    admin: SocketAddr,
    tick: watch::Sender<Tick>,
    threads: Vec<JoinHandle<std::io::Result<usize>>>,
}

impl InProcess {
    /// Serves `data`, after the first load was tried.
    fn start(data: &Path) -> InProcess {
        let store = Arc::new(Store::default());
        let settings = ReloadSettings::new(data.to_owned());
        let (reloader, first_load) = Reloader::start(settings, Arc::clone(&store), Box::new(|_| ())).unwrap();
        assert!(first_load.blocking_recv().unwrap().is_err());
        let mut app = App::new(store, reloader);
        app.offered.changes = true;
        let app = Arc::new(app);
        let (tick, followers) = watch::channel(Tick::default());
        let mut threads = Vec::new();
        let mut listen = |listener| {
            let mut bound = Bound::new(&"127.0.0.1:0".parse().unwrap(), 1, Sharing::Alone).unwrap();
            let Address::Ip(address) = bound.address else { unreachable!() };
            let endpoint = Endpoint {
                listener,
                socket: bound.sockets.remove(0),
                awaits_data: false,
                leaves_queue: false,
                app: Arc::clone(&app),
                places: Places::new(100, 1),
                thread: 0,
                tls: None,
                limits: Limits {
                    connections_max: 100,
                    time: TimeLimits { header: DEADLINE, body: DEADLINE, idle: DEADLINE, write: DEADLINE },
                },
                tick: followers.clone(),
            };
            threads.push(std::thread::spawn(move || server::run(endpoint)));
            address
        };
        let (public, admin) = (listen(Listener::Public), listen(Listener::Admin));
        InProcess { public, admin, tick, threads }
    }

    fn stop(self) {
        self.tick.send_modify(|tick| tick.stage = Stage::Draining);
        for thread in self.threads {
            assert_eq!(thread.join().unwrap().unwrap(), 0, "connections were cut off");
        }
    }
}

#[test]
fn until_there_is_a_dataset_all_but_livez_and_the_pages_is_503_and_a_reload_brings_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.csv");
    let server = InProcess::start(&data);
    let mut public = Client::connect(server.public);
    let mut admin = Client::connect(server.admin);
    let mut lookups = vec!["/v1/shipments/DHL/TN12345678", "/v1/shipments/TN1", "/v1/dataset", "/readyz"];
    lookups.extend([
        "/v1/shipments",
        "/v1/shipments?limit=1000",
        "/v1/shipments.csv",
        "/v1/shipments.ndjson",
        "/v1/facets",
        "/v1/facets?status=x",
        "/shipment/list/",
    ]);
    for path in &lookups {
        let answer = public.request("GET", path, &["If-None-Match: *"]);
        answer.problem(503, "dataset_unavailable");
        assert_eq!(answer.field("retry-after").as_deref(), Some("1"), "{path}");
        assert_eq!(answer.field("etag"), None);
        assert_eq!(public.request("HEAD", path, &[]).status, 503, "{path}");
    }
    public.send(post("/v1/lookup", &[], "no JSON"));
    public.answer_to("POST").problem(503, "dataset_unavailable");
    for path in ["/livez", "/", "/browse"] {
        assert_eq!(public.get(path).status, 200, "{path}");
    }
    assert_eq!(admin.get("/livez").status, 200);
    for path in ["/readyz", "/-/dataset"] {
        admin.get(path).problem(503, "dataset_unavailable");
    }
    public.get("/nowhere").problem(404, "route_not_found");
    public.get("/v1/shipments/%").problem(400, "invalid_parameter");
    public.get("/v1/shipments?limit=0").problem(400, "invalid_parameter");
    assert_eq!(public.get("/shipment/list").status, 301);
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

#[test]
fn without_a_dataset_the_answers_are_those_of_the_document() {
    let dir = tempfile::tempdir().unwrap();
    let server = InProcess::start(&dir.path().join("data.csv"));
    let mut client = Client::connect(server.public);
    let document = Document::load();
    let lookup = r#"{"lookups":[]}"#;
    let of_lookup = ["Content-Type: application/json", &format!("Content-Length: {}", lookup.len())];
    let reads = [
        "/v1/shipments/DHL/TN1",
        "/v1/shipments/TN1",
        "/v1/shipments?limit=1",
        "/v1/shipments.csv",
        "/v1/shipments.ndjson",
        "/v1/facets",
        "/v1/changes?since=0",
        "/v1/changes/stream",
        "/v1/dataset",
        "/shipment/list/",
        "/readyz",
    ];
    let reads = reads.into_iter().map(|target| ("GET", target, request("GET", target, &[])));
    let post = ("POST", "/v1/lookup", request("POST", "/v1/lookup", &of_lookup) + lookup);
    let mut answered = BTreeSet::new();
    for (method, target, request) in reads.chain([post]) {
        // A connection each: the body of a refused request may be left unread.
        let mut client = Client::connect(server.public);
        client.send(request);
        let answer = client.answer_to(method);
        let response = document.check(method, target, &answer);
        assert_eq!(document.response(&response)["content"]["application/problem+json"]["example"], answer.json());
        answered.insert(response);
    }
    let unavailable = |response: &Response| response.2 == 503;
    assert_eq!(answered, document.responses().into_iter().filter(unavailable).collect());
    assert_eq!(client.get("/livez").status, 200);
    server.stop();
}
