from __future__ import annotations

from itertools import islice

import pytest

from fcgikit.client.settings import busy_delays, requests_at_once


@pytest.mark.parametrize(
    ("values", "requests"),
    [
        ({}, 1),
        ({"FCGI_MPXS_CONNS": "0", "FCGI_MAX_REQS": "50"}, 1),
        ({"FCGI_MPXS_CONNS": "1", "FCGI_MAX_REQS": "50"}, 50),
        ({"FCGI_MPXS_CONNS": "1", "FCGI_MAX_REQS": "5000"}, 128),
        ({"FCGI_MPXS_CONNS": "1"}, 128),
        ({"FCGI_MPXS_CONNS": "1", "FCGI_MAX_REQS": "many"}, 128),
        ({"FCGI_MPXS_CONNS": "1", "FCGI_MAX_REQS": "0"}, 128),
    ],
)
def test_how_many_requests_share_a_connection(values: dict[str, str], requests: int) -> None:
    assert requests_at_once(values) == requests


def test_delays_grow_and_do_not_end() -> None:
    delays = list(islice(busy_delays(), 50))
    assert delays == sorted(delays)
    assert delays[0] < delays[-1] < 0.1
