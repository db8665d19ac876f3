//! The streams that connections run over.

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// The stream below a connection: a socket, with or without TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {
    /// The system's socket below.
    fn system(&self) -> SockRef<'_>;
}

impl Stream for TcpStream {
    fn system(&self) -> SockRef<'_> {
        SockRef::from(self)
    }
}

impl Stream for UnixStream {
    fn system(&self) -> SockRef<'_> {
        SockRef::from(self)
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    fn system(&self) -> SockRef<'_> {
        self.get_ref().0.system()
    }
}
