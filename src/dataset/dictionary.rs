//! Dictionaries: values that many shipments share, stored once and named by an id.

use std::collections::HashMap;
use std::sync::Mutex;

use super::output::{CHUNK_BYTES, Text};
use crate::mutex;

/// Most entries of a thread's own table. A full table is cleared, so that a column of unique values stays bounded.
const LOCAL_ENTRIES_MAX: usize = 1 << 16;

/// Texts by id, concatenated.
#[derive(Default)]
pub(super) struct Dictionary {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Dictionary {
    #[inline]
    pub(super) fn get(&self, id: u32) -> &[u8] {
        self.text(id).bytes()
    }

    /// The same, together with the bytes behind it.
    #[inline]
    pub(super) fn text(&self, id: u32) -> Text<'_> {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        Text::new(&self.text[start..], self.ends[id] - start)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Size of the longest text.
    pub(super) fn longest(&self) -> usize {
        let starts = [0].iter().chain(&self.ends);
        self.ends.iter().zip(starts).map(|(end, start)| end - start).max().unwrap_or(0)
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    pub(super) fn push(&mut self, text: &[u8]) -> u32 {
        self.text.extend_from_slice(text);
        self.ends.push(self.text.len());
        (self.ends.len() - 1) as u32
    }

    /// Prepares for reading.
    fn freeze(&mut self) {
        // Texts that are copied in chunks are read beyond their ends.
        self.text.extend_from_slice(&[0; CHUNK_BYTES]);
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

type Ids = HashMap<Box<str>, u32, foldhash::fast::FixedState>;

#[derive(Default)]
struct Growing {
    ids: Ids,
    dictionary: Dictionary,
}

/// Dictionary that several threads fill.
pub(super) struct SharedDictionary {
    growing: Mutex<Growing>,
    encode: fn(&str, &mut Vec<u8>),
    entries_max: usize,
}

impl SharedDictionary {
    /// Creates a dictionary that stores values as `encode` writes them. The first entry is the empty value.
    pub(super) fn new(entries_max: usize, encode: fn(&str, &mut Vec<u8>)) -> SharedDictionary {
        let shared = SharedDictionary { growing: Mutex::default(), encode, entries_max };
        shared.insert("");
        shared
    }

    fn insert(&self, value: &str) -> Option<u32> {
        let mut growing = mutex::lock(&self.growing);
        if let Some(&id) = growing.ids.get(value) {
            return Some(id);
        }
        if growing.dictionary.len() >= self.entries_max {
            return None;
        }
        let mut text = Vec::with_capacity(value.len() + 32);
        (self.encode)(value, &mut text);
        let id = growing.dictionary.push(&text);
        growing.ids.insert(value.into(), id);
        Some(id)
    }

    pub(super) fn finish(self) -> Dictionary {
        let mut dictionary = mutex::into_inner(self.growing).dictionary;
        dictionary.freeze();
        dictionary
    }
}

/// One thread's access to a shared dictionary. It locks the dictionary only for values that are new to the thread.
pub(super) struct Interner<'b> {
    shared: &'b SharedDictionary,
    local: Ids,
}

impl<'b> Interner<'b> {
    pub(super) fn new(shared: &'b SharedDictionary) -> Interner<'b> {
        Interner { shared, local: Ids::default() }
    }

    /// Returns the id of `value`; `None` if the dictionary is full and does not have it.
    pub(super) fn id(&mut self, value: &str) -> Option<u32> {
        if let Some(&id) = self.local.get(value) {
            return Some(id);
        }
        let id = self.shared.insert(value)?;
        if self.local.len() >= LOCAL_ENTRIES_MAX {
            self.local.clear();
        }
        self.local.insert(value.into(), id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(entries_max: usize) -> SharedDictionary {
        SharedDictionary::new(entries_max, |value, text| text.extend_from_slice(value.as_bytes()))
    }

    #[test]
    fn equal_values_share_an_id_across_threads() {
        let dictionary = shared(100);
        let (mut a, mut b) = (Interner::new(&dictionary), Interner::new(&dictionary));
        let first = a.id("DHL").unwrap();
        assert_eq!(b.id("DHL"), Some(first));
        assert_ne!(b.id("UPS"), Some(first));
        assert_eq!(a.id(""), Some(0));
        let frozen = dictionary.finish();
        assert_eq!(frozen.get(first), b"DHL");
        assert_eq!(frozen.get(0), b"");
    }

    #[test]
    fn a_full_dictionary_still_knows_what_it_has() {
        let dictionary = shared(2);
        let mut interner = Interner::new(&dictionary);
        let known = interner.id("Laptop");
        assert!(known.is_some());
        assert_eq!(interner.id("Mouse"), None);
        assert_eq!(interner.id("Laptop"), known);
    }
}
