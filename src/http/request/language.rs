//! The language of a page: the one that its reader chose on it, or that the browser prefers.

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header::{ACCEPT_LANGUAGE, HeaderValue};

use super::accept::Weights;

/// The parameter of pages by which readers choose a language.
const PARAMETER: &str = "lang";

/// A language that the pages have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// Of equal ones this is preferred.
    English,
    German,
    French,
    Spanish,
    Italian,
    Dutch,
}

impl Language {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Language; 6] =
        [Language::English, Language::German, Language::French, Language::Spanish, Language::Italian, Language::Dutch];

    /// Its tag (RFC 5646), which is its primary subtag.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::German => "de",
            Language::French => "fr",
            Language::Spanish => "es",
            Language::Italian => "it",
            Language::Dutch => "nl",
        }
    }

    /// Its name for those who speak it.
    pub(crate) fn own_name(self) -> &'static str {
        match self {
            Language::English => "English",
            Language::German => "Deutsch",
            Language::French => "Français",
            Language::Spanish => "Español",
            Language::Italian => "Italiano",
            Language::Dutch => "Nederlands",
        }
    }

    /// Value of `Content-Language`.
    pub(crate) fn field(self) -> HeaderValue {
        HeaderValue::from_static(self.tag())
    }

    /// The language of a page that is requested with `query`: what the reader chose there, or what the browser accepts.
    pub(crate) fn of_request(headers: &HeaderMap, query: Option<&str>) -> Language {
        let parameters = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let chosen = parameters.filter(|(name, _)| name == PARAMETER).find_map(|(_, tag): (_, Cow<'_, str>)| {
            Language::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(&tag))
        });
        chosen.unwrap_or_else(|| Language::accepted(headers))
    }

    /// The language with the highest weight in `Accept-Language`, the first of equal ones; English if there is none
    /// (RFC 9110, section 12.5.4).
    fn accepted(headers: &HeaderMap) -> Language {
        let ranges = Weights::of(headers, &ACCEPT_LANGUAGE);
        let candidates = Language::ALL.map(|language| (language, language.weight(&ranges)));
        let best = candidates.into_iter().filter_map(|(language, weight)| Some((language, weight?)));
        let best = best.reduce(|best, next| {
            let ((weight, place), (next_weight, next_place)) = (best.1, next.1);
            if next_weight > weight || next_weight >= weight && next_place < place { next } else { best }
        });
        best.map_or(Language::English, |(language, _)| language)
    }

    /// Its weight in `ranges`, if that is not zero, and the place of the first range that it is in.
    fn weight(self, ranges: &Weights<'_>) -> Option<(f32, usize)> {
        let highest = |is_in: &dyn Fn(&str) -> bool| {
            let matching = ranges.iter().enumerate().filter(|(_, (range, _))| is_in(range));
            matching.map(|(place, (_, weight))| (weight, place)).reduce(|one, next| (one.0.max(next.0), one.1))
        };
        let own = highest(&|range| self.is_in(range));
        own.or_else(|| highest(&|range| range == "*")).filter(|(weight, _)| *weight > 0.0)
    }

    /// True if `range` begins with this language: `de-AT` is German (RFC 4647, section 3.4).
    fn is_in(self, range: &str) -> bool {
        range.split('-').next().is_some_and(|primary| primary.eq_ignore_ascii_case(self.tag()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accepted: &'static str, query: &str) -> &'static str {
        let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(accepted))]);
        Language::of_request(&headers, Some(query)).tag()
    }

    #[test]
    fn the_accepted_language_with_the_highest_weight_is_chosen() {
        for (accepted, expected) in [
            ("de-AT,de;q=0.9,en;q=0.8", "de"),
            ("pl, it;q=0.5, en;q=0.4", "it"),
            ("en;q=0.5, nl;q=0.7", "nl"),
            ("FR-ca", "fr"),
            ("es-419, es;q=0.9", "es"),
            ("de, fr", "de"),
            ("fr, de", "fr"),
            ("pl, *;q=0.5", "en"),
            ("*, en;q=0", "de"),
            ("en;q=0, *;q=0.1", "de"),
            ("*;q=0.1, nl", "nl"),
            ("*", "en"),
            ("de-CH;q=0, de;q=0.5", "de"),
            ("de;q=0", "en"),
            ("de;q=2, fr;q=0.1", "fr"),
            ("deutsch", "en"),
            ("", "en"),
            (",;q=1,-,--", "en"),
        ] {
            assert_eq!(of(accepted, ""), expected, "{accepted}");
        }
        assert_eq!(Language::of_request(&HeaderMap::new(), None), Language::English);
    }

    #[test]
    fn what_a_reader_chose_goes_before() {
        for (query, expected) in [
            ("lang=it", "it"),
            ("n=TN1&lang=IT&carrier=", "it"),
            ("lang=pl", "de"),
            ("lang=", "de"),
            ("lang=xx&lang=nl", "nl"),
            ("language=it", "de"),
            ("lang=%66r", "fr"),
        ] {
            assert_eq!(of("de", query), expected, "{query}");
        }
    }
}
