//! Data from object storage: here an HTTP server of the test's own, which fails as it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::support::client::Client;
use crate::support::{DEADLINE, SEED, Server, csv, row, run, waybill};
use flate2::write::GzEncoder;
use serde_json::Value;

/// Bytes of an object's start that are sent before a transfer breaks off.
const SENT_BYTES: usize = 100;
const REFUSED: &str = "not reloaded; what was served is still served";
const UNSEEN: &str = "object unavailable; what was served is still served";
/// Looks after which an object that does not change would have been loaded, twice over.
const LOOKS: usize = 5;

/// How storage answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Manner {
    #[default]
    Whole,
    /// With this status and no object.
    Status(u16),
    /// So many answers break off; the rest can be had.
    BrokenTimes(u8),
    /// Every answer breaks off.
    Broken,
    /// The first answer breaks off, and then the object is another one.
    Replaced,
    /// Not at all.
    Silent,
    /// Without a word on the size.
    Unsized,
}

#[derive(Default)]
struct State {
    content: Vec<u8>,
    tag: Option<String>,
    modified: Option<&'static str>,
    manner: Manner,
    /// Method and status.
    asked: Vec<(String, u16)>,
}

#[derive(Clone)]
struct Storage {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Storage {
    /// With an object that has a tag.
    fn start(content: impl AsRef<[u8]>) -> Storage {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let storage = Storage { address: listener.local_addr().unwrap(), state: Arc::default() };
        storage.put(content, Some("\"0\""));
        let serving = storage.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let storage = serving.clone();
                std::thread::spawn(move || storage.answer(stream));
            }
        });
        storage
    }

    fn url(&self) -> String {
        format!("http://{}/exports/data.csv", self.address)
    }

    fn put(&self, content: impl AsRef<[u8]>, tag: Option<&str>) {
        let mut state = self.state.lock().unwrap();
        state.content = content.as_ref().to_vec();
        state.tag = tag.map(str::to_owned);
    }

    fn set(&self, manner: Manner) {
        self.state.lock().unwrap().manner = manner;
    }

    fn asked(&self) -> Vec<(String, u16)> {
        self.state.lock().unwrap().asked.clone()
    }

    fn gets(&self) -> usize {
        self.asked().iter().filter(|(method, _)| method == "GET").count()
    }

    /// Waits for what a look from now on finds: the next one begins after that.
    fn wait_for_looks(&self) {
        let before = self.asked().len();
        while self.asked().len() < before + 3 {
            std::thread::yield_now();
        }
    }

    /// Answers the one request of a connection.
    fn answer(&self, mut stream: TcpStream) {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).unwrap_or(0) == 0 {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let field = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
        };
        let method = head.split(' ').next().unwrap().to_owned();
        let start = field("range").map(|range| range[6..range.find('-').unwrap()].parse::<usize>().unwrap());
        let silent = {
            let mut state = self.state.lock().unwrap();
            let (status, answer) = state.answer(&method, start);
            state.asked.push((method, status));
            // Whoever asked may be gone.
            let _ = stream.write_all(&answer);
            state.manner == Manner::Silent
        };
        if silent {
            // Until the other side gives up.
            let _ = stream.read(&mut [0]);
        }
    }
}

impl State {
    /// Status and bytes.
    fn answer(&mut self, method: &str, start: Option<usize>) -> (u16, Vec<u8>) {
        let mut status = if start.is_some() { 206 } else { 200 };
        match self.manner {
            Manner::Silent => return (0, Vec::new()),
            Manner::Status(other) => status = other,
            _ => {}
        }
        let mut head = format!("HTTP/1.1 {status} Test\r\nConnection: close\r\n");
        let mut field = |name: &str, value: &str| head.extend([name, ": ", value, "\r\n"]);
        if let Some(tag) = &self.tag {
            field("ETag", tag);
        }
        if let Some(modified) = self.modified {
            field("Last-Modified", modified);
        }
        let mut body = Vec::new();
        if status < 300 {
            body = self.content[start.unwrap_or(0)..].to_vec();
            if let Some(start) = start {
                let bytes = self.content.len();
                field("Content-Range", &format!("bytes {start}-{}/{bytes}", bytes - 1));
            }
        }
        if self.manner != Manner::Unsized {
            field("Content-Length", &body.len().to_string());
        }
        if method == "HEAD" {
            body.clear();
        } else if matches!(self.manner, Manner::Broken | Manner::BrokenTimes(_) | Manner::Replaced) {
            body.truncate(SENT_BYTES);
            if self.manner == Manner::Replaced {
                // As long as the other one.
                self.content = String::from_utf8(self.content.clone()).unwrap().replace("TN", "NT").into_bytes();
                self.tag = Some("\"replaced\"".to_owned());
            }
            self.manner = match self.manner {
                Manner::Broken => Manner::Broken,
                Manner::BrokenTimes(times @ 2..) => Manner::BrokenTimes(times - 1),
                _ => Manner::Whole,
            };
        }
        (status, [head.as_bytes(), b"\r\n", &body].concat())
    }
}

fn serve(storage: &Storage, arguments: &[&str]) -> Command {
    let mut command = waybill(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.args(["--log-format", "json", "--max-removed-percent", "100", "--data", &storage.url()]).args(arguments);
    command
}

fn start(storage: &Storage, arguments: &[&str]) -> Server {
    let mut command = serve(storage, arguments);
    command.env("RUST_LOG", "waybill=debug");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let mut server = Server::spawn(&mut command, dir, path);
    let serving = server.wait_for("serving");
    assert_eq!(serving["source"], storage.url());
    server
}

fn object_of(number: &str) -> String {
    csv(&[row(number, "DHL")])
}

/// More than one block of the loader's, and than one piece of a transfer.
fn large() -> String {
    csv(&(0..30_000).map(|number| row(&format!("TN{number}"), "DHL")).collect::<Vec<_>>())
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn wait_for_looks(server: &mut Server) {
    for _ in 0..LOOKS {
        server.wait_for("checked the source");
    }
}

/// Tries a reload that storage makes fail; why.
fn failed_reload(server: &Server, storage: &Storage) -> String {
    let before = server.state();
    let detail = server.reload().problem(422, "dataset_unreadable");
    assert!(detail.contains(&storage.url()), "{detail}");
    let after = server.state();
    assert_eq!((&before["generation"], &before["version"]), (&after["generation"], &after["version"]));
    assert_eq!(after["last_reload"]["error"], detail);
    detail
}

#[test]
fn the_same_content_has_the_same_version_from_a_file_and_from_an_object() {
    let file = Server::start(SEED, &[]);
    let version = file.state()["version"].clone();
    for content in [SEED.as_bytes().to_vec(), gzip(SEED.as_bytes())] {
        let storage = Storage::start(&content);
        let server = start(&storage, &[]);
        let state = server.state();
        assert_eq!((&state["version"], &state["source"]), (&version, &Value::from(storage.url())));
        assert_eq!(server.reload().json()["result"], "unchanged");

        let checked = run(&mut waybill(&["check", "--format", "json", &storage.url()]));
        let checked: Value = serde_json::from_str(checked.stdout()).unwrap();
        assert_eq!((&checked["version"], &checked["file_bytes"]), (&version, &Value::from(content.len())));
        // One request for each load, and none besides.
        let expected = ("GET".to_owned(), 200);
        assert_eq!(storage.asked(), [expected.clone(), expected.clone(), expected]);
    }
}

#[test]
fn a_watch_asks_whether_the_object_changed_and_loads_it_when_it_did() {
    let storage = Storage::start(object_of("TN0"));
    let mut server = start(&storage, &["--watch", "20ms"]);
    wait_for_looks(&mut server);
    let asked = storage.asked();
    assert!(asked.len() > LOOKS && asked[0] == ("GET".to_owned(), 200), "{asked:?}");
    assert!(asked[1..].iter().all(|look| *look == ("HEAD".to_owned(), 200)), "{asked:?}");

    storage.put(object_of("TN1"), Some("\"1\""));
    assert_eq!(server.wait_for("reloaded")["generation"], 2);
    assert_eq!(server.get("/v1/shipments/TN1").status, 200);
    wait_for_looks(&mut server);
    assert_eq!(storage.gets(), 2);
}

#[test]
fn an_object_that_is_written_again_with_the_same_bytes_is_as_old_as_that_and_not_loaded() {
    let storage = Storage::start(object_of("TN0"));
    storage.state.lock().unwrap().modified = Some("Sun, 01 Nov 2020 10:00:00 GMT");
    let mut server = start(&storage, &["--watch", "20ms", "--max-data-age", "26h", "--keep-previous"]);
    let age = |server: &Server| {
        let state = server.state();
        assert_eq!(server.get("/v1/dataset").json()["modified_at"], state["modified_at"]);
        (state["modified_at"].clone(), state["stale"].as_bool().unwrap(), state["generation"].as_u64().unwrap())
    };
    assert_eq!(age(&server), ("2020-11-01T10:00:00.000Z".into(), true, 1));
    storage.state.lock().unwrap().modified = Some("Fri, 01 Nov 2120 10:00:00 GMT");
    storage.wait_for_looks();
    assert_eq!((age(&server), storage.gets()), (("2120-11-01T10:00:00.000Z".into(), false, 1), 1));
    storage.set(Manner::Status(404));
    server.wait_for(UNSEEN);
    storage.wait_for_looks();
    assert!(server.metric(r#"waybill_dataset_source_checks_total{result="failed"}"#) >= 3);
    assert_eq!(age(&server).0, "2120-11-01T10:00:00.000Z");
    // After a rollback the object is not the one that is served.
    storage.put(object_of("TN1"), Some("\"1\""));
    storage.set(Manner::Whole);
    server.wait_for("reloaded");
    assert_eq!(server.admin_post("/-/rollback").status, 200);
    storage.state.lock().unwrap().modified = Some("Sat, 02 Nov 2120 10:00:00 GMT");
    storage.wait_for_looks();
    assert_eq!(age(&server), ("2120-11-01T10:00:00.000Z".into(), false, 3));
}

#[test]
fn an_object_without_a_time_has_no_age() {
    let storage = Storage::start(object_of("TN0"));
    let server = start(&storage, &["--max-data-age", "1s"]);
    let state = server.state();
    assert_eq!((&state["modified_at"], &state["stale"]), (&Value::Null, &Value::from(false)));
    assert!(!server.admin_get("/metrics").text().contains("waybill_dataset_modified_timestamp_seconds"));
}

#[test]
fn an_object_without_a_tag_is_told_by_size_and_time() {
    let storage = Storage::start(object_of("TN0"));
    storage.put(object_of("TN0"), None);
    storage.state.lock().unwrap().modified = Some("Sun, 22 Nov 2026 10:00:00 GMT");
    let mut server = start(&storage, &["--watch", "20ms"]);
    wait_for_looks(&mut server);
    assert_eq!(storage.gets(), 1);
    storage.put(object_of("TN10"), None);
    assert_eq!(server.wait_for("reloaded")["generation"], 2);
    {
        let mut state = storage.state.lock().unwrap();
        state.content = object_of("TN11").into_bytes();
        state.modified = Some("Sun, 22 Nov 2026 10:00:01 GMT");
    }
    assert_eq!(server.wait_for("reloaded")["generation"], 3);
    wait_for_looks(&mut server);
    assert_eq!(storage.gets(), 3);
}

#[test]
fn an_object_that_vanishes_is_told_of_once_and_what_was_served_is_still_served() {
    let storage = Storage::start(object_of("TN0"));
    let mut server = start(&storage, &["--watch", "20ms"]);
    storage.set(Manner::Status(404));
    let unseen = server.wait_for(UNSEEN);
    assert!(unseen["url"] == storage.url() && unseen["error"].as_str().unwrap().contains("no such object"), "{unseen}");
    wait_for_looks(&mut server);
    assert!(failed_reload(&server, &storage).contains("there is no such object"));
    assert_eq!(server.get("/v1/shipments/TN0").status, 200);
    storage.set(Manner::Whole);
    server.wait_for(REFUSED);
    wait_for_looks(&mut server);
    assert_eq!(server.seen().iter().filter(|line| line.contains(UNSEEN)).count(), 1);
    assert!(!server.seen().iter().any(|line| line.contains(r#""message":"reloaded""#)));
}

#[test]
fn a_transfer_that_breaks_off_is_gone_on_with_or_loads_nothing() {
    for pack in [<[u8]>::to_vec as fn(&[u8]) -> Vec<u8>, gzip] {
        let storage = Storage::start(pack(object_of("TN0").as_bytes()));
        let server = start(&storage, &[]);
        storage.put(pack(large().as_bytes()), Some("\"1\""));
        storage.set(Manner::Broken);
        let detail = failed_reload(&server, &storage);
        assert!(detail.starts_with("cannot read ") && detail.contains("broke off after"), "{detail}");
        for (times, result) in [(1, "ok"), (6, "unchanged")] {
            storage.set(Manner::BrokenTimes(times));
            let reloaded = server.reload().json();
            assert_eq!((&reloaded["result"], &reloaded["shipments"]), (&Value::from(result), &Value::from(30_000)));
            assert_eq!(storage.asked().last().unwrap().1, 206);
        }
        let whole = Server::start(large(), &[]);
        assert_eq!(server.state()["version"], whole.state()["version"]);
    }
}

#[test]
fn two_states_of_an_object_are_never_mixed() {
    let storage = Storage::start(object_of("TN0"));
    let server = start(&storage, &[]);
    storage.put(large(), Some("\"1\""));
    storage.set(Manner::Replaced);
    let detail = failed_reload(&server, &storage);
    assert!(detail.contains("broke off after"), "{detail}");
    assert_eq!(server.reload().json()["shipments"], 30_000);
    assert_eq!(server.get("/v1/shipments/NT1").status, 200);
    assert_eq!(server.get("/v1/shipments/TN1").status, 404);
}

#[test]
fn storage_that_says_nothing_holds_a_reload_up_for_a_while_and_lookups_never() {
    let storage = Storage::start(object_of("TN0"));
    let server = start(&storage, &[]);
    storage.set(Manner::Silent);
    let admin = server.admin.unwrap();
    let reload =
        std::thread::spawn(move || Client::connect(admin).request("POST", "/-/reload", &["Content-Length: 0"]));
    while storage.gets() == 1 {
        std::thread::yield_now();
    }
    assert_eq!(server.get("/v1/shipments/TN0").status, 200);
    assert!(!reload.is_finished());
    let detail = reload.join().unwrap().problem(422, "dataset_unreadable");
    assert!(detail.contains("does not answer in time"), "{detail}");
}

#[test]
fn a_start_says_what_is_wrong_with_the_object() {
    let storage = Storage::start(object_of("TN0"));
    for (manner, reason) in [
        (Manner::Status(404), "there is no such object"),
        (Manner::Status(403), "access is denied"),
        (Manner::Status(401), "credentials are missing or wrong"),
        (Manner::Status(400), "storage did not give it"),
        (Manner::Unsized, "Content-Length"),
    ] {
        storage.set(manner);
        for mut command in [serve(&storage, &[]), waybill(&["check", &storage.url()])] {
            let ended = run(&mut command);
            let said = ended.stderr.clone() + ended.stdout();
            let expected = format!("cannot open {}: ", storage.url());
            assert!(ended.code == Some(1) && said.contains(&expected) && said.contains(reason), "{ended:?}");
        }
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = run(&mut waybill(&["check", &format!("http://{nobody}/data.csv")]));
    assert!(ended.code == Some(1) && ended.stdout().contains("cannot be reached"), "{ended:?}");
    // What is unpacked wrongly is not the transfer's fault.
    let storage = Storage::start([gzip(b"x"), b"trash".to_vec()].concat());
    let ended = run(&mut waybill(&["check", "--format", "json", &storage.url()]));
    assert!(ended.code == Some(1) && ended.stdout().contains("dataset_refused"), "{ended:?}");
}

#[test]
fn a_url_that_names_no_object_is_refused_before_anything_is_asked() {
    for (url, reason) in [
        ("s3://bucket", "the whole name of an object"),
        ("ftp://host/data.csv", "unknown scheme"),
        ("https://user:pa55@host/data.csv", "could show a secret"),
        ("https://host/data.csv?signature=pa55", "could show a secret"),
    ] {
        for arguments in [["serve", "--data", url].as_slice(), &["check", url]] {
            let ended = run(&mut waybill(arguments));
            assert!(ended.code == Some(2) && ended.stderr.contains(reason), "{url}: {ended:?}");
            assert!(!ended.stderr.contains("pa55"), "{ended:?}");
        }
    }
}
