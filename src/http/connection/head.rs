//! The next request of a connection, as far as must be known without hyper: where it ends, and whether it is a lookup
//! that means nothing more. hyper's own parser reads it.

use std::mem::MaybeUninit;

use httparse::{Header, Request, Status};

use crate::http::activity::HEAD_BYTES_MAX;
use crate::http::connection::arrived::ALL;
use crate::http::request::route::LOOKUP;
use crate::http::request::validate;

/// Header fields of a request, as many as hyper takes.
const FIELDS_MAX: usize = 100;
/// Digits of a `Content-Length` that no sum overflows.
const LENGTH_DIGITS_MAX: usize = 18;

/// The next request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'b> {
    /// Its head is not complete.
    Partial,
    /// A lookup that is fully understood, in so many bytes.
    Lookup(Plain<'b>, usize),
    /// hyper's, in so many bytes with its body.
    Hypers(usize),
}

/// A lookup without anything that changes what it means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plain<'b> {
    /// True for HEAD.
    pub(super) is_head: bool,
    /// The path: that of a lookup, of characters that stand for themselves, and escapes.
    pub(super) path: &'b str,
    /// The value of `If-None-Match`.
    pub(super) if_none_match: Option<&'b [u8]>,
    /// The value of `X-API-Key`.
    pub(super) api_key: Option<&'b [u8]>,
    /// The value of `Authorization`.
    pub(super) authorization: Option<&'b [u8]>,
    /// The value of `X-Request-Id`.
    pub(super) request_id: Option<&'b [u8]>,
    /// The value of `traceparent`.
    pub(super) traceparent: Option<&'b [u8]>,
    /// What proxies say of the client.
    pub(super) said: Said<'b>,
}

/// What proxies say of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said<'b> {
    Nothing,
    /// In one `X-Forwarded-For`.
    List(&'b [u8]),
    /// In several fields, or in `Forwarded`.
    More,
}

/// What a header field means for a lookup.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Nothing,
    Host,
    Connection,
    IfNoneMatch,
    ApiKey,
    Authorization,
    RequestId,
    Traceparent,
    ForwardedFor,
    Forwarded,
    Length,
    Coding,
    /// Something that hyper or a handler looks at.
    Another,
}

/// Reads the next request, which `bytes` begin with.
#[inline]
pub(super) fn next(bytes: &[u8]) -> Next<'_> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut request = Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(Status::Complete(head_bytes)) if head_bytes <= HEAD_BYTES_MAX => read(&request, head_bytes),
        Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Next::Partial,
        // It is hyper's to refuse, and the last of its connection.
        _ => Next::Hypers(ALL),
    }
}

/// True if a head may end in `bytes`, which come after a part of it, and its last three bytes.
pub(super) fn may_end(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|at| matches!(bytes[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

#[inline]
fn read<'b>(request: &Request<'_, 'b>, head_bytes: usize) -> Next<'b> {
    let (Some(method), Some(path), Some(version)) = (request.method, request.path, request.version) else {
        return Next::Hypers(ALL);
    };
    // hyper goes on in the version of a request where it cannot read the next one.
    if version == 0 {
        return Next::Hypers(ALL);
    }
    let mut is_plain = path.starts_with(LOOKUP) && path.bytes().all(|byte| IN_PATH[usize::from(byte)]);
    let (mut host, mut body_bytes) = (None, None);
    let mut plain = Plain {
        is_head: method == "HEAD",
        path,
        if_none_match: None,
        api_key: None,
        authorization: None,
        request_id: None,
        traceparent: None,
        said: Said::Nothing,
    };
    for Header { name, value } in request.headers.iter() {
        match meaning(name) {
            Meaning::Nothing => {}
            Meaning::Host => is_plain &= host.replace(*value).is_none(),
            Meaning::Connection => is_plain &= value.eq_ignore_ascii_case(b"keep-alive"),
            Meaning::IfNoneMatch => is_plain &= plain.if_none_match.replace(*value).is_none(),
            Meaning::ApiKey => is_plain &= plain.api_key.replace(*value).is_none(),
            Meaning::Authorization => is_plain &= plain.authorization.replace(*value).is_none(),
            Meaning::RequestId => is_plain &= plain.request_id.replace(*value).is_none(),
            Meaning::Traceparent => is_plain &= plain.traceparent.replace(*value).is_none(),
            Meaning::ForwardedFor => {
                plain.said = if plain.said == Said::Nothing { Said::List(value) } else { Said::More };
            }
            Meaning::Forwarded => plain.said = Said::More,
            Meaning::Another => is_plain = false,
            Meaning::Length => match length(value) {
                Some(bytes) if body_bytes.is_none() => body_bytes = Some(bytes),
                _ => return Next::Hypers(ALL),
            },
            // A chunked body is the last of its connection.
            Meaning::Coding => return Next::Hypers(ALL),
        }
    }
    match (method, host, body_bytes) {
        ("GET" | "HEAD", Some(host), None) if is_plain && validate::is_valid_host(host) => {
            Next::Lookup(plain, head_bytes)
        }
        // What comes after it may be no request.
        ("CONNECT", ..) => Next::Hypers(ALL),
        _ => Next::Hypers(head_bytes + body_bytes.unwrap_or(0)),
    }
}

/// A body's length (RFC 9110, section 8.6).
fn length(value: &[u8]) -> Option<usize> {
    let is_length = (1..=LENGTH_DIGITS_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    str::from_utf8(value).ok().filter(|_| is_length)?.parse().ok()
}

/// What a field of this name means. To be extended by whatever a lookup begins to look at. Sorted by length, which
/// tells most fields of browsers and proxies apart.
#[inline]
fn meaning(name: &str) -> Meaning {
    let candidates: &[(&str, Meaning)] = match name.len() {
        2 => &[("te", Meaning::Another)],
        4 => &[("host", Meaning::Host)],
        5 => &[("range", Meaning::Another)],
        6 => &[("expect", Meaning::Another), ("origin", Meaning::Another)],
        7 => &[("upgrade", Meaning::Another), ("trailer", Meaning::Another)],
        8 => &[("if-match", Meaning::Another), ("if-range", Meaning::Another)],
        9 => &[("x-api-key", Meaning::ApiKey), ("forwarded", Meaning::Forwarded)],
        10 => &[("connection", Meaning::Connection)],
        11 => &[("traceparent", Meaning::Traceparent)],
        12 => &[("x-request-id", Meaning::RequestId)],
        13 => &[("if-none-match", Meaning::IfNoneMatch), ("authorization", Meaning::Authorization)],
        14 => &[("content-length", Meaning::Length)],
        15 => &[("x-forwarded-for", Meaning::ForwardedFor)],
        16 => &[("waybill-postcode", Meaning::Another)],
        17 => &[("transfer-encoding", Meaning::Coding)],
        _ => return Meaning::Nothing,
    };
    let found = candidates.iter().find(|(candidate, _)| name.eq_ignore_ascii_case(candidate));
    found.map_or(Meaning::Nothing, |(_, meaning)| *meaning)
}

/// The bytes of a path that all who read it take for the same: unreserved, sub-delimiters, `:`, `@`, `/`, and the
/// beginning of an escape (RFC 3986, section 3.3).
const IN_PATH: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = validate::stands_for_itself(byte as u8) || matches!(byte as u8, b':' | b'@' | b'/' | b'%');
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn with(fields: &str) -> String {
        format!("GET /v1/shipments/dhl/1 HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    }

    fn is_lookup(head: &str) -> bool {
        matches!(next(head.as_bytes()), Next::Lookup(_, bytes) if bytes == head.len())
    }

    #[test]
    fn fields_of_clients_and_proxies_leave_a_lookup_a_lookup() {
        for fields in [
            "",
            "User-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n",
            "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=192.0.2.1\r\nVia: 1.1 a\r\n",
            "Sec-Fetch-Mode: cors\r\nsec-ch-ua: \"a\"\r\nCookie: a=b; c=d\r\nReferer: https://shop.example/\r\nDNT: 1\r\n",
            "connection: Keep-Alive\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
            "If-None-Match: \"v\"\r\n",
            "X-Request-ID: 1\r\n",
        ] {
            assert!(is_lookup(&with(fields)), "{fields}");
        }
        assert!(is_lookup("HEAD /v1/shipments/%C3%9c HTTP/1.1\r\nhost: [::1]:80\r\n\r\n"));
    }

    #[test]
    fn whatever_changes_its_meaning_makes_it_hypers() {
        for fields in [
            "TE: trailers\r\n",
            "Range: bytes=0-1\r\n",
            "EXPECT: 100-continue\r\n",
            "Origin: https://shop.example\r\n",
            "Upgrade: h2c\r\n",
            "Trailer: a\r\n",
            "If-Match: \"v\"\r\n",
            "If-Range: \"v\"\r\n",
            "Connection: close\r\n",
            "Connection: keep-alive, TE\r\n",
            "X-Request-ID: 1\r\nX-Request-ID: 1\r\n",
            "Traceparent: 1\r\nTraceparent: 2\r\n",
            "Waybill-Postcode: 1\r\n",
            "Host: a\r\n",
            "If-None-Match: \"v\"\r\nIf-None-Match: \"w\"\r\n",
        ] {
            let head = with(fields);
            assert_eq!(next(head.as_bytes()), Next::Hypers(head.len()), "{fields}");
        }
        for head in [
            "POST /v1/shipments/dhl/1 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /v1/shipments/dhl/1 HTTP/1.1\r\n\r\n",
            "GET /v1/shipments/dhl/1 HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET /v1/shipments/dhl/1? HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /v1/shipments/dhl/1#a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /v1/shipments/dhl/\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /v1/shipments HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://a/v1/shipments/dhl/1 HTTP/1.1\r\nHost: a\r\n\r\n",
            "get /v1/shipments/dhl/1 HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(next(head.as_bytes()), Next::Hypers(head.len()), "{head}");
        }
    }

    #[test]
    fn a_request_of_known_length_ends_with_its_body_and_others_never() {
        let head = with("Content-Length: 12\r\n");
        assert_eq!(next(head.as_bytes()), Next::Hypers(head.len() + 12));
        for fields in [
            "Transfer-Encoding: chunked\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: \r\n",
            "Content-Length: 1234567890123456789\r\n",
        ] {
            assert_eq!(next(with(fields).as_bytes()), Next::Hypers(ALL), "{fields}");
        }
        for head in
            ["CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\n a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n"]
        {
            assert_eq!(next(head.as_bytes()), Next::Hypers(ALL), "{head}");
        }
    }

    #[test]
    fn a_head_is_partial_until_its_last_byte_unless_it_is_too_long() {
        let head = with("Accept: */*\r\n");
        for end in 1..head.len() {
            assert_eq!(next(&head.as_bytes()[..end]), Next::Partial);
            // The end is seen wherever the head is split.
            assert!(may_end(&head.as_bytes()[end.saturating_sub(3)..]), "{end}");
        }
        let long = with(&format!("A: {}\r\n", "x".repeat(HEAD_BYTES_MAX)));
        assert_eq!(next(&long.as_bytes()[..HEAD_BYTES_MAX - 1]), Next::Partial);
        assert_eq!(next(&long.as_bytes()[..HEAD_BYTES_MAX]), Next::Hypers(ALL));
        assert_eq!(next(long.as_bytes()), Next::Hypers(ALL));
        assert!(may_end(b"\n\n") && may_end(b"\n\r\n") && !may_end(b"\r\na\r") && !may_end(b"a\n\r"));
    }
}
