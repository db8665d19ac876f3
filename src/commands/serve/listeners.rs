//! The sockets that `waybill serve` listens on.

use rustix::process::{Resource, getrlimit, setrlimit};

use super::error::ServeError;
use crate::cli::MAX_CONNECTIONS_DEFAULT;
use crate::config::{Settings, local_url};
use crate::http::listener::{Address, Socket, SocketFile};
use crate::http::secrets::Secrets;
use crate::systemd;

/// Estimate of open files beside connections: listeners, the data, logs, event queues of threads.
const OTHER_FILES: u64 = 100;

const TOO_FEW_FILES: &str = "fewer files may be open than --max-connections allows for on each listener";

/// The bound sockets of both listeners.
#[derive(Debug)]
pub struct Listeners {
    /// Sockets of the public listener, one per worker.
    pub(super) public: Vec<Socket>,
    /// Socket of the admin listener, if there is one.
    pub(super) admin: Vec<Socket>,
    /// Files of Unix domain sockets, which are removed when dropped.
    pub(super) files: Vec<SocketFile>,
}

impl Listeners {
    /// Takes the sockets that systemd provides, and binds the others.
    pub fn bind(settings: &Settings, secrets: &Secrets) -> Result<Listeners, ServeError> {
        raise_open_files_limit(settings);
        let from_systemd = systemd::sockets()?;
        let mut files = Vec::new();
        let mut bind = |address: &Address, threads| {
            let failed = |source| ServeError::Bind { address: address.clone(), source };
            let sockets = Socket::bind(address, threads).map_err(failed)?;
            files.extend(SocketFile::of(address).map_err(failed)?);
            Ok::<_, ServeError>(sockets)
        };
        let public = match from_systemd.public {
            Some(socket) => socket.share(settings.threads)?,
            None => bind(&settings.listen, settings.threads)?,
        };
        let admin = match (&settings.admin_listen, from_systemd.admin) {
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

    /// Logs the addresses.
    pub fn announce(&self) {
        let text = |sockets| address(sockets).map_or("off".to_owned(), |address| address.to_string());
        tracing::info!(public = text(&self.public), admin = text(&self.admin), "listening");
    }

    /// Location of the public listener for clients on this host: a URL, or the path of its socket.
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

/// Raises the limit on open files to the hard limit, and warns if that is too low for `--max-connections`. With the
/// default, which few servers need, it is only information: reaching the limit is a warning of its own.
fn raise_open_files_limit(settings: &Settings) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "cannot raise the limit on open files");
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
