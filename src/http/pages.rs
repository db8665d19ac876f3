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

/// The tracking page and the browsing page.
pub struct Pages {
    pub(crate) track: Document,
    pub(crate) browse: Document,
}

impl Pages {
    /// Makes the pages for callers who are allowed what `public` says. They say that data older than `data_age_max` is out of
    /// date.
    pub fn new(data_age_max: Option<Duration>, public: &Public) -> Pages {
        let may_do_all = public.anonymous == Anonymous::All;
        let lookups_max = if may_do_all { LOOKUPS_MAX } else { ANONYMOUS_LOOKUPS_MAX };
        let settings = [
            (AGE_MAX, data_age_max.map_or(String::new(), |age| age.as_secs_f64().to_string())),
            (KEYLESS_LOOKUPS_MAX, lookups_max.to_string()),
            // Whoever comes without a key has no use for what needs one.
            (SITE, if may_do_all { SITE_LINKS } else { "" }.to_owned()),
            (API, if may_do_all { API_LINK } else { "" }.to_owned()),
        ];
        let track = page(
            include_str!("assets/ui/track.html"),
            concat!(include_str!("assets/ui/page.css"), include_str!("assets/ui/track.css")),
            concat!(include_str!("assets/ui/page.js"), include_str!("assets/ui/track.js")),
            &settings,
            [],
        );
        let browse = page(
            include_str!("assets/ui/browse.html"),
            concat!(include_str!("assets/ui/page.css"), include_str!("assets/ui/browse.css")),
            concat!(include_str!("assets/ui/page.js"), include_str!("assets/ui/browse.js")),
            &settings,
            [NO_INDEX],
        );
        Pages { track, browse }
    }
}

/// Where a page's style and script go, and what of the settings it needs: the age in seconds from which on data is out of
/// date, how many lookups a request without a key may have, and links to the other pages.
const STYLE: &str = "{{style}}";
const SCRIPT: &str = "{{script}}";
const AGE_MAX: &str = "{{age-max}}";
const KEYLESS_LOOKUPS_MAX: &str = "{{keyless-lookups-max}}";
const SITE: &str = "{{site}}";
const API: &str = "{{api}}";
const SITE_LINKS: &str = "<nav class=\"site\" aria-label=\"Site\"><a href=\"/\" aria-current=\"page\">Track</a>\
                          <a href=\"/browse\">Browse</a><a href=\"/docs\">API</a></nav>";
const API_LINK: &str = "<p><a href=\"/docs\">API reference</a></p>";

fn page(
    html: &str,
    style: &str,
    script: &str,
    settings: &[(&str, String)],
    own_fields: impl IntoIterator<Item = Field>,
) -> Document {
    let html = settings.iter().fold(html.to_owned(), |html, (place, value)| html.replacen(place, value, 1));
    let body = html.replacen(STYLE, style, 1).replacen(SCRIPT, script, 1);
    // The policy is printable ASCII; if not, the page may do nothing.
    let policy = HeaderValue::try_from(policy(style, script)).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let fields = [HTML, NO_REFERRER, (CONTENT_SECURITY_POLICY, policy)];
    Document::new(body, fields.into_iter().chain(own_fields))
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
    fn a_policy_names_the_script_and_the_style_by_hash() {
        // `printf abc | openssl dgst -sha256 -binary | base64`
        let policy = policy("", "abc");
        assert!(policy.contains("script-src 'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='; "), "{policy}");
        assert!(policy.contains("style-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; "), "{policy}");
    }
}
