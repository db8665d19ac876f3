//! A line of the access log.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode, Version};

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
    /// Keeps what is logged of `request`, which came from `peer`.
    pub(crate) fn new<B>(
        trusted: &[TrustedProxy],
        peer: Peer,
        request: &Request<B>,
        id: Option<HeaderValue>,
    ) -> LoggedRequest {
        LoggedRequest {
            client: forwarded::named_client(trusted, peer, request.headers()),
            // What is cut once stays as it is when it is written.
            method: bounded(request.method().as_str(), METHOD_BYTES_MAX).into(),
            path: bounded(request.uri().path(), PATH_BYTES_MAX).into(),
            version: request.version(),
            takes_body: *request.method() != Method::HEAD,
            id,
            trace_id: correlation::trace_id(request.headers()),
            key: None,
        }
    }

    /// Its line: the response is there now, `duration` after it, of `route`, if it has one, from `dataset`.
    pub(crate) fn line<'r>(
        &'r self,
        route: Option<RouteId>,
        response: &Response,
        duration: Duration,
        dataset: Option<&'r str>,
    ) -> Line<'r> {
        Line {
            client: self.client,
            method: &self.method,
            path: &self.path,
            version: self.version,
            route,
            status: response.status(),
            body_bytes: if self.takes_body { response.body().bytes_left() } else { Some(0) },
            duration,
            request_id: self.id.as_ref().and_then(|id| id.to_str().ok()),
            trace_id: self.trace_id.as_deref(),
            key: self.key.clone(),
            dataset,
        }
    }
}

/// `text` if it is no longer than that, else its start and `…`.
fn bounded(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes_max)]).into()
}

/// A request and its response.
pub(crate) struct Line<'r> {
    pub(crate) client: Peer,
    pub(crate) method: &'r str,
    pub(crate) path: &'r str,
    pub(crate) version: Version,
    /// The route of the request, if it has one.
    pub(crate) route: Option<RouteId>,
    pub(crate) status: StatusCode,
    /// Of the body that is sent; `None` where that is not known before it is made.
    pub(crate) body_bytes: Option<u64>,
    /// From the request to the response.
    pub(crate) duration: Duration,
    /// The request's `X-Request-Id`.
    pub(crate) request_id: Option<&'r str>,
    pub(crate) trace_id: Option<&'r str>,
    /// The name of the request's key.
    pub(crate) key: Option<Arc<str>>,
    /// The version of the dataset that responded, as far as it is known.
    pub(crate) dataset: Option<&'r str>,
}

impl Line<'_> {
    /// Adds one line of JSON in printable ASCII, whatever the client sent, of a response that was ready at `time`.
    /// Without formatting, which costs as much as finding and rendering a shipment.
    pub(crate) fn write_to(&self, time: &[u8], text: &mut Vec<u8>) {
        let mut numbers = itoa::Buffer::new();
        text.extend_from_slice(br#"{"time":""#);
        text.extend_from_slice(time);
        text.extend_from_slice(br#"","client":""#);
        push_client(self.client, text);
        text.extend_from_slice(br#"","method":""#);
        escape(&bounded(self.method, METHOD_BYTES_MAX), text);
        text.extend_from_slice(br#"","route":""#);
        text.extend_from_slice(self.route.map_or("none", |route| route.spec().pattern).as_bytes());
        text.extend_from_slice(br#"","path":""#);
        escape(&bounded(self.path, PATH_BYTES_MAX), text);
        text.extend_from_slice(br#"","version":""#);
        text.extend_from_slice(version(self.version));
        text.extend_from_slice(br#"","status":"#);
        text.extend_from_slice(self.status.as_str().as_bytes());
        text.extend_from_slice(br#","bytes":"#);
        text.extend_from_slice(self.body_bytes.map_or("null", |bytes| numbers.format(bytes)).as_bytes());
        text.extend_from_slice(br#","duration_us":"#);
        text.extend_from_slice(numbers.format(self.duration.as_micros() as u64).as_bytes());
        for (name, value) in [
            (&br#","request_id":""#[..], self.request_id),
            (br#","trace_id":""#, self.trace_id),
            (br#","key":""#, self.key.as_deref()),
            (br#","dataset":""#, self.dataset),
        ] {
            if let Some(value) = value {
                text.extend_from_slice(name);
                escape(value, text);
                text.push(b'"');
            }
        }
        text.extend_from_slice(b"}\n");
    }
}

fn push_client(client: Peer, text: &mut Vec<u8>) {
    if let Peer::Ip(IpAddr::V4(address)) = client {
        let [first, rest @ ..] = address.octets();
        text.extend_from_slice(itoa::Buffer::new().format(first).as_bytes());
        for octet in rest {
            text.push(b'.');
            text.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
        }
        return;
    }
    // Writing to memory cannot fail, here and below.
    let _ = write!(text, "{client}");
}

fn version(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_10 => b"HTTP/1.0",
        Version::HTTP_2 => b"HTTP/2.0",
        // There is no other one.
        _ => b"HTTP/1.1",
    }
}

/// Adds the inside of a JSON string (RFC 8259, section 7). Control characters for terminals are escaped too.
fn escape(string: &str, text: &mut Vec<u8>) {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    let mut rest = string;
    while let Some(at) = rest.bytes().position(|byte| !is_plain(byte)) {
        let (plain, other) = rest.split_at(at);
        text.extend_from_slice(plain.as_bytes());
        let mut others = other.chars();
        match others.next() {
            Some(character @ ('"' | '\\')) => text.extend_from_slice(&[b'\\', character as u8]),
            Some(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
            None => {}
        }
        rest = others.as_str();
    }
    text.extend_from_slice(rest.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::response::document;
    use proptest::prelude::*;

    fn line(method: &str, path: &str) -> String {
        let request = LoggedRequest {
            client: Peer::Ip([127, 0, 0, 1].into()),
            method: bounded(method, METHOD_BYTES_MAX).into(),
            path: bounded(path, PATH_BYTES_MAX).into(),
            version: Version::HTTP_11,
            takes_body: true,
            id: None,
            trace_id: None,
            key: None,
        };
        let response = document::json(&1);
        let duration = Duration::from_nanos(12_999);
        let mut text = Vec::new();
        let line = request.line(Some(RouteId::Shipment), &response, duration, None);
        line.write_to(b"2026-11-22T12:27:36.205Z", &mut text);
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
        assert_eq!(bounded(&path[..PATH_BYTES_MAX - 1], PATH_BYTES_MAX), path[..PATH_BYTES_MAX - 1]);
        let cut = bounded(&path, PATH_BYTES_MAX);
        assert_eq!(bounded(&cut, PATH_BYTES_MAX), cut);
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
