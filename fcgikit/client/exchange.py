"""One request as the client sees it: what is still sent, and what has come back. No I/O.

A driver hands every event of its connection to :class:`~fcgikit.client.link.Link`, which
hands it to the exchange it belongs to; whoever waits for an answer reads it off here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ..errors import (
    CannotMultiplex,
    ClientError,
    Overloaded,
    Rejected,
    RemoteProtocolError,
    ServerProtocolError,
    Truncated,
    UnknownRole,
)
from ..events import (
    Abort,
    Diagnostic,
    EndOfBody,
    EndOfResponse,
    Event,
    ProtocolStatus,
    Refused,
    Response,
    ResponseBody,
)

MAX_STDERR = 1 << 20
"""Bytes of one request's error stream that are kept: nobody need ever read it, so nothing
else would bound it. What comes after them is dropped."""

_BODILESS = (204, 304)

_REJECTIONS: dict[ProtocolStatus, tuple[type[Rejected], str]] = {
    ProtocolStatus.CANT_MPX_CONN: (CannotMultiplex, "takes one request at a time on a connection"),
    ProtocolStatus.OVERLOADED: (Overloaded, "is overloaded"),
    ProtocolStatus.UNKNOWN_ROLE: (UnknownRole, "does not play the role"),
}


class Exchange:
    """The answer to one request, as far as it is known, and whether the request is all sent.

    *bodiless* tells of a HEAD request. *notify* is called whenever something has changed.
    """

    __slots__ = (
        "_bodiless",
        "_missing",
        "address",
        "app_status",
        "ended",
        "error",
        "head",
        "last",
        "moved",
        "notify",
        "pieces",
        "protocol_status",
        "request_id",
        "stderr",
        "unread",
        "uploaded",
        "wanted",
    )

    def __init__(
        self, request_id: int, address: str, *, bodiless: bool, notify: Callable[[], None]
    ) -> None:
        self.request_id = request_id
        self.address = address
        self.notify = notify
        self.head: Response | None = None
        self.pieces: deque[bytes] = deque()
        self.unread = 0  # bytes in pieces
        self.stderr = bytearray()
        self.app_status = 0
        self.protocol_status = ProtocolStatus.REQUEST_COMPLETE
        self.error: ClientError | None = None
        self.ended = False  # nothing more comes: the answer is complete, or error says why not
        self.last: type[Event] = EndOfBody  # the event that completes the request
        self.uploaded = False
        self.wanted = True  # False: aborted, and what still comes is dropped
        self.moved = 0  # events either way: the measure of silence
        self._bodiless = bodiless
        self._missing = -1  # bytes that Content-Length still promises; negative: unknown

    @property
    def untouched(self) -> bool:
        """The server has shown no sign of the request: it may be sent again elsewhere."""
        return self.head is None and not self.stderr

    @property
    def answered(self) -> bool:
        """Its head is here, or it never comes."""
        return self.head is not None or self.ended

    @property
    def readable(self) -> bool:
        """A piece of the body is here, or no further one comes."""
        return bool(self.pieces) or self.ended

    def take(self, size: int = -1) -> bytes:
        """The next piece of the body, of at most *size* bytes unless that is negative.

        Empty at the end of the answer. Raises what cut it short.
        """
        if self.pieces:
            piece = self.pieces.popleft()
            if 0 <= size < len(piece):
                self.pieces.appendleft(piece[size:])
                piece = piece[:size]
            self.unread -= len(piece)
            return piece
        if self.error is not None:
            raise self.error
        return b""

    def receive(self, event: Event) -> None:
        """Take in one event of this request."""
        self.moved += 1
        if isinstance(event, Response):
            self._receive_head(event)
        elif isinstance(event, ResponseBody):
            self._receive_body(event.data)
        elif isinstance(event, Diagnostic):
            self.stderr += event.data[: MAX_STDERR - len(self.stderr)]
        elif isinstance(event, EndOfResponse):
            self._receive_end(event)
        elif isinstance(event, Refused):
            self.break_off(event.error)
        elif isinstance(event, Abort):
            self.break_off(None)

    def break_off(self, error: RemoteProtocolError | None) -> None:
        """End the exchange for what became of its connection; *error*: the server's fault."""
        if self.ended:
            return
        if error is not None:
            self._fail(ServerProtocolError(str(error), **self.facts()))
        else:
            known = "its answer was complete" if self.head else "it had answered"
            self._fail(
                Truncated(f"the server closed the connection before {known}", **self.facts())
            )

    def _receive_head(self, event: Response) -> None:
        self.head = event
        self._bodiless = self._bodiless or event.status in _BODILESS
        lengths = {value for name, value in event.headers if name.lower() == "content-length"}
        if len(lengths) == 1 and not self._bodiless:
            length = lengths.pop()
            if length.isascii() and length.isdigit() and len(length) < 19:
                self._missing = int(length)
        self._receive_body(event.body)
        if event.complete:
            self._receive_end(EndOfResponse(self.request_id))

    def _receive_body(self, data: bytes) -> None:
        if not data or self._bodiless:
            return
        if self._missing > 0:
            self._missing = max(0, self._missing - len(data))
        if self.wanted:
            self.pieces.append(data)
            self.unread += len(data)

    def _receive_end(self, event: EndOfResponse) -> None:
        self.app_status = event.app_status
        self.protocol_status = event.protocol_status
        rejection = _REJECTIONS.get(event.protocol_status)
        if rejection is not None:
            kind, words = rejection
            self._fail(
                kind(
                    f"the server {words} (FCGI_{event.protocol_status.name})",
                    protocol_status=event.protocol_status,
                    app_status=event.app_status,
                    **self.facts(),
                )
            )
        elif self.head is None:
            self._fail(
                ServerProtocolError(
                    "the application ended the request without an answer "
                    f"(appStatus {event.app_status})",
                    **self.facts(),
                )
            )
        elif self._missing > 0:
            self._fail(
                Truncated(
                    f"the answer ended {self._missing} bytes before its Content-Length "
                    f"(appStatus {event.app_status})",
                    **self.facts(),
                )
            )
        else:
            self.ended = True

    def _fail(self, error: ClientError) -> None:
        self.error = error
        self.ended = True

    def facts(self) -> dict[str, Any]:
        """What every error of this request tells."""
        return {"address": self.address, "stderr": bytes(self.stderr)}
