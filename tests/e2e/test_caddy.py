"""Caddy with the file of conf/caddy/."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.caddy import Caddy
from tests.e2e.checks import Requests
from tests.e2e.worker import Worker


@pytest.fixture(scope="module")
def web_server(worker: Worker) -> Iterator[Caddy]:
    with Caddy(worker.path) as running:
        yield running


class TestCaddy(Requests):
    """The checks that every front end has to pass."""
