"""Every chapter against ``tests/conformance.py``; see there for what is examined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcgikit.config import DEFAULT
from fcgikit.events import (
    Abort,
    Body,
    Closed,
    Diagnostic,
    EndOfBody,
    EndOfResponse,
    Event,
    Refused,
    Request,
    Response,
    ResponseBody,
    Side,
)
from fcgikit.protocols import PROTOCOLS
from fcgikit.protocols.interface import Chapter, Connection
from tests import conformance, strategies
from tests.conformance import Cut, encode

EMPTY = Request(1, {"CONTENT_LENGTH": "0", "SCGI": "1", "REQUEST_METHOD": "GET"}, complete=True)
UPLOAD = Request(
    1, {"CONTENT_LENGTH": "5", "SCGI": "1", "HTTP_X": "y"}, body=b"hello", complete=True
)

chapters = pytest.mark.parametrize("chapter", PROTOCOLS.values(), ids=PROTOCOLS.keys())


def wire_of(chapter: Chapter, request: Request) -> bytes:
    return encode(chapter(Side.WEB, DEFAULT), request)


def answer_of(chapter: Chapter, response: Response) -> bytes:
    app = chapter(Side.APP, DEFAULT)
    app.receive_data(wire_of(chapter, EMPTY))
    return encode(app, response)


def asked(chapter: Chapter) -> Connection:
    """A web server's half that waits for its answer."""
    web = chapter(Side.WEB, DEFAULT)
    web.send(EMPTY)
    return web


@chapters
@given(request=strategies.requests(), response=strategies.responses(), cut=strategies.chunks())
def test_exchange(chapter: Chapter, request: Request, response: Response, cut: Cut) -> None:
    conformance.check_exchange(chapter, request, response, cut)


@chapters
@given(request=strategies.requests(), response=strategies.responses(), cut=strategies.chunks())
def test_streamed_exchange(
    chapter: Chapter, request: Request, response: Response, cut: Cut
) -> None:
    conformance.check_streamed_exchange(chapter, request, response, cut)


@chapters
@given(data=st.data(), cut=strategies.chunks())
def test_any_split_of_a_request(chapter: Chapter, data: st.DataObject, cut: Cut) -> None:
    valid = strategies.requests().map(lambda request: wire_of(chapter, request))
    wire = data.draw(st.one_of(valid, strategies.mutations(valid), st.binary(max_size=60)))
    conformance.check_split(lambda: chapter(Side.APP, DEFAULT), wire, cut)


@chapters
@given(data=st.data(), cut=strategies.chunks())
def test_any_split_of_an_answer(chapter: Chapter, data: st.DataObject, cut: Cut) -> None:
    valid = strategies.responses().map(lambda response: answer_of(chapter, response))
    wire = data.draw(st.one_of(valid, strategies.mutations(valid), st.binary(max_size=60)))
    conformance.check_split(lambda: asked(chapter), wire, cut)


@chapters
@given(data=st.data(), cut=strategies.chunks())
def test_garbage_instead_of_a_request(chapter: Chapter, data: st.DataObject, cut: Cut) -> None:
    valid = strategies.requests().map(lambda request: wire_of(chapter, request))
    wire = data.draw(st.one_of(strategies.mutations(valid), st.binary(max_size=60)))
    app = chapter(Side.APP, DEFAULT)
    events = conformance.check_garbage(app, wire, cut)
    if any(isinstance(event, Refused) for event in events):
        assert b"\r\n\r\n" in app.data_to_send()


@chapters
@given(data=st.data(), cut=strategies.chunks())
def test_garbage_instead_of_an_answer(chapter: Chapter, data: st.DataObject, cut: Cut) -> None:
    valid = strategies.responses().map(lambda response: answer_of(chapter, response))
    wire = data.draw(st.one_of(strategies.mutations(valid), st.binary(max_size=60)))
    web = data.draw(st.sampled_from([asked(chapter), chapter(Side.WEB, DEFAULT)]))
    conformance.check_garbage(web, wire, cut)
    assert web.open_requests == 0
    assert web.data_to_send() == b""


@chapters
def test_half_close_anywhere(chapter: Chapter) -> None:
    conformance.check_half_close(chapter, wire_of(chapter, UPLOAD))


@chapters
def test_closing(chapter: Chapter) -> None:
    conformance.check_closing(chapter, UPLOAD)


@chapters
def test_no_data_means_nothing(chapter: Chapter) -> None:
    for connection in (chapter(Side.APP, DEFAULT), asked(chapter)):
        assert connection.receive_data(b"") == []
        assert connection.open_requests == 0 or not connection.must_close


@chapters
def test_misuse_by_the_application(chapter: Chapter) -> None:
    wire = wire_of(chapter, EMPTY)

    def after(*events: Event) -> Connection:
        app = chapter(Side.APP, DEFAULT)
        app.receive_data(wire)
        encode(app, *events)
        return app

    head, end = Response(1, 200, "OK", []), EndOfResponse(1)
    at_once = Response(1, 200, "OK", [], complete=True)
    check, other_than = conformance.check_misuse, conformance.other_than
    check(lambda: chapter(Side.APP, DEFAULT), conformance.EXAMPLES)
    check(after, [*other_than(Response, Diagnostic, EndOfResponse), Response(2, 200, "OK", [])])
    check(lambda: after(head), other_than(ResponseBody, Diagnostic, EndOfResponse))
    check(lambda: after(head, end), conformance.EXAMPLES)
    check(lambda: after(at_once), conformance.EXAMPLES)


@chapters
def test_misuse_by_the_web_server(chapter: Chapter) -> None:
    def after(*events: Event) -> Connection:
        web = chapter(Side.WEB, DEFAULT)
        encode(web, *events)
        return web

    begun = Request(1, UPLOAD.params)
    check, other_than = conformance.check_misuse, conformance.other_than
    check(after, other_than(Request))
    check(lambda: after(begun), [*other_than(Body, EndOfBody, Abort), Body(2, b"x")])
    check(lambda: after(begun, Body(1, b"hello"), EndOfBody(1)), other_than(Abort))


@chapters
@given(events=st.lists(st.sampled_from(conformance.EXAMPLES), max_size=8))
def test_events_in_any_order(chapter: Chapter, events: list[Event]) -> None:
    app = chapter(Side.APP, DEFAULT)
    app.receive_data(wire_of(chapter, EMPTY))
    conformance.check_any_order(app, events)
    conformance.check_any_order(chapter(Side.WEB, DEFAULT), events)


@chapters
def test_abort_by_the_web_server(chapter: Chapter) -> None:
    pair = conformance.ConnectionPair(chapter)
    pair.web_sends(Request(1, UPLOAD.params), Body(1, b"he"), Abort(1))
    if not pair.web.must_close:  # FastCGI tells the application and waits for its END_REQUEST
        pair.app_sends(EndOfResponse(1))
    assert pair.web.must_close
    assert pair.web.open_requests == 0


@chapters
@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"post", b"\x16\x03\x01\x02\x00"])
def test_another_protocol_is_named(chapter: Chapter, first: bytes) -> None:
    app = chapter(Side.APP, DEFAULT)
    (event,) = app.receive_data(first)
    assert isinstance(event, Closed)
    assert "use fastcgi_pass, not proxy_pass" in str(event.error)
    assert app.must_close
    assert not app.input_complete
    assert app.receive_data(b"Host: x\r\n\r\n") == app.receive_eof() == []


@chapters
def test_a_body_from_elsewhere(chapter: Chapter) -> None:
    """``frame_body``: what the driver puts between the frames arrives as the body."""
    pair = conformance.ConnectionPair(chapter)
    pair.web_sends(EMPTY)
    data = encode(pair.app, Response(1, 200, "OK", []))
    body = bytes(range(256)) * 600
    sent = 0
    while sent < len(body):
        before, size, after = pair.app.frame_body(1, len(body) - sent)
        assert 0 < size <= len(body) - sent
        data += before + body[sent : sent + size] + after
        sent += size
    data += encode(pair.app, EndOfResponse(1))
    (response,) = conformance.coalesce(
        event
        for event in pair.web.receive_data(data) + pair.web.receive_eof()
        if not isinstance(event, Closed)
    )
    assert response == Response(1, 200, "OK", [], body, complete=True)
