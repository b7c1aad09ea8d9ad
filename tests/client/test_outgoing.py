from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fcgikit.client.outgoing import PIECE, prepare
from fcgikit.events import Body, EndOfBody, EndOfFilterData, FilterData, Role


def test_a_small_body_travels_with_its_request() -> None:
    outgoing = prepare("fastcgi", "POST", "/", body=b"abc")
    first = outgoing.first()
    assert (first.body, first.complete, first.params["CONTENT_LENGTH"]) == (b"abc", True, "3")
    assert list(outgoing.rest(1)) == []


def test_a_large_body_follows_in_pieces() -> None:
    body = os.urandom(PIECE * 2 + 1)
    for given in (body, io.BytesIO(body)):
        outgoing = prepare("fastcgi", "POST", "/", body=given)
        first = outgoing.first()
        assert (first.body, first.complete) == (b"", False)
        assert first.params["CONTENT_LENGTH"] == str(len(body))
        *pieces, end = outgoing.rest(7)
        assert all(isinstance(piece, Body) and piece.request_id == 7 for piece in pieces)
        assert b"".join(piece.data for piece in pieces if isinstance(piece, Body)) == body
        assert end == EndOfBody(7)


def test_a_file_counts_from_where_it_stands() -> None:
    file = io.BytesIO(b"abcdef")
    file.seek(2)
    outgoing = prepare("scgi", "PUT", "/", body=file)
    assert outgoing.params["CONTENT_LENGTH"] == "4"
    assert list(outgoing.rest(1)) == [Body(1, b"cdef"), EndOfBody(1)]


@pytest.mark.parametrize(
    ("protocol", "body", "length"),
    [
        ("fastcgi", None, None),
        ("fastcgi", b"", "0"),
        ("fastcgi", iter([b"x"]), None),
        ("scgi", None, "0"),
        ("uwsgi", None, "0"),
    ],
)
def test_content_length(protocol: str, body: Any, length: str | None) -> None:
    assert prepare(protocol, "POST", "/", body=body).params.get("CONTENT_LENGTH") == length


def test_a_filter_gets_its_file_after_its_body() -> None:
    outgoing = prepare(
        "fastcgi", "GET", "/", role="filter", body=b"b", data=b"file", data_modified=5
    )
    assert outgoing.first().role is Role.FILTER
    assert outgoing.params["FCGI_DATA_LENGTH"] == "4"
    assert outgoing.params["FCGI_DATA_LAST_MOD"] == "5"
    assert list(outgoing.rest(1)) == [FilterData(1, b"file"), EndOfFilterData(1)]


def test_an_authorizer_gets_no_body() -> None:
    outgoing = prepare("fastcgi", "POST", "/", role="authorizer", body=b"x" * PIECE * 2)
    assert (outgoing.first().body, list(outgoing.rest(1))) == (b"", [])


def test_only_asyncio_takes_asynchronous_bodies() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def collect() -> list[object]:
        outgoing = prepare("fastcgi", "POST", "/", body=pieces())
        return [event async for event in outgoing.rest_async(1)]

    assert asyncio.run(collect()) == [Body(1, b"a"), Body(1, b"b"), EndOfBody(1)]
    with pytest.raises(TypeError, match="AsyncClient"):
        list(prepare("fastcgi", "POST", "/", body=pieces()).rest(1))


@pytest.mark.parametrize(
    ("method", "body", "repeatable"),
    [
        ("GET", None, True),
        ("PUT", b"x", True),
        ("POST", b"x", False),
        ("PUT", io.BytesIO(), False),
        ("PUT", iter([b"x"]), False),
    ],
)
def test_what_may_be_sent_twice(method: str, body: Any, repeatable: bool) -> None:
    assert prepare("fastcgi", method, "/", body=body).repeatable is repeatable


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"body": "text"}, TypeError, "bytes"),
        ({"role": "clown"}, ValueError, "clown"),
        ({"data": b"x"}, ValueError, "filter"),
    ],
)
def test_what_cannot_be_sent(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        prepare("fastcgi", "GET", "/", **arguments)


def test_roles_and_unknown_lengths_need_fastcgi() -> None:
    with pytest.raises(ValueError, match="roles"):
        prepare("scgi", "GET", "/", role="filter")
    with pytest.raises(ValueError, match="length"):
        prepare("uwsgi", "POST", "/", body=iter([b"x"]))


def test_own_variables_win() -> None:
    outgoing = prepare("fastcgi", "GET", "/", params={"SERVER_NAME": "x", "MINE": "é"})
    assert outgoing.params["SERVER_NAME"] == "x"
    assert outgoing.params["MINE"] == "\xc3\xa9"
