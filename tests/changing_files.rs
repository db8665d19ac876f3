//! Files that change while they are loaded: what is loaded stood on disk unchanged, whole.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use waybill::load::{LoadError, Loaded, Options, load};

const HEADER: &str =
    "tracking_number,carrier,sender_address,receiver_address,article_name,article_quantity,article_price,SKU,status";

fn file_of(tracking_number: &str) -> String {
    format!("{HEADER}\n{tracking_number},DHL,from,to,Laptop,1,800,LP1,scanned\n")
}

fn number_in(loaded: &Loaded) -> String {
    let mut shipment = Vec::new();
    loaded.dataset.shipments().next().unwrap().render(&mut shipment);
    serde_json::from_slice::<serde_json::Value>(&shipment).unwrap()["tracking_number"].as_str().unwrap().to_owned()
}

/// Loads a file to which `change` happens after it was read and before it is looked at again: the progress is shown
/// then. `change` is told how often that was.
fn load_while(change: impl Fn(&Path, usize)) -> Result<Loaded, LoadError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.csv");
    fs::write(&path, file_of("TN0")).unwrap();
    // Long ago, or a clock that ticks slowly would not show that it changed.
    fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let mut shown = 0;
    load(&path, &Options::default(), &mut |_| {
        shown += 1;
        change(&path, shown);
    })
}

fn replace(path: &Path, file: &str) {
    let next = path.with_extension("new");
    fs::write(&next, file).unwrap();
    fs::rename(next, path).unwrap();
}

#[test]
fn a_file_that_is_replaced_is_loaded_again() {
    let loaded = load_while(|path, shown| {
        if shown == 1 {
            replace(path, &file_of("TN1"));
        }
    });
    assert_eq!(number_in(&loaded.unwrap()), "TN1");
}

#[test]
fn a_file_that_is_replaced_each_time_is_an_error_in_the_end() {
    let loaded = load_while(|path, shown| replace(path, &file_of(&format!("TN{shown}"))));
    assert!(matches!(loaded, Err(LoadError::Changed { .. })));
}

#[test]
fn a_file_that_is_written_to_is_an_error() {
    for longer in [true, false] {
        let loaded = load_while(|path, _| {
            let file = file_of("TN1") + if longer { "\n" } else { "" };
            fs::write(path, file).unwrap();
        });
        assert!(matches!(loaded, Err(LoadError::Changed { .. })), "{longer}");
    }
}

#[test]
fn a_file_that_is_gone_is_an_error() {
    let loaded = load_while(|path, _| fs::remove_file(path).unwrap());
    assert!(matches!(loaded, Err(LoadError::Unreadable { .. })));
}
