//! (listener, method, path) → [`Route`]: the only place that knows paths. Pure.

use std::borrow::Cow;

use hyper::Method;

use crate::http::access::scope::Scope;
use crate::http::request::percent::percent_decoded;

/// One of the two listeners that requests come in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The HTTP API and the pages.
    Public,
    /// Metrics, reloads and rollbacks.
    Admin,
}

/// A route's name in the code. Its number, by which requests are counted, is its index in [`ROUTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteId {
    /// One shipment.
    Shipment,
    /// All shipments with a tracking number.
    ShipmentsByNumber,
    /// A page of shipments.
    Search,
    /// All shipments that match, as CSV.
    CsvExport,
    /// The same as lines of JSON.
    NdjsonExport,
    /// Counts by facet.
    Facets,
    /// Changes since an earlier version.
    Changes,
    /// Changes as they are published.
    ChangesStream,
    /// Many lookups in one request.
    BatchLookup,
    /// Version, age and size of what is served.
    Dataset,
    /// The page of the Django service.
    LegacyList,
    /// The same without its slash.
    LegacyListRedirect,
    /// The tracking page.
    Track,
    /// A script of that page.
    TrackLater,
    /// The browsing page.
    Browse,
    /// The API reference page.
    Docs,
    /// A file of that page.
    DocsAsset,
    /// The OpenAPI document.
    OpenApi,
    /// What search engines may list.
    Robots,
    /// The liveness probe.
    Live,
    /// The readiness probe.
    Ready,
    /// A scrape.
    Metrics,
    /// The dataset's state, for operators.
    AdminDataset,
    /// Loads the source again, or cancels that.
    Reload,
    /// Goes back to the dataset before.
    Rollback,
}

/// Everything that is known of a route before a request comes.
#[derive(Clone, Copy, Debug)]
pub struct RouteSpec {
    /// The route.
    pub id: RouteId,
    /// Its path, with the names of parameters in braces: a label in metrics and the access log.
    pub pattern: &'static str,
    /// Its methods, as in an `Allow` field (RFC 9110, section 10.2.1).
    pub allow: &'static str,
    /// The listeners that have it.
    pub listeners: &'static [Listener],
    /// Its kind of content.
    pub content: Content,
}

/// The kind of content that a route has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Shipments, or something made of them, for callers who may ask for it: with this scope, if any.
    Data(Option<Scope>),
    /// A page for people, or a part of one: only where pages are served.
    Page,
    /// Something about the server itself.
    Service,
}

const READ: &str = "GET, HEAD";
const POST: &str = "POST";
const POST_OR_DELETE: &str = "POST, DELETE";
/// Methods of any resource, as `OPTIONS *` asks for them (RFC 9110, section 9.3.7).
pub const ALLOW_ANYWHERE: &str = "GET, HEAD, POST, OPTIONS";
const PUBLIC: &[Listener] = &[Listener::Public];
const ADMIN: &[Listener] = &[Listener::Admin];
const BOTH: &[Listener] = &[Listener::Public, Listener::Admin];

/// The table of routes, in the order of [`RouteId`].
pub static ROUTES: [RouteSpec; 25] = {
    use Content::{Data, Page, Service};
    const LOOKUP: Content = Data(Some(Scope::Lookup));
    const LIST: Content = Data(Some(Scope::List));
    const FEED: Content = Data(Some(Scope::Feed));
    [
        spec(RouteId::Shipment, "/v1/shipments/{carrier}/{tracking_number}", READ, PUBLIC, LOOKUP),
        spec(RouteId::ShipmentsByNumber, "/v1/shipments/{tracking_number}", READ, PUBLIC, LOOKUP),
        spec(RouteId::Search, "/v1/shipments", READ, PUBLIC, LIST),
        spec(RouteId::CsvExport, "/v1/shipments.csv", READ, PUBLIC, LIST),
        spec(RouteId::NdjsonExport, "/v1/shipments.ndjson", READ, PUBLIC, LIST),
        spec(RouteId::Facets, "/v1/facets", READ, PUBLIC, LIST),
        spec(RouteId::Changes, "/v1/changes", READ, PUBLIC, FEED),
        spec(RouteId::ChangesStream, "/v1/changes/stream", READ, PUBLIC, FEED),
        spec(RouteId::BatchLookup, "/v1/lookup", POST, PUBLIC, LOOKUP),
        spec(RouteId::Dataset, "/v1/dataset", READ, PUBLIC, Data(None)),
        spec(RouteId::LegacyList, "/shipment/list/", READ, PUBLIC, LIST),
        spec(RouteId::LegacyListRedirect, "/shipment/list", READ, PUBLIC, LIST),
        spec(RouteId::Track, "/", READ, PUBLIC, Page),
        spec(RouteId::TrackLater, "/later.js", READ, PUBLIC, Page),
        spec(RouteId::Browse, "/browse", READ, PUBLIC, Page),
        spec(RouteId::Docs, "/docs", READ, PUBLIC, Page),
        spec(RouteId::DocsAsset, "/docs/{asset}", READ, PUBLIC, Page),
        spec(RouteId::OpenApi, "/openapi.json", READ, PUBLIC, Service),
        spec(RouteId::Robots, "/robots.txt", READ, PUBLIC, Service),
        spec(RouteId::Live, "/livez", READ, BOTH, Service),
        spec(RouteId::Ready, "/readyz", READ, BOTH, Service),
        spec(RouteId::Metrics, "/metrics", READ, ADMIN, Service),
        spec(RouteId::AdminDataset, "/-/dataset", READ, ADMIN, Service),
        spec(RouteId::Reload, "/-/reload", POST_OR_DELETE, ADMIN, Service),
        spec(RouteId::Rollback, "/-/rollback", POST, ADMIN, Service),
    ]
};

const fn spec(
    id: RouteId,
    pattern: &'static str,
    allow: &'static str,
    listeners: &'static [Listener],
    content: Content,
) -> RouteSpec {
    RouteSpec { id, pattern, allow, listeners, content }
}

impl RouteId {
    /// The route's line of the table.
    #[inline]
    pub fn spec(self) -> &'static RouteSpec {
        &ROUTES[self as usize]
    }
}

impl RouteSpec {
    fn allows(&self, method: &Method) -> bool {
        match *method {
            Method::GET | Method::HEAD => self.allow == READ,
            Method::POST => self.allow == POST || self.allow == POST_OR_DELETE,
            Method::DELETE => self.allow == POST_OR_DELETE,
            _ => false,
        }
    }
}

/// What only some servers offer.
#[derive(Clone, Copy, Debug)]
pub struct Offered {
    /// Pages for people.
    pub pages: bool,
    /// Changes since earlier versions.
    pub changes: bool,
}

/// A request's route, with the parameters of its path: decoded, in the client's spelling, empty where the pattern has
/// none of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The route.
    pub id: RouteId,
    /// `{carrier}`
    pub carrier: Cow<'a, str>,
    /// `{tracking_number}`
    pub tracking_number: Cow<'a, str>,
    /// `{asset}`, not decoded.
    pub asset: &'a str,
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
        /// The reason.
        reason: &'static str,
    },
}

/// The path of lookups, before their parameters.
pub(crate) const LOOKUP: &str = "/v1/shipments/";
const DOCS: &str = "/docs/";

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

impl<'a> Route<'a> {
    /// Finds the route of a request. `path` is normalized, still percent-encoded, and has no query. Only what is
    /// `offered` is found.
    pub fn parse(listener: Listener, offered: Offered, method: &Method, path: &'a str) -> Result<Route<'a>, NoRoute> {
        let route = match listener {
            Listener::Public if let Some(parameters) = path.strip_prefix(LOOKUP) => Route::lookup(parameters)?,
            Listener::Public if let Some(asset) = path.strip_prefix(DOCS) => {
                Route { asset, ..Route::without_parameters(RouteId::DocsAsset) }
            }
            _ => Route::in_table(listener, path)?,
        };
        let spec = route.id.spec();
        let is_offered = match spec.content {
            Content::Page => offered.pages,
            Content::Data(Some(Scope::Feed)) => offered.changes,
            _ => true,
        };
        if !is_offered {
            return Err(NoRoute::NotFound);
        }
        if spec.allows(method) { Ok(route) } else { Err(NoRoute::MethodNotAllowed { allow: spec.allow }) }
    }

    fn in_table(listener: Listener, path: &str) -> Result<Route<'a>, NoRoute> {
        let found = ROUTES.iter().find(|spec| spec.pattern == path && spec.listeners.contains(&listener));
        found.map(|spec| Route::without_parameters(spec.id)).ok_or(NoRoute::NotFound)
    }

    fn without_parameters(id: RouteId) -> Route<'a> {
        Route { id, carrier: Cow::Borrowed(""), tracking_number: Cow::Borrowed(""), asset: "" }
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
        let (id, carrier) = match carrier {
            Some(carrier) => (RouteId::Shipment, decode("carrier", carrier)?),
            None => (RouteId::ShipmentsByNumber, Cow::Borrowed("")),
        };
        Ok(Route { id, carrier, tracking_number: decode("tracking_number", tracking_number)?, asset: "" })
    }
}

/// Percent-decodes a path segment.
fn decode<'a>(parameter: &'static str, segment: &'a str) -> Result<Cow<'a, str>, NoRoute> {
    percent_decoded(segment).map_err(|reason| NoRoute::Undecodable { parameter, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Offered = Offered { pages: true, changes: true };
    const API: Offered = Offered { pages: false, changes: false };

    fn get(path: &str) -> Result<Route<'_>, NoRoute> {
        Route::parse(Listener::Public, ALL, &Method::GET, path)
    }

    fn shipment<'a>(carrier: &'a str, tracking_number: &'a str) -> Route<'a> {
        let carrier = carrier.into();
        Route { carrier, tracking_number: tracking_number.into(), ..Route::without_parameters(RouteId::Shipment) }
    }

    #[test]
    fn lookups_are_split_before_they_are_decoded() {
        assert_eq!(get("/v1/shipments/dhl/tn1"), Ok(shipment("dhl", "tn1")));
        assert_eq!(get("/v1/shipments/a%2Fb/c%20d+e"), Ok(shipment("a/b", "c d+e")));
        let number_only = Route { id: RouteId::ShipmentsByNumber, ..shipment("", "Ü/1") };
        assert_eq!(get("/v1/shipments/%C3%9c%2f1"), Ok(number_only));
    }

    #[test]
    fn segments_that_are_missing_or_too_many_have_no_route() {
        for path in ["/v1/shipments/", "/v1/shipments/a/", "/v1/shipments//a", "/v1/shipments/a/b/c", "//", "*", ""] {
            assert_eq!(get(path), Err(NoRoute::NotFound), "{path}");
        }
    }

    #[test]
    fn every_route_is_found_by_its_pattern_on_its_listeners_alone() {
        for spec in &ROUTES {
            let method = if spec.allow == READ { Method::GET } else { Method::POST };
            for listener in [Listener::Public, Listener::Admin] {
                let found = Route::parse(listener, ALL, &method, spec.pattern).map(|route| route.id);
                let expected = if spec.listeners.contains(&listener) { Ok(spec.id) } else { Err(NoRoute::NotFound) };
                assert_eq!(found, expected, "{listener:?} {}", spec.pattern);
            }
        }
    }

    #[test]
    fn the_table_is_in_the_order_of_the_ids() {
        for (number, spec) in ROUTES.iter().enumerate() {
            assert_eq!(spec.id as usize, number, "{}", spec.pattern);
            assert_eq!(spec.id.spec().pattern, spec.pattern);
        }
    }

    #[test]
    fn what_is_not_offered_is_not_found() {
        for method in [Method::GET, Method::POST] {
            for path in ["/", "/later.js", "/browse", "/docs", "/docs/page.js", "/v1/changes", "/v1/changes/stream"] {
                let route = Route::parse(Listener::Public, API, &method, path);
                assert_eq!(route, Err(NoRoute::NotFound), "{method} {path}");
            }
        }
        for path in ["/openapi.json", "/v1/dataset", "/v1/shipments", "/v1/shipments/dhl/1", "/livez"] {
            assert_eq!(Route::parse(Listener::Public, API, &Method::GET, path), get(path), "{path}");
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
        let post = Route::parse(Listener::Public, ALL, &Method::POST, "/v1/dataset");
        assert_eq!(post, Err(NoRoute::MethodNotAllowed { allow: "GET, HEAD" }));
        let get = Route::parse(Listener::Admin, ALL, &Method::GET, "/-/reload");
        assert_eq!(get, Err(NoRoute::MethodNotAllowed { allow: "POST, DELETE" }));
        let delete = Route::parse(Listener::Admin, ALL, &Method::DELETE, "/-/rollback");
        assert_eq!(delete, Err(NoRoute::MethodNotAllowed { allow: "POST" }));
    }
}
