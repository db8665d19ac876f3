//! The sockets that `waybill serve` listens on.

use rustix::process::{Resource, getrlimit, setrlimit};

use super::error::ServeError;
use crate::cli::MAX_CONNECTIONS_DEFAULT;
use crate::config::{Settings, local_url};
use crate::http::listener::{Address, Socket, SocketFile};
use crate::http::secrets::Secrets;
use crate::systemd;

/// Open files beside connections: listeners, the data, logs, what each thread waits with.
const OTHER_FILES: u64 = 100;

const TOO_FEW_FILES: &str = "fewer files may be open than --max-connections allows for on each listener";

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
        let text = |sockets| address(sockets).map_or("off".to_owned(), |address| address.to_string());
        tracing::info!(public = text(&self.public), admin = text(&self.admin), "listening");
    }

    /// Where clients on this host find the public listener: its URL, or its address in the file system.
    pub(super) fn public_location(&self, settings: &Settings) -> String {
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        match address(&self.public) {
            Some(Address::Ip(address)) => format!("{}/", local_url(scheme, address)),
            Some(unix) => unix.to_string(),
            None => String::new(),
        }
    }
}

fn address(sockets: &[Socket]) -> Option<Address> {
    sockets.first()?.address().ok()
}

/// Raises the limit on open files as far as the process may, and warns if it is too low for the connections that were
/// asked for. For the default of `--max-connections`, which few need, it is no warning: one follows when the limit is hit.
fn raise_open_files_limit(settings: &Settings) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit on open files stays");
    }
    let connections_max = settings.limits.connections_max;
    let listeners = 1 + u64::from(settings.admin_listen.is_some());
    let needed = listeners * connections_max as u64 + OTHER_FILES;
    let Some(limit) = getrlimit(Resource::Nofile).current.filter(|limit| *limit < needed) else { return };
    if connections_max == MAX_CONNECTIONS_DEFAULT {
        tracing::info!(limit, needed, "{TOO_FEW_FILES}");
    } else {
        tracing::warn!(limit, needed, "{TOO_FEW_FILES}");
    }
}
