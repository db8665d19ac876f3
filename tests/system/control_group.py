"""A control group (version 1 or 2) with a memory limit, below the one of this process, so that limits above go on to
hold. Needs root."""

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


class Group:
    """The group. OSError where none with a memory limit can be made."""

    def __init__(self, name):
        groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
        v1 = [path for _, controllers, path in groups if "memory" in controllers.split(",")]
        root = ROOT / "memory" if v1 else ROOT
        path = v1[0] if v1 else next(path for _, controllers, path in groups if not controllers)
        parent = root / path.strip("/")
        parent = parent if parent.is_dir() else root
        self.limit = "memory.limit_in_bytes" if v1 else "memory.max"
        self.killed = "memory.oom_control" if v1 else "memory.events"
        self.path = parent / f"waybill-{name}-{os.getpid()}"
        self.path.mkdir()
        if not (self.path / self.limit).exists():
            (parent / "cgroup.subtree_control").write_text("+memory")
        (self.path / self.limit).read_text()

    def within(self, command):
        """The command that runs `command` in the group, in a process of the same number."""
        return ["bash", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(self.path), *command]

    def set(self, limit):
        """Limits the group to so many bytes."""
        (self.path / self.limit).write_text(str(limit))

    def kills(self):
        """How many processes were killed in it for want of memory."""
        words = (self.path / self.killed).read_text().split()
        return int(words[words.index("oom_kill") + 1])

    def remove(self):
        """Removes it, once no process is in it."""
        self.path.rmdir()
