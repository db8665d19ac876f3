//! The heads of responses as bytes, exactly as hyper writes them (RFC 9112, section 4): for responses that are made
//! without it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName};
use jiff::Timestamp;

/// Appends the status line and the header fields.
pub(crate) fn push_head(out: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or("<none>").as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        push_field(out, name, value.as_bytes());
    }
}

/// Appends a header field.
pub(crate) fn push_field(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends the field that says how long the body is.
#[inline]
pub(crate) fn push_length(out: &mut Vec<u8>, bytes: usize) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(bytes).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// `date: Sun, 06 Nov 1994 08:49:37 GMT`, and the two ends of line that complete a head.
const END_BYTES: usize = 39;

/// The last field, `Date` (RFC 9110, section 6.6.1), and the end of the head. Written anew once a second.
pub(crate) struct HeadEnd {
    text: [u8; END_BYTES],
    good_until: Instant,
}

impl HeadEnd {
    /// The end of heads that are written now.
    pub(crate) fn new() -> HeadEnd {
        let mut end = HeadEnd { text: [b' '; END_BYTES], good_until: Instant::now() };
        end.renew(end.good_until);
        end
    }

    /// The end of a head that is written at `now`.
    #[inline]
    pub(crate) fn at(&mut self, now: Instant) -> &[u8; END_BYTES] {
        if now >= self.good_until {
            self.renew(now);
        }
        &self.text
    }

    #[cold]
    fn renew(&mut self, now: Instant) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.text = end_of(time.as_secs());
        self.good_until = now + Duration::from_nanos(1_000_000_000 - u64::from(time.subsec_nanos()));
    }
}

/// The end of a head that is written so many seconds after the epoch.
fn end_of(seconds: u64) -> [u8; END_BYTES] {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or_default();
    let text = time.strftime("date: %a, %d %b %Y %H:%M:%S GMT\r\n\r\n").to_string();
    let mut end = [b' '; END_BYTES];
    end.copy_from_slice(&text.as_bytes()[..END_BYTES]);
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_the_form_of_the_specification() {
        assert_eq!(&end_of(784_111_777), b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
        assert_eq!(&end_of(4_102_444_799), b"date: Thu, 31 Dec 2099 23:59:59 GMT\r\n\r\n");
    }

    #[test]
    fn the_date_changes_with_the_second() {
        let mut end = HeadEnd::new();
        let before = Instant::now();
        let until = before + Duration::from_nanos(1);
        end.good_until = until;
        end.text = [b'x'; END_BYTES];
        assert_eq!(end.at(before), &[b'x'; END_BYTES]);
        assert!(end.at(until).starts_with(b"date: "));
        assert!(end.good_until > until && end.good_until <= until + Duration::from_secs(1));
    }
}
