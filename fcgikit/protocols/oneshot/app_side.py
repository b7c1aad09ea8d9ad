"""The application's side: one request in, one answer out."""

from __future__ import annotations

from typing import Final

from ...config import Config
from ...errors import LocalProtocolError, RemoteProtocolError, Scope
from ...events import (
    RESPONDER,
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
from .states import CLOSED, REQUEST_ID, check_id

MAX_JOINED: Final = 8 * 1024
"""Bytes of body up to which a copy costs less than a second buffer for the kernel."""


class AppSide:
    """One request per connection, seen by the application."""

    __slots__ = ("_answer", "_codec", "_head", "_limit", "_missing", "_refusal", "_request",
                 "_size", "input_complete", "must_close", "open_requests")  # fmt: skip

    def __init__(self, codec: Codec, config: Config) -> None:
        self._codec = codec
        self._limit = config.max_params_size
        self._request: str = HEAD
        self._answer: str = IDLE
        self._head: bytearray | None = None  # of a block that comes in pieces
        self._size = 0  # of the block; 0: not known yet
        self._missing = 0  # body bytes still to come
        self._refusal = b""
        # What the driver asks at each step is kept up to date, not computed; see the interface.
        self.must_close = False
        self.input_complete = True
        self.open_requests = 0  # 1 from the request until the end of its answer

    def finish(self) -> None:
        """Close once no request is open; one that has begun to arrive is still served."""
        if self._head is None and not self.open_requests:
            self.must_close = True  # else the end of the answer will say so

    def data_to_send(self) -> bytes:
        """The answer to a refused request, once."""
        data = self._refusal
        if data:
            self._refusal = b""
        return data

    # -- bytes in, events out -----------------------------------------------------------

    def receive_data(self, data: bytes) -> list[Event]:
        """The events that *data* completes; bytes after the request are ignored."""
        if not data:
            return []
        if self._request is HEAD:
            return self._receive_head(data)
        if self._request is BODY:
            return self._receive_body(data)
        self.input_complete = False
        return []

    def receive_eof(self) -> list[Event]:
        """An abort of the request if it is not answered, then ``Closed``."""
        self.input_complete = True
        if self._request is CLOSED:
            return []
        self._request = CLOSED
        if self.open_requests:
            return [Abort(REQUEST_ID), Closed()]
        self.must_close = True
        if self._head is None:
            return [Closed()]
        self._head = None
        return [Closed(RemoteProtocolError("the connection ended inside the CGI variables"))]

    def _receive_head(self, data: bytes) -> list[Event]:
        self.must_close = self.input_complete = False
        if self._head is not None:
            self._head += data
            if len(self._head) < self._size:
                return []
            data = bytes(self._head)
        codec = self._codec
        try:
            size = codec.block_size(data, self._limit)
            if not size or len(data) < size:
                self._size = size
                if self._head is None:
                    self._head = bytearray(data)
                return []
            params = codec.decode_params(data, size)
            body_size = codec.body_size(params)
        except RemoteProtocolError as error:
            return [self._refuse(error)]
        self._head = None
        body = data[size : size + body_size]
        missing = self._missing = body_size - len(body)
        self._request = BODY if missing else ENDED
        self.input_complete = len(data) == size + body_size
        self._answer = HEAD
        self.open_requests = 1
        return [Request(REQUEST_ID, params, RESPONDER, False, body, not missing)]

    def _receive_body(self, data: bytes) -> list[Event]:
        piece = data[: self._missing]
        self._missing -= len(piece)
        if not self._missing:
            self._request = ENDED
            self.input_complete = len(piece) == len(data)
        if not self.open_requests:  # answered early: nobody wants the rest (rule R3)
            return []
        events: list[Event] = [Body(REQUEST_ID, piece)]
        if not self._missing:
            events.append(EndOfBody(REQUEST_ID))
        return events

    def _refuse(self, error: RemoteProtocolError) -> Event:
        self._head = None
        self.must_close = True
        if error.scope is Scope.CONNECTION:
            self._request = CLOSED
            return Closed(error)
        self._request = ENDED
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
            head = self._codec.encode_head(event.status, event.reason, event.headers)
            body = event.body
            buffers = [head + body] if len(body) <= MAX_JOINED else [head, body]
            if event.complete:
                after = ENDED
        elif isinstance(event, ResponseBody) and event.data:
            buffers.append(event.data)
        self._answer = after
        if after is ENDED:
            self.must_close = True
            self.open_requests = 0
        return buffers

    def frame_body(self, request_id: int, count: int) -> tuple[bytes, int, bytes]:
        """A body needs no frame here. Raises ``LocalProtocolError`` unless one may be sent."""
        if self._answer is not BODY or request_id != REQUEST_ID:
            raise LocalProtocolError(f"a body while the answer is in state {self._answer}")
        return b"", count, b""
