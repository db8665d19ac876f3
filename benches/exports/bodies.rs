//! Expected bodies, made from the file without the crate's own code.

use std::io::Write;
use std::path::Path;

/// Calls `each` with the number, the carrier and the JSON of every shipment, whose rows must be consecutive.
pub(crate) fn for_each_body(file: &Path, mut each: impl FnMut(&str, &str, &[u8])) {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let mut rows = csv::Reader::from_path(file).unwrap();
    let mut row = csv::StringRecord::new();
    let (mut number, mut carrier, mut body) = (String::new(), String::new(), Vec::new());
    while rows.read_record(&mut row).unwrap() {
        if number == row[0] && carrier == row[1] {
            body.push(b',');
        } else {
            if !body.is_empty() {
                body.extend_from_slice(b"]}");
                each(&number, &carrier, &body);
                body.clear();
            }
            (number, carrier) = (row[0].to_owned(), row[1].to_owned());
            let [number, carrier, sender, receiver, status] = [0, 1, 2, 3, 8].map(|field| quoted(&row[field]));
            write!(body, r#"{{"tracking_number":{number},"carrier":{carrier},"status":{status},"#).unwrap();
            write!(body, r#""sender_address":{sender},"receiver_address":{receiver},"articles":["#).unwrap();
        }
        let (name, sku) = (quoted(&row[4]), quoted(&row[7]));
        write!(body, r#"{{"name":{name},"quantity":{},"price":{},"SKU":{sku}}}"#, &row[5], &row[6]).unwrap();
    }
    body.extend_from_slice(b"]}");
    each(&number, &carrier, &body);
}
