//! Files that change while they are loaded: what is loaded stood on disk unchanged, whole.
//!
//! Full form: `WAYBILL_TEST_RACES=1000 cargo test --release --test it slow::changing_files`

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use waybill::load::{LoadError, Loaded, Options, load};
use waybill::source::SourceError;

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
    make_old(&path);
    let mut shown = 0;
    load(&path, &Options::default(), &mut |_| {
        shown += 1;
        change(&path, shown);
    })
}

/// A file written just now is not read before its clock has ticked.
fn make_old(path: &Path) {
    fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
}

fn replace(path: &Path, file: impl AsRef<[u8]>) {
    let next = path.with_extension("new");
    fs::write(&next, file).unwrap();
    fs::rename(next, path).unwrap();
}

#[test]
fn a_file_that_is_replaced_is_loaded_as_it_was_opened() {
    let loaded = load_while(|path, shown| replace(path, file_of(&format!("TN{shown}"))));
    assert_eq!(number_in(&loaded.unwrap()), "TN0");
}

/// As many as there are in a second or two.
const LOADS_OF_REPLACED: usize = 30;

#[test]
fn a_file_that_is_replaced_all_the_time_is_loaded_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.csv");
    replace(&path, file_of("TN0"));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let replacing = scope.spawn(|| {
            let mut replaced = 0;
            while !is_over.load(Ordering::Relaxed) {
                replaced += 1;
                replace(&path, file_of(&format!("TN{replaced}")));
            }
            replaced
        });
        let number = |loaded: Loaded| number_in(&loaded)[2..].parse::<usize>().unwrap();
        let loads = (0..LOADS_OF_REPLACED).map(|_| load(&path, &Options::default(), &mut |_| ()).map(number));
        let loaded: Result<Vec<usize>, LoadError> = loads.collect();
        is_over.store(true, Ordering::Relaxed);
        let replaced = replacing.join().unwrap();
        let loaded = loaded.unwrap();
        assert!(loaded.is_sorted() && loaded.last() > loaded.first() && loaded.last() <= Some(&replaced), "{loaded:?}");
    });
}

#[test]
fn a_file_that_is_written_to_is_an_error() {
    for longer in [true, false] {
        let loaded = load_while(|path, _| {
            let file = file_of("TN1") + if longer { "\n" } else { "" };
            fs::write(path, file).unwrap();
        });
        assert!(matches!(loaded, Err(LoadError::Source(SourceError::Changed { .. }))), "{longer}");
    }
}

#[test]
fn a_file_that_is_removed_is_loaded_as_it_was_opened() {
    let loaded = load_while(|path, shown| {
        if shown == 1 {
            fs::remove_file(path).unwrap();
        }
    });
    assert_eq!(number_in(&loaded.unwrap()), "TN0");
}

#[test]
fn a_file_written_just_now_is_read_when_another_write_would_show() {
    // Kernels before 6.13 give files the time of a clock that ticks every 1 to 10 ms.
    const TICK_MAX: Duration = Duration::from_millis(10);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.csv");
    for number in 0..5 {
        fs::write(&path, file_of(&format!("TN{number}"))).unwrap();
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        let mut age_when_read = None;
        load(&path, &Options::default(), &mut |_| age_when_read = Some(written.elapsed().unwrap())).unwrap();
        assert!(age_when_read.is_some_and(|age| age > TICK_MAX), "{age_when_read:?}");
    }
}

/// How many loads are raced.
const RACES_VARIABLE: &str = "WAYBILL_TEST_RACES";
const RACES_DEFAULT: usize = 60;
const ROWS: usize = 300;

fn race_options() -> Options {
    Options { bad_rows_max: 0, require_final_newline: false, threads: 2, block_bytes: 500, ..Options::default() }
}

/// Content `number`: no row is that of another content, and all contents are of one size.
fn content(number: usize) -> Vec<u8> {
    let row = |row: usize| format!("TN{row},DHL,from,to,Laptop,1,800,LP{number:09},scanned\n");
    (0..ROWS).fold(format!("{HEADER}\n"), |file, at| file + &row(at)).into_bytes()
}

/// Somebody who does to a file whatever should not be done, and remembers all that ever stood there.
struct Vandal {
    path: PathBuf,
    stood: Vec<Vec<u8>>,
}

impl Vandal {
    fn act(&mut self, number: usize) {
        let new = content(number);
        match number % 5 {
            0 => {
                self.stood.push(new.clone());
                replace(&self.path, new);
            }
            1 | 2 => self.overwrite(&new),
            3 => self.truncate(number),
            _ => self.delete_and_write_anew(&new),
        }
    }

    /// In between stand the start of the new content and the end of the old.
    fn overwrite(&mut self, new: &[u8]) {
        let mut stands = fs::read(&self.path).unwrap();
        let file = fs::File::options().write(true).open(&self.path).unwrap();
        let piece_bytes = new.len() / 4;
        for (piece, bytes) in new.chunks(piece_bytes).enumerate() {
            let at = piece * piece_bytes;
            stands.resize(stands.len().max(at + bytes.len()), 0);
            stands[at..at + bytes.len()].copy_from_slice(bytes);
            self.stood.push(stands.clone());
            file.write_all_at(bytes, at as u64).unwrap();
        }
    }

    fn truncate(&mut self, number: usize) {
        let mut stands = fs::read(&self.path).unwrap();
        stands.truncate(stands.len() * (number % 7) / 7);
        let length = stands.len() as u64;
        self.stood.push(stands);
        fs::File::options().write(true).open(&self.path).unwrap().set_len(length).unwrap();
    }

    fn delete_and_write_anew(&mut self, new: &[u8]) {
        fs::remove_file(&self.path).unwrap();
        let half = new.len() / 2;
        self.stood.extend([Vec::new(), new[..half].to_vec(), new.to_vec()]);
        let mut file = fs::File::create(&self.path).unwrap();
        file.write_all(&new[..half]).unwrap();
        file.write_all(&new[half..]).unwrap();
    }
}

/// The version of a stable content; none if it is refused.
fn version_of(content: &[u8]) -> Option<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    make_old(file.path());
    load(file.path(), &race_options(), &mut |_| ()).ok().map(|loaded| loaded.summary.version)
}

/// Lets a time pass that is too short to sleep.
fn spin(time: Duration) {
    let started = Instant::now();
    while started.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn what_is_loaded_in_a_race_is_one_content_that_stood_there() {
    let races = std::env::var(RACES_VARIABLE).map_or(RACES_DEFAULT, |races| races.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.csv");
    let (mut whole, mut changed, mut gone, mut refused) = (0, 0, 0, 0);
    for race in 0..races {
        let first = content(10 * race);
        replace(&path, &first);
        make_old(&path);
        let mut vandal = Vandal { path: path.clone(), stood: vec![first] };
        let start = Barrier::new(2);
        let loaded = std::thread::scope(|scope| {
            let (start, vandal) = (&start, &mut vandal);
            scope.spawn(move || {
                start.wait();
                for act in 1..=1 + race % 2 {
                    spin(Duration::from_micros((race * 97 % 1500) as u64));
                    vandal.act(10 * race + (race / 2 + act) % 10);
                }
            });
            start.wait();
            load(&path, &race_options(), &mut |_| ())
        });
        let mut stood = vandal.stood.iter();
        match loaded {
            Ok(loaded) => {
                let version = Some(loaded.summary.version);
                assert!(
                    stood.any(|content| version_of(content) == version),
                    "race {race}: such a file never stood there"
                );
                whole += 1;
            }
            Err(LoadError::Source(SourceError::Changed { .. })) => changed += 1,
            Err(LoadError::Source(SourceError::Unreadable { .. })) => gone += 1,
            Err(LoadError::Refused { summary, .. }) => {
                assert!(stood.any(|content| version_of(content).is_none()), "race {race}: {summary}");
                refused += 1;
            }
            Err(error) => panic!("race {race}: {error}"),
        }
        // Once nobody is at it any more, it loads.
        let last = content(10 * race + 9);
        replace(&path, &last);
        make_old(&path);
        let loaded = load(&path, &race_options(), &mut |_| ()).unwrap();
        assert_eq!(Some(loaded.summary.version), version_of(&last));
    }
    println!("{races} races: {whole} loaded, {changed} changed, {gone} gone, {refused} refused");
}
