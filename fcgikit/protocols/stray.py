"""The chapter for peers that came to the wrong socket: HTTP, TLS, or anything else.

The usual cause is ``proxy_pass`` where ``fastcgi_pass`` was meant. A visitor who speaks HTTP
is told so in HTTP; the log line, which is what the administrator sees, names the directive.
"""

from __future__ import annotations

import string
from typing import Final

from ..config import Config
from ..errors import LocalProtocolError, RemoteProtocolError
from ..events import Closed, Event, Side
from . import cgi
from .interface import Buffers

MAX_FIRST_LINE = 8192
"""Bytes of a request line we wait for before we answer anyway; what nginx takes by default."""

_HINT = "use fastcgi_pass, not proxy_pass"


FIRST_BYTES: Final[dict[int, str]] = {
    0x00: "uwsgi",
    0x01: "FastCGI",
    0x16: "TLS",
    **dict.fromkeys(string.digits.encode(), "SCGI"),
    **dict.fromkeys(string.ascii_letters.encode(), "HTTP"),
}
"""What begins with which byte, of all that we know."""


def guess(first: int) -> str:
    """The protocol that begins with byte *first*; ``""`` if none does that we know."""
    return FIRST_BYTES.get(first, "")


def describe(first: int) -> str:
    """What a connection that begins with byte *first* is about, as a log line."""
    name = guess(first)
    if not name:
        return f"the first byte 0x{first:02x} belongs to none of FastCGI, SCGI and uwsgi"
    if name in ("HTTP", "TLS"):
        return f"this looks like {name}: {_HINT}"
    return f"this looks like {name}: use --protocol {name.lower()} or auto"


class StrayConnection:
    """Answers one misdirected peer as well as it can be answered, then closes.

    Raises :class:`LocalProtocolError` for ``Side.WEB``: nobody sends such a thing on purpose.
    """

    def __init__(self, side: Side, config: Config) -> None:
        if side is not Side.APP:
            raise LocalProtocolError("a stray connection can only be received")
        self._line = bytearray()
        self._answer = b""
        self.must_close = False
        self.input_complete = False  # until the peer is done: what follows is never read
        self.open_requests = 0  # for ever: nothing here becomes a request

    def receive_data(self, data: bytes) -> list[Event]:
        """``Closed``, once the first line of HTTP or the first byte of anything else is here."""
        if self.must_close or not data:
            return []
        self._line += data
        if guess(self._line[0]) == "HTTP":
            if b"\n" not in data and len(self._line) < MAX_FIRST_LINE:
                return []
            self._answer = _http_refusal()
        return self._close()

    def receive_eof(self) -> list[Event]:
        """``Closed``, if it was not said before."""
        if self.input_complete:
            return []
        self.input_complete = True
        return [] if self.must_close else self._close()

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
        self.must_close = True

    def _close(self) -> list[Event]:
        self.must_close = True
        return [Closed(RemoteProtocolError(describe(self._line[0])) if self._line else None)]


def _http_refusal() -> bytes:
    explanation = (
        "this socket speaks FastCGI, SCGI and uwsgi, but not HTTP. "
        f"If a web server brought you here, its configuration should {_HINT}."
    )
    reason, headers, body = cgi.refusal(400, explanation)
    headers.append(("Connection", "close"))
    return cgi.encode_status_line_head(400, reason, headers) + body
