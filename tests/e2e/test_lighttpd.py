"""lighttpd with every file of conf/lighttpd/."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.e2e.checks import Requests
from tests.e2e.client import Answer, fetch
from tests.e2e.gate import Gate
from tests.e2e.lighttpd import CONF, Lighttpd
from tests.e2e.process import Foreign
from tests.e2e.worker import Worker

FILES = ["bin-path.conf", "fastcgi.conf", "scgi.conf", "uwsgi.conf"]


@pytest.fixture(scope="module", params=FILES)
def web_server(request: pytest.FixtureRequest, worker: Worker) -> Iterator[Lighttpd]:
    file: str = request.param
    with Lighttpd(file, "" if file == "bin-path.conf" else worker.path) as running:
        yield running


class TestLighttpd(Requests):
    """The checks that every front end has to pass."""


def test_every_ready_file_is_started_here() -> None:
    assert {*FILES, "authorizer.conf"} == {path.name for path in CONF.glob("*.conf")}


# -- processes that lighttpd manages --------------------------------------------------------------


@pytest.fixture
def manager() -> Iterator[Lighttpd]:
    with Lighttpd("bin-path.conf", settings="threads=1") as running:
        yield running


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


Asking = list[Future[Answer]]


@pytest.fixture
def asking(manager: Lighttpd, clients: ThreadPoolExecutor, gate: Gate) -> Asking:
    """Two requests that keep both processes busy."""
    return [clients.submit(fetch, manager.address, f"/wait?{gate.query}") for _ in range(2)]


def test_two_processes_serve_and_a_killed_one_is_started_again(
    manager: Lighttpd, clients: ThreadPoolExecutor, asking: Asking, gate: Gate
) -> None:
    busy, victim = gate.wait(), gate.wait()
    assert busy.pid != victim.pid
    with closing(Foreign(victim.pid)) as process:
        process.signal(signal.SIGKILL)
        process.wait()
    manager.wait_for_log("child signalled: 9")

    asking.append(clients.submit(fetch, manager.address, f"/wait?{gate.query}"))
    successor = gate.wait()
    assert successor.pid not in (busy.pid, victim.pid)
    busy.let_go()
    successor.let_go()
    assert sorted(answer.result().status for answer in asking) == [200, 200, 500]


def test_a_stop_at_once_leaves_no_orphan(manager: Lighttpd, asking: Asking, gate: Gate) -> None:
    """lighttpd tells them once and waits for nobody: they finish and leave by themselves."""
    visits = [gate.wait() for _ in asking]
    seen = manager.mark
    with closing(Foreign(manager.pid)) as lighttpd:
        manager.signal(signal.SIGTERM)
        lighttpd.wait()
    for answer in asking:
        with pytest.raises(http.client.RemoteDisconnected):
            answer.result()
    for visit in visits:
        with closing(Foreign(visit.pid)) as process:
            visit.let_go()
            process.wait()
    manager.wait()
    assert manager.log(seen).count("stopped; requests served: 1") == 2


def test_a_graceful_stop_answers_what_runs(manager: Lighttpd, asking: Asking, gate: Gate) -> None:
    visits = [gate.wait() for _ in asking]
    seen = manager.mark
    manager.signal(signal.SIGINT)
    manager.wait_for_log("graceful shutdown started", seen)
    for visit in visits:
        visit.let_go()
    assert [answer.result().body for answer in asking] == [b"waited "] * 2
    assert manager.wait() == 0
    assert manager.log(seen).count("stopped; requests served: 1") == 2
