//! What the pages have of a brand: its name and mark, colours, links, and what its tracking page shows.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;

use super::template::{escaped, fill, linked, text};
use super::texts::Texts;
use crate::brand::{Brand, Palette};
use crate::http::request::language::Language;

/// What cannot stand in a `data:` URL within double quotes.
const NOT_IN_URL: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>');
/// The accent of pages without a brand, as `bar.css` has it, and text on it.
const ACCENT: (&str, &str) = ("#0e5e4e", "#fff");
/// The letter of this program.
const LETTER: &str = "<path d='M7 10l4 12 5-10 5 10 4-12' fill='none' stroke='#fff' stroke-width='3' \
                      stroke-linecap='round' stroke-linejoin='round'/>";

/// A brand on pages.
pub(super) struct Identity<'b> {
    brand: &'b Brand,
    is_own: bool,
}

impl<'b> Identity<'b> {
    pub(super) fn new(brand: &'b Brand) -> Identity<'b> {
        Identity { brand, is_own: brand.name != Brand::default().name }
    }

    /// What is in places of templates that all pages may have.
    pub(super) fn value(&self, place: &str) -> Option<String> {
        match place {
            "name" => Some(escaped(&self.brand.name)),
            "icon" => Some(self.icon()),
            "settings" => Some(self.settings()),
            _ => None,
        }
    }

    /// The brand's own text in a place of the page `page`, if it has one.
    pub(super) fn text(&self, page: &str, language: Language, place: &str) -> Option<&str> {
        let own = self.brand.texts.get(language.tag()).filter(|_| page == "track")?;
        match place {
            "text:heading" => own.title.as_deref(),
            "text:intro" => own.intro.as_deref(),
            _ => None,
        }
    }

    /// The style of the bar, and colours.
    pub(super) fn style(&self) -> String {
        let palette = |Palette { accent, strong, on_accent, tint, on_tint }: Palette| {
            format!(
                ":root {{ --accent: {accent}; --accent-strong: {strong}; --on-accent: {on_accent}; --tint: {tint}; \
                 --on-tint: {on_tint}; }}"
            )
        };
        let light = self.brand.light.map_or(String::new(), |colors| palette(colors) + "\n");
        let dark = self.brand.dark.map(palette);
        let dark = dark.map_or(String::new(), |rule| format!("@media (prefers-color-scheme: dark) {{ {rule} }}\n"));
        [include_str!("../assets/ui/bar.css"), &light, &dark].concat()
    }

    /// The header of all pages, with the way to each if it is `with_links`. `current` is the path of the page that it is on.
    pub(super) fn bar(&self, texts: &Texts, current: &str, with_links: bool) -> String {
        let bar = fill(&linked(include_str!("../assets/ui/bar.html"), with_links), |place| match place {
            "brand" => Some(self.title()),
            place => text(texts, "bar", place),
        });
        let link = |attributes: &str| format!("<a href=\"{current}\"{attributes}>");
        bar.trim_end().replacen(&link(""), &link(" aria-current=\"page\""), 1)
    }

    /// Links to the brand's own pages.
    pub(super) fn links(&self, texts: &Texts) -> String {
        let Brand { support_url, privacy_url, .. } = self.brand;
        let link = |(url, key): (&Option<String>, &str)| {
            let url = escaped(url.as_deref()?);
            Some(format!("<a href=\"{url}\">{}</a>", text(texts, "page", key)?))
        };
        [(support_url, "text:support"), (privacy_url, "text:privacy")].into_iter().filter_map(link).collect()
    }

    /// The logo, or a mark, and the name.
    fn title(&self) -> String {
        let name = escaped(&self.brand.name);
        match &self.brand.logo {
            Some(logo) if self.brand.shows_name => format!("<img src=\"{}\" alt=\"\">{name}", escaped(logo)),
            Some(logo) => format!("<img src=\"{}\" alt=\"{name}\">", escaped(logo)),
            None => format!("<img src=\"{}\" alt=\"\">{name}", self.icon()),
        }
    }

    /// The mark, for the tab of the browser too.
    fn icon(&self) -> String {
        format!("data:image/svg+xml,{}", utf8_percent_encode(&self.mark(), NOT_IN_URL))
    }

    /// A square with the first letter of the name.
    fn mark(&self) -> String {
        let (accent, on_accent) = self.brand.light.map_or((ACCENT.0.to_owned(), ACCENT.1.to_owned()), |colors| {
            (colors.accent.to_string(), colors.on_accent.to_string())
        });
        let first: String = self.brand.name.chars().take(1).flat_map(char::to_uppercase).collect();
        let letter = format!(
            "<text x='16' y='23' text-anchor='middle' font-family='system-ui,sans-serif' font-size='20' \
             font-weight='700' fill='{on_accent}'>{}</text>",
            escaped(&first)
        );
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' rx='8' \
             fill='{accent}'/>{}</svg>",
            if self.is_own { &letter } else { LETTER }
        )
    }

    /// What the script of the tracking page does as the brand wants it, as JSON that can stand in a `script` element.
    fn settings(&self) -> String {
        let Brand { carrier_links, shows_sku, shows_prices, currency, .. } = self.brand;
        let mut settings = json!({ "links": carrier_links });
        if !shows_sku {
            settings["sku"] = false.into();
        }
        if !shows_prices {
            settings["prices"] = false.into();
        }
        if let Some(code) = currency {
            settings["currency"] = code.as_str().into();
        }
        settings.to_string().replace('<', "\\u003c")
    }
}
