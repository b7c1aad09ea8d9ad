"""What a web server may say next, in a table; ``answers.py`` has the application's half.

A state names the part that comes next; IDLE: nothing has been said yet.
"""

from __future__ import annotations

from typing import Final

from ...errors import LocalProtocolError
from ...events import (
    Abort,
    Body,
    EndOfBody,
    Event,
    Request,
    RequestEvent,
)
from ..answers import BODY, ENDED, IDLE

REQUEST_ID: Final = 1

CLOSED: Final = "CLOSED"
"""The connection has ended, or nothing on it makes sense any more: ``Closed`` has been said."""

REQUEST_EVENTS: Final[dict[str, dict[type[Event], str]]] = {
    IDLE: {Request: BODY},
    BODY: {Body: BODY, EndOfBody: ENDED, Abort: ENDED},
    ENDED: {Abort: ENDED},
}
"""state -> event -> next state, as the web server sends."""


def check_id(event: Event) -> None:
    """Raise ``LocalProtocolError`` for an event of a request that cannot exist here."""
    if isinstance(event, RequestEvent) and event.request_id != REQUEST_ID:
        raise LocalProtocolError(f"request {event.request_id} on a connection that knows only 1")
