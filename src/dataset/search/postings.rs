//! The shipments of each value of each facet, found at load and never changed again.
//!
//! Values are known by id and found by hash. Their texts are not kept: the first shipment that has a value spells
//! it. So a column in which every shipment has a value of its own costs some 30 bytes a shipment and no more.

use std::borrow::Cow;

use roaring::RoaringBitmap;
use serde::Serialize;

use super::ordinals::Set;
use super::values::{FACETS, FacetKind, FacetValueIds, NO_VALUE};
use crate::dataset::index::Fingerprint;
use crate::dataset::records::Records;
use crate::shipment::{Facet, FoldedKey, Place};

/// What a bitmap takes for a container besides its members.
const CONTAINER_BYTES: u64 = 32;
/// What it takes for a container that is not a list of 2 bytes a member.
const BITSET_BYTES: u64 = 8 << 10;

/// A value of a facet, and how often it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FacetCount {
    /// As the first row in the file that has it spells it.
    pub value: String,
    /// Shipments.
    pub count: u64,
}

/// The shipments of the values of all facets.
pub(in crate::dataset) struct Postings {
    pub(in crate::dataset) value_ids: FacetValueIds,
    /// The values of each [`FacetKind`], by hash.
    pub(in crate::dataset) ids_by_hash: [Box<[(Fingerprint, u32)]>; 4],
    pub(in crate::dataset) facets: [FacetPostings; FACETS],
    /// The most frequent values of each facet among all shipments.
    pub(in crate::dataset) top: [Box<[FacetCount]>; FACETS],
}

/// The shipments of the values of one facet.
#[derive(Default)]
pub(in crate::dataset) struct FacetPostings {
    /// By id.
    pub(in crate::dataset) values: Box<[Value]>,
    /// Shipments that a value is listed with, at most; those of values with more are in bitmaps.
    pub(in crate::dataset) listed_max: u32,
    pub(in crate::dataset) lists: Box<[u32]>,
    pub(in crate::dataset) bitmaps: Box<[RoaringBitmap]>,
    /// The values that shipments have, the most frequent first.
    pub(in crate::dataset) by_count: Box<[u32]>,
}

/// How many shipments have a value, and where these are: from `start` on in the lists, or at `start` in the bitmaps.
#[derive(Clone, Copy, Default)]
pub(in crate::dataset) struct Value {
    pub(in crate::dataset) count: u32,
    pub(in crate::dataset) start: u32,
}

impl FacetPostings {
    /// The shipments of a value.
    pub(in crate::dataset) fn get(&self, id: u32) -> Set<'_> {
        let Value { count, start } = self.values.get(id as usize).copied().unwrap_or_default();
        let start = start as usize;
        if count <= self.listed_max {
            Set::List(Cow::Borrowed(&self.lists[start..start + count as usize]))
        } else {
            Set::Bitmap(Cow::Borrowed(&self.bitmaps[start]))
        }
    }

    /// The values that shipments have, the most frequent first, and their shipments.
    pub(in crate::dataset) fn by_count(&self) -> impl Iterator<Item = (u32, Set<'_>)> {
        self.by_count.iter().map(|id| (*id, self.get(*id)))
    }

    /// What `look` makes of a value, as the first shipment that has it spells it.
    pub(in crate::dataset) fn with_spelling<T>(
        &self,
        records: &Records,
        facet: Facet,
        id: u32,
        look: impl FnOnce(&str) -> T,
    ) -> Option<T> {
        records.at(self.get(id).first()?).with_value(facet, look)
    }

    fn bytes(&self) -> u64 {
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
    /// The shipments of the values of `facet`.
    pub(in crate::dataset) fn of(&self, facet: Facet) -> &FacetPostings {
        &self.facets[facet as usize]
    }

    /// The most frequent values of `facet` among all shipments.
    pub(in crate::dataset) fn top(&self, facet: Facet) -> &[FacetCount] {
        &self.top[facet as usize]
    }

    /// The id of a value that shipments in `records` have.
    pub(in crate::dataset) fn id(&self, records: &Records, kind: FacetKind, value: &FoldedKey) -> Option<u32> {
        let hash = Fingerprint::of(value);
        let ids = &self.ids_by_hash[kind as usize];
        let from = ids.partition_point(|(other, _)| *other < hash);
        let mut same_hash = ids[from..].iter().take_while(|(other, _)| *other == hash).map(|(_, id)| *id);
        // A hash is never trusted alone.
        let is_value = |spelling: &str| FoldedKey::new(spelling) == *value;
        same_hash.find(|id| {
            let mut facets = Facet::ALL.into_iter().filter(|facet| FacetKind::of(*facet) == kind);
            facets.find_map(|facet| self.of(facet).with_spelling(records, facet, *id, is_value)) == Some(true)
        })
    }

    /// The ids of the values of the shipment in `records` with that ordinal.
    pub(in crate::dataset) fn value_ids_of(&self, records: &Records, ordinal: u32) -> [u32; FACETS] {
        let id = |kind, value: &str| self.id(records, kind, &FoldedKey::new(value)).unwrap_or(NO_VALUE);
        let place = |place: &Place<'_>| {
            [place.city.map_or(NO_VALUE, |city| id(FacetKind::City, city)), id(FacetKind::Country, place.country)]
        };
        self.value_ids.of(&records.at(ordinal), place)
    }

    /// Memory of all of it.
    pub(in crate::dataset) fn bytes(&self) -> u64 {
        let ids: usize = self.ids_by_hash.iter().map(|ids| size_of_val(&ids[..])).sum();
        let facets: u64 = self.facets.iter().map(FacetPostings::bytes).sum();
        let top = self.top.iter().flatten().map(|top| size_of::<FacetCount>() + top.value.capacity()).sum::<usize>();
        (self.value_ids.bytes() + ids + top) as u64 + facets
    }
}
