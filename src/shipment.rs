//! The domain: columns and rows of an export, comparison of values, places in addresses.

use smallvec::SmallVec;

/// Column that every export must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// Number printed on the parcel. Not unique: carriers reuse numbers.
    TrackingNumber,
    /// Carrier of the parcel.
    Carrier,
    /// Address of the sender.
    SenderAddress,
    /// Address of the receiver.
    ReceiverAddress,
    /// Name of the article.
    ArticleName,
    /// Quantity of the article: an integer up to 4294967295.
    ArticleQuantity,
    /// Price of one piece, as a decimal number.
    ArticlePrice,
    /// Stock keeping unit of the article.
    Sku,
    /// Status of the shipment, in the carrier's words.
    Status,
}

impl Column {
    /// All columns, in the order of the documentation.
    pub const ALL: [Column; 9] = [
        Column::TrackingNumber,
        Column::Carrier,
        Column::SenderAddress,
        Column::ReceiverAddress,
        Column::ArticleName,
        Column::ArticleQuantity,
        Column::ArticlePrice,
        Column::Sku,
        Column::Status,
    ];

    /// Columns that must be equal in all rows of one shipment.
    pub const SHARED: [Column; 3] = [Column::SenderAddress, Column::ReceiverAddress, Column::Status];

    /// Default name in the header row.
    pub const fn name(self) -> &'static str {
        match self {
            Column::TrackingNumber => "tracking_number",
            Column::Carrier => "carrier",
            Column::SenderAddress => "sender_address",
            Column::ReceiverAddress => "receiver_address",
            Column::ArticleName => "article_name",
            Column::ArticleQuantity => "article_quantity",
            Column::ArticlePrice => "article_price",
            Column::Sku => "SKU",
            Column::Status => "status",
        }
    }
}

/// Checked row: one article of one shipment, each field as the file spells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row<'a> {
    /// Not blank.
    pub tracking_number: &'a str,
    /// Not blank.
    pub carrier: &'a str,
    /// May be empty.
    pub sender_address: &'a str,
    /// May be empty.
    pub receiver_address: &'a str,
    /// May be empty.
    pub article_name: &'a str,
    /// `0|[1-9][0-9]*`, at most 4294967295.
    pub article_quantity: &'a str,
    /// `(0|[1-9][0-9]*)(\.[0-9]+)?`, at most 18 digits.
    pub article_price: &'a str,
    /// May be empty.
    pub sku: &'a str,
    /// May be empty.
    pub status: &'a str,
}

impl Row<'_> {
    /// Returns whether `other` equals this row in everything but the article, so that both are of one shipment.
    pub fn continues(&self, other: &Row<'_>) -> bool {
        self.tracking_number == other.tracking_number
            && self.carrier == other.carrier
            && self.status == other.status
            && self.sender_address == other.sender_address
            && self.receiver_address == other.receiver_address
    }
}

/// Property that shipments are filtered by and counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facet {
    /// Carrier of the parcel.
    Carrier,
    /// Status of the shipment.
    Status,
    /// City of the sender's address.
    SenderCity,
    /// Country of the sender's address.
    SenderCountry,
    /// City of the receiver's address.
    ReceiverCity,
    /// Country of the receiver's address.
    ReceiverCountry,
}

impl Facet {
    /// All facets, in the order of responses.
    pub const ALL: [Facet; 6] = [
        Facet::Carrier,
        Facet::Status,
        Facet::SenderCity,
        Facet::SenderCountry,
        Facet::ReceiverCity,
        Facet::ReceiverCountry,
    ];

    /// Name in queries and responses.
    pub const fn name(self) -> &'static str {
        match self {
            Facet::Carrier => "carrier",
            Facet::Status => "status",
            Facet::SenderCity => "sender_city",
            Facet::SenderCountry => "sender_country",
            Facet::ReceiverCity => "receiver_city",
            Facet::ReceiverCountry => "receiver_country",
        }
    }
}

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

/// Longest folded value that needs no allocation, in bytes.
const FOLDED_INLINE_BYTES: usize = 40;

/// Makes the first `len` of `bytes`, or some more, ASCII lowercase. Returns whether they are printable ASCII without blanks;
/// if not, what they are then has no meaning.
#[inline]
fn lower_plain(bytes: &mut [u8; FOLDED_INLINE_BYTES], len: usize) -> bool {
    let mut is_plain = true;
    let (words, _) = bytes.as_chunks_mut::<{ size_of::<u64>() }>();
    for word in &mut words[..len.div_ceil(size_of::<u64>())] {
        let (lowered, is_plain_word) = lower_plain_word(u64::from_ne_bytes(*word));
        *word = lowered.to_ne_bytes();
        is_plain &= is_plain_word;
    }
    is_plain
}

/// The same for eight bytes at once.
#[inline]
fn lower_plain_word(word: u64) -> (u64, bool) {
    // The high bit of each byte that is at least `least`, as far as it is ASCII: no sum carries to the next byte.
    let at_least = |least: u8| (word & !HIGH_BITS).wrapping_add(u64::from(0x80 - least) * EACH_BYTE);
    let is_plain = (word | !at_least(b'!') | at_least(0x7f)) & HIGH_BITS == 0;
    (lower_word(word), is_plain)
}

/// Makes eight bytes ASCII lowercase.
#[inline]
fn lower_word(word: u64) -> u64 {
    let low = word & !HIGH_BITS;
    let at_least = |least: u8| low.wrapping_add(u64::from(0x80 - least) * EACH_BYTE);
    let upper = at_least(b'A') & !at_least(b'Z' + 1) & !word & HIGH_BITS;
    word | upper >> 2
}

/// A one in each byte of a word, and the high bit of each.
const EACH_BYTE: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x80 * EACH_BYTE;

/// True if `text` becomes `lower` by ASCII lowercase.
#[inline]
fn is_ascii_lowercase_of(lower: &[u8], text: &[u8]) -> bool {
    if lower.len() != text.len() {
        return false;
    }
    let (Some(lower_end), Some(text_end)) = (lower.last_chunk(), text.last_chunk()) else {
        return lower.iter().zip(text).all(|(own, other)| *own == other.to_ascii_lowercase());
    };
    let is_word =
        |(own, other): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*own) == lower_word(u64::from_ne_bytes(*other));
    // The last word may overlap the one before.
    is_word((lower_end, text_end)) && lower.as_chunks().0.iter().zip(text.as_chunks().0).all(is_word)
}

/// Value in the form in which values are compared, called folded: trimmed, then in Unicode lowercase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FoldedKey(SmallVec<[u8; FOLDED_INLINE_BYTES]>);

impl FoldedKey {
    /// Folds `text`.
    #[inline]
    pub fn new(text: &str) -> FoldedKey {
        // Nearly all values are short, and printable ASCII without blanks.
        if text.len() <= FOLDED_INLINE_BYTES {
            let mut bytes = [b'a'; FOLDED_INLINE_BYTES];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            if lower_plain(&mut bytes, text.len()) {
                return FoldedKey(SmallVec::from_buf_and_len(bytes, text.len()));
            }
        }
        FoldedKey::folded(text)
    }

    /// Folds any text.
    #[cold]
    fn folded(text: &str) -> FoldedKey {
        FoldedKey(SmallVec::from_slice(text.trim().to_lowercase().as_bytes()))
    }

    /// Returns whether `text` becomes this key by ASCII lowercase alone.
    #[inline]
    pub fn is_lowercase_of(&self, text: &[u8]) -> bool {
        is_ascii_lowercase_of(&self.0, text)
    }

    /// Returns whether folding `text` gives `folded`, another folded value: nearly always without folding it.
    #[inline]
    pub fn is_spelled(folded: &[u8], text: &str) -> bool {
        if is_ascii_lowercase_of(folded, text.as_bytes()) {
            return true;
        }
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        !is_plain && FoldedKey::new(text).as_bytes() == folded
    }

    /// The folded text, UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns whether the key is empty: nothing but white space was folded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn plain_texts_are_those_of_printable_ascii_and_become_lowercase(text in "[\\x00-\\x7f]{0,40}|[!-~]{0,40}|\\PC{0,10}") {
            let mut bytes = [b'a'; FOLDED_INLINE_BYTES];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            let is_plain = lower_plain(&mut bytes, text.len());
            prop_assert_eq!(is_plain, text.bytes().all(|byte| byte.is_ascii_graphic()));
            if is_plain {
                let lowered = text.to_ascii_lowercase();
                prop_assert_eq!(&bytes[..text.len()], lowered.as_bytes());
            }
        }

        #[test]
        fn a_text_is_a_spelling_of_what_it_is_folded_to_and_of_nothing_else(
            text in "[ aAbB\u{e9}\u{c9}\u{3a3}\u{130}]{0,20}", other in "[ aAbB\u{e9}\u{c9}\u{3c3}\u{3c2}]{0,20}", upper: bool,
        ) {
            let spelled = if upper { text.to_ascii_uppercase() } else { text.clone() };
            prop_assert!(FoldedKey::is_spelled(FoldedKey::new(&text).as_bytes(), &spelled));
            let (folded, text) = (FoldedKey::new(&other), FoldedKey::new(&text));
            prop_assert_eq!(FoldedKey::is_spelled(folded.as_bytes(), &spelled), folded == text);
            let lowered = spelled.to_ascii_lowercase();
            prop_assert!(is_ascii_lowercase_of(lowered.as_bytes(), spelled.as_bytes()));
            prop_assert_eq!(is_ascii_lowercase_of(other.as_bytes(), spelled.as_bytes()), other == lowered);
        }

        #[test]
        fn folding_is_trimming_and_unicode_lowercase(text in "\\PC{0,60}") {
            let folded = FoldedKey::new(&text);
            let expected = text.trim().to_lowercase();
            prop_assert_eq!(folded.as_bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn a_final_sigma_folds_as_the_standard_library_does() {
        assert_eq!(FoldedKey::new(" ΟΔΟΣ\u{a0}").as_bytes(), "οδος".as_bytes());
        assert_eq!(FoldedKey::new("İ").as_bytes(), "i̇".as_bytes());
    }

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
    fn white_space_alone_folds_to_nothing() {
        assert!(FoldedKey::new(" \t\u{a0}\u{3000}").is_empty());
    }
}
