//! Downloads: exports of a dataset, which a browser saves as files.

use hyper::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};

use super::Response;
use super::body::Body;
use super::dataset::DatasetFields;
use crate::dataset::ExportFormat;

/// With the parameter for a header row (RFC 4180, section 3).
const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// 200 with an export of the dataset that `fields` and `version` are of, under a name for its file (RFC 6266).
pub(crate) fn download(fields: &DatasetFields, version: &str, format: ExportFormat, body: Body) -> Response {
    let (media_type, extension) = match format {
        ExportFormat::Csv => (CSV, "csv"),
        ExportFormat::Ndjson => (NDJSON, "ndjson"),
    };
    let mut response = fields.ok(body);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    // A version is hexadecimal digits, which are fit for a header field.
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"shipments-{version}.{extension}\""));
    let disposition = disposition.unwrap_or(HeaderValue::from_static("attachment"));
    response.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    response
}
