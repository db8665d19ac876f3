//! Postings: the shipments with each value of each facet.
//!
//! Values have ids and are found by hash. Their texts are not stored, but read from the first shipment with the value.
//! So a column in which every shipment has a value of its own takes no more than some 30 bytes a shipment.

use std::borrow::Cow;

use roaring::RoaringBitmap;
use serde::Serialize;

use super::ordinals::OrdinalSet;
use super::values::{FACET_KINDS, FACETS, FacetKind, FacetValueIds, NO_VALUE};
use crate::dataset::index::Fingerprint;
use crate::dataset::records::Records;
use crate::place::Place;
use crate::shipment::{Facet, FoldedKey};

/// Memory of a bitmap's container besides its members.
const CONTAINER_BYTES: u64 = 32;
/// Memory of the members of a container that is a bitset, not a list of 2 bytes a member.
const BITSET_BYTES: u64 = 8 << 10;

/// Value of a facet, and its frequency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FacetCount {
    /// The value as its first row in the file spells it.
    pub value: String,
    /// Number of shipments with it.
    pub count: u64,
}

/// Postings of all facets.
pub(in crate::dataset) struct Postings {
    pub(in crate::dataset) value_ids: FacetValueIds,
    /// Ids of the values of each [`FacetKind`], sorted by hash.
    pub(in crate::dataset) ids_by_hash: [Box<[(Fingerprint, u32)]>; FACET_KINDS],
    pub(in crate::dataset) facets: [FacetPostings; FACETS],
    /// The most frequent values of each facet among all shipments.
    pub(in crate::dataset) top: [Box<[FacetCount]>; FACETS],
}

/// Postings of one facet.
#[derive(Default)]
pub(in crate::dataset) struct FacetPostings {
    /// Values by id.
    pub(in crate::dataset) values: Box<[Value]>,
    /// Most shipments that a value has in a list; those of values with more are in bitmaps.
    pub(in crate::dataset) listed_max: u32,
    pub(in crate::dataset) lists: Box<[u32]>,
    pub(in crate::dataset) bitmaps: Box<[RoaringBitmap]>,
    /// Ids of the values that shipments have, sorted by descending frequency.
    pub(in crate::dataset) by_count: Box<[u32]>,
}

/// Number of shipments with a value, and their position: from `start` on in the lists, or at `start` in the bitmaps.
#[derive(Clone, Copy, Default)]
pub(in crate::dataset) struct Value {
    pub(in crate::dataset) count: u32,
    pub(in crate::dataset) start: u32,
}

impl FacetPostings {
    /// Shipments with the value `id`.
    pub(in crate::dataset) fn get(&self, id: u32) -> OrdinalSet<'_> {
        let Value { count, start } = self.values.get(id as usize).copied().unwrap_or_default();
        let start = start as usize;
        if count <= self.listed_max {
            OrdinalSet::List(Cow::Borrowed(&self.lists[start..start + count as usize]))
        } else {
            OrdinalSet::Bitmap(Cow::Borrowed(&self.bitmaps[start]))
        }
    }

    /// Values and their shipments, sorted by descending frequency.
    pub(in crate::dataset) fn by_count(&self) -> impl Iterator<Item = (u32, OrdinalSet<'_>)> {
        self.by_count.iter().map(|id| (*id, self.get(*id)))
    }

    /// Calls `read` with a value as its first shipment spells it.
    pub(in crate::dataset) fn with_spelling<T>(
        &self,
        records: &Records,
        facet: Facet,
        id: u32,
        read: impl FnOnce(&str) -> T,
    ) -> Option<T> {
        records.at(self.get(id).first()?).with_value(facet, read)
    }

    /// Memory of the facet's postings, in bytes.
    pub(in crate::dataset) fn bytes(&self) -> u64 {
        let of_bitmap = |bitmap: &RoaringBitmap| {
            let is = bitmap.statistics();
            u64::from(is.n_containers) * CONTAINER_BYTES
                + u64::from(is.n_values_array_containers) * size_of::<u16>() as u64
                + u64::from(is.n_bitset_containers) * BITSET_BYTES
        };
        let ids = size_of_val(&self.values[..]) + size_of_val(&self.lists[..]) + size_of_val(&self.by_count[..]);
        (ids + size_of_val(&self.bitmaps[..])) as u64 + self.bitmaps.iter().map(of_bitmap).sum::<u64>()
    }
}

impl Postings {
    /// Postings of `facet`.
    pub(in crate::dataset) fn of(&self, facet: Facet) -> &FacetPostings {
        &self.facets[facet as usize]
    }

    /// The most frequent values of `facet` among all shipments.
    pub(in crate::dataset) fn top(&self, facet: Facet) -> &[FacetCount] {
        &self.top[facet as usize]
    }

    /// Finds the id of a value; `None` if no shipment in `records` has it.
    pub(in crate::dataset) fn id(&self, records: &Records, kind: FacetKind, value: &FoldedKey) -> Option<u32> {
        let hash = Fingerprint::of(value);
        let ids = &self.ids_by_hash[kind as usize];
        let from = ids.partition_point(|(other, _)| *other < hash);
        let mut same_hash = ids[from..].iter().take_while(|(other, _)| *other == hash).map(|(_, id)| *id);
        // Hashes can collide.
        let is_value = |spelling: &str| FoldedKey::new(spelling) == *value;
        same_hash.find(|id| {
            let mut facets = Facet::ALL.into_iter().filter(|facet| FacetKind::of(*facet) == kind);
            facets.find_map(|facet| self.of(facet).with_spelling(records, facet, *id, is_value)) == Some(true)
        })
    }

    /// Ids of the values of the shipment in `records` with this ordinal.
    pub(in crate::dataset) fn value_ids_of(&self, records: &Records, ordinal: u32) -> [u32; FACETS] {
        let id = |kind, value: &str| self.id(records, kind, &FoldedKey::new(value)).unwrap_or(NO_VALUE);
        let place = |place: &Place<'_>| {
            [place.city.map_or(NO_VALUE, |city| id(FacetKind::City, city)), id(FacetKind::Country, place.country)]
        };
        self.value_ids.of(&records.at(ordinal), place)
    }

    /// Memory of all postings, in bytes.
    pub(in crate::dataset) fn bytes(&self) -> u64 {
        let ids: usize = self.ids_by_hash.iter().map(|ids| size_of_val(&ids[..])).sum();
        let facets: u64 = self.facets.iter().map(FacetPostings::bytes).sum();
        let top = self.top.iter().flatten().map(|top| size_of::<FacetCount>() + top.value.capacity()).sum::<usize>();
        (self.value_ids.bytes() + ids + top) as u64 + facets
    }
}
