"""Requests that take too long: what the log says, and what the front end gets."""

from __future__ import annotations

import faulthandler
import logging
import socket
import tempfile
import threading
from collections.abc import Callable
from math import inf

import pytest

from fcgikit.config import Config
from fcgikit.errors import ClientDisconnected
from fcgikit.events import EndOfResponse, Request, Response, ResponseBody
from fcgikit.gateways.interface import Exchange
from fcgikit.server.connection import ServerConnection
from fcgikit.server.exchange import ServerExchange
from fcgikit.server.seats import Seat
from fcgikit.server.watch import Watch, dump_on_crash
from tests.e2e import wire
from tests.e2e.process import PATIENCE
from tests.server.harness import HEADERS, Gate, Server, answer, ask, begin_answer, body_of

LATER = 1e12  # whatever runs has taken too long by then
NEVER: Callable[[ServerExchange], None] = lambda exchange: pytest.fail("given up")  # noqa: E731


# -- when to look, and what is told ----------------------------------------------------------------


def an_exchange(target: str = "/slow") -> ServerExchange:
    """A request that nobody has sent, on a connection that has ended."""
    with Server(answer) as server, socket.socket() as sock:
        connection = ServerConnection(
            sock, ("192.0.2.1", 80), Config(), server.loop, inherited=False
        )
    params = {"REQUEST_METHOD": "GET", "REQUEST_URI": target, "SERVER_PROTOCOL": "HTTP/1.1"}
    return ServerExchange(Request(1, params, complete=True), connection)


def busy_seat(exchange: ServerExchange, began: float) -> Seat:
    seat = Seat(0)
    seat.thread = threading.get_ident()
    seat.began, seat.exchange = began, exchange
    return seat


def test_without_limits_nobody_looks() -> None:
    assert Watch([Seat(0)], Config(), NEVER).look(100.0) == inf


def test_it_looks_again_when_somebody_could_be_late() -> None:
    seat = busy_seat(an_exchange(), 97.0)
    watch = Watch([seat, Seat(1)], Config(slow_request=5, timeout=60), NEVER)
    assert watch.look(100.0) == 102.0, "then the request is slow"
    assert watch.look(102.0) == 107.0, "one that begins now may be slow then"
    seat.exchange = None
    assert watch.look(103.0) == 108.0


def test_a_slow_request_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    seat = busy_seat(an_exchange("/slow?\r\nx\x1b"), 100.0)
    watch = Watch([seat], Config(slow_request=5), NEVER)
    for now in (104.9, 105.0, 106.0, 120.0):
        watch.look(now)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("fcgikit.slow", logging.WARNING)
    head, _, stack = record.getMessage().partition("\n")
    assert head == (
        r"192.0.2.1:80: GET /slow?\x0d\x0ax\x1b HTTP/1.1: "
        "after 5.000 s still running (setting: slow_request)"
    )
    assert "in test_a_slow_request_is_told_once" in stack
    assert not stack.endswith("\n")
    seat.exchange, seat.began = an_exchange("/next"), 120.0
    watch.look(125.0)
    assert len(caplog.records) == 2


def test_what_takes_longer_than_the_timeout_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    exchange = an_exchange()
    lost: list[ServerExchange] = []

    def give_up(late: ServerExchange) -> None:
        late.given_up = True
        lost.append(late)

    seat = busy_seat(exchange, 100.0)
    watch = Watch([seat], Config(timeout=30), give_up)
    for now in (129.9, 130.0, 131.0):
        watch.look(now)
    assert lost == [exchange]
    assert seat.stuck
    assert "after 30.000 s given up (setting: timeout)" in caplog.text


def test_the_stack_begins_with_the_application(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()

    def application(exchange: Exchange) -> None:
        gate.pass_through()
        answer(exchange)

    with Server(application, timeout=60) as server, server.connect() as connection:
        connection.sendall(wire.request("/slow", keep=True))
        gate.wait()
        seats = server.seats.all
        Watch(seats, Config(slow_request=1e-9), NEVER).look(LATER)
        gate.open()
        assert wire.read_answer(connection).app_status == 0
    stack = caplog.records[0].getMessage().splitlines()[1:]
    assert stack[0].endswith("in application")
    assert stack[1].strip() == "gate.pass_through()"


# -- giving up -------------------------------------------------------------------------------------


class Stuck:
    """A gateway whose ``/stuck`` begins with *blocks* of an answer, then waits at the gate.

    What it says after that is ``outcome``: the exception it got, or nothing.
    """

    def __init__(self, *blocks: bytes) -> None:
        self.gate = Gate()
        self.done = threading.Event()
        self.outcome: list[type[BaseException]] = []
        self._blocks = blocks

    def __call__(self, exchange: Exchange) -> None:
        if exchange.request.params["REQUEST_URI"] != "/stuck":
            return answer(exchange, b"fine")
        if self._blocks:
            begin_answer(exchange, *self._blocks)
        self.gate.pass_through()
        request_id = exchange.request.request_id
        for attempt in (
            exchange.read,
            lambda: exchange.send(Response(request_id, 200, "OK", HEADERS, b"late", True)),
            lambda: exchange.send(ResponseBody(request_id, b"late")),
            lambda: exchange.send_file(0, 0, 10),
            lambda: exchange.send(EndOfResponse(request_id)),
        ):
            try:
                attempt()
            except Exception as error:
                self.outcome.append(type(error))
        exchange.truncate()
        self.done.set()
        return None


def give_up(server: Server) -> None:
    """Let everything that runs have taken too long."""
    Watch(server.seats.all, Config(timeout=1e-9), timed_out(server)).look(LATER)


def timed_out(server: Server) -> Callable[[ServerExchange], None]:
    return lambda exchange: server.loop.give_up(exchange, 504, "too late")


@pytest.mark.parametrize("body", [b"", b"unread"])
def test_the_peer_gets_504_and_the_application_nothing_more(body: bytes) -> None:
    stuck = Stuck()
    with Server(stuck, timeout=60, threads=2) as server, server.connect() as connection:
        connection.sendall(wire.request("/stuck", 1, body, keep=True))
        stuck.gate.wait()
        give_up(server)
        found = wire.read_answer(connection)
        assert b"Status: 504" in found.stdout
        assert found.stdout.endswith(b"504 Gateway Timeout: too late\n")
        assert (found.app_status, found.protocol_status) == (0, 0)
        assert server.seats.stuck == 1
        give_up(server)  # once is enough
        assert ask(connection, "/next") == b"fine", "the same id, on the same connection"
        stuck.gate.open()
        assert stuck.done.wait(PATIENCE)
        assert stuck.outcome == [ClientDisconnected] * 5
        assert ask(connection, "/last") == b"fine"
        while server.seats.stuck:
            assert ask(connection, "/last") == b"fine"


def test_a_late_word_does_not_end_up_in_another_answer() -> None:
    """The request's id is in use again when the application comes back."""
    stuck, gate = Stuck(), Gate()

    def work(exchange: Exchange) -> None:
        if exchange.request.params["REQUEST_URI"] == "/second":
            begin_answer(exchange, b"one ")
            gate.pass_through()
            exchange.send(ResponseBody(1, b"two"))
            exchange.send(EndOfResponse(1))
        else:
            stuck(exchange)

    with Server(work, timeout=60, threads=3) as server, server.connect() as connection:
        connection.sendall(wire.request("/stuck", keep=True))
        stuck.gate.wait()
        give_up(server)
        assert b"Status: 504" in wire.read_answer(connection).stdout
        connection.sendall(wire.request("/second", keep=True))
        gate.wait()
        stuck.gate.open()
        assert stuck.done.wait(PATIENCE)
        gate.open()
        assert body_of(wire.read_answer(connection)) == b"one two"
        assert ask(connection, "/next") == b"fine"


def test_an_answer_that_has_begun_is_cut() -> None:
    stuck = Stuck(b"half")
    with Server(stuck, timeout=60) as server, server.connect("tcp") as connection:
        connection.sendall(wire.request("/stuck", keep=True))
        assert wire.read_record(connection)
        stuck.gate.wait()
        give_up(server)
        seen = wire.read_all(connection)
        assert seen.endswith(wire.record(wire.GET_VALUES_RESULT, b"", 0)), "no orderly end"
        stuck.gate.open()
        assert stuck.done.wait(PATIENCE)


def test_siblings_do_not_pay_for_it() -> None:
    stuck = Stuck(b"half")
    with Server(stuck, timeout=60, threads=3) as server, server.connect() as connection:
        connection.sendall(wire.request("/stuck", 1, keep=True))
        connection.sendall(wire.request("/stuck", 2, keep=True))
        stuck.gate.wait(2)
        give_up(server)
        # The first is ended on account of the second, which then is alone.
        assert wire.read_answer(connection, 1).app_status == 1
        stuck.gate.open()


@pytest.mark.parametrize("make", [wire.scgi, wire.uwsgi])
def test_other_protocols_get_504_too(make: Callable[[str], bytes]) -> None:
    stuck = Stuck()
    with Server(stuck, timeout=60) as server, server.connect() as connection:
        connection.sendall(make("/stuck"))
        stuck.gate.wait()
        give_up(server)
        assert b" 504 Gateway Timeout" in wire.read_all(connection).split(b"\r\n\r\n")[0]
        stuck.gate.open()
        assert stuck.done.wait(PATIENCE)


def test_who_waits_for_a_body_that_does_not_come() -> None:
    failed = threading.Event()

    def work(exchange: Exchange) -> None:
        began.set()
        with pytest.raises(ClientDisconnected):
            while exchange.read():
                pass
        failed.set()

    began = threading.Event()
    with Server(work, timeout=60, body_timeout=PATIENCE) as server, server.connect() as connection:
        connection.sendall(wire.head("/", keep=True))
        connection.sendall(wire.record(wire.STDIN, b"some"))
        assert began.wait(PATIENCE)
        give_up(server)
        assert b"Status: 504" in wire.read_answer(connection).stdout
        connection.sendall(wire.record(wire.STDIN, b"more"))
        assert failed.wait(PATIENCE)


def test_no_word_is_late_however_the_threads_meet() -> None:
    """Answers and 504s race: each id ends once, and nothing follows its end."""
    with Server(answer, timeout=60, threads=2) as server, server.connect() as connection:
        seats = server.seats.all
        over = threading.Event()

        def hurry() -> None:
            while not over.is_set():
                Watch(seats, Config(timeout=1e-9), timed_out(server)).look(LATER)

        hurrier = threading.Thread(target=hurry)
        hurrier.start()
        try:
            for turn in range(300):
                connection.sendall(wire.request("/", turn % 2 + 1, keep=True))
                found = wire.read_answer(connection, turn % 2 + 1).stdout
                assert found.count(b"Status: ") == 1
        finally:
            over.set()
            hurrier.join(PATIENCE)


# -- crashes ---------------------------------------------------------------------------------------


def test_a_crash_leaves_stacks() -> None:
    was_enabled = faulthandler.is_enabled()
    with tempfile.TemporaryFile() as file:
        dump_on_crash(file.fileno())
        assert faulthandler.is_enabled()
        faulthandler.disable()
    if was_enabled:
        faulthandler.enable()
