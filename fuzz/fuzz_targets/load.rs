//! Any bytes as a file, compressed ones too: no panic, and the same answers however the file is cut into blocks.
#![no_main]

use std::fs::File;
use std::io::Write;
use std::sync::LazyLock;
use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use waybill::load::{self, LoadError, Loaded, Options};

/// How compressed files begin.
const COMPRESSED: [&[u8]; 2] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];

/// In memory, so that the file costs little.
static FILE: LazyLock<std::path::PathBuf> =
    LazyLock::new(|| format!("/dev/shm/waybill-fuzz-{}.csv", std::process::id()).into());

fn load(block_bytes: usize, threads: usize, bad_rows_max: u64) -> Result<Loaded, LoadError> {
    let options = Options { bad_rows_max, threads, block_bytes, ..Options::default() };
    load::load(FILE.as_path(), &options, &mut |_| ())
}

/// Everything that an answer or a report would say.
fn told(result: &Result<Loaded, LoadError>) -> String {
    match result {
        Ok(Loaded { dataset, summary }) => {
            let mut text = Vec::new();
            for shipment in dataset.shipments() {
                shipment.render(&mut text);
                text.push(b'\n');
            }
            assert!(dataset.shipment_count() > 0 && summary.rows == dataset.article_count() + summary.bad_rows);
            let text = String::from_utf8(text).expect("answers are UTF-8");
            format!("{text}{}{:?}{:?}", summary.version, summary.errors, dataset.carriers())
        }
        Err(LoadError::Refused { errors, summary, .. }) => {
            assert!(!errors.is_empty() && errors.iter().all(|error| error.line > 0), "a reason without a place");
            format!("{summary}{errors:?}")
        }
        Err(error) => panic!("{error}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let [settings, file @ ..] = data else { return };
    // Old enough that the loader need not wait for the clock of files to tick.
    let written = |mut out: File| out.write_all(file).and_then(|()| out.set_modified(SystemTime::UNIX_EPOCH));
    File::create(&*FILE).and_then(written).expect("a file in memory");
    let bad_rows_max = u64::from(settings & 3);
    let whole = load(1 << 20, 1, bad_rows_max);
    let small = load(usize::from(settings >> 2) + 1, 1 + usize::from(settings & 1), bad_rows_max);
    let (told_whole, told_small) = (told(&whole), told(&small));
    let is_skippable = file.len() > 4 && file[0] >> 4 == 5 && file[1..4] == [0x2a, 0x4d, 0x18];
    let is_compressed = is_skippable || COMPRESSED.iter().any(|magic| file.starts_with(magic));
    // How much is read of a compressed file that is broken depends on the blocks, and so does what else is found wrong.
    if whole.is_ok() || small.is_ok() || !is_compressed {
        assert_eq!(told_whole, told_small);
    }
});
