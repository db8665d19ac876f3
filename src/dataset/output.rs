//! Output of rendering: copying short texts without a call for each.
//!
//! A rendered shipment is some thirty pieces of a few bytes, and a call to `memcpy` costs more than most of them. So
//! texts are copied as one chunk, beyond their ends, wherever source and destination have room; the next piece
//! overwrites the surplus. Measured: 700 instructions less per lookup.

/// Size of a chunk that is copied at once.
pub(super) const CHUNK_BYTES: usize = 32;
/// Size by which a buffer grows.
const ROOM_BYTES: usize = 1 << 10;

/// A text and the bytes behind it.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    from: &'a [u8],
    len: usize,
}

impl<'a> Text<'a> {
    /// The first `len` bytes of `from`.
    #[inline]
    pub(super) fn new(from: &'a [u8], len: usize) -> Text<'a> {
        Text { from, len }
    }

    /// The text without the bytes behind it.
    #[inline]
    pub(super) fn bytes(self) -> &'a [u8] {
        &self.from[..self.len]
    }
}

/// Destination of a record's pieces.
pub(super) trait Sink {
    /// Appends a text.
    fn text(&mut self, text: Text<'_>);
    /// Appends a constant.
    fn constant<const N: usize>(&mut self, constant: &[u8; N]);
}

/// Counts bytes instead of appending them.
#[derive(Default)]
pub(super) struct Size(usize);

impl Size {
    /// Number of bytes so far.
    pub(super) fn bytes(&self) -> usize {
        self.0
    }
}

impl Sink for Size {
    #[inline(always)]
    fn text(&mut self, text: Text<'_>) {
        self.0 += text.len;
    }

    #[inline(always)]
    fn constant<const N: usize>(&mut self, _: &[u8; N]) {
        self.0 += N;
    }
}

/// Writes to a buffer, whose length is meaningless until the end.
pub(super) struct Output<'v> {
    buffer: &'v mut Vec<u8>,
    len: usize,
}

impl<'v> Output<'v> {
    /// Appends to `buffer`.
    pub(super) fn after(buffer: &'v mut Vec<u8>) -> Output<'v> {
        let len = buffer.len();
        Output { buffer, len }
    }

    /// Overwrites `buffer`, so that its memory need not be initialised again.
    pub(super) fn over(buffer: &'v mut Vec<u8>) -> Output<'v> {
        Output { buffer, len: 0 }
    }

    /// Number of bytes before the end of what was written.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Truncates the buffer to what was written.
    pub(super) fn truncate(self) {
        self.buffer.truncate(self.len);
    }

    /// Returns what was written, and leaves the buffer's length as it is.
    pub(super) fn written(self) -> &'v [u8] {
        &self.buffer[..self.len]
    }

    /// Appends a long text, or makes room first.
    #[cold]
    fn append(&mut self, bytes: &[u8]) {
        if self.buffer.len() - self.len < bytes.len() {
            self.buffer.resize(self.len + bytes.len() + ROOM_BYTES, 0);
        }
        self.buffer[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

impl Sink for Output<'_> {
    #[inline(always)]
    fn text(&mut self, text: Text<'_>) {
        let to = self.buffer.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut::<CHUNK_BYTES>);
        match (to, text.from.first_chunk::<CHUNK_BYTES>()) {
            (Some(to), Some(from)) if text.len <= CHUNK_BYTES => {
                *to = *from;
                self.len += text.len;
            }
            _ => self.append(text.bytes()),
        }
    }

    #[inline(always)]
    fn constant<const N: usize>(&mut self, constant: &[u8; N]) {
        match self.buffer.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut::<N>) {
            Some(to) => {
                *to = *constant;
                self.len += N;
            }
            None => self.append(constant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_are_appended_as_they_are(
            before in proptest::collection::vec(any::<u8>(), 0..50),
            texts in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..200), 0_usize..100), 0..40),
        ) {
            let mut buffer = before.clone();
            let mut expected = before;
            let mut output = Output::after(&mut buffer);
            for (from, len) in &texts {
                let len = *len.min(&from.len());
                output.text(Text::new(from, len));
                output.constant(b"\",");
                expected.extend_from_slice(&from[..len]);
                expected.extend_from_slice(b"\",");
            }
            output.truncate();
            prop_assert_eq!(&buffer, &expected);
            let mut output = Output::over(&mut buffer);
            output.text(Text::new(&expected, expected.len()));
            prop_assert_eq!(output.written(), &expected);
        }
    }
}
