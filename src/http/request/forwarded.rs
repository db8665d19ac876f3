//! The client, scheme and host of a request as trusted proxies name them (RFC 7239, and the older fields
//! `X-Forwarded-For`, `-Proto` and `-Host`).
//!
//! Each proxy adds whom it heard from at the end. So the list is read from its end, past the proxies that are trusted:
//! what stands before the first address that is none of theirs may be made up. A request with fields of both kinds
//! passed a proxy that sets one and lets the other through, as the client made it up: then neither is believed.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use hyper::HeaderMap;
use hyper::header::{FORWARDED, HeaderName, HeaderValue};
use ipnet::{IpNet, Ipv4Net};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Bits before an IPv4 address in one of version 6 (RFC 4291, section 2.5.5.2).
const IPV4_MAPPED_BITS: u8 = 96;
/// Bits of an IPv6 address that a host chooses within its network (RFC 4291, section 2.5.4).
const IPV6_HOST_BITS: u32 = 64;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// The host with this address.
    Ip(IpAddr),
    /// A process on this host, over a Unix socket.
    Unix,
}

impl Peer {
    /// The client that it is, in one number: of an IPv6 address the network (see [`one_of_network`]).
    #[inline]
    pub(crate) fn network_bits(self) -> u128 {
        const V4: u128 = 1 << 64;
        const UNIX: u128 = 2 << 64;
        match self {
            Peer::Ip(IpAddr::V4(address)) => V4 | u128::from(address.to_bits()),
            Peer::Ip(IpAddr::V6(address)) => address.to_bits() >> IPV6_HOST_BITS,
            Peer::Unix => UNIX,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Ip(address) => address.to_canonical().fmt(f),
            Peer::Unix => f.write_str("unix"),
        }
    }
}

/// Proxies that are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// Those of a network.
    Network(IpNet),
    /// Those that come over a socket in the file system.
    Unix,
}

impl FromStr for TrustedProxy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<TrustedProxy, &'static str> {
        if text == "unix" {
            return Ok(TrustedProxy::Unix);
        }
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let network: IpNet = network.map_err(|_| "expected an address, a network such as 10.0.0.0/8, or unix")?;
        Ok(TrustedProxy::Network(canonical(network).trunc()))
    }
}

/// A request as its client sent it to the first proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded<'h> {
    /// The client.
    pub(crate) client: Option<IpAddr>,
    /// The scheme of its URL.
    pub(crate) scheme: Option<&'static str>,
    /// The host of its URL, and perhaps a port, as it was written.
    pub(crate) host: Option<&'h str>,
}

impl<'h> Forwarded<'h> {
    /// Reads what proxies among `trusted` say of a request that came from `peer`.
    pub(crate) fn new(trusted: &[TrustedProxy], peer: Peer, headers: &'h HeaderMap) -> Forwarded<'h> {
        if !is_trusted(trusted, peer) {
            return Forwarded::default();
        }
        let old = [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST].iter().any(|name| headers.get(name).is_some());
        match (headers.get(FORWARDED).is_some(), old) {
            (true, false) => Forwarded::standard(trusted, headers),
            (false, true) => Forwarded::old(trusted, headers),
            _ => Forwarded::default(),
        }
    }

    fn standard(trusted: &[TrustedProxy], headers: &'h HeaderMap) -> Forwarded<'h> {
        let mut said = Forwarded::default();
        let fields: Option<Vec<Vec<&str>>> = headers
            .get_all(FORWARDED)
            .iter()
            .map(|field| field.to_str().ok().and_then(|field| split(field, b',')))
            .collect();
        // One that cannot be read may hide what others added to it.
        for element in fields.unwrap_or_default().into_iter().flatten().rev() {
            said = Forwarded::default();
            let mut names = Vec::new();
            for pair in split(element, b';').unwrap_or_default() {
                let Some((name, value)) = pair.split_once('=') else { continue };
                // No parameter occurs twice (RFC 7239, section 4): somebody has written into another's element.
                if names.iter().any(|other: &&str| other.eq_ignore_ascii_case(name)) {
                    return Forwarded::default();
                }
                names.push(name);
                let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
                match name.to_ascii_lowercase().as_str() {
                    "for" => said.client = address(value),
                    "proto" => said.scheme = scheme(value),
                    "host" => said.host = Some(value),
                    _ => {}
                }
            }
            if !said.client.is_some_and(|client| is_one_of(trusted, client)) {
                break;
            }
        }
        said
    }

    fn old(trusted: &[TrustedProxy], headers: &'h HeaderMap) -> Forwarded<'h> {
        let client = first_untrusted(trusted, from_the_end(headers, &X_FORWARDED_FOR));
        let last = |name| from_the_end(headers, name).next().flatten();
        Forwarded { client, scheme: last(&X_FORWARDED_PROTO).and_then(scheme), host: last(&X_FORWARDED_HOST) }
    }
}

/// The client of a request that came from `peer`: the one that `trusted` proxies name, if they name one.
pub(crate) fn named_client(trusted: &[TrustedProxy], peer: Peer, headers: &HeaderMap) -> Peer {
    Forwarded::new(trusted, peer, headers).client.map_or(peer, Peer::Ip)
}

/// The same where `list`, the value of the only `X-Forwarded-For`, is all that proxies say of the client.
pub(crate) fn client_in_list(trusted: &[TrustedProxy], peer: Peer, list: &[u8]) -> Peer {
    if !is_trusted(trusted, peer) {
        return peer;
    }
    first_untrusted(trusted, members_from_the_end(list)).map_or(peer, Peer::Ip)
}

/// The same as [`named_client`], for telling one client's requests from another's: of an IPv6 address the network counts, since a client has
/// all of its addresses.
pub(crate) fn client(trusted: &[TrustedProxy], peer: Peer, headers: &HeaderMap) -> Peer {
    one_of_network(named_client(trusted, peer, headers))
}

/// The client that `peer` is, where no proxy says otherwise.
#[inline]
pub(crate) fn one_of_network(peer: Peer) -> Peer {
    match peer {
        Peer::Ip(address) => Peer::Ip(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> IPV6_HOST_BITS << IPV6_HOST_BITS).into(),
            address @ IpAddr::V4(_) => address,
        }),
        Peer::Unix => Peer::Unix,
    }
}

/// `network`, with addresses of version 4 as such: as those of peers are compared.
fn canonical(network: IpNet) -> IpNet {
    let length = network.prefix_len().checked_sub(IPV4_MAPPED_BITS);
    match (network.addr().to_canonical(), length) {
        (IpAddr::V4(address), Some(length)) if network.addr().is_ipv6() => {
            Ipv4Net::new(address, length).map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

fn is_trusted(trusted: &[TrustedProxy], peer: Peer) -> bool {
    match peer {
        Peer::Ip(address) => is_one_of(trusted, address),
        Peer::Unix => trusted.contains(&TrustedProxy::Unix),
    }
}

/// The first of the `hops`, seen from here, that is no trusted proxy; none if it is unknown.
fn first_untrusted<'h>(trusted: &[TrustedProxy], hops: impl Iterator<Item = Option<&'h str>>) -> Option<IpAddr> {
    let mut client = None;
    for hop in hops {
        client = hop.and_then(address);
        if !client.is_some_and(|client| is_one_of(trusted, client)) {
            break;
        }
    }
    client
}

fn is_one_of(trusted: &[TrustedProxy], address: IpAddr) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|proxy| matches!(proxy, TrustedProxy::Network(network) if network.contains(&address)))
}

/// The members of a list without quotes that may stand in several fields, the last first; none for one that is no text.
fn from_the_end<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = Option<&'h str>> {
    let fields: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    fields.into_iter().rev().flat_map(members_from_the_end)
}

fn members_from_the_end(field: &[u8]) -> impl Iterator<Item = Option<&str>> {
    field.rsplit(|byte| *byte == b',').map(|member| str::from_utf8(member.trim_ascii()).ok())
}

/// The parts of `text` between separators that are not within quotes (RFC 7239, section 4). None where a quote is open
/// at the end, or stands elsewhere than around a value.
fn split(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped, mut before) = (Vec::new(), 0, false, false, b' ');
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if quoted => quoted = false,
            b'"' if before == b'=' => quoted = true,
            b'"' => return None,
            _ if byte == separator && !quoted => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        before = byte;
    }
    parts.push(text[start..].trim());
    (!quoted).then_some(parts)
}

/// The address in `1.2.3.4`, `1.2.3.4:5`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:5`.
fn address(node: &str) -> Option<IpAddr> {
    let bare = match node.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None if node.bytes().filter(|byte| *byte == b':').count() == 1 => node.split_once(':')?.0,
        None => node,
    };
    bare.parse().ok()
}

fn scheme(text: &str) -> Option<&'static str> {
    ["http", "https"].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    const PROXY: Peer = Peer::Ip(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));

    fn said(
        peer: Peer,
        fields: &[(&'static str, &'static str)],
    ) -> (Option<String>, Option<&'static str>, Option<String>) {
        let trusted = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"].map(|text| text.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let Forwarded { client, scheme, host } = Forwarded::new(&trusted, peer, &headers);
        (client.map(|client| client.to_string()), scheme, host.map(str::to_owned))
    }

    fn client(fields: &[(&'static str, &'static str)]) -> Option<String> {
        said(PROXY, fields).0
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_not_about_both_kinds_of_fields() {
        let old = ("x-forwarded-for", "198.51.100.1");
        let standard = ("forwarded", "for=198.51.100.1;proto=https");
        assert_eq!(client(&[old]).as_deref(), Some("198.51.100.1"));
        assert_eq!(client(&[standard]).as_deref(), Some("198.51.100.1"));
        assert_eq!(said(PROXY, &[old, standard]), (None, None, None));
        assert_eq!(said(PROXY, &[("x-forwarded-host", "evil"), standard]), (None, None, None));
        for stranger in ["198.51.100.9", "192.0.2.8", "2001:db9::1"] {
            assert_eq!(said(Peer::Ip(stranger.parse().unwrap()), &[old]), (None, None, None), "{stranger}");
        }
        for proxy in ["192.0.2.7", "2001:db8::9", "::ffff:10.1.2.3"] {
            assert!(said(Peer::Ip(proxy.parse().unwrap()), &[old]).0.is_some(), "{proxy}");
        }
        assert_eq!(said(Peer::Unix, &[old]).0, None);
        let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, HeaderValue::from_static("198.51.100.1"))]);
        assert!(Forwarded::new(&[TrustedProxy::Unix], Peer::Unix, &headers).client.is_some());
    }

    #[test]
    fn the_client_is_the_last_that_is_no_trusted_proxy() {
        for (list, expected) in [
            ("203.0.113.1, 198.51.100.1", Some("198.51.100.1")),
            ("203.0.113.1, 198.51.100.1, 10.2.3.4, 192.0.2.7", Some("198.51.100.1")),
            ("10.0.0.9", Some("10.0.0.9")),
            ("2001:db9::1", Some("2001:db9::1")),
            ("[2001:db9::1]:443, 10.0.0.2:80", Some("2001:db9::1")),
            ("198.51.100.1, unknown", None),
            ("198.51.100.1, ", None),
        ] {
            assert_eq!(client(&[("x-forwarded-for", list)]).as_deref(), expected, "{list}");
        }
        let fields = [("x-forwarded-for", "203.0.113.1"), ("x-forwarded-for", "198.51.100.1")];
        assert_eq!(client(&fields).as_deref(), Some("198.51.100.1"));
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_are_one_client() {
        let of = |address: &str| super::client(&[], Peer::Ip(address.parse().unwrap()), &HeaderMap::new());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_eq!(super::client(&[], Peer::Unix, &HeaderMap::new()), Peer::Unix);
    }

    #[test]
    fn scheme_and_host_are_those_that_the_client_used() {
        let standard = "for=203.0.113.1;host=evil, For=\"[2001:db9::1]:99\";Proto=HTTPS;host=\"a.example:8443\", for=10.0.0.3;proto=http";
        let expected = (Some("2001:db9::1".to_owned()), Some("https"), Some("a.example:8443".to_owned()));
        assert_eq!(said(PROXY, &[("forwarded", standard)]), expected);
        let old = [("x-forwarded-proto", "http, https"), ("x-forwarded-host", "evil, a.example")];
        assert_eq!(said(PROXY, &old), (None, Some("https"), Some("a.example".to_owned())));
        assert_eq!(said(PROXY, &[("x-forwarded-proto", "javascript")]).1, None);
        assert_eq!(client(&[("forwarded", "for=\"a,b;for=203.0.113.1\", for=_hidden")]), None);
    }

    #[test]
    fn what_a_client_sends_hides_nothing_that_a_proxy_adds() {
        for forged in [
            "for=203.0.113.9;host=evil;x=\", for=198.51.100.1;host=good",
            "for=203.0.113.9;x=a\"b, for=198.51.100.1",
            "for=\"203.0.113.9\\\", for=198.51.100.1",
            "for=198.51.100.1;FOR=203.0.113.9",
            "for=198.51.100.1;host=good;host=evil",
        ] {
            assert_eq!(said(PROXY, &[("forwarded", forged)]), (None, None, None), "{forged}");
        }
        for forged in ["\"", "a\"b", "\"203.0.113.9", "=\""] {
            let list: &'static str = format!("{forged}, 198.51.100.1").leak();
            assert_eq!(client(&[("x-forwarded-for", list)]).as_deref(), Some("198.51.100.1"), "{forged}");
        }
        let no_text = HeaderValue::from_bytes(b"\xff, 198.51.100.1").unwrap();
        let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, no_text)]);
        let said = Forwarded::new(&["10.0.0.0/8".parse().unwrap()], PROXY, &headers);
        assert_eq!(said.client, "198.51.100.1".parse().ok());
    }

    #[test]
    fn networks_are_those_of_the_addresses_that_peers_have() {
        for (text, same) in
            [("10.1.2.3/8", "10.0.0.0/8"), ("::ffff:10.0.0.0/104", "10.0.0.0/8"), ("::ffff:10.0.0.1", "10.0.0.1/32")]
        {
            assert_eq!(text.parse::<TrustedProxy>(), same.parse(), "{text}");
        }
        assert_eq!("::/0".parse(), Ok(TrustedProxy::Network("::/0".parse().unwrap())));
        assert!("10.0.0.0/33".parse::<TrustedProxy>().is_err());
    }
}
