//! Shipments that are too large for batches and pages.

use crate::support::{Server, csv, row};

/// So many articles with names of a mebibyte or so are over the limit of 64 MiB, and one fewer are not.
const ARTICLES: usize = 65;
const NAME_BYTES: usize = 1_040_000;

#[test]
fn a_load_names_the_shipments_that_are_too_large_for_a_batch() {
    let name = "n".repeat(NAME_BYTES);
    let large = |number: &str, articles| vec![row(number, "DHL").replace("Laptop", &name); articles];
    let rows = [vec![row("TN1", "DHL")], large("TN2", ARTICLES), large("TN3", ARTICLES - 1)].concat();
    let mut server = Server::start_loading(csv(&rows), &[]);
    let warned = server.wait_for("a shipment is too large for batches and pages");
    assert_eq!((&warned["carrier"], &warned["tracking_number"]), (&"DHL".into(), &"TN2".into()));
    let bytes = warned["bytes"].as_u64().unwrap();
    assert!(bytes > 64 << 20 && bytes < (64 << 20) + (2 << 20), "{bytes}");
    server.wait_for("serving");
    assert_eq!(server.seen().iter().filter(|line| line.contains("too large")).count(), 1);
    let body = r#"{"lookups":[{"tracking_number":"TN2"}]}"#;
    let mut client = server.client();
    client.send(crate::support::client::post("/v1/lookup", &[], body));
    client.answer_to("POST").problem(422, "answer_too_large");
    server.stop();
}
