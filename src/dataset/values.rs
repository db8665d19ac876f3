//! Which value of each facet a shipment has, by number.
//!
//! A record names its carrier, its status and the ends of its addresses by dictionary numbers. So a value is folded, or
//! looked for in an address, once for each entry of a dictionary, not for each shipment. Where the end of an address
//! does not tell its place, the whole of it is asked.

use super::dictionary::{Interner, SharedDictionary};
use super::index::Fingerprint;
use super::output::Text;
use super::record::{Dictionaries, Record};
use crate::json::unescape;
use crate::shipment::{Facet, Folded, Place};

/// Facets that there are.
pub(super) const FACETS: usize = Facet::ALL.len();
/// The number of the value that folds to nothing: a blank status, or that there is no such place.
pub(super) const NOTHING: u32 = 0;
/// In place of a country: the end of the address does not tell.
const ASK_THE_WHOLE: u32 = u32::MAX;

/// Numbers of a city and a country.
type PlaceNumbers = [u32; 2];

/// What facets have values of: the sender's and the receiver's share their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Carrier,
    Status,
    City,
    Country,
}

impl Kind {
    pub(super) const ALL: [Kind; 4] = [Kind::Carrier, Kind::Status, Kind::City, Kind::Country];

    pub(super) fn of(facet: Facet) -> Kind {
        match facet {
            Facet::Carrier => Kind::Carrier,
            Facet::Status => Kind::Status,
            Facet::SenderCity | Facet::ReceiverCity => Kind::City,
            Facet::SenderCountry | Facet::ReceiverCountry => Kind::Country,
        }
    }

    /// Whether a shipment with [`NOTHING`] is counted: its status is blank, but a place that is not there is none.
    pub(super) fn counts_nothing(self) -> bool {
        self == Kind::Status
    }
}

/// Folded values and their numbers, while these are given out.
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
            let hashed = |number| (Fingerprint::of(&Folded::new(&String::from_utf8_lossy(names.get(number)))), number);
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
        let folded = Folded::new(value);
        // A dictionary without a limit always has a number to give, and what is folded is UTF-8.
        let name = std::str::from_utf8(folded.as_bytes()).unwrap_or_default();
        self.0[kind as usize].id(name).unwrap_or(NOTHING)
    }

    pub(super) fn place(&mut self, place: &Place<'_>) -> PlaceNumbers {
        let city = place.city.map_or(NOTHING, |city| self.number(Kind::City, city));
        [city, self.number(Kind::Country, place.country)]
    }
}

/// From dictionary numbers to numbers of values.
#[derive(Default)]
pub(super) struct Numbering {
    carriers: Box<[u32]>,
    statuses: Box<[u32]>,
    tails: Box<[PlaceNumbers]>,
}

impl Numbering {
    pub(super) fn new(dictionaries: &Dictionaries, namer: &mut Namer<'_>) -> Numbering {
        let carriers = dictionaries.carriers().map(|carrier| namer.number(Kind::Carrier, &carrier)).collect();
        let statuses = dictionaries.statuses().map(|status| namer.number(Kind::Status, &status)).collect();
        let tails = dictionaries.tails().map(|tail| place_of_tail(&tail, namer)).collect();
        Numbering { carriers, statuses, tails }
    }

    /// The numbers of the values of `record`, in the order of [`Facet::ALL`]. `number_place` gives those of a place that
    /// only the whole address tells.
    #[inline]
    pub(super) fn of(
        &self,
        record: &Record<'_>,
        mut number_place: impl FnMut(&Place<'_>) -> PlaceNumbers,
    ) -> [u32; FACETS] {
        let head = record.parse();
        let mut place = |(street, tail): (Text<'_>, u32)| {
            let known = self.tails[tail as usize];
            match known {
                [_, NOTHING] => known,
                [_, ASK_THE_WHOLE] => {
                    let address = record.escaped_address((street, tail));
                    Place::of(&unescape(&address)).map_or([NOTHING; 2], |place| number_place(&place))
                }
                _ if has_part(street.bytes()) => known,
                _ => [NOTHING; 2],
            }
        };
        let [sender_city, sender_country] = place(head.sender);
        let [receiver_city, receiver_country] = place(head.receiver);
        let (carrier, status) = (self.carriers[head.carrier as usize], self.statuses[head.status as usize]);
        [carrier, status, sender_city, sender_country, receiver_city, receiver_country]
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.carriers[..]) + size_of_val(&self.statuses[..]) + size_of_val(&self.tails[..])
    }
}

/// The place of every address that ends with `tail`, if something stands before it.
fn place_of_tail(tail: &str, namer: &mut Namer<'_>) -> PlaceNumbers {
    let is_whole = |parts: &str| parts.split(',').skip(1).filter(|part| !part.trim().is_empty()).count() == 2;
    if !is_whole(tail) {
        return [NOTHING, ASK_THE_WHOLE];
    }
    Place::of(&format!("street{tail}")).map_or([NOTHING; 2], |place| namer.place(&place))
}

/// Whether something other than commas and blanks is in the escaped text.
#[inline]
fn has_part(escaped: &[u8]) -> bool {
    match escaped.first() {
        None => false,
        Some(first) if first.is_ascii_alphanumeric() => true,
        Some(_) => unescape(escaped).split(',').any(|part| !part.trim().is_empty()),
    }
}

impl Record<'_> {
    /// What `look` makes of the shipment's value of `facet`, as the file spells it.
    pub(super) fn with_value<T>(&self, facet: Facet, look: impl FnOnce(&str) -> T) -> Option<T> {
        let head = self.parse();
        let (address, part): (_, fn(Place<'_>) -> Option<&str>) = match facet {
            Facet::Carrier => return Some(look(&self.dictionaries().carrier(head.carrier))),
            Facet::Status => return Some(look(&self.dictionaries().status(head.status))),
            Facet::SenderCity => (head.sender, |place| place.city),
            Facet::SenderCountry => (head.sender, |place| Some(place.country)),
            Facet::ReceiverCity => (head.receiver, |place| place.city),
            Facet::ReceiverCountry => (head.receiver, |place| Some(place.country)),
        };
        Place::of(&unescape(&self.escaped_address(address))).and_then(part).map(look)
    }
}
