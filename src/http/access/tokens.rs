//! Admin tokens as their file had them when it was last read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::HeaderMap;
use subtle::ConstantTimeEq;

use super::credentials::{self, CredentialsError, Hash};

/// Bytes of a file of tokens.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Tokens of a file. Each one that a client shows is compared with all of them.
const TOKENS_MAX: usize = 1000;

/// A token, by its hash.
struct Token {
    /// Empty for one without.
    name: Arc<str>,
    hash: Hash,
}

/// Tokens of a file.
pub struct AdminTokens {
    path: PathBuf,
    tokens: ArcSwap<Vec<Token>>,
}

impl AdminTokens {
    /// Reads a file of tokens, one a line, perhaps with a name. Tokens may share one: two while one takes the other's
    /// place.
    pub fn load(path: &Path) -> Result<AdminTokens, CredentialsError> {
        Ok(AdminTokens { path: path.to_owned(), tokens: ArcSwap::from_pointee(read(path)?) })
    }

    /// Reads the file again. After an error the tokens read before go on to hold.
    pub fn reload(&self) -> Result<(), CredentialsError> {
        self.tokens.store(Arc::new(read(&self.path)?));
        Ok(())
    }

    /// Where they are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the token that a request shows, as a bearer token (RFC 6750, section 2.1). The error says why it does
    /// not count.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<Arc<str>, &'static str> {
        let shown = credentials::bearer(headers)?.ok_or("a token is needed: Authorization: Bearer TOKEN")?;
        let shown = credentials::hash(shown);
        // All are compared, each in the same time, whatever is alike.
        let tokens = self.tokens.load();
        let found = tokens
            .iter()
            .fold(None, |found, token| if bool::from(token.hash.ct_eq(&shown)) { Some(&token.name) } else { found });
        found.map(Arc::clone).ok_or("the token is not valid")
    }
}

fn read(path: &Path) -> Result<Vec<Token>, CredentialsError> {
    let (mut short, mut names) = (0, HashMap::new());
    let tokens = credentials::read(path, FILE_BYTES_MAX, |line| {
        let (token, name) = parse(line)?;
        if names.len() == TOKENS_MAX {
            return Err(format!("{TOKENS_MAX} tokens are the most"));
        }
        let (hash, name) = (credentials::hash(token.as_bytes()), Arc::<str>::from(name));
        if names.insert(hash, Arc::clone(&name)).is_some_and(|other| other != name) {
            return Err("duplicate token under another name".to_owned());
        }
        short += usize::from(credentials::is_short(token));
        Ok(Some(Token { name, hash }))
    })?;
    credentials::warn_of_short(path, short);
    Ok(tokens)
}

/// The token of a line, and its name: `token` or `token name=NAME`.
fn parse(line: &str) -> Result<(&str, &str), String> {
    const EXPECTED: &str = "expected token or token name=NAME, the name of letters, digits, -, _ and ., 64 at most";
    let (token, name) = match line.split_once(char::is_whitespace) {
        None => (line, ""),
        Some((token, rest)) => {
            let name = rest.trim_start().strip_prefix("name=").filter(|name| credentials::is_name(name));
            (token, name.ok_or(EXPECTED)?)
        }
    };
    credentials::check_secret(token)?;
    Ok((token, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::access::keys::API_KEY;
    use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
    use std::os::unix::fs::PermissionsExt;

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
        let tokens = AdminTokens::load(file.path()).unwrap();
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
    fn a_token_may_have_a_name() {
        let text =
            "plain-token\nalice-token-1 name=alice\n alice-token-2 \t name=alice \nname=token\n#hash name=b.o-b_1\n";
        let tokens = AdminTokens::load(file(text, 0o600).path()).unwrap();
        let name = |token: &str| {
            let field = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            tokens.check(&HeaderMap::from_iter([(AUTHORIZATION, field)])).ok()
        };
        for (token, expected) in [
            ("plain-token", Some("")),
            ("alice-token-1", Some("alice")),
            ("alice-token-2", Some("alice")),
            ("name=token", Some("")),
            ("#hash", Some("b.o-b_1")),
            ("alice-token-1 name=alice", None),
            ("name=alice", None),
        ] {
            assert_eq!(name(token).as_deref(), expected, "{token}");
        }
        for wrong in [
            "a b",
            "a name=",
            "a name=b c",
            "a name=b name=c",
            "a Name=b",
            "a name=\u{e9}",
            "a name=b\na name=c",
            "a name=b\na",
        ] {
            let error = AdminTokens::load(file(wrong, 0o600).path()).err();
            assert!(matches!(error, Some(CredentialsError::Wrong { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_file_that_is_open_to_others_is_refused_and_so_is_one_without_secrets() {
        for mode in [0o604, 0o602, 0o601, 0o644] {
            let file = file("token", mode);
            assert!(matches!(AdminTokens::load(file.path()), Err(CredentialsError::Exposed { .. })), "{mode:o}");
        }
        assert!(matches!(AdminTokens::load(Path::new("/none")), Err(CredentialsError::Unreadable { .. })));
        assert!(AdminTokens::load(file("token", 0o440).path()).is_ok());
        for (text, line) in [("", 1), ("\n\n", 1), ("token\nb c", 2)] {
            let error = AdminTokens::load(file(text, 0o600).path()).err();
            assert!(
                matches!(error, Some(CredentialsError::Wrong { line: at, .. }) if at == line),
                "{text:?}: {error:?}"
            );
        }
    }

    #[test]
    fn what_was_read_holds_until_a_good_file_is_read_again() {
        let file = file("old", 0o600);
        let tokens = AdminTokens::load(file.path()).unwrap();
        let is_good = |token| tokens.check(&headers(&[(AUTHORIZATION, token)])).is_ok();
        std::fs::write(file.path(), "\n").unwrap();
        assert!(tokens.reload().is_err() && is_good("Bearer old"));
        std::fs::write(file.path(), "new").unwrap();
        assert!(tokens.reload().is_ok() && is_good("Bearer new") && !is_good("Bearer old"));
    }
}
