//! The public listener behind TLS, with HTTP/1.1 and HTTP/2.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{DEADLINE, SEED, Server, Signal, csv, row, run, waybill};

const LOOKUP: &str = "/v1/shipments/DHL/TN12345678";
const NEVER: &str = "10m";

/// A certificate for `localhost`, made now, and its key.
struct Pair {
    dir: TempDir,
}

impl Pair {
    fn make() -> Pair {
        let pair = Pair { dir: tempfile::tempdir().unwrap() };
        pair.renew();
        pair
    }

    fn certificate(&self) -> PathBuf {
        self.dir.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    fn renew(&self) {
        self.renew_until(4096);
    }

    /// Makes another one, which ends with `year`.
    fn renew_until(&self, year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(year, 12, 31);
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(self.certificate(), certificate.pem()).unwrap();
        std::fs::write(self.key(), key.serialize_pem()).unwrap();
    }

    fn start(&self, file: impl AsRef<[u8]>, arguments: &[&str]) -> Server {
        let (certificate, key) = (self.certificate(), self.key());
        let files = ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
        Server::start(file, &[&files, arguments].concat())
    }

    /// A client that trusts the certificate of now alone, and speaks `protocol`.
    fn connector(&self, protocol: &[u8], versions: &[&'static SupportedProtocolVersion]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.certificate()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    async fn connect(&self, server: &Server, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(server.public).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        self.connector(protocol, rustls::ALL_VERSIONS).connect(name, stream).await
    }

    /// A connection with HTTP/2.
    async fn http2(&self, server: &Server) -> http2::SendRequest<Full<Bytes>> {
        let stream = self.connect(server, b"h2").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, future).await.expect("nothing takes as long") })
}

fn request(method: &str, path: &str) -> hyper::http::request::Builder {
    Request::builder().method(method).uri(format!("https://waybill.test{path}"))
}

async fn ask(sender: &mut http2::SendRequest<Full<Bytes>>, method: &str, path: &str) -> Response<Bytes> {
    send(sender, request(method, path).body(Full::default()).unwrap()).await
}

async fn send(sender: &mut http2::SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Response<Bytes> {
    sender.ready().await.unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    request("POST", path).header("content-type", "application/json").body(Full::new(body.into())).unwrap()
}

#[test]
fn compressed_responses_come_over_http2_too() {
    let pair = Pair::make();
    let server = pair.start(SEED, &[]);
    block_on(async {
        let mut h2 = pair.http2(&server).await;
        for path in ["/v1/shipments", "/v1/shipments.csv", "/browse"] {
            let plain = ask(&mut h2, "GET", path).await;
            let asked = request("GET", path).header("accept-encoding", "gzip").body(Full::default()).unwrap();
            let coded = send(&mut h2, asked).await;
            assert_eq!(coded.headers().get("content-encoding").unwrap(), "gzip", "{path}");
            let mut decoded = Vec::new();
            flate2::read::GzDecoder::new(&**coded.body()).read_to_end(&mut decoded).unwrap();
            assert!(decoded == **plain.body(), "{path}");
        }
    });
}

#[test]
fn both_protocols_answer_what_the_plain_one_does() {
    let pair = Pair::make();
    let plain = Server::start(SEED, &[]);
    let server = pair.start(SEED, &[]);
    block_on(async {
        let mut h2 = pair.http2(&server).await;
        let stream = pair.connect(&server, b"http/1.1").await.unwrap();
        let (mut h1, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        for path in [LOOKUP, "/v1/shipments/TN12345678", "/v1/facets", "/v1/shipments/DHL/x", "/nowhere", "/", "/livez"]
        {
            let expected = plain.get(path);
            let over_h2 = ask(&mut h2, "GET", path).await;
            assert_eq!((over_h2.status().as_u16(), over_h2.body().as_ref()), (expected.status, &expected.body[..]));
            let asked = Request::get(path).header("host", "waybill.test").body(Full::<Bytes>::default()).unwrap();
            let over_h1 = h1.send_request(asked).await.unwrap();
            for name in ["content-type", "etag", "cache-control", "content-length"] {
                let of = |answer: &hyper::HeaderMap| answer.get(name).map(|value| value.to_str().unwrap().to_owned());
                assert_eq!(of(over_h2.headers()), expected.field(name), "{path} {name}");
                assert_eq!(of(over_h1.headers()), expected.field(name), "{path} {name}");
            }
            assert_eq!(over_h1.into_body().collect().await.unwrap().to_bytes(), expected.body);
        }
        let asked = request("GET", "/nowhere").header("x-request-id", "over-h2").body(Full::default()).unwrap();
        assert_eq!(send(&mut h2, asked).await.headers()["x-request-id"], "over-h2");
    });
}

#[test]
fn exports_come_whole_over_http_2_or_are_reset() {
    let pair = Pair::make();
    let long = |sku: &str| crate::support::csv(&vec![crate::support::row("TN1", "DHL").replace("LP1", sku); 100_000]);
    let server = pair.start(long("LP1"), &["--write-timeout", "10m"]);
    block_on(async {
        let mut h2 = pair.http2(&server).await;
        let answer = ask(&mut h2, "GET", "/v1/shipments.csv").await;
        assert_eq!((answer.status().as_u16(), answer.headers().get("content-length")), (200, None));
        assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8; header=present");
        assert!(answer.body() == long("LP1").replace('\n', "\r\n").as_bytes());
        let head = ask(&mut h2, "HEAD", "/v1/shipments.csv").await;
        assert_eq!((head.status().as_u16(), head.headers().get("content-length")), (200, None));
        assert_eq!(head.headers()["content-disposition"], answer.headers()["content-disposition"]);
        assert!(head.body().is_empty());

        h2.ready().await.unwrap();
        let asked = request("GET", "/v1/shipments.csv").body(Full::default()).unwrap();
        let unread = h2.send_request(asked).await.unwrap();
        for sku in ["LP2", "LP3"] {
            server.replace(long(sku));
            assert_eq!(server.reload().json()["result"], "ok");
        }
        assert!(unread.into_body().collect().await.is_err());
        // Other streams go on.
        assert_eq!(ask(&mut h2, "GET", "/v1/shipments.csv").await.status(), 200);
    });
}

#[test]
fn lookups_wait_over_http_2_beside_other_requests() {
    let pair = Pair::make();
    let file = |status: &str| csv(&[crate::support::row_with_status("TN1", "DHL", status)]);
    let server = pair.start(file("a"), &["--changes", "3"]);
    let known = format!("\"{}\"", server.version());
    block_on(async {
        let mut h2 = pair.http2(&server).await;
        h2.ready().await.unwrap();
        let asked = request("GET", "/v1/shipments/DHL/TN1?wait=55").header("if-none-match", &known);
        let waiting = tokio::spawn(h2.send_request(asked.body(Full::default()).unwrap()));
        while server.metric("waybill_changes_waits") != 1 {
            assert_eq!(ask(&mut h2, "GET", "/v1/shipments/DHL/TN1").await.status(), 200);
        }
        let second = server.publish(file("b"));
        let answer = waiting.await.unwrap().unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["etag"].to_str().unwrap()),
            (200, &*format!("\"{second}\""))
        );
        // One that its client gives up leaves its place.
        h2.ready().await.unwrap();
        let asked = request("GET", "/v1/shipments/DHL/TN1?wait=55").header("if-none-match", format!("\"{second}\""));
        let waiting = h2.send_request(asked.body(Full::default()).unwrap());
        while server.metric("waybill_changes_waits") != 1 {
            assert_eq!(ask(&mut h2, "GET", "/v1/shipments/DHL/TN1").await.status(), 200);
        }
        drop(waiting);
        while server.metric("waybill_changes_waits") != 0 {
            assert_eq!(ask(&mut h2, "GET", "/v1/shipments/DHL/TN1").await.status(), 200);
        }
    });
}

#[test]
fn changes_are_streamed_over_http_2_beside_other_requests_until_the_server_drains() {
    const STREAMS: usize = 50;
    let pair = Pair::make();
    let file = |status: &str| {
        let rows = (0..5000).map(|at| crate::support::row(&format!("TN{at}"), "DHL").replace("scanned", status));
        crate::support::csv(&rows.collect::<Vec<_>>())
    };
    let server = pair.start(file("a"), &["--changes", "3", "--threads", "1"]);
    block_on(async {
        let mut h2 = pair.http2(&server).await;
        let mut bodies = Vec::new();
        for _ in 0..STREAMS {
            h2.ready().await.unwrap();
            let asked = request("GET", "/v1/changes/stream").body(Full::default()).unwrap();
            let answer = h2.send_request(asked).await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["content-type"]),
                (200, &"text/event-stream".parse().unwrap())
            );
            bodies.push(answer.into_body());
        }
        server.replace(file("b"));
        assert_eq!(server.reload().json()["result"], "ok");
        assert_eq!(ask(&mut h2, "GET", "/v1/shipments/DHL/TN1").await.status(), 200);
        // All at once: what one does not take would fill the window of the connection.
        let read = |mut body: Incoming| async move {
            let mut text = String::new();
            while text.matches("event: version").count() < 2 || !text.ends_with("\n\n") {
                let frame = body.frame().await.unwrap().unwrap();
                text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
            }
            (body, text)
        };
        let reading: Vec<_> = bodies.into_iter().map(|body| tokio::spawn(read(body))).collect();
        let (mut bodies, mut texts) = (Vec::new(), Vec::new());
        for reading in reading {
            let (body, text) = reading.await.unwrap();
            bodies.push(body);
            texts.push(text);
        }
        assert_eq!(texts[0].matches("event: shipment\n").count(), 5000);
        texts.dedup();
        assert_eq!(texts.len(), 1);
        server.signal(Signal::TERM);
        for body in bodies {
            assert!(body.collect().await.unwrap().to_bytes().is_empty());
        }
    });
}

#[test]
fn the_server_as_a_whole_tells_its_methods_over_http_2_too() {
    let pair = Pair::make();
    let server = pair.start(SEED, &[]);
    block_on(async {
        let mut h2 = pair.http2(&server).await;
        let everything = Uri::builder().scheme("https").authority("waybill.test").path_and_query("*").build().unwrap();
        let asked = Request::options(everything).body(Full::default()).unwrap();
        let answer = send(&mut h2, asked).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(answer.headers()["allow"], "GET, HEAD, POST, OPTIONS");
    });
}

#[test]
fn browsers_are_told_of_tls_in_every_answer_over_it_and_in_no_other() {
    const FIELD: &str = "strict-transport-security";
    let pair = Pair::make();
    let server = pair.start(SEED, &["--hsts", "1h", "--cors-origin", "*"]);
    block_on(async {
        let mut h2 = pair.http2(&server).await;
        let stream = pair.connect(&server, b"http/1.1").await.unwrap();
        let (mut h1, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        for (method, path) in [
            ("GET", LOOKUP),
            ("HEAD", LOOKUP),
            ("GET", "/"),
            ("GET", "/shipment/list"),
            ("GET", "/v1/facets?carrier=dhl"),
            ("GET", "/nowhere"),
            ("PUT", LOOKUP),
            ("OPTIONS", "*"),
            ("GET", "/livez"),
        ] {
            let over_h1 = Request::builder().method(method).uri(path).header("host", "waybill.test");
            let over_h1 = h1.send_request(over_h1.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
            assert_eq!(over_h1.headers()[FIELD], "max-age=3600", "{method} {path}");
            over_h1.into_body().collect().await.unwrap();
            if path != "*" {
                assert_eq!(ask(&mut h2, method, path).await.headers()[FIELD], "max-age=3600", "{method} {path}");
            }
        }
        let batch = send(&mut h2, post("/v1/lookup", r#"{"lookups":[]}"#)).await;
        assert_eq!(batch.headers()[FIELD], "max-age=3600");
        assert_eq!(send(&mut h2, post("/v1/lookup", "no JSON")).await.headers()[FIELD], "max-age=3600");
    });
    assert_eq!(server.admin_get("/livez").field(FIELD), None);
    let silent = pair.start(SEED, &[]);
    block_on(async {
        let mut h2 = pair.http2(&silent).await;
        assert!(!ask(&mut h2, "GET", LOOKUP).await.headers().contains_key(FIELD));
    });
}

#[test]
fn tls_for_browsers_needs_tls() {
    let refused = run(&mut waybill(&["serve", "--hsts", "1h"]));
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--hsts: --tls-cert is missing"), "{}", refused.stderr);
}

#[test]
fn versions_1_2_and_1_3_of_tls_are_spoken() {
    let pair = Pair::make();
    let server = pair.start(SEED, &[]);
    block_on(async {
        for (version, expected) in [(&version::TLS12, "TLSv1_2"), (&version::TLS13, "TLSv1_3")] {
            let stream = TcpStream::connect(server.public).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let mut stream = pair.connector(b"http/1.1", &[version]).connect(name, stream).await.unwrap();
            assert_eq!(format!("{:?}", stream.get_ref().1.protocol_version().unwrap()), expected);
            let asked = format!("GET {LOOKUP} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            stream.write_all(asked.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
    });
}

#[test]
fn http_2_has_heads_bodies_and_conditions_as_http_1_does() {
    let pair = Pair::make();
    let server = pair.start(SEED, &[]);
    block_on(async {
        let mut h2 = pair.http2(&server).await;
        let whole = ask(&mut h2, "GET", LOOKUP).await;
        let head = ask(&mut h2, "HEAD", LOOKUP).await;
        assert!(head.body().is_empty());
        assert_eq!(head.headers()["content-length"].to_str().unwrap(), whole.body().len().to_string());
        let known = request("GET", LOOKUP).header("if-none-match", &whole.headers()["etag"]);
        let known = send(&mut h2, known.body(Full::default()).unwrap()).await;
        assert_eq!((known.status(), known.body().len()), (StatusCode::NOT_MODIFIED, 0));

        let batch = send(&mut h2, post("/v1/lookup", r#"{"lookups":[{"tracking_number":"tn12345678"}]}"#)).await;
        let first =
            serde_json::from_slice::<serde_json::Value>(batch.body()).unwrap()["results"][0]["shipments"][0].take();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(whole.body()).unwrap(), first);
        let too_large = send(&mut h2, post("/v1/lookup", vec![b' '; (1 << 20) + 1])).await;
        assert_eq!(too_large.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(ask(&mut h2, "DELETE", LOOKUP).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    });
}

#[test]
fn links_lead_to_the_secured_listener() {
    let pair = Pair::make();
    let server = pair.start(SEED, &[]);
    block_on(async {
        let mut h2 = pair.http2(&server).await;
        for path in ["/v1/shipments?limit=1", "/shipment/list/?limit=1"] {
            let page: serde_json::Value = serde_json::from_slice(ask(&mut h2, "GET", path).await.body()).unwrap();
            let next = page["next"].as_str().unwrap();
            assert!(next.starts_with("https://waybill.test/"), "{next}");
        }
    });
}

#[test]
fn large_answers_come_whole_side_by_side() {
    let pair = Pair::make();
    let rows: Vec<String> = (0..5000).map(|number| row(&format!("TN{number}"), "DHL")).collect();
    let server = pair.start(csv(&rows), &[]);
    let plain = Server::start(csv(&rows), &[]);
    let paths = [0, 1000, 2000, 3000, 4000].map(|offset| format!("/v1/shipments?limit=1000&offset={offset}"));
    block_on(async {
        let h2 = pair.http2(&server).await;
        let asked = paths.iter().map(|path| {
            let (mut h2, path) = (h2.clone(), path.clone());
            tokio::spawn(async move { ask(&mut h2, "GET", &path).await })
        });
        for (asked, path) in asked.collect::<Vec<_>>().into_iter().zip(&paths) {
            let answer = asked.await.unwrap();
            let results = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap()["results"].take();
            assert_eq!(results(answer.body()), results(&plain.get(path).body), "{path}");
        }
    });
}

#[test]
fn certificates_are_read_again_at_reloads_and_bad_ones_change_nothing() {
    let pair = Pair::make();
    let mut server = pair.start(SEED, &[]);
    block_on(async { pair.http2(&server).await });
    pair.renew();
    let is_trusted = |server: &Server| block_on(async { pair.connect(server, b"h2").await.is_ok() });
    assert!(!is_trusted(&server), "the new one is served already");
    assert_eq!(server.reload().status, 200);
    assert!(is_trusted(&server));

    pair.renew();
    server.signal(Signal::HUP);
    server.wait_for("certificates read again");
    server.wait_for("certificates read again");
    assert!(is_trusted(&server));

    let key = std::fs::read(pair.key()).unwrap();
    std::fs::write(pair.key(), "no key").unwrap();
    assert_eq!(server.reload().status, 200);
    server.wait_for("certificates not read again; those from before still hold");
    assert!(is_trusted(&server));
    std::fs::write(pair.key(), key).unwrap();
    assert_eq!(server.reload().status, 200);
    assert!(is_trusted(&server));
}

#[test]
fn the_end_of_the_certificate_that_is_served_is_told() {
    let pair = Pair::make();
    let server = pair.start(SEED, &[]);
    let end = || server.metric("waybill_tls_certificate_not_after_timestamp_seconds");
    let seconds =
        |year| format!("{year}-12-31T00:00:00Z").parse::<jiff::Timestamp>().unwrap().as_second().cast_unsigned();
    assert_eq!(end(), seconds(4096));
    pair.renew_until(2020);
    assert_eq!(end(), seconds(4096), "the file is not what is served");
    assert_eq!(server.reload().status, 200);
    assert_eq!(end(), seconds(2020));
    std::fs::write(pair.key(), "no key").unwrap();
    assert_eq!(server.reload().status, 200);
    assert_eq!(end(), seconds(2020));
    let plain = Server::start(SEED, &[]).admin_get("/metrics");
    assert!(!plain.text().contains("waybill_tls_certificate_not_after_timestamp_seconds"));
}

fn assert_unusable(certificate: &Path, key: &Path, expected: &str) {
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let ended = run(&mut waybill(&["serve", "--listen", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key]));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[test]
fn files_that_cannot_be_used_end_it_with_status_2() {
    let (pair, other) = (Pair::make(), Pair::make());
    assert_unusable(&pair.key().with_extension("gone"), &pair.key(), "key.gone: a certificate expected");
    assert_unusable(&pair.key(), &pair.key(), "key.pem: a certificate expected");
    assert_unusable(&pair.certificate(), &pair.certificate(), "certificate.pem: a private key expected");
    assert_unusable(&pair.certificate(), &other.key(), other.key().to_str().unwrap());
    let ended = run(&mut waybill(&["serve", "--tls-key", "x"]));
    assert!(ended.code == Some(2) && ended.stderr.contains("--tls-cert"), "{}", ended.stderr);
}

#[test]
fn a_handshake_that_does_not_end_is_cut_off_and_one_in_another_language_is_counted() {
    let pair = Pair::make();
    let server = pair.start(SEED, &["--header-timeout", "500ms", "--idle-timeout", NEVER]);
    server.client().expect_end();
    let mut plain = std::net::TcpStream::connect(server.public).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    plain.read_to_end(&mut Vec::new()).unwrap();
    let metrics = server.admin_get("/metrics");
    let rejected = "waybill_http_connections_rejected_total{reason=\"tls_handshake\"} 1\n";
    assert!(metrics.text().contains(rejected), "{}", metrics.text());
    let timed_out = "waybill_http_connections_timed_out_total{phase=\"header\"} 1\n";
    assert!(metrics.text().contains(timed_out), "{}", metrics.text());
}

/// Sends HTTP/2 frames by hand: the connection's preface, the settings `settings`, and `frames`.
async fn send_frames(stream: &mut TlsStream<TcpStream>, settings: &[u8], frames: &[&[u8]]) {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, settings.len() as u8, 4, 0, 0, 0, 0, 0]);
    bytes.extend(settings);
    bytes.extend(frames.concat());
    stream.write_all(&bytes).await.unwrap();
}

/// Reads until the server ends the connection.
async fn wait_for_end(stream: &mut TlsStream<TcpStream>) {
    let mut came = Vec::new();
    // Whether it is ended by TLS' own rules does not matter here.
    let _ = stream.read_to_end(&mut came).await;
}

async fn read_until(stream: &mut TlsStream<TcpStream>, end: &[u8]) {
    let mut came = Vec::new();
    while !came.windows(end.len()).any(|bytes| bytes == end) {
        assert!(stream.read_buf(&mut came).await.unwrap() > 0, "{}", String::from_utf8_lossy(&came));
    }
}

/// HEADERS of stream `id` (RFC 9113, section 6.2), its fields literal (RFC 7541, section 6.2.2).
fn headers(id: u8, ends: bool, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.extend([0, name.len() as u8]);
        block.extend(name.as_bytes());
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    }
    let flags = 4 | u8::from(ends);
    [&[0, 0, block.len() as u8, 1, flags, 0, 0, 0, id][..], &block].concat()
}

/// PING, and what answers it (RFC 9113, section 6.7).
const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
const PONG: [u8; 17] = [0, 0, 8, 6, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

const GET: (&str, &str) = (":method", "GET");
const POST: (&str, &str) = (":method", "POST");
const JSON: (&str, &str) = ("content-type", "application/json");
const SCHEME: (&str, &str) = (":scheme", "https");
const AUTHORITY: (&str, &str) = (":authority", "waybill.test");

#[test]
fn an_idle_connection_with_http_2_is_closed() {
    let pair = Pair::make();
    let server = pair.start(SEED, &["--idle-timeout", "500ms", "--header-timeout", NEVER, "--write-timeout", NEVER]);
    block_on(async {
        let mut stream = pair.connect(&server, b"h2").await.unwrap();
        send_frames(&mut stream, &[], &[]).await;
        wait_for_end(&mut stream).await;
    });
}

#[test]
fn a_body_that_does_not_come_ends_the_connection_whatever_else_does() {
    let pair = Pair::make();
    let server = pair.start(SEED, &["--body-timeout", "500ms", "--idle-timeout", NEVER, "--write-timeout", NEVER]);
    block_on(async {
        let mut stream = pair.connect(&server, b"h2").await.unwrap();
        let fields = [POST, SCHEME, AUTHORITY, (":path", "/v1/lookup"), JSON];
        send_frames(&mut stream, &[], &[&headers(1, false, &fields)]).await;
        let (mut from, mut to) = tokio::io::split(stream);
        let asking = async {
            for id in (3_u8..).step_by(2) {
                let fields = [GET, SCHEME, AUTHORITY, (":path", "/livez")];
                if to.write_all(&headers(id, true, &fields)).await.is_err() || id > 250 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut came = Vec::new();
        tokio::select! {
            _ = from.read_to_end(&mut came) => {}
            () = asking => {}
        }
    });
    let metrics = server.admin_get("/metrics");
    let timed_out = "waybill_http_connections_timed_out_total{phase=\"body\"} 1\n";
    assert!(metrics.text().contains(timed_out), "{}", metrics.text());
}

#[test]
fn a_client_that_lets_no_answer_come_is_cut_off_though_it_pings() {
    let pair = Pair::make();
    let server = pair.start(SEED, &["--write-timeout", "500ms", "--idle-timeout", NEVER, "--body-timeout", NEVER]);
    block_on(async {
        let mut stream = pair.connect(&server, b"h2").await.unwrap();
        // SETTINGS_INITIAL_WINDOW_SIZE (4) is 0.
        let fields = [GET, SCHEME, AUTHORITY, (":path", LOOKUP)];
        send_frames(&mut stream, &[0, 4, 0, 0, 0, 0], &[&headers(1, true, &fields)]).await;
        let (mut from, mut to) = tokio::io::split(stream);
        let pinging = async {
            while to.write_all(&PING).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut came = Vec::new();
        tokio::select! {
            _ = from.read_to_end(&mut came) => {}
            () = pinging => {}
        }
    });
    let metrics = server.admin_get("/metrics");
    let timed_out = "waybill_http_connections_timed_out_total{phase=\"write\"} 1\n";
    assert!(metrics.text().contains(timed_out), "{}", metrics.text());
}

#[test]
fn a_flood_of_frames_without_requests_ends_the_connection() {
    let pair = Pair::make();
    let server = pair.start(SEED, &["--idle-timeout", NEVER]);
    let settings: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    for flood in [&PING[..], settings] {
        block_on(async {
            let mut stream = pair.connect(&server, b"h2").await.unwrap();
            send_frames(&mut stream, &[], &[]).await;
            let (mut from, mut to) = tokio::io::split(stream);
            let flooding = async {
                while to.write_all(&flood.repeat(100)).await.is_ok() {}
                std::future::pending::<()>().await;
            };
            let mut came = Vec::new();
            tokio::select! {
                _ = from.read_to_end(&mut came) => {}
                () = flooding => {}
            }
        });
    }
    let metrics = server.admin_get("/metrics");
    let rejected = "waybill_http_connections_rejected_total{reason=\"flood\"} 2\n";
    assert!(metrics.text().contains(rejected), "{}", metrics.text());
}

#[test]
fn many_answers_that_one_connection_leaves_unread_are_bounded() {
    let pair = Pair::make();
    let rows: Vec<String> = (0..60).map(|at| row("TN1", "DHL").replace("LP1", &format!("LP{at}"))).collect();
    let server = pair.start(csv(&rows), &["--max-buffered-bytes", "1MiB", "--write-timeout", NEVER]);
    let one = block_on(async { ask(&mut pair.http2(&server).await, "GET", "/v1/shipments/DHL/TN1").await });
    let bytes = one.body().len() as u64;
    assert!((3000..4096).contains(&bytes), "{bytes}");
    block_on(async {
        let mut stream = pair.connect(&server, b"h2").await.unwrap();
        let fields = [GET, SCHEME, AUTHORITY, (":path", "/v1/shipments/DHL/TN1")];
        let requests: Vec<Vec<u8>> = (0..100).map(|at| headers(2 * at + 1, true, &fields)).collect();
        let requests: Vec<&[u8]> = requests.iter().map(Vec::as_slice).collect();
        send_frames(&mut stream, &[0, 4, 0, 0, 0, 0], &requests).await;
        // 64 KiB of them are not counted.
        let beyond = 100 * bytes - (64 << 10);
        let held = || server.metric("waybill_http_buffered_bytes");
        let begun = Instant::now();
        while held().abs_diff(beyond) > bytes {
            assert!(begun.elapsed() < DEADLINE, "{} bytes are held, {beyond} expected", held());
        }
    });
}

#[test]
fn a_request_under_way_is_answered_before_the_end() {
    let pair = Pair::make();
    let mut server = pair.start(SEED, &["--grace-period", NEVER]);
    block_on(async {
        let idle = pair.http2(&server).await;
        let mut stream = pair.connect(&server, b"h2").await.unwrap();
        let fields = [POST, SCHEME, AUTHORITY, (":path", "/v1/lookup"), JSON];
        send_frames(&mut stream, &[], &[&headers(1, false, &fields)]).await;
        // Its answer has come, so the request before it has.
        stream.write_all(&PING).await.unwrap();
        read_until(&mut stream, &PONG).await;
        server.signal(Signal::TERM);
        server.wait_for("closing");
        let body = br#"{"lookups":[{"tracking_number":"TN12345678"}]}"#;
        stream.write_all(&[&[0, 0, body.len() as u8, 0, 1, 0, 0, 0, 1][..], body].concat()).await.unwrap();
        read_until(&mut stream, b"}]}]}").await;
        drop(idle);
    });
    assert_eq!(server.wait().code(), Some(0));
}
