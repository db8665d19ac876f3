//! API keys as their file had them when it was last read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};
use hyper::HeaderMap;
use hyper::header::HeaderName;
use smallvec::SmallVec;
use subtle::ConstantTimeEq;

use super::credentials::{self, CredentialsError, Hash};
use super::key::{Key, KeyLine};
use super::scope::Scope;
use crate::mutex;

/// Bytes of a file of keys.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Names that metrics tell apart.
pub(crate) const NAMES_MAX: usize = 1000;
/// The name in metrics of all keys beyond those.
const OTHER: &str = "other";

/// The field that has a key where `Authorization` is for another server.
pub(super) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Keys of a file.
pub struct ApiKeys {
    path: PathBuf,
    table: ArcSwap<Table>,
    /// The names in metrics, in the order in which they first came. Those that are gone from the file stay: a counter
    /// that disappears and comes back would count twice.
    names: Mutex<Vec<Arc<str>>>,
}

/// Keys by the first bytes of their hashes: finding one costs the same among few and many. Whoever measures the time of
/// that learns of the hash of a key that he made up, which tells nothing of another's.
#[derive(Default)]
pub(crate) struct Table(HashMap<u64, SmallVec<[Arc<Key>; 1]>, foldhash::fast::FixedState>);

impl ApiKeys {
    /// Reads a file of keys, `name:key` a line and then its attributes. Keys may share a name, under which they are
    /// counted.
    pub fn load(path: &Path) -> Result<ApiKeys, CredentialsError> {
        let keys = ApiKeys { path: path.to_owned(), table: ArcSwap::default(), names: Mutex::default() };
        keys.reload()?;
        Ok(keys)
    }

    /// Reads the file again. After an error the keys read before go on to hold.
    pub fn reload(&self) -> Result<(), CredentialsError> {
        let before = self.table.load_full();
        let mut names = Names::new(mutex::lock(&self.names).clone());
        let mut table = Table::default();
        let mut short = 0;
        credentials::read(&self.path, FILE_BYTES_MAX, |line| {
            let Some(line) = KeyLine::parse(line)? else { return Ok(None) };
            short += usize::from(line.is_short);
            let bucket = before.find(&line.hash).map(|key| Arc::clone(&key.bucket)).unwrap_or_default();
            table.insert(Key::new(&line, names.number(&line.name), bucket))?;
            Ok(Some(()))
        })?;
        credentials::warn_of_short(&self.path, short);
        *mutex::lock(&self.names) = names.in_order;
        self.table.store(Arc::new(table));
        Ok(())
    }

    /// Where they are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The names in metrics, by their numbers: those of the first keys, and one for all others, if there are more.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        mutex::lock(&self.names).clone()
    }

    /// The name in metrics with this number.
    pub(crate) fn name(&self, number: usize) -> Arc<str> {
        mutex::lock(&self.names).get(number).cloned().unwrap_or_default()
    }

    /// The keys as they are now.
    pub(crate) fn current(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }
}

impl Table {
    /// Finds the key with this hash.
    pub(crate) fn find(&self, hash: &Hash) -> Option<&Arc<Key>> {
        self.0.get(&prefix(hash))?.iter().find(|key| bool::from(key.hash.ct_eq(hash)))
    }

    fn insert(&mut self, key: Key) -> Result<(), String> {
        let alike = self.0.entry(prefix(&key.hash)).or_default();
        match alike.iter().find(|other| other.hash == key.hash) {
            Some(other) if other.name != key.name => return Err("duplicate key under another name".to_owned()),
            Some(other) if other.attributes != key.attributes => {
                return Err("duplicate key with other attributes".to_owned());
            }
            Some(_) => {}
            None => alike.push(Arc::new(key)),
        }
        Ok(())
    }
}

fn prefix(hash: &Hash) -> u64 {
    let (first, _) = hash.split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_le_bytes(*first)
}

/// The names in a file while it is read.
struct Names {
    in_order: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, usize>,
}

impl Names {
    /// Goes on after the names that were there before.
    fn new(before: Vec<Arc<str>>) -> Names {
        let numbers = before.iter().cloned().zip(0..).take(NAMES_MAX).collect();
        Names { in_order: before, numbers }
    }

    /// The number of `name` in metrics.
    fn number(&mut self, name: &Arc<str>) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        if self.numbers.len() < NAMES_MAX {
            self.in_order.push(Arc::clone(name));
            self.numbers.insert(Arc::clone(name), self.in_order.len() - 1);
            return self.in_order.len() - 1;
        }
        if self.in_order.len() == NAMES_MAX {
            self.in_order.push(OTHER.into());
        }
        NAMES_MAX
    }
}

/// The hash of the key that a request shows: in `X-API-Key`, which goes first, or as a bearer token (RFC 6750, section
/// 2.1). The error says why none can count.
pub(super) fn shown(headers: &HeaderMap) -> Result<Option<Hash>, &'static str> {
    let key = match credentials::only(headers, &API_KEY)? {
        Some(key) => Some(key),
        None => credentials::bearer(headers)?,
    };
    Ok(key.map(credentials::hash))
}

/// A key that was shown, to be looked at again while a long response goes on.
pub(crate) struct ShownKey(Hash);

impl ShownKey {
    /// The key that `headers` show, if they do.
    pub(crate) fn of(headers: &HeaderMap) -> Option<ShownKey> {
        shown(headers).ok().flatten().map(ShownKey)
    }

    /// True if it is one of `keys` as they are now, which may ask for `scope`.
    pub(crate) fn may(&self, keys: &ApiKeys, scope: Scope) -> bool {
        keys.current().find(&self.0).is_some_and(|key| !key.has_expired() && key.may(scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{AUTHORIZATION, HeaderValue};
    use std::os::unix::fs::PermissionsExt;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        std::fs::set_permissions(file.path(), PermissionsExt::from_mode(0o600)).unwrap();
        file
    }

    fn name(keys: &ApiKeys, key: &str) -> Option<Arc<str>> {
        let number = keys.current().find(&credentials::hash(key.as_bytes())).map(|key| key.name_number)?;
        Some(Arc::clone(&keys.names()[number]))
    }

    fn shown_by(fields: &[(HeaderName, &'static str)]) -> Result<Option<Hash>, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        shown(&headers)
    }

    #[test]
    fn a_key_is_shown_in_either_field() {
        let of = |key: &str| Ok(Some(credentials::hash(key.as_bytes())));
        assert_eq!(shown_by(&[(API_KEY, "key-1")]), of("key-1"));
        assert_eq!(shown_by(&[(AUTHORIZATION, "bearer key-2")]), of("key-2"));
        // Credentials for another server may be there beside a key.
        assert_eq!(shown_by(&[(AUTHORIZATION, "Basic eA=="), (API_KEY, "a:b#c")]), of("a:b#c"));
        assert_eq!(shown_by(&[(AUTHORIZATION, "Bearer key-1"), (API_KEY, "key-3")]), of("key-3"));
        assert_eq!(shown_by(&[(AUTHORIZATION, "Basic eA==")]), Ok(None));
        assert_eq!(shown_by(&[]), Ok(None));
        assert!(shown_by(&[(API_KEY, "key-1"), (API_KEY, "key-1")]).is_err());
    }

    #[test]
    fn keys_are_found_under_their_names_until_a_good_file_has_others() {
        let file = file("\u{feff}# shops\nshop:key-1\nshop: key-2\n crm.eu:a:b#c \n");
        let keys = ApiKeys::load(file.path()).unwrap();
        assert_eq!((name(&keys, "key-2").as_deref(), name(&keys, "a:b#c").as_deref()), (Some("shop"), Some("crm.eu")));
        assert_eq!(name(&keys, "shop"), None);
        std::fs::write(file.path(), "shop\n").unwrap();
        assert!(keys.reload().is_err());
        assert_eq!(name(&keys, "key-1").as_deref(), Some("shop"));
        std::fs::write(file.path(), "erp:key-3\n").unwrap();
        keys.reload().unwrap();
        assert_eq!((name(&keys, "key-1"), name(&keys, "key-3").as_deref()), (None, Some("erp")));
        assert!(keys.names().iter().map(AsRef::as_ref).eq(["shop", "crm.eu", "erp"]));
    }

    #[test]
    fn a_file_that_is_too_long_or_contradicts_itself_names_the_line() {
        for (text, line) in [("", 1), ("# none\n", 1), ("a:x\nb:x", 2), ("a:x\na:x rate=1/s", 2), ("a:y\n\na:x z", 3)] {
            let error = ApiKeys::load(file(text).path()).err();
            assert!(
                matches!(error, Some(CredentialsError::Wrong { line: at, .. }) if at == line),
                "{text:?}: {error:?}"
            );
        }
        assert!(ApiKeys::load(file("a:x\na:x\n").path()).is_ok());
        let long = file(&format!("a:b\n#{}", "x".repeat(FILE_BYTES_MAX as usize)));
        assert!(matches!(ApiKeys::load(long.path()), Err(CredentialsError::Wrong { line: 2, .. })));
    }

    #[test]
    fn a_hundred_thousand_keys_are_found_and_the_first_thousand_names_told_apart() {
        let lines: Vec<String> = (0..100_000).map(|number| format!("n{number}:key-{number}")).collect();
        let keys = ApiKeys::load(file(&lines.join("\n")).path()).unwrap();
        for (number, expected) in [(0, "n0"), (999, "n999"), (1000, "other"), (99_999, "other")] {
            assert_eq!(name(&keys, &format!("key-{number}")).as_deref(), Some(expected));
        }
        assert_eq!(keys.names().len(), NAMES_MAX + 1);
    }

    #[test]
    fn what_a_key_has_used_still_counts_after_its_file_was_read_again() {
        let file = file("a:key rate=1/s");
        let keys = ApiKeys::load(file.path()).unwrap();
        let take = || keys.current().find(&credentials::hash(b"key")).unwrap().take(1, 10);
        assert!(take().is_ok() && take().is_err());
        std::fs::write(file.path(), "# rotated\na:key rate=1/s\na:other").unwrap();
        keys.reload().unwrap();
        assert!(take().is_err());
    }
}
