"""Holds many connections to a server.

    hold.py HOST PORT COUNT unasked   says "open" when all are, and "gone SECONDS" when the server has ended the last
    hold.py HOST PORT COUNT asked     the same, each having got one answer first
    hold.py HOST PORT COUNT crowd     each sends a part of a request; says "open", waits for a line, leaves with all, and
                                      says "answered SECONDS": until somebody new had an answer
"""

import select
import socket
import sys
import time

REQUEST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
PART = (
    b"POST /v1/lookup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
)
ANSWER_END = b'{"status":"live"}'
# So many connections come from one address of the loopback network: ports are 28,000.
PER_ADDRESS = 5000
# Linux: do not choose a source port before the destination is known.
IP_BIND_ADDRESS_NO_PORT = 24
SECONDS_MAX = 60


def connect(server, number):
    connection = socket.socket()
    connection.settimeout(SECONDS_MAX)
    connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    connection.bind((f"127.0.0.{2 + number // PER_ADDRESS}", 0))
    connection.connect(server)
    return connection


def get_answer(connection):
    connection.sendall(REQUEST)
    answer = b""
    while not answer.endswith(ANSWER_END):
        more = connection.recv(4096)
        if not more:
            sys.exit(f"no answer: {answer!r}")
        answer += more


def wait_until_ended(connections):
    poll = select.epoll()
    for connection in connections:
        poll.register(connection, select.EPOLLIN | select.EPOLLRDHUP)
    left = {connection.fileno(): connection for connection in connections}
    while left:
        ready = poll.poll(SECONDS_MAX)
        if not ready:
            sys.exit(f"{len(left)} connections are still open")
        for number, _ in ready:
            poll.unregister(number)
            left.pop(number).close()


def say(*words):
    print(*words, flush=True)


def main(host, port, count, mode):
    server = (host, int(port))
    connections = [connect(server, number) for number in range(int(count))]
    for connection in connections:
        if mode == "asked":
            get_answer(connection)
        elif mode == "crowd":
            connection.sendall(PART)
    begun = time.monotonic()
    say("open")
    if mode != "crowd":
        wait_until_ended(connections)
        say("gone", round(time.monotonic() - begun, 2))
        return
    sys.stdin.readline()
    for connection in connections:
        connection.close()
    begun = time.monotonic()
    get_answer(connect(server, 0))
    say("answered", round(time.monotonic() - begun, 2))


main(*sys.argv[1:])
