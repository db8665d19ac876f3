//! Finding header fields.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// Fields that are looked through sooner than one is hashed.
const FEW_FIELDS_MAX: usize = 6;

/// True if there is a field with this name.
#[inline]
pub(crate) fn has(headers: &HeaderMap, name: &HeaderName) -> bool {
    if headers.len() <= FEW_FIELDS_MAX { headers.keys().any(|other| other == name) } else { headers.contains_key(name) }
}

/// The first two fields with this name.
#[inline]
pub(crate) fn first_two<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> (Option<&'h HeaderValue>, Option<&'h HeaderValue>) {
    if headers.len() <= FEW_FIELDS_MAX {
        let mut found = headers.iter().filter(|(other, _)| *other == name).map(|(_, value)| value);
        (found.next(), found.next())
    } else {
        let mut found = headers.get_all(name).iter();
        (found.next(), found.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{ACCEPT, HOST, IF_NONE_MATCH};

    #[test]
    fn fields_are_found_among_few_and_among_many() {
        let value = HeaderValue::from_static;
        for others in [0, 3, 20] {
            let mut headers = HeaderMap::new();
            for at in 0..others {
                headers.insert(HeaderName::try_from(format!("x-{at}")).unwrap(), value("x"));
            }
            assert_eq!(first_two(&headers, &HOST), (None, None));
            headers.append(HOST, value("a"));
            assert_eq!(first_two(&headers, &HOST), (Some(&value("a")), None));
            headers.append(HOST, value("b"));
            headers.append(HOST, value("c"));
            assert_eq!(first_two(&headers, &HOST), (Some(&value("a")), Some(&value("b"))));
            headers.append(ACCEPT, value("d"));
            assert!(has(&headers, &HOST) && has(&headers, &ACCEPT) && !has(&headers, &IF_NONE_MATCH));
        }
    }
}
