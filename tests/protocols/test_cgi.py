"""Response heads: what an application says, written and read back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given

from fcgikit.config import DEFAULT
from fcgikit.errors import RemoteProtocolError
from fcgikit.events import Response
from fcgikit.protocols import cgi
from tests import strategies
from tests.conformance import Cut, bytewise

encoders = pytest.mark.parametrize(
    "encode", [cgi.encode_head, cgi.encode_authorizer_head, cgi.encode_status_line_head]
)


def read(data: bytes, cut: Cut) -> tuple[int, str, cgi.Headers, bytes] | None:
    reader = cgi.HeadReader(DEFAULT.max_head_size)
    pieces = cut(data)
    for count, piece in enumerate(pieces, start=1):
        parsed = reader.feed(piece)
        if parsed is not None:
            return (*parsed[:3], parsed[3] + b"".join(pieces[count:]))
    return None


@encoders
@given(response=strategies.responses(), cut=strategies.chunks())
def test_heads_survive_being_written(
    encode: Callable[[int, str, cgi.Headers], bytes], response: Response, cut: Cut
) -> None:
    head = encode(response.status, response.reason, response.headers)
    assert read(head + response.body, cut) == (
        response.status,
        response.reason,
        response.headers,
        response.body,
    )


def test_status_is_the_last_field() -> None:
    assert cgi.encode_head(201, "Created", [("Location", "/x")]) == (
        b"Location: /x\r\nStatus: 201 Created\r\n\r\n"
    )
    assert cgi.encode_status_line_head(404, "Gone", []) == b"HTTP/1.1 404 Gone\r\n\r\n"


def test_status_is_the_first_field_of_an_authorizer() -> None:
    assert cgi.encode_authorizer_head(302, "Found", [("Location", "/x")]) == (
        b"Status: 302 Found\r\nLocation: /x\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("head", "status", "reason"),
    [
        (b"A: b\n\nx", 200, "OK"),
        (b"A: b\r\n\nx", 200, "OK"),
        (b"Location: /x\n\nx", 302, "Found"),
        (b"Location: /x\nStatus: 303\n\nx", 303, "See Other"),
        (b"status:404 Nothing here \r\n\r\nx", 404, "Nothing here"),
        (b"HTTP/1.0 500 Oops\r\nA: b\r\n\r\nx", 500, "Oops"),
        (b"HTTP/2 204\r\n\r\nx", 204, "No Content"),
        (b"Status: 599\r\n\r\nx", 599, "Unknown"),
    ],
)
def test_heads_as_scripts_write_them(head: bytes, status: int, reason: str) -> None:
    parsed = read(head, bytewise)
    assert parsed is not None
    assert (parsed[0], parsed[1], parsed[3]) == (status, reason, b"x")


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n\r\n",
        b"\n\n",
        b"no colon\n\n",
        b"A: b\n folded\n\n",
        b"A : b\n\n",
        b": b\n\n",
        b"Status: abc\n\n",
        b"Status: 99\n\n",
        b"Status: 2000 OK\n\n",
    ],
)
def test_bad_heads(head: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        read(head, bytewise)
    assert caught.value.status == 502


@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_a_head_that_is_too_long(end: bytes) -> None:
    line = b"A: bcdef\r\n"
    head = line * (DEFAULT.max_head_size // len(line) + 1) + end
    with pytest.raises(RemoteProtocolError) as caught:
        read(head, lambda data: [data[:99], data[99:]])
    assert caught.value.limit == "max_head_size"


def test_a_refusal_is_a_complete_plain_answer() -> None:
    reason, headers, body = cgi.refusal(431, "more than \u20ac5")
    assert reason == "Request Header Fields Too Large"
    assert ("Content-Length", str(len(body))) in headers
    assert body.startswith(b"431 ")
    assert cgi.refusal(599, "")[0] == "Unknown"
