//! What systemd is told, by `sd_notify(3)`, and the sockets that it hands over, by `sd_listen_fds(3)`. Where the process
//! was not started by it, nothing is.

use std::io;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::http::listener::Socket;

/// Sockets that systemd listens on, so that none of a restart's clients is turned away.
#[derive(Debug, Default)]
pub struct Sockets {
    /// The first: for everybody.
    pub public: Option<Socket>,
    /// The second: for operators.
    pub admin: Option<Socket>,
}

/// The sockets that were handed over. Fails when one is something else than a TCP or Unix socket that listens.
pub fn sockets() -> io::Result<Sockets> {
    let mut handed = ListenFd::from_env();
    let mut take = |number| match handed.take_unix_listener(number) {
        Ok(socket) => Ok(socket.map(Socket::Unix)),
        Err(_) => handed.take_tcp_listener(number).map(|socket| socket.map(Socket::Tcp)),
    };
    Ok(Sockets { public: take(0)?, admin: take(1)? })
}

/// Data is served: after the start, and after each reload, whatever came of it.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload was asked for by signal; [`ready`] ends it. Since systemd 253, `Type=notify-reload` waits for that.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "systemd is not told of the reload"),
    }
}

/// The process begins to end.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}
