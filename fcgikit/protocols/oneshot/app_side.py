"""The application's side: one request in, one answer out."""

from __future__ import annotations

from ...config import Config
from ...errors import LocalProtocolError, RemoteProtocolError, Scope
from ...events import (
    Abort,
    Body,
    Closed,
    EndOfBody,
    Event,
    Refused,
    Request,
    Response,
    ResponseBody,
)
from .. import cgi
from ..answers import BODY, ENDED, HEAD, IDLE, RESPONSE_EVENTS
from ..interface import Buffers
from .codec import Codec
from .states import REQUEST_ID, check_id


class AppSide:
    """One request per connection, seen by the application."""

    def __init__(self, codec: Codec, config: Config) -> None:
        self._codec = codec
        self._limit = config.max_params_size
        self._request: str = HEAD
        self._answer: str = IDLE
        self._head = bytearray()
        self._missing = 0  # body bytes still to come
        self._refusal = b""
        self._excess = False  # bytes came that nobody will read
        self._closing = False
        self._closed = False  # Closed has been said
        self._eof = False

    # -- what the driver asks -----------------------------------------------------------

    @property
    def must_close(self) -> bool:
        """See :class:`~fcgikit.protocols.interface.Connection`."""
        return self._closing and not self._head and self.open_requests == 0

    @property
    def input_complete(self) -> bool:
        """See :class:`~fcgikit.protocols.interface.Connection`."""
        unread = bool(self._head) or self._request is BODY or self._excess
        return self._eof or not unread

    @property
    def open_requests(self) -> int:
        """1 from the request until the end of its answer."""
        return 1 if self._answer is HEAD or self._answer is BODY else 0

    def finish(self) -> None:
        """Close once no request is open; one that has begun to arrive is still served."""
        self._closing = True

    def data_to_send(self) -> bytes:
        """The answer to a refused request, once."""
        data, self._refusal = self._refusal, b""
        return data

    # -- bytes in, events out -----------------------------------------------------------

    def receive_data(self, data: bytes) -> list[Event]:
        """The events that *data* completes; bytes after the request are ignored."""
        if self._request is BODY:
            return self._receive_body(data)
        if self._request is ENDED:
            self._excess = self._excess or bool(data)
            return []
        self._head += data
        return self._receive_head() if self._head else []

    def receive_eof(self) -> list[Event]:
        """An abort of the request if it is not answered, then ``Closed``."""
        self._eof = self._closing = True
        if self._closed:
            return []
        self._closed = True
        self._request = ENDED
        if self._head:
            self._head.clear()
            return [Closed(RemoteProtocolError("the connection ended inside the CGI variables"))]
        return [Abort(REQUEST_ID), Closed()] if self.open_requests else [Closed()]

    def _receive_head(self) -> list[Event]:
        try:
            decoded = self._codec.decode_params(self._head, self._limit)
            if decoded is None:
                return []
            params, size = decoded
            missing = self._codec.body_size(params)
        except RemoteProtocolError as error:
            return [self._refuse(error)]
        body = bytes(self._head[size : size + missing])
        self._excess = len(self._head) > size + missing
        self._missing = missing - len(body)
        self._head.clear()
        self._request = BODY if self._missing else ENDED
        self._answer = HEAD
        return [Request(REQUEST_ID, params, body=body, complete=not self._missing)]

    def _receive_body(self, data: bytes) -> list[Event]:
        if not data:
            return []
        piece = data[: self._missing]
        self._excess = len(data) > len(piece)
        self._missing -= len(piece)
        if not self._missing:
            self._request = ENDED
        if not self.open_requests:  # answered early: nobody wants the rest (rule R3)
            return []
        events: list[Event] = [Body(REQUEST_ID, piece)]
        if not self._missing:
            events.append(EndOfBody(REQUEST_ID))
        return events

    def _refuse(self, error: RemoteProtocolError) -> Event:
        self._request = ENDED
        self._head.clear()
        self._excess = self._closing = True
        if error.scope is Scope.CONNECTION:
            self._closed = True
            return Closed(error)
        reason, headers, body = cgi.refusal(error.status, str(error))
        self._refusal = self._codec.encode_head(error.status, reason, headers) + body
        return Refused(REQUEST_ID, error)

    # -- events in, bytes out -----------------------------------------------------------

    def send(self, event: Event) -> Buffers:
        """The bytes of a Response or ResponseBody; a Diagnostic has no place in the protocol."""
        after = RESPONSE_EVENTS[self._answer].get(type(event))
        if after is None:
            raise LocalProtocolError(
                f"{type(event).__name__} while the answer is in state {self._answer}"
            )
        check_id(event)
        buffers: Buffers = []
        if isinstance(event, Response):
            buffers.append(self._codec.encode_head(event.status, event.reason, event.headers))
            if event.body:
                buffers.append(event.body)
            if event.complete:
                after = ENDED
        elif isinstance(event, ResponseBody) and event.data:
            buffers.append(event.data)
        self._answer = after
        if after is ENDED:
            self._closing = True
        return buffers

    def frame_body(self, request_id: int, count: int) -> tuple[bytes, int, bytes]:
        """A body needs no frame here. Raises ``LocalProtocolError`` unless one may be sent."""
        if self._answer is not BODY or request_id != REQUEST_ID:
            raise LocalProtocolError(f"a body while the answer is in state {self._answer}")
        return b"", count, b""
