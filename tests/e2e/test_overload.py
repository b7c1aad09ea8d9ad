"""More than a worker takes, and clients that do not wait, behind real front ends."""

from __future__ import annotations

import concurrent.futures
import select
import socket
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Protocol

import pytest

from tests.e2e import wire
from tests.e2e.client import Answer, fetch
from tests.e2e.gate import Gate
from tests.e2e.haproxy import HAProxy
from tests.e2e.nginx import Front, Nginx
from tests.e2e.process import PATIENCE
from tests.e2e.worker import Worker

LIMIT = ("--max-requests-in-flight", "2")


class Running(Protocol):
    @property
    def address(self) -> tuple[str, int]: ...


def front_end(name: str, worker: Worker) -> AbstractContextManager[Running]:
    if name == "haproxy":
        return HAProxy(worker.path)
    return Nginx(Front(name, "unix"), worker.address("unix"))


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    "name", ["fastcgi-unix.conf", "fastcgi-keepalive.conf", "scgi.conf", "uwsgi.conf", "haproxy"]
)
def test_a_third_request_is_turned_away_while_two_are_answered_later(
    name: str, workers: int, gate: Gate
) -> None:
    with (
        Worker(*LIMIT, workers=workers, threads=1) as worker,
        front_end(name, worker) as front,
        ThreadPoolExecutor(3) as clients,
    ):
        target = f"/wait?{gate.query}"
        first = clients.submit(fetch, front.address, target)
        visit = gate.wait()
        others = [clients.submit(fetch, front.address, target) for _ in range(2)]
        done, waiting = concurrent.futures.wait(others, PATIENCE, FIRST_COMPLETED)
        (refused,) = (future.result() for future in done)
        assert refused.status == 503
        assert refused.all("Retry-After") == ["1"]
        assert not first.done()
        visit.let_go()
        assert first.result().status == 200
        gate.wait().let_go()
        (second,) = (future.result() for future in waiting)
        assert second.status == 200
        worker.wait_for_log("setting: max_requests_in_flight")


def test_a_client_that_can_go_elsewhere_hears_overloaded(gate: Gate) -> None:
    with Worker(*LIMIT, "--overload", "overloaded", threads=1) as worker:
        connections = [worker.connect() for _ in range(3)]
        for number, connection in enumerate(connections):
            connection.sendall(wire.request(f"/wait?{gate.query}", keep=True))
            if number == 0:
                visit = gate.wait()
        answered = ask_any(connections[1:])
        found = wire.read_answer(answered)
        assert (found.stdout, found.protocol_status) == (b"", 2)
        visit.let_go()
        gate.wait().let_go()
        for connection in connections:
            if connection is not answered:
                assert b"Status: 200" in wire.read_answer(connection).stdout
            connection.close()


def ask_any(connections: list[socket.socket]) -> socket.socket:
    """The first that can be read from."""
    readable, _, _ = select.select(connections, [], [], PATIENCE)
    (connection,) = readable
    assert isinstance(connection, socket.socket)
    return connection


def test_a_request_waits_for_a_thread_as_long_as_it_may(gate: Gate) -> None:
    front = Front("fastcgi-unix.conf", "unix")
    with (
        Worker("--queue-timeout", "0.1", threads=1) as worker,
        Nginx(front, worker.address("unix")) as nginx,
        ThreadPoolExecutor(1) as clients,
    ):
        first = clients.submit(fetch, nginx.address, f"/wait?{gate.query}")
        visit = gate.wait()
        late = fetch(nginx.address, "/hello")
        assert (late.status, late.all("Retry-After")) == (503, ["1"])
        visit.let_go()
        assert first.result().status == 200
        assert fetch(nginx.address, "/hello").status == 200


def passed_by(nginx: Nginx) -> Answer:
    """An answer of nginx's own: it has then seen whatever came before."""
    return fetch(nginx.address, "/", headers={"Host": "not a name/"})


@pytest.mark.parametrize("options", [(), LIMIT, ("--queue-timeout", "1000")], ids=str)
@pytest.mark.parametrize("name", ["fastcgi-unix.conf", "fastcgi-tcp.conf", "scgi.conf"])
def test_a_client_that_leaves_while_it_waits_is_not_worked_for(
    name: str, options: tuple[str, ...], gate: Gate
) -> None:
    transport = "tcp" if "tcp" in name else "unix"
    with (
        Worker(*options, "--log-level", "debug", threads=1) as worker,
        Nginx(Front(name, transport), worker.address(transport)) as nginx,
        ThreadPoolExecutor(2) as clients,
    ):
        first = clients.submit(fetch, nginx.address, f"/wait?{gate.query}")
        visit = gate.wait()
        with socket.create_connection(nginx.address, PATIENCE) as leaves:
            target = f"/wait?{gate.query}&name=left"
            leaves.sendall(f"GET {target} HTTP/1.1\r\nHost: app.example\r\n\r\n".encode())
            assert passed_by(nginx).status == 400
        assert passed_by(nginx).status == 400
        visit.let_go()
        assert first.result().status == 200
        worker.wait_for_log("left while its request waited")
        stays = clients.submit(fetch, nginx.address, f"/wait?{gate.query}&name=stays")
        next_visit = gate.wait()
        assert next_visit.message == "stays"
        next_visit.let_go()
        assert stays.result().status == 200
