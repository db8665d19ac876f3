//! Requests for another shard than this one, or for several.

use crate::dataset::Filter;
use crate::http::request::query::{self, TRACKING_NUMBER};
use crate::http::response::Response;
use crate::http::response::problem::{self, Code};
use crate::shard::{Shard, WrongShard};
use crate::shipment::FoldedKey;
use crate::store::Snapshot;

/// 421: another shard has the shipments (RFC 9110, section 15.5.20).
pub(crate) fn wrong_shard(error: &WrongShard) -> Response {
    problem::response(Code::WrongShard, &error.to_string())
}

/// 421, if `snapshot` has not all that `filter`, made of `query`, may let through.
pub(crate) fn refuse(snapshot: &Snapshot, filter: &Filter, query: Option<&str>) -> Option<Response> {
    let shard = snapshot.summary.shard?;
    if filter.tracking_numbers.is_empty() {
        return Some(problem::response(Code::WrongShard, &only_a_part(shard)));
    }
    let number = filter.tracking_numbers.iter().find(|number| !shard.has(number))?;
    // It was decoded before.
    let pairs = query::pairs(query).unwrap_or_default();
    let spelled = pairs.iter().find(|(name, value)| name == TRACKING_NUMBER && FoldedKey::new(value) == *number);
    let spelled = spelled.map_or("", |(_, value)| value.trim());
    shard.check(number, spelled).err().as_ref().map(wrong_shard)
}

fn only_a_part(shard: Shard) -> String {
    let (index, count) = (shard.index(), shard.count());
    format!(
        "this is shard {index} of {count} and has a part of the shipments; give a {TRACKING_NUMBER} that is on it, or ask \
         a server that has all shipments"
    )
}
