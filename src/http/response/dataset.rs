//! Responses from a dataset: their header fields are the same until it is replaced.

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, X_CONTENT_TYPE_OPTIONS};

use super::body::Body;
use super::etag::Comparison;
use super::{JSON, NEVER_STORE, NO_SNIFF, REVALIDATE, Response, etag, not_modified, ok};

/// What responses show of the dataset, where not all see everything. Each kind has an entity tag of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// Everything, to those who may see it.
    #[default]
    Ordinary,
    /// The limited view.
    Limited,
    /// The same, after a wrong postcode.
    Unverified,
    /// Everything, to those who know the postcode of the receiver.
    Verified,
}

impl Variant {
    /// All kinds, in their order.
    pub const ALL: [Variant; 4] = [Variant::Ordinary, Variant::Limited, Variant::Unverified, Variant::Verified];

    /// What its entity tags have behind the version.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Variant::Ordinary => "",
            Variant::Limited => "-limited",
            Variant::Unverified => "-unverified",
            Variant::Verified => "-full",
        }
    }
}

/// The header fields of all responses from one dataset that show the same of it. Copying them costs a third of putting them together.
#[derive(Default)]
pub struct DatasetFields {
    etag: Vec<u8>,
    fields: HeaderMap,
}

impl DatasetFields {
    /// The fields for the dataset with this version.
    pub fn new(version: &str, variant: Variant) -> DatasetFields {
        let etag = etag::of_version(&format!("{version}{}", variant.suffix()));
        let caching = if variant == Variant::Verified { NEVER_STORE } else { REVALIDATE };
        DatasetFields {
            etag: etag.as_bytes().to_vec(),
            fields: HeaderMap::from_iter([
                (CONTENT_TYPE, JSON),
                (ETAG, etag),
                (CACHE_CONTROL, caching),
                (X_CONTENT_TYPE_OPTIONS, NO_SNIFF),
            ]),
        }
    }

    /// True if a client that sends `headers` has the responses from the dataset.
    #[inline]
    pub fn are_known(&self, headers: &HeaderMap) -> bool {
        etag::is_known(headers, &self.etag)
    }

    /// True if a client that sends `If-None-Match` with this value has the responses from the dataset.
    pub(crate) fn are_named_in(&self, if_none_match: &[u8]) -> bool {
        etag::names(if_none_match, &self.etag, Comparison::Weak)
    }

    /// 200 with JSON made from the dataset.
    #[inline]
    pub fn ok(&self, body: Body) -> Response {
        ok(&self.fields, body)
    }

    /// 304: the client has what it would get (RFC 9110, section 15.4.5).
    pub fn not_modified(&self) -> Response {
        not_modified(&self.fields)
    }
}
