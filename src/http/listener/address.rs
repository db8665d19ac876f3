//! Addresses of listeners.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// Permissions of a socket in the file system unless its address says others: its user and group may connect.
pub(super) const SOCKET_MODE: u32 = 0o660;
/// The start of an address in the file system, and the option that may follow it.
const UNIX: &str = "unix:";
const MODE: &str = ",mode=";

/// Where to listen: `IP:PORT`, `localhost:PORT` or `PORT` for loopback, `:PORT` for all interfaces, or `unix:PATH` and
/// perhaps `,mode=660`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// On an interface, or all of them.
    Ip(SocketAddr),
    /// In the file system.
    Unix {
        /// The socket's place.
        path: PathBuf,
        /// The permissions of its file: clients that may write to it may connect.
        mode: u32,
    },
}

impl Address {
    /// True if no other host reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Address::Ip(address) => address.ip().is_loopback(),
            Address::Unix { .. } => true,
        }
    }

    /// True if clients of one may get to the other.
    pub fn overlaps(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Ip(one), Address::Ip(other)) => {
                let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
                one.port() == other.port() && one.port() != 0 && (is_any || one.ip() == other.ip())
            }
            (Address::Unix { path: one, .. }, Address::Unix { path: other, .. }) => one == other,
            _ => false,
        }
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Address, &'static str> {
        let Some(rest) = text.strip_prefix(UNIX) else {
            return ip(text)
                .map(Address::Ip)
                .ok_or("expected an address such as 127.0.0.1:8080, 8080, :8080 or unix:/run/waybill.sock");
        };
        let (path, mode) = match rest.rsplit_once(MODE) {
            None => (rest, SOCKET_MODE),
            Some((path, mode)) => {
                let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| (0..=0o777).contains(mode));
                (path, mode.ok_or("expected octal permissions after mode=, such as 660")?)
            }
        };
        if path.is_empty() {
            return Err("expected a path after unix:");
        }
        Ok(Address::Unix { path: path.into(), mode })
    }
}

/// Parses an address on an interface. A port alone is on loopback, as those who try things out mean it.
fn ip(text: &str) -> Option<SocketAddr> {
    let at = |host: IpAddr, port: &str| {
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        port.parse().ok().filter(|_| is_number).map(|port| SocketAddr::new(host, port))
    };
    match text.rsplit_once(':') {
        None => at(Ipv4Addr::LOCALHOST.into(), text),
        Some(("", port)) => at(Ipv6Addr::UNSPECIFIED.into(), port),
        Some((host, port)) if host.eq_ignore_ascii_case("localhost") => at(Ipv4Addr::LOCALHOST.into(), port),
        Some(_) => text.parse().ok(),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Unix { path, .. } => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_an_interface_or_in_the_file_system() {
        let unix = |path: &str, mode| Ok(Address::Unix { path: path.into(), mode });
        assert_eq!("[::1]:80".parse(), Ok(Address::Ip("[::1]:80".parse().unwrap())));
        assert_eq!("unix:/a b".parse(), unix("/a b", 0o660));
        assert_eq!("unix:a,b,mode=600".parse(), unix("a,b", 0o600));
        for wrong in ["", ":", "+80", ":+80", "65536", "host:80", "localhost", "localhost:", "::1:80x", "/run/a"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
        for wrong in ["unix:", "unix:,mode=600", "unix:a,mode=9", "unix:a,mode=7777"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_port_alone_is_on_loopback_and_one_behind_a_colon_on_all_interfaces() {
        for (short, long) in [
            ("8090", "127.0.0.1:8090"),
            ("0", "127.0.0.1:0"),
            ("localhost:8090", "127.0.0.1:8090"),
            ("LocalHost:8090", "127.0.0.1:8090"),
            (":8090", "[::]:8090"),
        ] {
            let [short, long]: [Address; 2] = [short, long].map(|address| address.parse().unwrap());
            assert_eq!(short, long);
        }
    }

    #[test]
    fn only_this_host_reaches_loopback_and_files() {
        for (address, is_local) in
            [("127.9.9.9:1", true), ("[::1]:1", true), ("unix:a", true), ("0.0.0.0:1", false), ("[::]:1", false)]
        {
            assert_eq!(address.parse().map(|address: Address| address.is_local()), Ok(is_local), "{address}");
        }
    }

    #[test]
    fn addresses_overlap_where_one_is_the_other_or_on_all_interfaces() {
        for (one, other, overlap) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("0.0.0.0:1", "127.0.0.1:1", true),
            ("[::]:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("unix:a", "unix:a,mode=600", true),
            ("unix:a", "unix:b", false),
            ("unix:a", "127.0.0.1:1", false),
        ] {
            let [one, other]: [Address; 2] = [one, other].map(|address| address.parse().unwrap());
            assert_eq!((one.overlaps(&other), other.overlaps(&one)), (overlap, overlap), "{one} {other}");
        }
    }
}
