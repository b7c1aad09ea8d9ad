"""A connection's life: kept, reused, aborted, drained, and gone when it must be."""

from __future__ import annotations

import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fcgikit.errors import ClientDisconnected
from fcgikit.gateways.interface import Exchange
from tests.e2e import wire
from tests.e2e.process import PATIENCE
from tests.server.harness import Gate, Server, answer, ask, begin_answer, body_of, echo

THREADS = pytest.mark.parametrize("threads", [1, 4])
TRANSPORTS = pytest.mark.parametrize("transport", ["unix", "tcp"])
MEGABYTE = 1 << 20


def early(exchange: Exchange) -> None:
    """Answer at once, whatever is still to come."""
    answer(exchange, b"early")


def by_path(exchange: Exchange) -> None:
    """``/early`` is not read; anything else is echoed."""
    if exchange.request.params["REQUEST_URI"] == "/early":
        early(exchange)
    else:
        echo(exchange)


def ends(connection: socket.socket, count: int) -> list[int]:
    """Whose END_REQUESTs come next, so many of them."""
    ids: list[int] = []
    while len(ids) < count:
        found = wire.read_record(connection)
        assert found is not None, "the connection has ended"
        if found[0] == wire.END:
            ids.append(found[1])
    return ids


@THREADS
@TRANSPORTS
def test_requests_one_after_the_other(threads: int, transport: str) -> None:
    with Server(echo, threads=threads) as server, server.connect(transport) as connection:
        for number in range(50):
            body = b"x" * (number * 1000)
            assert ask(connection, f"/{number}", body=body) == f"/{number} ".encode() + body
        assert server.loop.requests == 50


@THREADS
def test_requests_sent_ahead_are_all_answered(threads: int) -> None:
    ids = range(1, 60, 2)
    with Server(echo, threads=threads) as server, server.connect() as connection:
        connection.sendall(b"".join(wire.request(f"/{n}", n, b"b" * n, keep=True) for n in ids))
        found: dict[int, bytes] = {}
        while len(found) < len(ids):
            record = wire.read_record(connection)
            assert record is not None
            kind, request_id, content = record
            if kind == wire.STDOUT and content:
                found[request_id] = content.partition(b"\r\n\r\n")[2]
        assert found == {n: f"/{n} ".encode() + b"b" * n for n in ids}


@TRANSPORTS
def test_without_keep_conn_the_end_is_the_end(transport: str) -> None:
    with Server(echo) as server, server.connect(transport) as connection:
        connection.sendall(wire.request("/once"))
        assert body_of(wire.read_answer(connection)) == b"/once "
        assert wire.read_all(connection) == b""


# One slot beside an idle connection: each following connection is served only when the one
# before is gone.
ONE_SLOT: dict[str, Any] = {"max_connections": 2, "header_timeout": 1000}


@contextmanager
def occupied(server: Server) -> Iterator[None]:
    """Take one slot of *server* for as long as the ``with`` block lasts."""
    with server.connect() as idle:
        ask(idle, "/idle")
        yield


def test_a_request_comes_while_the_one_before_is_put_away() -> None:
    """The front end uses an id again as soon as it has seen its end, and we may be slower."""
    gate, begun = Gate(), threading.Event()

    def work(exchange: Exchange) -> None:
        if exchange.request.params["REQUEST_URI"] == "/first":
            echo(exchange)
            gate.pass_through()
        else:
            begun.set()
            echo(exchange)

    with Server(work, body_timeout=1) as server, server.connect() as connection:
        assert ask(connection, "/first") == b"/first "
        gate.wait()
        connection.sendall(wire.head("/second", keep=True) + wire.record(wire.STDIN, b"one"))
        assert begun.wait(PATIENCE)
        gate.open()
        with server.connect() as other:  # by the thread that has put the first away
            assert ask(other, "/other") == b"/other "
        connection.sendall(wire.record(wire.STDIN, b" two") + wire.record(wire.STDIN))
        assert body_of(wire.read_answer(connection)) == b"/second one two"


# -- bodies that nobody reads ----------------------------------------------------------------------


@THREADS
@TRANSPORTS
@pytest.mark.parametrize("size", [1, 70_000, 3 * MEGABYTE])
def test_a_body_left_unread_is_no_obstacle(threads: int, transport: str, size: int) -> None:
    with Server(by_path, threads=threads) as server, server.connect(transport) as connection:
        for turn in range(3):
            assert ask(connection, "/early", body=b"x" * size) == b"early"
            assert ask(connection, f"/next/{turn}") == f"/next/{turn} ".encode()


@THREADS
def test_the_answer_does_not_wait_for_the_body(threads: int) -> None:
    with Server(by_path, threads=threads) as server, server.connect() as connection:
        for _ in range(3):
            connection.sendall(wire.head("/early", keep=True) + wire.record(wire.STDIN, b"some"))
            assert body_of(wire.read_answer(connection)) == b"early"
            connection.sendall(wire.record(wire.STDIN, b"late") + wire.record(wire.STDIN))
            assert ask(connection, "/next") == b"/next "


def test_what_is_drained_is_limited(caplog: pytest.LogCaptureFixture) -> None:
    with (
        Server(by_path, drain_limit=100_000, linger_timeout=0.1) as server,
        server.connect() as connection,
    ):
        connection.sendall(wire.head("/early", keep=True))
        assert body_of(wire.read_answer(connection)) == b"early"
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(10_000):
                connection.sendall(wire.record(wire.STDIN, b"x" * 60_000))
        with server.connect() as other:
            assert ask(other, "/other") == b"/other "
    assert "setting: drain_limit" in caplog.text


@THREADS
@TRANSPORTS
def test_an_early_answer_arrives_though_the_connection_closes(threads: int, transport: str) -> None:
    """Closing with input unread would reset the connection, and the answer be lost (rule R2)."""
    with Server(early, threads=threads) as server, server.connect(transport) as connection:
        body = wire.record(wire.STDIN, b"x" * 65_535) * 30
        connection.sendall(wire.head("/early") + body)
        found = wire.read_answer(connection)
        assert body_of(found) == b"early"
        connection.sendall(wire.record(wire.STDIN))
        assert connection.recv(1) == b"", "ended, not reset"


def test_a_peer_that_never_closes_its_half_is_given_up() -> None:
    with (
        Server(early, **ONE_SLOT, linger_timeout=0.05) as server,
        occupied(server),
        server.connect() as silent,
    ):
        silent.sendall(wire.head("/early"))
        assert body_of(wire.read_answer(silent)) == b"early"
        with server.connect() as following:
            assert ask(following, "/following") == b"early"


# -- aborts ----------------------------------------------------------------------------------------


@THREADS
def test_an_abort_while_the_body_is_read(threads: int) -> None:
    with Server(echo, threads=threads) as server, server.connect() as connection:
        for _ in range(3):
            connection.sendall(wire.head("/aborted", keep=True) + wire.record(wire.STDIN, b"some"))
            connection.sendall(wire.record(wire.ABORT))
            connection.sendall(wire.request("/next", 2, keep=True))
            assert sorted(ends(connection, 2)) == [1, 2]
            connection.sendall(wire.request("/last", 4, keep=True))
            assert ends(connection, 1) == [4]  # and no second end of 1


def test_an_abort_while_the_application_works_is_seen_by_it() -> None:
    gate, seen = Gate(), queue.Queue[bool]()

    def work(exchange: Exchange) -> None:
        if exchange.request.request_id == 1:
            gate.pass_through()
            seen.put(exchange.aborted)
            answer(exchange, b"too late")
        else:
            echo(exchange)

    with Server(work) as server, server.connect() as connection:
        connection.sendall(wire.request("/slow", 1, keep=True))
        gate.wait()
        connection.sendall(wire.record(wire.ABORT, b"", 1))
        # Answered behind the abort, so the abort has been heard.
        assert ask(connection, "/fast", 2) == b"/fast "
        gate.open()
        found = wire.read_answer(connection, 1)
        assert found.stdout == b""
        assert (found.app_status, found.protocol_status) == (1, 0)
        assert seen.get(timeout=PATIENCE)
        connection.sendall(wire.request("/again", 1, keep=True))
        gate.wait()
        assert body_of(wire.read_answer(connection, 1)) == b"too late"


def test_an_abort_of_what_has_been_answered_or_never_was() -> None:
    with Server(echo) as server, server.connect() as connection:
        assert ask(connection, "/one") == b"/one "
        connection.sendall(wire.record(wire.ABORT) + wire.record(wire.ABORT, b"", 77))
        connection.sendall(wire.request("/two", 2, keep=True))
        assert ends(connection, 1) == [2]


# -- peers that leave ------------------------------------------------------------------------------


@THREADS
@pytest.mark.parametrize("make", [wire.request, wire.scgi, wire.uwsgi])
def test_a_half_closed_connection_frees_its_slot_wherever_it_ends(
    threads: int, make: Callable[..., bytes]
) -> None:
    data = make("/half", body=b"12345", CONTENT_LENGTH="5")
    with Server(echo, threads=threads, **ONE_SLOT) as server, occupied(server):
        for size in range(len(data)):
            with server.connect() as connection:
                connection.sendall(data[:size])
                connection.shutdown(socket.SHUT_WR)
                wire.read_all(connection)
        with server.connect() as connection:
            connection.sendall(data)
            assert b"/half 12345" in wire.read_all(connection)
        assert server.loop.table.running == []


@TRANSPORTS
def test_a_reset_connection_frees_its_slot_wherever_it_ends(transport: str) -> None:
    data = wire.request("/reset", body=b"12345", keep=True)
    with Server(echo, max_connections=50, header_timeout=1000) as server:  # fewer than come
        for size in range(0, len(data), 5):
            with server.connect(transport) as connection:
                connection.sendall(data[:size])
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with server.connect(transport) as connection:
            assert ask(connection, "/after") == b"/after "


def test_a_half_closed_peer_still_gets_its_answer() -> None:
    gate = Gate()

    def work(exchange: Exchange) -> None:
        gate.pass_through()
        echo(exchange)

    with Server(work) as server, server.connect() as connection:
        connection.sendall(wire.request("/half", keep=True))
        gate.wait()
        connection.shutdown(socket.SHUT_WR)
        gate.open()
        assert body_of(wire.read_answer(connection)) == b"/half "
        assert wire.read_all(connection) == b""


def test_a_peer_that_leaves_during_the_answer_costs_only_its_request() -> None:
    ended = queue.Queue[BaseException]()

    def endless(exchange: Exchange) -> None:
        if exchange.request.params["REQUEST_URI"] != "/endless":
            return echo(exchange)
        try:
            begin_answer(exchange, *[b"x" * 9000] * 100_000)
        except OSError as error:
            ended.put(error)
            raise

    with Server(endless, threads=1, **ONE_SLOT) as server, occupied(server):
        with server.connect() as connection:
            connection.sendall(wire.head("/endless", keep=True))
            assert connection.recv(10)
        with server.connect() as connection:
            assert ask(connection, "/next") == b"/next "
        assert isinstance(ended.get(timeout=PATIENCE), ClientDisconnected)


# -- what the connection says by itself ------------------------------------------------------------


@THREADS
def test_management_records_are_answered_while_an_application_reads(threads: int) -> None:
    with Server(echo, threads=threads) as server, server.connect() as connection:
        connection.sendall(wire.head("/upload", keep=True) + wire.record(wire.STDIN, b"first"))
        query = wire.pair(b"FCGI_MAX_CONNS", b"") + wire.pair(b"FCGI_WIBBLE", b"")
        connection.sendall(wire.record(wire.GET_VALUES, query, 0))
        told = wire.pair(b"FCGI_MAX_CONNS", b"%d" % server.config.max_connections)
        assert wire.read_record(connection) == (wire.GET_VALUES_RESULT, 0, told)
        connection.sendall(wire.record(wire.STDIN, b" last") + wire.record(wire.STDIN))
        assert body_of(wire.read_answer(connection)) == b"/upload first last"


def test_a_peer_that_asks_and_never_listens(caplog: pytest.LogCaptureFixture) -> None:
    question = wire.record(200, b"", 0) * 1000
    with Server(echo, linger_timeout=0.1, drain_limit=MEGABYTE) as server:
        with (
            server.connect() as deaf,
            pytest.raises((BrokenPipeError, ConnectionResetError)),
        ):
            for _ in range(2000):
                deaf.sendall(question)
        with server.connect() as connection:
            assert ask(connection, "/next") == b"/next "
    assert "does not read the answers" in caplog.text


@pytest.mark.parametrize("bad", [wire.record(wire.BEGIN, b"\0"), wire.record(wire.STDIN, b"", 0)])
def test_a_violation_ends_the_connection_and_what_runs_on_it(
    bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    began, failures = threading.Event(), queue.Queue[BaseException]()

    def work(exchange: Exchange) -> None:
        began.set()
        try:
            echo(exchange)
        except OSError as error:
            failures.put(error)
            raise

    with Server(work, linger_timeout=0.1) as server, server.connect() as connection:
        connection.sendall(wire.head("/upload", keep=True))
        assert began.wait(PATIENCE)
        connection.sendall(bad)
        wire.read_all(connection)
        assert isinstance(failures.get(timeout=PATIENCE), ClientDisconnected)
        with server.connect() as other:
            assert ask(other, "/other") == b"/other "
    assert "a peer on the Unix socket" in caplog.text


def test_a_body_that_nobody_reads_stops_no_sibling_on_a_multiplexed_connection() -> None:
    """A lone request with a full window, whose id says that others may follow (rule R16)."""
    gate = Gate()

    def work(exchange: Exchange) -> None:
        if exchange.request.params["REQUEST_URI"] == "/slow":
            gate.pass_through()
        echo(exchange)

    with Server(work, body_window=1000) as server, server.connect() as connection:
        assert ask(connection, "/first") == b"/first "
        connection.sendall(wire.head("/slow", 3, keep=True))
        gate.wait()
        connection.sendall(wire.record(wire.STDIN, b"x" * 60_000, 3) * 4)
        connection.sendall(wire.request("/sibling", 5, keep=True))
        assert body_of(wire.read_answer(connection, 5)) == b"/sibling "
        gate.open()
        connection.sendall(wire.record(wire.STDIN, b"", 3))
        assert body_of(wire.read_answer(connection, 3)) == b"/slow " + b"x" * 240_000
