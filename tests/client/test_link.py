from __future__ import annotations

from fcgikit.client.exchange import Exchange
from fcgikit.client.link import Link
from fcgikit.config import DEFAULT
from fcgikit.events import (
    Abort,
    Body,
    EndOfBody,
    EndOfResponse,
    Event,
    Request,
    Response,
    ResponseBody,
    Role,
    Side,
    Values,
)
from fcgikit.protocols import PROTOCOLS
from fcgikit.protocols.interface import Buffers

HELLO = {"CONTENT_LENGTH": "0", "REQUEST_METHOD": "GET"}


class Pair:
    """A link, and an application's end of its connection."""

    def __init__(self, protocol: str = "fastcgi", *, limit: int = 1, window: int = 1000) -> None:
        self.told: list[tuple[str, Event]] = []
        self.link = Link(
            "unix:/s",
            protocol,
            DEFAULT,
            lambda *what: self.told.append(what),
            limit=limit,
            window=window,
        )
        self.app = PROTOCOLS[protocol](Side.APP, DEFAULT)
        self.woken: list[int] = []

    def begin(
        self, *, complete: bool = True, role: Role = Role.RESPONDER
    ) -> tuple[Exchange, list[Event]]:
        request = Request(0, dict(HELLO), role, complete=complete)
        exchange, buffers = self.link.begin(request, lambda: self.woken.append(1), keep=True)
        return exchange, self.deliver(buffers)

    def deliver(self, buffers: Buffers) -> list[Event]:
        return self.app.receive_data(b"".join(buffers))

    def answer(self, *events: Event) -> None:
        self.link.receive(b"".join([b"".join(self.app.send(event)) for event in events]))


def ok(request_id: int, body: bytes = b"") -> list[Event]:
    return [Response(request_id, 200, "OK", [], body), EndOfResponse(request_id)]


def test_answers_find_their_requests() -> None:
    pair = Pair(limit=3)
    first, (request,) = pair.begin()
    second, _ = pair.begin()
    assert isinstance(request, Request)
    assert (first.request_id, second.request_id, request.keep_conn) == (1, 2, True)
    pair.answer(*ok(2, b"two"), *ok(1, b"one"))
    assert (first.take(), second.take()) == (b"one", b"two")
    assert len(pair.woken) == 4
    assert pair.link.idle


def test_the_trace_hears_both_directions() -> None:
    pair = Pair()
    pair.begin()
    pair.answer(*ok(1))
    assert [(way, type(event)) for way, event in pair.told] == [
        (">", Request),
        ("<", Response),
        ("<", EndOfResponse),
    ]


def test_there_is_room_up_to_the_limit() -> None:
    pair = Pair(limit=2)
    assert pair.link.room
    first, _ = pair.begin()
    pair.begin()
    assert not pair.link.room
    pair.answer(*ok(first.request_id))
    assert pair.link.room
    pair.link.lost()
    assert not pair.link.room


def test_an_id_is_used_again_once_it_is_answered() -> None:
    pair = Pair(limit=2)
    pair.begin()
    pair.begin()
    pair.answer(*ok(1))
    assert pair.begin()[0].request_id == 1


def test_an_upload_that_is_not_finished_spoils_a_connection_of_its_own() -> None:
    for limit, room in ((1, False), (2, True)):
        pair = Pair(limit=limit)
        exchange, _ = pair.begin(complete=False)
        pair.answer(*ok(1))
        assert pair.link.room is room
        assert pair.link.send(exchange, Body(1, b"late")) == []


def test_an_upload_is_finished_by_its_last_event() -> None:
    pair = Pair()
    exchange, _ = pair.begin(complete=False)
    pair.deliver(pair.link.send(exchange, Body(1, b"x")))
    assert not exchange.uploaded
    pair.deliver(pair.link.send(exchange, EndOfBody(1)))
    assert exchange.uploaded
    pair.answer(*ok(1))
    assert pair.link.room


def test_an_authorizer_has_nothing_to_upload() -> None:
    assert Pair().begin(role=Role.AUTHORIZER)[0].uploaded
    assert not Pair().begin(role=Role.FILTER)[0].uploaded


def test_an_unread_answer_fills_the_link_until_it_is_read() -> None:
    pair = Pair(window=10, limit=2)
    exchange, _ = pair.begin()
    pair.answer(Response(1, 200, "OK", []), ResponseBody(1, b"x" * 11))
    assert pair.link.full
    exchange.take(1)
    assert not pair.link.full
    pair.answer(ResponseBody(1, b"x"))
    assert pair.link.full


def test_what_is_abandoned_is_aborted_and_fills_nothing() -> None:
    pair = Pair(window=10, limit=2)
    exchange, _ = pair.begin()
    pair.answer(Response(1, 200, "OK", [], b"x" * 11))
    assert pair.deliver(pair.link.abandon(exchange)) == [Abort(1)]
    pair.answer(ResponseBody(1, b"x" * 99))
    assert not pair.link.full
    assert not pair.link.idle  # until the server has ended it, too
    pair.answer(EndOfResponse(1))
    assert pair.link.idle
    assert pair.link.abandon(exchange) == []


def test_what_a_lost_connection_means() -> None:
    pair = Pair(limit=2)
    exchange, _ = pair.begin()
    pair.link.lost()
    pair.link.lost()
    assert (exchange.ended, pair.link.idle, pair.woken) == (True, True, [1])


def test_scgi_answers_end_with_the_connection() -> None:
    pair = Pair("scgi")
    exchange, (request,) = pair.begin()
    assert isinstance(request, Request)
    assert not request.keep_conn
    pair.answer(*ok(1, b"hello"))
    assert not exchange.ended
    pair.link.receive(b"")
    assert exchange.ended
    assert (exchange.take(), exchange.take()) == (b"hello", b"")


def test_values() -> None:
    pair = Pair()
    pair.deliver(pair.link.ask_values(("FCGI_MPXS_CONNS",)))
    pair.link.receive(pair.app.data_to_send())
    assert pair.link.known_values() == {"FCGI_MPXS_CONNS": "1"}
    assert pair.told[-1] == ("<", Values({"FCGI_MPXS_CONNS": "1"}))
