"""The chapter for peers that came to the wrong socket: HTTP, TLS, or anything else.

The usual cause is ``proxy_pass`` where ``fastcgi_pass`` was meant. A visitor who speaks HTTP
is told so in HTTP; the log line, which is what the administrator sees, names the directive.
"""

from __future__ import annotations

from ..config import Config
from ..errors import LocalProtocolError, RemoteProtocolError
from ..events import Closed, Event, Side
from . import cgi
from .interface import Buffers

MAX_FIRST_LINE = 8192
"""Bytes of a request line we wait for before we answer anyway; what nginx takes by default."""

_TLS_HANDSHAKE = 0x16
_HINT = "use fastcgi_pass, not proxy_pass"


def describe(first: int) -> str:
    """What a connection that begins with byte *first* probably speaks, as a log line."""
    if is_http(first):
        return f"this looks like HTTP: {_HINT}"
    if first == _TLS_HANDSHAKE:
        return f"this looks like TLS: {_HINT}, and let the web server end TLS"
    if first == 0x01:
        return "this looks like FastCGI: use another pass directive or --protocol fastcgi"
    if 0x30 <= first <= 0x39:
        return "this looks like SCGI: use another pass directive or --protocol scgi"
    if first == 0x00:
        return "this looks like uwsgi: use another pass directive or --protocol uwsgi"
    return f"the first byte 0x{first:02x} belongs to none of FastCGI, SCGI and uwsgi"


def is_http(first: int) -> bool:
    """Whether a connection that begins with byte *first* can only be HTTP: methods are words."""
    return 0x41 <= first <= 0x5A or 0x61 <= first <= 0x7A


class StrayConnection:
    """Answers one misdirected peer as well as it can be answered, then closes.

    Raises :class:`LocalProtocolError` for ``Side.WEB``: nobody sends such a thing on purpose.
    """

    def __init__(self, side: Side, config: Config) -> None:
        if side is not Side.APP:
            raise LocalProtocolError("a stray connection can only be received")
        self._line = bytearray()
        self._answer = b""
        self._must_close = False
        self._eof = False

    @property
    def must_close(self) -> bool:
        """See :class:`~fcgikit.protocols.interface.Connection`."""
        return self._must_close

    @property
    def input_complete(self) -> bool:
        """False until the peer is done: what follows the first line is never read."""
        return self._eof

    @property
    def open_requests(self) -> int:
        """Always 0: nothing here becomes a request."""
        return 0

    def receive_data(self, data: bytes) -> list[Event]:
        """``Closed``, once the first line of HTTP or the first byte of anything else is here."""
        if self._must_close or not data:
            return []
        self._line += data
        if is_http(self._line[0]):
            if b"\n" not in data and len(self._line) < MAX_FIRST_LINE:
                return []
            self._answer = _http_refusal()
        return self._close()

    def receive_eof(self) -> list[Event]:
        """``Closed``, if it was not said before."""
        if self._eof:
            return []
        self._eof = True
        return [] if self._must_close else self._close()

    def send(self, event: Event) -> Buffers:
        """Always raises ``LocalProtocolError``: there is no request to answer."""
        raise LocalProtocolError(f"{type(event).__name__} on a connection without requests")

    def frame_body(self, request_id: int, count: int) -> tuple[bytes, int, bytes]:
        """Always raises ``LocalProtocolError``."""
        raise LocalProtocolError("a body on a connection without requests")

    def data_to_send(self) -> bytes:
        """The HTTP answer, once."""
        data, self._answer = self._answer, b""
        return data

    def finish(self) -> None:
        """Close at once: there is nothing to wait for."""
        self._must_close = True

    def _close(self) -> list[Event]:
        self._must_close = True
        return [Closed(RemoteProtocolError(describe(self._line[0])) if self._line else None)]


def _http_refusal() -> bytes:
    explanation = (
        "this socket speaks FastCGI, SCGI and uwsgi, but not HTTP. "
        f"If a web server brought you here, its configuration should {_HINT}."
    )
    reason, headers, body = cgi.refusal(400, explanation)
    headers.append(("Connection", "close"))
    return cgi.encode_status_line_head(400, reason, headers) + body
