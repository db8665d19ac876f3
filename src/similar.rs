//! Suggestions: the known name that an unknown one was probably meant to be.

/// Least similarity of an unknown name to one that is suggested for it, from 0 to 1 (Jaro).
const SIMILARITY_MIN: f64 = 0.75;

/// Finds the name that is nearest to `unknown`, without regard to case, if any is near. Names are ASCII.
pub(crate) fn nearest<'n>(unknown: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let unknown = unknown.to_ascii_lowercase();
    let similarity = |name: &'n str| (strsim::jaro(&unknown, &name.to_ascii_lowercase()), name);
    let nearest = names.into_iter().map(similarity).max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.filter(|(similarity, _)| *similarity >= SIMILARITY_MIN).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_suggested_where_one_is_near() {
        let names = ["tracking_number", "carrier", "status", "sender_city", "limit", "offset"];
        for (unknown, meant) in [
            ("carier", Some("carrier")),
            ("CARRIER", Some("carrier")),
            ("tracking-number", Some("tracking_number")),
            ("trackingNumber", Some("tracking_number")),
            ("state", Some("status")),
            ("senders_city", Some("sender_city")),
            ("q", None),
            ("", None),
            ("x-y", None),
            ("page_size", None),
        ] {
            assert_eq!(nearest(unknown, names), meant, "{unknown}");
        }
        assert_eq!(nearest("carier", []), None);
    }
}
