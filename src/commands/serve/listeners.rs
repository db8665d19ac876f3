//! The sockets that `waybill serve` listens on.

use rustix::process::{Resource, getrlimit, setrlimit};

use super::error::ServeError;
use crate::cli::MAX_CONNECTIONS_DEFAULT;
use crate::config::{Settings, local_url};
use crate::http::listener::{Address, Bound, Held, Sharing, Socket, SocketFile};
use crate::http::secrets::Secrets;
use crate::systemd;

/// Estimate of open files beside connections: the data, logs, secrets.
const OTHER_FILES: u64 = 100;
/// Open files of a thread: its listener, its event queue and what wakes it, and a connection that waits for a place.
const FILES_OF_THREAD: u64 = 5;
/// Connections of the admin listener where fewer files may be open than connections.
const ADMIN_CONNECTIONS: u64 = 64;

const TOO_FEW_FILES: &str = "fewer files may be open than --max-connections allows for on each listener";

/// Connections that each listener may have open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectionsMax {
    pub(super) public: usize,
    pub(super) admin: usize,
}

/// The sockets of one listener.
#[derive(Debug)]
pub(super) struct ListenerSockets {
    /// Where they listen.
    pub(super) address: Address,
    /// One per worker.
    pub(super) sockets: Vec<Socket>,
    /// True if they are from systemd, where they stay.
    pub(super) is_inherited: bool,
}

/// The bound sockets of both listeners.
#[derive(Debug)]
pub struct Listeners {
    /// Those of the public listener.
    pub(super) public: ListenerSockets,
    /// That of the admin listener, if there is one.
    pub(super) admin: Option<ListenerSockets>,
    /// True if the public listener takes no connections before data is served.
    pub(super) public_awaits_data: bool,
    /// Connections that each may have open.
    pub(super) connections_max: ConnectionsMax,
    /// Addresses where another process listens: each, and what its sockets lack until they get connections.
    pub(super) held: Vec<(Address, Held)>,
    /// Files of Unix domain sockets, which are removed when dropped.
    pub(super) files: Vec<SocketFile>,
}

impl Listeners {
    /// Takes the sockets that systemd provides, and binds the others.
    pub fn bind(settings: &Settings, secrets: &Secrets) -> Result<Listeners, ServeError> {
        let connections_max = connections_max(settings);
        let from_systemd = systemd::sockets()?;
        let (mut files, mut held) = (Vec::new(), Vec::new());
        let sharing = if settings.reuse_port { Sharing::WithOthers } else { Sharing::Alone };
        let mut bind = |address: &Address, threads, holds: bool| {
            let failed = |source| ServeError::Bind { address: address.clone(), source };
            let bound = Bound::new(address, threads, sharing).map_err(failed)?;
            files.extend(bound.file);
            if let Some(of_address) = bound.held {
                if holds || matches!(of_address, Held::Unix { .. }) {
                    held.push((bound.address.clone(), of_address));
                } else {
                    files.extend(of_address.release().map_err(failed)?);
                }
            }
            Ok::<_, ServeError>(ListenerSockets { address: bound.address, sockets: bound.sockets, is_inherited: false })
        };
        let inherit = |socket: Socket, threads| {
            let address = socket.address()?;
            Ok::<_, ServeError>(ListenerSockets { address, sockets: socket.share(threads)?, is_inherited: true })
        };
        let public = match from_systemd.public {
            Some(socket) => inherit(socket, settings.threads)?,
            None => bind(&settings.listen, settings.threads, true)?,
        };
        let admin = match (&settings.admin_listen, from_systemd.admin) {
            (None, _) => None,
            (Some(_), Some(socket)) => {
                let admin = inherit(socket, 1)?;
                if !admin.address.is_local() && secrets.admin_tokens.is_none() {
                    return Err(ServeError::AdminWithoutToken(admin.address));
                }
                Some(admin)
            }
            (Some(address), None) => Some(bind(address, 1, false)?),
        };
        let public_awaits_data = settings.reuse_port || public.is_inherited;
        Ok(Listeners { public, admin, public_awaits_data, connections_max, held, files })
    }

    /// Logs the addresses.
    pub fn announce(&self) {
        let public = self.public.address.to_string();
        let admin = self.admin.as_ref().map_or("off".to_owned(), |admin| admin.address.to_string());
        tracing::info!(public, admin, "listening");
        for (address, _) in &self.held {
            tracing::info!(
                address = address.to_string(),
                "another process listens here; connections are taken once data is served"
            );
        }
    }

    /// Location of the public listener for clients on this host: a URL, or the path of its socket.
    pub(super) fn public_location(&self, settings: &Settings) -> String {
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        match &self.public.address {
            Address::Ip(address) => format!("{}/", local_url(scheme, *address)),
            unix @ Address::Unix { .. } => unix.to_string(),
        }
    }
}

/// Has clients find the sockets that were `held`, with `files` of those that they find by a file.
pub(super) fn release(held: &mut Vec<(Address, Held)>, files: &mut Vec<SocketFile>) -> Result<(), ServeError> {
    for (address, held) in held.drain(..) {
        files.extend(held.release().map_err(|source| ServeError::Bind { address, source })?);
    }
    Ok(())
}

/// Raises the limit on open files to the hard limit. Where that is too low for `--max-connections`, fewer connections may
/// be open, so that the admin listener always has some. With the default, which few servers need, it is only
/// information.
fn connections_max(settings: &Settings) -> ConnectionsMax {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "cannot raise the limit on open files");
    }
    let max = settings.limits.connections_max;
    let threads = settings.threads as u64;
    let Some(files) = getrlimit(Resource::Nofile).current else { return ConnectionsMax { public: max, admin: max } };
    let within = connections_within(files, max, threads);
    if within.public < max {
        let public = within.public;
        if max == MAX_CONNECTIONS_DEFAULT {
            tracing::info!(limit = files, connections = public, "{TOO_FEW_FILES}");
        } else {
            tracing::warn!(limit = files, connections = public, "{TOO_FEW_FILES}");
        }
    }
    within
}

/// The connections of each listener, at most `max`, if `files` files may be open.
fn connections_within(files: u64, max: usize, threads: u64) -> ConnectionsMax {
    let other = OTHER_FILES + FILES_OF_THREAD * (threads + 1);
    // However few there are, half of them are for connections.
    let for_connections = files.saturating_sub(other).max(files / 2);
    let number = |connections: u64| usize::try_from(connections).unwrap_or(usize::MAX).clamp(1, max);
    let admin = for_connections.saturating_sub(max as u64).max(ADMIN_CONNECTIONS.min(for_connections / 4));
    ConnectionsMax { public: number(for_connections - admin), admin: number(admin) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_listener_has_files_of_its_own_however_few_there_are() {
        let within = |files, max| {
            let ConnectionsMax { public, admin } = connections_within(files, max, 2);
            (public, admin)
        };
        assert_eq!(within(1 << 20, 20_000), (20_000, 20_000));
        assert_eq!(within(1024, 20_000), (1024 - 115 - 64, 64));
        assert_eq!(within(1024, 500), (500, 1024 - 115 - 500));
        assert_eq!(within(64, 20_000), (24, 8));
        assert_eq!(within(1, 20_000), (1, 1));
    }
}
