//! Events as they are written (HTML Standard, section 9.2.5). None of their data has line breaks.

use crate::changes::Change;

/// Before the first event: how long a client waits before it connects again, in milliseconds.
pub(super) const RETRY: &[u8] = b"retry: 5000\n";

/// What a client ignores. It shows that the connection is there.
pub(super) const COMMENT: &[u8] = b":\n\n";

/// All changes from `since` to `version` have been told: `count` of them, those that match.
pub(super) fn version(out: &mut Vec<u8>, since: &str, version: &str, count: u64) {
    let event = format!(
        "event: version\nid: {version}\ndata: {{\"since\":\"{since}\",\"version\":\"{version}\",\"count\":{count}}}\n\n"
    );
    out.extend_from_slice(event.as_bytes());
}

/// The client goes on from `version`.
pub(super) fn start(out: &mut Vec<u8>, version: &str) {
    self::version(out, version, version, 0);
}

/// The client has missed changes, and goes on from `version`.
pub(super) fn reset(out: &mut Vec<u8>, version: &str) {
    out.extend_from_slice(format!("event: reset\ndata: {{\"version\":\"{version}\"}}\n\n").as_bytes());
    start(out, version);
}

/// A shipment came, changed or went.
pub(super) fn shipment(out: &mut Vec<u8>, change: &Change<'_>) {
    out.extend_from_slice(b"event: shipment\ndata: ");
    change.render(out);
    out.extend_from_slice(b"\n\n");
}
