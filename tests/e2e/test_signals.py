"""How a worker ends: what runs is finished, and the exit status is 0."""

from __future__ import annotations

import concurrent.futures
import os
import signal
from collections.abc import Iterator

import pytest

from tests.e2e import wire
from tests.e2e.client import fetch
from tests.e2e.gate import Gate
from tests.e2e.nginx import Front, Nginx
from tests.e2e.worker import Worker

FRONTS = [
    Front("fastcgi-unix.conf", "unix"),
    Front("fastcgi-keepalive.conf", "unix"),
    Front("fastcgi-keepalive.conf", "tcp"),
    Front("scgi.conf", "unix"),
    Front("uwsgi.conf", "unix"),
]


@pytest.fixture
def own_worker() -> Iterator[Worker]:
    with Worker() as running:
        yield running


@pytest.mark.parametrize("front", FRONTS, ids=str)
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_sigterm_finishes_the_request_in_flight(
    own_worker: Worker, gate: Gate, front: Front, times: int
) -> None:
    """mod_fcgid sends SIGTERM twice and still means: finish."""
    with (
        Nginx(front, own_worker.address(front.transport)) as nginx,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        running = pool.submit(fetch, nginx.address, f"/wait?{gate.query}")
        visit = gate.wait()
        for turn in range(times):
            seen = own_worker.mark
            own_worker.signal(signal.SIGTERM)
            if turn == 0:
                own_worker.wait_for_log(r"(?i)SIGTERM", seen)
        visit.let_go()
        answer = running.result()
    assert (answer.status, answer.body) == (200, b"waited ")
    assert own_worker.wait() == 0
    assert not os.path.exists(own_worker.path), "it has removed the socket it made"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_an_idle_worker_stops_at_once_and_closes_kept_connections(
    own_worker: Worker, number: signal.Signals
) -> None:
    with own_worker.connect() as kept:
        kept.sendall(wire.request("/hello", keep=True))
        assert b"200 OK" in wire.read_answer(kept).stdout
        own_worker.signal(number)
        assert wire.read_all(kept) == b""
    assert own_worker.wait() == 0


def test_a_kept_connection_gets_its_answer_and_its_end(own_worker: Worker, gate: Gate) -> None:
    with own_worker.connect() as kept:
        kept.sendall(wire.request(f"/wait?{gate.query}", keep=True))
        visit = gate.wait()
        seen = own_worker.mark
        own_worker.signal(signal.SIGTERM)
        own_worker.wait_for_log(r"(?i)SIGTERM", seen)
        visit.let_go()
        answer = wire.read_answer(kept)
        assert answer.stdout.endswith(b"waited ")
        assert (answer.app_status, answer.protocol_status) == (0, 0)
        assert wire.read_all(kept) == b""
    assert own_worker.wait() == 0


def test_a_request_outlasting_the_graceful_timeout_does_not_hold_the_worker(gate: Gate) -> None:
    with Worker("--graceful-timeout", "0.2") as worker, worker.connect() as connection:
        connection.sendall(wire.request(f"/wait?{gate.query}"))
        gate.wait()
        worker.signal(signal.SIGTERM)
        worker.wait()


def test_a_second_sigint_ends_at_once(own_worker: Worker, gate: Gate) -> None:
    """Ctrl-C twice: the application is still held when the worker is gone."""
    with own_worker.connect() as connection:
        connection.sendall(wire.request(f"/wait?{gate.query}"))
        gate.wait()
        seen = own_worker.mark
        own_worker.signal(signal.SIGINT)
        own_worker.wait_for_log(r"(?i)SIGINT", seen)
        own_worker.signal(signal.SIGINT)
        own_worker.wait()
