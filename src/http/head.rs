//! What hyper lets through of a request's head although RFC 9112 does not.

use hyper::header::{HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::{Request, Version};

/// Why a request must be answered 400, and its connection ended: whoever forwarded it may have read it otherwise.
#[inline]
pub(super) fn check<B: hyper::body::Body>(request: &Request<B>) -> Result<(), &'static str> {
    check_host(request.headers(), request.version())?;
    if request.body().is_end_stream() { Ok(()) } else { check_codings(request.headers()) }
}

/// One valid `Host` (RFC 9112, section 3.2); HTTP/1.0 may do without.
#[inline]
fn check_host(headers: &HeaderMap, version: Version) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if host.as_bytes().iter().all(|byte| IS_IN_HOST[usize::from(*byte)]) => Ok(()),
        (Some(_), None) => Err("Host: expected a host and, after a colon, a port"),
        (None, _) if version < Version::HTTP_11 => Ok(()),
        (None, _) => Err("Host: missing"),
        (Some(_), Some(_)) => Err("Host: stands more than once"),
    }
}

/// The bytes of `uri-host [ ":" port ]` (RFC 3986, section 3.2.2).
const IS_IN_HOST: [bool; 256] = {
    let mut is_in_host = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        is_in_host[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let signs = b"-._~%!$&'()*+,;=:[]";
    let mut at = 0;
    while at < signs.len() {
        is_in_host[signs[at] as usize] = true;
        at += 1;
    }
    is_in_host
};

/// No coding but one `chunked`: others are not undone here (RFC 9112, section 6.1).
fn check_codings(headers: &HeaderMap) -> Result<(), &'static str> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
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
        for host in ["localhost", "example.com:8080", "[::1]:80", "a_b~c%20", ""] {
            assert!(check_hosts(&[host], Version::HTTP_11), "{host}");
        }
        for host in ["a b", "a/b", "user@host", "a#b", "a?b", "a\\b", "<a>"] {
            assert!(!check_hosts(&[host], Version::HTTP_11), "{host}");
        }
        assert!(!check_hosts(&[], Version::HTTP_11) && check_hosts(&[], Version::HTTP_10));
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert!(!check_hosts(&["a", "a"], version));
        }
    }
}
