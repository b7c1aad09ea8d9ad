"""An application that goes on after its answer: the client waits for nothing."""

from __future__ import annotations

import signal

import pytest

from tests.e2e import wire
from tests.e2e.client import fetch
from tests.e2e.gate import Gate
from tests.e2e.nginx import Nginx
from tests.e2e.worker import Worker


def test_the_client_has_its_answer_while_the_application_goes_on(nginx: Nginx, gate: Gate) -> None:
    assert fetch(nginx.address, f"/finished?{gate.query}").body == b"the answer"
    for message in ("finished", "after the response"):
        visit = gate.wait()
        assert visit.message == message
        assert fetch(nginx.address, "/status?status=200+OK").status == 200
        visit.let_go()


@pytest.mark.parametrize("keep", [True, False])
def test_the_connection_is_free_for_the_next_request(
    worker: Worker, gate: Gate, keep: bool
) -> None:
    with worker.connect() as connection:
        connection.sendall(wire.request(f"/finished?{gate.query}", keep=keep))
        answer = wire.read_answer(connection)
        assert answer.stdout.endswith(b"\r\n\r\nthe answer")
        assert (answer.app_status, answer.protocol_status) == (0, 0)
        visit = gate.wait()
        if keep:
            connection.sendall(wire.request("/status?status=200+OK", keep=True))
            assert wire.read_answer(connection).stdout.endswith(b"status\n")
        else:
            assert wire.read_all(connection) == b""
        visit.let_go()
        gate.wait().let_go()


def test_one_thread_answers_the_next_when_it_is_done(gate: Gate) -> None:
    with Worker(threads=1) as worker, worker.connect() as connection:
        connection.sendall(wire.request(f"/finished?{gate.query}", keep=True))
        assert wire.read_answer(connection).app_status == 0
        connection.sendall(wire.request("/status?status=200+OK", keep=True))
        gate.wait().let_go()
        gate.wait().let_go()
        assert wire.read_answer(connection).stdout.endswith(b"status\n")


def test_a_stop_waits_for_what_comes_after_the_answer(gate: Gate) -> None:
    with Worker() as worker, worker.connect() as connection:
        connection.sendall(wire.request(f"/finished?{gate.query}", keep=True))
        assert wire.read_answer(connection).app_status == 0
        visit = gate.wait()
        worker.signal(signal.SIGTERM)
        worker.wait_for_log("SIGTERM")
        visit.let_go()
        gate.wait().let_go()
        assert worker.wait() == 0
