//! Sockets bound to addresses, and connections from them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, SockRef, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::address::{Address, SOCKET_MODE};
use super::file::{self, SocketFile};

/// Connections that the kernel completes before they are accepted, per listener. It may bound them more closely.
const BACKLOG: i32 = 4096;
/// Bytes of a response that the kernel takes on before it can send them, roughly. The rest waits here, where a client
/// that takes none of it is noticed: the kernel would take on megabytes. Half as many must be sent before it takes
/// more, which is what counts as progress of a client.
const KERNEL_UNSENT_BYTES_MAX: u32 = 16 << 10;

/// A socket that listens, not yet used by a thread.
#[derive(Debug)]
pub enum Socket {
    /// On an interface.
    Tcp(StdTcpListener),
    /// In the file system.
    Unix(StdUnixListener),
}

impl Socket {
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

    /// The socket for the runtime of the calling thread, once it listens.
    pub(crate) fn acceptor(self) -> io::Result<Acceptor> {
        match self {
            Socket::Tcp(socket) => TcpListener::from_std(socket).map(Acceptor::Tcp),
            Socket::Unix(socket) => UnixListener::from_std(socket).map(Acceptor::Unix),
        }
    }
}

/// Whether another process may listen on the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// None may, whether it shares its port (`SO_REUSEPORT`) or not.
    Alone,
    /// One may that shares its port and has the same user. While one does, the sockets are [`Held`].
    WithOthers,
}

/// An address that was bound.
#[derive(Debug)]
pub struct Bound {
    /// The address, with its port.
    pub address: Address,
    /// A socket for each worker.
    pub sockets: Vec<Socket>,
    /// What the sockets lack until clients find them.
    pub held: Option<Held>,
    /// The file by which clients find them, if they do by a file.
    pub file: Option<SocketFile>,
}

impl Bound {
    /// Binds `address` for `threads` workers, over which the kernel spreads connections. The sockets listen, unless
    /// another process does that may.
    pub fn new(address: &Address, threads: usize, sharing: Sharing) -> io::Result<Bound> {
        match address {
            Address::Ip(address) => bind_tcp(*address, threads, sharing),
            Address::Unix { path, mode } => bind_unix(path, *mode, threads, sharing),
        }
    }
}

/// Sockets that get no connections yet, since another process does.
#[derive(Debug)]
pub enum Held {
    /// They do not listen: the kernel would have given them their share of the connections from then on.
    Tcp(Vec<StdTcpListener>),
    /// They listen beside the place where clients look.
    Unix {
        /// The file beside.
        file: SocketFile,
        /// The place.
        path: PathBuf,
    },
}

impl Held {
    /// Lets connections come. On an interface they come to both processes from now on, in the file system to this one
    /// alone. Returns the file by which clients find the sockets, if they do by a file.
    pub fn release(self) -> io::Result<Option<SocketFile>> {
        match self {
            Held::Tcp(sockets) => {
                sockets.iter().try_for_each(|socket| SockRef::from(socket).listen(BACKLOG)).map(|()| None)
            }
            Held::Unix { mut file, path } => file.rename(&path).map(|()| Some(file)),
        }
    }
}

fn bind_tcp(address: SocketAddr, threads: usize, sharing: Sharing) -> io::Result<Bound> {
    let address =
        if is_any_v6(address) && !has_ipv6() { (Ipv4Addr::UNSPECIFIED, address.port()).into() } else { address };
    let probe = tcp_socket(address)?;
    let is_taken = match probe.bind(&address.into()) {
        Ok(()) => false,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && sharing == Sharing::WithOthers => true,
        Err(error) => return Err(error),
    };
    let address = if is_taken { address } else { probe.local_addr()?.as_socket().unwrap_or(address) };
    drop(probe);
    let (mut sockets, mut held) = (Vec::new(), Vec::new());
    for _ in 0..threads {
        let socket = tcp_socket(address)?;
        socket.set_reuse_port(true)?;
        // Connections inherit it.
        socket.set_tcp_notsent_lowat(KERNEL_UNSENT_BYTES_MAX)?;
        socket.bind(&address.into())?;
        if is_taken {
            held.push(socket.try_clone()?.into());
        } else {
            socket.listen(BACKLOG)?;
        }
        sockets.push(Socket::Tcp(socket.into()));
    }
    Ok(Bound { address: Address::Ip(address), sockets, held: is_taken.then_some(Held::Tcp(held)), file: None })
}

fn tcp_socket(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart does not wait for old connections to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if is_any_v6(address) {
        // All interfaces, over IPv4 too, whatever the system's default.
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

/// True for all interfaces of either family.
fn is_any_v6(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

/// False on a host without IPv6, where all interfaces are those of IPv4.
fn has_ipv6() -> bool {
    let socket = socket2::Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP));
    socket.is_ok_and(|socket| socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into()).is_ok())
}

fn bind_unix(path: &Path, mode: u32, threads: usize, sharing: Sharing) -> io::Result<Bound> {
    let address = Address::Unix { path: path.to_owned(), mode };
    let share = |listener| Socket::Unix(listener).share(threads);
    match file::listen(path, mode, BACKLOG) {
        Ok((listener, file)) => Ok(Bound { address, sockets: share(listener)?, held: None, file: Some(file) }),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && sharing == Sharing::WithOthers => {
            let (listener, file) = file::listen(&file::beside(path), mode, BACKLOG)?;
            let held = Some(Held::Unix { file, path: path.to_owned() });
            Ok(Bound { address, sockets: share(listener)?, held, file: None })
        }
        Err(error) => Err(error),
    }
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
