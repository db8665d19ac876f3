//! What a caller sees of a shipment: all of it, or as much as anybody may know who has its number.

use super::record::Record;
use crate::json::{escape, unescape};
use crate::place::{Place, Postcode};

/// What a caller sees of a shipment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Everything.
    #[default]
    Full,
    /// Number, carrier, status and countries.
    Limited,
    /// The same, and that the caller's postcode is not that of the receiver.
    Unverified,
}

const BEFORE_NUMBER: &[u8] = br#"{"tracking_number":""#;
const BEFORE_CARRIER: &[u8] = br#"","carrier":""#;
const BEFORE_STATUS: &[u8] = br#"","status":""#;
const BEFORE_SENDER_COUNTRY: &[u8] = br#"","sender_country":"#;
const BEFORE_RECEIVER_COUNTRY: &[u8] = br#","receiver_country":"#;
const AFTER_LIMITED: &[u8] = br#","limited":true}"#;
const AFTER_UNVERIFIED: &[u8] = br#","limited":true,"verified":false}"#;

impl Record<'_> {
    /// True if `postcode` is that of the receiver's address.
    pub fn is_received_at(&self, postcode: &Postcode) -> bool {
        postcode.is_of(&unescape(&self.escaped_address(self.parse().receiver)))
    }

    /// Number of bytes that [`Record::render_limited`] appends.
    pub(super) fn limited_bytes(&self, view: View) -> usize {
        let mut rendered = Vec::new();
        self.render_limited(view, &mut rendered);
        rendered.len()
    }

    /// Appends what those see of the shipment who see `view` and not everything, as JSON.
    pub(super) fn render_limited(&self, view: View, out: &mut Vec<u8>) {
        let (record, dictionaries) = (self.parse(), self.dictionaries());
        out.extend_from_slice(BEFORE_NUMBER);
        out.extend_from_slice(record.number.bytes());
        out.extend_from_slice(BEFORE_CARRIER);
        out.extend_from_slice(dictionaries.carriers.get(record.carrier));
        out.extend_from_slice(BEFORE_STATUS);
        out.extend_from_slice(dictionaries.statuses.get(record.status));
        out.extend_from_slice(BEFORE_SENDER_COUNTRY);
        render_country(&self.escaped_address(record.sender), out);
        out.extend_from_slice(BEFORE_RECEIVER_COUNTRY);
        render_country(&self.escaped_address(record.receiver), out);
        out.extend_from_slice(if view == View::Unverified { AFTER_UNVERIFIED } else { AFTER_LIMITED });
    }
}

fn render_country(escaped_address: &[u8], out: &mut Vec<u8>) {
    match Place::of(&unescape(escaped_address)).filter(Place::has_country) {
        Some(place) => {
            out.push(b'"');
            escape(place.country, out);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}
