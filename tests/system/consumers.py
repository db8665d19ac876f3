#!/usr/bin/env python3
"""Runs the consumers that docs/events.md shows, in Python and JavaScript, by polling and by stream, directly, through nginx
and through HAProxy, each in front of two replicas that reload at different times, skip exports, forget versions and are
restarted. In the end each must have exactly the shipments of the server's export.

Needs nginx, HAProxy, node, python3 with venv, and a build; a debug build will do. WAYBILL_BIN is the binary, RELOADS how
often the first replica reloads, SEED what the exports are made from. Full form: RELOADS=500
"""

import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELOADS = int(os.environ.get("RELOADS", "500"))
SEED = int(os.environ.get("SEED", "1"))
BIN = pathlib.Path(os.environ.pop("WAYBILL_BIN", ROOT / "target/release/waybill")).resolve()
RESTARTS = 4
REQUESTS = "2.34.2"
# Seconds that all of this may take, a start, and the way from the last reload to all consumers.
SECONDS_MAX, START_MAX, END_MAX = 900, 60, 120
HEADER = "tracking_number,carrier,sender_address,receiver_address,article_name,article_quantity,article_price,SKU,status"
CARRIERS = ["DHL", "UPS", " Deutsche Post "]
STATUSES = ["scanned", "in-transit", "out for delivery", "delivered: left\u2028outside", "lost"]

# What follows a program of the document: steps until its copy is of the version that the file TARGET names.
DRIVERS = {
    "python": """
import collections, pathlib, sys, time

base, mode, target = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
copy, counts = Copy(base), collections.Counter()


def is_done():
    counts["steps"] += 1
    return target.exists() and copy.version == target.read_text()


def steps():
    while True:
        try:
            if mode == "stream":
                for _ in copy.stream():
                    yield
            else:
                copy.poll()
                yield
            time.sleep(0.02)
        except Gone:
            counts["gone"] += 1
        except requests.RequestException:
            counts["broken"] += 1
            time.sleep(0.05)


next(step for step in steps() if is_done())
print(json.dumps([counts, list(copy.shipments.values())]))
""",
    "javascript": """
import { existsSync, readFileSync } from "node:fs";

const [base, mode, target] = process.argv.slice(2);
const copy = new Copy(base);
const counts = { steps: 0, gone: 0, broken: 0 };
const isDone = () => ++counts.steps && existsSync(target) && copy.version === readFileSync(target, "utf8");

async function* steps() {
  for (;;) {
    try {
      if (mode === "stream") {
        yield* copy.stream();
      } else {
        await copy.poll();
        yield;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    } catch (error) {
      counts[error instanceof Gone ? "gone" : "broken"] += 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

for await (const _ of steps()) if (isDone()) break;
process.stdout.write(JSON.stringify([counts, [...copy.shipments.values()]]), () => process.exit(0));
""",
}


def fail(why):
    sys.exit(f"FAILED: {why}")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def ask(url, method="GET"):
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=START_MAX) as answer:
        return answer.read().decode()


def wait_until_ok(url):
    deadline = time.monotonic() + START_MAX
    while True:
        try:
            return ask(url)
        except (urllib.error.URLError, ConnectionError) as error:
            if time.monotonic() > deadline:
                fail(f"{url}: {error}")
            time.sleep(0.02)


def shipment_of(row):
    return row[0].strip().lower(), row[1].strip().lower()


class Exports:
    """Exports of one source, each made from the one before, now and then an earlier one again."""

    def __init__(self):
        self.random = random.Random(SEED)
        self.next_number = 0
        self.rows = [self.new() for _ in range(1500)]
        self.earlier = []

    def new(self):
        self.next_number += 1
        number = f"Tn{self.next_number:05}"
        return [number, self.random.choice(CARRIERS), "from", "to", "Laptop", "1", "800.5", "LP1", self.random.choice(STATUSES)]

    def next(self):
        self.earlier.append([list(row) for row in self.rows])
        if self.random.random() < 0.1:
            self.rows = self.random.choice(self.earlier[-5:])
            return self.text()
        rows = [list(row) for row in self.rows]
        for row in self.random.sample(rows, self.random.choice([1, 5, 200, 1300])):
            column = self.random.choice([8, 8, 8, 3, 4, 0, 1])
            spelled = {0: row[0].swapcase(), 1: row[1].strip() if row[1] != row[1].strip() else f" {row[1]}"}
            row[column] = spelled.get(column) or self.random.choice(STATUSES)
        gone = {shipment_of(row) for row in self.random.sample(rows, self.random.choice([0, 1, 20]))}
        rows = [row for row in rows if shipment_of(row) not in gone]
        rows += [self.new() for _ in range(self.random.choice([0, 1, 20]))]
        if self.random.random() < 0.2:
            self.random.shuffle(rows)
        self.rows = rows
        return self.text()

    def text(self):
        return "\n".join([HEADER, *(",".join(row) for row in self.rows)]) + "\n"


class Replica:
    def __init__(self, folder, name, export):
        self.data = folder / f"{name}.csv"
        self.data.write_text(export)
        self.log = (folder / f"{name}.log").open("ab")
        self.port, self.admin = free_port(), free_port()
        self.public = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BIN, "serve", "--data", self.data, "--threads", "1", "--changes", "6", "--trusted-proxy", "127.0.0.1"]
            + ["--listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{self.admin}"],
            stderr=self.log,
        )
        wait_until_ok(f"{self.public}/readyz")

    def restart(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(START_MAX) != 0:
            fail("a replica did not end in order")
        self.start()

    def reload(self, export, options=""):
        following = self.data.with_suffix(".next")
        following.write_text(export)
        following.rename(self.data)
        return json.loads(ask(f"http://127.0.0.1:{self.admin}/-/reload?force=true{options}", "POST"))["version"]


def proxies(folder, replicas):
    """nginx and HAProxy as the files of deploy have them, in front of these replicas. Yields their names, ports, commands."""
    text = (ROOT / "deploy/nginx/waybill.conf").read_text()
    for number, replica in enumerate(replicas, 1):
        text = text.replace(f"127.0.0.1:1810{number}", f"127.0.0.1:{replica.port}")
    port = free_port()
    text = re.sub(r"\n *server 127\.0\.0\.1:1810\d .*", "", text).replace("listen 8000 backlog=4096", f"listen 127.0.0.1:{port}")
    kinds = "".join(f"    {kind}_temp_path {folder}/nginx.{kind};\n" for kind in ["proxy", "fastcgi", "uwsgi", "scgi"])
    text = text.replace("http {\n", f"http {{\n    client_body_temp_path {folder}/nginx.body;\n{kinds}", 1)
    text = f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx.error;\n" + text
    (folder / "nginx.conf").write_text(text)
    yield "nginx", port, ["nginx", "-c", folder / "nginx.conf"]

    text = (ROOT / "deploy/haproxy/replicated.cfg").read_text()
    for number, replica in enumerate(replicas, 1):
        text = text.replace(f"127.0.0.1:1810{number}", f"127.0.0.1:{replica.port}")
    port = free_port()
    text = re.sub(r"\n *server \w+ 127\.0\.0\.1:1810\d", "", text).replace("bind :8000", f"bind 127.0.0.1:{port}")
    text = text.replace("bind 127.0.0.1:8404", f"bind 127.0.0.1:{free_port()}")
    (folder / "haproxy.cfg").write_text(text)
    yield "haproxy", port, ["haproxy", "-q", "-f", folder / "haproxy.cfg"]


def programs(folder):
    """The commands that run the document's programs."""
    document = (ROOT / "docs/events.md").read_text()
    python = folder / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"requests=={REQUESTS}"]
    subprocess.run(pip, check=True)
    for language, command, suffix in [("python", [python], "py"), ("javascript", ["node"], "mjs")]:
        blocks = re.findall(rf"^```{language}\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)
        if len(blocks) != 1:
            fail(f"docs/events.md has {len(blocks)} programs in {language}")
        program = folder / f"consumer.{suffix}"
        program.write_text(blocks[0] + DRIVERS[language])
        yield language, [*command, program]


def in_order(shipments):
    return sorted(shipments, key=lambda shipment: (shipment["carrier"], shipment["tracking_number"]))


def run(folder, started):
    exports = Exports()
    first = exports.text()
    replicas = [Replica(folder, name, first) for name in ("first", "second")]
    started += [replica.process for replica in replicas]
    ways = {"direct": replicas[0].public}
    for name, port, command in proxies(folder, replicas):
        with (folder / f"{name}.log").open("wb") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        ways[name] = f"http://127.0.0.1:{port}"
        wait_until_ok(f"{ways[name]}/readyz")
    target = folder / "target"
    consumers = {}
    for language, command in programs(folder):
        for mode in ("poll", "stream"):
            for way, base in ways.items():
                output = folder / f"{language}-{mode}-{way}.json"
                with output.open("wb") as out:
                    consumer = subprocess.Popen([*command, base, mode, target], stdout=out)
                started.append(consumer)
                consumers[f"{language}, {mode}, {way}"] = (consumer, output)

    pace = random.Random(SEED)
    restarts = set(pace.sample(range(RELOADS), min(RESTARTS, RELOADS)))
    for number in range(RELOADS):
        export = exports.next()
        replicas[0].reload(export)
        if number in restarts:
            replica = pace.choice(replicas)
            replica.restart()
            started.append(replica.process)
        # The second one has most exports, a little later, and skips some.
        time.sleep(pace.choice([0, 0.02, 0.1]))
        if pace.random() < 0.7:
            replicas[1].reload(export)
        time.sleep(pace.choice([0, 0.02, 0.1]))

    exports.rows.append(["Last", "UPS", "from", "to", "Laptop", "1", "800.5", "LP1", "delivered"])
    last = exports.text()
    version = replicas[0].reload(last, "&dry_run=true")
    target.write_text(version)
    for replica in replicas:
        if replica.reload(last) != version:
            fail("the last export has two versions")
    deadline = time.monotonic() + END_MAX
    lines = ask(f"{replicas[0].public}/v1/shipments.ndjson").rstrip("\n").split("\n")
    expected = in_order(map(json.loads, lines))
    sums = collections.Counter()
    for name, (consumer, output) in consumers.items():
        try:
            status = consumer.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            fail(f"{name}: not at version {version} in time")
        if status != 0:
            fail(f"{name}: ended with status {status}")
        counts, shipments = json.loads(output.read_text())
        if in_order(shipments) != expected:
            wrong = [one for one in shipments if one not in expected][:3]
            missing = [one for one in expected if one not in shipments][:3]
            fail(f"{name}: {len(shipments)} shipments of {len(expected)}; not the server's: {wrong}; missing: {missing}")
        print(f"{name}: {counts}")
        sums.update(counts)
    for replica in replicas:
        replica.process.send_signal(signal.SIGTERM)
        if replica.process.wait(START_MAX) != 0:
            fail("a replica did not end in order")
    print(f"ok: {RELOADS} reloads, {len(restarts)} restarts, {len(consumers)} consumers: {dict(sums)}")


def main():
    signal.alarm(SECONDS_MAX)
    folder, started = pathlib.Path(tempfile.mkdtemp()), []
    try:
        run(folder, started)
    finally:
        for process in started:
            process.kill()
            process.wait()
        shutil.rmtree(folder)


main()
