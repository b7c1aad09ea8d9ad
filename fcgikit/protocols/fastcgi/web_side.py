"""The web server's side of a FastCGI connection: requests out, answers in.

FastCGI 1.0 sections 3.5 (multiplexing), 4 (management) and 5 (application records).
"""

from __future__ import annotations

from ...config import Config
from ...errors import LocalProtocolError, RemoteProtocolError, Scope
from ...events import (
    Abort,
    Body,
    Closed,
    Diagnostic,
    EndOfBody,
    EndOfResponse,
    Event,
    FilterData,
    GetValues,
    Refused,
    Request,
    RequestEvent,
    Response,
    ResponseBody,
    Role,
    UnknownType,
    Values,
)
from .. import cgi
from ..answers import BODY, HEAD, IDLE
from ..interface import Buffers
from . import constants as fcgi
from . import states
from .pairs import decode_pairs, encode_pairs
from .records import (
    MAX_CONTENT,
    RecordReader,
    decode_end_request,
    encode_begin_request,
    encode_record,
    encode_stream,
    frame_stream,
)


class SentRequest:
    """One request: what we still send, and what the application still owes."""

    __slots__ = ("answer", "head", "keep_conn", "role", "state")

    def __init__(self, role: Role, keep_conn: bool, max_head_size: int) -> None:
        self.role = role
        self.keep_conn = keep_conn
        self.state: str = states.AFTER_STREAM[role][states.PARAMS]
        self.answer: str = HEAD
        self.head = cgi.HeadReader(max_head_size)


class WebSide:
    """Many requests on one connection, seen by the web server."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._reader = RecordReader()
        self._open: dict[int, SentRequest] = {}
        self._closing = False
        self._failed = False

    # -- what the driver asks -----------------------------------------------------------

    @property
    def must_close(self) -> bool:
        """See :class:`~fcgikit.protocols.interface.Connection`."""
        return self._closing and not self._open

    @property
    def input_complete(self) -> bool:
        """See :class:`~fcgikit.protocols.interface.Connection`."""
        return self._reader.empty and not self._open and not self._failed

    @property
    def open_requests(self) -> int:
        """Requests sent and not yet answered to the end."""
        return len(self._open)

    def finish(self) -> None:
        """Send no further request; close once those that run are answered."""
        self._closing = True

    def data_to_send(self) -> bytes:
        """Nothing: the web server's side answers nothing by itself."""
        return b""

    # -- bytes in, events out -----------------------------------------------------------

    def receive_data(self, data: bytes) -> list[Event]:
        """The events that *data* completes; see the interface for how errors are told."""
        if self._failed:
            return []
        events: list[Event] = []
        try:
            for type_, request_id, content in self._reader.feed(data):
                if request_id == fcgi.FCGI_NULL_REQUEST_ID:
                    self._receive_management(type_, content, events)
                else:
                    self._receive_record(type_, request_id, content, events)
            if self._reader.error is not None:
                raise self._reader.error
        except RemoteProtocolError as error:
            self._failed = True
            self._closing = True
            self._open.clear()
            events.append(Closed(error))
        return events

    def receive_eof(self) -> list[Event]:
        """Aborts of everything that is unanswered, then ``Closed``."""
        if self._failed:
            return []
        events: list[Event] = [Abort(request_id) for request_id in self._open]
        error = None
        if not self._reader.empty:
            error = RemoteProtocolError("the connection ended inside a record", status=502)
        self._open.clear()
        self._closing = True
        events.append(Closed(error))
        return events

    def _receive_record(
        self, type_: int, request_id: int, content: bytes, events: list[Event]
    ) -> None:
        request = self._open.get(request_id)
        state = IDLE if request is None else request.answer
        action = states.RESPONSE_RECORDS[state].get(type_, states.SKIP)
        if request is None or action is states.SKIP:
            return
        if action is states.END:
            app_status, protocol_status = decode_end_request(content)
            self._close_request(request_id, request)
            events.append(EndOfResponse(request_id, app_status, protocol_status))
        elif not content:
            pass  # END_REQUEST ends an answer; the empty record before it is optional in practice
        elif type_ == fcgi.FCGI_STDERR:
            events.append(Diagnostic(request_id, content))
        elif state is BODY:
            events.append(ResponseBody(request_id, content))
        else:
            self._receive_head(request_id, request, content, events)

    def _receive_head(
        self, request_id: int, request: SentRequest, content: bytes, events: list[Event]
    ) -> None:
        try:
            parsed = request.head.feed(content)
        except RemoteProtocolError as error:  # the records are sound: only this answer is lost
            error.scope = Scope.REQUEST
            self._close_request(request_id, request)
            events.append(Refused(request_id, error))
            return
        if parsed is not None:
            status, reason, headers, rest = parsed
            request.answer = BODY
            events.append(Response(request_id, status, reason, headers, rest))

    def _receive_management(self, type_: int, content: bytes, events: list[Event]) -> None:
        if type_ == fcgi.FCGI_GET_VALUES_RESULT:
            events.append(Values(dict(decode_pairs(content))))
        elif type_ == fcgi.FCGI_UNKNOWN_TYPE and len(content) == 8:
            events.append(UnknownType(content[0]))
        else:
            name = fcgi.RECORD_NAMES.get(type_, f"record of type {type_}")
            raise RemoteProtocolError(f"{name} of {len(content)} bytes with request id 0")

    def _close_request(self, request_id: int, request: SentRequest) -> None:
        del self._open[request_id]
        if not request.keep_conn:
            self._closing = True

    # -- events in, bytes out -----------------------------------------------------------

    def send(self, event: Event) -> Buffers:
        """The records of a request's events, or of ``GetValues``."""
        if isinstance(event, Request):
            return self._send_request(event)
        if isinstance(event, GetValues):
            block = encode_pairs((name, "") for name in event.names)
            return [encode_record(fcgi.FCGI_GET_VALUES, fcgi.FCGI_NULL_REQUEST_ID, block)]
        request_id = event.request_id if isinstance(event, RequestEvent) else 0
        request = self._open.get(request_id)
        if request is None:
            raise LocalProtocolError(f"request {request_id} is not open")
        if type(event) not in states.REQUEST_EVENTS[request.state]:
            raise LocalProtocolError(
                f"{type(event).__name__} while the request is in state {request.state}"
            )
        if isinstance(event, Body):
            return encode_stream(fcgi.FCGI_STDIN, request_id, event.data) if event.data else []
        if isinstance(event, FilterData):
            return encode_stream(fcgi.FCGI_DATA, request_id, event.data) if event.data else []
        if isinstance(event, Abort):
            request.state = states.DONE
            return [encode_record(fcgi.FCGI_ABORT_REQUEST, request_id)]
        ended = fcgi.FCGI_STDIN if request.state is states.STDIN else fcgi.FCGI_DATA
        request.state = states.AFTER_STREAM[request.role][request.state]
        return [encode_record(ended, request_id)]

    def frame_body(self, request_id: int, count: int) -> tuple[bytes, int, bytes]:
        """See :class:`~fcgikit.protocols.interface.Connection`."""
        return frame_stream(fcgi.FCGI_STDIN, request_id, count)

    def _send_request(self, event: Request) -> Buffers:
        request_id = event.request_id
        if not 0 < request_id <= fcgi.FCGI_MAX_LENGTH:
            raise LocalProtocolError(f"request id {request_id} is not between 1 and 65535")
        if request_id in self._open:
            raise LocalProtocolError(f"request {request_id} is already open")
        if self._closing:
            raise LocalProtocolError("this connection takes no further request")
        try:
            block = encode_pairs(event.params.items())
        except UnicodeEncodeError as error:
            raise LocalProtocolError(str(error)) from None
        request = self._open[request_id] = SentRequest(
            event.role, event.keep_conn, self._config.max_head_size
        )
        start = [encode_begin_request(request_id, event.role, event.keep_conn)]
        for at in range(0, len(block), MAX_CONTENT):
            start.append(encode_record(fcgi.FCGI_PARAMS, request_id, block[at : at + MAX_CONTENT]))
        start.append(encode_record(fcgi.FCGI_PARAMS, request_id))
        if event.role is Role.AUTHORIZER:
            # Nothing of it is due (section 6.3), but libfcgi, uWSGI and others wait for its end.
            start.append(encode_record(fcgi.FCGI_STDIN, request_id))
        buffers: Buffers = [b"".join(start)]
        if event.body:
            buffers += self.send(Body(request_id, event.body))
        if event.complete and request.state is not states.DONE:
            buffers += self.send(EndOfBody(request_id))
        return buffers
