//! The fast path and hyper, on the same bytes: all that clients get must be the same but for the date, and all that is
//! counted, and all that is logged but for the time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

use waybill::http::access::Access;
use waybill::http::access::keys::ApiKeys;
use waybill::http::access::public::{Anonymous, Public, PublicView};
use waybill::http::app::App;
use waybill::http::connection::run_http1;
use waybill::http::pipeline::Service;
use waybill::http::request::cors::{Cors, Origin};
use waybill::http::request::forwarded::TrustedProxy;
use waybill::http::request::route::Listener;
use waybill::http::response;
use waybill::http::telemetry::access_log::settings::{AccessLogSettings, Target};
use waybill::http::telemetry::access_log::{AccessLog, Writing};
use waybill::http::worker::Worker;
use waybill::reload::{ReloadSettings, Reloader};
use waybill::stages::StatusMapSource;
use waybill::store::Store;

use crate::support::HEADER;

/// A longer head is refused.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Turns that the server gets after each part.
const TURNS: usize = 12;

/// What servers are set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    Plain,
    /// With CORS and TLS's field.
    Marked,
    /// With keys, and nothing for callers without one.
    Keys,
    /// With a rate for lookups of callers without a key, which nobody exceeds, and a proxy that is trusted.
    Rate,
    /// With keys, and a limited view for others.
    LimitedView,
    /// With a status map.
    Stages,
    /// With an access log, a proxy that is trusted, and keys for those who have one.
    Logged,
}

const SETTINGS: [Setting; 7] = [
    Setting::Plain,
    Setting::Marked,
    Setting::Keys,
    Setting::Rate,
    Setting::LimitedView,
    Setting::Stages,
    Setting::Logged,
];
const KEYS: &str =
    "all:key-all\nall:key-fast rate=1000000/s\nlist:key-list scope=list\nold:key-old expires=2020-01-31\n";

/// A server with the fast path and one without, with the same data.
struct Both {
    runtime: LocalRuntime,
    fast: Rc<Worker>,
    hyper: Rc<Worker>,
    /// What either had counted last.
    last: RefCell<[BTreeMap<String, u64>; 2]>,
    /// The access logs of both, where they have some.
    logs: Option<[Log; 2]>,
}

/// An access log that is read as it is written.
struct Log {
    thread: AccessLog,
    read: RefCell<File>,
    _writing: Writing,
    _file: NamedTempFile,
}

impl Log {
    fn start() -> Log {
        let file = NamedTempFile::new().unwrap();
        let settings = AccessLogSettings { target: Target::File(file.path().to_owned()), sample: 1, slow: None };
        let (log, writing) = AccessLog::start(&settings).unwrap();
        Log { thread: log, read: RefCell::new(file.reopen().unwrap()), _writing: writing, _file: file }
    }

    /// The lines between the last scrape and the next one, without what differs.
    fn lines(&self) -> Vec<String> {
        // What waits is written at once then.
        self.thread.reopen();
        let mut text = String::new();
        while !text.contains("\"/metrics\"") || !text.ends_with('\n') {
            self.read.borrow_mut().read_to_string(&mut text).unwrap();
        }
        let same = |line: &str| {
            let (time, rest) = line.split_once(",\"client\"").unwrap();
            assert_eq!(time.len(), "{\"time\":\"2026-11-22T12:27:36.205Z\"".len());
            let (before, after) = rest.split_once("\"duration_us\":").unwrap();
            format!("{before}{}", after.trim_start_matches(|digit: char| digit.is_ascii_digit()))
        };
        let mut lines: Vec<String> = text.lines().map(same).collect();
        lines.pop();
        lines
    }
}

impl Both {
    fn start(setting: Setting) -> Both {
        let mut csv = format!("{HEADER}\n");
        let mut add = |number: &str, carrier: &str, articles: usize| {
            for article in 0..articles {
                writeln!(csv, "{number},{carrier},from \u{e9},to,Laptop {article},1,800,LP{article},scanned").unwrap();
            }
        };
        for carrier in ["DHL", "UPS", "D/H L"] {
            add("TN1", carrier, 1);
        }
        add("\u{dc} 2", "DHL", 2);
        // Short of a tiny answer, over it, and too long to be made at once.
        add("TN60", "DHL", 60);
        add("TN80", "DHL", 80);
        add("TN1100", "DHL", 1100);
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), csv).unwrap();
        let logs = (setting == Setting::Logged).then(|| [(); 2].map(|()| Log::start()));
        let [fast, hyper] = [0, 1].map(|side| {
            let store = Arc::new(Store::default());
            let mut settings = ReloadSettings::new(file.path().to_owned());
            settings.status_map = (setting == Setting::Stages).then_some(StatusMapSource::Builtin);
            let (reloader, first_load) = Reloader::start(settings, Arc::clone(&store), Box::new(|_| ())).unwrap();
            assert!(first_load.blocking_recv().unwrap().is_ok());
            let mut app = App::new(store, reloader);
            set(&mut app, setting);
            app.access_log = logs.as_ref().map(|logs| logs[side].thread.clone());
            Rc::new(Worker::new(Arc::new(app)))
        });
        let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default()).unwrap();
        Both { runtime, fast, hyper, last: RefCell::default(), logs }
    }

    /// Sends `parts` to both, each part when the one before was dealt with, and compares.
    fn compare(&self, parts: &[&[u8]]) -> Result<(), TestCaseError> {
        let ask =
            |worker, with_fast_path| self.runtime.block_on(answers(worker, Listener::Public, parts, with_fast_path));
        let (mut fast, mut hyper) = (ask(&self.fast, true), ask(&self.hyper, false));
        if parts.iter().map(|part| part.len()).sum::<usize>() >= HEAD_BYTES_MAX {
            // Of a head that is malformed as well as too long hyper finds first what it reads first, in parts of any size.
            for answers in [&mut fast, &mut hyper] {
                *answers = answers.replace("431 Request Header Fields Too Large", "400 Bad Request");
            }
        }
        let sent = || parts.iter().map(|part| part.escape_ascii().to_string()).collect::<Vec<_>>();
        if fast != hyper {
            let same = fast.bytes().zip(hyper.bytes()).take_while(|(fast, hyper)| fast == hyper).count();
            let rest = |answers: &str| answers[same.saturating_sub(200)..].chars().take(400).collect::<String>();
            prop_assert_eq!(rest(&fast), rest(&hyper), "{:#?}", sent());
        }
        let more = |mut after: BTreeMap<String, u64>, before: &BTreeMap<String, u64>| {
            for (labels, count) in &mut after {
                *count -= before.get(labels).unwrap_or(&0);
            }
            after.retain(|_, count| *count > 0);
            after
        };
        let [fast, hyper] = self.counted();
        let [fast_before, hyper_before] = self.last.replace([fast.clone(), hyper.clone()]);
        prop_assert_eq!(more(fast, &fast_before), more(hyper, &hyper_before), "{:#?}", sent());
        if let Some(logs) = &self.logs {
            let [fast, hyper] = logs.each_ref().map(Log::lines);
            prop_assert_eq!(fast, hyper, "{:#?}", sent());
        }
        Ok(())
    }

    /// What either has counted: requests by route and status, and by key.
    fn counted(&self) -> [BTreeMap<String, u64>; 2] {
        let scrape: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        [&self.fast, &self.hyper].map(|worker| {
            let text = self.runtime.block_on(answers(worker, Listener::Admin, &[scrape], false));
            let is_counter = |line: &&str| {
                let names = [
                    "waybill_http_requests_total{",
                    "waybill_http_key_requests_total{",
                    "waybill_http_rate_limited_total{",
                ];
                names.iter().any(|name| line.starts_with(name))
            };
            let counts = text.split("\\n").filter(is_counter);
            let counts = counts.filter_map(|line| line.rsplit_once(' '));
            counts.map(|(labels, count)| (labels.to_owned(), count.parse().unwrap())).collect()
        })
    }

    fn etag(&self) -> String {
        let request: &[u8] = b"GET /v1/dataset HTTP/1.1\r\nHost: a\r\nX-API-Key: key-all\r\nConnection: close\r\n\r\n";
        let answer = self.runtime.block_on(answers(&self.hyper, Listener::Public, &[request], false));
        let start = answer.find("etag: ").unwrap() + 6;
        let value = &answer[start..start + answer[start..].find("\\r").unwrap()];
        value.replace('\\', "")
    }
}

fn set(app: &mut App, setting: Setting) {
    let has_keys = matches!(setting, Setting::Keys | Setting::LimitedView | Setting::Logged);
    if has_keys {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), KEYS).unwrap();
        app.secrets.api_keys = Some(ApiKeys::load(file.path()).unwrap());
    }
    let (anonymous, view, rate) = match setting {
        Setting::Plain => return,
        Setting::Stages => {
            app.with_stages = true;
            return;
        }
        Setting::Marked => {
            app.cors = Cors::new(&["https://shop.example".parse::<Origin>().unwrap()]);
            app.transport_security = Some(response::transport_security(Duration::from_secs(9)));
            return;
        }
        Setting::Keys => (Anonymous::None, PublicView::Full, None),
        Setting::Rate | Setting::Logged => {
            app.trusted_proxies = vec![TrustedProxy::Unix];
            (Anonymous::Lookup, PublicView::Full, Some("1000000/s".parse().unwrap()))
        }
        Setting::LimitedView => (Anonymous::Lookup, PublicView::Limited, None),
    };
    app.access = Access::new(has_keys, &Public { anonymous, view, rate });
}

/// All that comes for `parts`, without dates.
async fn answers(worker: &Rc<Worker>, listener: Listener, parts: &[&[u8]], with_fast_path: bool) -> String {
    let (client, server) = UnixStream::pair().unwrap();
    let service = Service::new(listener, Rc::clone(worker));
    let connection = tokio::task::spawn_local(run_http1(server, service, with_fast_path));
    let (mut answers, mut requests) = client.into_split();
    let answers = tokio::task::spawn_local(async move {
        let mut all = Vec::new();
        // Where the server closes over unread bytes it ends with an error.
        let _ = answers.read_to_end(&mut all).await;
        all
    });
    for part in parts {
        if requests.write_all(part).await.is_err() {
            break;
        }
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
    }
    // There is nothing to shut down where the server has closed.
    let _ = requests.shutdown().await;
    let answers = answers.await.unwrap();
    connection.await.unwrap();
    let mut text = answers.escape_ascii().to_string();
    let mut from = 0;
    while let Some(at) = text[from..].find("date: ") {
        let end = from + at + text[from + at..].find("GMT").unwrap_or(0);
        text.replace_range(from + at + 6..end, "");
        from += at + 6;
    }
    text
}

fn method() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just("GET"), 2 => Just("HEAD"), 1 => select(vec!["get", "POST", "OPTIONS", "DELETE", "BREW"])]
}

fn target() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => select(vec!["/v1/shipments/DHL/TN1", "/v1/shipments/ups/tn1", "/v1/shipments/TN1", "/v1/shipments/none/TN1"]),
        2 => select(vec![
            "/v1/shipments/DHL/TN60", "/v1/shipments/DHL/TN80", "/v1/shipments/TN80", "/v1/shipments/none", "/v1/shipments/%64hl/TN1", "/v1/shipments/D%2fH%20L/TN1",
            "/v1/shipments/%C3%9C%202", "/v1/shipments/dhl/%c3%bc%202", "/v1/shipments/%ff", "/v1/shipments/a/%",
        ]),
        2 => select(vec![
            "/v1/shipments/", "/v1/shipments", "/v1/shipments//TN1", "/v1/shipments/DHL/TN1/", "/v1/shipments/DHL/TN1?",
            "/v1/shipments/DHL/TN1?a=b", "/v1/shipments/DHL/TN1#a", "/v1/shipments/\u{dc}%202", "/v1/shipments/{a}/\"b\"",
            "http://a/v1/shipments/DHL/TN1", "*", "a:80", "/v1/facets", "/livez", "/%76%31/shipments/DHL/TN1", "",
            "/v1//shipments/DHL/TN1", "/v1/shipments/DHL/TN1\t", "/v1/./shipments/DHL/TN1", "/v1/shipments/..%2f/TN1",
            "/v1/shipments/a+b/c&d='*'", "/v1/shipments/%00%01/%0a", "/v1/shipments/%00%7f",
        ]),
    ]
}

fn field() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => select(vec![
            "Accept: */*", "User-Agent: curl/8", "Connection: keep-alive", "X-Forwarded-For: 192.0.2.1, 192.0.2.2",
            "Forwarded: for=192.0.2.1", "Cookie: a=b", "If-None-Match: ETAG", "if-none-match: W/ETAG, \"a\"",
            "IF-NONE-MATCH: *", "If-None-Match: \"a\"", "If-None-Match: ", "Accept-Encoding: gzip", "DNT:1", "A: \t b \t",
            "A: \u{e9}", "Authorization: Bearer a", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
        ]),
        3 => select(vec![
            "Connection: close", "Connection: Keep-Alive", "Connection: keep-alive, x", "Connection:", "Host: b",
            "Origin: https://shop.example", "Range: bytes=0-1", "TE: trailers", "Trailer: a", "Expect: 100-continue",
            "Upgrade: h2c", "If-Match: \"a\"", "Waybill-Postcode: -", "Proxy-Connection: close",
            "Keep-Alive: timeout=1",
        ]),
        3 => select(vec![
            "X-Request-Id: f81d4fae", "x-request-id: \"\\", "X-Request-Id: a b", "X-Request-Id: \u{e9}", "X-Request-Id: ",
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Traceparent: 00-0-0-0",
            "X-Forwarded-For: 2001:db8::1", "X-Forwarded-For: 192.0.2.1:80,unknown", "X-Forwarded-Proto: https",
        ]),
        4 => select(vec![
            "X-API-Key: key-all", "x-api-key: key-fast", "Authorization: Bearer key-all", "authorization: bearer  key-fast ",
            "Authorization: Basic a2V5", "X-API-Key: key-list", "X-API-Key: key-old", "X-API-Key: wrong", "X-API-Key: ",
        ]),
        1 => select(vec![
            "A : b", "A", ": b", "A\tb: c", " A: b", "A: b\r\n c", "A: \0", "A: \u{7f}", "Host : a", "Content-Length: 0",
            "Content-Length: 3", "Content-Length: +3", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip",
        ]),
    ]
}

/// A head without a body, well formed or not.
fn head() -> impl Strategy<Value = String> {
    let version = prop_oneof![8 => Just("HTTP/1.1"), 1 => Just("HTTP/1.0"), 1 => select(vec!["HTTP/1.2", "HTTP/2.0", "http/1.1", ""])];
    let host = prop_oneof![12 => Just("Host: a"), 1 => Just("hOST: [::1]:80"), 1 => select(vec!["A: b", "Host: a/b", "Host: a..b", "Host:"])];
    let end = prop_oneof![8 => Just("\r\n"), 1 => Just("\n")];
    let before = prop_oneof![8 => Just(""), 1 => Just("\r\n"), 1 => select(vec!["\n", "\r\n\r\n", "\r", " "])];
    let fields = prop::collection::vec(field(), 0..4);
    (before, method(), target(), version, host, fields, any::<bool>(), end).prop_map(
        |(before, method, target, version, host, fields, host_is_last, end)| {
            let mut lines = vec![format!("{before}{method} {target} {version}")];
            lines.extend(fields.iter().map(|field| (*field).to_owned()));
            lines.insert(if host_is_last { lines.len() } else { 1 }, host.to_owned());
            lines.join(end) + end + end
        },
    )
}

/// A batch, with a body of a length that is right or wrong, or in chunks.
fn batch() -> impl Strategy<Value = String> {
    let body = select(vec![
        r#"[{"carrier":"DHL","tracking_number":"TN1"}]"#,
        "[]",
        "GET /v1/shipments/DHL/TN1 HTTP/1.1\r\nHost: a\r\n\r\n",
    ]);
    let path = prop_oneof![3 => Just("/v1/lookup"), 1 => Just("/v1/shipments/DHL/TN1"), 1 => Just("/none")];
    let framing = prop_oneof![6 => Just(0), 1 => Just(1), 1 => Just(-1), 1 => Just(100), 2 => Just(1000)];
    let fields = prop::collection::vec(field(), 0..2);
    (path, body, framing, fields).prop_map(|(path, body, framing, fields)| {
        let fields = fields.iter().fold(String::new(), |fields, field| fields + field + "\r\n");
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{fields}");
        let length = body.len().saturating_add_signed(framing);
        match framing {
            1000 => format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
            _ => format!("{head}Content-Length: {length}\r\n\r\n{body}"),
        }
    })
}

fn request() -> impl Strategy<Value = String> {
    let long = (8000..8400_usize)
        .prop_map(|bytes| format!("GET /v1/shipments/DHL/TN1 HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(bytes)));
    prop_oneof![
        8 => Just("GET /v1/shipments/DHL/TN1 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        12 => head(),
        4 => batch(),
        1 => long,
        1 => "[ -~\r\n]{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fast_path_and_hyper_answer_and_count_the_same(
        requests in prop::collection::vec(request(), 1..8),
        changes in prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec((any::<Index>(), any::<u8>(), 0..3), 1..3)],
        splits in prop::collection::vec(any::<Index>(), 0..5),
        setting in 0..SETTINGS.len(),
    ) {
        thread_local!(static SERVERS: [(Both, String); SETTINGS.len()] = SETTINGS.map(|setting| {
            let both = Both::start(setting);
            let etag = both.etag();
            both.last.replace(both.counted());
            both.logs.iter().flatten().for_each(|log| drop(log.lines()));
            (both, etag)
        }));
        SERVERS.with(|servers| {
            let (both, etag) = &servers[setting];
            let mut bytes = requests.concat().replace("ETAG", etag).into_bytes();
            for (at, byte, change) in &changes {
                let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
                match change {
                    _ if bytes.is_empty() => {}
                    0 => bytes[at] = *byte,
                    1 => bytes.insert(at, *byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            // How much hyper sees of a body that nobody reads depends on where its buffer ends.
            let has_length = bytes.to_ascii_lowercase().windows(15).any(|bytes| bytes == b"content-length:");
            if bytes.len() >= HEAD_BYTES_MAX && has_length {
                return Ok(());
            }
            let mut ends: Vec<usize> = splits.iter().map(|split| split.index(bytes.len() + 1)).collect();
            ends.push(bytes.len());
            ends.sort_unstable();
            let mut start = 0;
            let parts: Vec<&[u8]> = ends.iter().map(|end| &bytes[std::mem::replace(&mut start, *end)..*end]).collect();
            both.compare(&parts)
        })?;
    }
}

#[test]
fn a_flood_of_pipelined_requests_of_all_kinds_is_answered_alike() {
    let both = Both::start(Setting::Plain);
    both.last.replace(both.counted());
    let lookup = "GET /v1/shipments/DHL/TN60 HTTP/1.1\r\nHost: a\r\n\r\n";
    let others = [
        "HEAD /v1/shipments/DHL/TN1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /v1/facets HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /v1/lookup HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
        "GET /v1/shipments/DHL/TN1100 HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let requests: String = (0..1000).map(|at| if at % 10 == 9 { others[at / 10 % 4] } else { lookup }).collect();
    both.compare(&[requests.as_bytes()]).unwrap();
    let parts: Vec<&[u8]> = requests.as_bytes().chunks(7000).collect();
    both.compare(&parts).unwrap();
}
