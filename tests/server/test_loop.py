"""Many connections, many threads, little memory, and limits that hold."""

from __future__ import annotations

import hashlib
import select
import selectors
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from fcgikit.config import Config
from fcgikit.errors import ClientDisconnected
from fcgikit.events import EndOfResponse, ProtocolStatus, ResponseBody
from fcgikit.gateways.interface import Exchange
from fcgikit.gateways.wsgi import WSGIGateway
from fcgikit.server.poller import EpollPoller, Poller, SelectorPoller
from tests.e2e import wire
from tests.e2e.process import PATIENCE
from tests.server.harness import (
    Gate,
    Server,
    answer,
    ask,
    begin_answer,
    body_of,
    echo,
    read_body,
)

MEGABYTE = 1 << 20
THREADS = pytest.mark.parametrize("threads", [1, 4])
POLLERS: dict[str, Callable[[], Poller]] = {
    "epoll": EpollPoller,
    "selector": SelectorPoller,
    "poll": lambda: SelectorPoller(selectors.PollSelector()),
}


def target(exchange: Exchange) -> str:
    uri: str = exchange.request.params["REQUEST_URI"]
    return uri


def answers(connection: socket.socket, ids: set[int]) -> dict[int, bytes]:
    """The bodies of all *ids*, whose records come in any order."""
    found: defaultdict[int, bytes] = defaultdict(bytes)
    left = set(ids)
    while left:
        record = wire.read_record(connection)
        assert record is not None, f"no answer to {left}"
        kind, request_id, content = record
        if kind == wire.STDOUT:
            found[request_id] += content
        elif kind == wire.END:
            left.remove(request_id)
    return {request_id: found[request_id].partition(b"\r\n\r\n")[2] for request_id in ids}


def uploads(bodies: dict[int, bytes], piece: int) -> Iterator[bytes]:
    """Uploads on one connection, a record of each in turn."""
    for request_id in bodies:
        yield wire.head(f"/{request_id}", request_id, keep=True)
    for at in range(0, max(map(len, bodies.values())) + piece, piece):
        for request_id, body in bodies.items():
            if at < len(body) + piece:
                yield wire.record(wire.STDIN, body[at : at + piece], request_id)


# -- any poller, any number of threads -------------------------------------------------------------


@THREADS
@pytest.mark.parametrize("make_poller", POLLERS.values(), ids=POLLERS.keys())
def test_many_connections_in_turn(threads: int, make_poller: Callable[[], Poller]) -> None:
    with Server(echo, threads=threads, poller=make_poller()) as server, ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(30)]
        for turn in range(3):
            for connection in connections:
                connection.sendall(wire.request(f"/{turn}", body=b"x" * turn * 50_000, keep=True))
            for connection in connections:
                found = body_of(wire.read_answer(connection))
                assert found == f"/{turn} ".encode() + b"x" * turn * 50_000
        connections[0].close()
        with server.connect("tcp") as another:
            assert ask(another, "/another") == b"/another "


@pytest.mark.parametrize("make_poller", POLLERS.values(), ids=POLLERS.keys())
def test_clients_at_the_same_time(make_poller: Callable[[], Poller]) -> None:
    wrong: list[bytes] = []

    def client(server: Server, number: int) -> None:
        with server.connect("tcp" if number % 2 else "unix") as connection:
            for turn in range(40):
                found = ask(connection, f"/{number}/{turn}", body=b"x" * (turn % 3 * 30_000))
                if not found.startswith(f"/{number}/{turn} ".encode()):
                    wrong.append(found)

    with Server(echo, threads=4, poller=make_poller()) as server:
        clients = [threading.Thread(target=client, args=[server, n]) for n in range(8)]
        for one in clients:
            one.start()
        for one in clients:
            one.join(PATIENCE)
        assert not any(one.is_alive() for one in clients)
        assert server.loop.requests == 8 * 40
    assert wrong == []


# -- several requests on one connection ------------------------------------------------------------


@pytest.mark.parametrize("make_poller", POLLERS.values(), ids=POLLERS.keys())
def test_readers_of_one_connection_each_get_their_own_body(
    make_poller: Callable[[], Poller],
) -> None:
    bodies = {number: bytes([number]) * (100_000 * number) for number in range(1, 9)}

    def digest(exchange: Exchange) -> None:
        answer(exchange, hashlib.sha256(read_body(exchange)).hexdigest().encode())

    with Server(digest, threads=4, poller=make_poller()) as server, server.connect() as connection:
        for data in uploads(bodies, 5000):
            connection.sendall(data)
        assert answers(connection, set(bodies)) == {
            number: hashlib.sha256(body).hexdigest().encode() for number, body in bodies.items()
        }


def test_answers_on_one_connection_mix_by_whole_records() -> None:
    count, blocks = 8, 60
    gate = Gate()

    def block(number: int, turn: int) -> bytes:
        return bytes([number, turn]) * (1 + (number * 7919 + turn * 104_729) % 50_000)

    def work(exchange: Exchange) -> None:
        number = exchange.request.request_id
        gate.pass_through()
        begin_answer(exchange, *(block(number, turn) for turn in range(blocks)))
        exchange.send(EndOfResponse(number))

    with Server(work, threads=count) as server, server.connect() as connection:
        for number in range(1, count + 1):
            connection.sendall(wire.request("/", number, keep=True))
        gate.wait(count)
        gate.open()
        found = answers(connection, set(range(1, count + 1)))
    for number, body in found.items():
        expected = b"".join(block(number, turn) for turn in range(blocks))
        assert hashlib.sha256(body).digest() == hashlib.sha256(expected).digest()


def test_more_requests_than_one_connection_may_have() -> None:
    gate = Gate()

    def work(exchange: Exchange) -> None:
        if target(exchange) == "/hold":
            gate.pass_through()
        echo(exchange)

    with (
        Server(work, max_requests_per_connection=2) as server,
        server.connect() as connection,
    ):
        connection.sendall(wire.request("/hold", 1, keep=True))
        gate.wait()
        # One more may be open: the newest pushes out the one that has no variables yet.
        connection.sendall(wire.begin(2, keep=True) + wire.begin(3, keep=True))
        found = wire.read_answer(connection, 2)
        assert found.protocol_status == ProtocolStatus.OVERLOADED
        assert b"Status: 503" in found.stdout
        gate.open()
        connection.sendall(wire.record(wire.ABORT, b"", 3))
        assert answers(connection, {1, 3}) == {1: b"/hold ", 3: b""}
        assert ask(connection, "/next", 2) == b"/next "


def test_a_reader_that_stalls_does_not_stall_its_sibling() -> None:
    """What the one does not read waits in a file, and arrives whole."""
    gate = Gate()
    body = bytes(range(256)) * 12_000

    def work(exchange: Exchange) -> None:
        if exchange.request.request_id == 1:
            gate.pass_through()
        answer(exchange, hashlib.sha256(read_body(exchange)).hexdigest().encode())

    with (
        Server(work, body_window=10_000, spool_size=5000) as server,
        server.connect() as connection,
    ):
        for number in (1, 2):
            connection.sendall(wire.head("/", number, keep=True))
        gate.wait()
        for at in range(0, len(body), 30_000):
            for number in (1, 2):
                connection.sendall(wire.record(wire.STDIN, body[at : at + 30_000], number))
        connection.sendall(wire.record(wire.STDIN, b"", 2))
        digest = hashlib.sha256(body).hexdigest().encode()
        assert answers(connection, {2}) == {2: digest}
        gate.open()
        connection.sendall(wire.record(wire.STDIN, b"", 1))
        assert answers(connection, {1}) == {1: digest}


# -- memory ----------------------------------------------------------------------------------------


@THREADS
def test_a_body_that_nobody_reads_is_not_taken_in(threads: int) -> None:
    """60 MB for an application that does not read: the peer is held back, then drained."""
    gate = Gate()

    def work(exchange: Exchange) -> None:
        if target(exchange) == "/upload":
            gate.pass_through()
        answer(exchange, b"done")

    size = 60 * MEGABYTE
    body = wire.record(wire.STDIN, b"x" * 65_528) * (size // 65_528)
    with Server(work, threads=threads) as server, server.connect() as connection:
        view = memoryview(wire.head("/upload", keep=True) + body + wire.record(wire.STDIN))
        connection.setblocking(False)
        sent = connection.send(view)
        gate.wait()
        # Silence is no proof, but a server that reads on is never silent for long.
        while select.select([], [connection], [], 0.3)[1]:
            sent += connection.send(view[sent:])
        assert sent < 4 * MEGABYTE, "body_window, and what the kernel holds"
        gate.open()
        connection.settimeout(PATIENCE)
        connection.sendall(view[sent:])
        assert body_of(wire.read_answer(connection)) == b"done"
        assert ask(connection, "/next") == b"done"


def test_an_answer_that_nobody_reads_is_not_produced() -> None:
    blocks, held_back = 400, threading.Event()
    produced = 0

    def work(exchange: Exchange) -> None:
        nonlocal produced
        begin_answer(exchange)
        for _ in range(blocks):
            exchange.send(ResponseBody(exchange.request.request_id, b"x" * 60_000))
            produced += 1
        exchange.send(EndOfResponse(exchange.request.request_id))

    with Server(work) as server, server.connect() as connection:
        connection.sendall(wire.request("/"))
        seen = -1
        while produced != seen or not produced:
            seen = produced
            held_back.wait(0.2)  # never set: time enough to produce more
        assert produced < blocks // 2
        size = 0
        while data := connection.recv(1 << 20):
            size += len(data)
        assert size > blocks * 60_000


def test_a_slow_reader_holds_one_thread_only() -> None:
    def work(exchange: Exchange) -> None:
        answer(exchange, b"x" * (8 * MEGABYTE) if target(exchange) == "/big" else b"small")

    with Server(work, threads=2) as server, server.connect() as slow, server.connect() as quick:
        slow.sendall(wire.request("/big", keep=True))
        assert slow.recv(1)
        for _ in range(50):
            assert ask(quick, "/") == b"small"
        slow.recv(7)
        assert wire.read_exactly(slow, 8 * MEGABYTE)


# -- limits on connections and time ----------------------------------------------------------------


@pytest.mark.parametrize("make_poller", POLLERS.values(), ids=POLLERS.keys())
def test_connections_beyond_the_limit_wait_for_their_turn(
    make_poller: Callable[[], Poller], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Server(echo, max_connections=3, poller=make_poller()) as server,
        ExitStack() as stack,
    ):
        served = [stack.enter_context(server.connect()) for _ in range(3)]
        for connection in served:
            assert ask(connection, "/served") == b"/served "
        waiting = [stack.enter_context(server.connect()) for _ in range(3)]
        for connection in waiting:
            connection.sendall(wire.request("/waited", keep=True))
        for connection in served:  # those that are open are served as before
            assert ask(connection, "/still") == b"/still "
        assert not select.select(waiting, [], [], 0)[0]
        for connection in served:
            connection.close()
        for connection in waiting:
            assert body_of(wire.read_answer(connection)) == b"/waited "
    assert "setting: max_connections" in caplog.text


@THREADS
@pytest.mark.parametrize("prefix", [1, 7, 8, 12, 16, 30, -9], ids=str)
def test_a_request_that_does_not_arrive(
    threads: int, prefix: int, caplog: pytest.LogCaptureFixture
) -> None:
    data = wire.head("/", keep=True)[:prefix]
    with (
        Server(echo, threads=threads, header_timeout=0.05, keepalive_timeout=1000) as server,
        server.connect() as connection,
    ):
        connection.sendall(data)
        assert wire.read_all(connection) == b""
        with server.connect() as other:
            assert ask(other, "/other") == b"/other "
    assert "setting: header_timeout" in caplog.text


def test_a_request_that_trickles_in_is_no_less_late() -> None:
    """The limit is for the whole head: a byte now and then does not extend it."""
    data = wire.request("/", keep=True)
    with (
        Server(echo, header_timeout=0.5, keepalive_timeout=1000) as server,
        server.connect() as connection,
    ):
        for at in range(len(data) - 1):
            connection.sendall(data[at : at + 1])
            if select.select([connection], [], [], 0.05)[0]:
                break  # closed long before the rest was sent
        assert wire.read_all(connection) == b""
        assert at < len(data) - 2


@THREADS
@pytest.mark.parametrize("asked", [False, True])
def test_an_idle_connection_is_closed_in_the_end(
    threads: int, asked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Server(echo, threads=threads, keepalive_timeout=0.05, header_timeout=1000) as server,
        server.connect() as connection,
    ):
        if asked:
            assert ask(connection, "/") == b"/ "
        assert wire.read_all(connection) == b""
    assert not caplog.records, "nothing has gone wrong"


def test_a_working_application_is_not_idle() -> None:
    gate = Gate()

    def work(exchange: Exchange) -> None:
        gate.pass_through()
        echo(exchange)

    with (
        Server(work, keepalive_timeout=0.05, header_timeout=0.05) as server,
        server.connect() as connection,
        server.connect() as idle,
    ):
        connection.sendall(wire.request("/", keep=True))
        gate.wait()
        assert wire.read_all(idle) == b"", "deadlines have been looked at"
        gate.open()
        assert body_of(wire.read_answer(connection)) == b"/ "


@THREADS
def test_a_peer_that_takes_no_answer_is_given_up(
    threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    given_up = threading.Event()

    def work(exchange: Exchange) -> None:
        if target(exchange) == "/small":
            return answer(exchange, b"small")
        with pytest.raises(ClientDisconnected):
            answer(exchange, b"x" * (16 * MEGABYTE))
        given_up.set()
        return None

    with (
        Server(work, threads=threads, write_timeout=0.1) as server,
        server.connect() as deaf,
        server.connect() as other,
    ):
        deaf.sendall(wire.request("/big", keep=True))
        assert ask(other, "/small") == b"small"
        assert given_up.wait(PATIENCE)
        assert len(wire.read_all(deaf)) < 16 * MEGABYTE
    assert "setting: write_timeout" in caplog.text


# -- with the real gateway -------------------------------------------------------------------------


@pytest.mark.parametrize("declared", ["", "2000"])
def test_a_wsgi_upload_that_is_too_large(declared: str) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"%d" % len(body)]

    config = Config(max_body_size=1000)
    gateway = WSGIGateway(app, config, multithread=True, multiprocess=False)
    with Server(gateway, max_body_size=1000) as server, server.connect() as connection:
        connection.sendall(wire.head("/", keep=True, CONTENT_LENGTH=declared))
        connection.sendall(wire.record(wire.STDIN, b"x" * 2000) + wire.record(wire.STDIN))
        assert b"Status: 413" in wire.read_answer(connection).stdout
        assert ask(connection, "/", body=b"x" * 999) == b"999"
