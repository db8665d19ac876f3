"""Sends each case directly and through proxies, and compares what they sent with what the server counted.

Arguments: a folder with the sockets and logs of the proxies (see proxies.sh), a seed, a number of mutations, and for
each way to the server its name, the server's address and its operators' address.
"""

import asyncio
import os
import random
import re
import sys
import urllib.request

import cases
from wire import Exchange, Relay

# Mutations that are under way at once on each way.
AT_ONCE = 32
# By then logs are written and answers counted.
SETTLED_SECONDS = 10
COUNTED = re.compile(r'^waybill_http_requests_total\{(?!.*route="/metrics").*\} (\d+)$', re.MULTILINE)


class Difference(Exception):
    """Says all that is known of it."""


class Way:
    """From a client to a server of its own."""

    def __init__(self, name, folder, server, admin):
        self.name = name
        self.server = server
        self.admin = admin
        self.relay = None if name == "direct" else Relay(server)
        self.address = server if name == "direct" else f"{folder}/{name}.sock"
        self.log = None if name == "direct" else open(f"{folder}/{name}.log", encoding="latin-1")
        # Requests that were sent to the server and answered, and further ones that were broken off, by the proxy's log;
        # of the direct way answers that clients got, and connections that were reset.
        self.sent = self.broken = 0
        # Of the direct way: answers to what hyper refused.
        self.refused = 0
        self.counted = 0
        self.exchanges = 0
        self.probes = 0

    def read_log(self):
        read = of_nginx if self.name.startswith("nginx") else of_haproxy
        for line in self.log or []:
            for is_whole in read(line.rstrip("\n")):
                self.sent += is_whole
                self.broken += not is_whole

    def read_metrics(self):
        """Requests that the server counted."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics") as metrics:
            return sum(map(int, COUNTED.findall(metrics.read().decode())))

    async def difference(self):
        """The counts once all is settled, if they differ. What was broken off may be counted, then or later."""
        for _ in range(SETTLED_SECONDS * 50):
            self.read_log()
            # Those that hyper refused are in no metric.
            self.counted = await asyncio.to_thread(self.read_metrics) + (self.relay or self).refused
            answered = self.relay.answered if self.relay else self.sent
            agreed = range(self.sent, self.sent + self.broken + 1)
            if self.counted in agreed and answered in agreed:
                return None
            await asyncio.sleep(0.02)
        return f"sent {self.sent}, broken off {self.broken}, answered {answered}, counted {self.counted}"

    async def run(self, batch):
        """Runs cases at once; what is wrong, if anything."""
        marked = [(name, case, next_mark()) for name, case in batch]
        exchanges = [Exchange(name, case.replace(cases.MARK, mark), mark) for name, case, mark in marked]
        await asyncio.gather(*(exchange.run(self.address) for exchange in exchanges))
        for exchange in exchanges:
            self.exchanges += 1
            self.probes += exchange.is_probe_answered()
            if self.relay is None:
                self.sent += len(exchange.answers.all)
                self.broken += exchange.was_reset
            self.refused += sum(answer.is_refusal() for answer in exchange.answers.all)
        for exchange in exchanges:
            if wrong := exchange.wrong() or (self.relay is None and exchange.lost()):
                return f"{exchange.name}: {wrong}\n{show(exchange.sent)}"
        return await self.difference()

    async def check(self, batch):
        if self.relay:
            self.relay.forget()
        if not (wrong := await self.run(batch)):
            return
        if len(batch) > 1:
            # Which of them is it?
            for case in batch:
                await self.check([case])
        names = ", ".join(name for name, _ in batch)
        raise Difference(f"FAILED: {self.name}: {names}: {wrong}\n" + self.evidence(batch))

    def evidence(self, batch):
        lines = [f"case {name}:\n  {show(case)}" for name, case in batch]
        for sent, got in self.relay.seen if self.relay else []:
            lines.append(f"the proxy sent:\n  {show(sent)}\nand got:\n  {show(got)}")
        return "\n".join(lines)


def of_nginx(line):
    """Whether each try to send a request was answered: nginx makes up 502 and 504."""
    statuses, sizes = (re.split(r"[,:] *", values) for values in line.split("|"))
    tries = [status for status, size in zip(statuses, sizes) if size not in ("-", "0")]
    return [status not in ("-", "502", "504") for status in tries]


def of_haproxy(line):
    """The same: the name of the server, if it got to one, and how it ended."""
    server, end = line.split(" ")[:2]
    return [] if server == "<NOSRV>" else [end == "--"]


def show(data):
    text = repr(bytes(data))
    return text if len(text) < 4000 else f"{text[:2000]} … {text[-2000:]}"


marks = random.Random()


def next_mark():
    return b"k%010dk" % marks.randrange(10**10)


async def through(way, fixed, seed, mutations):
    for case in fixed:
        await way.check([case])
    for number in range(0, mutations, AT_ONCE):
        await way.check([cases.mutated(fixed, seed, n) for n in range(number, min(number + AT_ONCE, mutations))])
    print(
        f"{way.name}: {way.exchanges} cases, {way.probes} with the lookup behind them answered; "
        f"{way.sent} requests sent, {way.broken} more broken off, {way.counted} counted",
        flush=True,
    )


async def main(folder, seed, mutations, *servers):
    ways = []
    for name, server, admin in zip(servers[::3], servers[1::3], servers[2::3]):
        host, port = server.rsplit(":", 1)
        ways.append(Way(name, folder, (host, int(port)), admin))
    for way in ways:
        if way.relay:
            await way.relay.listen(f"{folder}/{way.name}.up")
    fixed = cases.fixed()
    print(f"{len(fixed)} cases and {mutations} mutations of seed {seed}", flush=True)
    try:
        await asyncio.gather(*(through(way, fixed, seed, int(mutations)) for way in ways))
    except Difference as difference:
        print(difference, file=sys.stderr, flush=True)
        # What is under way is of no interest any more.
        os._exit(1)


asyncio.run(main(*sys.argv[1:]))
