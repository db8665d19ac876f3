//! A file that was cut, at every offset: refused, or exactly the rows that are there.
//!
//! Full form, some minutes: `WAYBILL_TEST_TRUNCATED_BYTES=200000 cargo test --release --test it slow::truncation`

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::reference::agreement::{assert_same_dataset, places};
use crate::reference::compressed::{gzip, zstd};
use crate::reference::{COLUMNS, Export, Place, records};
use tempfile::TempDir;
use waybill::load::{LoadError, Loaded, Options, load};
use waybill::reload::{ReloadError, ReloadSettings, Reloader, Report, Request};
use waybill::store::Store;

/// Another size of the file that is cut.
const BYTES_VARIABLE: &str = "WAYBILL_TEST_TRUNCATED_BYTES";
const BYTES_DEFAULT: usize = 3000;

/// A valid file of about `bytes` bytes: shipments of one to three rows, some of them apart, and quotes, commas and line
/// breaks, in the last field too.
fn whole_file(bytes: usize) -> Vec<u8> {
    let mut file = COLUMNS.join(",") + "\n";
    let row = |number: usize, article: usize| {
        let status = ["scanned", "\"late, \"\"very\"\"\nlate\"", "in-transit"][number % 3];
        let line_end = if number.is_multiple_of(7) { "\r\n" } else { "\n" };
        let shared = format!("TN{number},DHL,\"Street {number}, 10115 Berlin, Germany\",to {number}");
        format!("{shared},\"Article\n{article}\",{article},19.90,SKU{article},{status}{line_end}")
    };
    for number in 0.. {
        if file.len() >= bytes {
            break;
        }
        file.extend((0..=number % 3).map(|article| row(number, article)));
        if number % 4 == 3 {
            file += &(row(number - 2, 9) + "\n");
        }
    }
    file.into_bytes()
}

/// Where a record or blank line ends. Quotes in [`whole_file`] stand around fields, or doubled in them.
fn record_ends(file: &[u8]) -> Vec<usize> {
    let mut quoted = false;
    let mut ends = Vec::new();
    for (at, byte) in file.iter().enumerate() {
        quoted ^= *byte == b'"';
        if *byte == b'\n' && !quoted {
            ends.push(at + 1);
        }
    }
    ends
}

/// A file on disk that gets shorter.
struct Cut {
    file: File,
    dir: TempDir,
}

impl Cut {
    fn new(whole: &[u8]) -> Cut {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cut.csv");
        std::fs::write(&path, whole).unwrap();
        let cut = Cut { file: File::options().write(true).open(path).unwrap(), dir };
        cut.to(whole.len());
        cut
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("cut.csv")
    }

    fn to(&self, bytes: usize) {
        self.file.set_len(bytes as u64).unwrap();
        // Long ago: a file written just now is not read before its clock has ticked.
        self.file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
}

/// What has to become of `cut`, in which the last record begins at `last`: the rows that are there, or where it is
/// wrong.
fn expected(cut: &[u8], last: usize) -> Result<Export, Place> {
    // All before it is valid.
    if let Some(record) = records(&cut[last..]).first()
        && last > 0
        && (record.is_torn || record.fields.len() < COLUMNS.len())
    {
        let line = 1 + memchr::memchr_iter(b'\n', &cut[..last]).count();
        return Err((line as u64, None));
    }
    let export = Export::read(cut)?;
    match export.bad_rows.first() {
        Some(place) => Err(*place),
        None => Ok(export),
    }
}

fn options(require_final_newline: bool) -> Options {
    Options { require_final_newline, bad_rows_max: 0, threads: 1, block_bytes: 4 << 10, ..Options::default() }
}

fn loaded(path: &Path, require_final_newline: bool) -> Result<Loaded, LoadError> {
    load(path, &options(require_final_newline), &mut |_| ())
}

fn error_places(result: Result<Loaded, LoadError>) -> Vec<Place> {
    match result {
        Err(LoadError::Refused { errors, .. }) => {
            assert!(errors.iter().all(|error| !error.reason.is_empty()), "{errors:?}");
            places(&errors)
        }
        Err(error) => panic!("{error}"),
        Ok(_) => Vec::new(),
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_or_has_exactly_the_rows_that_are_there() {
    let bytes = std::env::var(BYTES_VARIABLE).map_or(BYTES_DEFAULT, |bytes| bytes.parse().unwrap());
    let whole = whole_file(bytes);
    let ends = record_ends(&whole);
    let on_disk = Cut::new(&whole);
    let (mut at_a_border, mut in_the_last_field, mut refused) = (0, 0, 0);
    for length in (0..=whole.len()).rev() {
        on_disk.to(length);
        let cut = &whole[..length];
        let before = ends.partition_point(|end| *end <= length);
        let last = if before == 0 { 0 } else { ends[before - 1] };
        let result = loaded(&on_disk.path(), false);
        match expected(cut, last) {
            Ok(export) => {
                let Loaded { dataset, summary } = result.unwrap_or_else(|error| panic!("cut at {length}: {error}"));
                assert_same_dataset(&dataset, &export);
                assert_eq!((summary.rows, summary.bad_rows), (export.rows, 0), "cut at {length}");
                let is_at_a_border = last == length;
                assert_eq!(summary.final_newline_missing, !is_at_a_border, "cut at {length}");
                assert_eq!(loaded(&on_disk.path(), true).is_ok(), is_at_a_border, "cut at {length}");
                *(if is_at_a_border { &mut at_a_border } else { &mut in_the_last_field }) += 1;
            }
            Err(place) => {
                assert_eq!(error_places(result), [place], "cut at {length}");
                refused += 1;
            }
        }
    }
    println!("{at_a_border} cut at a border, {in_the_last_field} in the last field, {refused} refused");
    // The header ends at the first border, and alone is no file.
    assert_eq!(at_a_border, ends.len() - 1);
    assert!(in_the_last_field > ends.len() && refused > whole.len() / 2);
}

#[test]
fn a_compressed_file_cut_anywhere_is_refused() {
    let content = whole_file(BYTES_DEFAULT);
    for whole in [gzip(&content, 6), gzip(&content, 9), zstd(&content, 3), zstd(&content, 0)] {
        let on_disk = Cut::new(&whole);
        assert!(loaded(&on_disk.path(), false).is_ok());
        for length in (0..whole.len()).rev() {
            on_disk.to(length);
            assert_eq!(error_places(loaded(&on_disk.path(), false)).len(), 1, "cut at {length}");
        }
    }
}

/// A reloader that serves the file at `data` with the given guards.
fn serving(data: PathBuf, shipments_min: u64, removed_percent_max: f64) -> (Reloader, Arc<Store>) {
    let settings =
        ReloadSettings { load: options(false), shipments_min, removed_percent_max, ..ReloadSettings::new(data) };
    let store = Arc::new(Store::default());
    let (reloader, first) = Reloader::start(settings, Arc::clone(&store), Box::new(|_| ())).unwrap();
    assert!(first.blocking_recv().unwrap().is_ok());
    (reloader, store)
}

#[test]
fn a_cut_that_cannot_be_told_from_a_shorter_file_is_stopped_by_the_guards() {
    let whole = whole_file(BYTES_DEFAULT);
    let shipments = Export::read(&whole).unwrap().shipments.len() as u64;
    let on_disk = Cut::new(&whole);
    let (by_share, store) = serving(on_disk.path(), 1, 0.0);
    let (by_number, _) = serving(on_disk.path(), shipments, 100.0);
    let (unguarded, _) = serving(on_disk.path(), 1, 100.0);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // So that what is served stays whole.
    let compared = Request { dry_run: true, force: false };
    let mut stopped = 0;
    for length in record_ends(&whole).into_iter().skip(1).flat_map(|end| [end - 1, end]).rev() {
        on_disk.to(length);
        let Ok(export) = Export::read(&whole[..length]) else { continue };
        if !export.bad_rows.is_empty() {
            continue;
        }
        let left = export.shipments.len() as u64;
        let share = runtime.block_on(by_share.reload(compared));
        let number = runtime.block_on(by_number.reload(compared));
        if left < shipments {
            let lost = shipments - left;
            assert!(matches!(*share, Err(ReloadError::TooManyRemoved { removed, .. }) if removed == lost), "{share:?}");
            assert!(matches!(*number, Err(ReloadError::TooFewShipments { .. })), "{number:?}");
            assert!(runtime.block_on(by_share.reload(Request::default())).is_err());
            stopped += 1;
        } else {
            assert!(share.is_ok() && number.is_ok(), "cut at {length}: {share:?} {number:?}");
        }
        let forced = runtime.block_on(by_share.reload(Request { force: true, ..compared }));
        for passed in [runtime.block_on(unguarded.reload(compared)), forced] {
            let count = match passed.as_ref() {
                Ok(Report::Published { shipments, .. } | Report::Unchanged { shipments, .. }) => *shipments,
                Err(error) => panic!("cut at {length}: {error}"),
            };
            assert_eq!(count, left, "cut at {length}");
        }
    }
    assert!(stopped > 10, "{stopped}");
    let served = store.load();
    let served = served.as_deref().unwrap();
    assert_eq!((served.generation, served.dataset.shipment_count()), (1, shipments));
}
