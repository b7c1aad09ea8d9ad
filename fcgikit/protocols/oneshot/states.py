"""What may be said next, in tables: both halves of the one request.

A state names the part that comes next; IDLE: nothing may be said yet.
"""

from __future__ import annotations

from typing import Final

from ...errors import LocalProtocolError
from ...events import (
    Abort,
    Body,
    Diagnostic,
    EndOfBody,
    EndOfResponse,
    Event,
    Request,
    Response,
    ResponseBody,
)

REQUEST_ID: Final = 1

IDLE: Final = "IDLE"
HEAD: Final = "HEAD"
BODY: Final = "BODY"
ENDED: Final = "ENDED"

REQUEST_EVENTS: Final[dict[str, dict[type[Event], str]]] = {
    IDLE: {Request: BODY},
    BODY: {Body: BODY, EndOfBody: ENDED, Abort: ENDED},
    ENDED: {Abort: ENDED},
}
"""state -> event -> next state, as the web server sends."""

RESPONSE_EVENTS: Final[dict[str, dict[type[Event], str]]] = {
    IDLE: {},
    HEAD: {Response: BODY, Diagnostic: HEAD, EndOfResponse: ENDED},
    BODY: {ResponseBody: BODY, Diagnostic: BODY, EndOfResponse: ENDED},
    ENDED: {},
}
"""state -> event -> next state, as the application sends."""


def check_id(event: Event) -> None:
    """Raise ``LocalProtocolError`` for an event of a request that cannot exist here."""
    request_id: int = getattr(event, "request_id", REQUEST_ID)
    if request_id != REQUEST_ID:
        raise LocalProtocolError(f"request {request_id} on a connection that knows only 1")
