//! Dictionaries: values that many shipments share, stored once and named by an id.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Mutex;

use super::output::{CHUNK_BYTES, Text};
use crate::mutex;

/// Most and fewest entries of a thread's own table. A full table is cleared, so that a column of unique values stays
/// bounded.
const LOCAL_ENTRIES: RangeInclusive<usize> = 1 << 12..=1 << 16;
/// Most entries of the tables of all threads, as far as the fewest of each allow.
const ALL_LOCAL_ENTRIES_MAX: usize = 1 << 17;
/// Memory of an entry of a table besides its text, measured: buckets, also those of the smaller table before, and what the
/// allocator rounds up.
const ENTRY_BYTES: usize = 56;

/// What the allocator keeps of the sizes that a table had before, measured: so many times the table, but no more than the
/// maximum.
const GROWN_SHARE: usize = 3;
const GROWN_BYTES_MAX: usize = 4 << 20;

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
    pub(super) fn freeze(&mut self) {
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
    /// Memory of `ids`.
    ids_bytes: usize,
}

/// Writes the text of a value.
type Encode = dyn Fn(&str, &mut Vec<u8>) + Send + Sync;

/// Dictionary that several threads fill.
pub(super) struct SharedDictionary {
    growing: Mutex<Growing>,
    encode: Box<Encode>,
    entries_max: usize,
}

impl SharedDictionary {
    /// Creates a dictionary that stores values as `encode` writes them. The first entry is the empty value.
    pub(super) fn new(
        entries_max: usize,
        encode: impl Fn(&str, &mut Vec<u8>) + Send + Sync + 'static,
    ) -> SharedDictionary {
        let shared = SharedDictionary { growing: Mutex::default(), encode: Box::new(encode), entries_max };
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
        growing.ids_bytes += value.len() + ENTRY_BYTES;
        Some(id)
    }

    /// Memory that it takes while it is filled.
    pub(super) fn bytes(&self) -> usize {
        let growing = mutex::lock(&self.growing);
        let grown_bytes = (GROWN_SHARE * growing.ids_bytes).min(GROWN_BYTES_MAX);
        growing.ids_bytes + grown_bytes + growing.dictionary.bytes()
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
    local_entries_max: usize,
    /// Memory of the entries.
    added_bytes: usize,
    /// The most that was ever.
    local_bytes: usize,
}

impl<'b> Interner<'b> {
    /// Creates the access of one of so many threads.
    pub(super) fn new(shared: &'b SharedDictionary, threads: usize) -> Interner<'b> {
        let of_thread = ALL_LOCAL_ENTRIES_MAX / threads.max(1);
        let local_entries_max = of_thread.clamp(*LOCAL_ENTRIES.start(), *LOCAL_ENTRIES.end());
        Interner { shared, local: Ids::default(), local_entries_max, added_bytes: 0, local_bytes: 0 }
    }

    /// Memory of the thread's own table.
    pub(super) fn bytes(&self) -> usize {
        self.local_bytes
    }

    /// Returns the id of `value`; `None` if the dictionary is full and does not have it.
    pub(super) fn id(&mut self, value: &str) -> Option<u32> {
        if let Some(&id) = self.local.get(value) {
            return Some(id);
        }
        let id = self.shared.insert(value)?;
        if self.local.len() >= self.local_entries_max {
            // It keeps its memory.
            self.local.clear();
            self.added_bytes = 0;
        }
        self.local.insert(value.into(), id);
        self.added_bytes += value.len() + ENTRY_BYTES;
        self.local_bytes = self.local_bytes.max(self.added_bytes);
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
        let (mut a, mut b) = (Interner::new(&dictionary, 2), Interner::new(&dictionary, 2));
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
        let mut interner = Interner::new(&dictionary, 1);
        let known = interner.id("Laptop");
        assert!(known.is_some());
        assert_eq!(interner.id("Mouse"), None);
        assert_eq!(interner.id("Laptop"), known);
    }
}
