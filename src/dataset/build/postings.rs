//! Finding the postings of a dataset's records.

use super::account::Account;
use super::facet_values::{self, SharedFacetValues};
use super::posting_lists::{self, in_parallel};
use crate::cancel::Cancel;
use crate::dataset::arena::ArenaError;
use crate::dataset::records::Records;
use crate::dataset::search::facets::most_frequent;
use crate::dataset::search::postings::{FacetCount, Postings};
use crate::dataset::search::values::FACETS;
use crate::shipment::Facet;

/// Finds the values of all shipments in `records`, on so many threads.
pub(super) fn find(
    records: &Records,
    threads: usize,
    account: &Account,
    cancel: &Cancel,
) -> Result<Postings, ArenaError> {
    let values = SharedFacetValues::new();
    let value_ids = facet_values::assign_ids(&records.dictionaries, &mut values.interner(1));
    let facets = posting_lists::group(records, threads, &value_ids, &values, account, cancel)?;
    cancel.check()?;
    let top = in_parallel(threads, FACETS, || {
        |facet: usize| {
            let (facet, postings) = (Facet::ALL[facet], &facets[facet]);
            let counts: Vec<_> = postings.by_count().map(|(id, set)| (id, set.len())).collect();
            most_frequent(records, postings, facet, &counts).into_boxed_slice()
        }
    });
    let top = <[Box<[FacetCount]>; FACETS]>::try_from(top).unwrap_or_default();
    Ok(Postings { value_ids, ids_by_hash: values.finish(), facets, top })
}
