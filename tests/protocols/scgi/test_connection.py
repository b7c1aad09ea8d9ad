"""SCGI read strictly: rows of the conformance table, and hostile lengths."""

from __future__ import annotations

import pytest

from fcgikit.config import DEFAULT, Config
from fcgikit.errors import LocalProtocolError, RemoteProtocolError, Scope
from fcgikit.events import Closed, Request, Response, Side
from fcgikit.protocols.scgi import SCGIConnection
from tests.conformance import check_refused, encode


def netstring(*strings: str) -> bytes:
    block = "".join(string + "\0" for string in strings).encode("latin-1")
    return b"%d:%b," % (len(block), block)


def refused(data: bytes, config: Config = DEFAULT) -> RemoteProtocolError:
    error = check_refused(SCGIConnection, data, config)
    assert error.scope is Scope.REQUEST
    return error


def test_the_example_of_the_specification() -> None:
    wire = (
        b"70:CONTENT_LENGTH\x0027\x00SCGI\x001\x00REQUEST_METHOD\x00POST\x00"
        b"REQUEST_URI\x00/deepthought\x00,What is the answer to life?"
    )
    app = SCGIConnection(Side.APP, DEFAULT)
    params = {
        "CONTENT_LENGTH": "27",
        "SCGI": "1",
        "REQUEST_METHOD": "POST",
        "REQUEST_URI": "/deepthought",
    }
    request = Request(1, params, body=b"What is the answer to life?", complete=True)
    assert app.receive_data(wire) == [request]
    assert encode(SCGIConnection(Side.WEB, DEFAULT), request) == wire
    answer = encode(app, Response(1, 200, "OK", [("Content-Type", "text/plain")], b"42"))
    assert answer == b"Content-Type: text/plain\r\nStatus: 200 OK\r\n\r\n42"


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (netstring("CONTENT_LENGTH", "0"), "SCGI=1"),
        (netstring("CONTENT_LENGTH", "0", "SCGI", "2"), "SCGI=1"),
        (netstring("SCGI", "1"), "CONTENT_LENGTH"),
        (netstring("SCGI", "1", "CONTENT_LENGTH", "0"), "first"),
        (netstring("CONTENT_LENGTH", "0", "SCGI", "1", "A"), "no value"),
        (netstring("CONTENT_LENGTH", "0", "SCGI", "1", "", "x"), "no name"),
        (netstring("CONTENT_LENGTH", "0", "SCGI", "1", "A", "1", "A", "2"), "twice"),
        (netstring("CONTENT_LENGTH", "0", "SCGI", "1", "CONTENT_LENGTH", "1"), "twice"),
        (b"23:CONTENT_LENGTH\0000\0SCGI\0001,", "NUL"),
        (b"24:CONTENT_LENGTH\0000\0SCGI\0001\0;", "comma"),
        (b"0:,", "NUL"),
        (b"024:CONTENT_LENGTH\0000\0SCGI\0001\0,", "leading zero"),
        (b"2x:", "decimal"),
        (b"2 4:", "decimal"),
        (b"12345678901", "10 digits"),
        (b"99999999999999999999999999", "10 digits"),
    ],
)
def test_refused(wire: bytes, reason: str) -> None:
    error = refused(wire)
    assert reason in str(error)
    assert error.status == 400


@pytest.mark.parametrize(
    "length", ["", "+5", "-1", "1_0", "0x5", " 5", "5 ", "\xb2", "5,5", "9" * 5000]
)
def test_content_length_is_digits_only(length: str) -> None:
    assert "CONTENT_LENGTH" in str(refused(netstring("CONTENT_LENGTH", length, "SCGI", "1")))


@pytest.mark.parametrize("wire", [b"+24:", b" 24:", b"-1:", b"\xb2:"])
def test_what_does_not_begin_with_a_digit_is_not_scgi(wire: bytes) -> None:
    app = SCGIConnection(Side.APP, DEFAULT)
    (event,) = app.receive_data(wire)
    assert isinstance(event, Closed)
    assert app.data_to_send() == b""


def test_the_size_is_refused_before_anything_is_kept() -> None:
    config = Config(max_params_size=1000)
    for length in (b"1001:", b"9999999999:"):
        error = refused(length, config)
        assert (error.status, error.limit) == (431, "max_params_size")
    app = SCGIConnection(Side.APP, config)
    assert app.receive_data(b"1000:") == []


def test_repeated_header_fields_are_merged() -> None:
    wire = netstring(
        "CONTENT_LENGTH", "0", "HTTP_X", "1", "HTTP_COOKIE", "a=1", "HTTP_X", "2",
        "HTTP_COOKIE", "b=2", "SCGI", "1",
    )  # fmt: skip
    (request,) = SCGIConnection(Side.APP, DEFAULT).receive_data(wire)
    assert isinstance(request, Request)
    assert request.params["HTTP_X"] == "1, 2"
    assert request.params["HTTP_COOKIE"] == "a=1; b=2"


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"CONTENT_LENGTH": "+1"},
        {"CONTENT_LENGTH": "0", "SCGI": "2"},
        {"CONTENT_LENGTH": "0", "": "x"},
        {"CONTENT_LENGTH": "0", "A": "\0"},
        {"CONTENT_LENGTH": "0", "A": "\u20ac"},
    ],
)
def test_what_cannot_be_written(params: dict[str, str]) -> None:
    with pytest.raises(LocalProtocolError):
        SCGIConnection(Side.WEB, DEFAULT).send(Request(1, params, complete=True))
