//! Listeners: addresses, and the sockets bound to them.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::task::{Context, Poll, ready};

use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use socket2::{Domain, Protocol, SockAddr, SockRef, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Connections that the kernel completes before they are accepted, per listener. It may bound them more closely.
const BACKLOG: i32 = 4096;
/// Bytes of a response that the kernel takes on before it can send them, roughly. The rest waits here, where a client
/// that takes none of it is noticed: the kernel would take on megabytes. Half as many must be sent before it takes
/// more, which is what counts as progress of a client.
const KERNEL_UNSENT_BYTES_MAX: u32 = 16 << 10;
/// Permissions of a socket in the file system unless its address says others: its user and group may connect.
const SOCKET_MODE: u32 = 0o660;
/// The start of an address in the file system, and the option that may follow it.
const UNIX: &str = "unix:";
const MODE: &str = ",mode=";

/// Where to listen: `IP:PORT`, or `unix:PATH` and perhaps `,mode=660`.
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
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Address, &'static str> {
        let Some(rest) = text.strip_prefix(UNIX) else {
            return text
                .parse()
                .map(Address::Ip)
                .map_err(|_| "expected an address such as 127.0.0.1:8080, [::]:8080 or unix:/run/waybill.sock");
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

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Unix { path, .. } => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// A socket that listens, not yet used by a thread.
#[derive(Debug)]
pub enum Socket {
    /// On an interface.
    Tcp(StdTcpListener),
    /// In the file system.
    Unix(StdUnixListener),
}

impl Socket {
    /// Binds `address` once for each of `threads` workers, over which the kernel spreads connections.
    ///
    /// Fails also when another process listens there, whether it shares its port (`SO_REUSEPORT`) or not. A file that a
    /// process left behind which listens no more is replaced.
    pub fn bind(address: &Address, threads: usize) -> io::Result<Vec<Socket>> {
        match address {
            Address::Ip(address) => bind_tcp(*address, threads),
            Address::Unix { path, mode } => bind_unix(path, *mode)?.share(threads),
        }
    }

    /// This socket for each of `threads` workers, which take turns at it as the kernel wakes them.
    pub fn share(self, threads: usize) -> io::Result<Vec<Socket>> {
        match &self {
            Socket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                SockRef::from(socket).set_tcp_notsent_lowat(KERNEL_UNSENT_BYTES_MAX)?;
                (0..threads).map(|_| socket.try_clone().map(Socket::Tcp)).collect()
            }
            Socket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                (0..threads).map(|_| socket.try_clone().map(Socket::Unix)).collect()
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Socket::Tcp(socket) => socket.local_addr().map(Address::Ip),
            Socket::Unix(socket) => {
                let path = socket.local_addr()?.as_pathname().map(Path::to_owned).unwrap_or_default();
                Ok(Address::Unix { path, mode: SOCKET_MODE })
            }
        }
    }

    /// The socket for the runtime of the calling thread.
    pub(crate) fn listen(self) -> io::Result<Acceptor> {
        match self {
            Socket::Tcp(socket) => TcpListener::from_std(socket).map(Acceptor::Tcp),
            Socket::Unix(socket) => UnixListener::from_std(socket).map(Acceptor::Unix),
        }
    }
}

fn bind_tcp(address: SocketAddr, threads: usize) -> io::Result<Vec<Socket>> {
    let probe = tcp_socket(address)?;
    probe.bind(&address.into())?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    (0..threads)
        .map(|_| {
            let socket = tcp_socket(address)?;
            socket.set_reuse_port(true)?;
            // Connections inherit it.
            socket.set_tcp_notsent_lowat(KERNEL_UNSENT_BYTES_MAX)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(Socket::Tcp(socket.into()))
        })
        .collect()
}

fn tcp_socket(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart does not wait for old connections to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<Socket> {
    // One process at a time looks who listens, and then does.
    let folder =
        std::fs::File::open(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    flock(&folder, FlockOperation::LockExclusive)?;
    remove_unused(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The file is made with what the socket has, less what the process takes from new files: never more than wanted.
    fchmod(&socket, Mode::from_raw_mode(mode))?;
    socket.bind(&SockAddr::unix(path)?)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(Socket::Unix(OwnedFd::from(socket).into()))
}

/// Removes the socket at `path` that no process listens on.
fn remove_unused(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is there")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let client = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Where many wait to be accepted, one more does not.
    client.set_nonblocking(true)?;
    match client.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// The file of a bound address; removed when dropped, unless another has taken its place. To be dropped while the
/// socket listens: later the file may be that of a process that follows.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// That of `address`, which was bound just now; none if it has none.
    pub fn of(address: &Address) -> io::Result<Option<SocketFile>> {
        let Address::Unix { path, .. } = address else { return Ok(None) };
        Ok(Some(SocketFile { path: path.clone(), identity: identity(path)? }))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // A file that stays is removed by the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// A socket that connections are accepted from.
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection, and who is at its other end.
pub(crate) enum Accepted {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

impl Acceptor {
    /// The next connection. Only the task that called last is woken by it.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        Poll::Ready(match self {
            Acceptor::Tcp(socket) => {
                ready!(socket.poll_accept(cx)).map(|(stream, peer)| Accepted::Tcp(stream, peer.ip()))
            }
            Acceptor::Unix(socket) => ready!(socket.poll_accept(cx)).map(|(stream, _)| Accepted::Unix(stream)),
        })
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
        for wrong in
            ["", "localhost:80", "80", "/run/a", "unix:", "unix:,mode=600", "unix:a,mode=9", "unix:a,mode=7777"]
        {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
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
    fn a_socket_file_has_its_mode_is_not_taken_from_who_listens_and_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let address = Address::Unix { path: path.clone(), mode: 0o606 };
        let bound = Socket::bind(&address, 2).unwrap();
        assert_eq!(bound.len(), 2);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o606);
        assert_eq!(Socket::bind(&address, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        // However many wait already.
        let connect = || {
            let client = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            client.connect(&SockAddr::unix(&path).unwrap()).map(|()| client)
        };
        let crowd: Vec<_> = std::iter::from_fn(|| connect().ok()).take(BACKLOG as usize + 1).collect();
        assert_eq!(Socket::bind(&address, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(crowd);
        let file = SocketFile::of(&address).unwrap();
        drop(bound);
        drop(file);
        assert!(!path.exists());
        // A file that was left behind is replaced.
        drop(Socket::bind(&address, 1).unwrap());
        assert!(path.exists());
        let _old = Socket::bind(&address, 1).unwrap();
        let old_file = SocketFile::of(&address).unwrap();
        // A file that another process put in its place is not removed.
        std::fs::remove_file(&path).unwrap();
        let _new = Socket::bind(&address, 1).unwrap();
        drop(old_file);
        assert!(path.exists());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "data").unwrap();
        assert_eq!(Socket::bind(&address, 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"data");
    }
}
