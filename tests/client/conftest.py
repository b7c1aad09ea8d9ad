"""The client under test: each test that asks for one is run with both."""

from __future__ import annotations

import pytest

from tests.client.drivers import CLIENTS, MakeClient


@pytest.fixture(params=CLIENTS)
def make_client(request: pytest.FixtureRequest) -> MakeClient:
    return CLIENTS[request.param]
