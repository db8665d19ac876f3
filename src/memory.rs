//! How much memory there is: a reload that does not fit is refused, since an allocation that fails ends the process.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::dataset::Dataset;
use crate::load::{SizeEstimate, Summary};

/// Where the kernel shows processes and limits.
const PROC: &str = "/proc";
const CGROUPS: &str = "/sys/fs/cgroup";

/// The process itself: code, stacks, runtimes, the allocator's own.
const PROCESS_BYTES: u64 = 21 << 20;
/// What a thread takes that loads, at most; of a small file it is about twice its content.
const LOADER_THREAD_BYTES_MAX: u64 = 10 << 20;
/// What of that, and of what was needed for a shipment, stays for good.
const LOADED_THREAD_BYTES_MAX: u64 = 3 << 20;
const LOADED_SHIPMENT_BYTES: u64 = 8;
/// What of a shipment stays besides until the allocator gives it back, see [`PURGE_DELAY`].
const KEPT_SHIPMENT_BYTES: u64 = 4;

/// What a dataset will take. The constants were measured: from 100,000 shipments on the estimate at rest holds within
/// 10 %, from 300,000 on that of reloads too; smaller files take less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Resident memory of a process that serves it, some seconds after the load.
    pub serving_bytes: u64,
    /// What the load leaves on top of that for a while.
    pub kept_bytes: u64,
    /// What loading another like it takes on top of both.
    pub load_bytes: u64,
    /// What each dataset that is kept takes.
    pub dataset_bytes: u64,
}

impl Forecast {
    /// Estimates the memory for `dataset`, which was loaded as `summary` says, if `threads` threads load.
    pub fn new(dataset: &Dataset, summary: &Summary, threads: usize) -> Forecast {
        let (dataset_bytes, shipments) = (dataset.bytes(), dataset.shipment_count());
        let of_threads = |bytes_max: u64| threads as u64 * bytes_max.min(2 * summary.content_bytes);
        let loading = of_threads(LOADER_THREAD_BYTES_MAX);
        let loaded = of_threads(LOADED_THREAD_BYTES_MAX);
        Forecast {
            serving_bytes: PROCESS_BYTES + dataset_bytes + loaded + shipments * LOADED_SHIPMENT_BYTES,
            kept_bytes: loading - loaded + shipments * KEPT_SHIPMENT_BYTES,
            load_bytes: dataset_bytes + loading,
            dataset_bytes,
        }
    }

    /// The most that a process needs while it serves one such dataset and loads another, however soon after the last.
    pub fn reload_peak_bytes(&self) -> u64 {
        self.serving_bytes + self.kept_bytes + self.load_bytes
    }

    /// The same where one more is kept from before (`--keep-previous`), with what its load left.
    pub fn reload_peak_with_previous_bytes(&self) -> u64 {
        self.reload_peak_bytes() + self.dataset_bytes + self.kept_bytes
    }
}

/// What a load takes of which nothing is known but its content's size, on top of what the process has.
///
/// Measured, in bytes per byte of content: 0.15 where twenty articles of a shipment repeat the same addresses, 0.55 for
/// made-up data of `waybill generate`, 2.2 where all texts are long and no two are the same, 4 where rows are very short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoughForecast {
    /// No file takes less.
    pub bytes_min: u64,
    /// What such files often take.
    pub bytes_usual: u64,
}

impl RoughForecast {
    /// Estimates the memory for a file with so much content.
    pub fn new(content: &SizeEstimate) -> RoughForecast {
        RoughForecast { bytes_min: content.content_bytes_min / 20, bytes_usual: content.content_bytes_usual / 20 * 11 }
    }
}

/// The allocator keeps what was freed for a second, and then until it is next asked.
pub const PURGE_DELAY: Duration = Duration::from_millis(1100);
/// Too large for the allocator's pages of many pieces.
const LARGE_PIECE_BYTES: usize = 1 << 20;

/// Has the allocator give back to the system what has been free for [`PURGE_DELAY`]: it does when a large piece is freed.
/// Otherwise what a load took at its height stays with the process, and is missing for the next.
pub fn purge() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE_PIECE_BYTES)));
}

/// What a load may take, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available {
    /// Bytes that can be had without swapping or being killed.
    pub bytes: u64,
    /// The limit that is met first.
    pub limit: &'static str,
}

/// The memory that is left on the machine and in the control groups of this process, versions 1 and 2, whichever is
/// least. None where the kernel does not tell.
pub fn available() -> Option<Available> {
    available_below(Path::new(PROC), Path::new(CGROUPS))
}

fn available_below(proc: &Path, cgroups: &Path) -> Option<Available> {
    let machine = fs::read_to_string(proc.join("meminfo"))
        .ok()
        .and_then(|meminfo| field(&meminfo, "MemAvailable:"))
        .map(|kilobytes| Available { bytes: kilobytes << 10, limit: "the machine's memory" });
    let groups = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
    let left_in_groups = groups.lines().filter_map(|line| {
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
        version.left(&root, path.trim_start_matches('/'))
    });
    let groups = left_in_groups.min().map(|bytes| Available { bytes, limit: "the memory limit of the control group" });
    machine.into_iter().chain(groups).min_by_key(|available| available.bytes)
}

/// The files of a version of control groups.
struct Version {
    mount: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// File pages that the kernel gives up before it kills: part of the usage that is free to take.
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
    /// What is left in the group at `path` or the one above it that has least. In a container the path may be one of
    /// the host's, and the group is mounted as the root.
    fn left(&self, root: &Path, path: &str) -> Option<u64> {
        Path::new(path).ancestors().filter_map(|group| self.left_in(&root.join(group))).min()
    }

    fn left_in(&self, group: &Path) -> Option<u64> {
        let number = |name| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
        // `max` is no number: there is no limit.
        let limit = number(self.limit)?;
        let usage = number(self.usage)?;
        let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let reclaimable = field(&stat, self.reclaimable).unwrap_or(0);
        Some(limit.saturating_sub(usage.saturating_sub(reclaimable)))
    }
}

/// The number behind `name` in lines of names and numbers.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.split_ascii_whitespace().next() == Some(name))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with 8000 KiB left and the given files.
    fn available_with(groups: &str, files: &[(&str, &str)]) -> Option<Available> {
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
        available_below(&dir.path().join("proc"), &dir.path().join("cgroup"))
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
