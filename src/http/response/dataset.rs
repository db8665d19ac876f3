//! Responses from a dataset: their header fields are the same until it is replaced.

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, X_CONTENT_TYPE_OPTIONS};

use super::body::Body;
use super::etag::Comparison;
use super::{JSON, NO_SNIFF, REVALIDATE, Response, etag, not_modified, ok};

/// The header fields of all responses from one dataset. Copying them costs a third of putting them together.
#[derive(Default)]
pub struct DatasetFields {
    etag: Vec<u8>,
    fields: HeaderMap,
}

impl DatasetFields {
    /// The fields for a dataset whose entity tag is `etag`.
    pub fn new(etag: HeaderValue) -> DatasetFields {
        DatasetFields {
            etag: etag.as_bytes().to_vec(),
            fields: HeaderMap::from_iter([
                (CONTENT_TYPE, JSON),
                (ETAG, etag),
                (CACHE_CONTROL, REVALIDATE),
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
