//! The sockets that `waybill serve` listens on.

use rustix::process::{Resource, getrlimit, setrlimit};

use super::error::ServeError;
use crate::config::Settings;
use crate::http::listener::{Address, Socket, SocketFile};
use crate::http::secrets::Secrets;
use crate::systemd;

/// Open files beside connections: listeners, the data, logs, what each thread waits with.
const OTHER_FILES: u64 = 100;

/// The bound sockets of both listeners.
#[derive(Debug)]
pub struct Listeners {
    /// One for each worker.
    pub(super) public: Vec<Socket>,
    /// One, or none without an admin listener.
    pub(super) admin: Vec<Socket>,
    /// Files of Unix sockets, removed when dropped.
    pub(super) files: Vec<SocketFile>,
}

impl Listeners {
    /// Takes over the sockets that systemd hands over, and binds the others.
    pub fn bind(settings: &Settings, secrets: &Secrets) -> Result<Listeners, ServeError> {
        raise_open_files_limit(settings);
        let handed_over = systemd::sockets()?;
        let mut files = Vec::new();
        let mut bind = |address: &Address, threads| {
            let failed = |source| ServeError::Bind { address: address.clone(), source };
            let sockets = Socket::bind(address, threads).map_err(failed)?;
            files.extend(SocketFile::of(address).map_err(failed)?);
            Ok::<_, ServeError>(sockets)
        };
        let public = match handed_over.public {
            Some(socket) => socket.share(settings.threads)?,
            None => bind(&settings.listen, settings.threads)?,
        };
        let admin = match (&settings.admin_listen, handed_over.admin) {
            (None, _) => Vec::new(),
            (Some(_), Some(socket)) => {
                let address = socket.address()?;
                if !address.is_local() && secrets.admin_tokens.is_none() {
                    return Err(ServeError::AdminWithoutToken(address));
                }
                socket.share(1)?
            }
            (Some(address), None) => bind(address, 1)?,
        };
        Ok(Listeners { public, admin, files })
    }

    /// Logs where they are.
    pub fn announce(&self) {
        let address = |sockets: &[Socket]| {
            sockets.first().and_then(|socket| socket.address().ok()).map_or("off".to_owned(), |at| at.to_string())
        };
        tracing::info!(public = address(&self.public), admin = address(&self.admin), "listening");
    }
}

/// Raises the limit on open files as far as the process may, and warns if the listeners cannot have all connections.
fn raise_open_files_limit(settings: &Settings) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit on open files stays");
    }
    let listeners = 1 + u64::from(settings.admin_listen.is_some());
    let needed = listeners * settings.limits.connections_max as u64 + OTHER_FILES;
    if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|limit| *limit < needed) {
        tracing::warn!(limit, needed, "fewer files may be open than --max-connections allows for on each listener");
    }
}
