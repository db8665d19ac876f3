//! What a client accepts: lists of names with weights (RFC 9110, section 12.4.2).

use hyper::HeaderMap;
use hyper::header::HeaderName;

/// The names in a field such as `Accept-Encoding`, with their weights from 0 to 1. An element whose weight cannot be read
/// is left out.
pub(crate) struct Weights<'h>(Vec<(&'h str, f32)>);

impl<'h> Weights<'h> {
    /// Those of the field `name`, however often it is there.
    pub(crate) fn of(headers: &'h HeaderMap, name: &HeaderName) -> Weights<'h> {
        let fields = headers.get_all(name).into_iter().filter_map(|field| field.to_str().ok());
        Weights(fields.flat_map(|field| field.split(',')).filter_map(weighted).collect())
    }

    /// The names with their weights, in the order in which they are there.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'h str, f32)> {
        self.0.iter().copied()
    }

    /// The weight of `wanted`, in any case, where it is named; the highest, if several times.
    pub(crate) fn named(&self, wanted: &str) -> Option<f32> {
        let named = self.0.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, weight)| *weight).reduce(f32::max)
    }
}

/// The name and the weight of an element.
fn weighted(element: &str) -> Option<(&str, f32)> {
    let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
    let weight = match parameters.split(';').find_map(weight_text) {
        Some(text) => text.trim().parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?,
        None => 1.0,
    };
    Some((name.trim(), weight))
}

/// What is behind `q=`.
fn weight_text(parameter: &str) -> Option<&str> {
    parameter.trim().strip_prefix(['q', 'Q'])?.trim_start().strip_prefix('=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{ACCEPT, HeaderValue};

    #[test]
    fn a_weight_is_the_highest_of_a_name_in_any_case_and_in_any_field() {
        let fields = ["text/html;level=1;q=0.3, TEXT/HTML ; Q = 0.5", "a/b;q=0.000,c/d;q=2,e/f;q=x, g/h;x=y"];
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(ACCEPT, HeaderValue::from_static(field));
        }
        let weights = Weights::of(&headers, &ACCEPT);
        for (name, expected) in [
            ("text/html", Some(0.5)),
            ("a/b", Some(0.0)),
            ("c/d", None),
            ("e/f", None),
            ("g/h", Some(1.0)),
            ("i/j", None),
        ] {
            assert_eq!(weights.named(name), expected, "{name}");
        }
    }
}
