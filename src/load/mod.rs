//! File or object → [`Dataset`](crate::dataset::Dataset): parsing and checking on several threads at once.
//!
//! The threads share one `blocks` reader: each takes the next block of whole records from it, parses and checks its
//! rows, and writes them into the dataset's builder. The content's hash is computed as the bytes are read.

mod bad_rows;
mod blocks;
mod columns;
mod csv;
mod estimate;
mod options;
mod parallel;
mod report;
mod rows;
mod threads;
mod version;

pub use columns::ColumnNames;
pub use estimate::SizeEstimate;
pub(crate) use estimate::in_proportion;
pub use options::{DELIMITER, Options};
pub use report::{FileError, LoadError, LoadErrorCode, Loaded, Progress, REPORTED_ERRORS_MAX, Summary};

use std::path::Path;
use std::time::Instant;

use crate::source::{OpenFile, OpenObject, Opened, Source};
use parallel::Input;

/// Loads the CSV file or object `source`, compressed or not. `watch` is called about twenty times a second,
/// at first more often, and when all is parsed, on this thread; it may stop the load.
pub fn load(
    source: impl Into<Source>,
    options: &Options,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Loaded, LoadError> {
    load_opened(source.into().open(&options.cancel)?, options, watch)
}

/// Loads what was opened, like [`load`].
pub fn load_opened(opened: Opened, options: &Options, watch: &mut dyn FnMut(&Progress)) -> Result<Loaded, LoadError> {
    match opened {
        Opened::File(path) => load_file(&path, options, watch),
        Opened::Object(object) => load_object(object, options, watch),
    }
}

/// Loads an object, which cannot change while it is read: storage ends the transfer instead.
fn load_object(object: OpenObject, options: &Options, watch: &mut dyn FnMut(&Progress)) -> Result<Loaded, LoadError> {
    let OpenObject { name, started, stamp, content } = object;
    parallel::load(Input { name: &name, started, stamp, content }, options, watch)
}

fn load_file(path: &Path, options: &Options, watch: &mut dyn FnMut(&Progress)) -> Result<Loaded, LoadError> {
    let started = Instant::now();
    let file = OpenFile::open(path)?;
    let loaded = file.content(&options.cancel).map_err(LoadError::from).and_then(|content| {
        parallel::load(Input { name: path, started, stamp: file.stamp().clone(), content }, options, watch)
    });
    // A change explains every other error.
    file.check_unchanged()?;
    let loaded = loaded?;
    file.check_size(loaded.summary.file_bytes)?;
    Ok(loaded)
}
