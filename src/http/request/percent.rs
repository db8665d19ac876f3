//! Percent-encoding (RFC 3986, section 2.1).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Percent-decodes `text`. The error says what is wrong with it.
pub(crate) fn percent_decoded(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if !text.as_bytes().contains(&b'%') {
        return Ok(Cow::Borrowed(text));
    }
    let is_escape = |escape: &[u8]| escape.len() >= 2 && escape[..2].iter().all(u8::is_ascii_hexdigit);
    if !text.split('%').skip(1).all(|rest| is_escape(rest.as_bytes())) {
        return Err("a % is not followed by two hexadecimal digits; a plain % is written %25");
    }
    percent_decode_str(text).decode_utf8().map_err(|_| "its bytes are not UTF-8 after decoding")
}
