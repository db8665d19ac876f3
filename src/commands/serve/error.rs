//! Errors of `waybill serve`.

use crate::http::listener::Address;
use crate::http::secrets::SecretsError;
use crate::http::telemetry::access_log::settings::Target;

/// Why serving ended otherwise than by a signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: Address,
        /// What the system said.
        source: std::io::Error,
    },
    /// The second socket that systemd handed over can be reached by anybody.
    #[error("the socket for operators, {0}: other hosts reach it, so --admin-token-file is needed")]
    AdminWithoutToken(Address),
    /// Certificates, tokens or keys cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The access log cannot be written.
    #[error("cannot open the access log: {target}")]
    AccessLog {
        /// Where it was to be.
        target: Target,
        /// What the system said.
        source: std::io::Error,
    },
    /// The first load failed.
    #[error("{0}")]
    Data(String),
    /// The system refused a thread, a runtime or a signal handler.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}
