//! `GET /v1/changes/stream`: changes as they are published.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::{Answer, Client, request};
use crate::support::{SEED, Server, Signal, csv, row_with_status, secrets};

const CHANGES: [&str; 2] = ["--changes", "3"];

/// A stream that is read event by event.
struct Stream {
    client: Client,
    head: Answer,
    text: String,
}

/// Name, id and data of an event. A comment has none of them.
#[derive(Debug, Default, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: String,
}

impl Event {
    fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }
}

impl Stream {
    fn open(server: &Server, query: &str, fields: &[&str]) -> Stream {
        let mut client = server.client();
        client.send(request("GET", &format!("/v1/changes/stream{query}"), fields));
        let head = client.head_of_chunked();
        assert_eq!(head.status, 200);
        Stream { client, head, text: String::new() }
    }

    /// What comes up to the next empty line; `None` at the end.
    fn next_text(&mut self) -> Option<String> {
        while !self.text.contains("\n\n") {
            let Some(chunk) = self.client.next_chunk().unwrap() else {
                assert_eq!(self.text, "");
                return None;
            };
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        let end = self.text.find("\n\n").unwrap() + 2;
        Some(self.text.drain(..end).collect())
    }

    /// The next event or comment; `None` at the end.
    fn next(&mut self) -> Option<Event> {
        let text = self.next_text()?;
        let mut event = Event::default();
        for line in text.trim_end().lines() {
            match line.split_once(':').unwrap() {
                ("event", name) => name[1..].clone_into(&mut event.name),
                ("id", id) => id[1..].clone_into(&mut event.id),
                ("data", data) => data[1..].clone_into(&mut event.data),
                ("retry", " 5000") | ("", _) => {}
                other => panic!("{other:?}"),
            }
        }
        Some(event)
    }

    /// Reads up to the next `version`, which says that all was told. Returns it and the entries before it.
    fn next_version(&mut self) -> (Value, Vec<Value>) {
        let mut entries = Vec::new();
        loop {
            let event = self.next().unwrap();
            match &*event.name {
                "shipment" => entries.push(event.json()),
                "version" => {
                    let data = event.json();
                    assert_eq!(event.id, data["version"].as_str().unwrap());
                    return (data, entries);
                }
                "" => {}
                _ => panic!("{event:?}"),
            }
        }
    }
}

/// So many shipments of two carriers with a status.
fn many(count: usize, status: &str) -> String {
    csv(&(0..count).map(|at| row_with_status(&format!("TN{at}"), ["DHL", "UPS"][at % 2], status)).collect::<Vec<_>>())
}

/// Few shipments whose changes take more than a socket does: some 4 KB each.
fn large(status: &str) -> String {
    many(4000, &status.repeat(2000))
}

fn told(since: &str, version: &str, count: usize) -> Value {
    json!({"since": since, "version": version, "count": count})
}

#[test]
fn a_stream_begins_with_the_version_and_tells_each_publication_as_the_contract_says() {
    let server =
        Server::start(csv(&[row_with_status("TN1", "DHL", "a"), row_with_status("TN2", "UPS", "b")]), &CHANGES);
    let first = server.version();
    let mut stream = Stream::open(&server, "", &[]);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(stream.head.field(name).as_deref(), Some(value), "{}", stream.head.head);
    }
    assert_eq!((stream.head.field("etag"), stream.head.field("content-encoding")), (None, None));
    let start = format!(
        "retry: 5000\nevent: version\nid: {first}\ndata: {{\"since\":\"{first}\",\"version\":\"{first}\",\"count\":0}}\n\n"
    );
    assert_eq!(stream.next_text(), Some(start));
    assert_eq!(server.metric("waybill_changes_streams"), 1);

    let second =
        server.publish(csv(&[row_with_status("TN1", "DHL", "\"c \"\"d\"\"\ne\""), row_with_status("TN3", "GLS", "f")]));
    let version_of = |since: &str, version: &str, count: usize| {
        format!(
            "event: version\nid: {version}\ndata: {{\"since\":\"{since}\",\"version\":\"{version}\",\"count\":{count}}}\n\n"
        )
    };
    for entry in [
        r#"{"kind":"changed","carrier":"DHL","tracking_number":"TN1","status":"c \"d\"\ne","previous_status":"a","fields":["status"]}"#,
        r#"{"kind":"added","carrier":"GLS","tracking_number":"TN3","status":"f","previous_status":null}"#,
        r#"{"kind":"removed","carrier":"UPS","tracking_number":"TN2","status":null,"previous_status":"b"}"#,
    ] {
        assert_eq!(stream.next_text(), Some(format!("event: shipment\ndata: {entry}\n\n")));
    }
    assert_eq!(stream.next_text(), Some(version_of(&first, &second, 3)));
    // Back to the first one.
    let again = server.publish(csv(&[row_with_status("TN1", "DHL", "a"), row_with_status("TN2", "UPS", "b")]));
    assert_eq!(again, first);
    let (data, entries) = stream.next_version();
    assert_eq!((data, entries.len()), (told(&second, &first, 3), 3));
    drop(stream);
    let head = server.client().request("HEAD", "/v1/changes/stream", &[]);
    assert_eq!((head.status, head.field("content-type").as_deref()), (200, Some("text/event-stream")));
    server.stop();
}

#[test]
fn what_lies_between_the_starting_point_and_now_follows_it() {
    let server = Server::start(many(10, "a"), &CHANGES);
    let first = server.version();
    let second = server.publish(many(9, "b"));
    for (query, fields) in [
        (format!("?since={first}"), vec![]),
        (String::new(), vec![format!("Last-Event-ID: {first}")]),
        ("?since=0".to_owned(), vec![format!("last-event-id: {first}")]),
        (format!("?since={first}"), vec!["Last-Event-ID: ".to_owned()]),
    ] {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let mut stream = Stream::open(&server, &query, &fields);
        assert_eq!(stream.next_version(), (told(&first, &first, 0), vec![]));
        let (data, entries) = stream.next_version();
        assert_eq!(data, told(&first, &second, 10));
        let page = server.get(&format!("/v1/changes?since={first}")).json();
        assert_eq!(page["results"], Value::from(entries));
    }
    let mut stream = Stream::open(&server, &format!("?since={second}"), &[]);
    assert_eq!(stream.next_version(), (told(&second, &second, 0), vec![]));
    let third = server.publish(many(9, "c"));
    assert_eq!(stream.next_version().0, told(&second, &third, 9));
    server.stop();
}

#[test]
fn a_version_that_is_gone_resets_the_stream_to_the_current_one() {
    let server = Server::start(many(3, "a"), &["--changes", "1"]);
    let first = server.version();
    server.publish(many(3, "b"));
    let third = server.publish(many(3, "c"));
    for (query, fields) in [
        (format!("?since={first}"), vec![]),
        ("?since=%22%0A".to_owned(), vec![]),
        (format!("?since={third}"), vec!["Last-Event-ID: never"]),
    ] {
        let mut stream = Stream::open(&server, &query, &fields);
        let reset = stream.next().unwrap();
        assert_eq!((&*reset.name, reset.json(), &*reset.id), ("reset", json!({"version": third}), ""));
        assert_eq!(stream.next_version(), (told(&third, &third, 0), vec![]));
    }
    assert_eq!(server.metric("waybill_changes_gone_total"), 3);
    server.stop();
}

#[test]
fn streams_are_filtered_as_pages_of_changes_are() {
    let server = Server::start(many(3000, "a"), &CHANGES);
    let first = server.version();
    let queries =
        ["", "&carrier=dhl", "&status=B", "&kind=removed&kind=added", "&carrier=ups&kind=changed", "&carrier=x"];
    let open = |query: &&str| Stream::open(&server, &format!("?since={first}{query}"), &[]);
    let mut streams: Vec<Stream> = queries.iter().chain(&queries).map(open).collect();
    for stream in &mut streams {
        assert_eq!(stream.next_version().0, told(&first, &first, 0));
    }
    let second = server.publish(many(2500, "b"));
    for (stream, query) in streams.iter_mut().zip(queries.iter().chain(&queries)) {
        let (data, entries) = stream.next_version();
        assert_eq!(data, told(&first, &second, entries.len()));
        let mut expected = Vec::new();
        let mut link = format!("/v1/changes?since={first}&limit=1000{query}");
        loop {
            let page = server.get(&link).json();
            expected.extend(page["results"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            link = next[next.find("/v1/").unwrap()..].to_owned();
        }
        assert!(entries == expected, "{query}");
    }
    let refused = |query: &str| server.get(&format!("/v1/changes/stream{query}")).problem(400, "invalid_parameter");
    for (query, detail) in [
        ("?since=", "since: a version is expected, as /v1/dataset names it"),
        ("?since=1&since=1", "since: given twice; once is allowed"),
        ("?kind=new", "kind: added, changed or removed is expected"),
        ("?carrier=", "carrier: the value is empty; what is not to be filtered by is left out"),
        ("?limit=1", "limit: no such parameter; there are since, carrier, status, kind"),
        ("?stats=1", "stats: no such parameter; there are since, carrier, status, kind; did you mean status?"),
    ] {
        assert_eq!(refused(query), detail);
    }
    assert_eq!(server.client().request("POST", "/v1/changes/stream", &["Content-Length: 0"]).status, 405);
    server.stop();
}

#[test]
fn a_comment_comes_every_fifteen_seconds() {
    let server = Server::start(SEED, &CHANGES);
    let opened = Instant::now();
    let mut stream = Stream::open(&server, "", &[]);
    stream.next_version();
    server.publish(many(1, "a"));
    stream.next_version();
    assert_eq!(stream.next_text().as_deref(), Some(":\n\n"));
    assert!(opened.elapsed() >= Duration::from_secs(15));
    assert_eq!(stream.next_text().as_deref(), Some(":\n\n"));
    assert!(opened.elapsed() >= Duration::from_secs(30));
    server.stop();
}

#[test]
fn there_are_a_thousand_streams_and_their_places_are_given_back() {
    let server = Server::start(SEED, &[&CHANGES[..], &["--threads", "2"]].concat());
    let mut streams: Vec<Stream> = (0..1000).map(|_| Stream::open(&server, "", &[])).collect();
    assert_eq!(server.metric("waybill_changes_streams"), 1000);
    let refused = server.get("/v1/changes/stream");
    refused.problem(503, "overloaded");
    assert!(refused.field("retry-after").is_some());
    assert_eq!(server.client().request("HEAD", "/v1/changes/stream", &[]).status, 200);
    assert_eq!(server.get("/v1/shipments/DHL/TN12345678").status, 200);
    let first = server.version();
    let second = server.publish(many(10, "a"));
    for stream in &mut streams {
        stream.next_version();
        let (data, entries) = stream.next_version();
        assert_eq!(data, told(&first, &second, entries.len()));
    }
    // Each of those that have gone is noticed when something is told.
    streams.truncate(1);
    for status in ["b", "c", "d"] {
        server.publish(many(10, status));
        streams[0].next_version();
    }
    let deadline = Instant::now() + crate::support::DEADLINE;
    while server.metric("waybill_changes_streams") > 1 {
        assert!(Instant::now() < deadline);
    }
    server.stop();
}

#[test]
fn draining_ends_streams_in_order() {
    let mut server = Server::start(SEED, &CHANGES);
    let mut streams: Vec<Stream> = (0..3).map(|_| Stream::open(&server, "", &[])).collect();
    for stream in &mut streams {
        stream.next_version();
    }
    server.signal(Signal::TERM);
    for stream in &mut streams {
        assert_eq!(stream.next(), None);
        stream.client.expect_end();
    }
    assert!(server.wait().success());
}

#[test]
fn a_stream_whose_place_is_forgotten_is_reset() {
    let server = Server::start(large("a"), &CHANGES);
    let first = server.version();
    let mut stream = Stream::open(&server, "", &[]);
    stream.next_version();
    server.publish(large("b"));
    // It takes nothing until what it was told from is gone.
    server.publish(large("c"));
    let last = server.publish(large("d"));
    let mut event = stream.next().unwrap();
    while event.name != "reset" {
        assert!(event.name.is_empty() || event.json()["previous_status"] == "a".repeat(2000), "{event:?}");
        event = stream.next().unwrap();
    }
    assert_eq!((&*event.name, event.json()), ("reset", json!({"version": last})));
    assert_eq!(stream.next_version(), (told(&last, &last, 0), vec![]));
    let mut stream = Stream::open(&server, &format!("?since={first}"), &[]);
    stream.next_version();
    assert_eq!(stream.next_version().0, told(&first, &last, 4000));
    server.stop();
}

#[test]
fn a_reader_that_takes_too_little_is_ended_and_one_that_waits_is_not() {
    let server =
        Server::start(large("a"), &[&CHANGES[..], &["--write-timeout", "1s", "--idle-timeout", "1s"]].concat());
    let mut waiting = Stream::open(&server, "?carrier=none", &[]);
    waiting.next_version();
    let mut slow = Stream::open(&server, "", &[]);
    slow.next_version();
    server.publish(large("b"));
    let deadline = Instant::now() + crate::support::DEADLINE;
    while server.metric("waybill_http_connections_timed_out_total{phase=\"write\"}") == 0 {
        assert!(Instant::now() < deadline);
    }
    let (data, entries) = waiting.next_version();
    assert_eq!((&data["count"], entries), (&json!(0), vec![]));
    server.publish(large("c"));
    assert_eq!(waiting.next_version().0["count"], 0);
    server.stop();
}

#[test]
fn a_key_needs_the_scope_of_feeds() {
    let keys = secrets("feed:key-of-feeds scope=feed\nother:key-of-others scope=lookup,list\n");
    let server = Server::start(SEED, &[&CHANGES[..], &["--api-keys-file", keys.path().to_str().unwrap()]].concat());
    server.get("/v1/changes/stream").problem(401, "unauthorized");
    let other = server.client().request("GET", "/v1/changes/stream", &["X-API-Key: key-of-others"]);
    other.problem(403, "forbidden");
    let mut stream = Stream::open(&server, "", &["X-API-Key: key-of-feeds"]);
    stream.next_version();
    assert_eq!(stream.head.field("cache-control").as_deref(), Some("no-store"));
    // A publication tells those whose keys still hold, and ends the streams of the others.
    server.publish(many(1, "a"));
    assert_eq!(stream.next_version().0["count"], 6);
    std::fs::write(keys.path(), "other:key-of-others scope=lookup,list\n").unwrap();
    server.publish(many(2, "b"));
    assert_eq!(stream.next(), None);
    server.stop();
    let without = Server::start(SEED, &[]);
    without.get("/v1/changes/stream").problem(404, "route_not_found");
    without.stop();
}
