//! The pages that people look at.
//!
//! Each is one response, its style, script and texts within: usable after one round trip. They know the API as any client
//! does, and of the settings what is written into them.

mod template;
mod texts;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, HeaderValue, VARY};
use sha2::{Digest, Sha256};

use crate::batch::LOOKUPS_MAX;
use crate::http::access::ANONYMOUS_LOOKUPS_MAX;
use crate::http::access::public::{Anonymous, Public};
use crate::http::request::language::Language;
use crate::http::response::Field;
use crate::http::response::document::{Document, HTML, NO_INDEX, NO_REFERRER};
use template::{escaped, fill};
use texts::Texts;

/// Responses depend on the language that their reader prefers.
const BY_LANGUAGE: Field = (VARY, HeaderValue::from_static("accept-language"));

/// The tracking page, the browsing page, and the page where there is none.
pub struct Pages {
    pub(crate) track: Page,
    pub(crate) browse: Page,
    pub(crate) not_found: Page,
}

/// A page in each language.
pub(crate) struct Page([Document; Language::ALL.len()]);

impl Page {
    /// The page in one language.
    pub(crate) fn in_language(&self, language: Language) -> &Document {
        &self.0[language as usize]
    }
}

impl Pages {
    /// Makes the pages for callers who are allowed what `public` says. They say that data older than `data_age_max` is out of
    /// date.
    pub fn new(data_age_max: Option<Duration>, public: &Public) -> Pages {
        // Whoever comes without a key has no use for links to what needs one.
        let may_do_all = public.anonymous == Anonymous::All;
        let lookups_max = if may_do_all { LOOKUPS_MAX } else { ANONYMOUS_LOOKUPS_MAX };
        let age_max = data_age_max.map_or(String::new(), |age| age.as_secs_f64().to_string());
        let settings = [("age-max", age_max), ("keyless-lookups-max", lookups_max.to_string())];
        let track = Source {
            name: "track",
            path: "/",
            html: include_str!("../assets/ui/track.html"),
            style: include_str!("../assets/ui/track.css"),
            scripts: &[
                include_str!("../assets/ui/page.js"),
                include_str!("../assets/ui/reading.js"),
                include_str!("../assets/ui/lookups.js"),
                include_str!("../assets/ui/track.js"),
            ],
            with_links: may_do_all,
            is_indexed: true,
        };
        let browse = Source {
            name: "browse",
            path: "/browse",
            html: include_str!("../assets/ui/browse.html"),
            style: include_str!("../assets/ui/browse.css"),
            scripts: &[
                include_str!("../assets/ui/page.js"),
                include_str!("../assets/ui/reading.js"),
                include_str!("../assets/ui/lookups.js"),
                include_str!("../assets/ui/rows.js"),
                include_str!("../assets/ui/facets.js"),
                include_str!("../assets/ui/list.js"),
                include_str!("../assets/ui/changes.js"),
                include_str!("../assets/ui/browse.js"),
            ],
            with_links: true,
            is_indexed: false,
        };
        let not_found = Source {
            name: "not_found",
            path: "",
            html: include_str!("../assets/ui/not-found.html"),
            style: include_str!("../assets/ui/not-found.css"),
            scripts: &[],
            with_links: may_do_all,
            is_indexed: false,
        };
        let [track, browse, not_found] = [track, browse, not_found].map(|source| source.page(&settings));
        Pages { track, browse, not_found }
    }
}

/// What a page is made from.
struct Source {
    /// The section of its texts.
    name: &'static str,
    path: &'static str,
    html: &'static str,
    style: &'static str,
    scripts: &'static [&'static str],
    /// True if it has links to pages that not all callers may use.
    with_links: bool,
    /// True if search engines may list it.
    is_indexed: bool,
}

impl Source {
    fn page(&self, settings: &[(&str, String)]) -> Page {
        Page(Language::ALL.map(|language| self.document(language, settings)))
    }

    fn document(&self, language: Language, settings: &[(&str, String)]) -> Document {
        let texts = Texts::of(language);
        let style = [include_str!("../assets/ui/bar.css"), include_str!("../assets/ui/page.css"), self.style].concat();
        let script = sent(&self.scripts.concat());
        let value = |place: &str| match place {
            "lang" => Some(language.tag().to_owned()),
            "style" => Some(style.clone()),
            "script" => Some(script.clone()),
            "texts" => Some(texts.used_by(self.name, &script)),
            "bar" => Some(bar(language, self.path, self.with_links)),
            "foot" => Some(self.foot(&texts, language, settings)),
            place => text(&texts, self.name, place).or_else(|| setting(settings, place)),
        };
        let body = fill(&linked(self.html, self.with_links), value);
        // The policy is printable ASCII; if not, the page may do nothing.
        let policy =
            HeaderValue::try_from(policy(&style, &script)).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        let fields =
            [HTML, NO_REFERRER, (CONTENT_SECURITY_POLICY, policy), (CONTENT_LANGUAGE, language.field()), BY_LANGUAGE];
        Document::new(body, fields.into_iter().chain((!self.is_indexed).then_some(NO_INDEX)))
    }

    /// The end of a page: how old the data is, links, and the switch between languages.
    fn foot(&self, texts: &Texts, language: Language, settings: &[(&str, String)]) -> String {
        let languages = Language::ALL.map(|other| {
            let (tag, name) = (other.tag(), other.own_name());
            let current = if other == language { " aria-current=\"true\"" } else { "" };
            format!("<a href=\"?lang={tag}\" lang=\"{tag}\" hreflang=\"{tag}\"{current}>{name}</a>")
        });
        fill(&linked(include_str!("../assets/ui/foot.html"), self.with_links), |place| match place {
            "languages" => Some(languages.concat()),
            place => text(texts, "page", place).or_else(|| setting(settings, place)),
        })
    }
}

/// What begins a line of a template that only those see who may use the pages that it links to.
const FOR_ALL: &str = "{{for-all}}";

/// `html` without the lines for callers who may do all, or without the mark of these lines.
fn linked(html: &str, with_links: bool) -> String {
    let lines = html.lines().filter(|line| with_links || !line.trim_start().starts_with(FOR_ALL));
    lines.flat_map(|line| [line, "\n"]).collect::<String>().replace(FOR_ALL, "")
}

/// The text in a place such as `text:key` or `text:key name=value`, whose own place `{name}` is filled.
fn text(texts: &Texts, section: &str, place: &str) -> Option<String> {
    let mut words = place.strip_prefix("text:")?.split(' ');
    let text = escaped(texts.text(section, words.next()?)?);
    Some(
        words
            .filter_map(|word| word.split_once('='))
            .fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value)),
    )
}

fn setting(settings: &[(&str, String)], place: &str) -> Option<String> {
    settings.iter().find(|(name, _)| *name == place).map(|(_, value)| value.clone())
}

/// The header of all pages, with the way to each if it is `with_links`. `current` is the path of the page that it is on.
pub(crate) fn bar(language: Language, current: &str, with_links: bool) -> String {
    let texts = Texts::of(language);
    let bar = fill(&linked(include_str!("../assets/ui/bar.html"), with_links), |place| text(&texts, "bar", place));
    let link = |attributes: &str| format!("<a href=\"{current}\"{attributes}>");
    bar.trim_end().replacen(&link(""), &link(" aria-current=\"page\""), 1)
}

/// A script as it is sent: without indentation and lines of comments, a seventh of a page. No text in it has line breaks.
fn sent(script: &str) -> String {
    let is_code = |line: &&str| !line.is_empty() && !["//", "/*", "*"].iter().any(|comment| line.starts_with(comment));
    script.lines().map(str::trim).filter(is_code).flat_map(|line| [line, "\n"]).collect()
}

/// The Content Security Policy (Level 3) of a page: run this script, use this style, connect to this server, nothing
/// else. No text becomes markup, whatever the data holds: the browser itself refuses (Trusted Types).
fn policy(style: &str, script: &str) -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
        hash(script),
        hash(style)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_sent_without_comments() {
        assert_eq!(sent("// a\n\n/**\n * b\n */\nf(\n  \"// c\",\n);\n  /* d */\n"), "f(\n\"// c\",\n);\n");
        let scripts = [
            include_str!("../assets/ui/page.js"),
            include_str!("../assets/ui/reading.js"),
            include_str!("../assets/ui/lookups.js"),
            include_str!("../assets/ui/rows.js"),
            include_str!("../assets/ui/facets.js"),
            include_str!("../assets/ui/list.js"),
            include_str!("../assets/ui/changes.js"),
            include_str!("../assets/ui/track.js"),
            include_str!("../assets/ui/browse.js"),
        ];
        for line in scripts.iter().flat_map(|script| script.lines()) {
            assert!(line.matches('`').count() % 2 == 0, "a text with a line break: {line}");
        }
    }

    #[test]
    fn a_policy_names_the_script_and_the_style_by_hash() {
        // `printf abc | openssl dgst -sha256 -binary | base64`
        let policy = policy("", "abc");
        assert!(policy.contains("script-src 'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='; "), "{policy}");
        assert!(policy.contains("style-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; "), "{policy}");
    }
}
