//! What there is of a brand.

use super::color::Palette;
use super::links;
use std::collections::BTreeMap;

/// Languages in which a brand file can have texts of its own, by their tags.
pub const LANGUAGES: [&str; 6] = ["en", "de", "fr", "es", "it", "nl"];

/// What the pages have of a shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand {
    /// Name of the shop, or of this program.
    pub name: String,
    /// True if the name stands beside the logo, which may have it itself.
    pub shows_name: bool,
    /// A picture beside it, as a `data:` URL.
    pub logo: Option<String>,
    /// Colours of light pages, if they are not the usual ones.
    pub light: Option<Palette>,
    /// Colours of dark pages, likewise.
    pub dark: Option<Palette>,
    /// URL of a page or an address for people who need help.
    pub support_url: Option<String>,
    /// URL of a page about privacy.
    pub privacy_url: Option<String>,
    /// Pages of carriers by their folded names, with `{tracking_number}` in them.
    pub carrier_links: BTreeMap<String, String>,
    /// Heading and introduction of the tracking page, by language.
    pub texts: BTreeMap<String, OwnTexts>,
    /// True if the page shows the SKU of articles.
    pub shows_sku: bool,
    /// True if the page shows prices.
    pub shows_prices: bool,
    /// Code of the currency of all prices (ISO 4217).
    pub currency: Option<String>,
}

/// Texts of the tracking page that are a shop's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnTexts {
    /// The heading.
    pub title: Option<String>,
    /// The line below it.
    pub intro: Option<String>,
}

impl Default for Brand {
    /// That of this program.
    fn default() -> Brand {
        Brand {
            name: "Waybill".to_owned(),
            shows_name: true,
            logo: None,
            light: None,
            dark: None,
            support_url: None,
            privacy_url: None,
            carrier_links: links::builtin(),
            texts: BTreeMap::new(),
            shows_sku: true,
            shows_prices: true,
            currency: None,
        }
    }
}
