"""``wsgi.input``: reading, its end, and what is wrong with a body."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcgikit.errors import BodyTimeout, BodyTruncated, ClientDisconnected
from fcgikit.gateways.input import NO_BODY, close_body, open_body
from tests.fake_exchange import FakeExchange

Pieces = list[bytes | Exception]


def arriving(*pieces: bytes | Exception, first: bytes = b"") -> FakeExchange:
    return FakeExchange("POST", body=first, complete=False, pieces=list(pieces))


def test_a_body_that_is_here_is_read_without_waiting() -> None:
    def never() -> bytes:
        raise AssertionError("nothing to wait for")

    exchange = FakeExchange("POST", body=b"one\ntwo")
    exchange.read = never  # type: ignore[method-assign]
    for length in (None, 7):
        assert open_body(exchange, length).readlines() == [b"one\n", b"two"]
    exchange.request.complete = False
    assert open_body(exchange, 7).read() == b"one\ntwo"  # its end record may still be on its way
    assert open_body(exchange, 0).read() == b""


def test_where_there_is_no_body_nothing_is_read_and_nobody_ends_it_for_others() -> None:
    wrapper = io.TextIOWrapper(NO_BODY)  # type: ignore[type-var]
    assert wrapper.read() == ""
    wrapper.close()
    with NO_BODY as body:
        assert body.read() == body.read(5) == body.read1() == body.readline() == b""
    assert body.readable()
    assert list(body) == body.readlines() == []
    assert body.readinto(bytearray(5)) == 0
    assert not body.closed


def test_a_streamed_body_to_the_end_of_its_stream() -> None:
    body = open_body(arriving(b"b\nc", b"d", b"\n", first=b"a"), None)
    assert list(body) == [b"ab\n", b"cd\n"]
    assert body.read() == b""


def test_methods_of_the_stream() -> None:
    body = open_body(arriving(b"first\nsecond\n", b"third\n", b"rest", first=b""), None)
    assert body.readline(3) == b"fir"
    assert body.readline() == b"st\n"
    assert body.read(4) == b"seco"
    assert body.readlines(1) == [b"nd\n"]
    assert body.readline(-1) == b"third\n"
    assert body.read(0) == b""
    assert body.read(100) == b"rest"
    assert body.read(100) == body.readline() == b""


def test_what_has_arrived_can_be_read_before_the_rest() -> None:
    body = open_body(arriving(b"later", first=b"now"), None)
    assert isinstance(body, io.BufferedReader)
    assert body.read1() == b"now"
    assert body.read1() == b"later"


@pytest.mark.parametrize("complete", [True, False])
def test_more_than_content_length_is_not_read(complete: bool) -> None:
    exchange = FakeExchange("POST", body=b"abcGET /smuggled", complete=complete)
    assert open_body(exchange, 3).read() == b"abc"
    exchange = arriving(b"bcGET", b" /smuggled", first=b"a")
    assert open_body(exchange, 3).read() == b"abc"


@pytest.mark.parametrize(
    "exchange",
    [
        FakeExchange("POST", body=b"abc"),
        arriving(b"bc", first=b"a"),
        arriving(b"abc", BodyTruncated("EOF")),
    ],
)
def test_a_short_body_raises_every_time(exchange: FakeExchange) -> None:
    body = open_body(exchange, 5)
    assert body.read(3) == b"abc"
    with pytest.raises(BodyTruncated):
        body.read(1)
    with pytest.raises(BodyTruncated):
        body.read()


@pytest.mark.parametrize("complete", [True, False])
def test_a_body_announced_but_not_sent_is_empty(complete: bool) -> None:
    body = open_body(FakeExchange("GET", complete=complete), 3)  # Caddy's forward_auth
    assert body.read() == b""
    assert body.readline() == b""


@pytest.mark.parametrize("error", [BodyTimeout("slow"), ClientDisconnected("gone")])
def test_trouble_on_the_way_reaches_the_reader(error: Exception) -> None:
    body = open_body(arriving(error, first=b"a"), None)
    with pytest.raises(type(error)):
        body.read()


@pytest.mark.parametrize("complete", [True, False])
def test_a_closed_body_cannot_be_read(complete: bool) -> None:
    body = open_body(FakeExchange("POST", body=b"abc", complete=complete), None)
    close_body(body)
    close_body(body)
    for read in (body.read, body.readline, lambda: list(body)):
        with pytest.raises(ValueError):
            read()


def test_closing_a_detached_body_is_harmless() -> None:
    body = open_body(arriving(b"abc"), None)
    assert isinstance(body, io.BufferedReader)
    raw = body.detach()
    close_body(body)
    assert raw.read(3) == b"abc"


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=6),
    st.none() | st.integers(0, 120),
    st.lists(st.tuples(st.sampled_from(["read", "readline"]), st.integers(1, 40)), max_size=20),
)
def test_any_pieces_read_like_a_file(
    pieces: list[bytes], length: int | None, calls: list[tuple[str, int]]
) -> None:
    whole = b"".join(pieces)[:length]
    if length is not None and len(whole) < length:
        length = len(whole)
    file = io.BytesIO(whole)
    body = open_body(arriving(*pieces), length)
    for method, size in calls:
        assert getattr(body, method)(size) == getattr(file, method)(size)
    assert body.read() == file.read()
