"""A worker from its start to its end, in a thread that is not the main one."""

from __future__ import annotations

import contextlib
import logging
import queue
import signal
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import pytest

from fcgikit.config import Config
from fcgikit.events import Role
from fcgikit.gateways.interface import Exchange, Gateway
from fcgikit.orders import Order, Report, Slot
from fcgikit.server.handover import Handover
from fcgikit.server.listener import Listener
from fcgikit.server.worker import Worker
from tests.e2e import wire
from tests.e2e.gate import Gate as HeldGate
from tests.e2e.process import PATIENCE
from tests.e2e.worker import Worker as Process
from tests.server.harness import Gate, Place, answer, ask, body_of, echo

THREADS = pytest.mark.parametrize("threads", [1, 4])


class Chief:
    """A supervisor, by the test's hand."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self.reports = queue.Queue[Report]()

    def give(self, *orders: Order) -> None:
        self._ours.send(bytes(orders))

    def vanish(self) -> None:
        self._ours.close()

    def expect(self, report: Report) -> None:
        assert self.reports.get(timeout=PATIENCE) is report

    def fileno(self) -> int:
        return self._theirs.fileno()

    def orders(self) -> list[Order] | None:
        return [Order(word) for word in self._theirs.recv(100)] or None

    def report(self, report: Report) -> None:
        self.reports.put(report)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._theirs.close()


class Running:
    """A worker at work; leaving the ``with`` block stops it."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        superior: Chief | None = None,
        slot: Slot | None = None,
        handover: Handover | None = None,
        inherited: bool = False,
        place: Place | None = None,
        **settings: Any,
    ) -> None:
        config = Config(**settings)
        self.place = place or Place(config)
        self._guest = place is not None
        self.connect = self.place.connect
        listeners = self.place.listeners
        if superior is not None:  # others have them, too
            listeners = [Listener(one.socket.dup(), one.address) for one in listeners]
        for listener in listeners:
            listener.inherited = inherited
        self._handover = handover
        self.reopened = threading.Event()
        self.worker = Worker(
            {Role.RESPONDER: gateway}, listeners, config,
            superior=superior, slot=slot, handover=handover, reopen_logs=self.reopened.set,
        )  # fmt: skip
        self._statuses: list[int] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._statuses.append(self.worker.run())

    def wait(self) -> int:
        """The exit status, once the worker has ended."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the worker did not stop"
        return self._statuses[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.worker.stop()
            self.wait()
        finally:
            self._end_what_is_left()
            if not self._guest:
                self.place.close()
            if self._handover is not None:
                self._handover.end()

    def _end_what_is_left(self) -> None:
        """What goes with a worker's process, when that ends without its threads."""
        left = [thread for thread in self.worker._threads if thread.is_alive()]
        if left:
            self.worker._loop.stop()
        for thread in left:
            thread.join(PATIENCE)
        self.worker._loop.close()


def holding(gate: Gate) -> Gateway:
    """Echo, but ``/hold`` waits at *gate*."""

    def work(exchange: Exchange) -> None:
        if exchange.request.params["REQUEST_URI"] == "/hold":
            gate.pass_through()
        echo(exchange)

    return work


@THREADS
def test_it_serves_counts_and_stops(threads: int) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with Running(echo, threads=threads) as running:
        with running.connect() as connection, running.connect("tcp") as other:
            for turn in range(5):
                assert ask(connection, f"/{turn}") == f"/{turn} ".encode()
                assert ask(other, f"/{turn}") == f"/{turn} ".encode()
            running.worker.stop()
            assert wire.read_all(connection) == wire.read_all(other) == b"", "idle: closed"
        assert running.wait() == 0
        assert running.worker.requests == 10
    assert {number: signal.getsignal(number) for number in handlers} == handlers


@THREADS
def test_stopping_before_anything_has_come(threads: int) -> None:
    with Running(echo, threads=threads) as running:
        running.worker.stop()
        running.worker.stop()
        assert running.wait() == 0


@THREADS
def test_a_running_request_is_finished_and_its_connection_closed(threads: int) -> None:
    gate = Gate()
    with (
        Running(holding(gate), threads=threads) as running,
        running.connect() as busy,
        running.connect() as idle,
    ):
        assert ask(idle, "/before") == b"/before "
        busy.sendall(wire.request("/hold", body=b"body", keep=True))
        gate.wait()
        running.worker.stop()
        assert wire.read_all(idle) == b"", "though all threads may be busy"
        gate.open()
        found = wire.read_answer(busy)
        assert body_of(found) == b"/hold body"
        assert (found.app_status, found.protocol_status) == (0, 0)
        assert wire.read_all(busy) == b""
        assert running.wait() == 0


def test_an_upload_under_way_is_finished() -> None:
    with Running(echo, threads=2) as running, running.connect() as connection:
        connection.sendall(wire.head("/upload", keep=True) + wire.record(wire.STDIN, b"one"))
        with running.connect() as other:
            ask(other, "/")  # by now the upload has been begun
            running.worker.stop()
            assert wire.read_all(other) == b""
        connection.sendall(wire.record(wire.STDIN, b" two") + wire.record(wire.STDIN))
        assert body_of(wire.read_answer(connection)) == b"/upload one two"
        assert wire.read_all(connection) == b""
        assert running.wait() == 0


def test_siblings_on_one_connection_are_all_finished() -> None:
    gate = Gate()
    with Running(holding(gate), threads=4) as running, running.connect() as connection:
        for number in range(1, 7):  # more than threads
            connection.sendall(wire.request("/hold", number, keep=True))
        gate.wait(4)
        running.worker.stop()
        gate.open()
        ended = []
        while (record := wire.read_record(connection)) is not None:
            if record[0] == wire.END:
                ended.append(record[1])
        assert sorted(ended) == list(range(1, 7))
        assert running.wait() == 0


def test_nobody_is_accepted_any_more() -> None:
    gate = Gate()
    with Running(holding(gate), threads=2) as running, running.connect() as busy:
        busy.sendall(wire.request("/hold"))
        gate.wait()
        with running.connect() as idle:
            ask(idle, "/")
            running.worker.stop()
            assert wire.read_all(idle) == b""
        for transport in ("unix", "tcp"):
            with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
                running.connect(transport)
        gate.open()
        assert body_of(wire.read_answer(busy)) == b"/hold "
        assert running.wait() == 0


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_outlasts_the_graceful_timeout_is_given_up(workers: str) -> None:
    """In processes of their own, since what is left goes with the process."""
    with (
        HeldGate() as gate,
        Process("--graceful-timeout", "0.05", "--workers", workers) as process,
        process.connect() as waiting,
        process.connect() as begun,
    ):
        waiting.sendall(wire.request(f"/wait?{gate.query}"))
        gate.wait()
        begun.sendall(wire.request(f"/stream?{gate.query}"))
        gate.wait()
        process.signal(signal.SIGTERM)
        answer = wire.read_answer(waiting)
        assert b"Status: 503 " in answer.stdout
        assert answer.app_status == 0
        cut = wire.read_all(begun)
        assert b"first" in cut
        assert bytes([1, 3, 0, 1]) not in cut, "no END_REQUEST"
        assert process.wait() == 1
        process.wait_for_log("2 requests did not end within 0.05 s.*setting: graceful_timeout")


def test_a_peer_that_never_closes_does_not_hold_the_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Half-closed and drained for ``linger_timeout``, then left."""

    def early(exchange: Exchange) -> None:
        answer(exchange, b"early")

    with (
        Running(early, threads=1, linger_timeout=0.05) as running,
        running.connect() as connection,
    ):
        connection.sendall(wire.head("/"))
        assert body_of(wire.read_answer(connection)) == b"early"
        running.worker.stop()
        assert running.wait() == 0
    assert not [record for record in caplog.records if record.levelname != "INFO"]


# -- under a supervisor ----------------------------------------------------------------------------


@pytest.fixture
def chief() -> Iterator[Chief]:
    with Chief() as one:
        yield one


def handovers() -> tuple[Handover, Handover]:
    """For two workers, between which connections can go."""
    with contextlib.ExitStack() as stack:
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in pair:
            stack.enter_context(end)
        return Handover(pair[0].dup(), pair[1].dup()), Handover(pair[0].dup(), pair[1].dup())


def test_it_reports_that_it_serves_and_stops_when_ordered(chief: Chief) -> None:
    with Running(echo, superior=chief, threads=2) as running, running.connect() as kept:
        chief.expect(Report.READY)
        assert ask(kept, "/") == b"/ "
        chief.give(Order.REOPEN_LOGS)
        assert running.reopened.wait(PATIENCE)
        chief.give(Order.STOP, Order.STOP)
        assert wire.read_all(kept) == b""
        assert running.wait() == 0
    assert chief.reports.empty()


def test_without_its_supervisor_it_stops(chief: Chief, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    gate = Gate()
    with (
        Running(holding(gate), superior=chief, threads=2) as running,
        running.connect() as busy,
        running.connect() as idle,
    ):
        assert ask(idle, "/") == b"/ "
        busy.sendall(wire.request("/hold"))
        gate.wait()
        chief.vanish()
        assert wire.read_all(idle) == b""
        gate.open()
        assert body_of(wire.read_answer(busy)) == b"/hold "
        assert running.wait() == 0
    assert "the supervisor has vanished" in caplog.text


def test_quit_is_at_once_and_says_what_is_lost(
    chief: Chief, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    with Running(holding(gate), superior=chief, threads=2) as running, running.connect() as busy:
        busy.sendall(wire.request("/hold"))
        gate.wait()
        chief.give(Order.QUIT)
        assert running.wait() == 1
        gate.open()
    assert "1 requests are left: the supervisor orders to leave at once" in caplog.text


@THREADS
def test_who_retires_leaves_its_connections_to_the_others(chief: Chief, threads: int) -> None:
    """Also while its only thread is busy, which then answers, and what comes is for others."""
    gate = Gate()
    mine, yours = handovers()
    with (
        Running(holding(gate), superior=chief, handover=mine, threads=threads) as first,
        first.connect() as busy,
        first.connect("tcp") as idle,
    ):
        assert ask(idle, "/first") == b"/first "
        busy.sendall(wire.request("/hold", keep=True))
        gate.wait()
        with Chief() as other, Running(
            echo, superior=other, handover=yours, place=first.place, threads=threads
        ) as second:
            chief.give(Order.RETIRE, Order.RETIRE)
            assert ask(idle, "/second") == b"/second "
            with first.connect() as fresh:
                assert ask(fresh, "/fresh") == b"/fresh ", "not queued behind the busy one"
            gate.open()
            assert body_of(wire.read_answer(busy)) == b"/hold "
            assert first.wait() == 0
            assert ask(busy, "/next") == b"/next "
            assert first.worker.requests + second.worker.requests == 5
            assert second.worker.requests == 3 or threads > 1


def test_a_stop_follows_a_retirement_but_not_the_other_way_round(chief: Chief) -> None:
    """With nobody to take it a connection waits for room, or for the order to stop."""
    mine, nobody = handovers()
    while nobody.give(chief._ours):
        pass
    gate = Gate()
    with (
        Running(holding(gate), superior=chief, handover=mine, threads=1) as running,
        running.connect() as busy,
        running.connect() as idle,
    ):
        assert ask(idle, "/") == b"/ "
        busy.sendall(wire.request("/hold", keep=True))
        gate.wait()
        chief.give(Order.STOP, Order.RETIRE)
        assert wire.read_all(idle) == b""
        gate.open()
        assert body_of(wire.read_answer(busy)) == b"/hold "
        assert wire.read_all(busy) == b""
        assert running.wait() == 0
    nobody.end()


class Line:
    """A line of the board on which only beats matter."""

    def __init__(self) -> None:
        self.beats = queue.Queue[tuple[int, int]]()

    def begin(self, seat: int, method: str, target: str, now: float) -> None:
        pass

    def end(self, seat: int) -> None:
        pass

    def beat(
        self, now: float, requests: int, connections: int, slow_requests: int
    ) -> None:
        self.beats.put((requests, connections))


def test_it_shows_signs_of_life(chief: Chief) -> None:
    line = Line()
    with Running(echo, superior=chief, slot=line) as running, running.connect() as kept:
        assert line.beats.get(timeout=PATIENCE)[0] == 0
        ask(kept, "/")
        ask(kept, "/")
        assert line.beats.get(timeout=PATIENCE) == (2, 1)


# -- limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "report"),
    [({"max_requests": 2}, Report.MAX_REQUESTS), ({"max_memory": 1000}, Report.MAX_MEMORY)],
)
def test_at_its_limit_it_asks_to_be_replaced_once_and_serves_on(
    chief: Chief, setting: dict[str, Any], report: Report
) -> None:
    with Running(echo, superior=chief, **setting) as running, running.connect() as kept:
        chief.expect(Report.READY)
        for _ in range(4):
            assert ask(kept, "/") == b"/ "
        chief.expect(report)
        assert ask(kept, "/") == b"/ "
    assert chief.reports.empty()


def test_who_was_started_by_a_process_manager_leaves_at_its_limit() -> None:
    with Running(echo, inherited=True, max_requests=3, threads=1) as running:
        for number in range(3):
            with running.connect() as connection:
                connection.sendall(wire.request(f"/{number}"))
                assert body_of(wire.read_answer(connection)) == f"/{number} ".encode()
        assert running.wait() == 0
        assert running.worker.requests == 3


def test_alone_it_only_warns(caplog: pytest.LogCaptureFixture) -> None:
    with Running(echo, max_requests=1, max_memory=1) as running, running.connect() as kept:
        for _ in range(3):
            assert ask(kept, "/") == b"/ "
    assert "max_requests needs a supervisor" in caplog.text
    assert "max_memory needs a supervisor" in caplog.text


# -- requests that never end -----------------------------------------------------------------------


@THREADS
def test_a_worker_with_a_stuck_thread_is_replaced(
    chief: Chief, threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    mine, yours = handovers()
    with (
        Running(
            holding(gate), superior=chief, handover=mine, threads=threads, timeout=0.2
        ) as first,
        first.connect() as stuck,
        first.connect() as idle,
    ):
        chief.expect(Report.READY)
        assert ask(idle, "/") == b"/ "
        # Two at once: with one thread the second waits behind the first, and nobody can run it.
        stuck.sendall(wire.request("/hold", 1, keep=True) + wire.request("/other", 2, keep=True))
        gate.wait()
        chief.expect(Report.TIMEOUT)
        with Chief() as other, Running(
            echo, superior=other, handover=yours, place=first.place, threads=threads
        ):
            chief.give(Order.RETIRE)
            seen = answers(stuck, 2)
            assert b"Status: 504" in seen[1]
            assert (b"Status: 503" if threads == 1 else b"Status: 200") in seen[2]
            assert first.wait() == 0
            for connection in (stuck, idle):
                assert ask(connection, "/next") == b"/next "
        gate.open()
    assert "given up (setting: timeout)" in caplog.text
    assert "gate.pass_through()" in caplog.text, "the stack"


def answers(connection: socket.socket, count: int) -> dict[int, bytes]:
    """What *count* requests are answered on one connection, by their ids."""
    found: dict[int, bytes] = {}
    while count:
        record = wire.read_record(connection)
        assert record is not None
        kind, request_id, content = record
        if kind == wire.STDOUT:
            found[request_id] = found.get(request_id, b"") + content
        count -= kind == wire.END
    return found


@THREADS
def test_alone_and_all_threads_stuck_it_ends(
    threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever has started it may start it again."""
    gate = Gate()
    with Running(holding(gate), threads=threads, timeout=0.1) as running:
        connections = [running.connect() for _ in range(threads)]
        for connection in connections:
            connection.sendall(wire.request("/hold"))
        gate.wait(threads)
        for connection in connections:
            assert b"Status: 504" in wire.read_all(connection)
            connection.close()
        assert running.wait() == 1
        gate.open()
    assert "every thread runs a request that was given up" in caplog.text
