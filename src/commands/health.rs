//! `waybill health`: checks whether a server is ready, so that a container image needs no other HTTP client.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::cli::Target;

/// Time for connecting and for the response.
const TIMEOUT: Duration = Duration::from_secs(3);
const PORT_DEFAULT: u16 = 80;

/// Path that is requested over a Unix domain socket.
const READY: &str = "/readyz";

/// Succeeds if the response to a GET of `target` is 200.
pub fn health(target: &Target) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime
        .block_on(async { tokio::time::timeout(TIMEOUT, status_of(target)).await })
        .with_context(|| format!("{target}: no response within {} s", TIMEOUT.as_secs()))?
        .with_context(|| format!("{target}: no response"))?;
    if status != StatusCode::OK {
        bail!("{target}: {status}");
    }
    Ok(())
}

async fn status_of(target: &Target) -> Result<StatusCode> {
    match target {
        Target::Url(uri) => {
            let address = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(PORT_DEFAULT));
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            ask(TcpStream::connect(&address).await?, &address, path).await
        }
        Target::Socket(path) => ask(UnixStream::connect(path).await?, "localhost", READY).await,
    }
}

async fn ask<S>(stream: S, host: &str, path: &str) -> Result<StatusCode>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path).header(HOST, host).body(Empty::<Bytes>::new())?;
    let exchange = async move { anyhow::Ok(sender.send_request(request).await?.status()) };
    tokio::select! {
        status = exchange => status,
        ended = connection => { ended?; bail!("the connection was closed") }
    }
}
