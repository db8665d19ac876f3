//! From a page to the pages beside it.

use hyper::header::HOST;
use hyper::{HeaderMap, Uri};

use crate::http::app::App;
use crate::http::request::forwarded::Forwarded;
use crate::http::request::forwarded::Peer;
use crate::http::request::query::{self, OFFSET};
use crate::http::request::validate::Authority;

/// Bytes of a host's name that is repeated.
const HOST_BYTES_MAX: usize = 255;

/// Where `path` is for the client: absolute where the request names one host, and else a reference relative to the
/// request's own URL (RFC 3986, section 4.2), which leads to the same place.
pub(crate) fn base(app: &App, peer: Peer, uri: &Uri, headers: &HeaderMap, path: &str) -> String {
    let forwarded = Forwarded::new(&app.trusted_proxies, peer, headers);
    let scheme = forwarded.scheme.unwrap_or(app.scheme());
    match forwarded.host.or_else(|| asked_host(uri, headers)).filter(|host| is_linkable(host)) {
        Some(host) => format!("{scheme}://{host}{path}"),
        None => path.to_owned(),
    }
}

/// The host that a request names, if it is one.
fn asked_host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    // A request's target, if it is absolute, overrides its Host (RFC 9112, section 3.2.2).
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str());
    }
    let mut hosts = headers.get_all(HOST).iter();
    hosts.next().filter(|_| hosts.next().is_none()).and_then(|host| host.to_str().ok())
}

/// True if `authority` can be put into any URL: a plain name, an IPv4 or an IPv6 address, and perhaps a port.
fn is_linkable(authority: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = |name: &str| !name.is_empty() && name.len() <= HOST_BYTES_MAX && name.bytes().all(is_plain);
    Authority::parse(authority).is_some_and(|Authority { name, port }| {
        name.is_none_or(is_name) && port.is_none_or(|port| port.parse::<u16>().is_ok())
    })
}

/// The URLs of the pages beside one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Links {
    /// All before the query.
    pub(crate) base: String,
    /// The parameters before and after `offset`, encoded.
    pub(crate) around_offset: [String; 2],
}

impl Links {
    /// The page after that of `limit` shipments from `offset` on, if it has any of the `count`.
    pub(crate) fn next(&self, offset: u64, limit: usize, count: u64) -> Option<String> {
        let next = offset.saturating_add(limit as u64);
        (next < count).then(|| self.at(next))
    }

    /// The page before, unless this is the first.
    pub(crate) fn previous(&self, offset: u64, limit: usize) -> Option<String> {
        (offset > 0).then(|| self.at(offset.saturating_sub(limit as u64)))
    }

    fn at(&self, offset: u64) -> String {
        let [before, after] = &self.around_offset;
        let mut at = String::new();
        if offset > 0 {
            query::append(&mut at, OFFSET, &offset.to_string());
        }
        let parts: Vec<&str> =
            [before, &at, after].into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let question_mark = if parts.is_empty() { "" } else { "?" };
        format!("{}{question_mark}{}", self.base, parts.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn only_what_names_a_host_is_repeated() {
        for host in ["localhost", "waybill.test:8080", "127.0.0.1:1", "[::1]:8080", "[::1]", "a-b_c.d", "H:65535"] {
            assert!(is_linkable(host), "{host}");
        }
        for host in [
            "", ":80", "a:", "a:b", "a:+1", "a:65536", "a b", "a/b", "a\"b", "u@a", "a,b", "<a>", "[::1", "[x]", "::1",
            "[::1]x", "[::1]:", "ä", "a%41", "a:1:2", "a?b", "a#b", "a\\b",
        ] {
            assert!(!is_linkable(host), "{host}");
        }
        assert!(!is_linkable(&"a".repeat(HOST_BYTES_MAX + 1)));
    }

    #[test]
    fn links_begin_with_the_host_that_was_asked() {
        let of = |uri: &str, hosts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, HeaderValue::from_static(host));
            }
            asked_host(&uri.parse().unwrap(), &headers).map(str::to_owned)
        };
        assert_eq!(of("/x?a", &["h:1"]).as_deref(), Some("h:1"));
        assert_eq!(of("http://other/x", &["h"]).as_deref(), Some("other"));
        for (uri, hosts) in [("/x", &[][..]), ("/x", &["a", "b"])] {
            assert_eq!(of(uri, hosts), None);
        }
    }

    #[test]
    fn pages_lead_on_and_back() {
        let links = Links { base: "/x".to_owned(), around_offset: ["a=1".to_owned(), "z=2".to_owned()] };
        assert_eq!(links.next(0, 2, 3).as_deref(), Some("/x?a=1&offset=2&z=2"));
        assert_eq!((links.next(1, 2, 3), links.next(u64::MAX, 2, u64::MAX), links.previous(0, 2)), (None, None, None));
        assert_eq!(links.previous(1, 2).as_deref(), Some("/x?a=1&z=2"));
        assert_eq!(links.previous(99, 2).as_deref(), Some("/x?a=1&offset=97&z=2"));
        let bare = Links { base: "/x".to_owned(), around_offset: Default::default() };
        assert_eq!(bare.previous(5, 10).as_deref(), Some("/x"));
        assert_eq!(bare.next(0, 10, 11).as_deref(), Some("/x?offset=10"));
    }
}
