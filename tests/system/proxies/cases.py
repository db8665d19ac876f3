"""Requests at the edge of RFC 9112 and beyond, by name, and mutations of them."""

import random

# Stands for the client's own mark, which answers repeat; as long as one.
MARK = b"@@@@@@@@@@@@"
HOST = b"Host: a\r\n"
LOOKUP = b"GET /v1/shipments/%s/one" % MARK
SMUGGLED = b"GET /v1/shipments/%s/smuggled HTTP/1.1\r\nHost: a\r\n\r\n" % MARK
CHUNKED = b"Transfer-Encoding: chunked\r\n"
BODY = b'{"lookups":[{"tracking_number":"one","carrier":"%s"}]}' % MARK
BATCH = b"POST /v1/lookup HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"


def get(fields=b"", body=b"", host=HOST):
    return LOOKUP + b" HTTP/1.1\r\n" + host + fields + b"\r\n" + body


def post(fields, body):
    return BATCH + fields + b"\r\n" + body


def length(number):
    return b"Content-Length: %d\r\n" % number


def chunk(data, size=None):
    return (b"%x" % len(data) if size is None else size) + b"\r\n" + data + b"\r\n"


def hosts():
    yield "host: missing", get(host=b"")
    yield "host: twice", get(host=HOST + b"Host: b\r\n")
    yield "host: twice the same", get(host=HOST + HOST)
    no_names = [b"a b", b"a/b", b"u@a", b"a#b", b"a%zz", b"http://a", b"\xc3\xbc"]
    no_addresses = [b"a:b", b"a:1:2", b"[::1", b"::1"]
    for host in no_names + no_addresses + [b"", b"[::1]:80", b"a:80", b"a,b", b"\ta\t"]:
        yield f"host: {host!r}", get(host=b"Host: " + host + b"\r\n")
    yield "host: not of the target", b"GET http://b/v1/shipments/%s/one HTTP/1.1\r\nHost: a\r\n\r\n" % MARK


def lengths():
    inner = len(SMUGGLED)
    for name, fields in {
        "two that differ": length(inner) + length(0),
        "two that differ, turned round": length(0) + length(inner),
        "two that are equal": length(inner) * 2,
        "a list": b"Content-Length: %d, %d\r\n" % (inner, inner),
        "plus": b"Content-Length: +%d\r\n" % inner,
        "minus": b"Content-Length: -1\r\n",
        "hexadecimal": b"Content-Length: 0x10\r\n",
        "empty": b"Content-Length:\r\n",
        "space before the colon": b"Content-Length : %d\r\n" % inner,
        "space within": b"Content-Length: 1 0\r\n",
        "vertical tab": b"Content-Length: \x0b%d\r\n" % inner,
        "too large": b"Content-Length: 99999999999999999999999\r\n",
        "largest": b"Content-Length: 18446744073709551615\r\n",
        "leading zeros": b"Content-Length: 000%d\r\n" % inner,
        "too long": length(inner + 1000),
        "too short": length(inner - 10),
        "right": length(inner),
        "with an underscore": b"Content_Length: %d\r\n" % inner,
        "folded": b"Content-Length:\r\n %d\r\n" % inner,
        "named by Connection": b"Connection: Content-Length\r\n" + length(inner),
    }.items():
        yield f"length: {name}", get(fields, SMUGGLED)
        yield f"length: {name}, of a batch", post(fields, SMUGGLED)


def codings():
    ended = b"0\r\n\r\n"
    for name, fields in {
        "chunked": CHUNKED,
        "in capitals": b"TRANSFER-ENCODING: CHUNKED\r\n",
        "twice": CHUNKED * 2,
        "a list of two": b"Transfer-Encoding: chunked, chunked\r\n",
        "not last": b"Transfer-Encoding: chunked, gzip\r\n",
        "after gzip": b"Transfer-Encoding: gzip, chunked\r\n",
        "gzip": b"Transfer-Encoding: gzip\r\n",
        "identity": b"Transfer-Encoding: identity\r\n",
        "identity first": b"Transfer-Encoding: identity\r\n" + CHUNKED,
        "identity last": CHUNKED + b"Transfer-Encoding: identity\r\n",
        "xchunked": b"Transfer-Encoding: xchunked\r\n",
        "quoted": b'Transfer-Encoding: "chunked"\r\n',
        "with a parameter": b"Transfer-Encoding: chunked;q=1\r\n",
        "comma after": b"Transfer-Encoding: chunked,\r\n",
        "comma before": b"Transfer-Encoding: , chunked\r\n",
        "empty": b"Transfer-Encoding:\r\n",
        "space before the colon": b"Transfer-Encoding : chunked\r\n",
        "vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
        "tabs": b"Transfer-Encoding:\tchunked\t\r\n",
        "folded": b"Transfer-Encoding:\r\n chunked\r\n",
        "with an underscore": b"Transfer_Encoding: chunked\r\n",
        "NUL": b"Transfer-Encoding: chunked\0\r\n",
        "named by Connection": b"Connection: Transfer-Encoding\r\n" + CHUNKED,
        "with a length": length(len(ended)) + CHUNKED,
        "with a length after it": CHUNKED + length(len(ended)),
        "with a length beyond": CHUNKED + length(len(ended + SMUGGLED)),
        "xchunked with a length": b"Transfer-Encoding: xchunked\r\n" + length(len(ended + SMUGGLED)),
        "with Upgrade": CHUNKED + b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    }.items():
        yield f"coding: {name}", get(fields, ended + SMUGGLED)
        yield f"coding: {name}, of a batch", post(fields, chunk(BODY) + ended + SMUGGLED)
    for version in [b"1.0", b"1.1"]:
        keep = b"Connection: keep-alive\r\n" if version == b"1.0" else b""
        head = BATCH.replace(b"1.1", version) + keep + CHUNKED
        yield f"coding: HTTP/{version.decode()}", head + b"\r\n" + chunk(BODY) + ended


def chunks():
    for size in [
        b"+1", b"-1", b"0x1", b" 1", b"1 ", b"1\t", b"1 ;x", b"1 0", b"1;x=y", b'1;x="\r\n"', b"1;x\ny", b"1;x\ry",
        b"1\n", b"001", b"", b"g", b"1g", b";x", b"1,1", b"1\0", b"10000000000000001", b"fffffffffffffffff",
        b"ffffffffffffffff", b"7fffffffffffffff", b"80000000", b"1;" + b"x" * 5000, b"1;" + b"x" * 20000,
        b"0" * 5000 + b"1", b"1;" * 4000,
    ]:
        name = repr(size) if len(size) < 30 else f"{size[:4]!r}… of {len(size)} bytes"
        yield f"chunk size {name}", post(CHUNKED, chunk(b" ", size) + chunk(BODY) + b"0\r\n\r\n")
        yield f"chunk size {name}, of a lookup", get(CHUNKED, chunk(b" ", size) + b"0\r\n\r\n" + SMUGGLED)
    size = b"%x" % len(BODY)
    for name, body in {
        "no line end after it": size + b"\r\n" + BODY + b"0\r\n\r\n",
        "LF after it": size + b"\r\n" + BODY + b"\n0\r\n\r\n",
        "CR after it": size + b"\r\n" + BODY + b"\r0\r\n\r\n",
        "LF throughout": size + b"\n" + BODY + b"\n0\n\n",
        "CR after its size": size + b"\r" + BODY + b"\r\n0\r\n\r\n",
        "too short": b"%x\r\n" % (len(BODY) - 1) + BODY + b"\r\n0\r\n\r\n",
        "too long": b"%x\r\n" % (len(BODY) + 1) + BODY + b"\r\n0\r\n\r\n",
        "two line ends after it": size + b"\r\n" + BODY + b"\r\n\r\n0\r\n\r\n",
        "no last one": size + b"\r\n" + BODY + b"\r\n",
        "last one of three zeros": size + b"\r\n" + BODY + b"\r\n000\r\n\r\n",
        "a request for a body": chunk(SMUGGLED) + b"0\r\n\r\n",
        "one byte each": b"".join(chunk(BODY[at : at + 1]) for at in range(len(BODY))) + b"0\r\n\r\n",
        "last one, then LF": chunk(BODY) + b"0\r\n\n",
        "last one with LF": chunk(BODY) + b"0\n\r\n",
        "last one with LF, LF": chunk(BODY) + b"0\n\n",
        "last one, then CR": chunk(BODY) + b"0\r\n\r",
        "last one without its end": chunk(BODY) + b"0\r\n",
    }.items():
        yield f"chunk: {name}", post(CHUNKED, body)
        yield f"chunk: {name}, of a lookup", get(CHUNKED, body)
    for name, trailers in {
        "one": b"X: y\r\n\r\n",
        "Host": b"Host: b\r\n\r\n",
        "Content-Length": length(len(SMUGGLED)) + b"\r\n",
        "Transfer-Encoding": CHUNKED + b"\r\n",
        "Connection": b"Connection: close\r\n\r\n",
        "LF": b"X: y\n\r\n",
        "LF alone after it": b"X: y\r\n\n",
        "LF throughout": b"X: y\n\n",
        "no field": b"no field\r\n\r\n",
        "space before the colon": b"X : y\r\n\r\n",
        "no name": b": y\r\n\r\n",
        "folded": b"X: a\r\n b\r\n\r\n",
        "NUL": b"X: a\0b\r\n\r\n",
        "bare CR": b"X: a\rb\r\n\r\n",
        "too many": b"X: y\r\n" * 200 + b"\r\n",
        "too long": b"X: " + b"y" * 20000 + b"\r\n\r\n",
    }.items():
        yield f"trailer: {name}", post(CHUNKED, chunk(BODY) + b"0\r\n" + trailers)
        yield f"trailer: {name}, of a lookup", get(CHUNKED, b"0\r\n" + trailers)


def lines():
    for name, request in {
        "folded": get(b"X: a\r\n b\r\n"),
        "folded with a tab": get(b"X: a\r\n\tb\r\n"),
        "folded host": get(host=b"Host:\r\n a\r\n"),
        "folded first": get(host=b" X: a\r\n" + HOST),
        "white space alone": get(b" \r\n"),
        "bare CR in a value": get(b"X: a\rb\r\n"),
        "CR before the line end": get(b"X: a\r\r\n"),
        "CR for line ends": get(b"X: y\r\n").replace(b"\r\n", b"\r"),
        "LF for line ends": get(b"X: y\r\n").replace(b"\r\n", b"\n"),
        "LF for one": get(b"X: y\n"),
        "LF for the last": get()[:-2] + b"\n",
        "LF, CR": get(b"X: y\n\r"),
        "NUL in a value": get(b"X: a\0b\r\n"),
        "NUL in a name": get(b"X\0: a\r\n"),
        "NUL in the target": get().replace(b"/one", b"/o\0ne"),
        "DEL in a value": get(b"X: a\x7fb\r\n"),
        "bytes over 127": get(b"X: \xff\xfe\r\n"),
        "bytes over 127 in a name": get(b"X\xff: y\r\n"),
        "space before a colon": get(b"X : y\r\n"),
        "no name": get(b": y\r\n"),
        "no colon": get(b"X\r\n"),
        "no value": get(b"X:\r\n"),
        "request in a value": get(b"X: " + SMUGGLED[:-2]),
        "blank ones first": b"\r\n\r\n" + get(),
        "LF first": b"\n" + get(),
        "CR first": b"\r" + get(),
        "space first": b" " + get(),
        "two spaces": get().replace(b" HTTP", b"  HTTP"),
        "a tab": get().replace(b" HTTP", b"\tHTTP"),
        "a space after the version": get().replace(b"1.1", b"1.1 "),
        "version 0.9": LOOKUP + b"\r\n\r\n",
        "version 1.2": get().replace(b"1.1", b"1.2"),
        "version 2.0": get().replace(b"1.1", b"2.0"),
        "version 1.10": get().replace(b"1.1", b"1.10"),
        "version in lowercase": get().replace(b"HTTP", b"http"),
        "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "head of 12 KiB": get(b"X: " + b"y" * (12 << 10) + b"\r\n"),
        "head of 7 KiB": get(b"X: " + b"y" * (7 << 10) + b"\r\n"),
        "200 fields": get(b"X: y\r\n" * 200),
        "target of 6 KiB": get().replace(b"/one", b"/" + b"y" * (6 << 10)),
        "broken off": get()[:-2],
        "broken off in its first line": LOOKUP,
    }.items():
        yield f"line: {name}", request


def targets():
    path = b"/v1/shipments/%s/one" % MARK
    for method, target in [
        (b"GET", b"http://b" + path), (b"GET", b"https://b:1" + path), (b"GET", b"http://u:p@b" + path),
        (b"GET", b"HTTP://B"), (b"GET", b"http://" + path), (b"GET", b"ftp://b" + path), (b"GET", b"b"),
        (b"GET", b"b:80"), (b"GET", b"*"), (b"OPTIONS", b"*"), (b"OPTIONS", path), (b"CONNECT", b"b:80"),
        (b"CONNECT", path), (b"GET", b""), (b"GET", b"?x"), (b"GET", b"/" + path), (b"GET", path + b"#x"),
        (b"GET", path + b"?x#y?z"), (b"GET", path + b" x"), (b"GET", path + b"%00"), (b"GET", path + b"%0d%0aX:%20y"),
        (b"GET", path + b"%"), (b"GET", path + b"\\.."), (b"GET", b"/../" + path), (b"GET", path + b"/../x"),
        (b"GET", path + b"\xc3\xbc"), (b"GET", path + b'"<>{}|^`'), (b"get", path), (b"G=T", path),
        (b"FROBNICATE", path), (b"", path), (b"HEAD", path), (b"DELETE", path), (b"TRACE", path), (b"PUT", path),
        (b"POST", path),
    ]:
        yield f"target: {method + b' ' + target!r}", method + b" " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def bodies():
    for method in [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"PUT"]:
        plain = get(length(len(SMUGGLED)), SMUGGLED)
        chunked = get(CHUNKED, chunk(SMUGGLED) + b"0\r\n\r\n")
        yield f"body: of {method.decode()}", plain.replace(b"GET", method, 1)
        yield f"body: chunked, of {method.decode()}", chunked.replace(b"GET", method, 1)
    yield "body: broken off", post(length(len(BODY) + 5), BODY)
    yield "body: of a megabyte", post(length(1 << 20), BODY + b" " * ((1 << 20) - len(BODY)))
    yield "body: too large", post(length((1 << 20) + 1), BODY + b" " * ((1 << 20) + 1 - len(BODY)))
    yield "body: chunked and too large", post(CHUNKED, chunk(BODY + b" " * (1 << 20)) + b"0\r\n\r\n")
    yield "body: too large for what it is sent to", get(length(3 << 20), b" " * (3 << 20)).replace(b"GET", b"POST", 1)
    for expected in [b"100-continue", b"100-Continue", b"200-ok", b"100-continue, x", b""]:
        expect = b"Expect: " + expected + b"\r\n"
        name = f"expect {expected!r}"
        batch = post(expect + length(len(BODY)), BODY)
        yield f"{name}, with a body", batch
        yield f"{name}, with chunks", post(expect + CHUNKED, chunk(BODY) + b"0\r\n\r\n")
        yield f"{name}, without a body", get(expect)
        yield f"{name}, with an empty body", post(expect + length(0), b"")
        yield f"{name}, with a body that nobody wants", get(expect + length(len(SMUGGLED)), SMUGGLED)
        yield f"{name}, with a body of no type", batch.replace(b"application/json", b"x/y")
        yield f"{name}, HTTP/1.0", batch.replace(b"1.1", b"1.0", 1)


def connections():
    for fields in [b"", b"Connection: keep-alive\r\n", b"Connection: close\r\n", b"Connection: close, keep-alive\r\n"]:
        for version in [b"1.0", b"1.1"]:
            name = f"HTTP/{version.decode()}, {fields!r}"
            yield f"{name}", get(fields).replace(b"1.1", version)
            yield f"{name}, without a host", get(fields, host=b"").replace(b"1.1", version)
            yield f"{name}, a batch", post(fields + length(len(BODY)), BODY).replace(b"1.1", version, 1)
            yield f"{name}, HEAD", get(fields).replace(b"1.1", version).replace(b"GET", b"HEAD")
    yield "connection: upgrade", get(b"Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n")
    yield "connection: websocket", get(
        b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    yield "connection: names Host", get(b"Connection: host\r\n")


def pipelines():
    batch = post(length(len(BODY)), BODY)
    chunked = post(CHUNKED, chunk(BODY) + b"0\r\n\r\n")
    head = get().replace(b"GET", b"HEAD")
    known = get(b"If-None-Match: *\r\n").replace(LOOKUP, b"GET /v1/dataset")
    good = get() + head + batch + known + chunked + known.replace(b"GET", b"HEAD") + get()
    yield "pipeline", good
    yield "pipeline, four times", good * 4
    for name, error in {
        "no host": get(host=b""),
        "NUL": get(b"X: \0\r\n"),
        "two lengths": get(length(1) + length(2)),
        "a coding": post(b"Transfer-Encoding: gzip\r\n", b""),
        "a bad chunk": post(CHUNKED, b"+1\r\n{\r\n0\r\n\r\n"),
        "trailers": post(CHUNKED, chunk(BODY) + b"0\r\nX: y\r\n\r\n"),
        "LF after the last chunk": post(CHUNKED, chunk(BODY) + b"0\r\n\n"),
        "a body of no type": post(length(len(BODY)), BODY).replace(b"application/json", b"x/y"),
        "an unknown method": get().replace(b"GET", b"FROBNICATE"),
        "no request": b"no request\r\n\r\n",
        "an odd target": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "closing": get(b"Connection: close\r\n"),
        "HTTP/1.0": get().replace(b"1.1", b"1.0"),
    }.items():
        yield f"pipeline with {name} amid it", good + error + good


FAMILIES = [hosts, lengths, codings, chunks, lines, targets, bodies, connections, pipelines]


def fixed():
    """All cases, by name."""
    return [case for family in FAMILIES for case in family()]


# What most of the mutations are made from, so that proxies let more of them through.
SOUND = [
    ("a lookup", get()),
    ("a lookup with a body", get(length(len(SMUGGLED)), SMUGGLED)),
    ("a lookup with chunks", get(CHUNKED, chunk(SMUGGLED) + b"0\r\n\r\n")),
    ("a batch", post(length(len(BODY)), BODY)),
    ("a batch in chunks", post(CHUNKED, chunk(BODY[:9], b"9;x=y") + chunk(BODY[9:]) + b"0\r\nX: y\r\n\r\n")),
    ("a batch that waits", post(b"Expect: 100-continue\r\n" + length(len(BODY)), BODY)),
    ("HEAD", get().replace(b"GET", b"HEAD")),
    ("HTTP/1.0", get(b"Connection: keep-alive\r\n").replace(b"1.1", b"1.0")),
    ("a known version", get(b"If-None-Match: *\r\n").replace(LOOKUP, b"GET /v1/dataset")),
]

PIECES = [
    b"\r", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b"\0", b" ", b"\t", b"\x0b", b"\x0c", b"\x7f", b"\x80", b":", b";",
    b",", b"=", b'"', b"0", b"1", b"f", b"-", b"+", b"0x", b"0\r\n", b"0\r\n\r\n", b"0\r\n\n", b"5\r\nhello\r\n",
    b"chunked", b"identity", b"gzip, ", b"Host: b\r\n", b"Content-Length: 0\r\n", b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: x\r\n", b"Transfer-Encoding:\tchunked\r\n",
    b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n",
    b"Upgrade: x\r\nConnection: upgrade\r\n", b"HTTP/1.0", b"HTTP/1.1", b" HTTP/1.1\r\n", b"GET ", b"HEAD ", b"POST ",
    b"http://b", SMUGGLED, CHUNKED + b"\r\n", b"X: y\r\n", b" folded\r\n",
]
FIELDS = [piece for piece in PIECES if b":" in piece and piece.endswith(b"\r\n")] + [
    b"Content-Length: %d\r\n" % len(BODY), b"Content-Length: %d\r\n" % len(SMUGGLED), b"Content-Length : 5\r\n",
    b"content-length:5\r\n", b"Content-Length: 05\r\n", b"Content-Length:\t5\r\n", b"Content_Length: 5\r\n",
    b"Content-Length: 5 \r\n", b"transfer-encoding:chunked\r\n", b"Transfer-Encoding: Chunked\r\n",
    b"Transfer_Encoding: chunked\r\n", b"Transfer-Encoding : chunked\r\n", b"X: y\r\nTransfer-Encoding: chunked\r\n",
    b"X: y\nTransfer-Encoding: chunked\r\n", b"Host:a\r\n", b"Host: \r\n", b"TE: trailers\r\n",
    b"Trailer: Content-Length\r\n", b"Connection: host\r\n", b"Connection: content-length\r\n",
    b"Connection: transfer-encoding\r\n", b"Connection: \r\n", b"Keep-Alive: 5\r\n", b"Max-Forwards: 0\r\n",
    b"Expect: x\r\n", b"If-None-Match: *\r\n", b"Range: bytes=0-1\r\n", b"X-Forwarded-For: a\r\n",
]


def mutated(cases, seed, number):
    """Mutation `number` of `seed`: the same bytes each time."""
    chance = random.Random(f"{seed} {number}")
    short = [case for case in cases if len(case[1]) < 4000]
    bases = [chance.choice(SOUND if chance.random() < 0.7 else short) for _ in range(chance.choice([1, 1, 2, 3]))]
    name = " + ".join(name for name, _ in bases)
    data = b"".join(data for _, data in bases)
    for _ in range(chance.choice([1, 1, 1, 1, 2, 2, 3, 5])):
        data = mutate(data, short, chance)
    return f"mutation {number} of {name}", data


def place(data, chance):
    """A place in `data`, mostly one where something begins or ends."""
    edges = [at for at, byte in enumerate(data) if byte in b"\r\n:; ,"]
    if edges and chance.random() < 0.7:
        return chance.choice(edges) + chance.choice([0, 0, 1])
    return chance.randrange(len(data) + 1)


def mutate(data, cases, chance):
    lines = data.split(b"\r\n")
    at = place(data, chance)
    line = chance.randrange(len(lines))
    match chance.randrange(14):
        case 0 | 1:
            return data[:at] + chance.choice(PIECES) + data[at:]
        case 3:
            return data[:at] + data[at + chance.choice([1, 1, 2, 3, 8]) :]
        case 4:
            return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        case 5:
            return b"\r\n".join(lines[: line + 1] + lines[line:])
        case 6:
            return b"\r\n".join(lines[:line] + [chance.choice(PIECES).strip(b"\r\n")] + lines[line:])
        case 7 | 8:
            ends = chance.choice([b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n\r\n", b""])
            return b"\r\n".join(lines[: line + 1]) + ends + b"\r\n".join(lines[line + 1 :])
        case 9:
            other = chance.choice(cases)[1]
            return data[:at] + other[place(other, chance) :]
        case 10 | 11 | 12:
            return b"\r\n".join(lines[:line] + [chance.choice(FIELDS).removesuffix(b"\r\n")] + lines[line:])
        case _:
            return data[:at] + data[at : at + 40].swapcase() + data[at + 40 :]
