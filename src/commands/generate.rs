//! `waybill generate`: synthetic exports for benches, load tests and first steps. They are realistic, and the same
//! bytes for the same [`Plan`] on every machine, within a version of this crate.
//!
//! Each shipment has a random stream of its own, so [`tracking_number`] and [`carrier`] compute the key of any shipment
//! without the rows before it.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::shipment::Column;

/// Parameters of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Number of shipments, each of 1 to 3 rows.
    pub shipments: u64,
    /// Seed of the random streams.
    pub seed: u64,
}

/// Number of consecutive shipments of which the last has the tracking number of an earlier one and another carrier.
const SHARED_NUMBER_EVERY: u64 = 1000;
/// Number of possible tracking numbers: 9 digits.
const NUMBERS: u64 = 1_000_000_000;
/// Step between tracking numbers. It is coprime to [`NUMBERS`], so every number is visited before one repeats.
const NUMBER_STEP: u64 = 2_654_435_769;
const ARTICLES_MAX: u64 = 3;
const QUANTITY_MAX: u64 = 5;

const CARRIERS: [&str; 10] =
    ["DHL", "UPS", "FedEx", "DPD", "GLS", "Hermes", "Chronopost", "Correos", "PostNL", "Česká pošta"];

const STATUSES: [&str; 8] =
    ["in-transit", "delivered", "inbound-scan", "on-vehicle", "announced", "scanned", "customs", "returned"];

/// A country, streets in it, and postcodes with cities.
type Country = (&'static str, [&'static str; 3], &'static [&'static str]);

const COUNTRIES: [Country; 14] = [
    (
        "Germany",
        ["Hauptstraße", "Ringweg", "Am Markt"],
        &["10115 Berlin", "20144 Hamburg", "80331 München", "50667 Köln", "70173 Stuttgart", "04109 Leipzig"],
    ),
    (
        "France",
        ["Rue Foch", "Rue de Metz", "Rue du Lac"],
        &["75001 Paris", "69002 Lyon", "13001 Marseille", "06000 Nice"],
    ),
    (
        "Spain",
        ["Calle Mayor", "Gran Vía", "Calle Real"],
        &["28013 Madrid", "08002 Barcelona", "29015 Málaga", "15001 A Coruña"],
    ),
    ("Italy", ["Via Roma", "Via Po", "Via Dante"], &["00184 Roma", "20121 Milano", "80133 Napoli"]),
    ("Poland", ["Długa", "aleja Róż", "Rynek"], &["00-001 Warszawa", "90-001 Łódź", "31-042 Kraków", "80-831 Gdańsk"]),
    ("Switzerland", ["Seestrasse", "Quai Rhône", "Marktgasse"], &["8001 Zürich", "1204 Genève", "3011 Bern"]),
    ("Austria", ["Ring", "Wollzeile", "Linzer Gasse"], &["1010 Wien", "8010 Graz", "5020 Salzburg"]),
    ("Netherlands", ["Singel", "Damrak", "Coolsingel"], &["1016 Amsterdam", "3011 Rotterdam", "3512 Utrecht"]),
    ("Belgium", ["Grote Markt", "Rue Neuve", "Meir"], &["1000 Brussels", "2000 Antwerpen", "4000 Liège"]),
    ("Denmark", ["Strøget", "Nørregade", "Havnegade"], &["1050 København", "8000 Aarhus", "5000 Odense"]),
    ("Sweden", ["Storgatan", "Kungsgatan", "Ågatan"], &["11120 Stockholm", "21119 Malmö", "41103 Göteborg"]),
    ("Czechia", ["Národní", "Dlouhá", "Křižíkova"], &["11000 Praha", "60200 Brno", "30100 Plzeň"]),
    ("Serbia", ["Dunavska", "Knez Mihailova", "Zmaj Jovina"], &["21000 Novi Sad", "11000 Beograd"]),
    ("Portugal", ["Rua Augusta", "Rua Sé", "Rua Flores"], &["1100-148 Lisboa", "4050-253 Porto"]),
];

/// Name, prefix of the SKU, lowest price in whole units.
const ARTICLES: [(&str, &str, u64); 14] = [
    ("Laptop", "LP", 700),
    ("Mouse", "MO", 15),
    ("Keyboard", "KB", 40),
    ("Monitor 24\"", "MT", 140),
    ("Monitor 32\", 4K", "MC", 320),
    ("Headphones", "HP", 60),
    ("Smartphone", "SP", 400),
    ("Charger", "CH", 12),
    ("USB-C cable", "UC", 5),
    ("Webcam", "WC", 45),
    ("Docking station", "DS", 120),
    ("Café crème set", "CC", 18),
    ("Desk lamp", "DL", 22),
    ("Router", "RT", 70),
];

/// Writes the plan's shipments as CSV with a header row, about 125 bytes a row.
///
/// # Errors
///
/// Returns the errors of `out`.
pub fn write(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(Column::ALL.map(Column::name))?;
    let (mut sender, mut receiver) = (String::new(), String::new());
    let (mut quantity, mut price, mut sku) = (String::new(), String::new(), String::new());
    for shipment in 0..plan.shipments {
        let (number, carrier) = (tracking_number(plan, shipment), carrier(plan, shipment));
        let mut random = Random::of(plan, shipment, Stream::Contents);
        let status = random.early(&STATUSES);
        random.address(&mut sender);
        random.address(&mut receiver);
        for _ in 0..=random.below(ARTICLES_MAX) {
            let (name, sku_prefix, price_min) = *random.any(&ARTICLES);
            random.price(price_min, &mut price);
            overwrite(&mut quantity, format_args!("{}", 1 + random.low(QUANTITY_MAX)));
            overwrite(&mut sku, format_args!("{sku_prefix}{:03}", random.below(1000)));
            csv.write_record([&number, carrier, &sender, &receiver, name, &quantity, &price, &sku, status])?;
        }
    }
    csv.flush()
}

/// Computes the tracking number of a shipment, counted from 0, as spelled in the file.
pub fn tracking_number(plan: &Plan, shipment: u64) -> String {
    let place = shares_number_of(plan, shipment).unwrap_or(shipment);
    let first = mixed(plan.seed.wrapping_add(STEP)) % NUMBERS;
    let number = (u128::from(place) * u128::from(NUMBER_STEP) + u128::from(first)) % u128::from(NUMBERS);
    format!("TN{number:09}")
}

/// Computes the carrier of a shipment, counted from 0, as spelled in the file.
pub fn carrier(plan: &Plan, shipment: u64) -> &'static str {
    let mut random = Random::of(plan, shipment, Stream::Carrier);
    let Some(other) = shares_number_of(plan, shipment) else { return random.early(&CARRIERS) };
    let taken = carrier(plan, other);
    let free: Vec<&'static str> = CARRIERS.into_iter().filter(|carrier| *carrier != taken).collect();
    random.early(&free)
}

/// Finds the earlier shipment whose tracking number this one shares, if any.
fn shares_number_of(plan: &Plan, shipment: u64) -> Option<u64> {
    let before = SHARED_NUMBER_EVERY - 1;
    let is_last = shipment % SHARED_NUMBER_EVERY == before;
    is_last.then(|| shipment - before + Random::of(plan, shipment, Stream::SharedNumber).below(before))
}

fn overwrite(text: &mut String, value: std::fmt::Arguments<'_>) {
    text.clear();
    // Writing to a String cannot fail.
    let _ = text.write_fmt(value);
}

/// Purposes of a shipment's random numbers, each with a stream of its own so that one does not affect another.
#[derive(Clone, Copy)]
enum Stream {
    SharedNumber,
    Carrier,
    Contents,
}

/// The generator `SplitMix64`.
struct Random(u64);

/// Step of `SplitMix64`: 2^64 over the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl Random {
    fn of(plan: &Plan, shipment: u64, stream: Stream) -> Random {
        let of_seed = mixed(plan.seed.wrapping_add(STEP));
        Random(mixed(of_seed ^ shipment.wrapping_mul(STEP)).wrapping_add(stream as u64))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }

    /// Draws a number from 0 to `end` - 1.
    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// Draws a number from 0 to `end` - 1, lower ones more often.
    fn low(&mut self, end: u64) -> u64 {
        let end = self.below(end) + 1;
        self.below(end)
    }

    fn any<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        &values[self.below(values.len() as u64) as usize]
    }

    /// Draws one of `values`, earlier ones more often.
    fn early<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.low(values.len() as u64) as usize]
    }

    fn address(&mut self, address: &mut String) {
        let (country, streets, cities) = self.any(&COUNTRIES);
        let (street, house, city) = (self.any(streets), 1 + self.below(180), self.any(cities));
        overwrite(address, format_args!("{street} {house}, {city}, {country}"));
    }

    /// Draws a price: half are whole, the others end as prices often do.
    fn price(&mut self, min: u64, price: &mut String) {
        let whole = min + self.below(min);
        match self.below(6) {
            0..3 => overwrite(price, format_args!("{whole}")),
            3 => overwrite(price, format_args!("{whole}.{:02}", self.below(100))),
            4 => overwrite(price, format_args!("{whole}.90")),
            _ => overwrite(price, format_args!("{whole}.99")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const PLAN: Plan = Plan { shipments: 5000, seed: 7 };

    fn bytes(plan: &Plan) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(plan, &mut bytes).unwrap();
        bytes
    }

    fn rows(plan: &Plan) -> Vec<csv::StringRecord> {
        csv::Reader::from_reader(bytes(plan).as_slice()).records().map(Result::unwrap).collect()
    }

    #[test]
    fn one_plan_gives_one_file_and_another_seed_another() {
        assert_eq!(bytes(&PLAN), bytes(&PLAN));
        assert_ne!(bytes(&PLAN), bytes(&Plan { seed: 8, ..PLAN }));
    }

    #[test]
    fn fewer_shipments_are_the_start_of_more() {
        assert!(bytes(&PLAN).starts_with(&bytes(&Plan { shipments: 1234, ..PLAN })));
    }

    /// A change of these bytes makes figures incomparable: make it on purpose.
    #[test]
    fn the_bytes_are_those_of_this_version() {
        assert_eq!(xxhash_rust::xxh3::xxh3_64(&bytes(&PLAN)), 14_220_019_521_936_774_766);
    }

    #[test]
    fn the_keys_of_the_file_are_known_without_it() {
        let mut keys: Vec<(String, String)> =
            rows(&PLAN).iter().map(|row| (row[0].to_owned(), row[1].to_owned())).collect();
        keys.dedup();
        let computed: Vec<(String, String)> = (0..PLAN.shipments)
            .map(|shipment| (tracking_number(&PLAN, shipment), carrier(&PLAN, shipment).to_owned()))
            .collect();
        assert_eq!(keys, computed);
    }

    #[test]
    fn one_number_in_a_thousand_has_two_carriers() {
        let mut carriers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for shipment in 0..PLAN.shipments {
            carriers.entry(tracking_number(&PLAN, shipment)).or_default().push(carrier(&PLAN, shipment));
        }
        let shared: Vec<&Vec<&str>> = carriers.values().filter(|carriers| carriers.len() > 1).collect();
        assert_eq!(shared.len() as u64, PLAN.shipments / SHARED_NUMBER_EVERY);
        assert!(shared.iter().all(|carriers| carriers.len() == 2 && carriers[0] != carriers[1]));
    }

    #[test]
    fn rows_are_as_those_of_a_real_export() {
        let rows = rows(&PLAN);
        let distinct =
            |field: usize| rows.iter().map(|row| row[field].to_owned()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(distinct(1).len(), CARRIERS.len());
        assert_eq!(distinct(8).len(), STATUSES.len());
        assert_eq!(distinct(4).len(), ARTICLES.len());
        assert!(distinct(6).iter().any(|price| price.ends_with(".90")));
        assert!(distinct(2).iter().any(|address| address.ends_with(", 90-001 Łódź, Poland")));
        let bytes_per_row = bytes(&PLAN).len() / rows.len();
        assert!((110..135).contains(&bytes_per_row), "{bytes_per_row}");
    }
}
