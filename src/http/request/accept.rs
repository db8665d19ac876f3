//! What a client accepts: lists of names with weights (RFC 9110, section 12.4.2).

use hyper::HeaderMap;
use hyper::header::HeaderName;

/// Each time that the client names `wanted`, in any case, in the field `name`: whether it accepts that, which is to say not
/// with a weight of 0.
pub(crate) fn named<'h>(headers: &'h HeaderMap, name: &HeaderName, wanted: &'h str) -> impl Iterator<Item = bool> + 'h {
    let fields = headers.get_all(name).into_iter().filter_map(|field| field.to_str().ok());
    let elements = fields.flat_map(|field| field.split(',')).map(element);
    elements.filter(move |(named, _)| named.eq_ignore_ascii_case(wanted)).map(|(_, is_accepted)| is_accepted)
}

/// A name, and whether it is accepted.
fn element(text: &str) -> (&str, bool) {
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    (name.trim(), !parameters.split(';').any(is_weight_zero))
}

fn is_weight_zero(parameter: &str) -> bool {
    let weight = parameter.trim().strip_prefix(['q', 'Q']).and_then(|rest| rest.trim_start().strip_prefix('='));
    weight.is_some_and(|weight| weight.trim().parse().is_ok_and(|weight: f32| weight <= 0.0))
}
