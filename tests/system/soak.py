#!/usr/bin/env python3
"""Serves under everything at once for as long as it is told: lookups, pages, facets, batches, a shipment of very many
articles, reloads by every trigger, files that must be refused, rollbacks, and clients that are slow, idle or break off,
leave answers unread over HTTP/1.1 and HTTP/2, stall in the middle of large bodies, or fill the queues. Every answer is
checked; in the end memory, descriptors and threads must be what they were.

Needs openssl and a release build. WAYBILL_BIN is the binary, SECONDS how long, SHIPMENTS how many shipments, RATE how many requests
a second. Full form: SECONDS=3600
"""

import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

BIN = Path(os.environ.pop("WAYBILL_BIN", Path(__file__).parents[2] / "target/release/waybill")).resolve()
RUN_SECONDS = float(os.environ.get("SECONDS", "40"))
SHIPMENTS = int(os.environ.get("SHIPMENTS", "50000"))
RATE = float(os.environ.get("RATE", "1000"))

CLIENTS = 16
KEYS = 500
SLOW_OF_A_KIND = 20
IDLE = 100
# Of one shipment: some 1 MB as JSON.
MONSTER_ARTICLES = 20_000
MONSTER = "/v1/shipments/dhl/monster"
# Requests that one client sends at once to fill a queue.
CROWD = 300
# Far less than hostile clients want.
BUFFERED_BYTES = 16 << 20
# Clients that do harm come from an address of their own, so that others have their turns.
HOSTILE = ("127.0.0.2", 0)
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
    """One keep-alive connection, with TLS if there is a context for it."""

    def __init__(self, address, tls=None):
        self.address = address
        self.tls = tls
        self.streams = None
        # When the last request was sent.
        self.used = 0

    async def request(self, method, target, body=b"", fields=""):
        try:
            return await self.exchange(method, target, body, fields)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            since = time.monotonic() - self.used
            raise Failure(f"{method} {target}: {error!r}, {since:.1f} s after it was sent") from None

    async def exchange(self, method, target, body, fields):
        async with asyncio.timeout(PATIENCE_SECONDS):
            # The server may be about to end a connection that was idle for long: since the request before, since an answer
            # may have waited here.
            if self.streams is None or time.monotonic() - self.used > TIMEOUT_SECONDS / 3:
                self.close()
                self.streams = await connect(self.address, self.tls)
            reader, writer = self.streams
            self.used = time.monotonic()
            length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
            writer.write(f"{method} {target} HTTP/1.1\r\nHost: soak\r\n{fields}{length}\r\n".encode() + body)
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            has_body = method != "HEAD" and status != 304
            body = await reader.readexactly(int(length[1])) if has_body and length else b""
            return status, body

    def close(self):
        if self.streams:
            self.streams[1].close()


async def connect(address, tls, **options):
    name = "localhost" if tls else None
    return await asyncio.open_connection(*address, ssl=tls, server_hostname=name, **options)


class Files:
    """The contents that are published, by name."""

    def __init__(self, directory):
        self.data = directory / "data.csv"
        a = directory / "a.csv"
        made = ["generate", "--shipments", str(SHIPMENTS), "--seed", "1", "--output", str(a)]
        check(os.spawnv(os.P_WAIT, BIN, [str(BIN), *made]) == 0, "waybill generate fails")
        article = b"monster,DHL,from,to,Article,1,1.50,SKU,in-transit\n"
        whole = a.read_bytes() + article * MONSTER_ARTICLES
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
        rows = self.contents["a"].split(b"\n")[1 : -1 - MONSTER_ARTICLES]
        fields = (row.decode().split(",") for row in random.Random(1).sample(rows, KEYS))
        return sorted({(fields[1], fields[0]) for fields in fields})


def make_certificate(directory):
    """Certificate and key for localhost, as files."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


class Server:
    """The process and where it listens."""

    async def start(self, files, certificate, key):
        self.http1, self.http2 = (ssl.create_default_context(cafile=certificate) for _ in range(2))
        self.http1.set_alpn_protocols(["http/1.1"])
        self.http2.set_alpn_protocols(["h2"])
        time_limits = [f"--{kind}-timeout={TIMEOUT_SECONDS}s" for kind in ("header", "body", "idle", "write")]
        self.process = await asyncio.create_subprocess_exec(
            BIN, "serve", "--data", files.data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
            "--log-format", "json", "--keep-previous", "--watch", "500ms", *time_limits,
            "--tls-cert", certificate, "--tls-key", key, "--max-buffered-bytes", str(BUFFERED_BYTES),
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
    client = Client(server.public, server.http1)
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
            ("HEAD", MONSTER, (200, 503), lambda body: body == b"", b"", ""),
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
            wanted = status if isinstance(status, tuple) else (status,)
            check(got in wanted and is_right(answer), f"{method} {target}: {got} {answer[:300]!r}")
            asked[method, got] = asked.get((method, got), 0) + 1
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
        with contextlib.suppress(ConnectionError):
            reader, writer = await connect(server.public, server.http1)
            writer.write(begin)
            while not reader.at_eof():
                await asyncio.sleep(pause)
                writer.write(then)
                await writer.drain()
                # What came stays unread but for the end of the stream.
                if not then:
                    await reader.read(1 << 16)
            writer.close()


async def read_monster(server, answers, asked):
    """Reads a shipment of very many articles, over and over, whole or refused for want of memory."""
    client = Client(server.public, server.http1)
    while True:
        status, body = await client.request("GET", MONSTER)
        check(status == 200 and body in answers or status == 503 and b"overloaded" in body, f"GET {MONSTER}: {status}")
        asked["monster", status] = asked.get(("monster", status), 0) + 1
        await asyncio.sleep(0.1)


async def take_nothing(server):
    """Asks for more than fits the buffers on the way and reads none of it."""
    wanted = b"GET /v1/shipments?limit=1000 HTTP/1.1\r\nHost: soak\r\n\r\n" * 50
    while True:
        with contextlib.suppress(ConnectionError):
            _, writer = await connect(server.public, server.http1, limit=1 << 10, local_addr=HOSTILE)
            writer.write(wanted)
            # Longer than the server puts up with.
            await asyncio.sleep(TIMEOUT_SECONDS * 1.5)
            writer.transport.abort()


def frame(kind, flags, stream, payload=b""):
    """A frame of HTTP/2 (RFC 9113, section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


async def take_no_stream(server):
    """Asks a hundred times over HTTP/2 and lets no byte of an answer come."""
    fields = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"soak"), (b":path", MONSTER.encode())]
    block = b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in fields)
    no_window = frame(4, 0, 0, (4).to_bytes(2, "big") + bytes(4))
    requests = b"".join(frame(1, 5, 2 * number + 1, block) for number in range(100))
    while True:
        with contextlib.suppress(ConnectionError):
            reader, writer = await connect(server.public, server.http2, local_addr=HOSTILE)
            writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + no_window + requests)
            while await reader.read(1 << 16):
                pass
            writer.close()


async def stall(server):
    """Sends most of a large body and stops, or is refused."""
    head = b"POST /v1/lookup HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\nContent-Length: 1048576\r\n\r\n"
    while True:
        with contextlib.suppress(ConnectionError):
            reader, writer = await connect(server.public, server.http1, local_addr=HOSTILE)
            writer.write(head + b" " * 1_000_000)
            while await reader.read(1 << 16):
                pass
            writer.close()


async def crowd(server, asked):
    """Asks for what takes long on many connections at once."""
    request = b"GET /v1/facets?status=delivered HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n"

    async def one():
        begun, answer = time.monotonic(), b""
        with contextlib.suppress(ConnectionError):
            reader, writer = await connect(server.public, server.http1, local_addr=HOSTILE)
            writer.write(request)
            answer = await reader.read()
            writer.close()
        took = time.monotonic() - begun
        # So many handshakes at once may take this client longer than a server waits for a head.
        if not answer and took > TIMEOUT_SECONDS / 2:
            return
        check(answer, f"of a crowd: no answer, {took:.1f} s after the connection began")
        status = int(answer[9:12])
        check(status == 200 or status == 503 and b"overloaded" in answer, f"of a crowd: {answer[:300]!r}")
        asked["crowd", status] = asked.get(("crowd", status), 0) + 1

    while True:
        await asyncio.gather(*(one() for _ in range(CROWD)))
        await asyncio.sleep(1)


async def break_off(server):
    """Asks and is gone."""
    while True:
        with contextlib.suppress(ConnectionError):
            _, writer = await connect(server.public, server.http1)
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
        yield take_no_stream(server)
        yield stall(server)
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
    client, admin = Client(server.public, server.http1), Client(server.admin)
    answers = {key: set() for key in keys}
    monsters = set()
    for name in "b", "a":
        files.publish(name)
        status, body = await admin.request("POST", "/-/reload")
        check(status == 200, f"POST /-/reload: {body!r}")
        for carrier, number in keys:
            path = f"/v1/shipments/{quote(carrier, safe='')}/{quote(number, safe='')}"
            status, body = await client.request("GET", path)
            check(status == 200, f"GET {path}: {status}")
            answers[carrier, number].add(body)
        status, body = await client.request("GET", MONSTER)
        check(status == 200 and body.count(b'"quantity"') == MONSTER_ARTICLES, f"GET {MONSTER}: {status}")
        monsters.add(body)
    check(all(len(bodies) == 2 for bodies in answers.values()), "both files give the same answers")
    client.close()
    admin.close()
    return answers, monsters


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
    await server.start(files, *make_certificate(directory))
    try:
        keys = files.keys()
        answers, monsters = await known_answers(server, files, keys)
        await asyncio.sleep(TIMEOUT_SECONDS)
        at_rest = server.usage()
        asked, done, samples = {}, {}, []
        # None of these ends by itself, unless it fails.
        tasks = [*(ask(server, keys, answers, asked) for _ in range(CLIENTS)), *slow_clients(server)]
        tasks += [read_monster(server, monsters, asked), crowd(server, asked)]
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
