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
        let uri = uri.filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
        // Without a path, the readiness of the server is asked for, not one of its pages.
        let with_path = |uri: Uri| match uri.path() {
            "" | "/" => format!("{}/readyz", text.trim_end_matches('/')).parse().ok(),
            _ => Some(uri),
        };
        uri.and_then(with_path)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_path_is_that_of_the_readiness_probe() {
        for (text, expected) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/readyz"),
            ("http://[::1]:8080/", "http://[::1]:8080/readyz"),
            ("http://waybill/livez", "http://waybill/livez"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
        ] {
            assert_eq!(text.parse::<Target>().map(|target| target.to_string()).as_deref(), Ok(expected));
        }
        for wrong in ["", "127.0.0.1:8080", "https://127.0.0.1:8080", "http://"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
