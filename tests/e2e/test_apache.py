"""Apache httpd with every file of conf/apache/."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.apache import CONF, Apache
from tests.e2e.checks import Requests
from tests.e2e.worker import Worker

FILES = ["mod_fcgid.conf", "proxy_fcgi.conf", "proxy_scgi.conf", "proxy_uwsgi.conf"]


@pytest.fixture(scope="module", params=FILES)
def web_server(request: pytest.FixtureRequest, worker: Worker) -> Iterator[Apache]:
    file: str = request.param
    with Apache(file, "" if file == "mod_fcgid.conf" else worker.path) as running:
        yield running


class TestApache(Requests):
    """The checks that every front end has to pass."""


def test_every_ready_file_is_started_here() -> None:
    assert set(FILES) == {path.name for path in CONF.glob("*.conf")}
