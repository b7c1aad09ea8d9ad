"""Every exception fcgikit raises, as one tree. Imports nothing of ours.

    FcgikitError
    ├── ConfigError                  a setting is wrong; names the setting to change
    ├── ProtocolError                never raised itself
    │   ├── LocalProtocolError       our caller used a chapter against its rules
    │   └── RemoteProtocolError      the peer sent bytes that break the protocol or a limit
    └── RequestError (also OSError)  raised inside the application while it reads or writes
        ├── ClientDisconnected       the front end is gone or has aborted the request
        ├── BodyTruncated            the body ended before CONTENT_LENGTH bytes   -> 400
        ├── BodyTimeout              the body stopped arriving                    -> 408
        ├── BodyTooLarge             the body is longer than max_body_size        -> 413
        └── RequestRefused           its variables make no request for us     -> 400, 404

The ``RequestError`` branch derives from ``OSError`` because that is what applications
and frameworks expect ``wsgi.input`` to raise.
"""

from __future__ import annotations

import enum


class FcgikitError(Exception):
    """Base of every error of this package."""


class ConfigError(FcgikitError):
    """A setting cannot work. The message names the setting and says what to write instead."""


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
