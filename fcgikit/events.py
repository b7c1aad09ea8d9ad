"""The waist: all that a wire protocol and an application gateway know of each other.

A chapter (``protocols/<name>``) turns bytes into these events and events into bytes; a
gateway (``gateways/<name>``) turns them into application calls and answers. Neither side
sees more than this file.

Text is native ``str`` decoded as latin-1: the identity map on bytes, PEP 3333's own
convention. Bodies are ``bytes``. Lengths are bytes.

What arrives together travels together: a request whose body is already here is one
:class:`Request` with ``complete=True``, and an answer that is known at once is one
:class:`Response` with ``complete=True``.

The classes are written out, because dataclasses gain nothing by being compiled: built by these, an
event then costs a sixth. By convention nobody changes an event after handing it on.
"""

from __future__ import annotations

import enum
from typing import ClassVar, Final, TypeAlias

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
APP: Final = Side.APP
RESPONDER: Final = Role.RESPONDER
AUTHORIZER: Final = Role.AUTHORIZER
FILTER: Final = Role.FILTER


class ProtocolStatus(enum.IntEnum):
    """How a request ended on the protocol level. FastCGI 1.0 section 5.5."""

    REQUEST_COMPLETE = 0
    CANT_MPX_CONN = 1
    OVERLOADED = 2
    UNKNOWN_ROLE = 3


REQUEST_COMPLETE: Final = ProtocolStatus.REQUEST_COMPLETE


class Fields:  # noqa: PLW1641 (no hash: they can be changed)
    """What all events have in common: their fields show them, and make them equal."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        fields = [f"{name}={getattr(self, name)!r}" for name in self.__match_args__]
        return f"{type(self).__name__}({', '.join(fields)})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__match_args__)


class RequestEvent(Fields):
    """Something about one request, by which most events are: *request_id* says which."""

    __slots__ = ("request_id",)
    __match_args__ = ("request_id",)

    def __init__(self, request_id: int) -> None:
        self.request_id = request_id


class DataEvent(RequestEvent):
    """A piece of one of a request's streams."""

    __slots__ = ("data",)
    __match_args__ = ("request_id", "data")

    def __init__(self, request_id: int, data: bytes) -> None:
        self.request_id = request_id
        self.data = data


class Request(RequestEvent):
    """A request begins. *body* holds what came along; ``complete`` says that this is all of it.

    *params* holds the CGI variables as the front end sent them: a repeated ``HTTP_*`` name
    is joined, of any other repeated name the last value counts.
    """

    __slots__ = ("body", "complete", "keep_conn", "params", "role")
    __match_args__ = ("request_id", "params", "role", "keep_conn", "body", "complete")

    def __init__(
        self,
        request_id: int,
        params: dict[str, str],
        role: Role = RESPONDER,
        keep_conn: bool = False,
        body: bytes = b"",
        complete: bool = False,
    ) -> None:
        self.request_id = request_id
        self.params = params
        self.role = role
        self.keep_conn = keep_conn
        self.body = body
        self.complete = complete


class Body(DataEvent):
    """A piece of the request body."""

    __slots__ = ()


class EndOfBody(RequestEvent):
    """The request body is complete."""

    __slots__ = ()


class FilterData(DataEvent):
    """A piece of the file a Filter works on. FastCGI 1.0 section 6.4."""

    __slots__ = ()


class EndOfFilterData(RequestEvent):
    """The filter's file is complete."""

    __slots__ = ()


class Abort(RequestEvent):
    """The front end no longer wants the answer: it said so, or its connection ended."""

    __slots__ = ()


class Response(RequestEvent):
    """The head of an answer, and whatever of its body is known by now."""

    __slots__ = ("body", "complete", "headers", "reason", "status")
    __match_args__ = ("request_id", "status", "reason", "headers", "body", "complete")

    def __init__(
        self,
        request_id: int,
        status: int,
        reason: str,
        headers: list[tuple[str, str]],
        body: bytes = b"",
        complete: bool = False,
    ) -> None:
        self.request_id = request_id
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
        self.complete = complete


class ResponseBody(DataEvent):
    """A piece of the answer's body."""

    __slots__ = ()


class Diagnostic(DataEvent):
    """Text for the front end's error log (``wsgi.errors``, FCGI_STDERR)."""

    __slots__ = ()


class EndOfResponse(RequestEvent):
    """The answer is complete."""

    __slots__ = ("app_status", "protocol_status")
    __match_args__ = ("request_id", "app_status", "protocol_status")

    def __init__(
        self,
        request_id: int,
        app_status: int = 0,
        protocol_status: ProtocolStatus = REQUEST_COMPLETE,
    ) -> None:
        self.request_id = request_id
        self.app_status = app_status
        self.protocol_status = protocol_status


class CutOff(RequestEvent):
    """The answer breaks off here, and the connection with it; the front end shall see that."""

    __slots__ = ()


class Refused(RequestEvent):
    """The chapter has refused a request; its answer is already in ``data_to_send()``.

    The driver logs *error*; no other event of this request follows.
    """

    __slots__ = ("error",)
    __match_args__ = ("request_id", "error")

    def __init__(self, request_id: int, error: RemoteProtocolError) -> None:
        self.request_id = request_id
        self.error = error


class GetValues(Fields):
    """WEB side, to be sent: ask the application for these variables. FastCGI 1.0 section 4.1."""

    __slots__ = ("names",)
    __match_args__ = ("names",)

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names


class Values(Fields):
    """WEB side, received: the variables the application knows, of those asked for."""

    __slots__ = ("values",)
    __match_args__ = ("values",)

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values


class UnknownType(Fields):
    """WEB side, received: the application does not know this management record type."""

    __slots__ = ("type",)
    __match_args__ = ("type",)

    def __init__(self, type: int) -> None:
        self.type = type


class Closed(Fields):
    """Nothing can follow on this connection: the peer has closed it, or broke the protocol."""

    __slots__ = ("error",)
    __match_args__ = ("error",)

    def __init__(self, error: RemoteProtocolError | None = None) -> None:
        self.error = error


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
