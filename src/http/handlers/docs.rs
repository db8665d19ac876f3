//! The API's description: the OpenAPI document, and the page that shows it.

use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use crate::http::app::App;
use crate::http::response::coding::Coding;
use crate::http::response::document::{CSS, Document, JAVASCRIPT, TEXT};
use crate::http::response::{Field, Response};

const JSON: Field = (CONTENT_TYPE, HeaderValue::from_static("application/json"));

type Kept = LazyLock<Document>;
static OPENAPI: Kept = LazyLock::new(|| Document::new(include_str!("../assets/openapi.json"), [JSON]));
static PAGE_JS: Kept = LazyLock::new(|| Document::new(include_str!("../assets/docs/page.js"), [JAVASCRIPT]));

const VIEWER_CSS_GZIP: &[u8] = include_bytes!("../assets/docs/swagger-ui/swagger-ui.css.gz");
const VIEWER_JS_GZIP: &[u8] = include_bytes!("../assets/docs/swagger-ui/swagger-ui-bundle.js.gz");
static VIEWER_CSS: Packed = Packed {
    gzip: LazyLock::new(|| Document::new(VIEWER_CSS_GZIP, [CSS, Coding::Gzip.field()])),
    plain: LazyLock::new(|| Document::new(unpack(VIEWER_CSS_GZIP), [CSS])),
};
static VIEWER_JS: Packed = Packed {
    gzip: LazyLock::new(|| Document::new(VIEWER_JS_GZIP, [JAVASCRIPT, Coding::Gzip.field()])),
    plain: LazyLock::new(|| Document::new(unpack(VIEWER_JS_GZIP), [JAVASCRIPT])),
};

static LICENCE: Kept = LazyLock::new(|| Document::new(include_str!("../assets/docs/swagger-ui/LICENSE"), [TEXT]));
static NOTICE: Kept = LazyLock::new(|| Document::new(include_str!("../assets/docs/swagger-ui/NOTICE"), [TEXT]));
static LICENCES: Kept =
    LazyLock::new(|| Document::new(include_str!("../assets/docs/swagger-ui/swagger-ui-bundle.js.LICENSE.txt"), [TEXT]));

/// `GET /openapi.json`
pub(crate) fn openapi(headers: &HeaderMap) -> Response {
    OPENAPI.response(headers)
}

/// `GET /docs`
pub(crate) fn page(app: &App, headers: &HeaderMap) -> Response {
    app.pages.load().docs.response(headers)
}

/// `GET /docs/{asset}`, if there is such an asset.
pub(crate) fn asset(app: &App, headers: &HeaderMap, name: &str) -> Option<Response> {
    Some(match name {
        "page.css" => app.pages.load().docs_style.response(headers),
        "page.js" => PAGE_JS.response(headers),
        "swagger-ui.css" => VIEWER_CSS.response(headers),
        "swagger-ui-bundle.js" => VIEWER_JS.response(headers),
        "LICENSE" => LICENCE.response(headers),
        "NOTICE" => NOTICE.response(headers),
        "swagger-ui-bundle.js.LICENSE.txt" => LICENCES.response(headers),
        _ => return None,
    })
}

/// A file that the binary has in compressed form.
struct Packed {
    gzip: Kept,
    /// Unpacked, in some milliseconds, when a client first needs it so; browsers don't.
    plain: Kept,
}

impl Packed {
    fn response(&self, headers: &HeaderMap) -> Response {
        let form = if Coding::Gzip.is_taken_by(headers) { &self.gzip } else { &self.plain };
        form.response(headers)
    }
}

fn unpack(gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    // It cannot fail: a test unpacks each.
    let _ = GzDecoder::new(gzip).read_to_end(&mut plain);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_viewer_unpack() {
        for gzip in [VIEWER_CSS_GZIP, VIEWER_JS_GZIP] {
            let mut plain = String::new();
            GzDecoder::new(gzip).read_to_string(&mut plain).unwrap();
            assert_eq!(plain.as_bytes(), unpack(gzip));
        }
    }
}
