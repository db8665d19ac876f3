//! Exports with odd carriers, statuses and places, and queries about them, from a seed.

use std::collections::BTreeSet;

use super::folded;
use super::queries::{FACETS, Filters, Model, PREFIX};

const CARRIERS: [&str; 12] = [
    "DHL",
    "dhl",
    " Dhl\u{a0}",
    "UPS",
    "Česká Pošta",
    "ČESKÁ POŠTA",
    "ΟΔΟΣ",
    "οδος",
    "q\"uo\\te & <b>",
    "📦+%",
    "STRASSE",
    "straße",
];
const STATUSES: [&str; 9] =
    ["in-transit", "IN-TRANSIT", "delivered", "", "  ", "zugestellt ✓", "at \"the\" door", "\u{200f}rtl", "a,b\nc"];
const CODES: [&str; 8] = ["1016 AB", "114 55", "10115", "D-1", "00-001", "SW1A", "none", "x"];
const CITIES: [&str; 18] = [
    "Paris",
    "PARIS",
    "paris",
    "Novi Sad",
    "novi  sad",
    "München",
    "MÜNCHEN",
    "Mu\u{308}nchen",
    "İzmir",
    "i\u{307}zmir",
    "ΣΟΦΟΣ",
    "σοφος",
    "σοφοσ",
    "Weißenfels",
    "WEISSENFELS",
    "A \"B\" \\ C",
    "🏙 Ville",
    "",
];
const COUNTRIES: [&str; 9] = ["France", "FRANCE", "Österreich", "österreich", "Ελλάς", "ΕΛΛΆΣ", "Türkiye", "", " "];
const STREETS: [&str; 10] = ["Street 1", "\"Haus\" 7", "", " ", "a, b", ",", "\n2nd line", "\u{a0}", "Łąkowa 3", "\\"];

/// The generator `xorshift64*`.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    fn any<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        &values[self.below(values.len())]
    }

    fn is_one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn address(&mut self, cities: usize) -> String {
        match self.below(24) {
            0 => String::new(),
            1 => "nowhere".to_owned(),
            2 => "two,parts".to_owned(),
            3 => "10115 Berlin, Germany".to_owned(),
            form => {
                let (street, code, country) = (*self.any(&STREETS), *self.any(&CODES), *self.any(&COUNTRIES));
                let city = match self.below(cities) {
                    city if city < CITIES.len() => CITIES[city].to_owned(),
                    city => format!("City {city}"),
                };
                let blanks = ["", " ", "\u{2003}"][form % 3];
                let end = ["", ",", ", ,"][usize::from(form > 20) + usize::from(form > 22)];
                format!("{street},{blanks}{code} {blanks}{city},{blanks}{country}{end}")
            }
        }
    }

    /// A file of so many shipments, in some of as many cities and more. The rows of a few stand far apart.
    pub(crate) fn export(&mut self, shipments: usize, cities: usize) -> String {
        let mut file = super::COLUMNS.join(",") + "\n";
        let mut later = Vec::new();
        let mut keys = BTreeSet::new();
        for shipment in 0..shipments {
            let (number, carrier) = loop {
                let number = format!("TN{}ß", self.below(shipments));
                let number = [number.clone(), number.to_uppercase(), format!(" {number}")][self.below(3)].clone();
                let carrier = *self.any(&CARRIERS);
                if keys.insert((folded(&number), folded(carrier))) {
                    break (number, carrier);
                }
            };
            let (sender, receiver) = (self.address(cities), self.address(cities));
            let status = *self.any(&STATUSES);
            for article in 0..=self.below(3) {
                let sku = format!("SKU{shipment}-{article}");
                let row = [&number, carrier, &sender, &receiver, "Monitor 24\"", "1", "19.90", &sku, status];
                let row = row.map(|field| format!("\"{}\"", field.replace('"', "\"\""))).join(",") + "\n";
                if article > 0 && self.is_one_in(9) {
                    later.push(row);
                } else {
                    file += &row;
                }
            }
        }
        for _ in 0..later.len() {
            let row = later.swap_remove(self.below(later.len()));
            file += &row;
        }
        file
    }

    /// One to three parameters, each with a value or a few: mostly such as a shipment has.
    pub(crate) fn filters(&mut self, model: &Model) -> Filters {
        let mut filters = Filters::new();
        for _ in 0..self.below(4) {
            let parameter = match self.below(9) {
                0 => "tracking_number",
                8 => PREFIX,
                other => FACETS[other % FACETS.len()],
            };
            for _ in 0..=[0, 0, 0, 1, 5][self.below(5)] {
                let column = if parameter == PREFIX { "tracking_number" } else { parameter };
                let mut shown = model.shown(self.below(model.len()), column).unwrap_or("nowhere");
                if parameter == PREFIX {
                    let ends: Vec<usize> = shown.char_indices().map(|(at, _)| at).skip(1).collect();
                    shown = &shown[..ends[self.below(ends.len())]];
                }
                let asked = match self.below(6) {
                    0 => shown.to_uppercase(),
                    1 => shown.to_lowercase(),
                    2 => format!("\u{2003}{shown}\t"),
                    3 => shown.trim().to_owned(),
                    4 if self.is_one_in(4) => format!("{shown}x"),
                    _ => shown.to_owned(),
                };
                // Nothing can be asked for by a blank value.
                if !folded(&asked).is_empty() {
                    filters.push((parameter, asked));
                }
            }
        }
        filters
    }

    /// Somewhere among `count` shipments, at their end, or beyond.
    pub(crate) fn offset(&mut self, count: usize) -> u64 {
        let offset = match self.below(8) {
            0 | 1 => 0,
            2 => count,
            3 => count.saturating_sub(1),
            4 => count + self.below(50),
            5 => return u64::MAX - self.below(3) as u64,
            _ => self.below(count + 1),
        };
        offset as u64
    }

    /// A value of `sort`, or nothing.
    pub(crate) fn sort(&mut self) -> &'static str {
        ["", "", "tracking_number", "-tracking_number"][self.below(4)]
    }

    pub(crate) fn limit(&mut self) -> usize {
        [1, 2, 3, 7, 10, 100, 101, 1000][self.below(8)]
    }
}
