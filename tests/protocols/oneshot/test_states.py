"""The tables that decide what SCGI and uwsgi may say next."""

from __future__ import annotations

import pytest

from fcgikit.errors import LocalProtocolError
from fcgikit.events import Body, Closed, GetValues
from fcgikit.protocols.answers import BODY, ENDED, HEAD, IDLE, RESPONSE_EVENTS
from fcgikit.protocols.oneshot.states import REQUEST_EVENTS, check_id


@pytest.mark.parametrize("table", [REQUEST_EVENTS, RESPONSE_EVENTS])
def test_every_state_can_be_reached_and_left(table: dict[str, dict[type, str]]) -> None:
    followers = {after for row in table.values() for after in row.values()}
    assert followers <= set(table) <= {IDLE, HEAD, BODY, ENDED}
    assert all(ENDED in row.values() for state, row in table.items() if state in (HEAD, BODY))


def test_only_one_request_id_exists() -> None:
    check_id(Body(1, b""))
    check_id(Closed())
    check_id(GetValues(()))
    with pytest.raises(LocalProtocolError, match="request 3"):
        check_id(Body(3, b""))
