//! The audit trail: a line of the log, with the target [`TARGET`], for each POST and DELETE on the admin listener, refused
//! ones too, and for each SIGHUP. A line is written when the outcome is there, or when nobody waits for it any more. Its
//! text is printable ASCII, whatever a client sent.

use std::sync::Arc;

use hyper::header::HeaderValue;
use hyper::{Method, Request};
use serde::Deserialize;

use crate::http::request::correlation;
use crate::http::request::forwarded::{self, Peer, TrustedProxy};
use crate::http::request::route::RouteId;
use crate::http::response::Response;
use crate::http::response::body::Body;
use crate::truncate::truncate;

/// The target of all lines.
pub const TARGET: &str = "audit";

/// Characters of a request, its options, and the reason of a refusal. What is longer ends in `...`.
const TEXT_CHARS_MAX: usize = 256;
/// The action and the result of a request whose outcome nobody waited for any more.
const UNKNOWN: &str = "unknown";
/// The name of a token without one. No name has brackets.
const UNNAMED: &str = "(unnamed)";

/// A line of the audit trail, which is written when it is dropped.
pub struct Entry {
    request: AuditedRequest,
    action: &'static str,
    outcome: Outcome,
}

/// What was requested, and by whom.
#[derive(Default)]
struct AuditedRequest {
    method: Method,
    options: String,
    /// The name of the token, if a valid one was shown.
    token: Option<Arc<str>>,
    client: String,
    /// Method and path, or a signal.
    target: String,
    id: Option<HeaderValue>,
    trace_id: Option<Box<str>>,
}

/// The members of a response's body that tell the outcome.
#[derive(Default, Deserialize)]
struct Outcome {
    result: Option<String>,
    generation: Option<u64>,
    version: Option<String>,
    /// Of a problem, in place of a result.
    code: Option<String>,
    detail: Option<String>,
}

impl Entry {
    /// A line for `request` of `peer`, or of the client that `trusted` proxies name, with the name of the token that it
    /// shows, if that is valid; none for a request that changes nothing.
    pub(crate) fn of_request<B>(
        trusted: &[TrustedProxy],
        peer: Peer,
        request: &Request<B>,
        token: Option<Arc<str>>,
    ) -> Option<Entry> {
        let (method, headers, path) = (request.method(), request.headers(), request.uri().path());
        if !matches!(*method, Method::POST | Method::DELETE) {
            return None;
        }
        Some(Entry::new(AuditedRequest {
            method: method.clone(),
            options: options(request.uri().query().unwrap_or_default()),
            token: token.map(|name| if name.is_empty() { UNNAMED.into() } else { name }),
            client: forwarded::named_client(trusted, peer, headers).to_string(),
            target: printable(&format!("{method} {path}")),
            id: correlation::request_id(headers),
            trace_id: correlation::trace_id(headers),
        }))
    }

    /// A line for a SIGHUP.
    pub(crate) fn of_hangup() -> Entry {
        let (method, client, target) = (Method::POST, "signal".to_owned(), "SIGHUP".to_owned());
        Entry::new(AuditedRequest { method, client, target, ..AuditedRequest::default() })
    }

    fn new(request: AuditedRequest) -> Entry {
        Entry { request, action: UNKNOWN, outcome: Outcome::default() }
    }

    /// Writes the line: the action that `route` is, if there is one, and the outcome that `response` tells.
    pub(crate) fn end(mut self, route: Option<RouteId>, response: &Response) {
        self.action = match route {
            Some(RouteId::Reload) if self.request.method == Method::DELETE => "cancel",
            Some(RouteId::Reload) => "reload",
            Some(RouteId::Rollback) => "rollback",
            _ => "none",
        };
        if let Body::Whole(body) = response.body() {
            self.outcome = serde_json::from_slice(body).unwrap_or_default();
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let AuditedRequest { options, token, client, target, id, trace_id, .. } = std::mem::take(&mut self.request);
        let Outcome { result, code, generation, version, detail } = std::mem::take(&mut self.outcome);
        tracing::info!(
            target: TARGET,
            action = self.action,
            options,
            token = token.as_deref(),
            client,
            request = target,
            request_id = id.as_ref().and_then(|id| id.to_str().ok()),
            trace_id = trace_id.as_deref(),
            result = result.or(code).as_deref().unwrap_or(UNKNOWN),
            generation,
            version,
            reason = detail.as_deref().map(printable),
            "operator action"
        );
    }
}

/// The options in `query`. Of what is no option the name alone: its value may be a secret.
fn options(query: &str) -> String {
    let options = form_urlencoded::parse(query.as_bytes()).map(|(name, value)| match &*name {
        "dry_run" | "force" => format!("{name}={value}"),
        _ => name.into_owned(),
    });
    printable(&options.collect::<Vec<_>>().join("&"))
}

/// `text` in printable ASCII, with escapes such as `\u{e9}` for anything else.
fn printable(text: &str) -> String {
    let (start, more) = truncate(text, TEXT_CHARS_MAX);
    let mut printable = String::with_capacity(start.len());
    for character in start.chars() {
        match character {
            ' '..='~' => printable.push(character),
            _ => printable.extend(character.escape_default()),
        }
    }
    if !more.is_empty() {
        printable.push_str("...");
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_are_named_but_other_values_are_not_repeated() {
        assert_eq!(options(""), "");
        assert_eq!(options("dry_run=true&force=%0Ano"), r"dry_run=true&force=\nno");
        assert_eq!(options("token=secret&dryrun"), "token&dryrun");
        assert_eq!(options(&"é".repeat(300)), r"\u{e9}".repeat(TEXT_CHARS_MAX) + "...");
    }

    proptest! {
        #[test]
        fn any_text_becomes_printable_and_bounded(text in any::<String>()) {
            let printable = printable(&text);
            prop_assert!(printable.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", printable);
            let bytes_max = TEXT_CHARS_MAX * r"\u{10ffff}".len() + 3;
            prop_assert!(printable.len() <= bytes_max);
        }
    }
}
