//! TLS: certificates from files, and the protocol that a client and the server agree on (RFC 7301).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Protocols offered to clients (ALPN), the preferred first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The protocol of a TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1, or 1.0.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Why TLS cannot be enabled with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM file (RFC 7468) with what is needed.
    #[error("{}: {expected} expected, in PEM form: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The expected content.
        expected: &'static str,
        /// The reason.
        source: pem::Error,
    },
    /// They do not belong together, or are of an unknown kind.
    #[error("{} and {}: {source}", certificate.display(), key.display())]
    Unusable {
        /// The certificates' file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The reason.
        source: rustls::Error,
    },
}

/// The server's certificates and key, as the files had them when they were last read.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    material: ArcSwap<Material>,
}

/// What is made of the files.
struct Material {
    config: Arc<ServerConfig>,
    not_after: Option<Timestamp>,
}

impl Tls {
    /// Reads `certificate`, the server's own first and then those that vouch for it, and `key`.
    pub fn load(certificate: &Path, key: &Path) -> Result<Tls, TlsError> {
        let material = ArcSwap::from_pointee(read(certificate, key)?);
        Ok(Tls { certificate: certificate.to_owned(), key: key.to_owned(), material })
    }

    /// Where certificates and key are.
    pub(crate) fn paths(&self) -> [&Path; 2] {
        [&self.certificate, &self.key]
    }

    /// Reads the files again, for connections that come from now on. After an error those read before go on to hold.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.material.store(Arc::new(read(&self.certificate, &self.key)?));
        Ok(())
    }

    /// When the server's own certificate ends (RFC 5280, section 4.1.2.5); `None` if it does not say so in a usable form.
    pub(crate) fn not_after(&self) -> Option<Timestamp> {
        self.material.load().not_after
    }

    /// Does the TLS handshake on `stream`. The error is the stream, on which it failed.
    pub(crate) async fn accept<S>(&self, stream: S) -> Result<(Protocol, TlsStream<S>), S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = TlsAcceptor::from(Arc::clone(&self.material.load().config)).accept(stream).into_fallible();
        let stream = handshake.await.map_err(|(_, stream)| stream)?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((protocol, stream))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Material, TlsError> {
    let file = |path: &Path, expected| {
        let path = path.to_owned();
        move |source| TlsError::File { path, expected, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
        .map_err(file(certificate, "a certificate"))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(file(key, "a private key"))?;
    let not_after = chain.first().and_then(end_of);
    let unusable = |source| TlsError::Unusable { certificate: certificate.to_owned(), key: key.to_owned(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(unusable)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    // Clients resume without anything being kept for them here.
    config.ticketer = ring::Ticketer::new().map_err(unusable)?;
    Ok(Material { config: Arc::new(config), not_after })
}

/// When a certificate ends.
fn end_of(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}
