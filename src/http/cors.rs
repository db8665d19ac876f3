//! Pages of other sites that may read answers (Fetch Standard, section 3.2).

use std::str::FromStr;

use hyper::header::{ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN};
use hyper::{HeaderMap, Method};

use super::answer::{self, Answer};

/// An origin as browsers write it (RFC 6454, section 6.2), or `*` for any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

const ANY: &str = "*";

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Origin, &'static str> {
        let expected =
            "expected an origin such as https://shop.example, in lowercase, without a path or its usual port, or *";
        let is_name = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b"/?#@\\*,".contains(&byte);
        let is_origin = text == ANY
            || text.split_once("://").is_some_and(|(scheme, host)| {
                // Browsers leave these out.
                let default_port = match scheme {
                    "http" => ":80",
                    "https" => ":443",
                    _ => "://",
                };
                let is_whole = !scheme.is_empty() && !host.is_empty() && !host.ends_with(default_port);
                is_whole && scheme.bytes().chain(host.bytes()).all(is_name)
            });
        let value = HeaderValue::from_str(text).ok().filter(|_| is_origin);
        value.map(Origin).ok_or(expected)
    }
}

/// What a request's origin means for its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reader {
    /// Nothing: no page of another site is asked about.
    #[default]
    Anybody,
    /// The answer is not for a page of another site, but might be for one that asks later.
    Other,
    /// It is for pages of the origin with this number.
    Allowed(u16),
}

/// The origins whose pages may read answers.
pub struct Cors {
    origins: Vec<HeaderValue>,
    any: bool,
}

impl Cors {
    /// Those of `origins`; none if there are none.
    pub fn new(origins: &[Origin]) -> Option<Cors> {
        let any = origins.iter().any(|origin| origin.0 == ANY);
        let origins: Vec<HeaderValue> = if any {
            vec![HeaderValue::from_static(ANY)]
        } else {
            origins.iter().map(|origin| origin.0.clone()).collect()
        };
        (!origins.is_empty()).then_some(Cors { origins, any })
    }

    /// Who reads the answer to a request with `headers`.
    pub(super) fn reader(&self, headers: &HeaderMap) -> Reader {
        let Some(origin) = headers.get(ORIGIN) else { return Reader::Other };
        let mut numbered = (0..).zip(&self.origins);
        let found = numbered.find(|(_, allowed)| self.any || *allowed == origin);
        found.map_or(Reader::Other, |(number, _)| Reader::Allowed(number))
    }

    /// Lets `reader` have `answer`.
    pub(super) fn mark(&self, reader: Reader, answer: &mut Answer) {
        let allowed = match reader {
            Reader::Anybody => return,
            Reader::Other => None,
            Reader::Allowed(number) => self.origins.get(usize::from(number)),
        };
        answer::share(answer, allowed, !self.any);
    }
}

/// The answer to a browser that asks beforehand whether a page of `reader` may use one of the methods `allow`.
pub(super) fn preflight(reader: Reader, method: &Method, headers: &HeaderMap, allow: &'static str) -> Option<Answer> {
    let asks = *method == Method::OPTIONS && headers.get(ACCESS_CONTROL_REQUEST_METHOD).is_some();
    (asks && matches!(reader, Reader::Allowed(_))).then(|| answer::preflight(allow))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_a_scheme_a_host_and_no_more() {
        for good in ["https://shop.example", "http://localhost:3000", "http://[::1]:443", "chrome-extension://abc", "*"]
        {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for wrong in [
            "",
            "null",
            "shop.example",
            "https://shop.example/",
            "https://*.example",
            "HTTPS://a",
            "https://a:443",
            "http://a:80",
            "https://a,b",
        ] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_answer_is_shared_with_the_origins_that_were_named() {
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        let reader = |cors: &Cors, origin: &'static str| {
            cors.reader(&HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]))
        };
        assert!(Cors::new(&[]).is_none());
        let some = Cors::new(&[origin("https://a"), origin("https://b")]).unwrap();
        assert_eq!(reader(&some, "https://b"), Reader::Allowed(1));
        assert_eq!((reader(&some, "https://c"), some.reader(&HeaderMap::new())), (Reader::Other, Reader::Other));
        let any = Cors::new(&[origin("https://a"), origin("*")]).unwrap();
        assert_eq!((reader(&any, "https://c"), any.reader(&HeaderMap::new())), (Reader::Allowed(0), Reader::Other));
    }
}
