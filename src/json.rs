//! The inside of JSON strings (RFC 8259, section 7): escaping a text and undoing it.

use std::borrow::Cow;

/// Appends `text` as the inside of a JSON string, escaped as `serde_json` does.
pub(crate) fn escape(text: &str, out: &mut Vec<u8>) {
    // Counting looks at every byte, many at a time; a search would stop at the first, one at a time.
    let special = |byte: &&u8| matches!(**byte, 0..b' ' | b'"' | b'\\');
    if text.as_bytes().iter().filter(special).count() == 0 {
        out.extend_from_slice(text.as_bytes());
    } else if let Ok(quoted) = serde_json::to_vec(text) {
        out.extend_from_slice(&quoted[1..quoted.len() - 1]);
    }
}

/// The text from which [`escape`] made `escaped`.
pub(crate) fn unescape(escaped: &[u8]) -> Cow<'_, str> {
    if !escaped.contains(&b'\\') {
        return String::from_utf8_lossy(escaped);
    }
    let quoted = [b"\"", escaped, b"\""].concat();
    Cow::Owned(serde_json::from_slice(&quoted).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_that_was_escaped_comes_back(text in "[\\x00-\\x22a\\\\\u{7f}é\u{2028}]{0,20}") {
            let mut escaped = Vec::new();
            escape(&text, &mut escaped);
            prop_assert_eq!(unescape(&escaped), text);
        }
    }
}
