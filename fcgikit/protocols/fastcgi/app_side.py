"""The application's side of a FastCGI connection: request records in, answers out.

FastCGI 1.0 sections 3.5 (multiplexing), 4 (management) and 5 (application records).
"""

from __future__ import annotations

from ...config import Config
from ...errors import LocalProtocolError, RemoteProtocolError, Scope
from ...events import (
    AUTHORIZER,
    RESPONDER,
    Abort,
    Body,
    Closed,
    Diagnostic,
    EndOfBody,
    EndOfFilterData,
    EndOfResponse,
    Event,
    FilterData,
    ProtocolStatus,
    Refused,
    Request,
    RequestEvent,
    Response,
    ResponseBody,
    Role,
)
from .. import cgi
from ..answers import BODY, IDLE, RESPONSE_EVENTS
from ..interface import Buffers
from ..stray import describe
from . import constants as fcgi
from . import states
from .pairs import decode_params
from .records import (
    MAX_CONTENT,
    Record,
    RecordReader,
    decode_begin_request,
    encode_answer,
    encode_end_of_response,
    encode_record,
    encode_stream,
    encode_unknown_type,
    frame_stream,
)
from .requests import BODILESS_ID, OpenRequest, bodiless_request
from .states import ABORT, BEGIN, DATA, DONE, PARAMS, STDIN, TAKE, VIOLATION
from .values import values_result

_ROLES = {role.value: role for role in Role}
_ACTIONS = states.REQUEST_ACTIONS


class AppSide:
    """Many requests on one connection, seen by the application."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._reader = RecordReader()
        self._open: dict[int, OpenRequest] = {}
        # Answered or refused while the peer was still sending: id -> request, whose records
        # are skipped until its last stream ends.
        self._late: dict[int, OpenRequest] = {}
        self._late_bytes = 0
        self._answers: list[bytes] = []
        self._closing = False
        self._failed = False
        self._untouched = True
        self.must_close = False  # closing, and no request is open

    # -- what the driver asks -----------------------------------------------------------

    @property
    def input_complete(self) -> bool:
        """See :class:`~fcgikit.protocols.interface.Connection`."""
        return self._reader.empty and not self._late and not self._failed

    @property
    def open_requests(self) -> int:
        """Requests begun and not yet answered to the end."""
        return len(self._open)

    def finish(self) -> None:
        """Close once no request is open; one that has already been sent is still served."""
        self._close()

    def data_to_send(self) -> bytes:
        """Answers to management records and to refused requests."""
        if not self._answers:
            return b""
        data = b"".join(self._answers)
        self._answers.clear()
        return data

    # -- bytes in, events out -----------------------------------------------------------

    def receive_data(self, data: bytes) -> list[Event]:
        """The events that *data* completes; see the interface for how errors are told."""
        if self._failed:
            return []
        if self._untouched and data:
            self._untouched = False
            if data[0] != fcgi.FCGI_VERSION_1:
                return [self._fail(RemoteProtocolError(describe(data[0])))]
        if not self._open and self._reader.empty and not self._late:  # then the usual: all at once
            whole = bodiless_request(data, self._config.max_params_size)
            if whole is not None:
                self._open[BODILESS_ID] = OpenRequest(RESPONDER, whole.keep_conn, DONE)
                self.must_close = False
                return [whole]
        events: list[Event] = []
        try:
            self._receive_records(self._reader.feed(data), events)
            if self._reader.error is not None:
                raise self._reader.error
        except RemoteProtocolError as error:
            events.append(self._fail(error))
        return events

    def receive_eof(self) -> list[Event]:
        """Aborts of everything that is open, then ``Closed``."""
        if self._failed:
            return []
        events: list[Event] = []
        error = None
        for request_id, request in list(self._open.items()):
            if request.state is PARAMS:
                del self._open[request_id]
                error = RemoteProtocolError("the connection ended before a request was complete")
            else:
                events.append(Abort(request_id))
        if not self._reader.empty:
            error = RemoteProtocolError("the connection ended inside a record")
        self._close()
        self._late.clear()
        events.append(Closed(error))
        return events

    def _receive_records(self, records: list[Record], events: list[Event]) -> None:
        fresh: Request | None = None  # the request whose body may still travel with it
        for type_, request_id, content in records:
            request = self._open.get(request_id)
            if request is None:
                if request_id == fcgi.FCGI_NULL_REQUEST_ID:
                    self._receive_management(type_, content)
                elif _ACTIONS[IDLE][type_] is BEGIN:
                    self._begin(request_id, content, events)
                elif request_id in self._late:
                    self._skip_late(type_, request_id, content)
                continue
            state = request.state
            action = _ACTIONS[state][type_]
            if action is TAKE:
                if state is PARAMS:
                    if not content:
                        fresh = self._start(request_id, request, events)
                        continue
                    request.params.append(content)
                    request.params_size += len(content)
                    if request.params_size > self._config.max_params_size:
                        self._refuse_params(request_id, events)
                elif fresh is not None and fresh.request_id == request_id:
                    self._add_to(fresh, request, content, events)
                else:
                    self._pass_on(request_id, request, content, events)
            elif action is ABORT:
                self._abort(request_id, request, events)
            elif action is VIOLATION:
                raise RemoteProtocolError(
                    f"{fcgi.RECORD_NAMES[type_]} for request {request_id}, "
                    f"which is in state {state}"
                )

    def _begin(self, request_id: int, content: bytes, events: list[Event]) -> None:
        role_number, keep_conn = decode_begin_request(content)
        if self._late:
            self._late.pop(request_id, None)
        role = _ROLES.get(role_number)
        self._open[request_id] = OpenRequest(role or RESPONDER, keep_conn)
        self.must_close = False  # even if it comes after the last one that was to come
        if role is None:
            error = RemoteProtocolError(
                f"FastCGI role {role_number} is unknown", scope=Scope.REQUEST, status=500
            )
            self._refuse(request_id, error, events, ProtocolStatus.UNKNOWN_ROLE)
        elif len(self._open) > self._config.max_requests_per_connection:
            # A request that never gets its variables must not lock the others out.
            victim = next(i for i, r in self._open.items() if r.state is PARAMS)
            error = RemoteProtocolError(
                f"more than {self._config.max_requests_per_connection} requests on one connection",
                scope=Scope.REQUEST, status=503, limit="max_requests_per_connection",
            )  # fmt: skip
            self._refuse(victim, error, events, ProtocolStatus.OVERLOADED)

    def _refuse_params(self, request_id: int, events: list[Event]) -> None:
        error = RemoteProtocolError(
            f"more than {self._config.max_params_size} bytes of CGI variables",
            scope=Scope.REQUEST, status=431, limit="max_params_size",
        )  # fmt: skip
        self._refuse(request_id, error, events)

    def _start(
        self, request_id: int, request: OpenRequest, events: list[Event]
    ) -> Request | None:
        blocks, request.params = request.params, []
        request.end_stream()
        try:
            params = decode_params(blocks[0] if len(blocks) == 1 else b"".join(blocks))
        except RemoteProtocolError as error:  # the records are sound: only this request is lost
            self._refuse(request_id, error, events)
            return None
        complete = request.state is DONE
        event = Request(request_id, params, request.role, request.keep_conn, b"", complete)
        events.append(event)
        return event

    def _add_to(
        self, event: Request, request: OpenRequest, content: bytes, events: list[Event]
    ) -> None:
        """A body piece that came with its request travels in the request's own event."""
        if request.state is STDIN and content:
            event.body = event.body + content if event.body else content
        elif request.state is STDIN and request.role is RESPONDER:
            event.complete = True
            request.state = DONE
        else:
            self._pass_on(event.request_id, request, content, events)

    def _pass_on(
        self, request_id: int, request: OpenRequest, content: bytes, events: list[Event]
    ) -> None:
        filter_data = request.state is DATA
        if content:
            events.append((FilterData if filter_data else Body)(request_id, content))
        else:
            events.append((EndOfFilterData if filter_data else EndOfBody)(request_id))
            request.end_stream()

    def _abort(self, request_id: int, request: OpenRequest, events: list[Event]) -> None:
        if request.state is PARAMS:  # nobody has heard of it: the answer is ours
            status = ProtocolStatus.REQUEST_COMPLETE
            self._answers.append(encode_end_of_response(request_id, 0, status))
            request.state = DONE
            self._close_request(request_id, request)
        else:
            request.state = DONE
            events.append(Abort(request_id))

    def _skip_late(self, type_: int, request_id: int, content: bytes) -> None:
        late = self._late[request_id]
        action = _ACTIONS[late.state][type_]
        self._late_bytes += len(content)
        if self._late_bytes > self._config.drain_limit:
            raise RemoteProtocolError(
                f"more than {self._config.drain_limit} bytes for requests already answered",
                limit="drain_limit",
            )
        if action is TAKE and not content:
            late.end_stream()
        if action is ABORT or late.state is DONE:
            del self._late[request_id]
            if not self._late:
                self._late_bytes = 0

    def _receive_management(self, type_: int, content: bytes) -> None:
        if type_ == fcgi.FCGI_GET_VALUES:
            self._answers.append(values_result(content, self._config))
        elif fcgi.FCGI_BEGIN_REQUEST <= type_ <= fcgi.FCGI_DATA:
            raise RemoteProtocolError(f"{fcgi.RECORD_NAMES[type_]} with request id 0")
        elif type_ not in (fcgi.FCGI_GET_VALUES_RESULT, fcgi.FCGI_UNKNOWN_TYPE):
            self._answers.append(encode_unknown_type(type_))

    # -- events in, bytes out -----------------------------------------------------------

    def send(self, event: Event) -> Buffers:
        """The records of a Response, ResponseBody, Diagnostic, EndOfResponse or CutOff."""
        request_id = event.request_id if isinstance(event, RequestEvent) else 0
        request = self._open.get(request_id)
        if request is None:
            raise LocalProtocolError(f"request {request_id} is not open")
        if request.answer is BODY and isinstance(event, ResponseBody):  # which it remains
            return encode_stream(fcgi.FCGI_STDOUT, request_id, event.data) if event.data else []
        try:
            request.answer = RESPONSE_EVENTS[request.answer][type(event)]
        except KeyError:
            raise LocalProtocolError(
                f"{type(event).__name__} while the answer is in state {request.answer}"
            ) from None
        if isinstance(event, Response):
            return self._send_response(event, request)
        if isinstance(event, Diagnostic):
            request.stderr += event.data
            return []
        if isinstance(event, EndOfResponse):
            return [self._end(request_id, request, event.app_status, event.protocol_status)]
        return [self._cut_off(request_id, request)]

    def frame_body(self, request_id: int, count: int) -> tuple[bytes, int, bytes]:
        """See :class:`~fcgikit.protocols.interface.Connection`."""
        return frame_stream(fcgi.FCGI_STDOUT, request_id, count)

    def _send_response(self, event: Response, request: OpenRequest) -> Buffers:
        request_id, body = event.request_id, event.body
        if request.role is AUTHORIZER:
            head = cgi.encode_authorizer_head(event.status, event.reason, event.headers)
        else:
            head = cgi.encode_head(event.status, event.reason, event.headers)
        if event.complete and not request.stderr and len(head) + len(body) <= MAX_CONTENT:
            self._close_request(request_id, request)
            return [encode_answer(request_id, head, body)]
        buffers = encode_stream(fcgi.FCGI_STDOUT, request_id, head + body if body else head)
        if event.complete:
            buffers.append(self._end(request_id, request, 0, ProtocolStatus.REQUEST_COMPLETE))
        return buffers

    def _end(
        self, request_id: int, request: OpenRequest, app_status: int, status: ProtocolStatus
    ) -> bytes:
        self._close_request(request_id, request)
        end = encode_end_of_response(request_id, app_status, status)
        return self._end_of_stderr(request_id, request) + end

    def _cut_off(self, request_id: int, request: OpenRequest) -> bytes:
        """An empty FCGI_GET_VALUES_RESULT that nobody has asked for.

        Without FCGI_KEEP_CONN nginx takes the end of the connection for the end of the answer,
        whether FCGI_END_REQUEST came or not. A management record here is an error to it, so it
        drops the client's connection; being empty, it adds nothing to the page of a front end
        that does not look.
        """
        self._close_request(request_id, request)
        self._close()
        cut = encode_record(fcgi.FCGI_GET_VALUES_RESULT, fcgi.FCGI_NULL_REQUEST_ID)
        return self._end_of_stderr(request_id, request) + cut

    def _end_of_stderr(self, request_id: int, request: OpenRequest) -> bytes:
        """All of the error stream, in one piece with the end of the answer.

        HAProxy 2.6.12 crashes when it receives such a record and nothing after it (rule R19).
        """
        if not request.stderr:
            return b""
        end = encode_record(fcgi.FCGI_STDERR, request_id)
        return b"".join((*encode_stream(fcgi.FCGI_STDERR, request_id, request.stderr), end))

    def _close_request(self, request_id: int, request: OpenRequest) -> None:
        del self._open[request_id]
        if self._closing or not request.keep_conn:
            self._close()
        if request.state is not DONE:
            self._late[request_id] = request
            if len(self._late) > self._config.max_requests_per_connection:
                # Nothing refers to the oldest any more; its records fall under IDLE.
                del self._late[next(iter(self._late))]

    def _close(self) -> None:
        """Close once no request is open."""
        self._closing = True
        self.must_close = not self._open

    def _refuse(
        self,
        request_id: int,
        error: RemoteProtocolError,
        events: list[Event],
        status: ProtocolStatus = ProtocolStatus.REQUEST_COMPLETE,
    ) -> None:
        """Answer a request here and now: always a full response, then its END (rule R5)."""
        request = self._open[request_id]
        reason, headers, body = cgi.refusal(error.status, str(error))
        self._answers += (
            encode_record(
                fcgi.FCGI_STDOUT, request_id, cgi.encode_head(error.status, reason, headers) + body
            ),
            encode_end_of_response(request_id, 0, status),
        )
        self._close_request(request_id, request)
        events.append(Refused(request_id, error))

    def _fail(self, error: RemoteProtocolError) -> Closed:
        error.scope = Scope.CONNECTION
        self._failed = True
        self._close()
        self._late.clear()
        return Closed(error)
