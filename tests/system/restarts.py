#!/usr/bin/env python3
"""Restarts a server over and over while clients look shipments up, over connections that they keep and over new ones,
and counts every request that fails: refused, reset, cut short, slow, or another answer than the right one. Nothing is
tried again. Ways to restart:

  socket   the service manager holds the listening socket; the old process ends, then the next one starts. The manager
           is systemd-socket-activate where STARTER=systemd, once per start, else this script, which hands descriptors
           over as sd_listen_fds(3) describes. Both as systemd does it; systemd itself needs to be process 1.
  overlap  --reuse-port: the next process starts while the old one serves, which is stopped when the next one is ready.
           With net.ipv4.tcp_migrate_req=1 nothing may fail; without it what waits in the old process's queue at the
           end may be reset, which is counted (overlap-without-migration).
  unix     --reuse-port and a socket in the file system.
  systemd  `systemctl restart waybill.service` in a systemd that runs as process 1 of its own namespaces, with
           waybill.socket. Only with SYSTEMD, the number of that process here, within its network: package.sh does that.

It runs in a network namespace of its own, where there is one to be had, and sets net.ipv4.tcp_migrate_req there.

Needs root for that, Python 3.11, and a release build. WAYBILL_BIN is the binary, DATA a file to serve in place of
SHIPMENTS generated ones, RESTARTS how many restarts of each way, REST_SECONDS the time between two, KINDS a regular expression of the ways.
Full form, about twenty minutes: RESTARTS=20 SHIPMENTS=1000000
"""

import asyncio
import collections
import csv
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = str(Path(os.environ.get("WAYBILL_BIN", Path(__file__).parents[2] / "target/release/waybill")).resolve())
RESTARTS = int(os.environ.get("RESTARTS", "2"))
SHIPMENTS = int(os.environ.get("SHIPMENTS", "100000"))
KINDS = re.compile(os.environ.get("KINDS", ""))
STARTER = os.environ.get("STARTER", "")
SYSTEMD = os.environ.get("SYSTEMD", "")

MIGRATION = Path("/proc/sys/net/ipv4/tcp_migrate_req")
# Clients that keep their connections pause for less than the server goes on to answer on open connections.
DRAIN_DELAY_SECONDS = 1
PAUSE_SECONDS_MAX = 0.5
KEEPING_CLIENTS = 24
NEW_CLIENTS = 8
# As long as the longest wait may be: for a whole load.
PATIENCE_SECONDS = 60
# Between restarts.
REST_SECONDS = float(os.environ.get("REST_SECONDS", "0.5"))


def fail(what):
    sys.exit(f"FAILED: {what}")


def in_own_network():
    """Goes on in a network namespace of its own, if there is one to be had: its settings are not the machine's."""
    if os.environ.get("RESTARTS_IN_NAMESPACE") or os.geteuid() != 0:
        return
    if subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True).returncode == 0:
        os.environ["RESTARTS_IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def set_migration(on):
    """Whether the kernel has this setting now."""
    try:
        MIGRATION.write_text(str(int(on)))
    except OSError:
        return False
    return MIGRATION.read_text().strip() == str(int(on))


class Met:
    """What clients have met."""

    def __init__(self):
        self.requests = 0
        self.failures = collections.Counter()
        self.examples = []
        self.longest_wait = 0.0

    def failed(self, kind, example=""):
        self.failures[kind] += 1
        if len(self.examples) < 5:
            self.examples.append(f"{kind}: {example}"[:300])


class Client:
    """One client, a request at a time."""

    def __init__(self, address, questions, met, keeps):
        self.address, self.questions, self.met, self.keeps = address, questions, met, keeps
        self.connection = None

    async def run(self, stop):
        while not stop.is_set():
            await self.ask(*random.choice(self.questions))
            # Those with connections of their own come as fast as answers do, but for a breath.
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS_MAX) if self.keeps else 0.002)
        self.drop()

    def drop(self):
        if self.connection:
            self.connection[1].close()
        self.connection = None

    async def connect(self):
        if isinstance(self.address, str):
            return await asyncio.open_unix_connection(self.address)
        return await asyncio.open_connection(*self.address)

    async def ask(self, path, expected):
        met = self.met
        # As every client does, before it takes a connection that it has kept: one that the server has closed is gone.
        if self.connection and self.connection[0].at_eof():
            self.drop()
        met.requests += 1
        started = time.monotonic()
        kind = "new" if not self.connection else "kept"
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.exchange(path, expected)
        except TimeoutError:
            met.failed(f"no answer in {PATIENCE_SECONDS} s", kind)
            self.drop()
        except ConnectionRefusedError as error:
            met.failed("refused", error)
            self.drop()
        except (ConnectionResetError, BrokenPipeError) as error:
            met.failed(f"reset ({kind} connection)", error)
            self.drop()
        except asyncio.IncompleteReadError as error:
            what = "cut short" if error.partial else "closed without an answer"
            met.failed(f"{what} ({kind} connection)", error.partial)
            self.drop()
        except OSError as error:
            met.failed(type(error).__name__, error)
            self.drop()
        met.longest_wait = max(met.longest_wait, time.monotonic() - started)

    async def exchange(self, path, expected):
        if not self.connection:
            self.connection = await self.connect()
        reader, writer = self.connection
        closing = "" if self.keeps else "Connection: close\r\n"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n{closing}\r\n".encode())
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = re.search(r"\r\ncontent-length: (\d+)", head)
        body = await reader.readexactly(int(length[1]))
        if not head.startswith("http/1.1 200 "):
            self.met.failed(f"status {head.split()[1]}", body)
        elif body != expected:
            self.met.failed("another answer", body)
        if "\r\nconnection: close" in head:
            self.drop()


class Service:
    """The server, as its manager starts and stops it."""

    def __init__(self, data, directory):
        self.data, self.directory = data, directory
        self.listeners = []
        self.process = None
        self.admin = None

    def command(self, *arguments):
        return [
            BIN, "serve", "--data", self.data, "--log-format", "json", "--threads", "2",
            "--drain-delay", f"{DRAIN_DELAY_SECONDS}s", *arguments,
        ]

    async def spawn(self, *command, **options):
        log = open(self.directory / "log", "a", encoding="utf-8")
        self.process = await asyncio.create_subprocess_exec(*command, stderr=log, **options)
        log.close()
        return self.process

    async def ready(self):
        """Until the admin listener says that data is served."""
        while True:
            if self.process.returncode is not None:
                fail(f"the server ended: {(self.directory / 'log').read_text()[-2000:]}")
            try:
                reader, writer = await asyncio.open_unix_connection(self.admin)
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                status = (await reader.read()).split(b" ")[1:2]
                writer.close()
                if status == [b"200"]:
                    return
            except OSError:
                pass
            await asyncio.sleep(0.02)

    @staticmethod
    async def stop(process):
        process.send_signal(signal.SIGTERM)
        status = await process.wait()
        if status != 0:
            fail(f"the server ended with status {status}")

    def close(self):
        if self.process and self.process.returncode is None:
            self.process.kill()


class SocketService(Service):
    """With a socket that its manager holds, whatever becomes of the processes."""

    def __init__(self, data, directory):
        super().__init__(data, directory)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.address = self.listener.getsockname()

    async def start(self, number):
        self.admin = str(self.directory / f"admin-{number}")
        command = self.command("--admin-listen", f"unix:{self.admin}")
        if STARTER == "systemd":
            # It takes over the descriptors that it was started with, and starts the service for the first client.
            command = ["systemd-socket-activate", *command]
        # What systemd does between fork and exec: descriptor 3, and for whom it is.
        shell = f"exec 3<&{self.listener.fileno()}; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\""
        await self.spawn("sh", "-c", shell, "sh", *command, pass_fds=[self.listener.fileno()])
        # One for whom the service is started, if there is no other.
        socket.create_connection(self.address).close()
        await self.ready()

    async def restart(self, number):
        await self.stop(self.process)
        await self.start(number)

    def close(self):
        super().close()
        self.listener.close()


class SystemdService(Service):
    """waybill.service and waybill.socket of a systemd in namespaces of its own."""

    address = ("127.0.0.1", 8080)

    async def systemctl(self, *arguments):
        namespaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
        command = ("nsenter", "--target", SYSTEMD, *namespaces, "systemctl", *arguments)
        if await (await asyncio.create_subprocess_exec(*command)).wait() != 0:
            fail(f"systemctl {' '.join(arguments)}")

    async def start(self, number):
        await self.systemctl("start", "waybill.socket", "waybill.service")

    async def restart(self, number):
        await self.systemctl("restart", "waybill.service")

    @staticmethod
    async def stop(process):
        """It goes on to run."""


class OverlapService(Service):
    """With --reuse-port."""

    def __init__(self, data, directory, listen=None):
        super().__init__(data, directory)
        if listen:
            self.address, self.listen = listen, f"unix:{listen}"
        else:
            # A port that is free.
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self.address = probe.getsockname()
            self.listen = f"127.0.0.1:{self.address[1]}"

    async def start(self, number):
        self.admin = str(self.directory / f"admin-{number}")
        await self.spawn(*self.command("--listen", self.listen, "--reuse-port", "--admin-listen", f"unix:{self.admin}"))
        await self.ready()

    async def restart(self, number):
        old = self.process
        await self.start(number)
        await self.stop(old)


async def restart_under_load(service, questions):
    met, stop = Met(), asyncio.Event()
    await service.start(0)
    clients = [Client(service.address, questions, met, keeps=True) for _ in range(KEEPING_CLIENTS)]
    clients += [Client(service.address, questions, met, keeps=False) for _ in range(NEW_CLIENTS)]
    running = [asyncio.create_task(client.run(stop)) for client in clients]
    try:
        for number in range(1, RESTARTS + 1):
            await asyncio.sleep(REST_SECONDS)
            await service.restart(number)
        await asyncio.sleep(REST_SECONDS)
        stop.set()
        await asyncio.gather(*running)
        await service.stop(service.process)
    finally:
        service.close()
    return met


def questions_of(data):
    """Lookups of some shipments, with the answers that a server gives which is not restarted."""
    paths = set()
    with open(data, newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file)):
            if number % 997 == 0:
                paths.add(f"/v1/shipments/{row['carrier']}/{row['tracking_number']}".replace(" ", "%20"))
            if len(paths) == 200:
                break
    return sorted(paths)


async def answers(paths, service):
    await service.start("first")
    found = []
    for path in paths:
        reader, writer = await asyncio.open_connection(*service.address)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        if not head.startswith(b"HTTP/1.1 200 "):
            fail(f"{path}: {head}")
        found.append((path, body))
    await service.stop(service.process)
    service.close()
    return found


KINDS_OF_RESTARTS = {
    # Name: the service, whether the kernel is to migrate, whether nothing may fail.
    "socket": (SocketService, False, True),
    "systemd": (SystemdService, False, True),
    "overlap": (OverlapService, True, True),
    "overlap-without-migration": (OverlapService, False, False),
    "unix": (lambda data, directory: OverlapService(data, directory, str(directory / "public")), False, True),
}


async def main():
    in_namespace = bool(os.environ.get("RESTARTS_IN_NAMESPACE"))
    if in_namespace:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # The server takes it for a misspelled setting.
    os.environ.pop("WAYBILL_BIN", None)
    failed = []
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        data = os.environ.get("DATA")
        if not data:
            data = str(directory / "data.csv")
            subprocess.run([BIN, "generate", "--shipments", str(SHIPMENTS), "--output", data], check=True)
        questions = await answers(questions_of(data), SocketService(data, directory))
        for name, (service, migrates, is_strict) in KINDS_OF_RESTARTS.items():
            if not KINDS.fullmatch(name) and KINDS.pattern or name == "systemd" and not SYSTEMD:
                continue
            is_set = set_migration(migrates) if in_namespace else (MIGRATION.read_text().strip() == "1") == migrates
            if not is_set:
                print(f"{name}: net.ipv4.tcp_migrate_req cannot be set to {int(migrates)} here; not run")
                continue
            met = await restart_under_load(service(data, directory), questions)
            report = {
                "kind": name,
                "tcp_migrate_req": int(migrates),
                "restarts": RESTARTS,
                "requests": met.requests,
                "failures": dict(met.failures),
                "longest_wait_seconds": round(met.longest_wait, 2),
            }
            print(json.dumps(report), flush=True)
            only_resets = all(kind == "reset (new connection)" for kind in met.failures)
            if met.failures and (is_strict or not only_resets):
                failed.append(f"{name}: {met.examples}")
    if failed:
        fail("; ".join(failed))
    print("ok")


in_own_network()
asyncio.run(main())
