//! An API key, and its line in a file of keys.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::credentials::{self, Hash};
use super::rate::{self, Bucket, Rate, TooEarly};
use super::scope::{Scope, Scopes};
use crate::mutex;

/// What stands before the hash of a key, where the file does not have the key itself.
const SHA256: &str = "sha256=";

/// What a key may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// What it may ask for.
    pub scopes: Scopes,
    /// How many requests it may send, if that is limited.
    pub rate: Option<Rate>,
    /// The last day on which it is valid, in UTC, if there is one.
    pub expires: Option<Date>,
}

/// A line of a file of keys: `name:key attributes`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeyLine {
    pub(super) name: Arc<str>,
    pub(super) hash: Hash,
    pub(super) attributes: Attributes,
    /// True if the key itself is there, and can be guessed.
    pub(super) is_short: bool,
}

/// A key that can be used.
pub(crate) struct Key {
    pub(super) name: Arc<str>,
    pub(super) hash: Hash,
    pub(super) attributes: Attributes,
    /// The number of its name in metrics.
    pub(super) name_number: usize,
    /// End of its last day, in seconds since 1970.
    pub(super) expires_at: Option<i64>,
    /// Its requests so far, which go on to count when the file is read again.
    pub(super) bucket: Arc<Mutex<Bucket>>,
}

impl Attributes {
    /// Those of a key without any: it may do everything.
    pub const NONE: Attributes = Attributes { scopes: Scopes::ALL, rate: None, expires: None };

    fn parse<'t>(texts: impl Iterator<Item = &'t str>) -> Result<Attributes, String> {
        let (mut scopes, mut per_second, mut burst, mut expires) = (None, None, None, None);
        for text in texts {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            let expected = |what: &str| format!("{name}={value}: expected {what}");
            let is_first = match name {
                "scope" => {
                    let parsed =
                        Scopes::parse(value).map_err(|_| expected("lookup, list and feed, with commas between"))?;
                    scopes.replace(parsed).is_none()
                }
                "rate" => {
                    let parsed =
                        Rate::parse_per_second(value).ok_or_else(|| expected("a number per second such as 100/s"))?;
                    per_second.replace(parsed).is_none()
                }
                "burst" => burst.replace(rate::number(value).ok_or_else(|| expected("a number"))?).is_none(),
                "expires" => {
                    expires.replace(date(value).ok_or_else(|| expected("a day such as 2027-01-31"))?).is_none()
                }
                // What is no attribute may be a part of the key.
                _ => return Err("after the key: expected scope=, rate=, burst= or expires=".to_owned()),
            };
            if !is_first {
                return Err(format!("{name}= is there twice"));
            }
        }
        let rate = match (per_second, burst) {
            (None, None) => None,
            (None, Some(_)) => return Err("burst= without rate=".to_owned()),
            (Some(per_second), burst) => {
                Some(Rate::new(per_second, burst).ok_or("rate= and burst= are numbers from 1 to 1000000")?)
            }
        };
        Ok(Attributes { scopes: scopes.unwrap_or(Scopes::ALL), rate, expires })
    }
}

/// Reads a day such as 2027-01-31.
pub fn date(text: &str) -> Option<Date> {
    // Without what else jiff reads, as a time.
    Date::strptime("%Y-%m-%d", text).ok().filter(|date| date.to_string() == text)
}

/// Writes the line of a key in a file of keys, with its hash alone.
pub fn line(name: &str, key: &str, attributes: &Attributes) -> String {
    let mut line = format!("{name}:{SHA256}");
    for byte in credentials::hash(key.as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(line, "{byte:02x}");
    }
    if attributes.scopes != Scopes::ALL {
        let _ = write!(line, " scope={}", attributes.scopes);
    }
    if let Some(rate) = attributes.rate {
        // The parts of a rate are attributes of their own.
        line.push_str(" rate=");
        line.push_str(&rate.to_string().replace(',', " "));
    }
    if let Some(day) = attributes.expires {
        let _ = write!(line, " expires={day}");
    }
    line
}

impl KeyLine {
    /// Reads a line; `None` for a comment.
    pub(super) fn parse(line: &str) -> Result<Option<KeyLine>, String> {
        const EXPECTED: &str = "expected name:key, the name of letters, digits, -, _ and ., 64 at most";
        if line.starts_with('#') {
            return Ok(None);
        }
        let (name, rest) = line.split_once(':').filter(|(name, _)| credentials::is_name(name)).ok_or(EXPECTED)?;
        let mut words = rest.split_ascii_whitespace();
        let key = words.next().unwrap_or_default();
        let hash = key.split_at_checked(SHA256.len()).filter(|(start, _)| start.eq_ignore_ascii_case(SHA256));
        let (hash, is_short) = match hash {
            Some((_, digits)) => (parse_hash(digits).ok_or("sha256= is followed by 64 hexadecimal digits")?, false),
            None => {
                credentials::check_secret(key)?;
                (credentials::hash(key.as_bytes()), credentials::is_short(key))
            }
        };
        let attributes = Attributes::parse(words)?;
        Ok(Some(KeyLine { name: name.into(), hash, attributes, is_short }))
    }
}

fn parse_hash(digits: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if digits.len() != 2 * hash.len() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

impl Key {
    /// The key of `line`, which goes on with `bucket`.
    pub(super) fn new(line: &KeyLine, name_number: usize, bucket: Arc<Mutex<Bucket>>) -> Key {
        let end = |day: Date| day.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok().map(|end| end.timestamp().as_second());
        let (name, hash, attributes) = (Arc::clone(&line.name), line.hash, line.attributes.clone());
        Key { name, hash, name_number, expires_at: attributes.expires.and_then(end), attributes, bucket }
    }

    /// True if its last day is over. The clock is looked at only where it has one.
    pub(super) fn has_expired(&self) -> bool {
        self.expires_at.is_some_and(|end| jiff::Timestamp::now().as_second() >= end)
    }

    /// True if it may ask for `scope`.
    pub(super) fn may(&self, scope: Scope) -> bool {
        self.attributes.scopes.has(scope)
    }

    /// True if the number of its requests is limited.
    pub(super) fn has_rate(&self) -> bool {
        self.attributes.rate.is_some()
    }

    /// Takes `cost` from its rate.
    pub(super) fn take(&self, cost: u32, now_ns: u64) -> Result<(), TooEarly> {
        self.attributes.rate.map_or(Ok(()), |rate| mutex::lock(&self.bucket).take(rate, cost, now_ns))
    }

    /// Whether `cost` could be taken.
    pub(super) fn check(&self, cost: u32, now_ns: u64) -> Result<(), TooEarly> {
        self.attributes.rate.map_or(Ok(()), |rate| mutex::lock(&self.bucket).check(rate, cost, now_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<KeyLine, String> {
        KeyLine::parse(line).map(Option::unwrap)
    }

    #[test]
    fn a_line_has_a_key_or_its_hash_and_then_attributes() {
        let plain = parse("shop: a:b#c").unwrap();
        assert_eq!((&*plain.name, plain.hash, plain.is_short), ("shop", credentials::hash(b"a:b#c"), true));
        assert_eq!(plain.attributes, Attributes::NONE);
        let written = parse("crm.eu:0123456789abcdef \tburst=7 rate=5/s  scope=list expires=2027-01-31").unwrap();
        let expected = Attributes {
            scopes: Scopes::parse("list").unwrap(),
            rate: Rate::new(5, Some(7)),
            expires: date("2027-01-31"),
        };
        assert_eq!((written.attributes.clone(), written.is_short), (expected, false));
        let hashed = line("crm.eu", "0123456789abcdef", &written.attributes);
        assert!(hashed.ends_with(" scope=list rate=5/s burst=7 expires=2027-01-31"), "{hashed}");
        assert_eq!(parse(&hashed), Ok(written));
        assert_eq!(parse(&hashed.replace("sha256", "SHA256")).unwrap().hash, credentials::hash(b"0123456789abcdef"));
        assert_eq!(KeyLine::parse("# a:b"), Ok(None));
    }

    #[test]
    fn a_line_that_cannot_be_used_says_why_without_its_key() {
        for (line, reason) in [
            ("no-colon", "expected name:key"),
            ("a b:s3cr3t", "expected name:key"),
            (":s3cr3t", "expected name:key"),
            ("a:", "printable ASCII"),
            ("a:s\u{e9}s3cr3t", "printable ASCII"),
            ("a:s3cr3t more-of-the-s3cr3t", "after the key: expected scope="),
            ("a:s3cr3t scope=", "expected lookup, list and feed"),
            ("a:s3cr3t scope=all", "expected lookup, list and feed"),
            ("a:s3cr3t rate=5", "a number per second"),
            ("a:s3cr3t rate=0/s", "from 1 to 1000000"),
            ("a:s3cr3t burst=5", "burst= without rate="),
            ("a:s3cr3t rate=5/s rate=6/s", "rate= is there twice"),
            ("a:s3cr3t expires=2027-1-31", "a day such as"),
            ("a:s3cr3t expires=2027-02-30", "a day such as"),
            ("a:s3cr3t expires=2027-01-31T00:00", "a day such as"),
            ("a:sha256=s3cr3t", "64 hexadecimal digits"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(reason) && !error.contains("s3cr3t"), "{line}: {error}");
        }
    }

    #[test]
    fn a_key_is_valid_to_the_end_of_its_last_day() {
        let key = |text: &str| Key::new(&parse(text).unwrap(), 0, Arc::default());
        assert_eq!(key("a:b expires=1970-01-02").expires_at, Some(2 * 24 * 60 * 60));
        assert!(key("a:b expires=1970-01-02").has_expired() && !key("a:b expires=9998-12-31").has_expired());
        let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
        assert!(!key(&format!("a:b expires={today}")).has_expired());
    }
}
