//! Places in addresses: postcode, city and country.

use subtle::ConstantTimeEq;

/// Place of an address: `Street 1, 75001 Paris, France` is in Paris, France, with the postcode 75001.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Not blank.
    pub postcode: &'a str,
    /// `None` if nothing follows the postcode.
    pub city: Option<&'a str>,
    /// Not blank.
    pub country: &'a str,
}

impl Place<'_> {
    /// Finds the place of `address`: its last two parts between commas, ignoring blank parts. `None` unless there is at
    /// least one part before them, and the first word of the second-last part has a digit.
    pub fn of(address: &str) -> Option<Place<'_>> {
        let mut parts = address.rsplit(',').map(str::trim).filter(|part| !part.is_empty());
        let (country, code_and_city) = (parts.next()?, parts.next()?);
        parts.next()?;
        let (postcode, city) = split_postcode(code_and_city)?;
        Some(Place { postcode, city: Some(city).filter(|city| !city.is_empty()), country })
    }
    /// True if its country may be one: in some exports a town, or a way to reach the receiver, comes last.
    pub fn has_country(&self) -> bool {
        !self.country.contains(|letter: char| letter.is_numeric() || letter == '@')
    }
}

/// Splits `1016 AB Amsterdam` into postcode and city: leading words with a digit, at most two, and after one of four
/// digits alone a word of two capitals. `None` if the first word has no digit.
fn split_postcode(text: &str) -> Option<(&str, &str)> {
    let first = word(text);
    if !has_digit(first) {
        return None;
    }
    let rest = text[first.len()..].trim_start();
    let second = word(rest);
    let is_number = first.len() == 4 && first.bytes().all(|byte| byte.is_ascii_digit());
    let is_letters = second.len() == 2 && second.bytes().all(|byte| byte.is_ascii_uppercase());
    let city = if has_digit(second) || is_number && is_letters { rest[second.len()..].trim_start() } else { rest };
    Some((text[..text.len() - city.len()].trim_end(), city))
}

/// The first word of a text that begins with one.
fn word(text: &str) -> &str {
    text.split(char::is_whitespace).next().unwrap_or_default()
}

fn has_digit(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

/// A postcode in the form in which postcodes are compared: in lowercase, without blanks and hyphens.
pub struct Postcode(String);

impl Postcode {
    /// Reads `text`. `None` if nothing of it is left.
    pub fn new(text: &str) -> Option<Postcode> {
        let is_part = |letter: &char| !letter.is_whitespace() && !HYPHENS.contains(letter);
        let compared: String = text.chars().filter(is_part).flat_map(char::to_lowercase).collect();
        (!compared.is_empty()).then_some(Postcode(compared))
    }

    /// True if it is that of `address`, which has a country behind its place: without one, house numbers would pass for
    /// postcodes. Which of its characters are right does not show in the time that this takes.
    pub fn is_of(&self, address: &str) -> bool {
        let place = Place::of(address).filter(Place::has_country);
        let own = place.and_then(|place| Postcode::new(place.postcode));
        own.is_some_and(|own| self.0.as_bytes().ct_eq(own.0.as_bytes()).into())
    }
}

/// The hyphens that people write or that programs make of them.
const HYPHENS: [char; 5] = ['-', '\u{ad}', '\u{2010}', '\u{2011}', '\u{2013}'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_what_follows_a_postal_code() {
        let place = |postcode, city, country| Some(Place { postcode, city, country });
        assert_eq!(Place::of("Street 10, 75001 Paris, France"), place("75001", Some("Paris"), "France"));
        assert_eq!(Place::of("a,b , 21000  Novi Sad ,Serbia "), place("21000", Some("Novi Sad"), "Serbia"));
        assert_eq!(Place::of("Street 1,, SW1A London, UK,"), place("SW1A", Some("London"), "UK"));
        assert_eq!(Place::of("Street 1, 75001, France"), place("75001", None, "France"));
        for none in ["", "75001 Paris, France", ", 75001 Paris, France", "Street 1, Paris, France", "a, Paris 1, b"] {
            assert_eq!(Place::of(none), None, "{none}");
        }
    }

    #[test]
    fn postcodes_are_told_from_cities_in_the_forms_of_many_countries() {
        for (text, postcode, city) in [
            ("1010 Wien", "1010", "Wien"),                                   // Austria
            ("1000 Bruxelles", "1000", "Bruxelles"),                         // Belgium
            ("01310-100 S\u{e3}o Paulo", "01310-100", "S\u{e3}o Paulo"),     // Brazil
            ("K1A 0B1 Ottawa", "K1A 0B1", "Ottawa"),                         // Canada
            ("110 00 Praha 1", "110 00", "Praha 1"),                         // Czechia
            ("2100 K\u{f8}benhavn \u{d8}", "2100", "K\u{f8}benhavn \u{d8}"), // Denmark
            ("00100 Helsinki", "00100", "Helsinki"),                         // Finland
            ("75001 Paris", "75001", "Paris"),                               // France
            ("20095 Hamburg", "20095", "Hamburg"),                           // Germany
            ("106 82 \u{391}\u{3b8}\u{3ae}\u{3bd}\u{3b1}", "106 82", "\u{391}\u{3b8}\u{3ae}\u{3bd}\u{3b1}"), // Greece
            ("D02 X285 Dublin", "D02 X285", "Dublin"),                       // Ireland
            ("00184 Roma", "00184", "Roma"),                                 // Italy
            ("100-0001 Tokyo", "100-0001", "Tokyo"),                         // Japan
            ("LV-1050 R\u{12b}ga", "LV-1050", "R\u{12b}ga"),                 // Latvia
            ("1016 AB Amsterdam", "1016 AB", "Amsterdam"),                   // Netherlands
            ("1016AB Amsterdam", "1016AB", "Amsterdam"),
            ("2511  CV  Den Haag", "2511  CV", "Den Haag"),
            ("1430 \u{c5}S", "1430", "\u{c5}S"),         // Norway
            ("00-950 Warszawa", "00-950", "Warszawa"),   // Poland
            ("1000-001 Lisboa", "1000-001", "Lisboa"),   // Portugal
            ("21000 Novi Sad", "21000", "Novi Sad"),     // Serbia
            ("28013 Madrid", "28013", "Madrid"),         // Spain
            ("114 55 Stockholm", "114 55", "Stockholm"), // Sweden
            ("8001 Z\u{fc}rich", "8001", "Z\u{fc}rich"), // Switzerland
            ("SW1A 1AA London", "SW1A 1AA", "London"),   // United Kingdom
            ("M1 1AE Manchester", "M1 1AE", "Manchester"),
            ("10001 New York", "10001", "New York"), // United States
            ("12345 AB Town", "12345", "AB Town"),
            ("1016 Ab Town", "1016", "Ab Town"),
            ("1016 ABC Town", "1016", "ABC Town"),
            ("1 2 3 Town", "1 2", "3 Town"),
        ] {
            let address = format!("Street 1, {text}, Country");
            let expected = Some(Place { postcode, city: Some(city), country: "Country" });
            assert_eq!(Place::of(&address), expected, "{address}");
        }
        for (text, postcode) in [("75001", "75001"), ("114 55", "114 55"), ("1016 AB", "1016 AB")] {
            let address = format!("Street 1, {text}, Country");
            assert_eq!(Place::of(&address), Some(Place { postcode, city: None, country: "Country" }), "{address}");
        }
        // The code stands behind the city, or nowhere: places that cannot be told stay none.
        for none in ["NY 10001", "Ottawa ON K1A 0B1", "London SW1A 1AA", "Hong Kong"] {
            assert_eq!(Place::of(&format!("Street 1, {none}, Country")), None, "{none}");
        }
    }

    #[test]
    fn postcodes_are_compared_without_regard_to_case_blanks_and_hyphens() {
        for (given, address) in [
            ("1016ab", "Herengracht 1, 1016 AB Amsterdam, Netherlands"),
            (" 1016 AB ", "Herengracht 1, 1016AB Amsterdam, Netherlands"),
            ("sw1a1aa", "Downing Street 10, SW1A 1AA London, United Kingdom"),
            ("00950", "ul. Prosta 1, 00-950 Warszawa, Poland"),
            ("00\u{2013}950", "ul. Prosta 1, 00-950 Warszawa, Poland"),
            ("75001", "Street 10, 75001 Paris, France"),
            ("75001", "Street 10, 75001, France"),
        ] {
            assert!(Postcode::new(given).unwrap().is_of(address), "{given} {address}");
        }
        for (given, address) in [
            ("7500", "Street 10, 75001 Paris, France"),
            ("750011", "Street 10, 75001 Paris, France"),
            ("75001paris", "Street 10, 75001 Paris, France"),
            ("Paris", "Street 10, Paris, France"),
            ("10", "Street 10"),
            ("1016", "Herengracht 1, 1016 AB Amsterdam, Netherlands"),
        ] {
            assert!(!Postcode::new(given).unwrap().is_of(address), "{given} {address}");
        }
        assert!(Postcode::new("").is_none() && Postcode::new(" - ").is_none());
    }
}
