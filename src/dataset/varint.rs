//! Varints: numbers in seven bits a byte, lowest first; and a cursor that reads them.

use super::output::Text;

/// Appends a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads varints and texts from the front.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor(bytes)
    }

    /// Bytes that are not read yet.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    #[inline]
    pub(super) fn varint(&mut self) -> u64 {
        let first = self.0[0];
        self.0 = &self.0[1..];
        if first < 0x80 { u64::from(first) } else { self.varint_rest(first) }
    }

    #[cold]
    fn varint_rest(&mut self, first: u8) -> u64 {
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.0[0];
            self.0 = &self.0[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
            shift += 7;
        }
    }

    #[inline]
    pub(super) fn take(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        taken
    }

    #[inline]
    pub(super) fn take_text(&mut self, bytes: usize) -> Text<'a> {
        let from = self.0;
        self.0 = &from[bytes..];
        Text::new(from, bytes)
    }

    #[inline]
    pub(super) fn text(&mut self) -> Text<'a> {
        let bytes = self.varint() as usize;
        self.take_text(bytes)
    }
}
