//! `waybill health`: asks a server whether it is ready, so that an image needs no other client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::HOST;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long the server may take.
const TIMEOUT: Duration = Duration::from_secs(3);
const PORT_DEFAULT: u16 = 80;

/// A URL that can be asked: `http://…`.
pub fn parse_url(text: &str) -> Result<Uri, String> {
    let uri: Option<Uri> = text.parse().ok();
    uri.filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some())
        .ok_or_else(|| "expected a URL such as http://127.0.0.1:8080/readyz".to_owned())
}

/// What to ask of a server that listens at `listen`: at the same port of this host.
pub fn url_of(listen: SocketAddr) -> Uri {
    let host = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    parse_url(&format!("http://{}/readyz", SocketAddr::new(host, listen.port()))).unwrap_or_default()
}

/// Succeeds when a GET of `url` is answered with 200.
pub fn health(url: &Uri) -> Result<()> {
    let address = format!("{}:{}", url.host().unwrap_or_default(), url.port_u16().unwrap_or(PORT_DEFAULT));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime
        .block_on(async { tokio::time::timeout(TIMEOUT, status_of(url, &address)).await })
        .with_context(|| format!("{url}: no answer within {} s", TIMEOUT.as_secs()))?
        .with_context(|| format!("{url}: no answer"))?;
    if status != hyper::StatusCode::OK {
        bail!("{url}: {status}");
    }
    Ok(())
}

async fn status_of(uri: &Uri, address: &str) -> Result<hyper::StatusCode> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(HOST, address).body(Empty::<Bytes>::new())?;
    let exchange = async move {
        let answer = sender.send_request(request).await?;
        anyhow::Ok(answer.status())
    };
    tokio::select! {
        status = exchange => status,
        ended = connection => { ended?; bail!("the connection was closed") }
    }
}
