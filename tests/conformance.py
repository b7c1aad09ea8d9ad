"""What every chapter must show, whatever it speaks: hand it a chapter, and it is examined.

``assert`` does the judging, so a failure shows the values. A new protocol is done when it
passes ``tests/protocols/test_conformance.py`` with one more line in ``PROTOCOLS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import pytest

from fcgikit.config import DEFAULT, Config
from fcgikit.errors import LocalProtocolError, RemoteProtocolError
from fcgikit.events import (
    Abort,
    Body,
    Closed,
    Diagnostic,
    EndOfBody,
    EndOfFilterData,
    EndOfResponse,
    Event,
    FilterData,
    Refused,
    Request,
    Response,
    ResponseBody,
    Side,
)
from fcgikit.protocols.interface import Chapter, Connection

Cut = Callable[[bytes], list[bytes]]

E = TypeVar("E", bound=Event)

EXAMPLES: list[Event] = [
    Request(1, {"CONTENT_LENGTH": "0", "SCGI": "1"}),
    Body(1, b"x"),
    EndOfBody(1),
    FilterData(1, b"x"),
    EndOfFilterData(1),
    Abort(1),
    Response(1, 200, "OK", []),
    ResponseBody(1, b"x"),
    Diagnostic(1, b"x"),
    EndOfResponse(1),
    Refused(1, RemoteProtocolError("x")),
    Closed(),
]
"""One event of each kind that could be sent to any chapter, rightly or wrongly."""


def whole(data: bytes) -> list[bytes]:
    """Everything in one piece."""
    return [data]


def bytewise(data: bytes) -> list[bytes]:
    """One byte at a time."""
    return [data[at : at + 1] for at in range(len(data))]


def replace(event: E, **fields: object) -> E:
    """Another event with the same fields but for those given."""
    old = {name: getattr(event, name) for name in event.__match_args__}
    return type(event)(**{**old, **fields})


def coalesce(events: Iterable[Event]) -> list[Event]:
    """The same story told in the fewest events: bodies and ends join what they belong to."""
    told: list[Event] = []
    messages: dict[int, Request | Response] = {}
    data: dict[int, FilterData] = {}
    for event in events:
        match event:
            case Request() | Response():
                messages[event.request_id] = copy = replace(event)
                told.append(copy)
            case Body(request_id, piece) | ResponseBody(request_id, piece):
                messages[request_id].body += piece
            case EndOfBody(request_id):
                messages[request_id].complete = True
            case EndOfResponse(request_id, 0, 0) if isinstance(messages.get(request_id), Response):
                messages[request_id].complete = True
            case FilterData(request_id, piece) if request_id in data:
                data[request_id].data += piece
            case FilterData():
                data[event.request_id] = joined = replace(event)
                told.append(joined)
            case _:
                told.append(event)
    return told


def comparable(events: Iterable[Event]) -> list[object]:
    """:func:`coalesce` with errors told apart by their facts: exceptions have no equality."""
    return [
        (type(event), facts(event.error)) if isinstance(event, Closed | Refused) else event
        for event in coalesce(events)
    ]


def facts(error: RemoteProtocolError | None) -> tuple[object, ...]:
    """All that an error says."""
    return (str(error), error.scope, error.status, error.limit) if error else ()


def encode(connection: Connection, *events: Event) -> bytes:
    """The bytes that *connection* sends for *events*."""
    return b"".join(piece for event in events for piece in connection.send(event))


def receive(connection: Connection, data: bytes, cut: Cut = whole) -> list[Event]:
    """The events of *data*, arriving in pieces."""
    return [event for piece in cut(data) for event in connection.receive_data(piece)]


class ConnectionPair:
    """Both halves of a connection: what one sends is what the other receives, in pieces."""

    def __init__(self, chapter: Chapter, cut: Cut = whole, config: Config = DEFAULT) -> None:
        self.web = chapter(Side.WEB, config)
        self.app = chapter(Side.APP, config)
        self._cut = cut

    def web_sends(self, *events: Event) -> list[Event]:
        """The application's events; what it answers by itself is dropped."""
        return receive(self.app, encode(self.web, *events), self._cut)

    def app_sends(self, *events: Event) -> list[Event]:
        """The web server's events, with the end of the connection if the answer is over."""
        data = encode(self.app, *events)
        received = receive(self.web, data, self._cut)
        if self.app.must_close:
            received += self.web.receive_eof()
        return received


@dataclass
class State:
    """What a driver asks a connection for."""

    must_close: bool
    input_complete: bool
    open_requests: int

    @classmethod
    def of(cls, connection: Connection) -> State:
        return cls(connection.must_close, connection.input_complete, connection.open_requests)


@dataclass
class Outcome:
    """All that can be seen of a connection after it was fed."""

    events: list[object]
    answers: bytes
    state: State

    @classmethod
    def of(cls, connection: Connection, data: bytes, cut: Cut) -> Outcome:
        events: list[Event] = []
        answers = b""
        for piece in cut(data):
            events += connection.receive_data(piece)
            answers += connection.data_to_send()
        return cls(comparable(events), answers, State.of(connection))


# -- the checks ---------------------------------------------------------------------------------


def check_split(make: Callable[[], Connection], data: bytes, cut: Cut) -> None:
    """However the bytes are cut, they say the same and leave the same state."""
    assert Outcome.of(make(), data, cut) == Outcome.of(make(), data, whole)


def check_exchange(chapter: Chapter, request: Request, response: Response, cut: Cut) -> None:
    """A complete request and a complete answer arrive as they were sent, and that is all."""
    pair = ConnectionPair(chapter, cut)
    assert coalesce(pair.web_sends(request)) == [request]
    assert pair.web.open_requests == pair.app.open_requests == 1
    assert not pair.app.must_close
    expected = response
    if request.params["REQUEST_METHOD"] == "HEAD":
        expected = response = replace(response, body=b"")
    assert comparable(pair.app_sends(response)) == comparable([expected, Closed()])
    check_finished(pair)


def check_streamed_exchange(
    chapter: Chapter, request: Request, response: Response, cut: Cut
) -> None:
    """The same, sent piece by piece, with an early answer and with diagnostics between."""
    pair = ConnectionPair(chapter, cut)
    head = replace(request, body=b"", complete=False)
    pieces = [Body(1, piece) for piece in cut(request.body)]
    assert pair.web.open_requests == 0
    received = pair.web_sends(head, *pieces[:1])
    answer = replace(response, body=b"", complete=False)
    if request.params["REQUEST_METHOD"] == "HEAD":
        response = replace(response, body=b"")
    answered = pair.app_sends(Diagnostic(1, b"soon\n"), answer)
    received += pair.web_sends(*pieces[1:], EndOfBody(1))
    assert coalesce(received) == [request]
    answered += pair.app_sends(
        *(ResponseBody(1, piece) for piece in cut(response.body)), EndOfResponse(1)
    )
    answered = [event for event in answered if not isinstance(event, Diagnostic)]
    assert comparable(answered) == comparable([response, Closed()])
    check_finished(pair)


def check_finished(pair: ConnectionPair) -> None:
    """Nothing is left to do on either half but to close."""
    for half in (pair.web, pair.app):
        assert State.of(half) == State(must_close=True, input_complete=True, open_requests=0)
        assert half.data_to_send() == b""


def check_garbage(connection: Connection, data: bytes, cut: Cut) -> list[Event]:
    """Whatever arrives, nothing is raised and the story, which is returned, ends in ``Closed``."""
    events = receive(connection, data, cut) + connection.receive_eof()
    kinds = [type(event) for event in events]
    assert kinds.index(Closed) == len(kinds) - 1
    assert connection.must_close or connection.open_requests
    return events


def check_refused(chapter: Chapter, data: bytes, config: Config = DEFAULT) -> RemoteProtocolError:
    """*data* earns one refusal, the same whole as byte by byte, and an answer that says why."""
    errors: list[RemoteProtocolError] = []
    for cut in (whole, bytewise):
        app = chapter(Side.APP, config)
        (event,) = receive(app, data, cut)
        assert isinstance(event, Refused)
        answer = app.data_to_send().decode()
        assert f" {event.error.status} " in answer.partition("\r\n\r\n")[0]
        assert str(event.error) in answer
        assert app.data_to_send() == b""
        assert State.of(app) == State(must_close=True, input_complete=False, open_requests=0)
        errors.append(event.error)
    assert facts(errors[0]) == facts(errors[1])
    return errors[0]


def check_half_close(chapter: Chapter, data: bytes) -> None:
    """The peer ends its half anywhere: what had begun is aborted, can be ended, and is gone."""
    for size in range(len(data) + 1):
        connection = chapter(Side.APP, DEFAULT)
        begun = connection.receive_data(data[:size])
        ended = connection.receive_eof()
        opened = [event.request_id for event in begun if isinstance(event, Request)]
        assert [event.request_id for event in ended if isinstance(event, Abort)] == opened
        assert isinstance(ended[-1], Closed)
        assert connection.open_requests == len(opened)
        for request_id in opened:
            encode(connection, EndOfResponse(request_id))
        assert connection.open_requests == 0
        assert connection.must_close


def check_closing(chapter: Chapter, request: Request) -> None:
    """``must_close`` and ``input_complete`` at each step of a request with a body."""
    assert request.body
    data = encode(chapter(Side.WEB, DEFAULT), request)
    answer = Response(1, 200, "OK", [], b"x", complete=True)

    idle = chapter(Side.APP, DEFAULT)
    assert State.of(idle) == State(must_close=False, input_complete=True, open_requests=0)
    idle.finish()
    assert State.of(idle) == State(must_close=True, input_complete=True, open_requests=0)

    running = chapter(Side.APP, DEFAULT)
    running.receive_data(data)
    running.finish()
    assert State.of(running) == State(must_close=False, input_complete=True, open_requests=1)
    encode(running, answer)
    assert State.of(running) == State(must_close=True, input_complete=True, open_requests=0)

    early = chapter(Side.APP, DEFAULT)
    early.receive_data(data[: -len(request.body)])
    encode(early, answer)
    # The rest of the body is on its way: rule R2 says to wait, rule R3 to ignore it.
    assert State.of(early) == State(must_close=True, input_complete=False, open_requests=0)
    assert early.receive_data(data[-len(request.body) :]) == []
    assert State.of(early) == State(must_close=True, input_complete=True, open_requests=0)


def check_misuse(make: Callable[[], Connection], wrong: Iterable[Event]) -> None:
    """Each event that makes no sense now raises ``LocalProtocolError`` and changes nothing."""
    for event in wrong:
        connection = make()
        before = State.of(connection)
        with pytest.raises(LocalProtocolError):
            connection.send(event)
        assert State.of(connection) == before


def check_any_order(connection: Connection, events: Iterable[Event]) -> None:
    """Events in any order are sent or raise ``LocalProtocolError``: nothing else escapes."""
    for event in events:
        try:
            encode(connection, event)
        except LocalProtocolError:
            continue


def other_than(*kinds: type[Event]) -> list[Event]:
    """The examples of every kind but these."""
    return [event for event in EXAMPLES if not isinstance(event, kinds)]
