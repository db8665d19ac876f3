#!/usr/bin/env python3
"""Clients that make a server hold memory or work, each kind against a server of its own in a control group: answers that
nobody reads, over HTTP/1.1 and HTTP/2, bodies that stall, shipments of a million articles, a number that very many
carriers use, one client's crowd of requests, and idle connections that take up all places. The server is never killed,
goes on to answer lookups, and holds no more than it says; figures are printed.

Needs root, openssl and a release build. Where no control group with a memory limit can be made, it says so and runs
without. WAYBILL_BIN is the binary, SCALE the share of the full sizes, KINDS a regular expression of the kinds.
Full form, some five minutes: SCALE=1
"""

import concurrent.futures
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from control_group import Group

BIN = str(Path(os.environ.pop("WAYBILL_BIN", Path(__file__).parents[2] / "target/release/waybill")).resolve())
SCALE = float(os.environ.get("SCALE", "0.2"))
KINDS = re.compile(os.environ.get("KINDS", ""))

MIB = 1 << 20
# What the server may take, and what of it clients: enough for the data of the full form.
LIMIT_BYTES = 512 * MIB
BUDGET_BYTES = LIMIT_BYTES // 8
WRITE_TIMEOUT_SECONDS = 5
PATIENCE_SECONDS = 120
HEADER = "tracking_number,carrier,sender_address,receiver_address,article_name,article_quantity,article_price,SKU,status\n"
LOOKUP = "/v1/shipments/DHL/ORDINARY1"
MONSTER = "/v1/shipments/DHL/MONSTER"
# Pages of a thousand shipments: ordinary ones, some 300 KB, and large ones.
PAGE = "/v1/shipments?limit=1000&carrier=DHL"
LARGE_PAGE = "/v1/shipments?limit=1000&carrier=BULK"


class Failure(Exception):
    """What was seen and should not have been."""


def check(condition, what):
    if not condition:
        raise Failure(what)


def scaled(number):
    return max(1, round(number * SCALE))


def write_data(path):
    place = "Main Street 1, 10115 Berlin, Germany"
    with open(path, "w") as file:
        file.write(HEADER)
        for number in range(20_000):
            file.write(f'ORDINARY{number},DHL,"{place}","{place}",Laptop,1,800,LP{number},in-transit\n')
        for number in range(1000):
            for article in range(scaled(700)):
                file.write(f"BULK{number},BULK,a,b,Article of a large shipment,1,19.90,SKU{article},in-transit\n")
        for article in range(scaled(1_000_000)):
            file.write(f"MONSTER,DHL,a,b,Article of a very large shipment,1,19.90,SKU{article},in-transit\n")
        for carrier in range(scaled(200_000)):
            file.write(f"SHARED,CARRIER{carrier},a,b,Article,1,1,SKU,in-transit\n")


class Server:
    """A server in the group, if there is one."""

    def __init__(self, place, *arguments, threads=2):
        self.place = place
        serve = [BIN, "serve", "--data", place.data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
        serve += ["--threads", str(threads), "--log-format", "json", "--write-timeout", f"{WRITE_TIMEOUT_SECONDS}s"]
        serve += ["--body-timeout", "10m", "--max-buffered-bytes", str(BUDGET_BYTES), *arguments]
        self.process = subprocess.Popen(
            place.group.within(serve) if place.group else serve, stderr=subprocess.PIPE, text=True
        )
        for line in self.process.stderr:
            fields = json.loads(line)["fields"]
            if fields["message"] == "listening":
                self.public, self.admin = (self.address(fields[name]) for name in ("public", "admin"))
            if fields["message"] == "serving":
                break
        else:
            raise Failure("the server does not serve")
        # What it logs from now on is not needed.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self.at_rest = self.memory("VmRSS")

    @staticmethod
    def address(text):
        host, port = text.rsplit(":", 1)
        return host, int(port)

    def memory(self, field):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB$", status, re.M)[1]) << 10

    def metric(self, name):
        _, body = get(self.admin, "/metrics")
        return float(re.search(rf"^{re.escape(name)} (\S+)$", body.decode(), re.M)[1])

    def check_is_well(self, kind):
        """The bytes that it holds, if it is well."""
        check(self.process.poll() is None, f"{kind}: the server ended with status {self.process.returncode}")
        kills = self.place.group.kills() if self.place.group else 0
        check(kills == 0, f"{kind}: {kills} killed")
        held = self.metric("waybill_http_buffered_bytes")
        check(held <= 2 * BUDGET_BYTES, f"{kind}: {held} bytes are held")
        return held

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE_SECONDS)
        check(status == 0, f"the server ended with status {status}")


def get(address, target, method="GET", source=None):
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE_SECONDS, source_address=source)
    connection.request(method, target)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def request(target, method="GET", fields=""):
    return f"{method} {target} HTTP/1.1\r\nHost: hostile\r\n{fields}\r\n".encode()


def connect(server, number=0):
    """A connection, from one of many addresses: ports are limited."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(PATIENCE_SECONDS)
    connection.bind((f"127.0.0.{2 + number % 100}", 0))
    connection.connect(server.public)
    return connection


def status_line(connection):
    return connection.recv(12)[9:]


def report(kind, server, **figures):
    peak = server.memory("VmHWM")
    figures = {"at rest": server.at_rest / MIB, "peak": peak / MIB, **figures}
    print(f"{kind}:", ", ".join(f"{name} {value:.1f}" for name, value in figures.items()), flush=True)


def ask_on(server, seconds, answers):
    """Asks for lookups, one after the other, and notes how long each takes, in milliseconds."""
    connection = http.client.HTTPConnection(*server.public, timeout=PATIENCE_SECONDS)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begun = time.monotonic()
        connection.request("GET", LOOKUP)
        answer = connection.getresponse()
        answer.read()
        check(answer.status == 200, f"a lookup is answered {answer.status}")
        answers.append((time.monotonic() - begun) * 1000)
        time.sleep(0.001)


def others_beside(server, client, count, seconds=5):
    """The p50 and p99 of lookups, in milliseconds, while `count` clients run, each with an event that ends it."""
    end, answers = threading.Event(), []
    with concurrent.futures.ThreadPoolExecutor(count) as clients:
        running = [clients.submit(client, end) for _ in range(count)]
        try:
            ask_on(server, seconds, answers)
        finally:
            end.set()
        done = sum(one.result() for one in running)
    percentiles = statistics.quantiles(answers, n=100)
    return {"answers to hostile clients": done, "p50 ms": percentiles[49], "p99 ms": percentiles[98]}


# Kinds of clients.


def unread_large_pages(place):
    """Pages of some 60 MB that nobody reads."""
    unread(place, LARGE_PAGE, 90, "unread large pages")


def unread_pages(place):
    """Pages of ordinary shipments that nobody reads."""
    unread(place, PAGE, 2000, "unread pages")


def unread(place, target, count, kind):
    server = Server(place)
    connections = [connect(server, number) for number in range(count)]
    for connection in connections:
        connection.sendall(request(target))
    statuses = [status_line(connection) for connection in connections]
    check(set(statuses) <= {b"200", b"503"}, f"{kind}: {set(statuses)}")
    check(b"200" in statuses, f"{kind}: none is answered")
    held = server.check_is_well(kind)
    check(get(server.public, LOOKUP)[0] == 200, f"{kind}: no lookup")
    report(kind, server, held=held / MIB, accepted=statuses.count(b"200"), refused=statuses.count(b"503"))
    # They take nothing: they are cut off, and what was held is given back.
    begun = time.monotonic()
    while server.metric("waybill_http_buffered_bytes") > 0:
        check(time.monotonic() - begun < PATIENCE_SECONDS, f"{kind}: still held after {PATIENCE_SECONDS} s")
        time.sleep(0.1)
    for connection in connections:
        connection.close()
    server.stop()


def h2_frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def h2_connect(place, server, number, window):
    """A connection with HTTP/2 whose streams have windows of so many bytes (RFC 9113, sections 3.4 and 6.5.2)."""
    connection = place.tls.wrap_socket(connect(server, number), server_hostname="localhost")
    check(connection.selected_alpn_protocol() == "h2", "HTTP/2 is not agreed on")
    settings = h2_frame(4, 0, 0, (4).to_bytes(2, "big") + window.to_bytes(4, "big"))
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
    return connection


def h2_get(target, stream):
    """HEADERS with literal fields (RFC 7541, section 6.2.2)."""
    fields = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", target.encode())]
    block = b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in fields)
    return h2_frame(1, 5, stream, block)


def unread_streams(place):
    """HTTP/2: a hundred requests on each connection, of whose answers no byte may come."""
    kind = "unread streams"
    server = Server(place, *place.certificate)
    connections = [h2_connect(place, server, number, 0) for number in range(80)]
    requests = b"".join(h2_get(LARGE_PAGE if at % 2 else PAGE, 2 * at + 1) for at in range(100))
    for connection in connections:
        connection.sendall(requests)
    most = 0
    begun = time.monotonic()
    while time.monotonic() - begun < 3:
        most = max(most, server.check_is_well(kind))
    report(kind, server, held=most / MIB)
    while server.metric("waybill_http_connections") > 1:
        check(time.monotonic() - begun < PATIENCE_SECONDS, f"{kind}: not ended after {PATIENCE_SECONDS} s")
        time.sleep(0.1)
    for connection in connections:
        connection.close()
    server.stop()


def trickling_streams(place):
    """HTTP/2: 16 KiB of window now and then, less than the least rate."""
    kind = "trickling streams"
    server = Server(place, *place.certificate)
    connection = h2_connect(place, server, 0, 16 << 10)
    connection.sendall(h2_get(LARGE_PAGE, 1))
    begun = time.monotonic()
    more = h2_frame(8, 0, 0, (16 << 10).to_bytes(4, "big")) + h2_frame(8, 0, 1, (16 << 10).to_bytes(4, "big"))
    reader = threading.Thread(target=read_to_end, args=(connection,), daemon=True)
    reader.start()
    while reader.is_alive():
        reader.join(WRITE_TIMEOUT_SECONDS * 0.8)
        try:
            connection.sendall(more)
        except OSError:
            break
        check(time.monotonic() - begun < PATIENCE_SECONDS, f"{kind}: not ended after {PATIENCE_SECONDS} s")
    seconds = time.monotonic() - begun
    timed_out = server.metric('waybill_http_connections_timed_out_total{phase="write"}')
    check(timed_out == 1, f"{kind}: {timed_out} connections were ended")
    report(kind, server, **{"ended after s": seconds})
    server.stop()


def read_to_end(connection):
    try:
        while connection.recv(1 << 16):
            pass
    except OSError:
        pass


def batch_readers(place):
    """Honest clients that ask for batches of large shipments and read them at full speed."""
    kind = "batch readers"
    server = Server(place)
    lookups = [{"tracking_number": f"BULK{number}"} for number in range(1000)]
    body = json.dumps({"lookups": lookups}).encode()
    expected = None
    counts = {200: 0, 503: 0}

    def read_on(end):
        nonlocal expected
        done = 0
        while not end.is_set():
            connection = http.client.HTTPConnection(*server.public, timeout=PATIENCE_SECONDS)
            connection.request("POST", "/v1/lookup", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            length = len(answer.read())
            connection.close()
            counts[answer.status] += 1
            if answer.status == 200:
                expected = expected or length
                check(length == expected, f"{kind}: {length} bytes instead of {expected}")
            done += 1
        return done

    figures = others_beside(server, read_on, 64)
    server.check_is_well(kind)
    report(kind, server, whole=counts[200], refused=counts[503], **figures)
    server.stop()


def stalled_bodies(place):
    """Bodies that stop before their end."""
    kind = "stalled bodies"
    server = Server(place)
    fields = "Content-Type: application/json\r\nContent-Length: 1048576\r\n"
    part = request("/v1/lookup", "POST", fields) + b" " * 1_000_000
    connections, refused = [], 0
    for number in range(3000):
        connection = connect(server, number)
        try:
            connection.sendall(part)
        except OSError:
            # Refused, and ended, before all was sent.
            refused += 1
        connections.append(connection)
    held = server.check_is_well(kind)
    check(get(server.public, LOOKUP)[0] == 200, f"{kind}: no lookup")
    report(kind, server, held=held / MIB, **{"refused at once": refused})
    for connection in connections:
        connection.close()
    server.stop()


def monsters(place):
    """One shipment of a million articles, asked for over and over by HEAD, then by GET."""
    server = Server(place)

    def loop(method):
        def ask(end):
            done = 0
            while not end.is_set():
                status, _ = get(server.public, MONSTER, method)
                check(status in (200, 503), f"monsters: {method} is answered {status}")
                done += 1
            return done

        return ask

    report("monsters, nobody", server, **others_beside(server, lambda end: 0, 16))
    report("monsters, HEAD", server, **others_beside(server, loop("HEAD"), 16))
    report("monsters, GET", server, **others_beside(server, loop("GET"), 16))
    server.check_is_well("monsters")
    server.stop()


def shared_number(place):
    """Batches of lookups of one number that very many carriers use."""
    server = Server(place)
    lookups = [{"tracking_number": "SHARED", "carrier": f"CARRIER{at}"} for at in range(195)]
    exact = json.dumps({"lookups": lookups}, separators=(",", ":")).encode()
    whole = json.dumps({"lookups": [{"tracking_number": "SHARED"}] * 195}).encode()

    def loop(body, wanted):
        def ask(end):
            connection = http.client.HTTPConnection(*server.public, timeout=PATIENCE_SECONDS)
            done = 0
            while not end.is_set():
                connection.request("POST", "/v1/lookup", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                check(answer.status in wanted, f"shared number: {answer.status}")
                done += 1
            return done

        return ask

    report("shared number, with carriers", server, **others_beside(server, loop(exact, [200]), 4))
    report("shared number, without", server, **others_beside(server, loop(whole, [200, 422, 503]), 4))
    server.check_is_well("shared number")
    server.stop()


def crowd_of_one(place):
    """Two hundred facet requests of one client, and one of another behind them."""
    kind = "crowd of one"
    server = Server(place, threads=1)
    target = "/v1/facets?status=in-transit"
    crowd = []
    for _ in range(200):
        connection = socket.create_connection(server.public, PATIENCE_SECONDS, source_address=("127.0.0.2", 0))
        connection.sendall(request(target))
        crowd.append(connection)
    begun = time.monotonic()
    status, _ = get(server.public, target, source=("127.0.0.3", 0))
    seconds = time.monotonic() - begun
    check(status == 200, f"{kind}: the other client is answered {status}")
    statuses = [status_line(connection) for connection in crowd]
    all_seconds = time.monotonic() - begun
    check(set(statuses) <= {b"200", b"503"}, f"{kind}: {set(statuses)}")
    figures = {"the other after s": seconds, "all after s": all_seconds, "refused": statuses.count(b"503")}
    report(kind, server, **figures)
    for connection in crowd:
        connection.close()
    server.stop()


def idle_connections(place):
    """As many idle connections as may be open."""
    kind = "idle connections"
    server = Server(place, "--max-connections", "500", "--idle-timeout", "10m", "--header-timeout", "10m")
    connections = [connect(server, number) for number in range(500)]
    for connection in connections[::2]:
        connection.sendall(request(LOOKUP))
        check(status_line(connection) == b"200", f"{kind}: not answered")
    begun = time.monotonic()
    for _ in range(100):
        check(get(server.public, LOOKUP)[0] == 200, f"{kind}: a new client is not answered")
    seconds = time.monotonic() - begun
    evicted = server.metric('waybill_http_connections_rejected_total{reason="evicted"}')
    report(kind, server, **{"a new client ms": seconds * 10, "evicted": evicted})
    for connection in connections:
        connection.close()
    server.stop()


class Place:
    """What all servers have in common: data, certificate and control group."""

    def __init__(self, directory):
        self.data = str(directory / "data.csv")
        write_data(self.data)
        key, certificate = str(directory / "key.pem"), str(directory / "certificate.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        self.certificate = ["--tls-cert", certificate, "--tls-key", key]
        self.tls = ssl.create_default_context(cafile=certificate)
        self.tls.set_alpn_protocols(["h2"])
        try:
            self.group = Group("hostile")
            self.group.set(LIMIT_BYTES)
        except OSError as error:
            print(f"without a control group: {error}")
            self.group = None


ALL = [
    unread_large_pages, unread_pages, unread_streams, trickling_streams, batch_readers, stalled_bodies, monsters,
    shared_number, crowd_of_one, idle_connections,
]  # fmt: skip


def main():
    directory = Path(tempfile.mkdtemp())
    place = Place(directory)
    try:
        for kind in ALL:
            if KINDS.search(kind.__name__):
                kind(place)
        print("ok")
    except (Failure, OSError) as failure:
        sys.exit(f"FAILED: {failure!r}")
    finally:
        shutil.rmtree(directory)
        if place.group:
            for _ in range(50):
                try:
                    place.group.remove()
                    break
                except OSError:
                    time.sleep(0.1)


main()
