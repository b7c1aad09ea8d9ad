from __future__ import annotations

import pytest

from fcgikit.client import Rejected, ServerProtocolError, Truncated
from fcgikit.client.exchange import Exchange
from fcgikit.errors import RemoteProtocolError
from fcgikit.events import (
    Abort,
    Diagnostic,
    EndOfResponse,
    Event,
    ProtocolStatus,
    Refused,
    Response,
    ResponseBody,
)


def exchange(*events: Event, bodiless: bool = False) -> Exchange:
    made = Exchange(1, "unix:/s", bodiless=bodiless, notify=lambda: None)
    for event in events:
        made.receive(event)
    return made


def response(body: bytes = b"", **headers: str) -> Response:
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Response(1, 200, "OK", fields, body)


def test_a_body_is_taken_in_pieces() -> None:
    found = exchange(response(b"abc"), ResponseBody(1, b"de"), EndOfResponse(1, 3))
    assert (found.answered, found.readable, found.unread) == (True, True, 5)
    assert [found.take(2), found.take(2), found.take(), found.take()] == [b"ab", b"c", b"de", b""]
    assert (found.unread, found.app_status, found.ended) == (0, 3, True)


def test_a_complete_response_needs_no_end() -> None:
    found = exchange(Response(1, 200, "OK", [], b"all", complete=True))
    assert (found.ended, found.take(), found.take()) == (True, b"all", b"")


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (EndOfResponse(1), ServerProtocolError),
        (EndOfResponse(1, 0, ProtocolStatus.OVERLOADED), Rejected),
        (Refused(1, RemoteProtocolError("bad")), ServerProtocolError),
        (Abort(1), Truncated),
    ],
)
def test_an_end_without_an_answer(end: Event, error: type[Exception]) -> None:
    found = exchange(Diagnostic(1, b"why"), end)
    assert found.ended
    with pytest.raises(error) as caught:
        found.take()
    assert caught.value.stderr == b"why"  # type: ignore[attr-defined]


def test_less_than_its_content_length_is_truncated() -> None:
    found = exchange(response(b"abc", Content_Length="4"), EndOfResponse(1))
    assert found.take() == b"abc"
    with pytest.raises(Truncated, match="1 bytes"):
        found.take()


@pytest.mark.parametrize("length", ["3", "2", "", "x", "²", "9" * 30])
def test_a_content_length_that_is_met_or_is_none(length: str) -> None:
    found = exchange(response(b"abc", Content_Length=length), EndOfResponse(1))
    assert (found.take(), found.take()) == (b"abc", b"")


def test_an_answer_to_head_has_no_body() -> None:
    found = exchange(response(b"abc", Content_Length="9"), EndOfResponse(1), bodiless=True)
    assert found.take() == b""


def test_untouched_until_there_is_a_sign() -> None:
    assert exchange(Abort(1)).untouched
    assert not exchange(Diagnostic(1, b"x")).untouched
    assert not exchange(response()).untouched


def test_what_is_not_wanted_is_dropped() -> None:
    found = exchange(response(b"abc"))
    found.wanted = False
    found.receive(ResponseBody(1, b"x" * 99))
    assert found.unread == 3
