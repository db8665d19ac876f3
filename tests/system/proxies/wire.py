"""What goes over the wire: answers as they come, a relay that counts them, and clients."""

import asyncio
import re

# What hyper answers by itself, without a body: such requests are in no metric.
REFUSALS = (400, 414, 431)
# How long a client waits for more before it ends its side: whatever comes after is read all the same.
QUIET_SECONDS = 0.1
# Nothing takes as long.
DEADLINE_SECONDS = 30
MARKS = re.compile(rb"k[0-9]{10}k")


class Answer:
    def __init__(self, head):
        self.head = head
        self.status = int(head.split(b" ", 2)[1])
        self.body = b""

    def field(self, name):
        found = re.search(rb"\r\n" + name + rb":[ \t]*([^\r\n]*)", self.head, re.IGNORECASE)
        return found and found[1]

    def is_refusal(self):
        return self.status in REFUSALS and self.field(b"content-length") == b"0"


class Answers:
    """The final answers of one connection, from its bytes as they come."""

    def __init__(self):
        self.all = []
        self.unread = b""
        self.left = 0

    def feed(self, data):
        """Takes `data`; the answers whose heads it completes."""
        self.unread += data
        begun = []
        while self.unread:
            # To HEAD comes a length without a body, and no body here begins like an answer.
            if self.left and not (self.all[-1].body == b"" and self.unread.startswith(b"H")):
                self.take_body()
                continue
            self.left = 0
            head, end, rest = self.unread.partition(b"\r\n\r\n")
            if not end:
                break
            self.unread = rest
            answer = Answer(head)
            if answer.status >= 200:
                self.all.append(answer)
                begun.append(answer)
                self.left = self.body_bytes(answer)
        return begun

    def take_body(self):
        size = min(self.left, len(self.unread))
        self.all[-1].body += self.unread[:size]
        self.unread = self.unread[size:]
        self.left -= size

    @staticmethod
    def body_bytes(answer):
        if answer.status in (204, 304):
            return 0
        length = answer.field(b"content-length")
        # Without a length, a body ends with the connection; none here is chunked.
        return int(length) if length is not None else 1 << 62


class Relay:
    """Stands between a proxy and its server, changes nothing, and counts the server's answers."""

    def __init__(self, server):
        self.server = server
        self.answered = 0
        self.refused = 0
        # Since the last case: what the proxy sent on each connection, and what it got.
        self.seen = []
        # The loop does not keep its tasks.
        self.tasks = set()

    async def listen(self, path):
        await asyncio.start_unix_server(self.serve, path)

    async def serve(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        server_reader, server_writer = await asyncio.open_connection(*self.server)
        seen = [bytearray(), bytearray()]
        answers = Answers()

        def sent(data):
            if not any(seen is one for one in self.seen):
                self.seen.append(seen)
            seen[0].extend(data)

        def got(data):
            seen[1].extend(data)
            begun = answers.feed(data)
            self.answered += len(begun)
            self.refused += sum(answer.is_refusal() for answer in begun)

        try:
            await asyncio.gather(pump(reader, server_writer, sent), pump(server_reader, writer, got))
        except asyncio.CancelledError:
            # All is over.
            pass
        for end in (writer, server_writer):
            end.close()
        self.tasks.discard(asyncio.current_task())

    def forget(self):
        for seen in self.seen:
            for data in seen:
                data.clear()
        self.seen.clear()


async def pump(reader, writer, note):
    """Copies until the end of the input, and then ends the output."""
    try:
        while data := await reader.read(1 << 16):
            note(data)
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        # One side is gone: so the other one goes.
        writer.transport.abort()


class Exchange:
    """A client's connection: one case, and a lookup behind it that can be recognised."""

    def __init__(self, name, case, mark):
        self.name = name
        self.mark = mark
        self.case = case
        self.sent = case + b"GET /v1/shipments/%s/probe HTTP/1.1\r\nHost: a\r\n\r\n" % mark
        self.answers = Answers()
        self.was_reset = False
        self.hangs = False

    async def run(self, address):
        if isinstance(address, tuple):
            reader, writer = await asyncio.open_connection(*address)
        else:
            reader, writer = await asyncio.open_unix_connection(address)
        sending = asyncio.ensure_future(self.send(writer))
        try:
            await asyncio.wait_for(self.receive(reader, writer), DEADLINE_SECONDS)
        except asyncio.TimeoutError:
            self.hangs = True
        except OSError:
            self.was_reset = True
        sending.cancel()
        writer.transport.abort() if self.hangs else writer.close()

    async def send(self, writer):
        try:
            writer.write(self.sent)
            await writer.drain()
        except OSError:
            pass

    async def receive(self, reader, writer):
        has_ended = False
        while not self.is_probe_answered():
            reading = asyncio.ensure_future(reader.read(1 << 16))
            if not has_ended and not (await asyncio.wait({reading}, timeout=QUIET_SECONDS))[0]:
                writer.write_eof()
                has_ended = True
            if not (data := await reading):
                return
            self.answers.feed(data)

    def is_probe_answered(self):
        return any(b"no shipment probe with carrier " + self.mark in answer.body for answer in self.answers.all)

    def wrong(self):
        """What is wrong with the answers, if anything."""
        if self.hangs:
            return f"no end in {DEADLINE_SECONDS} s"
        marks = {mark for answer in self.answers.all for mark in MARKS.findall(answer.body)}
        if strangers := marks - {self.mark}:
            return f"answers of other connections: {strangers}"
        probes = [at for at, answer in enumerate(self.answers.all) if b"no shipment probe with" in answer.body]
        if probes and probes != [len(self.answers.all) - 1]:
            return "the answer to the last request is not the last, or comes twice"
        return None

    def lost(self):
        """What is wrong if the lookup behind the case was lost without a word."""
        # A length may take it in, an open line may spoil it, and the preface of HTTP/2 is not answered.
        is_spoilt = b"content-length" in self.case.lower() or not self.case.endswith(b"\n")
        may_be_lost = is_spoilt or b"PRI * HTTP/2.0" in self.case
        if self.is_probe_answered() or not self.answers.all or may_be_lost:
            return None
        last = self.answers.all[-1]
        is_last = last.field(b"connection") == b"close" or not last.head.startswith(b"HTTP/1.1")
        return None if is_last else "the connection goes on, but the lookup behind it is not answered"
