//! What is to be answered about many shipments: every shipment compared with every filter, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::to_string as quoted;

use super::{Export, Shipment, folded};

/// What shipments are counted by, as answers list it.
pub(crate) const FACETS: [&str; 6] =
    ["carrier", "status", "sender_city", "sender_country", "receiver_city", "receiver_country"];
/// Values of a facet that are listed at most.
const LISTED_MAX: usize = 100;

/// The parameter for what numbers begin with.
pub(crate) const PREFIX: &str = "tracking_number_prefix";

/// Names of parameters and what is asked for.
pub(crate) type Filters = Vec<(&'static str, String)>;

/// City and country of an address.
fn place(address: &str) -> (Option<String>, Option<String>) {
    let parts: Vec<&str> = address.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let [_, .., code_and_city, country] = parts.as_slice() else { return (None, None) };
    let words: Vec<&str> = code_and_city.split_whitespace().collect();
    let has_digit = |word: &&&str| word.chars().any(|c| c.is_ascii_digit());
    let four_digits = words[0].len() == 4 && words[0].chars().all(|c| c.is_ascii_digit());
    let words_of_code = match words.iter().take_while(has_digit).count() {
        0 => return (None, None),
        1 if four_digits
            && words.get(1).is_some_and(|word| word.len() == 2 && word.chars().all(|c| c.is_ascii_uppercase())) =>
        {
            2
        }
        digits => digits.min(2),
    };
    let mut city = *code_and_city;
    for word in &words[..words_of_code] {
        city = city.trim_start().strip_prefix(word).unwrap();
    }
    let city = city.trim();
    (Some(city.to_owned()).filter(|city| !city.is_empty()), Some((*country).to_owned()))
}

/// A shipment's value of a parameter, as it is shown.
pub(crate) fn value(shipment: &Shipment, parameter: &str) -> Option<String> {
    match parameter {
        "tracking_number" => Some(shipment.tracking_number.clone()),
        "carrier" => Some(shipment.carrier.clone()),
        "status" => Some(shipment.status.clone()),
        "sender_city" => place(&shipment.sender_address).0,
        "sender_country" => place(&shipment.sender_address).1,
        "receiver_city" => place(&shipment.receiver_address).0,
        "receiver_country" => place(&shipment.receiver_address).1,
        _ => panic!("no parameter {parameter}"),
    }
}

/// A shipment as queries see it.
struct Seen {
    json: String,
    /// By parameter: folded, and as it is shown.
    values: BTreeMap<&'static str, (String, String)>,
}

/// The shipments of an export, ready to be asked for.
pub(crate) struct Model {
    shipments: Vec<Seen>,
    /// How the first shipment with a value shows it, by parameter and folded value.
    spellings: BTreeMap<(&'static str, String), String>,
}

impl Model {
    pub(crate) fn new(export: &Export) -> Model {
        let mut model = Model { shipments: Vec::new(), spellings: BTreeMap::new() };
        for shipment in &export.shipments {
            let mut values = BTreeMap::new();
            for parameter in ["tracking_number"].into_iter().chain(FACETS) {
                if let Some(shown) = value(shipment, parameter) {
                    let key = (parameter, folded(&shown));
                    model.spellings.entry(key).or_insert_with(|| shown.clone());
                    values.insert(parameter, (folded(&shown), shown));
                }
            }
            model.shipments.push(Seen { json: shipment.json(), values });
        }
        model
    }

    /// As it is shown by a shipment, in file order.
    pub(crate) fn shown(&self, shipment: usize, parameter: &str) -> Option<&str> {
        self.shipments[shipment].values.get(parameter).map(|(_, shown)| shown.as_str())
    }

    pub(crate) fn len(&self) -> usize {
        self.shipments.len()
    }

    fn matching(&self, filters: &Filters) -> Vec<&Seen> {
        let parameters: BTreeSet<&str> = filters.iter().map(|(parameter, _)| *parameter).collect();
        let wanted: Vec<(&str, Vec<String>)> = parameters
            .into_iter()
            .map(|parameter| {
                let values = filters.iter().filter(|(other, _)| *other == parameter);
                (parameter, values.map(|(_, value)| folded(value)).collect())
            })
            .collect();
        let is_wanted = |shipment: &&Seen| {
            wanted.iter().all(|(parameter, values)| {
                let (parameter, is_prefix) =
                    if *parameter == PREFIX { ("tracking_number", true) } else { (*parameter, false) };
                let matches = |folded: &String| {
                    let begins = |prefix: &String| is_prefix && folded.starts_with(prefix.as_str());
                    values.iter().any(|value| value == folded || begins(value))
                };
                shipment.values.get(parameter).is_some_and(|(folded, _)| matches(folded))
            })
        };
        self.shipments.iter().filter(is_wanted).collect()
    }

    /// The matching shipments in the order that `sort` names; an empty one is that of the file.
    fn sorted(&self, filters: &Filters, sort: &str) -> Vec<&Seen> {
        let mut matching = self.matching(filters);
        if !sort.is_empty() {
            // Those of one number stay as they are.
            matching.sort_by_key(|shipment| shipment.values["tracking_number"].0.as_bytes());
        }
        if sort == "-tracking_number" {
            matching.reverse();
        }
        matching
    }

    pub(crate) fn count(&self, filters: &Filters) -> usize {
        self.matching(filters).len()
    }

    /// The page's shipments as JSON.
    pub(crate) fn page(&self, filters: &Filters, sort: &str, offset: u64, limit: usize) -> Vec<String> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        self.sorted(filters, sort).iter().skip(offset).take(limit).map(|shipment| shipment.json.clone()).collect()
    }

    /// Values and how often they are, of each facet.
    pub(crate) fn facets(&self, filters: &Filters) -> Vec<Vec<(String, u64)>> {
        let matching = self.matching(filters);
        let of_facet = |facet: &'static str| {
            let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
            for (folded, _) in matching.iter().filter_map(|shipment| shipment.values.get(facet)) {
                *counts.entry(folded).or_default() += 1;
            }
            let mut counts: Vec<(String, u64)> = counts
                .into_iter()
                .map(|(folded, count)| (self.spellings[&(facet, folded.to_owned())].clone(), count))
                .collect();
            counts.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then(a.cmp(b)));
            counts.truncate(LISTED_MAX);
            counts
        };
        FACETS.into_iter().map(of_facet).collect()
    }
}

/// A query as clients write it.
pub(crate) fn form(pairs: &[(String, String)]) -> String {
    let encoded = |text: &str| {
        let encode = |byte: u8| match byte {
            b' ' => "+".to_owned(),
            b'_' | b'.' | b'-' | b'~' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(encode).collect::<String>()
    };
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| encoded(name) + "=" + &encoded(value)).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// What is answered about a page: `link` makes the URL of the one at an offset.
pub(crate) fn page_body(
    model: &Model,
    filters: &Filters,
    sort: &str,
    offset: u64,
    limit: usize,
    link: impl Fn(u64) -> String,
) -> String {
    let count = model.count(filters);
    let next = offset.checked_add(limit as u64).filter(|next| *next < count as u64);
    let previous = (offset > 0).then(|| offset.saturating_sub(limit as u64));
    let [next, previous] = [next, previous].map(|at| at.map_or("null".to_owned(), |at| quoted(&link(at)).unwrap()));
    let results = model.page(filters, sort, offset, limit).join(",");
    format!(r#"{{"count":{count},"next":{next},"previous":{previous},"results":[{results}]}}"#)
}

pub(crate) fn facets_body(model: &Model, filters: &Filters) -> String {
    let facets: Vec<String> = FACETS
        .into_iter()
        .zip(model.facets(filters))
        .map(|(facet, counts)| {
            let count = |(value, count)| format!(r#"{{"value":{},"count":{count}}}"#, quoted(&value).unwrap());
            format!(r#""{facet}":[{}]"#, counts.into_iter().map(count).collect::<Vec<_>>().join(","))
        })
        .collect();
    format!(r#"{{"count":{},"facets":{{{}}}}}"#, model.count(filters), facets.join(","))
}
