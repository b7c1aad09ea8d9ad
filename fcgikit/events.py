"""The waist: all that a wire protocol and an application gateway know of each other.

A chapter (``protocols/<name>``) turns bytes into these events and events into bytes; a
gateway (``gateways/<name>``) turns them into application calls and answers. Neither side
sees more than this file.

Text is native ``str`` decoded as latin-1: the identity map on bytes, PEP 3333's own
convention. Bodies are ``bytes``. Lengths are bytes.

What arrives together travels together: a request whose body is already here is one
:class:`Request` with ``complete=True``, and an answer that is known at once is one
:class:`Response` with ``complete=True``.

The classes are slotted dataclasses, not frozen ones: building a frozen one costs five
times as much. By convention nobody changes an event after handing it on.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, TypeAlias

from .errors import RemoteProtocolError


class Side(enum.Enum):
    """Who we are on a connection. (FastCGI already owns the word *role*.)"""

    APP = "app"
    WEB = "web"


class Role(enum.IntEnum):
    """What the front end wants of the application. FastCGI 1.0 section 6."""

    RESPONDER = 1
    AUTHORIZER = 2
    FILTER = 3


# For who asks at every request: a name costs a tenth of an Enum's attribute.
RESPONDER: Final = Role.RESPONDER
AUTHORIZER: Final = Role.AUTHORIZER
FILTER: Final = Role.FILTER


class ProtocolStatus(enum.IntEnum):
    """How a request ended on the protocol level. FastCGI 1.0 section 5.5."""

    REQUEST_COMPLETE = 0
    CANT_MPX_CONN = 1
    OVERLOADED = 2
    UNKNOWN_ROLE = 3


@dataclass(slots=True)
class Request:
    """A request begins. *body* holds what came along; ``complete`` says that this is all of it.

    *params* holds the CGI variables as the front end sent them: a repeated ``HTTP_*`` name
    is joined, of any other repeated name the last value counts.
    """

    request_id: int
    params: dict[str, str]
    role: Role = Role.RESPONDER
    keep_conn: bool = False
    body: bytes = b""
    complete: bool = False


@dataclass(slots=True)
class Body:
    """A piece of the request body."""

    request_id: int
    data: bytes


@dataclass(slots=True)
class EndOfBody:
    """The request body is complete."""

    request_id: int


@dataclass(slots=True)
class FilterData:
    """A piece of the file a Filter works on. FastCGI 1.0 section 6.4."""

    request_id: int
    data: bytes


@dataclass(slots=True)
class EndOfFilterData:
    """The filter's file is complete."""

    request_id: int


@dataclass(slots=True)
class Abort:
    """The front end no longer wants the answer: it said so, or its connection ended."""

    request_id: int


@dataclass(slots=True)
class Response:
    """The head of an answer, and whatever of its body is known by now."""

    request_id: int
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    complete: bool = False


@dataclass(slots=True)
class ResponseBody:
    """A piece of the answer's body."""

    request_id: int
    data: bytes


@dataclass(slots=True)
class Diagnostic:
    """Text for the front end's error log (``wsgi.errors``, FCGI_STDERR)."""

    request_id: int
    data: bytes


@dataclass(slots=True)
class EndOfResponse:
    """The answer is complete."""

    request_id: int
    app_status: int = 0
    protocol_status: ProtocolStatus = ProtocolStatus.REQUEST_COMPLETE


@dataclass(slots=True)
class CutOff:
    """The answer breaks off here, and the connection with it; the front end shall see that."""

    request_id: int


@dataclass(slots=True)
class Refused:
    """The chapter has refused a request; its answer is already in ``data_to_send()``.

    The driver logs *error*; no other event of this request follows.
    """

    request_id: int
    error: RemoteProtocolError


@dataclass(slots=True)
class GetValues:
    """WEB side, to be sent: ask the application for these variables. FastCGI 1.0 section 4.1."""

    names: tuple[str, ...]


@dataclass(slots=True)
class Values:
    """WEB side, received: the variables the application knows, of those asked for."""

    values: dict[str, str]


@dataclass(slots=True)
class UnknownType:
    """WEB side, received: the application does not know this management record type."""

    type: int


@dataclass(slots=True)
class Closed:
    """Nothing can follow on this connection: the peer has closed it, or broke the protocol."""

    error: RemoteProtocolError | None = None


Event: TypeAlias = (
    Request
    | Body
    | EndOfBody
    | FilterData
    | EndOfFilterData
    | Abort
    | Response
    | ResponseBody
    | Diagnostic
    | EndOfResponse
    | CutOff
    | Refused
    | GetValues
    | Values
    | UnknownType
    | Closed
)
