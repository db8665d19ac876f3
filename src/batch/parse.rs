//! Parsing the body of a batch. Nothing is copied: texts stay in the body, which simd-json unescapes in place.

use simd_json::{ErrorType, Node, StaticNode};

use super::lookup::{BatchError, LOOKUPS_MAX, Lookup};
use crate::truncate::truncate;

/// Longest part of an unknown key that an error repeats, in characters.
const SHOWN_KEY_CHARS_MAX: usize = 40;

const SHAPE: &str = r#"{"lookups":[{"tracking_number":"TN1","carrier":"DHL"}]}"#;

/// Parses the lookups of `body`. Strict: a misspelt or repeated key or a value of another type is an error that names
/// the place, not a lookup with another meaning.
///
/// Destroys the body: it is not JSON afterwards.
pub fn parse(body: &mut [u8]) -> Result<Vec<Lookup<'_>>, BatchError> {
    let tape = simd_json::to_tape(body).map_err(|error| BatchError::Invalid(explain(&error)))?;
    Nodes(tape.0.iter()).body()
}

/// Values of a body in their order. Containers tell how many members follow.
struct Nodes<'t, 'b>(std::slice::Iter<'t, Node<'b>>);

impl<'b> Nodes<'_, 'b> {
    fn next(&mut self) -> Node<'b> {
        // simd-json has counted the members, so there is a value for each.
        self.0.next().copied().unwrap_or(Node::Static(StaticNode::Null))
    }

    fn body(&mut self) -> Result<Vec<Lookup<'b>>, BatchError> {
        let Node::Object { len: keys, .. } = self.next() else {
            return invalid(format!("the body is no object such as {SHAPE}"));
        };
        let mut lookups = None;
        for _ in 0..keys {
            match self.key() {
                "lookups" if lookups.is_none() => lookups = Some(self.lookups()?),
                "lookups" => return invalid("lookups: duplicate".to_owned()),
                other => return invalid(format!("{}: unknown; the body has the key lookups alone", shown(other))),
            }
        }
        lookups.map_or_else(|| invalid(format!("lookups: missing; the body is like {SHAPE}")), Ok)
    }

    fn lookups(&mut self) -> Result<Vec<Lookup<'b>>, BatchError> {
        let Node::Array { len: count, .. } = self.next() else {
            return invalid("lookups: an array is expected".to_owned());
        };
        if count > LOOKUPS_MAX {
            return Err(BatchError::TooManyLookups { count });
        }
        let in_place = |at: usize, wrong: LookupError<'_>| BatchError::Invalid(format!("lookups[{at}]{wrong}"));
        (0..count).map(|at| self.lookup().map_err(|wrong| in_place(at, wrong))).collect()
    }

    fn lookup(&mut self) -> Result<Lookup<'b>, LookupError<'b>> {
        let Node::Object { len: keys, .. } = self.next() else { return Err(LookupError::NoObject) };
        let (mut tracking_number, mut carrier, mut postcode) = (None, None, None);
        for _ in 0..keys {
            match self.key() {
                "tracking_number" if tracking_number.is_none() => match self.next() {
                    Node::String(number) if !number.trim().is_empty() => tracking_number = Some(number),
                    _ => return Err(LookupError::TrackingNumber),
                },
                "carrier" if carrier.is_none() => match self.next() {
                    Node::String(name) if !name.trim().is_empty() => carrier = Some(Some(name)),
                    Node::Static(StaticNode::Null) => carrier = Some(None),
                    _ => return Err(LookupError::Carrier),
                },
                "postcode" if postcode.is_none() => match self.next() {
                    Node::String(code) => postcode = Some(Some(code)),
                    Node::Static(StaticNode::Null) => postcode = Some(None),
                    _ => return Err(LookupError::Postcode),
                },
                repeated @ ("tracking_number" | "carrier" | "postcode") => return Err(LookupError::Repeated(repeated)),
                other => return Err(LookupError::Unknown(other)),
            }
        }
        let tracking_number = tracking_number.ok_or(LookupError::Missing)?;
        Ok(Lookup { tracking_number, carrier: carrier.flatten(), postcode: postcode.flatten() })
    }

    fn key(&mut self) -> &'b str {
        match self.next() {
            Node::String(key) => key,
            // Keys of JSON objects are strings.
            _ => "",
        }
    }
}

/// Error of one lookup.
enum LookupError<'b> {
    NoObject,
    TrackingNumber,
    Carrier,
    Postcode,
    Missing,
    Repeated(&'b str),
    Unknown(&'b str),
}

impl std::fmt::Display for LookupError<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LookupError::NoObject => f.write_str(": an object is expected"),
            LookupError::TrackingNumber => f.write_str(".tracking_number: a string that is not blank is expected"),
            LookupError::Carrier => {
                f.write_str(".carrier: a string that is not blank is expected, or null, or nothing, for any carrier")
            }
            LookupError::Postcode => f.write_str(".postcode: a string is expected, or null, or nothing, for none"),
            LookupError::Missing => f.write_str(".tracking_number: missing"),
            LookupError::Repeated(key) => write!(f, ".{key}: duplicate"),
            LookupError::Unknown(key) => {
                write!(f, ".{}: unknown; a lookup has the keys tracking_number, carrier and postcode", shown(key))
            }
        }
    }
}

fn invalid<T>(detail: String) -> Result<T, BatchError> {
    Err(BatchError::Invalid(detail))
}

fn shown(key: &str) -> String {
    let (start, ellipsis) = truncate(key, SHOWN_KEY_CHARS_MAX);
    format!("{start}{ellipsis}")
}

/// Describes an error of simd-json, which has no positions within strings.
fn explain(error: &simd_json::Error) -> String {
    match error.error() {
        ErrorType::Eof => "the body is empty".to_owned(),
        ErrorType::InvalidUtf8 => "the body is not UTF-8".to_owned(),
        ErrorType::DepthLimitExceeded => format!("the body is nested too deeply at byte {}", error.index()),
        ErrorType::InvalidEscape | ErrorType::InvalidUnicodeEscape | ErrorType::InvalidUnicodeCodepoint => {
            "the body is not JSON: a string has an escape that means nothing".to_owned()
        }
        ErrorType::Syntax if error.index() == 0 => {
            "the body is not JSON: a string or bracket has no end, or a string has a control character".to_owned()
        }
        _ => format!("the body is not JSON near byte {}", error.index()),
    }
}
