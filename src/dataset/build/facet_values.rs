//! Numbering the values of facets.

use crate::dataset::dictionary::{Interner, SharedDictionary};
use crate::dataset::index::Fingerprint;
use crate::dataset::record::Dictionaries;
use crate::dataset::search::values::{ASK_THE_WHOLE, Kind, NOTHING, Numbering, PlaceNumbers};
use crate::shipment::{FoldedKey, Place};

/// FoldedKey values and their numbers, while these are given out.
pub(super) struct Names([SharedDictionary; 4]);

impl Names {
    pub(super) fn new() -> Names {
        Names(
            Kind::ALL.map(|_| {
                SharedDictionary::new(u32::MAX as usize, |name, text| text.extend_from_slice(name.as_bytes()))
            }),
        )
    }

    /// A way for one thread to give out numbers.
    pub(super) fn namer(&self) -> Namer<'_> {
        Namer(self.0.each_ref().map(Interner::new))
    }

    /// The hash and the number of each value of each kind, by hash.
    pub(super) fn finish(self) -> [Box<[(Fingerprint, u32)]>; 4] {
        self.0.map(|shared| {
            let names = shared.finish();
            let hashed =
                |number| (Fingerprint::of(&FoldedKey::new(&String::from_utf8_lossy(names.get(number)))), number);
            let mut numbers: Box<[_]> = (0..names.len() as u32).map(hashed).collect();
            numbers.sort_unstable();
            numbers
        })
    }
}

/// See [`Names::namer`].
pub(super) struct Namer<'n>([Interner<'n>; 4]);

impl Namer<'_> {
    fn number(&mut self, kind: Kind, value: &str) -> u32 {
        let folded = FoldedKey::new(value);
        // A dictionary without a limit always has a number to give, and what is folded is UTF-8.
        let name = std::str::from_utf8(folded.as_bytes()).unwrap_or_default();
        self.0[kind as usize].id(name).unwrap_or(NOTHING)
    }

    pub(super) fn place(&mut self, place: &Place<'_>) -> PlaceNumbers {
        let city = place.city.map_or(NOTHING, |city| self.number(Kind::City, city));
        [city, self.number(Kind::Country, place.country)]
    }
}

/// Gives numbers to the values that `dictionaries` have.
pub(super) fn number(dictionaries: &Dictionaries, namer: &mut Namer<'_>) -> Numbering {
    let carriers = dictionaries.carriers().map(|carrier| namer.number(Kind::Carrier, &carrier)).collect();
    let statuses = dictionaries.statuses().map(|status| namer.number(Kind::Status, &status)).collect();
    let tails = dictionaries.tails().map(|tail| place_of_tail(&tail, namer)).collect();
    Numbering { carriers, statuses, tails }
}

/// The place of every address that ends with `tail`, if something stands before it.
fn place_of_tail(tail: &str, namer: &mut Namer<'_>) -> PlaceNumbers {
    let is_whole = |parts: &str| parts.split(',').skip(1).filter(|part| !part.trim().is_empty()).count() == 2;
    if !is_whole(tail) {
        return [NOTHING, ASK_THE_WHOLE];
    }
    Place::of(&format!("street{tail}")).map_or([NOTHING; 2], |place| namer.place(&place))
}
