"""lighttpd with every file of conf/lighttpd/."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.checks import Requests
from tests.e2e.lighttpd import CONF, Lighttpd
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
    assert set(FILES) == {path.name for path in CONF.glob("*.conf")}
