//! Queries: names and values, form-encoded (`a=1&b=x+y`).

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::dataset::{Filter, Sort};
use crate::http::request::percent::percent_decoded;
use crate::http::response::Response;
use crate::http::response::problem::{self, Code};
use crate::shipment::{Facet, FoldedKey};
use crate::similar;

/// The bytes that are escaped in a form, but for the blank, which becomes a plus.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b' ');
/// The parameter that names shipments themselves.
pub(crate) const TRACKING_NUMBER: &str = "tracking_number";
/// The parameter that says how the numbers of shipments begin.
const TRACKING_NUMBER_PREFIX: &str = "tracking_number_prefix";
/// The parameter that gives the order of shipments.
pub(crate) const SORT: &str = "sort";
/// The parameters that name a page.
pub(crate) const LIMIT: &str = "limit";
pub(crate) const OFFSET: &str = "offset";
/// The parameter that names the version to be answered from.
pub(crate) const VERSION: &str = "version";

/// The parameter that says how long a lookup may wait, in seconds.
const WAIT: &str = "wait";
const WAIT_SECONDS: RangeInclusive<u64> = 1..=55;

/// What is wrong with a parameter that is there twice and may be once.
pub(crate) const TWICE: &str = "given twice; once is allowed";

/// A parameter's name and value, decoded.
pub(crate) type Pair<'q> = (Cow<'q, str>, Cow<'q, str>);

/// A parameter that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    parameter: String,
    reason: Cow<'static, str>,
}

impl Invalid {
    pub(crate) fn new(parameter: &str, reason: impl Into<Cow<'static, str>>) -> Invalid {
        Invalid { parameter: parameter.to_owned(), reason: reason.into() }
    }

    pub(crate) fn response(&self) -> Response {
        problem::response(Code::InvalidParameter, &format!("{}: {}", self.parameter, self.reason))
    }
}

/// The parameters of a query in its order. How many they are is bounded by the bytes of a request's head.
pub(crate) fn pairs(query: Option<&str>) -> Result<Vec<Pair<'_>>, Invalid> {
    let pieces = query.unwrap_or_default().split('&').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let decoded = |text| form_decoded(text).map_err(|reason| Invalid::new(name, reason));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn form_decoded(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if text.as_bytes().contains(&b'+') {
        percent_decoded(&text.replace('+', " ")).map(|decoded| Cow::Owned(decoded.into_owned()))
    } else {
        percent_decoded(text)
    }
}

/// Appends a parameter to a query.
pub(crate) fn append(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    let encoded = |text| utf8_percent_encode(text, ESCAPED).to_string().replace(' ', "+");
    query.push_str(&encoded(name));
    query.push('=');
    query.push_str(&encoded(value));
}

/// Adds `value` to those of the parameter `name`; `false` when nothing is filtered by that.
pub(crate) fn add_filter(filter: &mut Filter, name: &str, value: &str) -> bool {
    let values = if name == TRACKING_NUMBER {
        &mut filter.tracking_numbers
    } else if let Some(facet) = Facet::ALL.iter().position(|facet| facet.name() == name) {
        &mut filter.facets[facet]
    } else {
        return false;
    };
    values.push(FoldedKey::new(value));
    true
}

/// Makes a filter of `pairs` for data with stages, or without; those that are none are left to `take_other`, which says whether it takes them.
pub(crate) fn strict_filter(
    with_stages: bool,
    pairs: &[Pair<'_>],
    others: &[&str],
    mut take_other: impl FnMut(&str, &str) -> Result<bool, Invalid>,
) -> Result<Filter, Invalid> {
    let mut filter = Filter::default();
    for (name, value) in pairs {
        if take_other(name, value)? {
            continue;
        }
        if name == TRACKING_NUMBER_PREFIX {
            filter.prefixes.push(FoldedKey::new(value));
        } else if name == Facet::Stage.name() && !with_stages || !add_filter(&mut filter, name, value) {
            let facets = Facet::of_data(with_stages).map(|facet| -> &str { facet.name() });
            let filters = [TRACKING_NUMBER, TRACKING_NUMBER_PREFIX].into_iter().chain(facets);
            let allowed: Vec<&str> = filters.chain(others.iter().copied()).collect();
            return Err(Invalid::new(name, no_such_parameter(name, &allowed)));
        }
        check_filter_value(name, value)?;
    }
    Ok(filter)
}

fn check_filter_value(name: &str, value: &str) -> Result<(), Invalid> {
    let is_empty = value.trim().is_empty();
    let error = || Invalid::new(name, "the value is empty; what is not to be filtered by is left out");
    if is_empty { Err(error()) } else { Ok(()) }
}

/// The `value` that the parameter `name` filters by.
pub(crate) fn filter_value(name: &str, value: &str) -> Result<FoldedKey, Invalid> {
    check_filter_value(name, value).map(|()| FoldedKey::new(value))
}

/// The number of results that a value of [`LIMIT`] asks for.
pub(crate) fn limit(value: &str, max: usize) -> Result<usize, Invalid> {
    let limit = digits(value).filter(|limit| (1..=max as u64).contains(limit)).map(|limit| limit as usize);
    limit.ok_or_else(|| Invalid::new(LIMIT, format!("a number from 1 to {max} is expected")))
}

/// Takes over `value` as that of the parameter VERSION, before which there was `before`.
pub(crate) fn take_version(before: &mut Option<String>, value: &str) -> Result<(), Invalid> {
    if value.is_empty() {
        return Err(Invalid::new(VERSION, "a version is expected, as /v1/dataset names it"));
    }
    let before = before.replace(value.to_owned());
    if before.is_some() { Err(given_twice(VERSION)) } else { Ok(()) }
}

/// The version that the query of a lookup by path names, and how long it may wait. It has no other parameters that mean
/// anything.
pub(crate) fn version_and_wait(query: &str) -> Result<(Option<String>, Option<Duration>), Invalid> {
    let (mut version, mut wait) = (None, None);
    for piece in query.split('&') {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let Some(name) = form_decoded(name).ok().filter(|name| name == VERSION || name == WAIT) else { continue };
        let value = form_decoded(value).map_err(|reason| Invalid::new(&name, reason))?;
        if name == VERSION {
            take_version(&mut version, &value)?;
        } else if wait.replace(wait_time(&value)?).is_some() {
            return Err(given_twice(WAIT));
        }
    }
    Ok((version, wait))
}

fn wait_time(value: &str) -> Result<Duration, Invalid> {
    let seconds = digits(value).filter(|seconds| WAIT_SECONDS.contains(seconds)).map(Duration::from_secs);
    let (least, most) = (WAIT_SECONDS.start(), WAIT_SECONDS.end());
    seconds.ok_or_else(|| Invalid::new(WAIT, format!("seconds from {least} to {most} are expected")))
}

/// Why the parameter `name` is refused where there are those `allowed`, and which of these it was probably meant to be.
pub(crate) fn no_such_parameter(name: &str, allowed: &[&str]) -> String {
    let meant = similar::nearest(name, allowed.iter().copied());
    let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
    format!("no such parameter; there are {}{meant}", allowed.join(", "))
}

/// The order of shipments that a value of [`SORT`] names.
pub(crate) fn sort(value: &str) -> Result<Sort, Invalid> {
    match value {
        "tracking_number" => Ok(Sort::Number),
        "-tracking_number" => Ok(Sort::NumberDescending),
        _ => Err(Invalid::new(
            SORT,
            "tracking_number or -tracking_number is expected; without it, they are in file order",
        )),
    }
}

/// The error of a parameter that is given twice.
pub(crate) fn given_twice(name: &str) -> Invalid {
    Invalid::new(name, TWICE)
}

/// A number that is written in digits alone; the highest there is where it is higher.
pub(crate) fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(query: &str) -> Vec<(String, String)> {
        let pairs = pairs(Some(query)).unwrap();
        pairs.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    #[test]
    fn queries_are_form_decoded() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            decoded("a=x+y%2B%26&&b=c=d&c&=e&%c3%a4=1"),
            [pair("a", "x y+&"), pair("b", "c=d"), pair("c", ""), pair("", "e"), pair("ä", "1"),]
        );
        assert_eq!(pairs(None), Ok(Vec::new()));
        for (query, parameter) in [("a=1&b=%", "b"), ("a=%4", "a"), ("a=%zz", "a"), ("a=%ff", "a"), ("%=1", "%")] {
            assert_eq!(pairs(Some(query)).unwrap_err().parameter, parameter, "{query}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_to_the_same() {
        let (name, value) = ("ä b", "a b&c=d+e%#\"<>\\~*'\u{0}\n🖥/?");
        let mut query = String::new();
        append(&mut query, "x", "");
        append(&mut query, name, value);
        assert_eq!(decoded(&query), [("x".to_owned(), String::new()), (name.to_owned(), value.to_owned())]);
        assert!(query.starts_with("x=&%C3%A4+b=a+b%26c%3Dd%2Be%25%23%22%3C%3E%5C~%2A%27%00%0A"), "{query}");
    }

    #[test]
    fn numbers_are_digits_alone() {
        assert_eq!(digits("0010"), Some(10));
        assert_eq!(digits("99999999999999999999999"), Some(u64::MAX));
        for text in ["", "-1", "+1", " 1", "1.0", "1e3", "٣", "1_0"] {
            assert_eq!(digits(text), None, "{text}");
        }
    }
}
