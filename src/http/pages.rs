//! The pages that people look at.
//!
//! Each is one response, its style and script within: usable after one round trip. They know the API as any client
//! does, and of the settings what is written into them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use sha2::{Digest, Sha256};

use crate::batch::LOOKUPS_MAX;
use crate::http::access::ANONYMOUS_LOOKUPS_MAX;
use crate::http::access::public::{Anonymous, Public};
use crate::http::response::Field;
use crate::http::response::document::{Document, HTML, NO_INDEX, NO_REFERRER};

/// The tracking page, the browsing page, and the page where there is none.
pub struct Pages {
    pub(crate) track: Document,
    pub(crate) browse: Document,
    pub(crate) not_found: Document,
}

impl Pages {
    /// Makes the pages for callers who are allowed what `public` says. They say that data older than `data_age_max` is out of
    /// date.
    pub fn new(data_age_max: Option<Duration>, public: &Public) -> Pages {
        // Whoever comes without a key has no use for links to what needs one.
        let may_do_all = public.anonymous == Anonymous::All;
        let linked = |link: &str| if may_do_all { link.to_owned() } else { String::new() };
        let lookups_max = if may_do_all { LOOKUPS_MAX } else { ANONYMOUS_LOOKUPS_MAX };
        let age_max = (AGE_MAX, data_age_max.map_or(String::new(), |age| age.as_secs_f64().to_string()));
        let track = page(
            include_str!("assets/ui/track.html"),
            &[
                include_str!("assets/ui/bar.css"),
                include_str!("assets/ui/page.css"),
                include_str!("assets/ui/track.css"),
            ],
            &[include_str!("assets/ui/page.js"), include_str!("assets/ui/track.js")],
            &[
                (BAR, bar("/", may_do_all)),
                (KEYLESS_LOOKUPS_MAX, lookups_max.to_string()),
                (API, linked(API_LINK)),
                age_max.clone(),
            ],
            [],
        );
        let browse = page(
            include_str!("assets/ui/browse.html"),
            &[
                include_str!("assets/ui/bar.css"),
                include_str!("assets/ui/page.css"),
                include_str!("assets/ui/browse.css"),
            ],
            &[include_str!("assets/ui/page.js"), include_str!("assets/ui/browse.js")],
            &[(BAR, bar("/browse", true)), age_max],
            [NO_INDEX],
        );
        let not_found = page(
            include_str!("assets/ui/not-found.html"),
            &[
                include_str!("assets/ui/bar.css"),
                include_str!("assets/ui/page.css"),
                include_str!("assets/ui/not-found.css"),
            ],
            &[],
            &[(BAR, bar("", may_do_all)), (ELSEWHERE, linked(ELSEWHERE_LINKS))],
            [NO_INDEX],
        );
        Pages { track, browse, not_found }
    }
}

/// The header of all pages, with the way to each if it is `with_links`. `current` is the path of the page that it is on.
pub(crate) fn bar(current: &str, with_links: bool) -> String {
    let link = |attributes: &str| format!("<a href=\"{current}\"{attributes}>");
    let bar = include_str!("assets/ui/bar.html").lines().filter(|line| with_links || !line.contains("<nav "));
    bar.collect::<Vec<_>>().join("\n").replacen(&link(""), &link(" aria-current=\"page\""), 1)
}

/// Where a page's header, style and script go, and what of the settings it needs: the age in seconds from which on data is
/// out of date, how many lookups a request without a key may have, and links to the other pages.
const BAR: &str = "{{bar}}";
const STYLE: &str = "{{style}}";
const SCRIPT: &str = "{{script}}";
const AGE_MAX: &str = "{{age-max}}";
const KEYLESS_LOOKUPS_MAX: &str = "{{keyless-lookups-max}}";
const API: &str = "{{api}}";
const API_LINK: &str = "<p><a href=\"/docs\">API reference</a></p>";
const ELSEWHERE: &str = "{{elsewhere}}";
const ELSEWHERE_LINKS: &str = ", <a href=\"/browse\">browse the shipments</a>, or read \
                               <a href=\"/docs\">how programs ask for them</a>";

fn page(
    html: &str,
    styles: &[&str],
    scripts: &[&str],
    settings: &[(&str, String)],
    own_fields: impl IntoIterator<Item = Field>,
) -> Document {
    let (style, script) = (styles.concat(), sent(&scripts.concat()));
    let html = settings.iter().fold(html.to_owned(), |html, (place, value)| html.replacen(place, value, 1));
    let body = html.replacen(STYLE, &style, 1).replacen(SCRIPT, &script, 1);
    // The policy is printable ASCII; if not, the page may do nothing.
    let policy =
        HeaderValue::try_from(policy(&style, &script)).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let fields = [HTML, NO_REFERRER, (CONTENT_SECURITY_POLICY, policy)];
    Document::new(body, fields.into_iter().chain(own_fields))
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
            include_str!("assets/ui/page.js"),
            include_str!("assets/ui/track.js"),
            include_str!("assets/ui/browse.js"),
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
