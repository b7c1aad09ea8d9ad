"""What may come next: the tables that decide legality, for both sides.

Two rules for this file: every transition lives here, and nothing here performs one. A
request is two half-machines, what *they* still send and what *we* still send; on the WEB
side the same halves change hands. The diagrams in ``docs/protocol.md`` are drawn from
these tables.

Sections are those of the FastCGI 1.0 specification.
"""

from __future__ import annotations

import enum
from typing import Final

from ...events import (
    Abort,
    Body,
    EndOfBody,
    EndOfFilterData,
    FilterData,
    Role,
)
from ..answers import BODY, HEAD, IDLE
from . import constants as fcgi


class Action(enum.Enum):
    """What to do with a record."""

    BEGIN = "a new request"
    TAKE = "a piece of the expected stream, or its end if empty"
    SKIP = "late: the request is over for us, or never was"
    ABORT = "the front end gives the request up"
    END = "the application is done with the request"
    VIOLATION = "against the protocol"


BEGIN: Final = Action.BEGIN
TAKE: Final = Action.TAKE
SKIP: Final = Action.SKIP
ABORT: Final = Action.ABORT
END: Final = Action.END
VIOLATION: Final = Action.VIOLATION

# -- the request half: from the web server to the application ------------------------------

# States, named for the stream that comes next; IDLE is any id that has no request.
PARAMS: Final = "PARAMS"
STDIN: Final = "STDIN"
DATA: Final = "DATA"
DONE: Final = "DONE"

REQUEST_RECORDS: Final = {
    # Records for an id that is not open belong to a request that was refused or answered
    # early: every front end measured goes on sending the body for a while (rule R3).
    IDLE: {
        fcgi.FCGI_BEGIN_REQUEST: BEGIN,
        fcgi.FCGI_ABORT_REQUEST: SKIP,
        fcgi.FCGI_PARAMS: SKIP,
        fcgi.FCGI_STDIN: SKIP,
        fcgi.FCGI_DATA: SKIP,
    },
    PARAMS: {
        fcgi.FCGI_BEGIN_REQUEST: VIOLATION,
        fcgi.FCGI_ABORT_REQUEST: ABORT,
        fcgi.FCGI_PARAMS: TAKE,
        fcgi.FCGI_STDIN: VIOLATION,
        fcgi.FCGI_DATA: VIOLATION,
    },
    STDIN: {
        fcgi.FCGI_BEGIN_REQUEST: VIOLATION,
        fcgi.FCGI_ABORT_REQUEST: ABORT,
        fcgi.FCGI_PARAMS: VIOLATION,
        fcgi.FCGI_STDIN: TAKE,
        fcgi.FCGI_DATA: VIOLATION,
    },
    DATA: {
        fcgi.FCGI_BEGIN_REQUEST: VIOLATION,
        fcgi.FCGI_ABORT_REQUEST: ABORT,
        fcgi.FCGI_PARAMS: VIOLATION,
        fcgi.FCGI_STDIN: VIOLATION,
        fcgi.FCGI_DATA: TAKE,
    },
    # lighttpd sends an authorizer an empty STDIN, Apache none: both are right (rule R10).
    DONE: {
        fcgi.FCGI_BEGIN_REQUEST: VIOLATION,
        fcgi.FCGI_ABORT_REQUEST: ABORT,
        fcgi.FCGI_PARAMS: SKIP,
        fcgi.FCGI_STDIN: SKIP,
        fcgi.FCGI_DATA: SKIP,
    },
}
"""state -> record type -> action, as the application receives. Other types are skipped."""

REQUEST_ACTIONS: Final = {
    state: [row.get(type_, SKIP) for type_ in range(256)] for state, row in REQUEST_RECORDS.items()
}
"""The same with every type there can be, to be had by index: that is cheaper."""

AFTER_STREAM: Final = {
    Role.RESPONDER: {PARAMS: STDIN, STDIN: DONE},  # section 6.2
    Role.AUTHORIZER: {PARAMS: DONE},  # section 6.3
    Role.FILTER: {PARAMS: STDIN, STDIN: DATA, DATA: DONE},  # section 6.4
}
"""role -> state -> state that follows when its stream has ended."""

REQUEST_EVENTS: Final[dict[str, frozenset[type]]] = {
    STDIN: frozenset((Body, EndOfBody, Abort)),
    DATA: frozenset((FilterData, EndOfFilterData, Abort)),
    DONE: frozenset((Abort,)),
}
"""state -> events the web server may send. AFTER_STREAM says what follows an end."""

# -- the response half: from the application to the web server -----------------------------

# What the application may send is the same in every chapter: see answers.py.

RESPONSE_RECORDS: Final = {
    IDLE: {
        fcgi.FCGI_STDOUT: SKIP,
        fcgi.FCGI_STDERR: SKIP,
        fcgi.FCGI_END_REQUEST: SKIP,
    },
    HEAD: {
        fcgi.FCGI_STDOUT: TAKE,
        fcgi.FCGI_STDERR: TAKE,
        fcgi.FCGI_END_REQUEST: END,
    },
    BODY: {
        fcgi.FCGI_STDOUT: TAKE,
        fcgi.FCGI_STDERR: TAKE,
        fcgi.FCGI_END_REQUEST: END,
    },
}
"""state -> record type -> action, as the web server receives. Other types are skipped."""
