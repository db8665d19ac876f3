//! CORS: pages of other sites that may read responses (Fetch Standard, section 3.2).

use std::str::FromStr;

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN,
};
use hyper::{HeaderMap, Method};

use crate::http::response::{self, Response};

/// An origin as browsers write it (RFC 6454, section 6.2), or `*` for any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

const ANY: &str = "*";
/// Fields of responses that pages may read beside those that all may.
const EXPOSED: &str = "etag, retry-after, x-request-id, ratelimit, ratelimit-policy";
/// Fields that pages may send beside those that all may.
const ALLOWED: &str = "authorization, content-type, if-none-match, x-api-key, waybill-postcode, x-request-id, if-match, \
                       last-event-id";

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

/// The pages of other sites that may read a response, by the request's `Origin`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OriginMatch {
    /// There are no pages of other sites to look for.
    #[default]
    NotChecked,
    /// No page of another site, but one with another `Origin` might.
    None,
    /// Pages of the origin with this number.
    Allowed(u16),
}

/// The origins whose pages may read responses.
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

    /// Which of the origins a request with `headers` comes from.
    pub(crate) fn match_origin(&self, headers: &HeaderMap) -> OriginMatch {
        let Some(origin) = headers.get(ORIGIN) else { return OriginMatch::None };
        let mut numbered = (0..).zip(&self.origins);
        let found = numbered.find(|(_, allowed)| self.any || *allowed == origin);
        found.map_or(OriginMatch::None, |(number, _)| OriginMatch::Allowed(number))
    }

    /// Lets the pages of `origin` read `response`.
    pub(crate) fn mark(&self, origin: OriginMatch, response: &mut Response) {
        let allowed = match origin {
            OriginMatch::NotChecked => return,
            OriginMatch::None => None,
            OriginMatch::Allowed(number) => self.origins.get(usize::from(number)),
        };
        let headers = response.headers_mut();
        if let Some(origin) = allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
        if !self.any {
            response::vary(response, HeaderValue::from_static("origin"));
        }
    }
}

/// The response to a preflight request of a page of `origin` for a resource with the methods `allow` (Fetch Standard,
/// section 3.2.2).
pub(crate) fn preflight(
    origin: OriginMatch,
    method: &Method,
    headers: &HeaderMap,
    allow: &'static str,
) -> Option<Response> {
    let asks = *method == Method::OPTIONS && headers.get(ACCESS_CONTROL_REQUEST_METHOD).is_some();
    (asks && matches!(origin, OriginMatch::Allowed(_))).then(|| {
        response::no_content([
            (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(allow)),
            (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED)),
            (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
        ])
    })
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
    fn a_response_is_shared_with_the_origins_that_were_named() {
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        let origin_of = |cors: &Cors, origin: &'static str| {
            cors.match_origin(&HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]))
        };
        assert!(Cors::new(&[]).is_none());
        let some = Cors::new(&[origin("https://a"), origin("https://b")]).unwrap();
        assert_eq!(origin_of(&some, "https://b"), OriginMatch::Allowed(1));
        assert_eq!(
            (origin_of(&some, "https://c"), some.match_origin(&HeaderMap::new())),
            (OriginMatch::None, OriginMatch::None)
        );
        let any = Cors::new(&[origin("https://a"), origin("*")]).unwrap();
        assert_eq!(
            (origin_of(&any, "https://c"), any.match_origin(&HeaderMap::new())),
            (OriginMatch::Allowed(0), OriginMatch::None)
        );
    }
}
