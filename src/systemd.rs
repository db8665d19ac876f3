//! What systemd is told, by `sd_notify(3)`, and the sockets that it hands over, by `sd_listen_fds(3)`. Where the process
//! was not started by it, nothing is.

use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// Sockets that systemd listens on, so that none of a restart's clients is turned away.
#[derive(Debug, Default)]
pub struct Sockets {
    /// The first: for everybody.
    pub public: Option<TcpListener>,
    /// The second: for operators.
    pub admin: Option<TcpListener>,
}

/// The sockets that were handed over. Fails when one is something else than a TCP socket that listens.
pub fn sockets() -> io::Result<Sockets> {
    let mut handed = ListenFd::from_env();
    let public = handed.take_tcp_listener(0)?;
    let admin = if handed.len() > 1 { handed.take_tcp_listener(1)? } else { None };
    Ok(Sockets { public, admin })
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
