//! (listener, method, path) → [`Route`]: the only place that knows paths. Pure.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;

/// Which of the two listeners a request came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// For everybody.
    Public,
    /// For everybody, the API alone: without the pages that people look at.
    PublicWithoutPages,
    /// For operators.
    Admin,
}

/// What a request asks for, its parameters decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `GET /v1/shipments/{carrier}/{tracking_number}`
    Shipment {
        /// As the client spells it.
        carrier: Cow<'a, str>,
        /// As the client spells it.
        tracking_number: Cow<'a, str>,
    },
    /// `GET /v1/shipments/{tracking_number}`
    ShipmentsWithNumber {
        /// As the client spells it.
        tracking_number: Cow<'a, str>,
    },
    /// `GET /v1/shipments?…`
    Shipments,
    /// `GET /v1/facets?…`
    Facets,
    /// `POST /v1/lookup`
    Lookup,
    /// `GET /v1/dataset`
    Dataset,
    /// `GET /shipment/list/?…`
    List,
    /// `GET /shipment/list`
    ListWithoutSlash,
    /// `GET /`
    Track,
    /// `GET /browse`
    Browse,
    /// `GET /docs`
    Docs,
    /// `GET /docs/{asset}`
    DocsAsset {
        /// The name of a file.
        asset: Cow<'a, str>,
    },
    /// `GET /openapi.json`
    OpenApi,
    /// `GET /livez`
    Live,
    /// `GET /readyz`
    Ready,
    /// `GET /metrics`
    Metrics,
    /// `GET /-/dataset`
    AdminDataset,
    /// `POST /-/reload`
    Reload,
    /// `POST /-/rollback`
    RollBack,
}

/// Why a request has no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// Nothing is at this path.
    NotFound,
    /// Something is, for other methods.
    MethodNotAllowed {
        /// The methods, as in an `Allow` field (RFC 9110, section 10.2.1).
        allow: &'static str,
    },
    /// A parameter in the path cannot be decoded.
    Undecodable {
        /// The parameter.
        parameter: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

const LOOKUP: &str = "/v1/shipments/";
const DOCS: &str = "/docs/";
const READ: &str = "GET, HEAD";
const POST: &str = "POST";

/// Undoes escapes that need not be there: segments of letters, digits and `-._~` in any spelling become the same path
/// (RFC 3986, section 6.2.2.2). The others stay as they are, escapes and all.
#[inline]
pub fn normalize(path: &str) -> Result<Cow<'_, str>, NoRoute> {
    // The parameters of a lookup are decoded anyway.
    if path.starts_with(LOOKUP) || !path.as_bytes().contains(&b'%') {
        return Ok(Cow::Borrowed(path));
    }
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let segments: Result<Vec<Cow<'_, str>>, NoRoute> = path
        .split('/')
        .map(|segment| {
            let decoded = decode("path", segment)?;
            Ok(if decoded.bytes().all(is_unreserved) { decoded } else { Cow::Borrowed(segment) })
        })
        .collect();
    segments.map(|segments| Cow::Owned(segments.join("/")))
}

impl Route<'static> {
    /// Every route for everybody, each as its pattern is parsed. What has no parameter is found by this list alone.
    pub const PUBLIC: [Route<'static>; 15] = [
        Route::Shipment { carrier: Cow::Borrowed("{carrier}"), tracking_number: Cow::Borrowed("{tracking_number}") },
        Route::ShipmentsWithNumber { tracking_number: Cow::Borrowed("{tracking_number}") },
        Route::Shipments,
        Route::Facets,
        Route::Lookup,
        Route::Dataset,
        Route::List,
        Route::ListWithoutSlash,
        Route::Track,
        Route::Browse,
        Route::Docs,
        Route::DocsAsset { asset: Cow::Borrowed("{asset}") },
        Route::OpenApi,
        Route::Live,
        Route::Ready,
    ];

    /// Every route for operators, likewise.
    pub const ADMIN: [Route<'static>; 6] =
        [Route::Metrics, Route::AdminDataset, Route::Reload, Route::RollBack, Route::Live, Route::Ready];

    /// How many [numbers](Route::number) there are.
    pub const NUMBERS: usize = 19;
}

impl<'a> Route<'a> {
    /// Finds the route of a request. `path` is normalized, still percent-encoded, and has no query.
    pub fn parse(listener: Listener, method: &Method, path: &'a str) -> Result<Route<'a>, NoRoute> {
        let route = match listener {
            Listener::Public => Route::public(path)?,
            Listener::PublicWithoutPages => match Route::public(path)? {
                Route::Track | Route::Browse | Route::Docs | Route::DocsAsset { .. } => return Err(NoRoute::NotFound),
                route => route,
            },
            Listener::Admin => Route::admin(path)?,
        };
        let allow = route.allow();
        let allowed = match *method {
            Method::GET | Method::HEAD => allow == READ,
            Method::POST => allow == POST,
            _ => false,
        };
        if allowed { Ok(route) } else { Err(NoRoute::MethodNotAllowed { allow }) }
    }

    fn public(path: &'a str) -> Result<Route<'a>, NoRoute> {
        if let Some(parameters) = path.strip_prefix(LOOKUP) {
            return Route::lookup(parameters);
        }
        if let Some(asset) = path.strip_prefix(DOCS) {
            return Ok(Route::DocsAsset { asset: asset.into() });
        }
        Route::in_list(Route::PUBLIC, path)
    }

    fn admin(path: &str) -> Result<Route<'a>, NoRoute> {
        Route::in_list(Route::ADMIN, path)
    }

    fn in_list<const N: usize>(routes: [Route<'static>; N], path: &str) -> Result<Route<'a>, NoRoute> {
        routes.into_iter().find(|route| route.pattern() == path).ok_or(NoRoute::NotFound)
    }

    fn lookup(parameters: &'a str) -> Result<Route<'a>, NoRoute> {
        let (mut slash, mut has_escapes) = (None, false);
        for (at, byte) in parameters.bytes().enumerate() {
            match byte {
                b'/' if slash.is_some() => return Err(NoRoute::NotFound),
                b'/' => slash = Some(at),
                b'%' => has_escapes = true,
                _ => {}
            }
        }
        let (carrier, tracking_number) = match slash {
            Some(slash) => (Some(&parameters[..slash]), &parameters[slash + 1..]),
            None => (None, parameters),
        };
        if tracking_number.is_empty() || carrier == Some("") {
            return Err(NoRoute::NotFound);
        }
        let decode = |name, segment| if has_escapes { decode(name, segment) } else { Ok(Cow::Borrowed(segment)) };
        let carrier = carrier.map(|carrier| decode("carrier", carrier)).transpose()?;
        let tracking_number = decode("tracking_number", tracking_number)?;
        Ok(match carrier {
            Some(carrier) => Route::Shipment { carrier, tracking_number },
            None => Route::ShipmentsWithNumber { tracking_number },
        })
    }

    /// The methods that it takes, as in an `Allow` field.
    pub fn allow(&self) -> &'static str {
        match self {
            Route::Lookup | Route::Reload | Route::RollBack => POST,
            _ => READ,
        }
    }

    /// Whether its answer has data of the dataset that is served to everybody.
    #[inline]
    pub fn is_of_data(&self) -> bool {
        use Route::{Dataset, Facets, List, ListWithoutSlash, Lookup, Shipment, Shipments, ShipmentsWithNumber};
        let is_read = matches!(self, Shipment { .. } | ShipmentsWithNumber { .. } | Shipments | Facets | Dataset);
        is_read || matches!(self, Lookup | List | ListWithoutSlash)
    }

    /// Its path, with the names of parameters in braces.
    pub fn pattern(&self) -> &'static str {
        match self {
            Route::Shipment { .. } => "/v1/shipments/{carrier}/{tracking_number}",
            Route::ShipmentsWithNumber { .. } => "/v1/shipments/{tracking_number}",
            Route::Shipments => "/v1/shipments",
            Route::Facets => "/v1/facets",
            Route::Lookup => "/v1/lookup",
            Route::Dataset => "/v1/dataset",
            Route::List => "/shipment/list/",
            Route::ListWithoutSlash => "/shipment/list",
            Route::Track => "/",
            Route::Browse => "/browse",
            Route::Docs => "/docs",
            Route::DocsAsset { .. } => "/docs/{asset}",
            Route::OpenApi => "/openapi.json",
            Route::Live => "/livez",
            Route::Ready => "/readyz",
            Route::Metrics => "/metrics",
            Route::AdminDataset => "/-/dataset",
            Route::Reload => "/-/reload",
            Route::RollBack => "/-/rollback",
        }
    }

    /// A number of its own, less than [`Route::NUMBERS`], by which it is counted.
    #[inline]
    pub fn number(&self) -> usize {
        match self {
            Route::Shipment { .. } => 0,
            Route::ShipmentsWithNumber { .. } => 1,
            Route::Shipments => 2,
            Route::Facets => 3,
            Route::Lookup => 4,
            Route::Dataset => 5,
            Route::List => 6,
            Route::ListWithoutSlash => 7,
            Route::Track => 8,
            Route::Browse => 9,
            Route::Docs => 10,
            Route::DocsAsset { .. } => 11,
            Route::OpenApi => 12,
            Route::Live => 13,
            Route::Ready => 14,
            Route::Metrics => 15,
            Route::AdminDataset => 16,
            Route::Reload => 17,
            Route::RollBack => 18,
        }
    }
}

/// Percent-decodes a path segment.
fn decode<'a>(parameter: &'static str, segment: &'a str) -> Result<Cow<'a, str>, NoRoute> {
    percent_decoded(segment).map_err(|reason| NoRoute::Undecodable { parameter, reason })
}

/// Percent-decodes `text` (RFC 3986, section 2.1). The error says what is wrong with it.
pub(super) fn percent_decoded(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if !text.as_bytes().contains(&b'%') {
        return Ok(Cow::Borrowed(text));
    }
    let is_escape = |escape: &[u8]| escape.len() >= 2 && escape[..2].iter().all(u8::is_ascii_hexdigit);
    if !text.split('%').skip(1).all(|rest| is_escape(rest.as_bytes())) {
        return Err("a % is not followed by two hexadecimal digits; a plain % is written %25");
    }
    percent_decode_str(text).decode_utf8().map_err(|_| "its bytes are not UTF-8 after decoding")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn get(path: &str) -> Result<Route<'_>, NoRoute> {
        Route::parse(Listener::Public, &Method::GET, path)
    }

    fn shipment<'a>(carrier: &'a str, tracking_number: &'a str) -> Route<'a> {
        Route::Shipment { carrier: carrier.into(), tracking_number: tracking_number.into() }
    }

    #[test]
    fn lookups_are_split_before_they_are_decoded() {
        assert_eq!(get("/v1/shipments/dhl/tn1"), Ok(shipment("dhl", "tn1")));
        assert_eq!(get("/v1/shipments/a%2Fb/c%20d+e"), Ok(shipment("a/b", "c d+e")));
        let number_only = Route::ShipmentsWithNumber { tracking_number: "Ü/1".into() };
        assert_eq!(get("/v1/shipments/%C3%9c%2f1"), Ok(number_only));
    }

    #[test]
    fn segments_that_are_missing_or_too_many_have_no_route() {
        for path in ["/v1/shipments/", "/v1/shipments/a/", "/v1/shipments//a", "/v1/shipments/a/b/c", "//", "*", ""] {
            assert_eq!(get(path), Err(NoRoute::NotFound), "{path}");
        }
    }

    #[test]
    fn the_lists_have_every_route_as_its_pattern_is_parsed() {
        for (listener, routes) in [(Listener::Public, &Route::PUBLIC[..]), (Listener::Admin, &Route::ADMIN)] {
            for route in routes {
                let method = if route.allow() == POST { Method::POST } else { Method::GET };
                assert_eq!(Route::parse(listener, &method, route.pattern()), Ok(route.clone()));
            }
        }
    }

    #[test]
    fn every_route_has_a_number_of_its_own() {
        let numbers: BTreeMap<usize, &str> =
            Route::PUBLIC.iter().chain(&Route::ADMIN).map(|route| (route.number(), route.pattern())).collect();
        let patterns: BTreeSet<&str> = Route::PUBLIC.iter().chain(&Route::ADMIN).map(Route::pattern).collect();
        assert!(numbers.keys().copied().eq(0..Route::NUMBERS) && patterns.len() == Route::NUMBERS);
    }

    #[test]
    fn without_pages_there_is_the_api_alone() {
        for method in [Method::GET, Method::POST] {
            for path in ["/", "/browse", "/docs", "/docs/page.js"] {
                let route = Route::parse(Listener::PublicWithoutPages, &method, path);
                assert_eq!(route, Err(NoRoute::NotFound), "{method} {path}");
            }
        }
        for path in ["/openapi.json", "/v1/dataset", "/v1/shipments", "/v1/shipments/dhl/1", "/livez"] {
            assert_eq!(Route::parse(Listener::PublicWithoutPages, &Method::GET, path), get(path), "{path}");
            assert!(get(path).is_ok());
        }
    }

    #[test]
    fn a_path_is_the_same_in_any_spelling() {
        assert_eq!(normalize("/v1/%64ataset").as_deref(), Ok("/v1/dataset"));
        assert_eq!(normalize("/%761/shipments/a%2Fb/%63").as_deref(), Ok("/v1/shipments/a%2Fb/c"));
        assert_eq!(normalize("/v1%2Fdataset").as_deref(), Ok("/v1%2Fdataset"));
        assert!(matches!(normalize("/v1/%zz"), Err(NoRoute::Undecodable { parameter: "path", .. })));
    }

    #[test]
    fn bad_escapes_name_their_parameter() {
        for (path, wrong) in [
            ("/v1/shipments/dhl/%", "tracking_number"),
            ("/v1/shipments/dhl/%4", "tracking_number"),
            ("/v1/shipments/%zz/1", "carrier"),
            ("/v1/shipments/%ff", "tracking_number"),
        ] {
            let error = get(path).unwrap_err();
            assert!(matches!(error, NoRoute::Undecodable { parameter, .. } if parameter == wrong), "{path}: {error:?}");
        }
    }

    #[test]
    fn other_methods_are_told_which_are_allowed() {
        let post = Route::parse(Listener::Public, &Method::POST, "/v1/dataset");
        assert_eq!(post, Err(NoRoute::MethodNotAllowed { allow: "GET, HEAD" }));
        let get = Route::parse(Listener::Admin, &Method::GET, "/-/reload");
        assert_eq!(get, Err(NoRoute::MethodNotAllowed { allow: "POST" }));
    }

    #[test]
    fn the_listeners_do_not_share_their_routes() {
        assert_eq!(get("/-/dataset"), Err(NoRoute::NotFound));
        assert_eq!(Route::parse(Listener::Admin, &Method::GET, "/v1/dataset"), Err(NoRoute::NotFound));
    }
}
