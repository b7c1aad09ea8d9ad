"""A worker from its start to its end, in a thread that is not the main one."""

from __future__ import annotations

import signal
import threading
from types import TracebackType
from typing import Any, Self

import pytest

from fcgikit.config import Config
from fcgikit.events import Role
from fcgikit.gateways.interface import Exchange, Gateway
from fcgikit.server.worker import Worker
from tests.e2e import wire
from tests.e2e.gate import Gate as HeldGate
from tests.e2e.process import PATIENCE
from tests.e2e.worker import Worker as Process
from tests.server.harness import Gate, Place, answer, ask, body_of, echo

THREADS = pytest.mark.parametrize("threads", [1, 4])


class Running:
    """A worker at work; leaving the ``with`` block stops it."""

    def __init__(self, gateway: Gateway, **settings: Any) -> None:
        config = Config(**settings)
        self._place = Place(config)
        self.connect = self._place.connect
        self.worker = Worker({Role.RESPONDER: gateway}, self._place.listeners, config)
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
            self._place.close()


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
        if threads > 1:  # with one, nobody can look before the request is done
            assert wire.read_all(idle) == b""
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


def test_what_outlasts_the_graceful_timeout_is_left() -> None:
    """In a process of its own, since what is left goes with the process."""
    with (
        HeldGate() as gate,
        Process("--graceful-timeout", "0.05") as process,
        process.connect() as connection,
    ):
        connection.sendall(wire.request(f"/wait?{gate.query}"))
        gate.wait()
        process.signal(signal.SIGTERM)
        assert process.wait() == 1
        process.wait_for_log("1 requests did not end within 0.05 s.*setting: graceful_timeout")


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
