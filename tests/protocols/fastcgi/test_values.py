"""FCGI_GET_VALUES is answered with what is so, and with nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from fcgikit.config import Config
from fcgikit.errors import RemoteProtocolError
from fcgikit.protocols.fastcgi.values import values, values_result
from tests.e2e import wire


@pytest.mark.parametrize(
    ("settings", "connections", "requests"),
    [
        ({}, "10000", "128"),
        ({"workers": 0, "max_connections": 7}, "7", "128"),
        ({"workers": 4, "max_connections": 7, "max_requests_per_connection": 5}, "28", "5"),
        ({"workers": 4, "max_requests_in_flight": 10}, "40000", "40"),
        ({"max_requests_in_flight": 1000}, "10000", "128"),
    ],
)
def test_what_the_settings_say(settings: dict[str, Any], connections: str, requests: str) -> None:
    assert values(Config(**settings)) == {
        "FCGI_MAX_CONNS": connections,
        "FCGI_MAX_REQS": requests,
        "FCGI_MPXS_CONNS": "1",
    }


def test_only_what_was_asked_for_and_only_once() -> None:
    names = (b"FCGI_MPXS_CONNS", b"FCGI_WIBBLE", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS")
    asked = b"".join(wire.pair(name, b"") for name in names)
    told = wire.pair(b"FCGI_MPXS_CONNS", b"1") + wire.pair(b"FCGI_MAX_REQS", b"128")
    padding = -len(told) & 7
    expected = wire.record(wire.GET_VALUES_RESULT, told, 0, padding=padding)
    assert values_result(asked, Config()) == expected


def test_what_is_no_list_of_names() -> None:
    with pytest.raises(RemoteProtocolError):
        values_result(b"\xff", Config())
