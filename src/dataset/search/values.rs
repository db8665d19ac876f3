//! Values of facets: which ones a shipment has, by id.
//!
//! A record names its carrier, its status and the ends of its addresses by dictionary ids. So a value is folded, or
//! found in an address, once for each entry of a dictionary, not for each shipment. Only if the end of an address does
//! not tell its place, the whole address is parsed.

use crate::dataset::output::Text;
use crate::dataset::record::Record;
use crate::json::unescape;
use crate::place::Place;
use crate::shipment::Facet;

/// Number of facets.
pub(in crate::dataset) const FACETS: usize = Facet::ALL.len();
/// Number of kinds of values.
pub(in crate::dataset) const FACET_KINDS: usize = 5;
/// Id of the empty value: a blank status, or no such place or stage.
pub(in crate::dataset) const NO_VALUE: u32 = 0;
/// Stands for a country if the end of the address does not tell the place.
pub(in crate::dataset) const NEEDS_WHOLE_ADDRESS: u32 = u32::MAX;

/// Ids of a city and a country.
pub(in crate::dataset) type PlaceIds = [u32; 2];

/// Kind of a facet's values. Facets of the sender and the receiver share their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dataset) enum FacetKind {
    Carrier,
    Status,
    Stage,
    City,
    Country,
}

impl FacetKind {
    pub(in crate::dataset) const ALL: [FacetKind; FACET_KINDS] =
        [FacetKind::Carrier, FacetKind::Status, FacetKind::Stage, FacetKind::City, FacetKind::Country];

    pub(in crate::dataset) fn of(facet: Facet) -> FacetKind {
        match facet {
            Facet::Carrier => FacetKind::Carrier,
            Facet::Status => FacetKind::Status,
            Facet::Stage => FacetKind::Stage,
            Facet::SenderCity | Facet::ReceiverCity => FacetKind::City,
            Facet::SenderCountry | Facet::ReceiverCountry => FacetKind::Country,
        }
    }

    /// Returns whether [`NO_VALUE`] is counted as a value: a blank status is, a missing place or stage is not.
    pub(in crate::dataset) fn counts_no_value(self) -> bool {
        self == FacetKind::Status
    }
}

/// Maps the dictionary ids in records to ids of facet values.
pub(in crate::dataset) struct FacetValueIds {
    pub(in crate::dataset) carriers: Box<[u32]>,
    pub(in crate::dataset) statuses: Box<[u32]>,
    /// Stages of the statuses; empty without stages.
    pub(in crate::dataset) stages: Box<[u32]>,
    pub(in crate::dataset) tails: Box<[PlaceIds]>,
}

impl FacetValueIds {
    /// Ids of the values of `record`, in the order of [`Facet::ALL`]. `place_ids` is called for a place that only the
    /// whole address tells.
    #[inline]
    pub(in crate::dataset) fn of(
        &self,
        record: &Record<'_>,
        mut place_ids: impl FnMut(&Place<'_>) -> PlaceIds,
    ) -> [u32; FACETS] {
        let head = record.parse();
        let mut place = |(street, tail): (Text<'_>, u32)| {
            let known = self.tails[tail as usize];
            match known {
                [_, NO_VALUE] => known,
                [_, NEEDS_WHOLE_ADDRESS] => {
                    let address = record.escaped_address((street, tail));
                    Place::of(&unescape(&address)).map_or([NO_VALUE; 2], |place| place_ids(&place))
                }
                _ if has_part(street.bytes()) => known,
                _ => [NO_VALUE; 2],
            }
        };
        let [sender_city, sender_country] = place(head.sender);
        let [receiver_city, receiver_country] = place(head.receiver);
        let (carrier, status) = (self.carriers[head.carrier as usize], self.statuses[head.status as usize]);
        let stage = self.stages.get(head.status as usize).copied().unwrap_or(NO_VALUE);
        [carrier, status, stage, sender_city, sender_country, receiver_city, receiver_country]
    }

    pub(in crate::dataset) fn bytes(&self) -> usize {
        let statuses = size_of_val(&self.statuses[..]) + size_of_val(&self.stages[..]);
        size_of_val(&self.carriers[..]) + statuses + size_of_val(&self.tails[..])
    }
}

/// Returns whether the escaped text has anything but commas and blanks.
#[inline]
fn has_part(escaped: &[u8]) -> bool {
    match escaped.first() {
        None => false,
        Some(first) if first.is_ascii_alphanumeric() => true,
        Some(_) => unescape(escaped).split(',').any(|part| !part.trim().is_empty()),
    }
}

impl Record<'_> {
    /// Calls `read` with the shipment's value of `facet`, as the file spells it; `None` if it has none.
    pub(in crate::dataset) fn with_value<T>(&self, facet: Facet, read: impl FnOnce(&str) -> T) -> Option<T> {
        let head = self.parse();
        let (address, part): (_, fn(Place<'_>) -> Option<&str>) = match facet {
            Facet::Carrier => return Some(read(&self.dictionaries().carrier(head.carrier))),
            Facet::Status => return Some(read(&self.dictionaries().status(head.status))),
            Facet::Stage => return self.dictionaries().stage(head.status).map(|stage| read(stage.name())),
            Facet::SenderCity => (head.sender, |place| place.city),
            Facet::SenderCountry => (head.sender, |place| Some(place.country)),
            Facet::ReceiverCity => (head.receiver, |place| place.city),
            Facet::ReceiverCountry => (head.receiver, |place| Some(place.country)),
        };
        Place::of(&unescape(&self.escaped_address(address))).and_then(part).map(read)
    }
}
