#!/usr/bin/env python3
"""Serves under everything at once for as long as it is told: lookups, pages, facets, batches, reloads by every trigger,
files that must be refused, rollbacks, and clients that are slow, idle or break off. Every answer is checked; in the end
memory, descriptors and threads must be what they were.

Needs a release build. WAYBILL_BIN is the binary, SECONDS how long, SHIPMENTS how many shipments, RATE how many requests
a second. Full form: SECONDS=3600
"""

import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

BIN = Path(os.environ.get("WAYBILL_BIN", Path(__file__).parents[2] / "target/release/waybill")).resolve()
RUN_SECONDS = float(os.environ.get("SECONDS", "40"))
SHIPMENTS = int(os.environ.get("SHIPMENTS", "50000"))
RATE = float(os.environ.get("RATE", "1000"))

CLIENTS = 16
KEYS = 500
SLOW_OF_A_KIND = 20
IDLE = 100
# Of the server: short, so that slow clients come and go many times.
TIMEOUT_SECONDS = 6
# An answer or a reload that takes longer has failed, on however busy a machine.
PATIENCE_SECONDS = 120
# Between two reloads.
PAUSE_SECONDS = 0.2
SAMPLES = 60
# Memory in the last quarter of the run against the second.
GROWTH_MAX = 1.10
GROWTH_SLACK_BYTES = 8 << 20


class Failure(Exception):
    """What was seen and should not have been."""


def check(condition, what):
    if not condition:
        raise Failure(what)


class Client:
    """One keep-alive connection."""

    def __init__(self, address):
        self.address = address
        self.streams = None
        self.used = 0

    async def request(self, method, target, body=b"", fields=""):
        try:
            return await self.exchange(method, target, body, fields)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            idle = time.monotonic() - self.used
            raise Failure(f"{method} {target}: {error!r}, {idle:.1f} s after the answer before") from None

    async def exchange(self, method, target, body, fields):
        async with asyncio.timeout(PATIENCE_SECONDS):
            # The server may be about to end a connection that was idle for long.
            if self.streams is None or time.monotonic() - self.used > TIMEOUT_SECONDS / 3:
                self.close()
                self.streams = await asyncio.open_connection(*self.address)
            reader, writer = self.streams
            length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
            writer.write(f"{method} {target} HTTP/1.1\r\nHost: soak\r\n{fields}{length}\r\n".encode() + body)
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            has_body = method != "HEAD" and status != 304
            body = await reader.readexactly(int(length[1])) if has_body and length else b""
            self.used = time.monotonic()
            return status, body

    def close(self):
        if self.streams:
            self.streams[1].close()


class Files:
    """The contents that are published, by name."""

    def __init__(self, directory):
        self.data = directory / "data.csv"
        a = directory / "a.csv"
        made = ["generate", "--shipments", str(SHIPMENTS), "--seed", "1", "--output", str(a)]
        check(os.spawnv(os.P_WAIT, BIN, [str(BIN), *made]) == 0, "waybill generate fails")
        whole = a.read_bytes()
        header, rows = whole.split(b"\n", 1)
        self.contents = {
            "a": whole,
            # The same shipments: each status, the last column, ends in -b.
            "b": header + b"\n" + rows.replace(b"\n", b"-b\n"),
            "bad row": whole + b"TN1,DHL,from,to,Laptop,none,800,LP1,broken\n",
            "cut": whole[: len(whole) // 2].rsplit(b",", 3)[0],
            "few": header + b"\n" + rows[: len(rows) // 10].rsplit(b"\n", 1)[0] + b"\n",
            "empty": b"",
        }

    def publish(self, name):
        following = self.data.with_suffix(".next")
        following.write_bytes(self.contents[name])
        following.rename(self.data)

    def keys(self):
        rows = self.contents["a"].split(b"\n")[1:-1]
        fields = (row.decode().split(",") for row in random.Random(1).sample(rows, KEYS))
        return sorted({(fields[1], fields[0]) for fields in fields})


class Server:
    """The process and where it listens."""

    async def start(self, files):
        time_limits = [f"--{kind}-timeout={TIMEOUT_SECONDS}s" for kind in ("header", "body", "idle", "write")]
        self.process = await asyncio.create_subprocess_exec(
            BIN, "serve", "--data", files.data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
            "--log-format", "json", "--keep-previous", "--watch", "500ms", *time_limits,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        while (fields := json.loads(await self.process.stderr.readline())["fields"])["message"] != "serving":
            if fields["message"] == "listening":
                self.public, self.admin = (self.address(fields[name]) for name in ("public", "admin"))
        self.log = asyncio.create_task(self.drain_log())

    @staticmethod
    def address(text):
        host, port = text.rsplit(":", 1)
        return host, int(port)

    async def drain_log(self):
        while await self.process.stderr.readline():
            pass
        raise Failure("the server has ended")

    async def panics(self):
        metrics = (await Client(self.admin).request("GET", "/metrics"))[1]
        return int(re.search(rb"(?m)^waybill_http_panics_total (\d+)$", metrics)[1])

    def usage(self):
        """Resident bytes, descriptors, threads."""
        process = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        return int(status["VmRSS"].split()[0]) << 10, len(list((process / "fd").iterdir())), int(status["Threads"])


async def ask(server, keys, answers, asked):
    """Sends requests of all kinds, in turn and at a steady pace, and checks what comes."""
    client = Client(server.public)
    while True:
        begun = time.monotonic()
        carrier, number = key = random.choice(keys)
        path = f"/v1/shipments/{quote(carrier, safe='')}/{quote(number, safe='')}"
        shipment = lambda body, key=key: body in answers[key]
        lists = lambda body, key=key: any(answer in body for answer in answers[key])
        many = random.sample(keys, 50)
        batch = json.dumps({"lookups": [{"tracking_number": n, "carrier": c} for c, n in many]}).encode()
        for method, target, status, is_right, body, fields in [
            ("GET", path, 200, shipment, b"", ""),
            ("GET", path.replace("/" + quote(carrier, safe=""), ""), 200, lists, b"", ""),
            ("GET", path, 304, lambda body: body == b"", b"", "If-None-Match: *\r\n"),
            ("HEAD", path, 200, lambda body: body == b"", b"", ""),
            ("GET", path + "-not", 404, lambda body: b"shipment_not_found" in body, b"", ""),
            ("GET", "/v1/shipments?limit=0", 400, lambda body: b"invalid_parameter" in body, b"", ""),
            ("GET", f"/v1/shipments?limit=20&offset={random.randrange(SHIPMENTS // 10)}", 200,
             lambda body: len(json.loads(body)["results"]) == 20, b"", ""),
            ("GET", f"/v1/facets?carrier={quote(carrier)}", 200,
             lambda body: json.loads(body)["facets"]["carrier"][0]["value"].lower() == carrier.lower(), b"", ""),
            ("POST", "/v1/lookup", 200,
             lambda body: all(any(answer in body for answer in answers[key]) for key in many), batch,
             "Content-Type: application/json\r\n"),
            ("GET", f"/shipment/list/?tracking_number={quote(number)}&carrier={quote(carrier)}", 200, lists, b"", ""),
        ]:  # fmt: skip
            got, answer = await client.request(method, target, body, fields)
            check(got == status and is_right(answer), f"{method} {target}: {got} {answer[:300]!r}")
            asked[method, status] = asked.get((method, status), 0) + 1
        await asyncio.sleep(max(0, 10 * CLIENTS / RATE - (time.monotonic() - begun)))


async def reload_on_and_on(server, files, done):
    """Publishes good and bad files, one after the other, each loaded by another trigger."""
    admin = Client(server.admin)

    async def post(target, *wanted):
        status, body = await admin.request("POST", target)
        answer = json.loads(body)
        check((status, answer.get("result", answer.get("code"))) in wanted, f"POST {target}: {status} {body!r}")
        done[target] = done.get(target, 0) + 1
        await asyncio.sleep(PAUSE_SECONDS)

    async def state():
        return json.loads((await admin.request("GET", "/-/dataset"))[1])

    async def until(what, condition):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition(now := await state()):
                await asyncio.sleep(0.05)
        done[what] = done.get(what, 0) + 1
        return now

    ok, unchanged = (200, "ok"), (200, "unchanged")
    while True:
        for following in "b", "a":
            files.publish(following)
            # The watch may be the first to see it.
            await post("/-/reload", ok, unchanged)
            served = await state()
            for refused, reasons in [
                ("bad row", [(422, "dataset_refused")]),
                ("cut", [(422, "dataset_refused")]),
                ("few", [(409, "too_many_removed")]),
                ("empty", [(422, "dataset_refused")]),
            ]:
                files.publish(refused)
                await post("/-/reload", *reasons)
                await post("/-/reload?dry_run=true", *reasons)
                now = await state()
                check(now["generation"] == served["generation"], f"{refused}: {now}")
                check(now["last_reload"]["result"] == "failed", f"{refused}: {now}")
            files.data.unlink()
            await post("/-/reload", (422, "dataset_unreadable"))
            await post("/-/rollback", ok)
            other = await state()
            check(other["version"] != served["version"], f"rolled back: {other}")
            # The watch alone, then a signal with nothing new.
            files.publish(following)
            await until("watch", lambda now: now["version"] == served["version"])
            before = (await state())["last_reload"]["at"]
            server.process.send_signal(1)
            await until("SIGHUP", lambda now: now["last_reload"]["at"] != before)


async def dawdle(server, begin, then, pause):
    """Sends `begin`, then `then` again and again, each after a pause, until the server ends the connection."""
    while True:
        reader, writer = await asyncio.open_connection(*server.public)
        with contextlib.suppress(ConnectionError):
            writer.write(begin)
            while not reader.at_eof():
                await asyncio.sleep(pause)
                writer.write(then)
                await writer.drain()
                # What came stays unread but for the end of the stream.
                if not then:
                    await reader.read(1 << 16)
        writer.close()


async def take_nothing(server):
    """Asks for more than fits the buffers on the way and reads none of it."""
    wanted = b"GET /v1/shipments?limit=1000 HTTP/1.1\r\nHost: soak\r\n\r\n" * 50
    while True:
        _, writer = await asyncio.open_connection(*server.public, limit=1 << 10)
        writer.write(wanted)
        # Longer than the server puts up with.
        await asyncio.sleep(TIMEOUT_SECONDS * 1.5)
        writer.transport.abort()


async def break_off(server):
    """Asks and is gone."""
    while True:
        _, writer = await asyncio.open_connection(*server.public)
        writer.write(b"GET /v1/facets?status=delivered HTTP/1.1\r\nHost: soak\r\n\r\nGET /v1")
        await asyncio.sleep(random.random() / 10)
        writer.transport.abort()


def slow_clients(server):
    lookup = b"GET /v1/shipments/dhl/nowhere HTTP/1.1\r\nHost: soak\r\n"
    post = b"POST /v1/lookup HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n"
    for _ in range(SLOW_OF_A_KIND):
        yield dawdle(server, lookup, b"X-A: b\r\n", 1)
        yield dawdle(server, post, b" ", 1)
        yield take_nothing(server)
        yield break_off(server)
    for number in range(IDLE):
        yield dawdle(server, b"" if number % 2 else lookup + b"\r\n", b"", 0)


async def sample(server, samples):
    while True:
        await asyncio.sleep(RUN_SECONDS / SAMPLES)
        samples.append(server.usage())


async def settle(server, at_rest):
    """Waits until descriptors and threads are no more than `at_rest`, before the load."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while any(now > before for now, before in zip(server.usage()[1:], at_rest[1:])):
            await asyncio.sleep(0.1)


async def known_answers(server, files, keys):
    """The answers to each of `keys` from either file. In the end the first one is served."""
    client, admin = Client(server.public), Client(server.admin)
    answers = {key: set() for key in keys}
    for name in "b", "a":
        files.publish(name)
        status, body = await admin.request("POST", "/-/reload")
        check(status == 200, f"POST /-/reload: {body!r}")
        for carrier, number in keys:
            path = f"/v1/shipments/{quote(carrier, safe='')}/{quote(number, safe='')}"
            status, body = await client.request("GET", path)
            check(status == 200, f"GET {path}: {status}")
            answers[carrier, number].add(body)
    check(all(len(bodies) == 2 for bodies in answers.values()), "both files give the same answers")
    client.close()
    admin.close()
    return answers


def report(samples, asked, done):
    quarter = len(samples) // 4
    second, last = (statistics.median(rss for rss, _, _ in samples[n * quarter : (n + 1) * quarter]) for n in (1, 3))
    tell = lambda counts: ", ".join(f"{name}: {count}" for name, count in sorted(counts.items(), key=str))
    print("answers:", tell({" ".join(map(str, kind)): count for kind, count in asked.items()}))
    print("reloads:", tell(done))
    for name, values, scale in zip(("resident MiB", "descriptors", "threads"), zip(*samples), (1 << 20, 1, 1)):
        print(f"{name}:", *(round(value / scale) for value in values))
    check(last <= second * GROWTH_MAX + GROWTH_SLACK_BYTES, f"memory grew from {second} to {last} bytes")


async def soak(directory):
    files, server = Files(directory), Server()
    files.publish("a")
    await server.start(files)
    try:
        keys = files.keys()
        answers = await known_answers(server, files, keys)
        await asyncio.sleep(TIMEOUT_SECONDS)
        at_rest = server.usage()
        asked, done, samples = {}, {}, []
        # None of these ends by itself, unless it fails.
        tasks = [*(ask(server, keys, answers, asked) for _ in range(CLIENTS)), *slow_clients(server)]
        tasks += [reload_on_and_on(server, files, done), sample(server, samples)]
        tasks = [asyncio.create_task(task) for task in tasks]
        ended, _ = await asyncio.wait([server.log, *tasks], timeout=RUN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in ended:
            task.result()
        report(samples, asked, done)
        try:
            await settle(server, at_rest)
        except TimeoutError:
            raise Failure(f"before the load, and after: {at_rest}, {server.usage()}") from None
        check(await server.panics() == 0, "a handler panicked")
        server.log.cancel()
        server.process.terminate()
        check(await server.process.wait() == 0, "the server ended in failure")
        print(f"ok: {RUN_SECONDS:.0f} s, {sum(asked.values())} answers, {sum(done.values())} reloads and refusals")
    finally:
        server.log.cancel()
        if server.process.returncode is None:
            server.process.kill()
            await server.process.wait()


def main():
    directory = Path(tempfile.mkdtemp())
    try:
        asyncio.run(soak(directory))
    except (Failure, OSError, TimeoutError) as failure:
        sys.exit(f"FAILED: {failure!r}")
    finally:
        shutil.rmtree(directory)


main()
