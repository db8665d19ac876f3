//! A line of the access log.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::{Method, Request, Version};
use jiff::Timestamp;

use crate::http::request::correlation;
use crate::http::request::forwarded::{self, Peer, TrustedProxy};
use crate::http::request::route::RouteId;
use crate::http::response::Response;

/// Bytes of a path that are logged; what is longer ends in `…`.
const PATH_BYTES_MAX: usize = 1024;
/// Bytes of a method that are logged, likewise.
const METHOD_BYTES_MAX: usize = 32;

/// A request, as far as it is logged.
pub(crate) struct LoggedRequest {
    client: Peer,
    method: Box<str>,
    path: Box<str>,
    version: Version,
    takes_body: bool,
    /// Its `X-Request-Id`.
    id: Option<HeaderValue>,
    trace_id: Option<Box<str>>,
    /// The name of its key.
    pub(crate) key: Option<Arc<str>>,
}

impl LoggedRequest {
    pub(crate) fn new<B>(
        trusted: &[TrustedProxy],
        peer: Peer,
        request: &Request<B>,
        id: Option<HeaderValue>,
    ) -> LoggedRequest {
        LoggedRequest {
            client: forwarded::named_client(trusted, peer, request.headers()),
            method: bounded(request.method().as_str(), METHOD_BYTES_MAX),
            path: bounded(request.uri().path(), PATH_BYTES_MAX),
            version: request.version(),
            takes_body: *request.method() != Method::HEAD,
            id,
            trace_id: correlation::trace_id(request.headers()),
            key: None,
        }
    }
}

/// `text` if it is no longer than that, else its start and `…`.
fn bounded(text: &str, bytes_max: usize) -> Box<str> {
    if text.len() <= bytes_max {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes_max)]).into()
}

/// A request and its response.
pub(crate) struct Line {
    request: Box<LoggedRequest>,
    time: Timestamp,
    route: Option<RouteId>,
    status: u16,
    /// `None` where it is not known before it is made.
    body_bytes: Option<u64>,
    duration: Duration,
    /// The version of the dataset that responded, as far as it is known.
    dataset: Option<Box<str>>,
}

impl Line {
    /// The response is there now, `duration` after its request, of `route`, if it has one, from `dataset`.
    pub(crate) fn new(
        request: Box<LoggedRequest>,
        route: Option<RouteId>,
        response: &Response,
        duration: Duration,
        dataset: Option<Box<str>>,
    ) -> Line {
        let body_bytes = if request.takes_body { response.body().bytes_left() } else { Some(0) };
        let (time, status) = (Timestamp::now(), response.status().as_u16());
        Line { request, time, route, status, body_bytes, duration, dataset }
    }

    /// Adds one line of JSON in printable ASCII, whatever the client sent.
    pub(crate) fn write_to(&self, text: &mut Vec<u8>) {
        let Line { request, time, status, body_bytes, .. } = self;
        let LoggedRequest { client, version, id, trace_id, key, .. } = &**request;
        // Writing to memory cannot fail, here and below.
        let _ = write!(text, r#"{{"time":"{time:.3}","client":"{client}","method":""#);
        escape(&request.method, text);
        let _ = write!(text, r#"","route":"{}","path":""#, self.route.map_or("none", |route| route.spec().pattern));
        escape(&request.path, text);
        let _ = write!(text, r#"","version":"{version:?}","status":{status},"bytes":"#);
        let _ = match body_bytes {
            Some(bytes) => write!(text, "{bytes}"),
            None => write!(text, "null"),
        };
        let _ = write!(text, r#","duration_us":{}"#, self.duration.as_micros());
        for (name, value) in [
            ("request_id", id.as_ref().and_then(|id| id.to_str().ok())),
            ("trace_id", trace_id.as_deref()),
            ("key", key.as_deref()),
            ("dataset", self.dataset.as_deref()),
        ] {
            if let Some(value) = value {
                let _ = write!(text, r#","{name}":""#);
                escape(value, text);
                text.push(b'"');
            }
        }
        text.extend_from_slice(b"}\n");
    }
}

/// Adds the inside of a JSON string (RFC 8259, section 7). Control characters for terminals are escaped too.
fn escape(string: &str, text: &mut Vec<u8>) {
    for character in string.chars() {
        match character {
            '"' | '\\' => text.extend_from_slice(&[b'\\', character as u8]),
            ' '..='~' => text.push(character as u8),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::response::document;
    use proptest::prelude::*;

    fn line(method: &str, path: &str) -> String {
        let request = LoggedRequest {
            client: Peer::Ip([127, 0, 0, 1].into()),
            method: bounded(method, METHOD_BYTES_MAX),
            path: bounded(path, PATH_BYTES_MAX),
            version: Version::HTTP_11,
            takes_body: true,
            id: None,
            trace_id: None,
            key: None,
        };
        let response = document::json(&1);
        let duration = Duration::from_nanos(12_999);
        let mut line = Line::new(request.into(), Some(RouteId::Shipment), &response, duration, None);
        line.time = Timestamp::from_millisecond(1_795_350_456_205).unwrap();
        let mut text = Vec::new();
        line.write_to(&mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_line_has_its_fields_in_this_order() {
        let expected = concat!(
            r#"{"time":"2026-11-22T12:27:36.205Z","client":"127.0.0.1","method":"GET","#,
            r#""route":"/v1/shipments/{carrier}/{tracking_number}","path":"/a","version":"HTTP/1.1","#,
            r#""status":200,"bytes":1,"duration_us":12}"#,
            "\n"
        );
        assert_eq!(line("GET", "/a"), expected);
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        let path = format!("/{}", "é".repeat(PATH_BYTES_MAX));
        let line: serde_json::Value = serde_json::from_str(&line(&"M".repeat(99), &path)).unwrap();
        assert_eq!(line["path"], format!("/{}…", "é".repeat((PATH_BYTES_MAX - 1) / 2)));
        assert_eq!(line["method"], "M".repeat(METHOD_BYTES_MAX) + "…");
        assert_eq!(*bounded(&path[..PATH_BYTES_MAX - 1], PATH_BYTES_MAX), path[..PATH_BYTES_MAX - 1]);
    }

    proptest! {
        #[test]
        fn any_text_is_one_line_of_printable_ascii_that_means_it(text in any::<String>()) {
            let line = line("GET", &text);
            prop_assert!(line.trim_end_matches('\n').bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", line);
            prop_assert_eq!(line.matches('\n').count(), 1);
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(read["path"].as_str(), Some(&*bounded(&text, PATH_BYTES_MAX)));
        }
    }
}
