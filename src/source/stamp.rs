//! Stamps: states of sources, told apart without reading them.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::object::State;

/// Time in which two writes may leave the same modification time: kernels before 6.13 take it from a clock that ticks
/// every 1 to 10 ms.
const MODIFICATION_TICK: Duration = Duration::from_millis(20);

/// State of a source, and when it was last written. What tells states of a file apart is device, inode, size and
/// modification time; those of an object, size and entity tag, or the modification time if it has no tag.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds since 1970; 0 if unknown.
    modified: (i64, i64),
    tag: Option<Arc<str>>,
}

/// An object that is written again with the same bytes keeps its tag, and is equal.
impl PartialEq for Stamp {
    fn eq(&self, other: &Stamp) -> bool {
        let identity = |stamp: &Stamp| (stamp.device, stamp.inode, stamp.bytes);
        let is_same_time = self.tag.is_some() || self.modified == other.modified;
        identity(self) == identity(other) && self.tag == other.tag && is_same_time
    }
}

impl Eq for Stamp {}

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
        Stamp { bytes, modified, tag, ..Stamp::default() }
    }

    /// When the source was last written; `None` if that is unknown. Archives without times leave files the time 0.
    pub fn modified_at(&self) -> Option<Timestamp> {
        let (seconds, nanoseconds) = self.modified;
        let at = Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()?;
        (self.modified != (0, 0)).then_some(at)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn object(tag: Option<&str>, seconds: i64) -> Stamp {
        Stamp::of_object(State { bytes: 1, tag: tag.map(Arc::from), modified: (seconds, 0) })
    }

    #[test]
    fn an_object_is_told_by_its_tag_and_without_one_by_its_time() {
        assert_eq!(object(Some("a"), 1), object(Some("a"), 2));
        assert_ne!(object(Some("a"), 1), object(Some("b"), 1));
        assert_ne!(object(Some("a"), 1), object(None, 1));
        assert_eq!(object(None, 1), object(None, 1));
        assert_ne!(object(None, 1), object(None, 2));
    }

    #[test]
    fn the_time_of_writing_is_known_or_not() {
        let at = |seconds| object(Some("a"), seconds).modified_at().map(|at| at.to_string());
        assert_eq!(at(1_790_000_000).as_deref(), Some("2026-09-21T14:13:20Z"));
        assert_eq!(at(-1).as_deref(), Some("1969-12-31T23:59:59Z"));
        assert_eq!([at(0), at(i64::MAX)], [None, None]);
    }
}
