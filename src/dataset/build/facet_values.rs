//! Interning the values of facets while a dataset is built.

use crate::dataset::dictionaries::Dictionaries;
use crate::dataset::dictionary::{Interner, SharedDictionary};
use crate::dataset::index::Fingerprint;
use crate::dataset::search::values::{FACET_KINDS, FacetKind, FacetValueIds, NEEDS_WHOLE_ADDRESS, NO_VALUE, PlaceIds};
use crate::place::Place;
use crate::shipment::FoldedKey;

/// Folded values of each kind and their ids, filled by several threads.
pub(super) struct SharedFacetValues([SharedDictionary; FACET_KINDS]);

impl SharedFacetValues {
    pub(super) fn new() -> SharedFacetValues {
        SharedFacetValues(
            FacetKind::ALL.map(|_| {
                SharedDictionary::new(u32::MAX as usize, |name, text| text.extend_from_slice(name.as_bytes()))
            }),
        )
    }

    /// Creates an interner for one of so many threads.
    pub(super) fn interner(&self, threads: usize) -> FacetValueInterner<'_> {
        FacetValueInterner(self.0.each_ref().map(|shared| Interner::new(shared, threads)))
    }

    /// Memory that they take while they are filled.
    pub(super) fn bytes(&self) -> usize {
        self.0.each_ref().map(SharedDictionary::bytes).iter().sum()
    }

    /// Hashes and ids of the values of each kind, sorted by hash.
    pub(super) fn finish(self) -> [Box<[(Fingerprint, u32)]>; FACET_KINDS] {
        self.0.map(|shared| {
            let names = shared.finish();
            let hashed = |id| (Fingerprint::of(&FoldedKey::new(&String::from_utf8_lossy(names.get(id)))), id);
            let mut ids: Box<[_]> = (0..names.len() as u32).map(hashed).collect();
            ids.sort_unstable();
            ids
        })
    }
}

/// One thread's access to [`SharedFacetValues`].
pub(super) struct FacetValueInterner<'n>([Interner<'n>; FACET_KINDS]);

impl FacetValueInterner<'_> {
    /// Memory of the thread's own tables.
    pub(super) fn bytes(&self) -> usize {
        self.0.each_ref().map(Interner::bytes).iter().sum()
    }

    fn id(&mut self, kind: FacetKind, value: &str) -> u32 {
        let folded = FoldedKey::new(value);
        // A dictionary without a limit always returns an id, and folded values are UTF-8.
        let name = std::str::from_utf8(folded.as_bytes()).unwrap_or_default();
        self.0[kind as usize].id(name).unwrap_or(NO_VALUE)
    }

    pub(super) fn place(&mut self, place: &Place<'_>) -> PlaceIds {
        let city = place.city.map_or(NO_VALUE, |city| self.id(FacetKind::City, city));
        [city, self.id(FacetKind::Country, place.country)]
    }
}

/// Assigns ids to the facet values of the entries of `dictionaries`.
pub(super) fn assign_ids(dictionaries: &Dictionaries, interner: &mut FacetValueInterner<'_>) -> FacetValueIds {
    let carriers = dictionaries.carriers().map(|carrier| interner.id(FacetKind::Carrier, &carrier)).collect();
    let statuses = dictionaries.statuses().map(|status| interner.id(FacetKind::Status, &status)).collect();
    let stages = dictionaries.stages().map(|stage| interner.id(FacetKind::Stage, stage.name())).collect();
    let tails = dictionaries.tails().map(|tail| place_of_tail(&tail, interner)).collect();
    FacetValueIds { carriers, statuses, stages, tails }
}

/// Assigns ids to the place of all addresses that end with `tail`, if they have another part before it.
fn place_of_tail(tail: &str, interner: &mut FacetValueInterner<'_>) -> PlaceIds {
    let is_whole = |parts: &str| parts.split(',').skip(1).filter(|part| !part.trim().is_empty()).count() == 2;
    if !is_whole(tail) {
        return [NO_VALUE, NEEDS_WHOLE_ADDRESS];
    }
    Place::of(&format!("street{tail}")).map_or([NO_VALUE; 2], |place| interner.place(&place))
}
