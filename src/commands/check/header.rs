//! Which column each name of a header probably is.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::words::{self, CURRENCIES, SHORT_FORMS};
use crate::load::ColumnNames;
use crate::shipment::Column;

/// Shortest word that is looked for within a name, and shortest that may be misspelled, in letters.
const WITHIN_LETTERS_MIN: usize = 10;
const SIMILAR_LETTERS_MIN: usize = 6;
/// Least similarity of a misspelled name, from 0 to 1 (Damerau-Levenshtein).
const SIMILARITY_MIN: f64 = 0.85;
/// Most names that are looked at.
const NAMES_MAX: usize = 200;

static WORDS: LazyLock<Vec<Word>> = LazyLock::new(|| Column::ALL.into_iter().flat_map(Word::all_of).collect());
/// Words by their spellings, as indices.
static SPELLINGS: LazyLock<HashMap<String, Vec<usize>>> = LazyLock::new(|| {
    let mut spellings: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, word) in WORDS.iter().enumerate() {
        for spelling in &word.spellings {
            spellings.entry(spelling.clone()).or_default().push(at);
        }
    }
    spellings
});

/// A word for a column.
struct Word {
    column: Column,
    /// 0 for the likeliest one.
    rank: usize,
    /// In full, then in short forms, each reduced to letters.
    spellings: Vec<String>,
}

impl Word {
    fn all_of(column: Column) -> impl Iterator<Item = Word> {
        let words = std::iter::once(column.name()).chain(words::of(column).iter().copied());
        words.enumerate().map(move |(rank, word)| Word { column, rank, spellings: spellings(&letters_of(word)) })
    }

    /// How a name, reduced to letters, is like this word, if it is none of its spellings.
    fn likeness(&self, name: &str) -> Option<Likeness> {
        let word = &self.spellings[0];
        let is_within = |spelling: &String| spelling.len() >= SIMILAR_LETTERS_MIN && name.contains(spelling);
        if word.len() >= WITHIN_LETTERS_MIN && self.spellings.iter().any(is_within) {
            return Some(Likeness::Within);
        }
        let is_long = name.len().min(word.len()) >= SIMILAR_LETTERS_MIN;
        (is_long && strsim::normalized_damerau_levenshtein(name, word) >= SIMILARITY_MIN).then_some(Likeness::Similar)
    }
}

/// How a name is like a column's, likeliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    /// It is what the settings call the column, exactly.
    Given,
    /// It is a word for it, but for case, blanks, punctuation and accents, perhaps in a short form.
    Word,
    /// It has such a word within.
    Within,
    /// It is nearly such a word.
    Similar,
}

/// Columns as they were found among the names of a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Names, as the file spells them.
    pub(super) names: Vec<String>,
    /// Index of the name of each column that was found.
    pub(super) fields: [Option<usize>; Column::ALL.len()],
}

impl Header {
    /// Finds the columns among `names`. `called` are the names that the settings give them.
    pub(super) fn new(names: Vec<String>, called: &ColumnNames) -> Header {
        let mut likely = Vec::new();
        let letters: Vec<String> = names.iter().map(|name| letters_of(name)).collect();
        for (field, name) in names.iter().enumerate().take(NAMES_MAX) {
            // A name that is there twice says nothing.
            if names.iter().filter(|other| *other == name).count() > 1 || letters[field].is_empty() {
                continue;
            }
            likely.extend(called.find(name).map(|column| (Likeness::Given, 0, field, column)));
            likely.extend(words_for(&letters[field]).map(|word| (Likeness::Word, word.rank, field, word.column)));
            let others = WORDS.iter().filter_map(|word| Some((word.likeness(&letters[field])?, word)));
            likely.extend(others.map(|(likeness, word)| (likeness, word.rank, field, word.column)));
        }
        likely.sort_unstable();
        let mut fields = [None; Column::ALL.len()];
        for (_, _, field, column) in likely {
            if fields[column as usize].is_none() && !fields.contains(&Some(field)) {
                fields[column as usize] = Some(field);
            }
        }
        Header { names, fields }
    }

    /// Name of a column that was found.
    pub(super) fn name(&self, column: Column) -> Option<&str> {
        self.fields[column as usize].map(|field| self.names[field].as_str())
    }

    /// Columns that were not found.
    pub(super) fn missing(&self) -> Vec<Column> {
        Column::ALL.into_iter().filter(|column| self.name(*column).is_none()).collect()
    }

    /// Names that are no column's.
    pub(super) fn unplaced(&self) -> Vec<&str> {
        let is_unplaced = |field: &usize| !self.fields.contains(&Some(*field));
        (0..self.names.len()).filter(is_unplaced).map(|field| self.names[field].as_str()).collect()
    }

    /// Names of all columns, if all were found.
    pub(super) fn column_names(&self) -> Option<ColumnNames> {
        if self.missing().is_empty() {
            ColumnNames::new(|column| self.name(column).unwrap_or_default().to_owned())
        } else {
            None
        }
    }
}

/// Number of columns for which there is a word among `names`, or a name that the settings give.
pub(super) fn count_words(names: &[String], called: &ColumnNames) -> usize {
    let mut found = [false; Column::ALL.len()];
    for name in names.iter().take(NAMES_MAX) {
        let letters = letters_of(name);
        let columns = words_for(&letters).map(|word| word.column).chain(called.find(name));
        columns.for_each(|column| found[column as usize] = true);
    }
    found.into_iter().filter(|found| *found).count()
}

/// Words that a name, reduced to letters, is. That of a price may have a currency behind it.
fn words_for(name: &str) -> impl Iterator<Item = &'static Word> {
    let without_currency = CURRENCIES.iter().find_map(|currency| name.strip_suffix(currency)).unwrap_or(name);
    let without_currency = without_currency.strip_suffix("in").unwrap_or(without_currency);
    let of = |name| SPELLINGS.get(name).into_iter().flatten().map(|at| &WORDS[*at]);
    let price = of(without_currency).filter(move |word| word.column == Column::ArticlePrice);
    of(name).chain(price)
}

/// A word and its short forms.
fn spellings(word: &str) -> Vec<String> {
    let short = SHORT_FORMS.into_iter().filter(|(long, _)| word.contains(long));
    let short = short.flat_map(|(long, short)| short.iter().map(move |short| word.replace(long, short)));
    std::iter::once(word.to_owned()).chain(short).collect()
}

/// Reduces a name to lowercase letters and digits without accents. Umlauts and their transcriptions are one.
fn letters_of(name: &str) -> String {
    let mut letters = String::new();
    for character in name.chars().flat_map(char::to_lowercase) {
        match character {
            'à'..='æ' | 'ą' => letters.push('a'),
            'ç' | 'ć' => letters.push('c'),
            'è'..='ë' | 'ę' => letters.push('e'),
            'ì'..='ï' => letters.push('i'),
            'ñ' | 'ń' => letters.push('n'),
            'ò'..='ö' | 'ø' => letters.push('o'),
            'ù'..='ü' => letters.push('u'),
            'ß' => letters.push_str("ss"),
            '#' => letters.push_str("no"),
            'º' | 'ª' => {}
            other if other.is_alphanumeric() => letters.push(other),
            _ => {}
        }
    }
    for (transcribed, letter) in [("ae", "a"), ("oe", "o"), ("ue", "u")] {
        letters = letters.replace(transcribed, letter);
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &str) -> Header {
        Header::new(names.split('|').map(str::to_owned).collect(), &ColumnNames::default())
    }

    fn found(names: &str) -> Vec<Option<String>> {
        let header = header(names);
        Column::ALL.map(|column| header.name(column).map(str::to_owned)).to_vec()
    }

    #[test]
    fn names_are_found_in_other_spellings_and_languages() {
        for names in [
            "tracking_number|carrier|sender_address|receiver_address|article_name|article_quantity|article_price|SKU|status",
            "TRACKING NUMBER|CARRIER|SENDER ADDRESS|RECEIVER ADDRESS|ARTICLE NAME|ARTICLE QUANTITY|ARTICLE PRICE|sku|STATUS",
            "Tracking No.|Courier|Sender|Recipient|Item|Qty|Unit Price|Item No|State",
            "TrackingNr|carrierName|ship-from|ship-to|Product Name|Item Qty|Price (EUR)|SKU Code|Delivery Status",
            "Tracking #|Shipping Company|From|To|Description|Pcs|Price/EUR|Part Number|Shipment Status",
            "Sendungsnr.|Frachtführer|Absender|Empfänger|Artikelbezeichnung|Menge|Einzelpreis|Artikelnr|Status",
            "Paketnummer|Spedition|Adresse Absender|Lieferadresse|Bezeichnung|Stückzahl|Preis in EUR|Artikel-Nr.|Zustand",
            "SENDUNGSNUMMER|Paketdienst|Absenderadresse|Empfaengeradresse|Artikel|Anzahl|Stueckpreis|Bestellnummer|Lieferstatus",
            "N° de suivi|Transporteur|Adresse de l'expéditeur|Adresse du destinataire|Désignation|Quantité|Prix unitaire|Référence|Statut",
            "Numéro de colis|Transporteur|Expéditeur|Destinataire|Article|Qté|Prix|Code article|État",
            "Nº de seguimiento|Transportista|Remitente|Destinatario|Artículo|Cantidad|Precio unitario|Referencia|Estado",
            "Trackign Number|Carrier|Sender Adress|Reciever Address|Article Name|Article Quantitiy|Article Price|SKU|Status",
        ] {
            let expected: Vec<Option<String>> = names.split('|').map(|name| Some(name.to_owned())).collect();
            assert_eq!(found(names), expected, "{names}");
        }
    }

    #[test]
    fn a_name_is_one_columns_alone_and_the_likelier_one_is_taken() {
        let header = header("status|Order Status|Parcel No|Tracking Number|carrier|carrier");
        assert_eq!(header.name(Column::Status), Some("status"));
        assert_eq!(header.name(Column::TrackingNumber), Some("Tracking Number"));
        // What is there twice can be no column.
        assert_eq!((header.name(Column::Carrier), header.missing().len()), (None, 7));
        assert_eq!(header.unplaced(), ["Order Status", "Parcel No", "carrier", "carrier"]);
    }

    #[test]
    fn names_of_other_things_are_not_placed() {
        for name in ["id", "sender_city", "receiver_zip", "weight", "created_at", "customer", "note", "", "   ", "12"] {
            assert_eq!(header(name).missing(), Column::ALL, "{name}");
        }
    }

    #[test]
    fn the_settings_go_before_likely_names() {
        let called: ColumnNames = "carrier=Status,status=x".parse().unwrap();
        let header = Header::new(vec!["Status".to_owned(), "Courier".to_owned()], &called);
        assert_eq!((header.name(Column::Carrier), header.name(Column::Status)), (Some("Status"), None));
    }
}
