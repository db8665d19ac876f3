//! The domain: columns and rows of an export, comparison of values.

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
    /// Stage of the shipment, where a status map tells it.
    Stage,
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
    pub const ALL: [Facet; 7] = [
        Facet::Carrier,
        Facet::Status,
        Facet::Stage,
        Facet::SenderCity,
        Facet::SenderCountry,
        Facet::ReceiverCity,
        Facet::ReceiverCountry,
    ];

    /// The facets of data with stages, or without.
    pub fn of_data(with_stages: bool) -> impl Iterator<Item = Facet> {
        Facet::ALL.into_iter().filter(move |facet| with_stages || *facet != Facet::Stage)
    }

    /// Name in queries and responses.
    pub const fn name(self) -> &'static str {
        match self {
            Facet::Carrier => "carrier",
            Facet::Status => "status",
            Facet::Stage => "stage",
            Facet::SenderCity => "sender_city",
            Facet::SenderCountry => "sender_country",
            Facet::ReceiverCity => "receiver_city",
            Facet::ReceiverCountry => "receiver_country",
        }
    }
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
    fn white_space_alone_folds_to_nothing() {
        assert!(FoldedKey::new(" \t\u{a0}\u{3000}").is_empty());
    }
}
