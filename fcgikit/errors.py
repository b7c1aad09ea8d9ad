"""Every exception fcgikit raises, as one tree. Imports nothing of ours.

    FcgikitError
    ├── ConfigError                  a setting is wrong; names the setting to change
    ├── ProtocolError                never raised itself
    │   ├── LocalProtocolError       our caller used a chapter against its rules
    │   └── RemoteProtocolError      the peer sent bytes that break the protocol or a limit
    ├── RequestError (also OSError)  raised inside the application while it reads or writes
    │   ├── ClientDisconnected       the front end is gone or has aborted the request
    │   ├── BodyTruncated            the body ended before CONTENT_LENGTH bytes   -> 400
    │   ├── BodyTimeout              the body stopped arriving                    -> 408
    │   ├── BodyTooLarge             the body is longer than max_body_size        -> 413
    │   └── RequestRefused           its variables make no request for us     -> 400, 404
    └── ClientError                  fcgikit.client got no proper answer
        ├── ConnectFailed            nobody takes connections at the address
        ├── ClientTimeout            (also TimeoutError) too slow: connecting, or in silence
        ├── Truncated                the connection ended before the answer did
        ├── ServerProtocolError      what came back breaks the protocol or a limit
        └── Rejected                 FCGI_END_REQUEST refuses the request (section 5.5)
            ├── CannotMultiplex      FCGI_CANT_MPX_CONN: no second request on a connection
            ├── Overloaded           FCGI_OVERLOADED: too many requests; try later, or elsewhere
            └── UnknownRole          FCGI_UNKNOWN_ROLE: the application does not play this role

The ``RequestError`` branch derives from ``OSError`` because that is what applications
and frameworks expect ``wsgi.input`` to raise.
"""

from __future__ import annotations

import enum


class FcgikitError(Exception):
    """Base of every error of this package."""


class ConfigError(FcgikitError):
    """A setting cannot work. The message names the setting and says what to write instead.

    *settings* are the fields of :class:`~fcgikit.config.Config` at fault, where they are known:
    whoever has read them from somewhere can then say where.
    """

    def __init__(self, message: str, *settings: str) -> None:
        super().__init__(message)
        self.settings = settings


class Scope(enum.Enum):
    """How much a :class:`RemoteProtocolError` brings down."""

    REQUEST = "request"
    CONNECTION = "connection"


class ProtocolError(FcgikitError):
    """Base of both protocol errors; never raised itself."""


class LocalProtocolError(ProtocolError):
    """Our own caller asked a chapter for something the protocol does not allow now."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol or a limit.

    *scope* says whether one request or the whole connection is lost. *status* is the
    HTTP status the peer may still be told. *limit* names the :class:`~fcgikit.config.Config`
    field that was exceeded, or is empty when no setting would help.
    """

    def __init__(
        self,
        message: str,
        *,
        scope: Scope = Scope.CONNECTION,
        status: int = 400,
        limit: str = "",
    ) -> None:
        super().__init__(message)
        self.scope = scope
        self.status = status
        self.limit = limit


class RequestError(FcgikitError, OSError):
    """The current request cannot go on; *status* is what the client is told, if it can be."""

    status = 500


class ClientDisconnected(RequestError):
    """The front end closed the connection or aborted the request."""

    status = 499


class BodyTruncated(RequestError):
    """The request body ended before its declared length."""

    status = 400


class BodyTimeout(RequestError):
    """No body byte arrived for ``body_timeout`` seconds."""

    status = 408


class BodyTooLarge(RequestError):
    """The request body exceeds ``max_body_size``."""

    status = 413


class RequestRefused(RequestError):
    """The CGI variables do not make a request the application could be given.

    Raised before the application runs. *status* is 400 (they cannot be right), 404 (the
    path is outside the configured mount) or 413 (the announced body is too large).
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ClientError(FcgikitError):
    """A request of :mod:`fcgikit.client` got no proper answer.

    *address* is the server's, as the client was given it; *stderr* is what the application
    had written to its error stream until then.
    """

    def __init__(self, message: str, *, address: str = "", stderr: bytes = b"") -> None:
        super().__init__(f"{address}: {message}" if address else message)
        self.address = address
        self.stderr = stderr


class ConnectFailed(ClientError):
    """No connection to the server; ``__cause__`` is the system's ``OSError``."""


class ClientTimeout(ClientError, TimeoutError):
    """The server was too slow. *phase* is ``connect``, ``read`` (silence) or ``total``."""

    def __init__(self, message: str, *, phase: str, address: str = "", stderr: bytes = b"") -> None:
        super().__init__(message, address=address, stderr=stderr)
        self.phase = phase


class Truncated(ClientError):
    """The connection, or the answer, ended before the answer was complete."""


class ServerProtocolError(ClientError):
    """The server broke the protocol, or a limit of ours; or it ended a request unanswered."""


class Rejected(ClientError):
    """The server refused the request on the protocol level (FastCGI 1.0 section 5.5).

    *protocol_status* and *app_status* are those of FCGI_END_REQUEST.
    """

    def __init__(
        self,
        message: str,
        *,
        protocol_status: int,
        app_status: int = 0,
        address: str = "",
        stderr: bytes = b"",
    ) -> None:
        super().__init__(message, address=address, stderr=stderr)
        self.protocol_status = protocol_status
        self.app_status = app_status


class CannotMultiplex(Rejected):
    """FCGI_CANT_MPX_CONN: the server takes one request at a time on a connection."""


class Overloaded(Rejected):
    """FCGI_OVERLOADED: the server has as many requests as it takes."""


class UnknownRole(Rejected):
    """FCGI_UNKNOWN_ROLE: the application does not play the role that was asked for."""
