//! `waybill health`: asks a server whether it is ready, so that an image needs no other client.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::HOST;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::cli::{AdminListen, ServeArgs};
use crate::http::listen::Address;

/// How long the server may take.
const TIMEOUT: Duration = Duration::from_secs(3);
const PORT_DEFAULT: u16 = 80;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A URL: `http://…`.
    Url(Uri),
    /// `/readyz` of the server whose socket this is.
    Socket(PathBuf),
}

const READY: &str = "/readyz";

impl Target {
    /// What to ask of a server with these settings, on this host. It speaks no TLS, so a server that does is asked where
    /// operators ask, if they may.
    pub fn of_server(args: &ServeArgs) -> Target {
        let listen = match &args.admin_listen {
            AdminListen::At(admin) if args.tls_cert.is_some() => admin,
            _ => &args.listen,
        };
        let mut address = match listen {
            Address::Unix { path, .. } => return Target::Socket(path.clone()),
            Address::Ip(address) => *address,
        };
        match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Target::Url(format!("http://{address}{READY}").parse().unwrap_or_default())
    }
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Target, &'static str> {
        if let Ok(Address::Unix { path, .. }) = text.parse() {
            return Ok(Target::Socket(path));
        }
        let uri: Option<Uri> = text.parse().ok();
        uri.filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some())
            .map(Target::Url)
            .ok_or("expected a URL such as http://127.0.0.1:8080/readyz, or unix:PATH")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Url(uri) => uri.fmt(f),
            Target::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Succeeds when a GET of `target` is answered with 200.
pub fn health(target: &Target) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime
        .block_on(async { tokio::time::timeout(TIMEOUT, status_of(target)).await })
        .with_context(|| format!("{target}: no answer within {} s", TIMEOUT.as_secs()))?
        .with_context(|| format!("{target}: no answer"))?;
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
