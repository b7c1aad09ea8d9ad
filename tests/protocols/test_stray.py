"""Peers that came to the wrong socket."""

from __future__ import annotations

import pytest

from fcgikit.config import DEFAULT
from fcgikit.errors import LocalProtocolError
from fcgikit.events import Closed, Event, Side
from fcgikit.protocols import PROTOCOLS, detect
from fcgikit.protocols.stray import MAX_FIRST_LINE, StrayConnection, describe, guess
from tests import conformance
from tests.conformance import Cut, bytewise, receive, whole


def message(events: list[Event]) -> str:
    (event,) = events
    assert isinstance(event, Closed)
    return str(event.error)


@pytest.mark.parametrize("cut", [whole, bytewise])
def test_http_is_answered_in_http(cut: Cut) -> None:
    stray = StrayConnection(Side.APP, DEFAULT)
    events = receive(stray, b"GET /a HTTP/1.1\r\nHost: app.example\r\n\r\n", cut)
    assert message(events) == "this looks like HTTP: use fastcgi_pass, not proxy_pass"
    head, _, body = stray.data_to_send().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain")
    assert f"Content-Length: {len(body)}\r\n".encode() in head
    assert b"fastcgi_pass" in body
    assert stray.data_to_send() == b""
    assert stray.must_close
    assert not stray.input_complete  # more may be on its way: half-close and drain
    assert stray.receive_eof() == []
    assert stray.receive_eof() == []


def test_the_answer_waits_for_the_first_line() -> None:
    stray = StrayConnection(Side.APP, DEFAULT)
    assert stray.receive_data(b"GET /") == []
    assert not stray.must_close
    assert stray.data_to_send() == b""
    assert "HTTP" in message(stray.receive_data(b" HTTP/1.1\r\n"))


def test_a_first_line_without_end_is_not_collected_for_ever() -> None:
    stray = StrayConnection(Side.APP, DEFAULT)
    assert "HTTP" in message(receive(stray, b"G" * MAX_FIRST_LINE, bytewise))
    assert stray.must_close


@pytest.mark.parametrize("first", [b"\x16\x03\x01", b"\x02", b"\xff\n", b"\r\n"])
def test_the_rest_gets_no_answer(first: bytes) -> None:
    stray = StrayConnection(Side.APP, DEFAULT)
    assert message(stray.receive_data(first)) == describe(first[0])
    assert stray.data_to_send() == b""
    assert stray.must_close


def test_leaving_before_the_first_line_ends() -> None:
    stray = StrayConnection(Side.APP, DEFAULT)
    stray.receive_data(b"GET")
    assert "HTTP" in message(stray.receive_eof())
    assert stray.data_to_send() == b""
    assert StrayConnection(Side.APP, DEFAULT).receive_eof() == [Closed()]


def test_there_is_nothing_to_send() -> None:
    conformance.check_misuse(lambda: StrayConnection(Side.APP, DEFAULT), conformance.EXAMPLES)
    stray = StrayConnection(Side.APP, DEFAULT)
    with pytest.raises(LocalProtocolError):
        stray.frame_body(1, 1)
    with pytest.raises(LocalProtocolError):
        StrayConnection(Side.WEB, DEFAULT)
    stray.finish()
    assert stray.must_close


def test_every_first_byte_has_a_chapter_and_a_description() -> None:
    for first in range(256):
        name = guess(first)
        assert detect(first) is PROTOCOLS.get(name.lower(), StrayConnection)
        assert (name or f"0x{first:02x}") in describe(first)
    assert [guess(byte) for byte in b"\x00\x010P~"] == ["uwsgi", "FastCGI", "SCGI", "HTTP", ""]


@pytest.mark.parametrize("first", range(256))
def test_whatever_comes_first_is_heard_out(first: int) -> None:
    connection = detect(first)(Side.APP, DEFAULT)
    conformance.check_garbage(connection, bytes([first]) * 40, bytewise)
