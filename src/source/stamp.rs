//! Stamps: states of sources, told apart without reading them.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::object::State;

/// Time in which two writes may leave the same modification time: kernels before 6.13 take it from a clock that ticks
/// every 1 to 10 ms.
const MODIFICATION_TICK: Duration = Duration::from_millis(20);

/// State of a source. For a file: device, inode, size and modification time. For an object: size and entity tag, or the
/// modification time if it has no tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    tag: Option<Arc<str>>,
}

impl Stamp {
    /// Stamp of the file at `path`, following symbolic links.
    pub fn at(path: &Path) -> io::Result<Stamp> {
        std::fs::metadata(path).map(|metadata| Stamp::of(&metadata))
    }

    pub(super) fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            tag: None,
        }
    }

    pub(super) fn of_object(state: State) -> Stamp {
        let State { bytes, tag, modified } = state;
        // An object that is written again with the same bytes keeps only its tag.
        let modified = if tag.is_some() { (0, 0) } else { modified };
        Stamp { bytes, modified, tag, ..Stamp::default() }
    }

    pub(super) fn to_state(&self) -> State {
        State { bytes: self.bytes, tag: self.tag.clone(), modified: self.modified }
    }

    /// Size of the file or object.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Change from this state of a file to the `later` one, if there is any.
    pub(super) fn change_to(&self, later: &Stamp) -> Option<Change> {
        if self.bytes != later.bytes {
            Some(Change::Size)
        } else if self.modified != later.modified {
            Some(Change::ModificationTime)
        } else {
            None
        }
    }
}

/// Change of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The size is another one.
    Size,
    /// The file was written to.
    ModificationTime,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Change::Size => "size",
            Change::ModificationTime => "modification time",
        })
    }
}

/// Waits, if the file was just written to, until another write would change its modification time.
pub(super) fn let_clock_tick(metadata: &Metadata) {
    let age = metadata.modified().ok().and_then(|modified| modified.elapsed().ok());
    if let Some(left) = age.and_then(|age| MODIFICATION_TICK.checked_sub(age)) {
        #[expect(clippy::disallowed_methods, reason = "what is waited for is the clock")]
        std::thread::sleep(left);
    }
}
