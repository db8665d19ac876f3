//! What tokens and keys have in common: files that not everybody may read, and the fields of a request that show them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName};
use sha2::{Digest, Sha256};

use crate::http::request::fields::{self, Duplicate};

/// A shorter secret is warned of: it may be guessed.
const SECRET_BYTES_USUAL: usize = 16;
/// The permissions of a file that anybody may read, write or run.
const FOR_OTHERS: u32 = 0o007;
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 64;

/// The SHA-256 of a secret: which all have the same length.
pub(crate) type Hash = [u8; 32];

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
    /// A line breaks a rule. The secret in it is not repeated.
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

/// Reads a file of secrets of at most `bytes_max` bytes, and parses each of its lines with `parse`, which has nothing for
/// those without a secret.
pub(super) fn read<T>(
    path: &Path,
    bytes_max: u64,
    mut parse: impl FnMut(&str) -> Result<Option<T>, String>,
) -> Result<Vec<T>, CredentialsError> {
    let text = read_text(path, bytes_max)?;
    let mut read = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        let wrong = |reason| CredentialsError::Wrong { path: path.to_owned(), line: number, reason };
        if !line.is_empty() {
            read.extend(parse(line).map_err(wrong)?);
        }
    }
    if read.is_empty() {
        return Err(CredentialsError::Wrong {
            path: path.to_owned(),
            line: 1,
            reason: "no secret is in it".to_owned(),
        });
    }
    Ok(read)
}

fn read_text(path: &Path, bytes_max: u64) -> Result<String, CredentialsError> {
    let unreadable = |source| CredentialsError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & FOR_OTHERS != 0 {
        return Err(CredentialsError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    let bytes = file.take(bytes_max + 1).read_to_string(&mut text).map_err(unreadable)?;
    if bytes as u64 > bytes_max {
        let reason = format!("the file is over {bytes_max} bytes long");
        return Err(CredentialsError::Wrong { path: path.to_owned(), line: text.lines().count(), reason });
    }
    // Editors of some systems put a byte order mark first.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Checks that a request could show `secret`.
pub(super) fn check_secret(secret: &str) -> Result<(), String> {
    let is_usable = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
    if is_usable { Ok(()) } else { Err("a secret is made of printable ASCII characters without spaces".to_owned()) }
}

/// True if `secret` may be guessed.
pub(super) fn is_short(secret: &str) -> bool {
    secret.len() < SECRET_BYTES_USUAL
}

/// Warns of secrets in a file that may be guessed, if there are any.
pub(super) fn warn_of_short(path: &Path, secrets: usize) {
    if secrets > 0 {
        tracing::warn!(
            path = %path.display(),
            secrets,
            "shorter than {SECRET_BYTES_USUAL} characters: they might be guessed"
        );
    }
}

/// True if `name` can be the name of a token or key: a label in metrics and logs.
pub(crate) fn is_name(name: &str) -> bool {
    let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_in_name)
}

/// The token after `Bearer`, where `Authorization` has one (RFC 6750, section 2.1).
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, &'static str> {
    Ok(only(headers, &AUTHORIZATION)?.and_then(bearer_in))
}

/// The token after `Bearer` in the value of `Authorization`, if it has one.
pub(super) fn bearer_in(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let scheme = value.get(..SCHEME.len()).filter(|scheme| scheme.eq_ignore_ascii_case(SCHEME))?;
    Some(value[scheme.len()..].trim_ascii())
}

/// The value of a field with credentials, which may stand once.
pub(super) fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, &'static str> {
    fields::only(headers, name).map_err(|Duplicate| "duplicate credentials in the request")
}

/// The hash of a secret.
pub(super) fn hash(secret: &[u8]) -> Hash {
    Sha256::digest(secret).into()
}
