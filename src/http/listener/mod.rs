//! Listeners: addresses, and the sockets bound to them, which may be shared with other processes.

mod address;
mod file;
mod socket;

pub use address::Address;
pub use file::SocketFile;
pub(crate) use socket::{Accepted, Acceptor};
pub use socket::{Bound, Held, Sharing, Socket};
