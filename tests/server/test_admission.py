"""More than fits is told so at once, and nobody works for somebody who has gone."""

from __future__ import annotations

import logging
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from fcgikit.events import ProtocolStatus
from fcgikit.gateways.interface import Exchange
from fcgikit.server.admission import QUICK
from fcgikit.server.poller import EpollPoller, Poller, SelectorPoller
from tests.e2e import wire
from tests.server.harness import Gate, Server, ask, body_of, echo

TRANSPORTS = pytest.mark.parametrize("transport", ["unix", "tcp"])
THREADS = pytest.mark.parametrize("threads", [1, 3])
ONE_SHOT: dict[str, Callable[..., bytes]] = {"scgi": wire.scgi, "uwsgi": wire.uwsgi}
RESET = struct.pack("ii", 1, 0)


class Busy:
    """A server all of whose threads run a request until ``gate`` is open.

    ``ran`` holds the targets that came to the application.
    """

    def __init__(self, stack: ExitStack, threads: int = 1, **settings: Any) -> None:
        self.gate = Gate()
        self.ran: list[str] = []
        self.server = stack.enter_context(Server(self._work, threads=threads, **settings))
        self._stack = stack
        self.busy = [self.connect(wire.request("/busy", keep=True)) for _ in range(threads)]
        self.gate.wait(threads)

    def _work(self, exchange: Exchange) -> None:
        self.ran.append(exchange.request.params["REQUEST_URI"])
        if self.ran[-1] == "/busy":
            self.gate.pass_through()
        echo(exchange)

    def connect(self, data: bytes, transport: str = "unix") -> socket.socket:
        connection = self._stack.enter_context(self.server.connect(transport))
        connection.sendall(data)
        return connection

    def look(self, until: socket.socket) -> None:
        """Be the main thread, until there is an answer."""
        while not select.select([until], [], [], 0)[0]:
            self.server.loop.look_in(time.monotonic())

    def finish(self) -> None:
        """Let the threads go, and have whatever waits run."""
        time.sleep(2 * QUICK)  # else nobody would suspect that anything has waited
        self.gate.open()
        for connection in self.busy:
            assert body_of(wire.read_answer(connection)) == b"/busy "


# -- too many --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make_poller", [EpollPoller, SelectorPoller])
@THREADS
@TRANSPORTS
def test_one_too_many_is_answered_at_once(
    transport: str, threads: int, make_poller: Callable[[], Poller]
) -> None:
    with ExitStack() as stack:
        most = threads + 1
        busy = Busy(stack, threads, max_requests_in_flight=most, poller=make_poller())
        waiting = busy.connect(wire.request("/waits", keep=True), transport)
        server = busy.server
        while len(server.loop.table.running) < most:
            server.loop.look_in(time.monotonic())
        late = busy.connect(wire.request("/late", keep=True), transport)
        busy.look(until=late)
        found = wire.read_answer(late)
        assert b"Status: 503 Service Unavailable" in found.stdout
        assert b"Retry-After: 1\r\n" in found.stdout
        assert found.protocol_status == ProtocolStatus.OVERLOADED
        busy.finish()
        assert body_of(wire.read_answer(waiting)) == b"/waits "
        assert ask(late, "/again") == b"/again "  # the connection can still be used
        assert busy.ran == ["/busy"] * threads + ["/waits", "/again"]


def test_overloaded_can_be_said_without_an_answer() -> None:
    with ExitStack() as stack:
        busy = Busy(stack, max_requests_in_flight=1, overload="overloaded")
        late = busy.connect(wire.request("/late", keep=True))
        busy.look(until=late)
        found = wire.read_answer(late)
        assert (found.stdout, found.protocol_status) == (b"", ProtocolStatus.OVERLOADED)
        busy.finish()


@pytest.mark.parametrize("protocol", ONE_SHOT)
@pytest.mark.parametrize("overload", ["503", "overloaded"])
def test_a_protocol_without_the_word_says_503(protocol: str, overload: str) -> None:
    with ExitStack() as stack:
        busy = Busy(stack, max_requests_in_flight=1, overload=overload)
        late = busy.connect(ONE_SHOT[protocol]("/late"))
        busy.look(until=late)
        found = wire.read_all(late)
        assert b" 503 " in found
        assert b"Retry-After: 1\r\n" in found
        busy.finish()


def test_a_request_too_many_on_a_connection_that_has_others() -> None:
    with ExitStack() as stack:
        busy = Busy(stack, max_requests_in_flight=1)
        (connection,) = busy.busy
        connection.sendall(wire.request("/late", 2, keep=True))
        busy.look(until=connection)
        found = wire.read_answer(connection, 2)
        assert found.protocol_status == ProtocolStatus.OVERLOADED
        busy.finish()


@THREADS
def test_who_asks_one_after_the_other_is_never_too_many(threads: int) -> None:
    with (
        Server(echo, threads=threads, max_requests_in_flight=1) as server,
        server.connect() as connection,
    ):
        for turn in range(300):
            assert ask(connection, f"/{turn}") == f"/{turn} ".encode()


def test_what_was_turned_away_is_told_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    with ExitStack() as stack:
        busy = Busy(stack, max_requests_in_flight=1)
        for _ in range(20):
            busy.look(until=busy.connect(wire.request("/late")))
        busy.finish()
    told = [line for line in caplog.messages if "max_requests_in_flight" in line]
    assert told == ["overloaded: 1 requests turned away (setting: max_requests_in_flight)"]


# -- waiting too long ------------------------------------------------------------------------------


def test_a_request_waits_no_longer_than_it_may_though_no_thread_becomes_free(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with ExitStack() as stack:
        busy = Busy(stack, queue_timeout=0.05)
        late = busy.connect(wire.request("/late", keep=True))
        busy.look(until=late)
        assert wire.read_answer(late).protocol_status == ProtocolStatus.OVERLOADED
        busy.finish()
        assert ask(late, "/again") == b"/again "
        assert busy.ran == ["/busy", "/again"]
    assert "setting: queue_timeout" in caplog.text


def test_a_request_that_has_waited_too_long_is_turned_away_when_its_turn_comes() -> None:
    with ExitStack() as stack:
        busy = Busy(stack, queue_timeout=0.05)
        late = busy.connect(wire.request("/late", keep=True))
        while len(busy.server.loop.table.running) < 2:
            busy.server.loop.look_in(time.monotonic())
        time.sleep(0.1)
        busy.finish()
        assert wire.read_answer(late).protocol_status == ProtocolStatus.OVERLOADED
        assert busy.ran == ["/busy"]


# -- nobody waits ----------------------------------------------------------------------------------


def leave(connection: socket.socket, how: str) -> None:
    if how == "abort":
        connection.sendall(wire.record(wire.ABORT))
        return
    if how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()


@pytest.mark.parametrize("settings", [{}, {"max_requests_in_flight": 9}, {"queue_timeout": 1000}])
@pytest.mark.parametrize("make_poller", [EpollPoller, SelectorPoller])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("how", ["abort", "close", "reset"])
@THREADS
@TRANSPORTS
def test_a_request_is_not_run_for_somebody_who_has_left(
    transport: str,
    threads: int,
    how: str,
    kept: bool,
    make_poller: Callable[[], Poller],
    settings: dict[str, int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with ExitStack() as stack:
        busy = Busy(stack, threads, poller=make_poller(), **settings)
        gone = busy.connect(wire.request("/gone", body=b"x" * 10, keep=kept), transport)
        stays = busy.connect(wire.request("/stays", keep=True), transport)
        busy.server.loop.look_in(time.monotonic())
        leave(gone, how)
        busy.finish()
        assert body_of(wire.read_answer(stays)) == b"/stays "
        if how == "abort":
            assert wire.read_answer(gone).stdout == b""
        with busy.server.connect() as after:
            assert ask(after, "/after") == b"/after "
        assert sorted(busy.ran) == sorted(["/busy"] * threads + ["/stays", "/after"])
    assert "left while its request waited" in caplog.text


@THREADS
def test_a_long_queue_is_looked_at_to_its_end(threads: int) -> None:
    """Though those who stay are answered quickly."""
    with ExitStack() as stack:
        busy = Busy(stack, threads)
        stay, go = [], []
        for _ in range(60):
            go.append(busy.connect(wire.request("/gone")))
            stay.append(busy.connect(wire.request("/stays")))
        for connection in go:
            connection.close()
        busy.finish()
        for connection in stay:
            assert body_of(wire.read_answer(connection)) == b"/stays "
        assert busy.ran.count("/gone") == 0


@pytest.mark.parametrize(
    ("transport", "data"),
    [
        ("unix", wire.request("/half", keep=True)),
        *(
            (transport, make("/half"))
            for make in ONE_SHOT.values()
            for transport in ("unix", "tcp")
        ),
    ],
    ids=["unix-fastcgi", "unix-scgi", "tcp-scgi", "unix-uwsgi", "tcp-uwsgi"],
)
@THREADS
def test_who_has_closed_only_one_half_is_answered(
    threads: int, transport: str, data: bytes
) -> None:
    with ExitStack() as stack:
        busy = Busy(stack, threads)
        half = busy.connect(data, transport)
        half.shutdown(socket.SHUT_WR)
        busy.finish()
        assert b"/half " in wire.read_all(half)
