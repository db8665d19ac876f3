//! Conditional requests: `ETag`, `If-Match` and `If-None-Match`.

use hyper::HeaderMap;
use hyper::header::{HeaderValue, IF_MATCH, IF_NONE_MATCH};

/// The entity tag of a dataset's responses: its version in quotes (RFC 9110, section 8.8.3).
pub(crate) fn of_version(version: &str) -> HeaderValue {
    // A version is hexadecimal digits, which are fit for a header field.
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// `etag` with `suffix` behind what is between its quotes.
pub(crate) fn with_suffix(etag: &HeaderValue, suffix: &str) -> Option<HeaderValue> {
    let tag = etag.to_str().ok()?.strip_suffix('"')?;
    HeaderValue::try_from(format!("{tag}{suffix}\"")).ok()
}

/// The version in the entity tag of a dataset's response, which may have more behind a hyphen.
pub(crate) fn version_in(etag: &HeaderValue) -> Option<&str> {
    let tag = etag.to_str().ok()?.strip_prefix('"')?.strip_suffix('"')?;
    tag.split('-').next()
}

/// The versions in those entity tags of `If-None-Match` that have `suffix` behind one.
pub(crate) fn versions_in<'h>(headers: &'h HeaderMap, suffix: &'h str) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    // No version has a comma in it.
    values.flat_map(|value| value.split(',')).filter_map(move |tag| {
        let tag = tag.trim();
        tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?.strip_suffix(suffix)
    })
}

/// The values of `If-Match`, by which a client makes its request depend on what the response would be made from.
pub(crate) struct IfMatch(Vec<HeaderValue>);

impl IfMatch {
    /// What `headers` have of it.
    #[inline]
    pub(crate) fn of(headers: &HeaderMap) -> Option<Box<IfMatch>> {
        let has_some = headers.contains_key(IF_MATCH);
        has_some.then(|| Box::new(IfMatch(headers.get_all(IF_MATCH).iter().cloned().collect())))
    }

    /// True if it names `etag`, strongly, in a list, or by `*` (RFC 9110, section 13.1.1).
    pub(crate) fn names(&self, etag: &HeaderValue) -> bool {
        self.0.iter().any(|field| names(field.as_bytes(), etag.as_bytes(), Comparison::Strong))
    }
}

/// How entity tags are compared (RFC 9110, section 8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// A weak tag matches nothing.
    Strong,
    /// A weak tag matches as if it were a strong one.
    Weak,
}

/// True if `If-None-Match` names `etag`, weakly, in a list, or by `*` (RFC 9110, section 13.1.2).
#[inline]
pub(crate) fn is_known(headers: &HeaderMap, etag: &[u8]) -> bool {
    headers.contains_key(IF_NONE_MATCH)
        && headers.get_all(IF_NONE_MATCH).iter().any(|field| names(field.as_bytes(), etag, Comparison::Weak))
}

/// True if the value of one `If-Match` or `If-None-Match` field names `etag`.
pub(crate) fn names(field: &[u8], etag: &[u8], comparison: Comparison) -> bool {
    if field.trim_ascii() == b"*" {
        return true;
    }
    let mut rest = field;
    loop {
        // Elements of a list may be empty (RFC 9110, section 5.6.1.2).
        rest = rest.trim_ascii_start();
        while let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
        }
        let strong = rest.strip_prefix(b"W/").unwrap_or(rest);
        let is_comparable = comparison == Comparison::Weak || strong.len() == rest.len();
        rest = strong;
        // A quoted tag may have commas in it.
        let Some(end) = rest.strip_prefix(b"\"").and_then(|tag| memchr::memchr(b'"', tag)) else { return false };
        let (tag, after) = rest.split_at(end + 2);
        let after = after.trim_ascii_start();
        if !(after.is_empty() || after.starts_with(b",")) {
            return false;
        }
        if tag == etag && is_comparable {
            return true;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_match_weakly_in_lists_and_by_star() {
        for field in [
            "\"v\"",
            "W/\"v\"",
            "\"a\", \"v\"",
            "\"a\",W/\"v\"",
            "*",
            "\"a,b\" , \"v\"",
            " \"v\" ",
            ", \"v\"",
            "\"a\",,\"v\"",
        ] {
            assert!(names(field.as_bytes(), b"\"v\"", Comparison::Weak), "{field}");
        }
        for field in ["", "v", "\"w\"", "\"v", "\"a,\"v\"\"", "W/v", "\"*\"", "a, \"v\"", "\"a\" \"v\"", ","] {
            assert!(!names(field.as_bytes(), b"\"v\"", Comparison::Weak), "{field}");
        }
    }
    #[test]
    fn a_weak_tag_matches_nothing_strongly() {
        for (field, expected) in [("\"v\"", true), ("*", true), ("\"a\", \"v\"", true), ("W/\"v\", \"v\"", true)]
            .into_iter()
            .chain([("W/\"v\"", false), ("\"a\"", false), ("\"a\", W/\"v\"", false), ("", false)])
        {
            assert_eq!(names(field.as_bytes(), b"\"v\"", Comparison::Strong), expected, "{field}");
        }
    }
}
