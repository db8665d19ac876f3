//! Errors of `waybill serve`.

use crate::brand::BrandError;
use crate::http::listener::Address;
use crate::http::secrets::SecretsError;
use crate::http::telemetry::access_log::settings::Target;
use crate::stages::StatusMapError;

/// Error that ends `waybill serve`.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: Address,
        /// Error of the system.
        source: std::io::Error,
    },
    /// The admin socket from systemd can be reached from the network, and needs no token.
    #[error("the admin socket from systemd, {0}: other hosts reach it, so --admin-token-file is needed")]
    AdminWithoutToken(Address),
    /// Certificates, tokens or keys cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The access log cannot be written.
    #[error("cannot open the access log: {target}")]
    AccessLog {
        /// Target of the log.
        target: Target,
        /// Error of the system.
        source: std::io::Error,
    },
    /// The status map cannot be used.
    #[error(transparent)]
    StatusMap(#[from] StatusMapError),
    /// The brand file cannot be used.
    #[error(transparent)]
    Brand(#[from] BrandError),
    /// The first load failed.
    #[error("{0}")]
    Data(String),
    /// The system refused a thread, a runtime or a signal handler.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}
