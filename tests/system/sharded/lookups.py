"""Asks a proxy before shards and servers that have all shipments the same, and compares: every answer of the proxy has to be,
in status and body, that of one of the servers. Ends after so many lookups, or on SIGTERM; says what came of them in JSON.

    lookups.py [--count N] [--seed S] NUMBERS PROXY SERVER...

NUMBERS is a file of lines `carrier<TAB>tracking number`; proxy and servers are addresses.
"""

import argparse
import json
import random
import signal
import socket
import sys
import time
from urllib.parse import quote

FORMS = [
    "/v1/shipments/{carrier}/{number}",
    "/v1/shipments/{carrier}/{number}?tracking_number=TN1",
    "/v1/shipments/{number}",
    "/v1/shipments?tracking_number={number}&limit=2",
    "/v1/shipments?carrier={carrier}&tracking_number={number}",
    "/v1/facets?tracking_number={number}",
    "/shipment/list/?limit=3&tracking_number={number}",
]
# Lookups of a number that does not exist.
MISSING_SHARE = 0.05
ESCAPED_SHARE = 0.1


class Connection:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.address = (host, int(port))
        self.stream = None

    def ask(self, path):
        """Status and body."""
        try:
            if self.stream is None:
                connection = socket.create_connection(self.address, timeout=30)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.stream = connection.makefile("rwb")
            self.stream.write(f"GET {path} HTTP/1.1\r\nHost: waybill.test\r\n\r\n".encode())
            self.stream.flush()
            status = int(self.stream.readline().split(b" ")[1])
            length, ends = 0, False
            while (line := self.stream.readline()) not in (b"\r\n", b""):
                name, value = line.split(b":", 1)
                length = int(value) if name.lower() == b"content-length" else length
                ends |= name.lower() == b"connection" and value.strip().lower() == b"close"
            body = self.stream.read(length)
        except (OSError, IndexError, ValueError) as error:
            self.close()
            return None, repr(error).encode()
        if len(body) < length:
            self.close()
            return None, b"the connection ended within the answer"
        if ends:
            self.close()
        return status, body

    def close(self):
        stream, self.stream = self.stream, None
        if stream:
            stream.close()


def spelled(random, text, in_query):
    """The same number to waybill: capitals and escapes at random. Letters beyond ASCII stay, as the proxy needs it."""
    out = []
    for letter in text:
        if letter == " " and in_query and random.random() < 0.5:
            out.append("+")
            continue
        if letter.isascii():
            letter = letter.upper() if random.random() < 0.5 else letter.lower()
        if random.random() < ESCAPED_SHARE:
            escaped = "".join(f"%{byte:02x}" for byte in letter.encode())
            out.append(escaped.upper() if random.random() < 0.5 else escaped)
        else:
            out.append(quote(letter, safe=""))
    return "".join(out)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--count", type=int, default=sys.maxsize)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("numbers")
    arguments.add_argument("proxy")
    arguments.add_argument("servers", nargs="+")
    arguments = arguments.parse_args()
    with open(arguments.numbers, encoding="utf-8") as lines:
        known = [line.rstrip("\n").split("\t") for line in lines]
    draw = random.Random(arguments.seed)
    proxy = Connection(arguments.proxy)
    servers = [Connection(server) for server in arguments.servers]
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    asked, wrong, statuses, example = 0, 0, {}, None
    begun = time.monotonic()
    while asked < arguments.count and not ended:
        carrier, number = draw.choice(known)
        if draw.random() < MISSING_SHARE:
            number += "x"
        form = draw.choice(FORMS)
        number = spelled(draw, number, "={number}" in form)
        path = form.format(carrier=spelled(draw, carrier, "={carrier}" in form), number=number)
        got = proxy.ask(path)
        if got not in (server.ask(path) for server in servers):
            wrong += 1
            example = example or f"{path}: {got}"
        statuses[got[0]] = statuses.get(got[0], 0) + 1
        asked += 1
    seconds = round(time.monotonic() - begun, 1)
    print(json.dumps({"asked": asked, "wrong": wrong, "statuses": statuses, "seconds": seconds, "example": example}))


main()
