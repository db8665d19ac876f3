//! Credentials: admin tokens and API keys. They come from files, which are
//! read again at each reload, and are kept and compared as hashes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Bytes of a file of secrets.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Secrets of a file. Each one that a client shows is compared with all of them.
const SECRETS_MAX: usize = 1000;
/// Bytes of a key's name.
const NAME_BYTES_MAX: usize = 64;
/// A shorter secret is warned of: it may be guessed.
const SECRET_BYTES_USUAL: usize = 16;
/// The permissions of a file that anybody may read, write or run.
const FOR_OTHERS: u32 = 0o007;

/// The field that has a key where `Authorization` is for another server.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Why a file of secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It cannot be read as text.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Others than its owner and group can get at it.
    #[error("{} is open to everybody (mode {mode:o}); chmod o= it, and take the secrets in it for known", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A line breaks a rule. The line itself is not repeated.
    #[error("{}:{line}: {reason}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The rule.
        reason: String,
    },
}

/// The form of a file of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A token a line.
    Tokens,
    /// `name:key` a line; lines that start with `#` are comments.
    Keys,
}

/// A secret, by its hash: which all have the same length.
struct Secret {
    /// Empty for a token.
    name: Arc<str>,
    hash: [u8; 32],
}

/// Secrets as their file had them when it was last read.
pub struct Credentials {
    path: PathBuf,
    form: Form,
    secrets: ArcSwap<Vec<Secret>>,
}

impl Credentials {
    /// Reads a file of admin tokens, one a line: two while one takes the other's place.
    pub fn tokens(path: &Path) -> Result<Credentials, CredentialsError> {
        Credentials::read(path, Form::Tokens)
    }

    /// Reads a file of keys, `name:key` a line. Keys may share a name, under which they are counted.
    pub fn keys(path: &Path) -> Result<Credentials, CredentialsError> {
        Credentials::read(path, Form::Keys)
    }

    fn read(path: &Path, form: Form) -> Result<Credentials, CredentialsError> {
        let secrets = ArcSwap::from_pointee(read(path, form)?);
        Ok(Credentials { path: path.to_owned(), form, secrets })
    }

    /// Reads the file again. After an error the secrets read before go on to hold.
    pub fn reload(&self) -> Result<(), CredentialsError> {
        self.secrets.store(Arc::new(read(&self.path, self.form)?));
        Ok(())
    }

    /// Where they are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the keys, each once.
    pub(crate) fn names(&self) -> BTreeSet<Arc<str>> {
        self.secrets.load().iter().map(|secret| Arc::clone(&secret.name)).collect()
    }

    /// The name of the secret that a request shows: as a bearer token (RFC 6750, section 2.1), or, if it is a key, in
    /// `X-API-Key`, which goes first. The error says why none counts.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<Arc<str>, &'static str> {
        let shown = match self.form {
            Form::Tokens => bearer(headers)?.ok_or("a token is needed: Authorization: Bearer TOKEN")?,
            Form::Keys => match only(headers, &API_KEY)? {
                Some(key) => key,
                None => bearer(headers)?.ok_or("a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY")?,
            },
        };
        let hash = hash(shown);
        let secrets = self.secrets.load();
        // All are compared, each in the same time, whatever is alike.
        let found = secrets
            .iter()
            .fold(None, |found, secret| if bool::from(secret.hash.ct_eq(&hash)) { Some(&secret.name) } else { found });
        found.map(Arc::clone).ok_or(match self.form {
            Form::Tokens => "the token is not valid",
            Form::Keys => "the key is not valid",
        })
    }
}

/// The token after `Bearer`, where `Authorization` has one.
fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, &'static str> {
    const SCHEME: &[u8] = b"bearer ";
    let Some(value) = only(headers, &AUTHORIZATION)? else { return Ok(None) };
    let scheme = value.get(..SCHEME.len()).filter(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
    Ok(scheme.map(|scheme| value[scheme.len()..].trim_ascii()))
}

/// The value of a field that may stand once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, &'static str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(HeaderValue::as_bytes)),
        _ => Err("duplicate credentials in the request"),
    }
}

fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn read(path: &Path, form: Form) -> Result<Vec<Secret>, CredentialsError> {
    let unreadable = |source| CredentialsError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & FOR_OTHERS != 0 {
        return Err(CredentialsError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    let bytes = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    let wrong = |(line, reason)| CredentialsError::Wrong { path: path.to_owned(), line, reason };
    if bytes as u64 > FILE_BYTES_MAX {
        return Err(wrong((text.lines().count(), format!("the file is over {FILE_BYTES_MAX} bytes long"))));
    }
    let (secrets, short) = parse(&text, form).map_err(wrong)?;
    if short > 0 {
        tracing::warn!(
            path = %path.display(),
            secrets = short,
            "shorter than {SECRET_BYTES_USUAL} characters: they might be guessed"
        );
    }
    Ok(secrets)
}

/// The secrets in `text`, and how many are short. An error has its line.
fn parse(text: &str, form: Form) -> Result<(Vec<Secret>, usize), (usize, String)> {
    let mut secrets: Vec<Secret> = Vec::new();
    let mut short = 0;
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        let wrong = |reason: &str| Err((number, reason.to_owned()));
        if line.is_empty() || form == Form::Keys && line.starts_with('#') {
            continue;
        }
        let (name, secret) = match form {
            Form::Tokens => ("", line),
            Form::Keys => match line.split_once(':') {
                Some((name, key)) if is_name(name) => (name, key.trim()),
                _ => return wrong("expected name:key, the name of letters, digits, -, _ and ., 64 at most"),
            },
        };
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return wrong("a secret is made of printable ASCII characters without spaces");
        }
        if secrets.len() == SECRETS_MAX {
            return wrong("1000 secrets are the most");
        }
        let hash = hash(secret.as_bytes());
        if secrets.iter().any(|other| other.hash == hash && *other.name != *name) {
            return wrong("duplicate key under another name");
        }
        short += usize::from(secret.len() < SECRET_BYTES_USUAL);
        secrets.push(Secret { name: name.into(), hash });
    }
    if secrets.is_empty() { Err((1, "no secret is in it".to_owned())) } else { Ok((secrets, short)) }
}

fn is_name(name: &str) -> bool {
    let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_in_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).unwrap();
        file
    }

    fn headers(fields: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_token_counts_as_a_bearer_alone() {
        let file = file("first-token\n\nsecond-token\r\n", 0o600);
        let tokens = Credentials::tokens(file.path()).unwrap();
        let check = |fields: &[_]| tokens.check(&headers(fields)).is_ok();
        for good in ["Bearer first-token", "bearer second-token", "BEARER  first-token "] {
            assert!(check(&[(AUTHORIZATION, good)]), "{good}");
        }
        for bad in ["first-token", "Basic first-token", "Bearer", "Bearer ", "Bearer first-toke", "Bearer first-token2"]
        {
            assert!(!check(&[(AUTHORIZATION, bad)]), "{bad}");
        }
        assert!(!check(&[]) && !check(&[(API_KEY, "first-token")]));
        assert!(!check(&[(AUTHORIZATION, "Bearer first-token"), (AUTHORIZATION, "Bearer first-token")]));
    }

    #[test]
    fn a_key_counts_in_either_field_under_its_name() {
        let file = file("# shops\nshop:key-1\nshop: key-2\n crm.eu:a:b#c \n", 0o640);
        let keys = Credentials::keys(file.path()).unwrap();
        let name = |fields: &[_]| keys.check(&headers(fields)).ok();
        assert_eq!(name(&[(API_KEY, "key-1")]).as_deref(), Some("shop"));
        assert_eq!(name(&[(AUTHORIZATION, "Bearer key-2")]).as_deref(), Some("shop"));
        // Credentials for another server may be there beside a key.
        assert_eq!(name(&[(AUTHORIZATION, "Basic eA=="), (API_KEY, "a:b#c")]).as_deref(), Some("crm.eu"));
        assert_eq!(name(&[(AUTHORIZATION, "Bearer key-1"), (API_KEY, "key-3")]), None);
        assert_eq!(name(&[(API_KEY, "shop")]), None);
        assert!(keys.names().iter().map(AsRef::as_ref).eq(["crm.eu", "shop"]));
    }

    #[test]
    fn a_file_that_is_open_to_others_is_refused_and_so_is_one_without_secrets() {
        for mode in [0o604, 0o602, 0o601, 0o644] {
            let file = file("token", mode);
            assert!(matches!(Credentials::tokens(file.path()), Err(CredentialsError::Exposed { .. })), "{mode:o}");
        }
        assert!(matches!(Credentials::tokens(Path::new("/none")), Err(CredentialsError::Unreadable { .. })));
        assert!(Credentials::keys(file("a:b", 0o440).path()).is_ok());
        let long = file(&format!("a:b\n#{}", "x".repeat(1 << 20)), 0o600);
        assert!(matches!(Credentials::keys(long.path()), Err(CredentialsError::Wrong { line: 2, .. })));
        for (text, line) in [
            ("", 1),
            ("# none\n", 1),
            ("a:b\nkey", 2),
            ("a b:c", 1),
            ("a:", 1),
            ("a:b c", 1),
            ("a:x\nb:x", 2),
            (":x", 1),
        ] {
            let error = Credentials::keys(file(text, 0o600).path()).err();
            assert!(
                matches!(error, Some(CredentialsError::Wrong { line: at, .. }) if at == line),
                "{text:?}: {error:?}"
            );
        }
    }

    #[test]
    fn what_was_read_holds_until_a_good_file_is_read_again() {
        let file = file("old", 0o600);
        let tokens = Credentials::tokens(file.path()).unwrap();
        let is_good = |token| tokens.check(&headers(&[(AUTHORIZATION, token)])).is_ok();
        std::fs::write(file.path(), "\n").unwrap();
        assert!(tokens.reload().is_err() && is_good("Bearer old"));
        std::fs::write(file.path(), "new").unwrap();
        assert!(tokens.reload().is_ok() && is_good("Bearer new") && !is_good("Bearer old"));
    }
}
