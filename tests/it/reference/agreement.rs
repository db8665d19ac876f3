//! Holding the loader and the dataset to the reference.

use std::io::Write;
use std::time::SystemTime;

use serde_json::json;
use tempfile::NamedTempFile;
use waybill::batch::{self, BatchError};
use waybill::dataset::{Dataset, OutlineLimits, Record};
use waybill::load::{FileError, LoadError, Loaded, Options, REPORTED_ERRORS_MAX, load};
use waybill::shipment::{Column, FoldedKey};

use super::{Export, Place, Shipment, spellings};

fn written(file: &[u8]) -> NamedTempFile {
    let mut on_disk = NamedTempFile::new().unwrap();
    on_disk.write_all(file).unwrap();
    // Long ago: a file written just now is not read before its clock has ticked.
    on_disk.as_file().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    on_disk
}

/// What becomes of a file.
pub(crate) fn loaded(file: &[u8], options: &Options) -> Result<Loaded, LoadError> {
    load(written(file).path(), options, &mut |_| ())
}

pub(crate) fn places(errors: &[FileError]) -> Vec<Place> {
    errors.iter().map(|error| (error.line, error.column)).collect()
}

fn read(file: &[u8], options: &Options) -> Result<Export, Place> {
    Export::read_as(file, options.delimiter, &Column::ALL.map(|column| options.columns.get(column)))
}

/// What becomes of a file by the reference; for a refused one, which places are reported.
fn expected(file: &[u8], options: &Options) -> Result<Export, Vec<Place>> {
    let export = read(file, options).map_err(|place| vec![place])?;
    if options.require_final_newline && !file.ends_with(b"\n") {
        let last_line = file.split(|byte| *byte == b'\n').count() as u64;
        return Err(vec![(last_line, None)]);
    }
    if export.bad_rows.len() as u64 > options.bad_rows_max || export.shipments.is_empty() {
        return Err(export.bad_rows.into_iter().take(REPORTED_ERRORS_MAX).collect());
    }
    Ok(export)
}

pub(crate) fn rendered(record: &Record<'_>) -> String {
    let mut out = Vec::new();
    record.render(&mut out);
    String::from_utf8(out).unwrap()
}

fn jsons<'s>(shipments: impl IntoIterator<Item = &'s Shipment>) -> Vec<String> {
    shipments.into_iter().map(Shipment::json).collect()
}

/// Holds both to the same answers about one number and carrier.
pub(crate) fn assert_same_lookup(dataset: &Dataset, export: &Export, number: &str, carrier: &str) {
    let (folded_number, folded_carrier) = (FoldedKey::new(number), FoldedKey::new(carrier));
    let one = dataset.shipment(&folded_number, &folded_carrier).map(|record| rendered(&record));
    assert_eq!(one, export.shipment(number, carrier).map(Shipment::json), "{number:?} with {carrier:?}");
    let spelled = dataset.shipment_spelled(&folded_number, carrier).map(|record| rendered(&record));
    assert_eq!(spelled, one, "{number:?} with {carrier:?} as spelled");
    let all: Vec<String> = dataset.shipments_with_number(&folded_number).map(|record| rendered(&record)).collect();
    assert_eq!(all, jsons(export.shipments_with_number(number)), "{number:?}");
}

pub(crate) fn assert_same_dataset(dataset: &Dataset, export: &Export) {
    let shipments: Vec<String> = dataset.shipments().map(|record| rendered(&record)).collect();
    assert_eq!(shipments, jsons(&export.shipments));
    assert_eq!(dataset.shipment_count(), export.shipments.len() as u64);
    assert_eq!(dataset.article_count(), export.articles());
    assert_eq!(dataset.carriers(), export.carriers);
}

/// Holds both to the same answer about many numbers, each with its carrier or any.
fn assert_same_batch(dataset: &Dataset, export: &Export, lookups: &[(String, Option<String>)]) {
    let results = lookups.iter().map(|(number, carrier)| {
        let shipments = match carrier {
            Some(carrier) => export.shipment(number, carrier).into_iter().collect(),
            None => export.shipments_with_number(number),
        };
        let (number, carrier) = (json!(number), json!(carrier));
        let shipments = jsons(shipments).join(",");
        format!(r#"{{"tracking_number":{number},"carrier":{carrier},"shipments":[{shipments}]}}"#)
    });
    let expected = format!(r#"{{"results":[{}]}}"#, results.collect::<Vec<_>>().join(","));
    let asked = |(number, carrier): &(String, Option<String>)| json!({"tracking_number": number, "carrier": carrier});
    let body = json!({"lookups": lookups.iter().map(asked).collect::<Vec<_>>()}).to_string();
    let mut body = body.into_bytes();
    let lookups = batch::parse(&mut body).unwrap();
    let bytes = expected.len() as u64;
    let outline = |bytes_max| {
        let limits = OutlineLimits { bytes_max, shipment_bytes_max: bytes_max, articles_max: u64::MAX };
        batch::outline(dataset, &lookups, limits)
    };
    let answer = dataset.render(outline(bytes).unwrap());
    assert_eq!(String::from_utf8(answer).unwrap(), expected);
    assert_eq!(outline(bytes - 1).err(), Some(BatchError::ResponseTooLarge { bytes_max: bytes - 1 }));
}

/// Every lookup that finds something, in many spellings, and some that find nothing.
fn assert_same_lookups(dataset: &Dataset, export: &Export) {
    let mut lookups = vec![("nothing".to_owned(), None), ("nothing".to_owned(), Some("nobody".to_owned()))];
    for shipment in &export.shipments {
        for number in spellings(&shipment.tracking_number) {
            for carrier in spellings(&shipment.carrier) {
                assert_same_lookup(dataset, export, &number, &carrier);
                lookups.push((number.clone(), Some(carrier)));
            }
            lookups.push((number, None));
        }
        assert_same_lookup(dataset, export, &shipment.tracking_number, "nobody");
        assert_same_lookup(dataset, export, &format!("{}x", shipment.tracking_number), &shipment.carrier);
        for carrier in &export.carriers {
            assert_same_lookup(dataset, export, &shipment.tracking_number, carrier);
        }
    }
    assert_same_lookup(dataset, export, "", "");
    for lookups in lookups.chunks(batch::LOOKUPS_MAX) {
        assert_same_batch(dataset, export, lookups);
    }
}

/// Loads the file and holds what becomes of it to the reference.
pub(crate) fn assert_agreement(file: &[u8], options: &Options) {
    match (loaded(file, options), expected(file, options)) {
        (Ok(Loaded { dataset, summary }), Ok(export)) => {
            assert_eq!(summary.rows, export.rows);
            assert_eq!(summary.bad_rows, export.bad_rows.len() as u64);
            let first_bad = &export.bad_rows[..export.bad_rows.len().min(REPORTED_ERRORS_MAX)];
            assert_eq!(places(&summary.errors), first_bad);
            assert_eq!(summary.ignored_columns, export.ignored_columns);
            assert_eq!(summary.final_newline_missing, !file.ends_with(b"\n"));
            assert_eq!((summary.file_bytes, summary.content_bytes), (file.len() as u64, file.len() as u64));
            assert_same_dataset(&dataset, &export);
            assert_same_lookups(&dataset, &export);
        }
        (Err(LoadError::Refused { errors, summary, .. }), Err(expected)) => {
            assert_eq!(places(&errors), expected, "{summary}");
            if let Ok(export) = read(file, options)
                && !options.require_final_newline
                && export.bad_rows.len() as u64 > options.bad_rows_max
            {
                assert!(summary.starts_with(&format!("{} bad row", export.bad_rows.len())), "{summary}");
            }
        }
        (Ok(_), Err(expected)) => panic!("loaded, but expected errors at {expected:?}"),
        (Err(error), Ok(_)) => panic!("expected to load: {error:?}"),
        (Err(error), Err(_)) => panic!("{error}"),
    }
}
