//! (listener, method, path) → [`Route`]: the only place that knows paths. Pure.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;

/// Which of the two listeners a request came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// For everybody.
    Public,
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
    /// `GET /v1/dataset`
    Dataset,
    /// `GET /livez`
    Live,
    /// `GET /readyz`
    Ready,
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

impl<'a> Route<'a> {
    /// Finds the route of a request. `path` is normalized, still percent-encoded, and has no query.
    pub fn parse(listener: Listener, method: &Method, path: &'a str) -> Result<Route<'a>, NoRoute> {
        let route = match listener {
            Listener::Public => Route::public(path)?,
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
        match path {
            "/v1/dataset" => Ok(Route::Dataset),
            _ => Route::probe(path),
        }
    }

    fn admin(path: &'a str) -> Result<Route<'a>, NoRoute> {
        match path {
            "/-/dataset" => Ok(Route::AdminDataset),
            "/-/reload" => Ok(Route::Reload),
            "/-/rollback" => Ok(Route::RollBack),
            _ => Route::probe(path),
        }
    }

    fn probe(path: &str) -> Result<Route<'a>, NoRoute> {
        match path {
            "/livez" => Ok(Route::Live),
            "/readyz" => Ok(Route::Ready),
            _ => Err(NoRoute::NotFound),
        }
    }

    fn lookup(parameters: &'a str) -> Result<Route<'a>, NoRoute> {
        let (carrier, tracking_number) = match parameters.bytes().position(|byte| byte == b'/') {
            Some(slash) => (Some(&parameters[..slash]), &parameters[slash + 1..]),
            None => (None, parameters),
        };
        let has_more = tracking_number.as_bytes().contains(&b'/');
        if tracking_number.is_empty() || has_more || carrier == Some("") {
            return Err(NoRoute::NotFound);
        }
        let carrier = carrier.map(|carrier| decode("carrier", carrier)).transpose()?;
        let tracking_number = decode("tracking_number", tracking_number)?;
        Ok(match carrier {
            Some(carrier) => Route::Shipment { carrier, tracking_number },
            None => Route::ShipmentsWithNumber { tracking_number },
        })
    }

    fn allow(&self) -> &'static str {
        match self {
            Route::Reload | Route::RollBack => POST,
            _ => READ,
        }
    }
}

/// Percent-decodes a path segment (RFC 3986, section 2.1).
fn decode<'a>(parameter: &'static str, segment: &'a str) -> Result<Cow<'a, str>, NoRoute> {
    if !segment.as_bytes().contains(&b'%') {
        return Ok(Cow::Borrowed(segment));
    }
    let undecodable = |reason| NoRoute::Undecodable { parameter, reason };
    let is_escape = |escape: &[u8]| escape.len() >= 2 && escape[..2].iter().all(u8::is_ascii_hexdigit);
    if !segment.split('%').skip(1).all(|rest| is_escape(rest.as_bytes())) {
        return Err(undecodable("a % is not followed by two hexadecimal digits; a plain % is written %25"));
    }
    percent_decode_str(segment).decode_utf8().map_err(|_| undecodable("its bytes are not UTF-8 after decoding"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for path in ["/v1/shipments/", "/v1/shipments/a/", "/v1/shipments//a", "/v1/shipments/a/b/c", "/", "*", ""] {
            assert_eq!(get(path), Err(NoRoute::NotFound), "{path}");
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
