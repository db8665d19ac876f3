//! Integration with systemd: notifications, `sd_notify(3)`, and socket activation, `sd_listen_fds(3)`. Neither has an
//! effect if the process was not started by systemd.

use std::io;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::http::listener::Socket;

/// Sockets from systemd, which keep accepting connections during a restart.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Socket of the public listener: the first.
    pub public: Option<Socket>,
    /// Socket of the admin listener: the second.
    pub admin: Option<Socket>,
}

/// Takes the sockets from systemd. Fails if one is not a listening TCP or Unix domain socket.
pub fn sockets() -> io::Result<Sockets> {
    let mut descriptors = ListenFd::from_env();
    let mut take = |number| match descriptors.take_unix_listener(number) {
        Ok(socket) => Ok(socket.map(Socket::Unix)),
        Err(_) => descriptors.take_tcp_listener(number).map(|socket| socket.map(Socket::Tcp)),
    };
    Ok(Sockets { public: take(0)?, admin: take(1)? })
}

/// Notifies systemd that data is served: after the start, and after each reload, successful or not.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Notifies systemd that a reload by signal has started; [`ready`] ends it. Since systemd 253, `Type=notify-reload`
/// waits for that.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "systemd is not notified of the reload"),
    }
}

/// Notifies systemd that the process is shutting down.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd cannot be notified");
    }
}
