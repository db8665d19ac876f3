//! Each page as a response, in each language.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, HeaderValue, VARY};
use sha2::{Digest, Sha256};

use super::identity::Identity;
use super::template::{escaped, fill, linked, text};
use super::texts::Texts;
use crate::batch::LOOKUPS_MAX;
use crate::brand::Brand;
use crate::http::access::ANONYMOUS_LOOKUPS_MAX;
use crate::http::access::public::{Anonymous, Public};
use crate::http::request::language::Language;
use crate::http::response::Field;
use crate::http::response::document::{CSS, Document, HTML, JAVASCRIPT, NO_INDEX, NO_REFERRER};

/// Responses depend on the language that their reader prefers.
const BY_LANGUAGE: Field = (VARY, HeaderValue::from_static("accept-language"));

/// What the tracking page loads beside its first answer, as it is sent: made by tests/system/pages/minify.js.
const LATER: &str = include_str!("../assets/ui/later.min.js");

/// The scripts of the browsing page.
const BROWSE_SCRIPTS: [&str; 10] = [
    include_str!("../assets/ui/page.js"),
    include_str!("../assets/ui/key.js"),
    include_str!("../assets/ui/reading.js"),
    include_str!("../assets/ui/lookups.js"),
    include_str!("../assets/ui/patient.js"),
    include_str!("../assets/ui/rows.js"),
    include_str!("../assets/ui/facets.js"),
    include_str!("../assets/ui/list.js"),
    include_str!("../assets/ui/changes.js"),
    include_str!("../assets/ui/browse.js"),
];

/// The tracking page with what it loads later, the browsing page, the page where there is none; and the API reference, with its style.
pub(crate) struct Pages {
    pub(crate) track: Page,
    pub(crate) later: Document,
    pub(crate) browse: Page,
    pub(crate) not_found: Page,
    pub(crate) docs: Document,
    pub(crate) docs_style: Document,
}

/// What of the settings is written into the pages.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageSettings {
    /// Age of the data from which on it is out of date, if there is one.
    pub data_age_max: Option<Duration>,
    /// What callers without a key are allowed.
    pub public: Public,
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
    /// Makes the pages of `brand`.
    pub(super) fn new(settings: &PageSettings, brand: &Brand) -> Pages {
        // Whoever comes without a key has no use for links to what needs one.
        let may_do_all = settings.public.anonymous == Anonymous::All;
        let lookups_max = if may_do_all { LOOKUPS_MAX } else { ANONYMOUS_LOOKUPS_MAX };
        let age_max = settings.data_age_max.map_or(String::new(), |age| age.as_secs_f64().to_string());
        let values = [("age-max", age_max), ("keyless-lookups-max", lookups_max.to_string())];
        let identity = Identity::new(brand);
        let track = Source {
            name: "track",
            path: "/",
            html: include_str!("../assets/ui/track.html"),
            styles: &[include_str!("../assets/ui/track.min.css")],
            // Made of the scripts beside it by tests/system/pages/minify.js: shoppers on phones wait for it.
            scripts: &[include_str!("../assets/ui/track.min.js")],
            later: Some(LATER),
            with_links: may_do_all,
            is_indexed: true,
        };
        let browse = Source {
            name: "browse",
            path: "/browse",
            html: include_str!("../assets/ui/browse.html"),
            styles: &[include_str!("../assets/ui/page.css"), include_str!("../assets/ui/browse.css")],
            scripts: &BROWSE_SCRIPTS,
            later: None,
            with_links: true,
            is_indexed: false,
        };
        let not_found = Source {
            name: "not_found",
            path: "",
            html: include_str!("../assets/ui/not-found.html"),
            styles: &[include_str!("../assets/ui/page.css"), include_str!("../assets/ui/not-found.css")],
            scripts: &[],
            later: None,
            with_links: may_do_all,
            is_indexed: false,
        };
        let [track, browse, not_found] = [track, browse, not_found].map(|source| source.page(&values, &identity));
        let docs = fill(include_str!("../assets/docs/page.html"), |place| match place {
            "bar" => Some(identity.bar(&Texts::of(Language::English), "/docs", true)),
            place => identity.value(place),
        });
        let docs_style = identity.style() + include_str!("../assets/docs/page.css");
        Pages {
            track,
            later: Document::new(LATER, [JAVASCRIPT, NO_INDEX]),
            browse,
            not_found,
            docs: Document::new(docs, [HTML, DOCS_POLICY, NO_REFERRER, NO_INDEX]),
            docs_style: Document::new(docs_style, [CSS]),
        }
    }
}

/// What a page is made from.
struct Source {
    /// The section of its texts.
    name: &'static str,
    path: &'static str,
    html: &'static str,
    styles: &'static [&'static str],
    scripts: &'static [&'static str],
    /// Another script that it may load, and which it asks for by its hash.
    later: Option<&'static str>,
    /// True if it has links to pages that not all callers may use.
    with_links: bool,
    /// True if search engines may list it.
    is_indexed: bool,
}

/// What of a page is the same in all languages.
struct OfAllLanguages<'p> {
    values: &'p [(&'p str, String)],
    identity: &'p Identity<'p>,
    /// The scripts as they are written, and as they are sent.
    scripts: String,
    script: String,
    style: String,
    policy: HeaderValue,
}

impl Source {
    fn page(&self, values: &[(&str, String)], identity: &Identity<'_>) -> Page {
        let scripts = self.scripts.concat();
        let script = sent(&scripts);
        let style = sent_style(&(identity.style() + &self.styles.concat()));
        // The policy is printable ASCII; if not, the page may do nothing.
        let policy = HeaderValue::try_from(policy(&style, &script, self.later))
            .unwrap_or(HeaderValue::from_static("default-src 'none'"));
        let of_all_languages = OfAllLanguages { values, identity, scripts, script, style, policy };
        Page(Language::ALL.map(|language| self.document(language, &of_all_languages)))
    }

    fn document(&self, language: Language, of_all_languages: &OfAllLanguages<'_>) -> Document {
        let OfAllLanguages { values, identity, scripts, script, style, policy } = of_all_languages;
        let texts = Texts::of(language);
        let own = |place: &str| identity.text(self.name, language, place).map(escaped);
        let of_all = |place: &str| {
            own(place)
                .or_else(|| text(&texts, self.name, place))
                .or_else(|| identity.value(place))
                .or_else(|| values.iter().find(|(name, _)| *name == place).map(|(_, value)| value.clone()))
        };
        let value = |place: &str| match place {
            "lang" => Some(language.tag().to_owned()),
            "style" => Some(style.clone()),
            "script" => Some(script.clone()),
            "texts" => Some(texts.used_by(self.name, scripts)),
            "bar" => Some(identity.bar(&texts, self.path, self.with_links)),
            "foot" => {
                Some(fill(&linked(include_str!("../assets/ui/foot.html"), self.with_links), |place| match place {
                    "languages" => Some(languages(language)),
                    "links" => Some(identity.links(&texts)),
                    place => of_all(place),
                }))
            }
            place => of_all(place),
        };
        let body = fill(&linked(self.html, self.with_links), value);
        let policy = (CONTENT_SECURITY_POLICY, policy.clone());
        let fields = [HTML, NO_REFERRER, policy, (CONTENT_LANGUAGE, language.field()), BY_LANGUAGE];
        Document::new(body, fields.into_iter().chain((!self.is_indexed).then_some(NO_INDEX)))
    }
}

/// Links to the page in each language, in its own name; `current` is the one it is in.
fn languages(current: Language) -> String {
    let link = |language: Language| {
        let (tag, name) = (language.tag(), language.own_name());
        let current = if language == current { " aria-current=\"true\"" } else { "" };
        format!("<a href=\"?lang={tag}\" lang=\"{tag}\" hreflang=\"{tag}\"{current}>{name}</a>")
    };
    Language::ALL.map(link).concat()
}

/// A script as it is sent: without indentation and lines of comments, a seventh of a page. No text in it has line breaks.
fn sent(script: &str) -> String {
    let is_code = |line: &&str| !line.is_empty() && !["//", "/*", "*"].iter().any(|comment| line.starts_with(comment));
    script.lines().map(str::trim).filter(is_code).flat_map(|line| [line, "\n"]).collect()
}

/// A style as it is sent: without the blanks that are there for those who write it. No text in it has what looks like them.
fn sent_style(style: &str) -> String {
    let lines = style.lines().map(str::trim).filter(|line| !line.starts_with("/*"));
    let lines: String = lines.flat_map(|line| [line, " "]).collect();
    let blanks = [
        (" { ", "{"),
        ("{ ", "{"),
        (" {", "{"),
        ("; }", "}"),
        (" }", "}"),
        ("} ", "}"),
        ("; ", ";"),
        (": ", ":"),
        (", ", ","),
    ];
    blanks.iter().fold(lines, |style, (wide, narrow)| style.replace(wide, narrow))
}

/// The Content Security Policy (Level 3) of a page: run this script and the one that it loads `later`, use this style,
/// connect to this server, nothing else. No text becomes markup, whatever the data holds: the browser itself refuses
/// (Trusted Types), and leaves the script one rule, which gives the address of the other.
fn policy(style: &str, script: &str, later: Option<&str>) -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; script-src {}{}; style-src {}; connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types {}",
        hash(script),
        later.map_or(String::new(), |later| format!(" {}", hash(later))),
        hash(style),
        later.map_or("'none'", |_| "waybill")
    )
}

/// The policy of the API reference. All that it loads comes from this server; the viewer's style has its icons as `data:` URLs.
const DOCS_POLICY: Field = (
    CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_sent_without_comments() {
        assert_eq!(sent("// a\n\n/**\n * b\n */\nf(\n  \"// c\",\n);\n  /* d */\n"), "f(\n\"// c\",\n);\n");
        for line in BROWSE_SCRIPTS.iter().flat_map(|script| script.lines()) {
            assert!(line.matches('`').count() % 2 == 0, "a text with a line break: {line}");
        }
    }

    #[test]
    fn what_is_sent_of_the_tracking_page_is_made_of_its_scripts() {
        let sources = concat!(
            include_str!("../assets/ui/page.js"),
            include_str!("../assets/ui/reading.js"),
            include_str!("../assets/ui/lookups.js"),
            include_str!("../assets/ui/card.js"),
            include_str!("../assets/ui/track.js"),
            include_str!("../assets/ui/key.js"),
            include_str!("../assets/ui/patient.js"),
            include_str!("../assets/ui/usual.js"),
            include_str!("../assets/ui/limited.js"),
            include_str!("../assets/ui/long.js"),
            include_str!("../assets/ui/follow.js"),
            include_str!("../assets/ui/share.js"),
        );
        let styles = concat!(include_str!("../assets/ui/page.css"), include_str!("../assets/ui/track.css"));
        let (script, style) = (include_str!("../assets/ui/track.min.js"), include_str!("../assets/ui/track.min.css"));
        for (made, sources) in [(script, sources), (style, styles)] {
            let hash = Sha256::digest(sources).iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
            let first = made.lines().next().unwrap();
            assert!(first.contains(&hash), "run `npm ci && node minify.js` in tests/system/pages: {first}");
        }
        // The script asks for the other one by its hash, which the policy has too.
        let later = format!("\"sha256-{}\"", STANDARD.encode(Sha256::digest(LATER)));
        assert!(script.contains(&later), "{later}");
    }

    #[test]
    fn styles_are_sent_without_blanks() {
        let style = "a, b:hover { color: red; margin: 0 1px; }\n@media (x: 1) {\n  c > d { top: 0 }\n}\n";
        assert_eq!(sent_style(style), "a,b:hover{color:red;margin:0 1px}@media (x:1){c > d{top:0}}");
    }

    #[test]
    fn a_policy_names_the_script_and_the_style_by_hash() {
        // `printf abc | openssl dgst -sha256 -binary | base64`
        let (empty, abc) =
            ("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        let alone = policy("", "abc", None);
        assert!(alone.contains(&format!("script-src 'sha256-{abc}'; style-src 'sha256-{empty}'; ")), "{alone}");
        assert!(alone.ends_with("trusted-types 'none'"), "{alone}");
        let with_another = policy("", "abc", Some(""));
        assert!(with_another.contains(&format!("script-src 'sha256-{abc}' 'sha256-{empty}'; ")), "{with_another}");
        assert!(with_another.ends_with("trusted-types waybill"), "{with_another}");
    }
}
