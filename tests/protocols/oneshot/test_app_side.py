"""One request in, one answer out: what happens around them."""

from __future__ import annotations

import pytest

from fcgikit.config import DEFAULT
from fcgikit.errors import LocalProtocolError
from fcgikit.events import (
    Abort,
    Body,
    Closed,
    Diagnostic,
    EndOfBody,
    EndOfResponse,
    Request,
    Response,
    ResponseBody,
    Side,
)
from fcgikit.protocols.interface import Connection
from fcgikit.protocols.oneshot.app_side import MAX_JOINED
from fcgikit.protocols.uwsgi import UwsgiConnection
from tests.conformance import State, encode

HEAD = UwsgiConnection(Side.WEB, DEFAULT).send(Request(1, {"CONTENT_LENGTH": "5"}))[0]


def app_with(data: bytes) -> Connection:
    app = UwsgiConnection(Side.APP, DEFAULT)
    app.receive_data(data)
    return app


def test_what_arrives_together_travels_together() -> None:
    params = {"CONTENT_LENGTH": "5"}
    app = UwsgiConnection(Side.APP, DEFAULT)
    assert app.receive_data(bytes(HEAD) + b"he") == [Request(1, params, body=b"he")]
    assert app.receive_data(b"l") == [Body(1, b"l")]
    assert app.receive_data(b"lo") == [Body(1, b"lo"), EndOfBody(1)]
    whole = UwsgiConnection(Side.APP, DEFAULT)
    assert whole.receive_data(bytes(HEAD) + b"hello") == [
        Request(1, params, body=b"hello", complete=True)
    ]


@pytest.mark.parametrize("pieces", [[b"hello!"], [b"hello", b"!"], [b"hel", b"lo!"]])
def test_bytes_behind_the_body_are_ignored_but_not_forgotten(pieces: list[bytes]) -> None:
    app = app_with(bytes(HEAD))
    events = [event for piece in pieces for event in app.receive_data(piece)]
    assert events[-1] == EndOfBody(1)
    encode(app, Response(1, 200, "OK", [], complete=True))
    assert State.of(app) == State(must_close=True, input_complete=False, open_requests=0)
    assert app.receive_eof() == [Closed()]
    assert app.input_complete  # everything has been read: no reset can follow


def test_a_short_body_aborts_the_request_which_can_still_be_answered() -> None:
    app = app_with(bytes(HEAD) + b"hel")
    assert app.receive_eof() == [Abort(1), Closed()]
    assert State.of(app) == State(must_close=False, input_complete=True, open_requests=1)
    assert encode(app, Response(1, 400, "Bad Request", [], b"short", complete=True))
    assert State.of(app) == State(must_close=True, input_complete=True, open_requests=0)
    assert app.receive_eof() == []


def test_an_end_inside_the_variables_is_an_error_without_a_request() -> None:
    app = app_with(bytes(HEAD)[:-1])
    (event,) = app.receive_eof()
    assert isinstance(event, Closed)
    assert "inside the CGI variables" in str(event.error)
    assert app.must_close


def test_a_request_that_is_arriving_is_served_after_finish() -> None:
    app = app_with(bytes(HEAD)[:3])
    app.finish()
    assert not app.must_close
    assert app.receive_data(bytes(HEAD)[3:]) == [Request(1, {"CONTENT_LENGTH": "5"})]


def test_an_answer_in_pieces() -> None:
    app = app_with(bytes(HEAD) + b"hello")
    assert app.send(Response(1, 200, "OK", [("A", "b")])) == [b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"]
    assert app.send(ResponseBody(1, b"x")) == [b"x"]
    assert app.send(ResponseBody(1, b"")) == []
    assert app.send(Diagnostic(1, b"note")) == []
    assert app.frame_body(1, 10**9) == (b"", 10**9, b"")
    assert app.send(EndOfResponse(1)) == []
    with pytest.raises(LocalProtocolError):
        app.frame_body(1, 1)


@pytest.mark.parametrize("size", [0, 1, MAX_JOINED, MAX_JOINED + 1])
def test_a_short_answer_is_one_piece(size: int) -> None:
    app = app_with(bytes(HEAD) + b"hello")
    buffers = app.send(Response(1, 200, "OK", [], b"x" * size, complete=True))
    assert len(buffers) == (1 if size <= MAX_JOINED else 2)
    assert b"".join(buffers) == b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * size


def test_what_follows_a_refused_request_is_drained_by_the_driver() -> None:
    app = app_with(b"\x1e\x00\x00\x00")
    assert app.receive_data(b"body") == []
    assert not app.input_complete
    assert app.receive_eof() == [Closed()]
    assert app.input_complete
