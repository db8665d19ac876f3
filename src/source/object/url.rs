//! URLs of objects.

use std::fmt;

/// Error of builds without the feature.
pub(super) const UNSUPPORTED: &str =
    "built without object-store support; expected a path, or a build with --features object-store";

/// Kind of storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    S3,
    Gs,
    Az,
    Http,
    Https,
}

const SCHEMES: [(&str, Scheme); 5] =
    [("s3", Scheme::S3), ("gs", Scheme::Gs), ("az", Scheme::Az), ("http", Scheme::Http), ("https", Scheme::Https)];

/// URL of an object: `s3://BUCKET/KEY`, `gs://BUCKET/KEY`, `az://CONTAINER/KEY`, `https://HOST/PATH`, `http://…`.
/// It contains no secret, since it is logged and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectUrl {
    text: String,
    pub(super) scheme: Scheme,
    /// Bucket, container, or host with or without a port.
    pub(super) place: String,
    /// Key of the object, percent-encoded.
    pub(super) key: String,
}

/// Error of a URL that names no readable object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(String);

impl ObjectUrl {
    /// Parses `text`. Returns `None` for the path of a file, which is everything that does not begin with `scheme://`.
    pub fn parse(text: &str) -> Result<Option<ObjectUrl>, UrlError> {
        let Some((name, rest)) = text.split_once("://").filter(|(name, _)| is_scheme(name)) else { return Ok(None) };
        let refused = |reason: &str| Err(UrlError(reason.to_owned()));
        if cfg!(not(feature = "object-store")) {
            return refused(UNSUPPORTED);
        }
        let Some((_, scheme)) = SCHEMES.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
            return refused("unknown scheme; expected a path, or a URL with s3://, gs://, az://, https:// or http://");
        };
        if rest.contains(['?', '#']) {
            return refused(
                "a URL with a query or a fragment could show a secret; expected one without (a ? or # of a key is \
                 written as %3F or %23), and credentials in the environment",
            );
        }
        let (place, key) = rest.split_once('/').unwrap_or((rest, ""));
        if place.contains('@') {
            return refused("a URL with a user could show a secret; expected credentials in the environment");
        }
        if place.is_empty() || key.is_empty() {
            return refused("expected the whole name of an object, such as s3://bucket/folder/export.csv");
        }
        if key.split('/').any(|part| matches!(part, "" | "." | "..")) || text.contains(char::is_control) {
            return refused("expected a key without empty parts, parts . or .., or control characters");
        }
        Ok(Some(ObjectUrl { text: text.to_owned(), scheme, place: place.to_owned(), key: key.to_owned() }))
    }

    /// The URL as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// RFC 3986, section 3.1.
fn is_scheme(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_begin_with_a_scheme_is_a_path() {
        for path in [
            "seed_data.csv",
            "/data/export.csv",
            "C:\\exports\\a.csv",
            "C:/exports/a.csv",
            "a:b.csv",
            "s3:/bucket/key",
            "s3:bucket//key",
            "./s3://bucket/key",
            "://bucket/key",
            "3s://bucket/key",
            "",
        ] {
            assert_eq!(ObjectUrl::parse(path), Ok(None), "{path}");
        }
    }

    #[cfg(not(feature = "object-store"))]
    #[test]
    fn a_build_without_object_store_support_says_so() {
        for url in ["s3://bucket/key", "ftp://host/key", "https://"] {
            assert_eq!(ObjectUrl::parse(url), Err(UrlError(UNSUPPORTED.to_owned())));
        }
    }

    #[cfg(feature = "object-store")]
    #[test]
    fn a_url_is_a_place_and_a_key() {
        for (text, scheme, place, key) in [
            ("s3://bucket/export.csv", Scheme::S3, "bucket", "export.csv"),
            ("S3://bucket/a/b%20c.csv", Scheme::S3, "bucket", "a/b%20c.csv"),
            ("gs://bucket/a b/c:d@e", Scheme::Gs, "bucket", "a b/c:d@e"),
            ("az://container/x", Scheme::Az, "container", "x"),
            ("https://host:8443/a", Scheme::Https, "host:8443", "a"),
            ("http://[::1]:80/a", Scheme::Http, "[::1]:80", "a"),
        ] {
            let url = ObjectUrl::parse(text).unwrap().unwrap();
            assert_eq!((url.scheme, url.place.as_str(), url.key.as_str()), (scheme, place, key));
            assert_eq!(url.to_string(), text);
        }
    }

    #[cfg(feature = "object-store")]
    #[test]
    fn a_url_that_names_no_object_or_may_show_a_secret_is_refused() {
        for (text, reason) in [
            ("ftp://host/a", "unknown scheme"),
            ("file:///data/a.csv", "unknown scheme"),
            ("s3a://bucket/a", "unknown scheme"),
            ("https://user:secret@host/a", "a user"),
            ("az://container@account/a", "a user"),
            ("https://host/a?signature=secret", "a query or a fragment"),
            ("s3://bucket?secret", "a query or a fragment"),
            ("s3://bucket/a#b", "a query or a fragment"),
            ("s3://", "the whole name of an object"),
            ("s3://bucket", "the whole name of an object"),
            ("s3://bucket/", "the whole name of an object"),
            ("s3:///key", "the whole name of an object"),
            ("s3://bucket/folder/", "empty parts"),
            ("s3://bucket//key", "empty parts"),
            ("s3://bucket/a/../b", "empty parts"),
            ("s3://bucket/a\nb", "control characters"),
        ] {
            let error = ObjectUrl::parse(text).unwrap_err().to_string();
            assert!(
                error.contains(reason) && !error.contains("secret@") && !error.contains("=secret"),
                "{text}: {error}"
            );
        }
    }
}
