//! Checks of a request's head that RFC 9112 asks for and hyper leaves to its user.

use std::net::Ipv6Addr;

use hyper::header::{HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::{Method, Request, Version};

/// How the end of a request is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Its head, and a length if it has a body.
    Length,
    /// Its chunks.
    Chunked,
}

/// Checks `Host` and the transfer coding. The error says why the response must be 400 and the last on its connection:
/// a proxy may have read the request otherwise.
#[inline]
pub(crate) fn check<B: hyper::body::Body>(request: &Request<B>) -> Result<Framing, &'static str> {
    check_host(request.headers(), request.version())?;
    if request.body().is_end_stream() { Ok(Framing::Length) } else { check_codings(request.headers()) }
}

/// Checks the target likewise: it begins with a slash but for OPTIONS, which may have `*`, and CONNECT (RFC 9112,
/// section 3.2). What is no path has no route, so this is for requests without one.
pub(crate) fn check_target(method: &Method, path: &str) -> Result<(), &'static str> {
    match path {
        _ if is_about_server(method, path) => Ok(()),
        "" if *method == Method::CONNECT => Ok(()),
        _ if path.starts_with('/') => Ok(()),
        _ => Err("the target must be a path or a URL"),
    }
}

/// True for a request that asks about the server as a whole (RFC 9110, section 9.3.7).
pub(crate) fn is_about_server(method: &Method, path: &str) -> bool {
    *method == Method::OPTIONS && path == "*"
}

/// One valid `Host` (RFC 9112, section 3.2); HTTP/1.0 may do without.
#[inline]
fn check_host(headers: &HeaderMap, version: Version) -> Result<(), &'static str> {
    match headers.get(HOST) {
        // Only where some field is repeated it may be this one.
        Some(_) if headers.len() > headers.keys_len() && headers.get_all(HOST).iter().nth(1).is_some() => {
            Err("Host: duplicate")
        }
        Some(host) if is_valid_host(host.as_bytes()) => Ok(()),
        Some(_) => Err("Host: expected a host and, after a colon, a port"),
        None if version < Version::HTTP_11 => Ok(()),
        None => Err("Host: missing"),
    }
}

/// True if `host` is `uri-host [ ":" port ]` (RFC 3986, section 3.2.2), and its name has no empty label.
#[inline(always)]
#[expect(clippy::inline_always, reason = "each lookup pays for it: as a call it is 20 instructions more")]
pub(crate) fn is_valid_host(host: &[u8]) -> bool {
    // Two dots in a row, or one at the start, leave their bit.
    let (mut before, mut pairs) = (DOT, 0);
    for (at, byte) in host.iter().copied().enumerate() {
        let kind = KINDS[usize::from(byte)];
        if kind == OTHER {
            return match byte {
                b':' => pairs & DOT == 0 && host[at + 1..].iter().all(u8::is_ascii_digit),
                _ => str::from_utf8(host).is_ok_and(|host| Authority::parse(host).is_some()),
            };
        }
        pairs |= kind & before;
        before = kind;
    }
    pairs & DOT == 0
}

/// A host and the port behind it.
pub(crate) struct Authority<'a> {
    /// A name or an IPv4 address as it was written; none for an IPv6 address, which is valid.
    pub(crate) name: Option<&'a str>,
    /// The text after a colon: digits, or empty.
    pub(crate) port: Option<&'a str>,
}

impl Authority<'_> {
    /// Takes `uri-host [ ":" port ]` apart (RFC 3986, section 3.2.2); none where it is no such thing, or has an empty
    /// label (RFC 1035, section 2.3.1).
    #[cold]
    pub(crate) fn parse(text: &str) -> Option<Authority<'_>> {
        let (name, rest) = if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (None, rest)
        } else {
            let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            let is_plain = name.bytes().all(|byte| byte == b'%' || KINDS[usize::from(byte)] != OTHER);
            if !is_plain || !has_whole_escapes(name) || has_empty_label(name) {
                return None;
            }
            (Some(name), rest)
        };
        let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
        let is_port = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        is_port.then_some(Authority { name, port })
    }
}

fn has_whole_escapes(name: &str) -> bool {
    let is_escape = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    name.split('%').skip(1).all(is_escape)
}

/// True if `name` begins with a dot or has two in a row, in any spelling. One at the end is the root of all names.
fn has_empty_label(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace("%2e", ".");
    name.starts_with('.') || name.contains("..")
}

/// A byte that stands for itself in a name, a dot, and any other byte.
const NAME: u8 = 1;
const DOT: u8 = 2;
const OTHER: u8 = 0;

/// The kinds of all bytes.
const KINDS: [u8; 256] = {
    let mut kinds = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        if stands_for_itself(byte as u8) {
            kinds[byte] = NAME;
        }
        byte += 1;
    }
    kinds[b'.' as usize] = DOT;
    kinds
};

/// True for bytes that mean themselves wherever they stand in a host or path: unreserved ones and sub-delimiters (RFC 3986,
/// sections 2.2 and 2.3).
pub(crate) const fn stands_for_itself(byte: u8) -> bool {
    let is_sign = matches!(
        byte,
        b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
    );
    byte.is_ascii_alphanumeric() || is_sign
}

/// No coding but one `chunked`: others are not undone here (RFC 9112, section 6.1).
fn check_codings(headers: &HeaderMap) -> Result<Framing, &'static str> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(Framing::Length),
        (Some(coding), None) if coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        _ => Err("Transfer-Encoding: expected chunked, once"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn check_hosts(hosts: &[&'static str], version: Version) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_static(host));
        }
        check_host(&headers, version).is_ok()
    }

    #[test]
    fn a_request_names_one_host() {
        for host in [
            "localhost",
            "example.com:8080",
            "[::1]:80",
            "[::1]",
            "a_b~c%20",
            "a%20:8",
            "a:",
            ":1",
            "a,b",
            "",
            "a.b.",
            "a.:1",
            "a.b%2e",
            "1.2.3.4",
        ] {
            assert!(check_hosts(&[host], Version::HTTP_11), "{host}");
        }
        let no_names = ["a b", "a/b", "user@host", "a#b", "a?b", "a\\b", "<a>", "a%", "a%2", "a%zz", "a%20 b", "%20@a"];
        let no_addresses = ["[::1", "::1", "[[::1]]", "[a]", "[]", "a[::1]", "[::1]a", "[::1%25eth0]"];
        let no_labels = ["..", ".", "...", "a..b", ".a", "a..", "a..:80", ".:", "%2e%2E", "a%2E.b", "%41..b"];
        let no_ports = ["a:b", "a:1:2", "a:+1", "[::1]:a", "a%20:b", "a: 1"];
        for host in no_names.into_iter().chain(no_addresses).chain(no_labels).chain(no_ports) {
            assert!(!check_hosts(&[host], Version::HTTP_11), "{host}");
        }
        assert!(!check_hosts(&[], Version::HTTP_11) && check_hosts(&[], Version::HTTP_10));
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert!(!check_hosts(&["a", "a"], version));
        }
    }

    #[test]
    fn only_options_asks_for_an_asterisk_and_only_connect_for_a_host() {
        for (method, path) in
            [(Method::GET, "/"), (Method::OPTIONS, "/a"), (Method::OPTIONS, "*"), (Method::CONNECT, "")]
        {
            assert!(check_target(&method, path).is_ok(), "{method} {path}");
        }
        for (method, path) in [(Method::GET, ""), (Method::GET, "*"), (Method::OPTIONS, ""), (Method::CONNECT, "*")] {
            assert!(check_target(&method, path).is_err(), "{method} {path}");
        }
    }
}
