//! URLs of listeners for clients on the same host.

use std::net::{Ipv4Addr, SocketAddr};

/// Builds the URL, without a path, at which clients on this host reach a listener.
pub fn local_url(scheme: &str, mut address: SocketAddr) -> String {
    // All interfaces of IPv6 are those of IPv4 too, and on a host without IPv6 they are nothing else.
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("{scheme}://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_for_this_host_names_no_unspecified_address() {
        for (address, url) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:8080", "http://127.0.0.1:8080"),
            ("192.0.2.7:1", "http://192.0.2.7:1"),
        ] {
            assert_eq!(local_url("http", address.parse().unwrap()), url);
        }
    }
}
