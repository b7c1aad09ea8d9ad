"""One worker for the whole run, and every nginx configuration in front of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.gate import Gate
from tests.e2e.nginx import Front, Nginx
from tests.e2e.worker import Worker

FRONTS = [
    Front("fastcgi-unix.conf", "unix"),
    Front("fastcgi-tcp.conf", "tcp"),
    Front("fastcgi-keepalive.conf", "unix"),
    Front("fastcgi-keepalive.conf", "tcp"),
    Front("fastcgi-streaming.conf", "unix"),
    Front("scgi.conf", "unix"),
    Front("scgi.conf", "tcp"),
    Front("uwsgi.conf", "unix"),
    Front("uwsgi.conf", "tcp"),
]


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """A worker that nothing restarts: what one test does to it, the next would suffer."""
    with Worker() as running:
        yield running
        assert running.stop() == 0


@pytest.fixture(scope="session", params=FRONTS, ids=str)
def front(request: pytest.FixtureRequest) -> Front:
    chosen: Front = request.param
    return chosen


@pytest.fixture(scope="session", params=["distribution", "upstream"])
def stock_front(request: pytest.FixtureRequest, front: Front) -> Front:
    """As *front*, with each of the two stock sets of params files."""
    return Front(front.file, front.transport, request.param)


@pytest.fixture(scope="session")
def nginx(front: Front, worker: Worker) -> Iterator[Nginx]:
    with Nginx(front, worker.address(front.transport)) as running:
        yield running


@pytest.fixture(scope="session")
def stock_nginx(stock_front: Front, worker: Worker) -> Iterator[Nginx]:
    with Nginx(stock_front, worker.address(stock_front.transport)) as running:
        yield running


@pytest.fixture
def gate() -> Iterator[Gate]:
    with Gate() as opened:
        yield opened
