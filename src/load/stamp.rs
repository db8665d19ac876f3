//! What tells one state of a file from another without reading it.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::report::Change;

/// Writes within this time may leave the same modification time: kernels before 6.13 take it from a clock that ticks
/// every 1 to 10 ms.
const MODIFICATION_TICK: Duration = Duration::from_millis(20);

/// Which file it is, its size, and when it was last written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl Stamp {
    /// That of the file at `path`, links followed.
    pub fn at(path: &Path) -> io::Result<Stamp> {
        std::fs::metadata(path).map(|metadata| Stamp::of(&metadata))
    }

    pub(super) fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    /// Size of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What has become of the file since.
    pub(super) fn change_to(&self, later: &Stamp) -> Option<Change> {
        if (self.device, self.inode) != (later.device, later.inode) {
            Some(Change::Replaced)
        } else if self.bytes != later.bytes {
            Some(Change::Size)
        } else if self.modified != later.modified {
            Some(Change::ModificationTime)
        } else {
            None
        }
    }
}

/// Waits, if the file was written to just now, until another write would show.
pub(super) fn let_clock_tick(metadata: &Metadata) {
    let age = metadata.modified().ok().and_then(|modified| modified.elapsed().ok());
    if let Some(left) = age.and_then(|age| MODIFICATION_TICK.checked_sub(age)) {
        #[expect(clippy::disallowed_methods, reason = "what is waited for is the clock")]
        std::thread::sleep(left);
    }
}
