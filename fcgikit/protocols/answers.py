"""What an application may say next, in every chapter: the response half of a request.

A state names the part that comes next; IDLE: there is no request to answer.
"""

from __future__ import annotations

from typing import Final

from ..events import CutOff, Diagnostic, EndOfResponse, Event, Response, ResponseBody

IDLE: Final = "IDLE"
HEAD: Final = "HEAD"
BODY: Final = "BODY"
ENDED: Final = "ENDED"

RESPONSE_EVENTS: Final[dict[str, dict[type[Event], str]]] = {
    IDLE: {},
    HEAD: {Response: BODY, Diagnostic: HEAD, EndOfResponse: ENDED},
    BODY: {ResponseBody: BODY, Diagnostic: BODY, EndOfResponse: ENDED, CutOff: ENDED},
    ENDED: {},
}
"""state -> event -> next state. A complete ``Response`` goes to ENDED at once."""
