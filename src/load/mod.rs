//! File or object → [`Dataset`]: reading, parsing and checking on several threads at once.
//!
//! The file's `content` is unpacked, where it is compressed, as it is read. The threads share one `blocks` reader: each takes the next block of whole records from it, parses and checks its
//! rows, and writes them into the dataset's builder. The content's hash is computed as the bytes are read.

mod blocks;
mod content;
mod loader;
mod names;
mod report;
mod rows;
mod source;
mod stamp;
mod version;

pub(crate) use content::in_proportion;
pub use content::{Compression, Foretold};
pub use names::ColumnNames;
pub use report::{Change, FileError, LoadError, Progress, REPORTED_ERRORS_MAX, Summary};
pub use source::{OpenObject, Opened, Source};
pub use stamp::Stamp;

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

use rustix::fs::OFlags;

use crate::dataset::Dataset;
use crate::shard::Shard;
use content::Content;

/// Bytes that a thread takes from the file at a time: few enough to stay in a core's cache.
const BLOCK_BYTES: usize = 1 << 20;

/// What separates fields unless told otherwise.
pub const DELIMITER: u8 = b',';

/// What a load tolerates and how it goes about it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bad rows that are left out before the file is refused.
    pub bad_rows_max: u64,
    /// Whether a file whose last line has no line break is refused.
    pub require_final_newline: bool,
    /// What separates fields: ASCII, no quote, no line break.
    pub delimiter: u8,
    /// What the header calls the columns.
    pub columns: ColumnNames,
    /// The part of the shipments that is kept; none for all.
    pub shard: Option<Shard>,
    /// Threads that parse, at least 1.
    pub threads: usize,
    /// Bytes of a block, at least 1; a block is at least one record.
    pub block_bytes: usize,
    /// Added to the scheduling niceness of the loader's threads, so that serving goes first.
    pub niceness: i32,
    /// Bytes of memory that the load may take; more is refused where it is known beforehand.
    pub memory_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Options {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Options {
            bad_rows_max: 0,
            require_final_newline: false,
            delimiter: DELIMITER,
            columns: ColumnNames::default(),
            shard: None,
            threads,
            block_bytes: BLOCK_BYTES,
            niceness: 0,
            memory_bytes_max: u64::MAX,
        }
    }
}

/// A file that became a dataset.
pub struct Loaded {
    /// The shipments.
    pub dataset: Dataset,
    /// What was read.
    pub summary: Summary,
}

/// Loads of a file that is replaced by another each time, before that is an error.
const ATTEMPTS_MAX: u32 = 5;

/// Loads the CSV file or object `source`, compressed or not. `watch` is called about twenty times a second, at first more
/// often, and when all is parsed, from this thread; it may stop the load.
pub fn load(
    source: impl Into<Source>,
    options: &Options,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Loaded, LoadError> {
    load_opened(source.into().open()?, options, watch)
}

/// Goes on with the load of what was opened, of a file again where it was replaced meanwhile. The rest as in [`load`].
pub fn load_opened(opened: Opened, options: &Options, watch: &mut dyn FnMut(&Progress)) -> Result<Loaded, LoadError> {
    let path = match opened {
        Opened::File(path) => path,
        Opened::Object(object) => return load_object(object, options, watch),
    };
    for _ in 1..ATTEMPTS_MAX {
        match load_file(&path, options, watch) {
            Err(LoadError::Changed { what: Change::Replaced, .. }) => {}
            result => return result,
        }
    }
    load_file(&path, options, watch)
}

/// An object does not change while it is read: storage ends the transfer instead.
fn load_object(object: OpenObject, options: &Options, watch: &mut dyn FnMut(&Progress)) -> Result<Loaded, LoadError> {
    let OpenObject { name, started, stamp, compression, bytes } = object;
    let progress = Progress::new(stamp.bytes());
    let content = Content::new(bytes, compression);
    let mut loaded = loader::run(&name, content, compression, &progress, options, watch)?;
    loaded.summary.stamp = stamp;
    loaded.summary.seconds = started.elapsed().as_secs_f64();
    Ok(loaded)
}

fn load_file(path: &Path, options: &Options, watch: &mut dyn FnMut(&Progress)) -> Result<Loaded, LoadError> {
    let started = Instant::now();
    let unreadable = |operation, source| LoadError::Unreadable { path: path.to_owned(), operation, source };
    let file = open(path).map_err(|source| unreadable("open", source))?;
    let metadata = file.metadata().map_err(|source| unreadable("stat", source))?;
    if !metadata.is_file() {
        let kind = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        return Err(unreadable("read", std::io::Error::new(std::io::ErrorKind::InvalidInput, kind)));
    }
    let before = Stamp::of(&metadata);
    stamp::let_clock_tick(&metadata);
    let progress = Progress::new(metadata.len());
    let found = Compression::of(&file).map_err(|source| unreadable("read", source)).and_then(|compression| {
        let content = Content::new(Box::new(&file), compression);
        loader::run(path, content, compression, &progress, options, watch)
    });
    // A file that changed explains everything else that may be wrong with it.
    let after = file.metadata().map_err(|source| unreadable("stat", source))?;
    let named = Stamp::at(path).map_err(|source| unreadable("stat", source))?;
    if let Some(what) = before.change_to(&Stamp::of(&after)).or_else(|| before.change_to(&named)) {
        return Err(LoadError::Changed { path: path.to_owned(), what });
    }
    let mut loaded = found?;
    if loaded.summary.file_bytes != before.bytes() {
        return Err(LoadError::Changed { path: path.to_owned(), what: Change::Size });
    }
    loaded.summary.stamp = before;
    loaded.summary.seconds = started.elapsed().as_secs_f64();
    Ok(loaded)
}

/// Opens the file at `path`. A FIFO opens too, without waiting for a writer.
fn open(path: &Path) -> std::io::Result<File> {
    File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}
