//! The target of `waybill health`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use hyper::Uri;

use crate::http::listener::Address;

/// A server whose readiness is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The server behind a URL, `http://…`.
    Url(Uri),
    /// The server with this Unix domain socket, by its `/readyz`.
    Socket(PathBuf),
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
