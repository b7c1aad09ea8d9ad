"""The web server's side: one request out, one answer in."""

from __future__ import annotations

from ...config import Config
from ...errors import LocalProtocolError, RemoteProtocolError, Scope
from ...events import (
    Abort,
    Body,
    Closed,
    EndOfBody,
    EndOfResponse,
    Event,
    Refused,
    Request,
    Response,
    ResponseBody,
    Role,
)
from .. import cgi
from ..answers import BODY, ENDED, HEAD, IDLE
from ..interface import Buffers
from .codec import Codec, decimal
from .states import REQUEST_EVENTS, REQUEST_ID, check_id


class WebSide:
    """One request per connection, seen by the web server.

    The answer ends with its Content-Length or, without one, with the connection.
    """

    def __init__(self, codec: Codec, config: Config) -> None:
        self._codec = codec
        self._request: str = IDLE
        self._answer: str = IDLE
        self._reader = cgi.HeadReader(config.max_head_size)
        self._bodiless = False  # a HEAD request: Content-Length tells of a body not sent
        self._to_send = 0  # body bytes that CONTENT_LENGTH still promises
        self._missing: int | None = None  # bytes of the answer still to come, if it says so
        self._excess = False
        self._closing = False
        self._closed = False
        self._eof = False

    # -- what the driver asks -----------------------------------------------------------

    @property
    def must_close(self) -> bool:
        """See :class:`~fcgikit.protocols.interface.Connection`."""
        return self._closing and self.open_requests == 0

    @property
    def input_complete(self) -> bool:
        """See :class:`~fcgikit.protocols.interface.Connection`."""
        return self._eof or (self.open_requests == 0 and not self._excess)

    @property
    def open_requests(self) -> int:
        """1 from the request until the end of its answer."""
        return 1 if self._answer is HEAD or self._answer is BODY else 0

    def finish(self) -> None:
        """Send no request any more; close once the one that runs is answered."""
        self._closing = True

    def data_to_send(self) -> bytes:
        """Nothing: the web server's side answers nothing by itself."""
        return b""

    # -- bytes in, events out -----------------------------------------------------------

    def receive_data(self, data: bytes) -> list[Event]:
        """The events that *data* completes; bytes after the answer are ignored."""
        if not data:
            return []
        if self._answer is BODY:
            piece = data if self._missing is None else data[: self._missing]
            events: list[Event] = [ResponseBody(REQUEST_ID, piece)] if piece else []
            if self._take(data, piece):
                events.append(EndOfResponse(REQUEST_ID))
            return events
        if self._answer is HEAD:
            try:
                return self._receive_head(data)
            except RemoteProtocolError as error:
                error.scope = Scope.REQUEST
                self._end_answer(excess=True)
                return [Refused(REQUEST_ID, error)]
        self._excess = True
        if self._answer is ENDED or self._closed:
            return []
        self._closing = self._closed = True
        return [Closed(RemoteProtocolError("the application sent bytes without a request"))]

    def receive_eof(self) -> list[Event]:
        """The end of the answer, or an abort if it was to be longer, then ``Closed``."""
        self._eof = self._closing = True
        if self._closed:
            return []
        self._closed = True
        unfinished = self._answer
        self._answer = ENDED
        if unfinished is HEAD:
            return [
                Abort(REQUEST_ID),
                Closed(RemoteProtocolError("the connection ended before an answer", status=502)),
            ]
        if unfinished is BODY and self._missing is None:
            return [EndOfResponse(REQUEST_ID), Closed()]
        if unfinished is BODY:
            message = f"the connection ended {self._missing} bytes before the answer did"
            return [Abort(REQUEST_ID), Closed(RemoteProtocolError(message, status=502))]
        return [Closed()]

    def _receive_head(self, data: bytes) -> list[Event]:
        parsed = self._reader.feed(data)
        if parsed is None:
            return []
        status, reason, headers, rest = parsed
        self._missing = _answer_size(headers)
        if self._bodiless or status in (204, 304):
            self._missing = 0
        self._answer = BODY
        body = rest if self._missing is None else rest[: self._missing]
        complete = self._take(rest, body)
        return [Response(REQUEST_ID, status, reason, headers, body, complete)]

    def _take(self, data: bytes, piece: bytes) -> bool:
        """Count *piece*, the part of *data* that is body; whether the answer ends with it."""
        if self._missing is None:
            return False
        self._missing -= len(piece)
        if self._missing:
            return False
        self._end_answer(excess=len(data) > len(piece))
        return True

    def _end_answer(self, *, excess: bool) -> None:
        self._answer = ENDED
        self._closing = True
        self._excess = excess

    # -- events in, bytes out -----------------------------------------------------------

    def send(self, event: Event) -> Buffers:
        """The bytes of a Request, Body or EndOfBody. An Abort has none: close the connection."""
        after = REQUEST_EVENTS[self._request].get(type(event))
        if after is None or (self._closing and isinstance(event, Request)):
            raise LocalProtocolError(
                f"{type(event).__name__} while the request is in state {self._request}"
            )
        check_id(event)
        buffers: Buffers = []
        if isinstance(event, Request):
            buffers = self._send_request(event)
            if event.complete:
                after = ENDED
        elif isinstance(event, Body):
            self._promise(len(event.data), complete=False)
            if event.data:
                buffers.append(event.data)
        elif isinstance(event, EndOfBody):
            self._promise(0, complete=True)
        else:
            self._end_answer(excess=True)
        self._request = after
        return buffers

    def frame_body(self, request_id: int, count: int) -> tuple[bytes, int, bytes]:
        """A body needs no frame here. Raises ``LocalProtocolError`` unless one may be sent."""
        if self._request is not BODY or request_id != REQUEST_ID:
            raise LocalProtocolError(f"a body while the request is in state {self._request}")
        self._promise(count, complete=False)
        return b"", count, b""

    def _send_request(self, event: Request) -> Buffers:
        if event.role is not Role.RESPONDER:
            raise LocalProtocolError(f"only FastCGI knows the role {event.role.name}")
        try:
            self._to_send = self._codec.body_size(event.params)
            block = self._codec.encode_params(event.params)
        except (RemoteProtocolError, UnicodeEncodeError) as error:
            raise LocalProtocolError(str(error)) from None
        self._promise(len(event.body), complete=event.complete)
        self._bodiless = event.params.get("REQUEST_METHOD") == "HEAD"
        self._answer = HEAD
        return [block, event.body] if event.body else [block]

    def _promise(self, size: int, *, complete: bool) -> None:
        """Hold our caller to CONTENT_LENGTH: the peer has no other way to find the end."""
        left = self._to_send - size
        if left < 0 or (complete and left):
            raise LocalProtocolError(f"the body differs from CONTENT_LENGTH by {abs(left)} bytes")
        self._to_send = left


def _answer_size(headers: cgi.Headers) -> int | None:
    values = {value for name, value in headers if name.lower() == "content-length"}
    if not values:
        return None
    size = decimal(values.pop())
    if size is None or values:
        raise RemoteProtocolError("the answer's Content-Length is not one number", status=502)
    return size
