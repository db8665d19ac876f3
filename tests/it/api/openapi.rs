//! The OpenAPI document against the code and against real answers, and the page that shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use crate::support::client::{Answer, Client, request};
use crate::support::openapi::{Document, Response};
use crate::support::{HEADER, SEED, Server};
use serde_json::Value;
use tempfile::NamedTempFile;
use waybill::http::request::route::{Listener, ROUTES};

/// Problems that only operators are told.
const CODES_OF_ADMIN: [&str; 9] = [
    "dataset_refused",
    "dataset_unreadable",
    "forbidden_origin",
    "insufficient_memory",
    "no_previous_dataset",
    "no_reload_running",
    "reload_cancelled",
    "too_few_shipments",
    "too_many_removed",
];

/// Names of the variants of an enum, as its file spells them.
fn variants(source: &str, name: &str) -> Vec<String> {
    let body = source.split_once(&format!("pub enum {name}")).unwrap().1.split_once("\n}").unwrap().0;
    let is_variant = |line: &&str| line.starts_with("    ") && line[4..].starts_with(|c: char| c.is_ascii_uppercase());
    let name = |line: &str| line.trim().split([' ', ',', '{', '(']).next().unwrap().to_owned();
    body.lines().filter(is_variant).map(name).collect()
}

fn snake_case(name: &str) -> String {
    name.chars().enumerate().fold(String::new(), |mut snake, (at, letter)| {
        if letter.is_ascii_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
        snake
    })
}

#[test]
fn the_document_has_every_public_route_and_no_other() {
    let document = Document::load();
    let described: BTreeSet<(&str, &str)> =
        document.operations().into_iter().map(|(path, method, _)| (path, method)).collect();
    // HEAD works wherever GET does, and is not listed.
    let public = ROUTES.iter().filter(|spec| spec.listeners.contains(&Listener::Public));
    let served = public.map(|spec| (spec.pattern, if spec.allow == "POST" { "post" } else { "get" })).collect();
    assert_eq!(described, served);
    // The table itself has every route there is.
    let routes = variants(include_str!("../../../src/http/request/route.rs"), "RouteId");
    assert_eq!(ROUTES.len(), routes.len(), "{routes:?}");
}

#[test]
fn every_parameter_of_a_path_is_described() {
    let document = Document::load();
    for (path, _, operation) in document.operations() {
        let parameters = operation["parameters"].as_array().into_iter().flatten().map(|one| document.resolve(one));
        let in_path = parameters.filter(|parameter| parameter["in"] == "path");
        let described: BTreeSet<&str> = in_path.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        let in_braces = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
        assert_eq!(described, in_braces.collect(), "{path}");
    }
}

#[test]
fn the_document_has_every_code_that_is_not_for_operators_alone() {
    let document = Document::load();
    let described = document.0["components"]["schemas"]["Code"]["enum"].as_array().unwrap();
    let described: BTreeSet<String> = described.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    let codes = variants(include_str!("../../../src/http/response/problem.rs"), "Code");
    let codes = codes.iter().map(|name| snake_case(name)).filter(|code| !CODES_OF_ADMIN.contains(&code.as_str()));
    assert_eq!(described, codes.collect());
}

#[test]
fn the_document_is_of_this_version() {
    assert_eq!(Document::load().0["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_examples_are_what_the_schemas_say() {
    let document = Document::load();
    let mut checked = 0;
    let mut values = vec![&document.0];
    while let Some(value) = values.pop() {
        match value {
            Value::Object(members) => {
                if let (Some(schema), Some(example)) = (members.get("schema"), members.get("example")) {
                    assert_eq!(document.errors(schema, example), [""; 0], "{example}");
                    checked += 1;
                }
                values.extend(members.values());
            }
            Value::Array(items) => values.extend(items),
            _ => {}
        }
    }
    assert!(checked > 15, "{checked}");
}

/// Asks, and notes what was answered by what the document says of it.
struct Asker {
    document: Document,
    answered: BTreeMap<Response, Vec<Answer>>,
}

impl Asker {
    fn new() -> Asker {
        Asker { document: Document::load(), answered: BTreeMap::new() }
    }

    fn ask(&mut self, client: &mut Client, method: &str, target: &str, fields: &[&str], body: &str) -> Answer {
        let length = format!("Content-Length: {}", body.len());
        let fields = if body.is_empty() { fields.to_vec() } else { [fields, &[&length]].concat() };
        client.send(request(method, target, &fields) + body);
        let answer = client.answer_to(method);
        let said = self.document.check(method, target, &answer);
        self.answered.entry(said).or_default().push(answer.clone());
        answer
    }

    /// GET, HEAD, GET with the known version, and a method that is not allowed.
    fn read(&mut self, server: &Server, target: &str) {
        let mut client = server.client();
        let get = self.ask(&mut client, "GET", target, &[], "");
        let head = self.ask(&mut client, "HEAD", target, &[], "");
        assert_eq!(head.status, get.status, "{target}");
        // The length of an export is not known before it is made.
        if get.field("content-disposition").is_none() {
            assert_eq!(head.content_length(), get.content_length(), "{target}");
        }
        if let Some(etag) = get.field("etag") {
            let again = self.ask(&mut client, "GET", target, &[&format!("If-None-Match: {etag}")], "");
            assert_eq!(again.status, 304, "{target}");
            let other = self.ask(&mut client, "GET", target, &["If-Match: \"0\""], "");
            assert_eq!(other.status, 412, "{target}");
        }
        self.ask(&mut client, "DELETE", target, &[], "");
    }

    fn read_with_large_head(&mut self, server: &Server, target: &str) {
        let field = format!("X-Large: {}", "x".repeat(10 << 10));
        self.ask(&mut server.client(), "GET", target, &[&field], "");
    }

    fn post(&mut self, server: &Server, media_type: &str, body: &str) {
        let content_type = format!("Content-Type: {media_type}");
        self.ask(&mut server.client(), "POST", "/v1/lookup", &[&content_type], body);
    }
}

/// Requests for every public route, well formed; the document's own examples among them.
const TARGETS: [&str; 35] = [
    "/v1/shipments/DHL/TN12345678",
    "/v1/shipments/DHL/TN1",
    "/v1/shipments/TN12345678",
    "/v1/shipments/TN1",
    "/v1/shipments?carrier=DHL&carrier=UPS&limit=1",
    "/v1/shipments",
    "/v1/shipments?receiver_city=nowhere",
    "/v1/shipments?offset=99&limit=1000",
    "/v1/facets?carrier=DHL&carrier=UPS",
    "/v1/facets",
    "/v1/facets?status=none",
    "/v1/shipments?tracking_number_prefix=tn&sort=-tracking_number",
    "/v1/facets?tracking_number_prefix=tn",
    "/v1/shipments.csv",
    "/v1/shipments.ndjson?carrier=DHL&sort=tracking_number",
    "/v1/dataset",
    "/v1/changes?since=0",
    "/shipment/list/?limit=1&offset=1",
    "/shipment/list/?carrier=&limit=x&page=2",
    "/shipment/list",
    "/shipment/list?carrier=DHL&x=%2F+y",
    "/",
    "/later.js",
    "/browse",
    "/docs",
    "/docs/page.css",
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
    "/docs/LICENSE",
    "/docs/nothing",
    "/openapi.json",
    "/robots.txt",
    "/?n=TN1",
    "/livez",
    "/readyz",
];

/// Requests that are refused for what is wrong with them.
const REFUSED: [&str; 20] = [
    "/v1/shipments/DHL/%zz",
    "/v1/shipments/DHL/",
    "/v1/shipments/%ff",
    "/v1/shipments/",
    "/v1/shipments?limit=0",
    "/v1/shipments?carier=DHL",
    "/v1/shipments?carrier=",
    "/v1/shipments?offset=0&offset=1",
    "/v1/facets?limit=10",
    "/v1/facets?status=%zz",
    "/v1/shipments?sort=carrier",
    "/v1/shipments.csv?limit=1",
    "/v1/shipments.ndjson?carrier=",
    "/shipment/list/?carrier=%zz",
    "/shipment/list?carrier=%ff",
    "/docs/%zz",
    "/v1/shipments/DHL/TN12345678?version=0",
    "/v1/shipments/TN12345678?version=0",
    "/v1/shipments?version=0",
    "/v1/facets?version=0",
];

const BATCH: &str = r#"{"lookups":[{"tracking_number":"TN12345679","carrier":"ups"},{"tracking_number":"TN1"}]}"#;

fn ask_everything() -> Asker {
    let mut asker = Asker::new();
    let server = Server::start(SEED, &[]);
    for target in TARGETS.into_iter().chain(REFUSED) {
        asker.read(&server, target);
        asker.read_with_large_head(&server, target);
    }
    let mut client = server.client();
    asker.ask(&mut client, "GET", "/v1/lookup", &[], "");
    let field = format!("X-Large: {}", "x".repeat(10 << 10));
    asker.ask(&mut client, "POST", "/v1/lookup", &[&field], "");
    let many = format!(r#"{{"lookups":[{}]}}"#, vec![r#"{"tracking_number":"TN1"}"#; 1001].join(","));
    for body in [BATCH, r#"{"lookups":[]}"#, "{}", "[", r#"{"lookups":[{"tracking_number":" "}]}"#, many.as_str()] {
        asker.post(&server, "application/json", body);
    }
    asker.post(&server, "text/plain", BATCH);
    let compressed = ["Content-Type: application/json", "Content-Encoding: gzip"];
    asker.ask(&mut server.client(), "POST", "/v1/lookup", &compressed, BATCH);
    let of_another = ["Content-Type: application/json", "If-Match: \"0\""];
    asker.ask(&mut server.client(), "POST", "/v1/lookup", &of_another, BATCH);
    asker.post(&server, "application/json", &" ".repeat((1 << 20) + 1));
    ask_for_large_answers(&mut asker);
    ask_for_changes(&mut asker);
    ask_for_streams(&mut asker, &server);
    // One of two shards has none of these.
    for shard in ["0/2", "1/2"] {
        let server = Server::start(SEED, &["--shard", shard]);
        for target in &TARGETS[..15] {
            asker.read(&server, target);
        }
        asker.read(&server, "/shipment/list/");
        asker.post(&server, "application/json", r#"{"lookups":[{"tracking_number":"TN1"}]}"#);
    }
    let keys = NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), "shop:key-of-the-shop").unwrap();
    let key_file = keys.path().to_str().unwrap();
    let with_keys = Server::start(SEED, &["--changes", "2", "--api-keys-file", key_file]);
    for target in TARGETS.into_iter().chain(["/shipment/list/", "/shipment/list"]) {
        asker.read(&with_keys, target);
    }
    asker.post(&with_keys, "application/json", BATCH);
    for (line, has_rate) in
        [("a:key-of-a scope=feed", false), ("a:key-of-a scope=list", false), ("a:key-of-a rate=1/s burst=1", true)]
    {
        std::fs::write(keys.path(), line).unwrap();
        let server = Server::start(SEED, &["--changes", "2", "--api-keys-file", key_file]);
        let mut client = server.client();
        let key = ["X-API-Key: key-of-a", "Content-Type: application/json"];
        if has_rate {
            // What leaves the key in debt for the time of this test.
            let many = vec![r#"{"tracking_number":"TN1"}"#; 1000].join(",");
            asker.ask(&mut client, "POST", "/v1/lookup", &key, &format!(r#"{{"lookups":[{many}]}}"#));
        }
        for target in
            TARGETS.into_iter().filter(|target| target.starts_with("/v1/") || target.starts_with("/shipment/"))
        {
            asker.ask(&mut client, "GET", target, &key[..1], "");
        }
        asker.ask(&mut client, "POST", "/v1/lookup", &key, BATCH);
    }
    ask_with_limited_view(&mut asker, &[]);
    ask_with_limited_view(&mut asker, &["--status-map", "builtin"]);
    ask_with_stages(&mut asker);
    let without_pages = Server::start(SEED, &["--pages", "off"]);
    for page in ["/", "/later.js", "/browse", "/docs", "/docs/page.css"] {
        asker.read(&without_pages, page);
    }
    asker
}

/// What callers without a key see with and without a postcode, and once they have shown too many.
fn ask_with_limited_view(asker: &mut Asker, arguments: &[&str]) {
    let server = Server::start(SEED, &[&["--public-view", "limited", "--anonymous", "lookup"], arguments].concat());
    for target in TARGETS {
        asker.read(&server, target);
    }
    let mut client = server.client();
    let postcodes = ["75001", "1", "2", "3", "4", "5", "6"].map(|postcode| format!("Waybill-Postcode: {postcode}"));
    for postcode in &postcodes {
        for target in ["/v1/shipments/DHL/TN12345678", "/v1/shipments/TN12345678"] {
            asker.ask(&mut client, "GET", target, &[postcode], "");
        }
    }
    let json = ["Content-Type: application/json"];
    for postcode in ["75001", "1"] {
        let lookup = format!(r#"{{"tracking_number":"TN12345678","postcode":"{postcode}"}}"#);
        asker.ask(&mut client, "POST", "/v1/lookup", &json, &format!(r#"{{"lookups":[{lookup}]}}"#));
    }
}

/// The changes of an export that is followed by another one, and too many of them.
fn ask_for_changes(asker: &mut Asker) {
    let row = |number: u32| format!("TN{number}{},DHL,from,to,Laptop,1,800,LP1,scanned\n", "\u{1}".repeat(900_000));
    let large = format!("{HEADER}\n{}", (0..14).map(row).collect::<String>());
    let server = Server::start(large, &["--changes", "2,200MiB"]);
    let publish = |file: &str| {
        let before = server.state()["version"].as_str().unwrap().to_owned();
        server.replace(file);
        assert_eq!(server.admin_post("/-/reload?force=true").status, 200);
        format!("/v1/changes?since={before}")
    };
    let since = publish(SEED);
    asker.ask(&mut server.client(), "GET", &since, &[], "");
    let kept: Vec<&str> = SEED.lines().filter(|line| !line.starts_with("TN12345679,UPS")).collect();
    let since = publish(&(kept.join("\n").replace("in-transit", "delivered") + "\n"));
    let limited = format!("{since}&limit=1&kind=changed&kind=removed");
    for target in [&*since, &limited, "/v1/changes?since=0", "/v1/changes", &format!("{since}&offset=0")] {
        asker.read(&server, target);
        asker.read_with_large_head(&server, target);
    }
}

/// Streams of changes, which do not end: none that is let through is asked for but by its head.
fn ask_for_streams(asker: &mut Asker, without_changes: &Server) {
    const STREAM: &str = "/v1/changes/stream";
    asker.read(without_changes, STREAM);
    let server = Server::start(SEED, &["--changes", "2"]);
    for method in ["HEAD", "DELETE"] {
        asker.ask(&mut server.client(), method, STREAM, &[], "");
    }
    asker.read(&server, &format!("{STREAM}?limit=1"));
    asker.read_with_large_head(&server, STREAM);
    let keys = NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), "a:key-of-a scope=list\nb:key-of-b scope=feed rate=1/s burst=1").unwrap();
    let server = Server::start(SEED, &["--changes", "2", "--api-keys-file", keys.path().to_str().unwrap()]);
    asker.read(&server, STREAM);
    let mut client = server.client();
    asker.ask(&mut client, "HEAD", STREAM, &["X-API-Key: key-of-a"], "");
    let mut statuses = (0..3).map(|_| asker.ask(&mut client, "HEAD", STREAM, &["X-API-Key: key-of-b"], "").status);
    assert!(statuses.any(|status| status == 429));
}

/// Shipments that have stages.
fn ask_with_stages(asker: &mut Asker) {
    let server = Server::start(SEED, &["--status-map", "builtin"]);
    let filtered = ["/v1/shipments?stage=in_transit", "/v1/facets?stage=in_transit", "/v1/shipments.csv?stage=unknown"];
    for target in TARGETS.into_iter().filter(|target| target.starts_with("/v1/")).chain(filtered) {
        asker.read(&server, target);
    }
    asker.post(&server, "application/json", BATCH);
}

/// What is more than is answered at once: a few shipments whose text grows to six times its size when it is escaped.
fn ask_for_large_answers(asker: &mut Asker) {
    let row = |number: u32| format!("TN{number},DHL,from,to,{},1,800,LP1,scanned\n", "\u{1}".repeat(1_000_000));
    let server = Server::start(format!("{HEADER}\n{}", (0..12).map(row).collect::<String>()), &[]);
    let mut client = server.client();
    for target in ["/v1/shipments?limit=12", "/shipment/list/?limit=12"] {
        asker.ask(&mut client, "GET", target, &[], "");
    }
    let lookups = [r#"{"tracking_number":"TN1"}"#; 12].join(",");
    asker.post(&server, "application/json", &format!(r#"{{"lookups":[{lookups}]}}"#));
}

#[test]
fn real_answers_are_those_of_the_document() {
    let asker = ask_everything();
    let described = asker.document.responses();
    // A bug cannot be asked for; what is answered without a dataset is asked in `unavailable.rs`.
    let expected: BTreeSet<Response> =
        described.into_iter().filter(|(_, _, status)| ![500, 503].contains(status)).collect();
    let answered: BTreeSet<Response> = asker.answered.keys().cloned().collect();
    assert_eq!(expected, answered, "described on the left, answered on the right");
    for (response, answers) in &asker.answered {
        let content = asker.document.response(response)["content"].as_object();
        for example in content.into_iter().flatten().filter_map(|(_, media)| media.get("example")) {
            let bodies =
                answers.iter().filter(|answer| !answer.body.is_empty()).map(|answer| comparable(answer.json()));
            let example = comparable(example.clone());
            assert!(bodies.collect::<Vec<_>>().contains(&example), "{response:?}: nobody is answered {example}");
        }
    }
}

/// `body` with what depends on time, settings or the client's address made the same.
fn comparable(body: Value) -> Value {
    match body {
        Value::Object(members) => {
            let same = |(name, value): (String, Value)| match name.as_str() {
                "loaded_at" | "modified_at" | "version" | "since" => (name, Value::Null),
                _ => (name, comparable(value)),
            };
            members.into_iter().map(same).collect()
        }
        Value::Array(items) => items.into_iter().map(comparable).collect(),
        Value::String(text) => text.replacen("http://waybill.test/", "http://127.0.0.1:8080/", 1).into(),
        other => other,
    }
}

#[test]
fn the_document_is_served_as_it_is() {
    let server = Server::start(SEED, &[]);
    assert_eq!(server.get("/openapi.json").text(), include_str!("../../../src/http/assets/openapi.json"));
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    let page = client.get("/docs");
    let mut loaded = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        loaded.extend(page.text().split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()));
    }
    assert!(loaded.len() > 5, "{loaded:?}");
    for target in loaded.into_iter().filter(|target| !target.starts_with("data:")) {
        // Of this server, and there.
        assert_eq!(client.get(&format!("/{}", target.trim_start_matches('/'))).status, 200, "{target}");
    }
}

#[test]
fn the_viewer_comes_compressed_to_those_who_take_it() {
    let server = Server::start(SEED, &[]);
    let mut client = server.client();
    for path in ["/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"] {
        let packed = client.request("GET", path, &["Accept-Encoding: br, gzip"]);
        let plain = client.get(path);
        assert_eq!(packed.field("content-encoding").as_deref(), Some("gzip"));
        assert_eq!(plain.field("content-encoding"), None);
        assert_ne!(packed.field("etag"), plain.field("etag"));
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain.body, "{path}");
        assert!(packed.body.len() * 3 < plain.body.len(), "{path}");
        let known = format!("If-None-Match: {}", packed.field("etag").unwrap());
        assert_eq!(client.request("GET", path, &["Accept-Encoding: gzip", &known]).status, 304);
        assert_eq!(client.request("GET", path, &[&known]).status, 200);
    }
}
