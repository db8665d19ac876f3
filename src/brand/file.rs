//! Brand files: TOML, each key checked, each error with its line.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::color::{CONTRAST_MIN, Color, DARK_BACKGROUND, LIGHT_BACKGROUND, Palette};
use super::definition::{Brand, LANGUAGES};
use super::links::{self, check_link, check_url};
use super::logo;
use crate::similar;

/// Largest brand file.
pub const BRAND_BYTES_MAX: u64 = 128 << 10;
/// Longest name or text, in characters.
const CHARS_MAX: usize = 300;
const KEYS: [&str; 12] = [
    "name",
    "show-name",
    "logo",
    "accent",
    "accent-dark",
    "support-url",
    "privacy-url",
    "carrier-links",
    "texts",
    "show-sku",
    "show-prices",
    "currency",
];

/// An error on a line, from 1.
type LineError = (usize, String);
type Value<'t> = Spanned<DeValue<'t>>;

/// Error of a brand file.
#[derive(Debug, thiserror::Error)]
pub enum BrandError {
    /// The file cannot be read as text.
    #[error("brand file {}: {reason}", path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        reason: String,
    },
    /// A line is invalid.
    #[error("brand file {}, line {line}: {reason}", path.display())]
    Invalid {
        /// Path of the file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The fault, and what is expected.
        reason: String,
    },
}

impl Brand {
    /// Reads a brand file, and the logo that it names.
    pub fn read(path: &Path) -> Result<Brand, BrandError> {
        let text = read_text(path)
            .map_err(|error| BrandError::Unreadable { path: path.to_owned(), reason: error.to_string() })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        parse(&text, folder).map_err(|(line, reason)| BrandError::Invalid { path: path.to_owned(), line, reason })
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let bytes = File::open(path)?.take(BRAND_BYTES_MAX + 1).read_to_string(&mut text)?;
    if bytes as u64 > BRAND_BYTES_MAX {
        return Err(io::Error::other(format!("more than {BRAND_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// Parses the text of a brand file. Paths in it start at `folder`.
fn parse(text: &str, folder: &Path) -> Result<Brand, LineError> {
    let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let document = DeTable::parse(text)
        .map_err(|error| (line(error.span().unwrap_or_default().start), error.message().to_owned()))?;
    let mut brand = Brand::default();
    let (mut accent, mut accent_dark) = (None, None);
    let mut set = |key: &str, value: &Value<'_>| -> Result<(), (usize, String)> {
        let here = |reason: String| (value.span().start, format!("{key}: {reason}"));
        match key {
            "name" => brand.name = words(value).map_err(here)?,
            "show-name" => brand.shows_name = boolean(value).map_err(here)?,
            "logo" => brand.logo = Some(logo::data_url(string(value).map_err(here)?, folder).map_err(here)?),
            "accent" => accent = Some(accent_on(LIGHT_BACKGROUND, value).map_err(here)?),
            "accent-dark" => accent_dark = Some(accent_on(DARK_BACKGROUND, value).map_err(here)?),
            "support-url" => brand.support_url = Some(url(value).map_err(here)?),
            "privacy-url" => brand.privacy_url = Some(url(value).map_err(here)?),
            "show-sku" => brand.shows_sku = boolean(value).map_err(here)?,
            "show-prices" => brand.shows_prices = boolean(value).map_err(here)?,
            "currency" => brand.currency = Some(currency(value).map_err(here)?),
            "carrier-links" => set_links(&mut brand, value)?,
            "texts" => set_texts(&mut brand, value)?,
            unknown => return Err(here(no_such_key(unknown, &KEYS))),
        }
        Ok(())
    };
    let mut entries: Vec<_> = document.get_ref().iter().collect();
    // In the order of the text, so that the first error is named.
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let at_key =
            |(at, reason)| (line(if KEYS.contains(&&**key.get_ref()) { at } else { key.span().start }), reason);
        set(key.get_ref(), value).map_err(at_key)?;
    }
    brand.light = accent.map(Palette::light);
    brand.dark = accent_dark.or_else(|| accent.map(Color::lightened)).map(Palette::dark);
    Ok(brand)
}

fn no_such_key(unknown: &str, keys: &[&str]) -> String {
    match similar::nearest(unknown, keys.iter().copied()) {
        Some(meant) => format!("no such key; did you mean {meant}?"),
        None => format!("no such key; there are {}", keys.join(", ")),
    }
}

fn string<'v>(value: &'v Value<'_>) -> Result<&'v str, String> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text),
        other => Err(format!("expected a text in quotes, got a value of type {}", other.type_str())),
    }
}

/// A text for people.
fn words(value: &Value<'_>) -> Result<String, String> {
    let text = string(value)?.trim();
    if text.is_empty() || text.chars().any(char::is_control) || text.chars().count() > CHARS_MAX {
        return Err(format!("expected a line of 1 to {CHARS_MAX} characters"));
    }
    Ok(text.to_owned())
}

fn boolean(value: &Value<'_>) -> Result<bool, String> {
    match value.get_ref() {
        DeValue::Boolean(is_true) => Ok(*is_true),
        other => Err(format!("expected true or false, got a value of type {}", other.type_str())),
    }
}

fn url(value: &Value<'_>) -> Result<String, String> {
    let url = string(value)?;
    check_url(url, &["https://", "http://", "mailto:"]).map(|()| url.to_owned())
}

fn currency(value: &Value<'_>) -> Result<String, String> {
    let code = string(value)?;
    if code.len() == 3 && code.bytes().all(|letter| letter.is_ascii_uppercase()) {
        return Ok(code.to_owned());
    }
    Err(format!("{code:?} is no code of a currency, such as \"EUR\""))
}

/// An accent that can be read on `background`, as links are.
fn accent_on(background: Color, value: &Value<'_>) -> Result<Color, String> {
    let text = string(value)?;
    let color = Color::parse(text).ok_or_else(|| format!("{text:?} is no colour such as \"#0e5e4e\""))?;
    let contrast = color.contrast(background);
    if contrast >= CONTRAST_MIN {
        return Ok(color);
    }
    let (page, better) = if background == LIGHT_BACKGROUND { ("light", "darker") } else { ("dark", "lighter") };
    // Rounded down: what is refused is never shown as what is needed.
    let contrast = (contrast * 100.0).floor() / 100.0;
    Err(format!(
        "{color} has a contrast of {contrast:.2} to the background {background} of {page} pages; links need \
         {CONTRAST_MIN} (WCAG 2.2, 1.4.3): take a {better} colour"
    ))
}

type OffsetError = (usize, String);

fn table<'e, 't>(value: &'e Value<'t>, name: &str) -> Result<&'e DeTable<'t>, OffsetError> {
    match value.get_ref() {
        DeValue::Table(table) => Ok(table),
        other => {
            Err((value.span().start, format!("{name}: expected a table, got a value of type {}", other.type_str())))
        }
    }
}

/// `carrier-links = false` for none, or a table of links, and of `false` for those that are not wanted.
fn set_links(brand: &mut Brand, value: &Value<'_>) -> Result<(), OffsetError> {
    if let DeValue::Boolean(false) = value.get_ref() {
        brand.carrier_links.clear();
        return Ok(());
    }
    for (carrier, link) in table(value, "carrier-links")? {
        let here = |reason| (link.span().start, format!("carrier-links, {}: {reason}", carrier.get_ref()));
        let folded = carrier.get_ref().trim().to_lowercase();
        match link.get_ref() {
            DeValue::Boolean(false) => drop(brand.carrier_links.remove(&folded)),
            DeValue::String(text) => {
                check_link(text).map_err(here)?;
                brand.carrier_links.insert(folded, text.to_string());
            }
            other => {
                let expected = format!("expected a URL with {} or false", links::PLACE);
                return Err(here(format!("{expected}, got a value of type {}", other.type_str())));
            }
        }
    }
    Ok(())
}

fn set_texts(brand: &mut Brand, value: &Value<'_>) -> Result<(), OffsetError> {
    let at = |key: &Spanned<DeString<'_>>, name: &str, keys: &[&str]| {
        (key.span().start, format!("{name}: {}", no_such_key(key.get_ref(), keys)))
    };
    for (language, texts) in table(value, "texts")? {
        let name = format!("texts.{}", language.get_ref());
        if !LANGUAGES.contains(&&**language.get_ref()) {
            return Err(at(language, &name, &LANGUAGES));
        }
        let own = brand.texts.entry(language.get_ref().to_string()).or_default();
        for (key, text) in table(texts, &name)? {
            let name = format!("{name}.{}", key.get_ref());
            let words = words(text).map_err(|reason| (text.span().start, format!("{name}: {reason}")));
            match key.get_ref().as_ref() {
                "title" => own.title = Some(words?),
                "intro" => own.intro = Some(words?),
                _ => return Err(at(key, &name, &["title", "intro"])),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Brand, LineError> {
        parse(text, Path::new("/nowhere"))
    }

    #[test]
    fn a_file_may_have_all_keys_or_none() {
        assert_eq!(parsed(""), Ok(Brand::default()));
        let text = "name = ' Example Shop '\naccent = '#7a1f5c'\nsupport-url = 'mailto:a@b.example'\nshow-sku = false\n\
                    currency = 'EUR'\n[carrier-links]\nDHL = false\nUps = 'http://u.example/{tracking_number}'\n\
                    [texts.de]\ntitle = 'Hallo'\n";
        let brand = parsed(text).unwrap();
        assert_eq!((&*brand.name, brand.currency.as_deref()), ("Example Shop", Some("EUR")));
        assert!(!brand.shows_sku && brand.shows_prices);
        assert_eq!(brand.carrier_links.get("dhl"), None);
        assert_eq!(brand.carrier_links["ups"], "http://u.example/{tracking_number}");
        assert!(brand.carrier_links.contains_key("gls"));
        assert_eq!(brand.texts["de"].title.as_deref(), Some("Hallo"));
        assert_eq!(brand.light.unwrap().accent.to_string(), "#7a1f5c");
        assert!(brand.dark.is_some());
        assert!(parsed("carrier-links = false").unwrap().carrier_links.is_empty());
    }

    #[test]
    fn an_error_has_its_line_and_what_to_do() {
        for (text, line, reason) in [
            ("name = 'a'\nacent = '#000'", 2, "acent: no such key; did you mean accent?"),
            ("\nzzz = 1", 2, "zzz: no such key; there are name, show-name, "),
            ("name = ' '", 1, "name: expected a line of 1 to 300 characters"),
            ("name = 1", 1, "name: expected a text in quotes, got a value of type integer"),
            ("accent = 'red'", 1, "accent: \"red\" is no colour such as \"#0e5e4e\""),
            (
                "accent = '#ffcc00'",
                1,
                "accent: #ffcc00 has a contrast of 1.36 to the background #f5f3ee of light pages; links need 4.5 \
                 (WCAG 2.2, 1.4.3): take a darker colour",
            ),
            (
                "accent-dark = '#0e5e4e'",
                1,
                "accent-dark: #0e5e4e has a contrast of 2.11 to the background #1c2124 of dark",
            ),
            (
                "\n\nsupport-url = 'ftp://x'",
                3,
                "support-url: \"ftp://x\" is no URL that begins with https:// or http://",
            ),
            ("show-sku = 'no'", 1, "show-sku: expected true or false, got a value of type string"),
            ("currency = 'euro'", 1, "currency: \"euro\" is no code of a currency"),
            ("[carrier-links]\nDHL = 'https://x'", 2, "carrier-links, DHL: \"https://x\" has no {tracking_number}"),
            ("[carrier-links]\nDHL = true", 2, "carrier-links, DHL: expected a URL with {tracking_number} or false"),
            ("carrier-links = true", 1, "carrier-links: expected a table, got a value of type boolean"),
            ("[texts.pl]\ntitle = 'x'", 1, "texts.pl: no such key; there are en, de, "),
            ("[texts.de]\ntitel = 'x'", 2, "texts.de.titel: no such key; did you mean title?"),
            ("logo = 'logo.svg'", 1, "logo: cannot read /nowhere/logo.svg: "),
            ("name = 'a'\nname = 'b'", 2, "duplicate key"),
            ("name = ", 1, ""),
        ] {
            let (found, message) = parsed(text).unwrap_err();
            assert!(found == line && message.starts_with(reason), "{text}: {found}: {message}");
        }
    }
}
