//! Memory: how much a dataset takes, and how much is available. A reload that does not fit is refused, since an
//! allocation that fails ends the process.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::dataset::Dataset;
use crate::load::{SizeEstimate, Summary};

/// Mount points of the kernel's process and control group file systems.
const PROC: &str = "/proc";
const CGROUPS: &str = "/sys/fs/cgroup";

/// Memory of the process itself: code, stacks, runtimes, the allocator.
const PROCESS_BYTES: u64 = 25 << 20;
/// Parts of what the load took beyond the dataset that stay with the allocator: one that the next load does not use, of
/// at most so many bytes, and one that it does.
const LEFT_SHARE: u64 = 2;
const LEFT_BYTES_MAX: u64 = 8 << 20;
const FREE_SHARE: u64 = 8;

/// Estimated memory of a dataset, from what its load has counted. `tests/system/data_shapes.py` holds it to what servers
/// take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Resident memory of a process that serves the dataset, some seconds after the load.
    pub serving_bytes: u64,
    /// Memory that loading another one like it takes on top of that.
    pub load_bytes: u64,
    /// Memory of each dataset that is kept.
    pub dataset_bytes: u64,
}

impl Forecast {
    /// Estimates the memory for `dataset`, which was loaded as `summary` says.
    pub fn new(dataset: &Dataset, summary: &Summary) -> Forecast {
        let dataset_bytes = dataset.bytes();
        let beyond = summary.peak_bytes.saturating_sub(dataset_bytes);
        let left = (beyond / LEFT_SHARE).min(LEFT_BYTES_MAX);
        let free_bytes = beyond / FREE_SHARE;
        Forecast {
            serving_bytes: PROCESS_BYTES + dataset_bytes + left + free_bytes,
            load_bytes: summary.peak_bytes - free_bytes,
            dataset_bytes,
        }
    }

    /// The most that a process needs while it serves one such dataset and loads another.
    pub fn reload_peak_bytes(&self) -> u64 {
        self.serving_bytes + self.load_bytes
    }

    /// The same with the previous dataset kept (`--keep-previous`).
    pub fn reload_peak_with_previous_bytes(&self) -> u64 {
        self.reload_peak_bytes() + self.dataset_bytes
    }
}

/// Estimated memory of a load, on top of the rest of the process, if only the size of its content is known.
///
/// Measured, in bytes per byte of content: 0.15 where twenty articles of a shipment repeat the same addresses, 0.55 for
/// data of `waybill generate`, 2.2 where all texts are long and no two are the same, 4 where rows are very short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoughForecast {
    /// Memory that every file of this size takes.
    pub bytes_min: u64,
    /// Memory that files of this size usually take.
    pub bytes_usual: u64,
}

impl RoughForecast {
    /// Estimates the memory for a file with so much content.
    pub fn new(content: &SizeEstimate) -> RoughForecast {
        RoughForecast { bytes_min: content.content_bytes_min / 20, bytes_usual: content.content_bytes_usual / 20 * 11 }
    }
}

/// Memory that the allocator holds for a next load, if what is served and kept takes `held_bytes`; 0 if the kernel does
/// not tell.
pub fn free_bytes(held_bytes: u64) -> u64 {
    let status = fs::read_to_string(Path::new(PROC).join("self/status")).unwrap_or_default();
    let resident = field(&status, "VmRSS:").unwrap_or(0) << 10;
    resident.saturating_sub(PROCESS_BYTES + held_bytes)
}

/// Time after which the allocator may purge freed memory. It does so when it is next called.
pub const PURGE_DELAY: Duration = Duration::from_millis(1100);
/// Size of an allocation that gets pages of its own from the allocator.
const LARGE_ALLOCATION_BYTES: usize = 1 << 20;

/// Makes the allocator return to the system what has been free for [`PURGE_DELAY`], which it does when a large
/// allocation is freed. Otherwise the peak of a load stays with the process, and the next load lacks it.
pub fn purge() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE_ALLOCATION_BYTES)));
}

/// Memory that is available, and the limit that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available {
    /// Bytes that can be allocated without swapping or being killed.
    pub bytes: u64,
    /// Name of the limit that is reached first.
    pub limit: &'static str,
}

/// Returns the memory that is left on the machine and in the control groups of this process (versions 1 and 2),
/// whichever is least; `None` if the kernel does not tell.
pub fn available() -> Option<Available> {
    available_below(Path::new(PROC), Path::new(CGROUPS))
}

fn available_below(proc: &Path, cgroups: &Path) -> Option<Available> {
    let machine = fs::read_to_string(proc.join("meminfo"))
        .ok()
        .and_then(|meminfo| field(&meminfo, "MemAvailable:"))
        .map(|kilobytes| Available { bytes: kilobytes << 10, limit: "the machine's memory" });
    let groups = least_of_groups(proc, cgroups, Version::left_in)
        .map(|bytes| Available { bytes, limit: "the memory limit of the control group" });
    machine.into_iter().chain(groups).min_by_key(|available| available.bytes)
}

/// Returns the memory of the machine, or the limit of the control groups of this process if that is less; `None` if the
/// kernel does not tell.
pub fn limit() -> Option<u64> {
    limit_below(Path::new(PROC), Path::new(CGROUPS))
}

fn limit_below(proc: &Path, cgroups: &Path) -> Option<u64> {
    let meminfo = fs::read_to_string(proc.join("meminfo")).unwrap_or_default();
    let machine = field(&meminfo, "MemTotal:").map(|kilobytes| kilobytes << 10);
    let groups = least_of_groups(proc, cgroups, Version::limit_of);
    machine.into_iter().chain(groups).min()
}

/// Returns the least figure of the control groups of this process and those above them.
fn least_of_groups(proc: &Path, cgroups: &Path, figure: impl Fn(&Version, &Path) -> Option<u64>) -> Option<u64> {
    let groups = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
    let figures = groups.lines().filter_map(|line| {
        // hierarchy:controllers:path; version 2 has no controllers.
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let version = if controllers.is_empty() {
            &VERSION_2
        } else if controllers.split(',').any(|controller| controller == "memory") {
            &VERSION_1
        } else {
            return None;
        };
        let root = cgroups.join(version.mount);
        // In a container the path may be the host's, with the group mounted as the root.
        let path = Path::new(path.trim_start_matches('/'));
        path.ancestors().filter_map(|group| figure(version, &root.join(group))).min()
    });
    figures.min()
}

/// File names of a version of control groups.
struct Version {
    mount: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// Page cache that the kernel reclaims before it kills: part of the usage that is available.
    reclaimable: &'static str,
}

const VERSION_1: Version = Version {
    mount: "memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
};
const VERSION_2: Version =
    Version { mount: "", limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file" };

impl Version {
    /// The limit of a group; `None` if it has none.
    fn limit_of(&self, group: &Path) -> Option<u64> {
        // `max` is not a number and means that there is no limit.
        number(&group.join(self.limit))
    }

    /// The memory that is left in a group.
    fn left_in(&self, group: &Path) -> Option<u64> {
        let limit = self.limit_of(group)?;
        let usage = number(&group.join(self.usage))?;
        let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let reclaimable = field(&stat, self.reclaimable).unwrap_or(0);
        Some(limit.saturating_sub(usage.saturating_sub(reclaimable)))
    }
}

/// Reads a file that is a number.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Finds the number after `name` in lines of names and numbers.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.split_ascii_whitespace().next() == Some(name))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is available on a machine with 8000 KiB left and these files of control groups.
    fn available_with(groups: &str, files: &[(&str, &str)]) -> Option<Available> {
        with(groups, files, available_below)
    }

    /// Returns what `read` reads on such a machine.
    fn with<T>(groups: &str, files: &[(&str, &str)], read: impl FnOnce(&Path, &Path) -> T) -> T {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/meminfo", "MemTotal:  9000 kB\nMemAvailable:  8000 kB\n");
        write("proc/self/cgroup", groups);
        for (path, text) in files {
            write(&format!("cgroup/{path}"), text);
        }
        read(&dir.path().join("proc"), &dir.path().join("cgroup"))
    }

    #[test]
    fn the_limit_is_that_of_the_tightest_group_or_the_machine() {
        let files = [("a/memory.max", "max\n"), ("a/b/memory.max", "9000\n"), ("a/b/memory.current", "100\n")];
        assert_eq!(with("0::/a/b\n", &files, limit_below), Some(9000));
        assert_eq!(with("0::/a\n", &files, limit_below), Some(9000 << 10));
    }

    #[test]
    fn without_a_group_the_machine_is_the_limit() {
        let unlimited = [("a/memory.max", "max\n"), ("a/memory.current", "5\n")];
        for files in [&[][..], &unlimited] {
            let available = available_with("0::/a\n", files).unwrap();
            assert_eq!(available, Available { bytes: 8000 << 10, limit: "the machine's memory" });
        }
    }

    #[test]
    fn the_tightest_group_above_the_process_counts() {
        let files = [
            ("a/memory.max", "5000\n"),
            ("a/memory.current", "4000\n"),
            ("a/memory.stat", "anon 1\ninactive_file 300\n"),
            ("a/b/memory.max", "9000\n"),
            ("a/b/memory.current", "100\n"),
        ];
        assert_eq!(available_with("0::/a/b\n", &files).unwrap().bytes, 1300);
    }

    #[test]
    fn a_container_that_sees_its_group_as_the_root_is_limited_by_it() {
        let version_1 = [
            ("memory/memory.limit_in_bytes", "7000\n"),
            ("memory/memory.usage_in_bytes", "1000\n"),
            ("memory/memory.stat", "inactive_file 1\ntotal_inactive_file 50\n"),
        ];
        assert_eq!(available_with("4:memory:/docker/x\n1:cpu:/y\n", &version_1).unwrap().bytes, 6050);
    }

    #[test]
    fn this_machine_has_some() {
        assert!(available().is_some_and(|available| available.bytes > 0));
    }
}
