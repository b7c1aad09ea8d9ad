"""Where the answer to a single request ends, and what its sender is held to."""

from __future__ import annotations

import pytest

from fcgikit.config import DEFAULT
from fcgikit.errors import LocalProtocolError
from fcgikit.events import (
    Abort,
    Body,
    Closed,
    EndOfBody,
    EndOfResponse,
    Refused,
    Request,
    Response,
    ResponseBody,
    Role,
    Side,
)
from fcgikit.protocols.interface import Connection
from fcgikit.protocols.scgi import SCGIConnection
from fcgikit.protocols.uwsgi import UwsgiConnection
from tests.conformance import State, encode

GET = {"CONTENT_LENGTH": "0", "REQUEST_METHOD": "GET"}
POST = {"CONTENT_LENGTH": "5", "REQUEST_METHOD": "POST"}


def asked(method: str = "GET") -> Connection:
    web = SCGIConnection(Side.WEB, DEFAULT)
    web.send(Request(1, {**GET, "REQUEST_METHOD": method}, complete=True))
    return web


def test_content_length_ends_an_answer_before_the_connection_does() -> None:
    web = asked()
    (response,) = web.receive_data(b"Content-Length: 2\r\nStatus: 200 OK\r\n\r\nhi")
    assert response == Response(1, 200, "OK", [("Content-Length", "2")], b"hi", complete=True)
    assert State.of(web) == State(must_close=True, input_complete=True, open_requests=0)
    assert web.receive_data(b"more") == []
    assert not web.input_complete
    assert web.receive_eof() == [Closed()]


def test_content_length_reached_piece_by_piece() -> None:
    web = asked()
    web.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
    assert web.receive_data(b"ab") == [ResponseBody(1, b"ab")]
    assert web.receive_data(b"cd") == [ResponseBody(1, b"c"), EndOfResponse(1)]
    assert not web.input_complete


@pytest.mark.parametrize("method_and_status", [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_an_answer_without_body_is_complete_with_its_head(
    method_and_status: tuple[str, int],
) -> None:
    method, status = method_and_status
    (response,) = asked(method).receive_data(
        b"Content-Length: 9\r\nStatus: %d Fine\r\n\r\n" % status
    )
    assert response == Response(1, status, "Fine", [("Content-Length", "9")], complete=True)


def test_a_cut_answer_is_told_from_a_complete_one() -> None:
    web = asked()
    web.receive_data(b"Content-Length: 9\r\nStatus: 200 OK\r\n\r\nhi")
    abort, closed = web.receive_eof()
    assert abort == Abort(1)
    assert isinstance(closed, Closed)
    assert "7 bytes" in str(closed.error)
    open_ended = asked()
    open_ended.receive_data(b"Status: 200 OK\r\n\r\nhi")
    assert open_ended.receive_eof() == [EndOfResponse(1), Closed()]
    silent = asked()
    assert [type(event) for event in silent.receive_eof()] == [Abort, Closed]


@pytest.mark.parametrize(
    "head",
    [
        b"no colon\r\n\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"Content-Length: +1\r\n\r\n",
    ],
)
def test_a_bad_head_loses_the_answer(head: bytes) -> None:
    web = asked()
    (event,) = web.receive_data(head)
    assert isinstance(event, Refused)
    assert event.error.status == 502
    assert State.of(web) == State(must_close=True, input_complete=False, open_requests=0)


def test_bytes_without_a_request() -> None:
    web = UwsgiConnection(Side.WEB, DEFAULT)
    (event,) = web.receive_data(b"HTTP/1.1 200 OK\r\n\r\n")
    assert isinstance(event, Closed)
    assert web.must_close


def test_the_body_is_held_to_content_length() -> None:
    def web() -> Connection:
        return UwsgiConnection(Side.WEB, DEFAULT)

    with pytest.raises(LocalProtocolError, match="by 4 bytes"):
        web().send(Request(1, POST, body=b"x", complete=True))
    with pytest.raises(LocalProtocolError, match="by 1 bytes"):
        web().send(Request(1, POST, body=b"123456"))
    short = web()
    encode(short, Request(1, POST), Body(1, b"1234"))
    with pytest.raises(LocalProtocolError, match="by 1 bytes"):
        short.send(EndOfBody(1))
    with pytest.raises(LocalProtocolError, match="by 1 bytes"):
        short.send(Body(1, b"56"))
    assert short.frame_body(1, 1) == (b"", 1, b"")
    assert encode(short, EndOfBody(1)) == b""


def test_only_responders_are_asked() -> None:
    with pytest.raises(LocalProtocolError, match="AUTHORIZER"):
        UwsgiConnection(Side.WEB, DEFAULT).send(Request(1, GET, Role.AUTHORIZER, complete=True))


def test_a_finished_connection_takes_no_request() -> None:
    web = UwsgiConnection(Side.WEB, DEFAULT)
    web.finish()
    assert web.must_close
    with pytest.raises(LocalProtocolError):
        web.send(Request(1, GET, complete=True))
