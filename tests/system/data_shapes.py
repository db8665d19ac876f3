#!/usr/bin/env python3
"""Loads data of many shapes and holds what `waybill check` foretells against what a server takes: at rest, and at most
while it reloads data in which every shipment has changed. Then does the same in control groups with a twentieth more
than was taken, and with a fifth less: it must be served or refused with the figures, never killed.

Needs a release build, and root for control groups; without these it measures only. WAYBILL_BIN is the binary, SCALE the
share of the full sizes, SHAPES a regular expression of the shapes, THREADS the threads that load, LIMITS the percentages,
VERBOSE=1 tells why what was refused. Full form, half an hour: SCALE=1
"""

import contextlib
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "data_shapes")]
from control_group import Group
from shapes import shapes

BIN = str(Path(os.environ.pop("WAYBILL_BIN", Path(__file__).parents[2] / "target/release/waybill")).resolve())
SCALE = float(os.environ.get("SCALE", "0.05"))
SHAPES = re.compile(os.environ.get("SHAPES", ""))
THREADS = os.environ.get("THREADS", "2")
VERBOSE = bool(os.environ.get("VERBOSE"))
LIMITS = os.environ.get("LIMITS", "105 80").split()

MIB = 1 << 20
PATIENCE_SECONDS = 300
# The allocator gives back what a load has left.
SETTLED_SECONDS = 4
# The forecast holds within a tenth, or so many bytes for what is small: what the allocator keeps of a short load depends
# on how busy the machine is.
TOLERANCE = 0.10
SMALL_BYTES = 128 * MIB
TOLERANCE_BYTES = 16 * MIB


class Failure(Exception):
    """What was seen and should not have been."""


class Server:
    """A server that loads `data`; in `group`, if there is one."""

    def __init__(self, data, group=None):
        serve = [BIN, "serve", "--data", str(data), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
        serve += ["--threads", "2", "--load-threads", THREADS, "--log-format", "json"]
        if group:
            serve = group.within(serve)
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(serve, stderr=self.log)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def is_serving(self):
        """Waits until it serves; false if it ends before."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            lines = [json.loads(line) for line in self.said().splitlines() if line.startswith("{") and line.endswith("}")]
            told = {line["fields"]["message"]: line["fields"] for line in lines}
            if "serving" in told:
                self.admin, self.public = told["listening"]["admin"], told["listening"]["public"]
                self.load_seconds = told["serving"]["load_seconds"]
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.02)
        raise Failure("it does not serve")

    def reload(self):
        """Status and answer of a reload."""
        request = urllib.request.Request(f"http://{self.admin}/-/reload?force=true", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError as error:
            return 0, {"detail": f"{error}; status {self.process.poll()}"}

    def memory(self, field):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB$", status, re.M)[1]) << 10

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE_SECONDS)
        self.log.close()
        return status


def write_changed(source, target):
    """Copies with another status in each row."""
    with open(source, "rb") as old, open(target, "wb") as new:
        new.write(old.readline())
        for part in iter(lambda: old.readlines(1 << 20), []):
            new.write(b"".join(part).replace(b"\n", b"-b\n"))


def compress(path):
    packed = path.with_suffix(".gz")
    with open(path, "rb") as plain, gzip.open(packed, "wb", compresslevel=1) as out:
        shutil.copyfileobj(plain, out)
    packed.replace(path)


def put(source, data):
    """Puts a copy in the place of the data, as an export does."""
    following = data.with_suffix(".next")
    following.unlink(missing_ok=True)
    os.link(source, following)
    following.replace(data)


def is_refusal(detail):
    return bool(re.search(r"(needs about|memory runs out:|need at least).* MiB", detail))


def tell(what, refusal):
    if VERBOSE:
        print(f"{what}: {refusal}", file=sys.stderr)


def outcome_within(limit, group, data, first, second):
    """What becomes of a start and a reload within `limit` bytes."""
    group.set(limit)
    kills = group.kills()
    put(first, data)
    server = Server(data, group)
    try:
        if not server.is_serving():
            said, status = server.said(), server.stop()
            if group.kills() > kills or status != 1 or not is_refusal(said):
                raise Failure(f"start within {limit >> 20} MiB: status {status}, {group.kills() - kills} killed: {said}")
            tell(f"start within {limit >> 20} MiB", said.strip().splitlines()[-1])
            return "start refused"
        put(second, data)
        status, answer = server.reload()
        if group.kills() > kills or server.process.poll() is not None:
            raise Failure(f"reload within {limit >> 20} MiB: {group.kills() - kills} killed: {answer}")
        if status == 200:
            return "served"
        if status != 507 or not is_refusal(answer["detail"]):
            raise Failure(f"reload within {limit >> 20} MiB: {status} {answer}")
        tell(f"reload within {limit >> 20} MiB", answer["detail"])
        return "reload refused"
    finally:
        with contextlib.suppress(ValueError):
            server.stop()


def measure(name, folder, first, second, group):
    data = folder / "data.csv"
    put(first, data)
    report = subprocess.run([BIN, "check", str(data), "--format", "json", "--threads", THREADS], check=True, capture_output=True)
    forecast = json.loads(report.stdout)
    server = Server(data)
    try:
        if not server.is_serving():
            raise Failure(f"it does not start: {server.said()}")
        start_peak = server.memory("VmHWM")
        time.sleep(SETTLED_SECONDS)
        serving = server.memory("VmRSS")
        put(second, data)
        status, answer = server.reload()
        if status != 200:
            raise Failure(f"reload: {status} {answer}")
        peak = server.memory("VmHWM")
        seconds = server.load_seconds
    finally:
        server.stop()
    missed = []
    for what, foretold, seen in (("serving", forecast["memory_bytes"], serving), ("peak", forecast["reload_peak_bytes"], peak)):
        if abs(foretold - seen) > max(TOLERANCE * seen, TOLERANCE_BYTES if seen < SMALL_BYTES else 0):
            missed.append(f"{what} {(foretold - seen) / seen:+.0%}")
    within = []
    for percent in LIMITS if group else []:
        try:
            within.append(outcome_within(peak * int(percent) // 100, group, data, first, second))
        except Failure as failure:
            within.append("FAILED")
            missed.append(str(failure))
    mib = [round(value / MIB) for value in (forecast["memory_bytes"], serving, forecast["reload_peak_bytes"], peak, start_peak)]
    cells = [name, f"{os.stat(first).st_size / MIB:.0f}", *map(str, mib), f"{seconds:.2f}", *within]
    if not within:
        cells += ["-"] * 2
    print("| " + " | ".join(cells) + " |", *missed, flush=True)
    return missed


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        group = None
        if LIMITS:
            try:
                group = Group("shapes")
                stack.callback(group.remove)
            except OSError as error:
                print(f"SKIPPED: control groups: {error}")
        print("| data | MiB of CSV | serving foretold | serving | peak foretold | peak | peak of the start | load s | limit 5 % above | 20 % below |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        missed = []
        for name, write in shapes(SCALE).items():
            if not SHAPES.search(name):
                continue
            first, second = folder / "first", folder / "second"
            write(str(first), BIN)
            write_changed(first, second)
            if "compressed" in name:
                compress(first)
                compress(second)
            missed += [f"{name}: {what}" for what in measure(name, folder, first, second, group)]
    for what in missed:
        print(f"MISSED: {what}")
    print("failed" if missed else "ok")
    return 1 if missed else 0


sys.exit(main())
