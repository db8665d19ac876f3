//! Bytes → lookups. Nothing is copied: texts stay in the body, which simd-json unescapes in place.

use simd_json::{ErrorType, Node, StaticNode};

use super::lookup::{BatchError, LOOKUPS_MAX, Lookup};
use crate::truncate::truncate;

/// Characters of an unknown key that an error repeats.
const SHOWN_KEY_CHARS_MAX: usize = 40;

const SHAPE: &str = r#"{"lookups":[{"tracking_number":"TN1","carrier":"DHL"}]}"#;

/// The lookups of `body`. Strict: what is misspelt, repeated or of another type is an error that names the place, not
/// a lookup that means something else.
///
/// The body is spent: it is not JSON any more.
pub fn parse(body: &mut [u8]) -> Result<Vec<Lookup<'_>>, BatchError> {
    let tape = simd_json::to_tape(body).map_err(|error| BatchError::Invalid(explain(&error)))?;
    Nodes(tape.0.iter()).body()
}

/// The values of a body in the order in which they stand. Containers say how many members follow.
struct Nodes<'t, 'b>(std::slice::Iter<'t, Node<'b>>);

impl<'b> Nodes<'_, 'b> {
    fn next(&mut self) -> Node<'b> {
        // simd-json has counted the members; there is no end before they are read.
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
        let in_place = |at: usize, wrong: Wrong<'_>| BatchError::Invalid(format!("lookups[{at}]{wrong}"));
        (0..count).map(|at| self.lookup().map_err(|wrong| in_place(at, wrong))).collect()
    }

    fn lookup(&mut self) -> Result<Lookup<'b>, Wrong<'b>> {
        let Node::Object { len: keys, .. } = self.next() else { return Err(Wrong::NoObject) };
        let (mut tracking_number, mut carrier) = (None, None);
        for _ in 0..keys {
            match self.key() {
                "tracking_number" if tracking_number.is_none() => match self.next() {
                    Node::String(number) if !number.trim().is_empty() => tracking_number = Some(number),
                    _ => return Err(Wrong::TrackingNumber),
                },
                "carrier" if carrier.is_none() => match self.next() {
                    Node::String(name) if !name.trim().is_empty() => carrier = Some(Some(name)),
                    Node::Static(StaticNode::Null) => carrier = Some(None),
                    _ => return Err(Wrong::Carrier),
                },
                repeated @ ("tracking_number" | "carrier") => return Err(Wrong::Repeated(repeated)),
                other => return Err(Wrong::Unknown(other)),
            }
        }
        let tracking_number = tracking_number.ok_or(Wrong::Missing)?;
        Ok(Lookup { tracking_number, carrier: carrier.flatten() })
    }

    fn key(&mut self) -> &'b str {
        match self.next() {
            Node::String(key) => key,
            // JSON has no other keys.
            _ => "",
        }
    }
}

/// What is wrong with one lookup.
enum Wrong<'b> {
    NoObject,
    TrackingNumber,
    Carrier,
    Missing,
    Repeated(&'b str),
    Unknown(&'b str),
}

impl std::fmt::Display for Wrong<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wrong::NoObject => f.write_str(": an object is expected"),
            Wrong::TrackingNumber => f.write_str(".tracking_number: a string that is not blank is expected"),
            Wrong::Carrier => {
                f.write_str(".carrier: a string that is not blank is expected, or null, or nothing, for any carrier")
            }
            Wrong::Missing => f.write_str(".tracking_number: missing"),
            Wrong::Repeated(key) => write!(f, ".{key}: duplicate"),
            Wrong::Unknown(key) => {
                write!(f, ".{}: unknown; a lookup has the keys tracking_number and carrier", shown(key))
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

/// What simd-json found wrong, in words. It knows no place within strings.
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
