"""uwsgi packets: sizes at their limits, bodies that cannot be delimited."""

from __future__ import annotations

import pytest

from fcgikit.config import DEFAULT, Config
from fcgikit.errors import LocalProtocolError, RemoteProtocolError, Scope
from fcgikit.events import Closed, Request, Side
from fcgikit.protocols.uwsgi import UwsgiConnection
from tests.conformance import check_refused, encode


def packet(block: bytes, modifier1: int = 0) -> bytes:
    return bytes((modifier1, len(block) & 0xFF, len(block) >> 8, 0)) + block


def strings(*texts: bytes) -> bytes:
    return b"".join(len(text).to_bytes(2, "little") + text for text in texts)


def refused(data: bytes, config: Config = DEFAULT) -> RemoteProtocolError:
    error = check_refused(UwsgiConnection, data, config)
    assert error.scope is Scope.REQUEST
    return error


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (strings(b"A"), "no value"),
        (strings(b"A", b"b") + b"\1", "cut off"),
        (strings(b"A", b"b")[:-1], "longer"),
        (b"\xff\xff", "longer"),
        (strings(b"A") + b"\xff\xff" + b"x" * 0xFFFE, "longer"),
    ],
)
def test_lengths_that_lie(block: bytes, reason: str) -> None:
    assert reason in str(refused(packet(block[:0xFFFF])))


def test_the_largest_packet_there_is() -> None:
    value = b"v" * (0xFFFF - len(strings(b"A", b"")))
    wire = packet(strings(b"A", value))
    assert wire[1:3] == b"\xff\xff"
    (request,) = UwsgiConnection(Side.APP, DEFAULT).receive_data(wire)
    assert request == Request(1, {"A": value.decode()}, complete=True)
    assert encode(UwsgiConnection(Side.WEB, DEFAULT), request) == wire
    with pytest.raises(LocalProtocolError, match="65535"):
        UwsgiConnection(Side.WEB, DEFAULT).send(
            Request(1, {"A": value.decode() + "v"}, complete=True)
        )


@pytest.mark.parametrize("name_size", [0, 1, 254, 255, 256, 511, 512])
@pytest.mark.parametrize("value_size", [0, 1, 254, 255, 256, 511, 512])
def test_lengths_around_a_whole_byte(name_size: int, value_size: int) -> None:
    params = {"n" * name_size: "v" * value_size, "REQUEST_METHOD": "GET"}
    block = strings(*(text.encode() for pair in params.items() for text in pair))
    (request,) = UwsgiConnection(Side.APP, DEFAULT).receive_data(packet(block))
    assert request == Request(1, params, complete=True)


def test_repeated_variables_are_merged() -> None:
    names = b"HTTP_X", b"1", b"PATH_INFO", b"/old", b"HTTP_X", b"2", b"PATH_INFO", b"/new"
    (request,) = UwsgiConnection(Side.APP, DEFAULT).receive_data(packet(strings(*names)))
    assert request == Request(1, {"HTTP_X": "1, 2", "PATH_INFO": "/new"}, complete=True)


def test_a_packet_beyond_our_own_limit() -> None:
    error = refused(packet(b"x" * 501)[:4], Config(max_params_size=500))
    assert (error.status, error.limit) == (431, "max_params_size")


@pytest.mark.parametrize("modifier1", [2, 5, 30, 255])
def test_other_packet_types(modifier1: int) -> None:
    assert f"modifier1 {modifier1} " in str(refused(bytes((modifier1,))))


@pytest.mark.parametrize("modifier2", [1, 255])
def test_a_variety_of_the_packet_type(modifier2: int) -> None:
    error = refused(packet(strings(b"A", b"b"))[:3] + bytes((modifier2,)))
    assert f"modifier2 {modifier2} is not served here; remove uwsgi_modifier2" in str(error)
    assert error.status == 400


def test_a_packet_without_variables() -> None:
    error = refused(packet(b""))
    assert (error.status, str(error)) == (400, "the packet holds no CGI variables")


@pytest.mark.parametrize("first", [0x01, 0x16, ord("9"), ord("G")])
def test_other_protocols(first: int) -> None:
    (event,) = UwsgiConnection(Side.APP, DEFAULT).receive_data(bytes((first,)))
    assert isinstance(event, Closed)
    assert "this looks like" in str(event.error)


@pytest.mark.parametrize("params", [{}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "0"}])
def test_a_request_without_body(params: dict[str, str]) -> None:
    """The front end keeps its end open, so waiting for more would be waiting for ever."""
    request = Request(1, {"REQUEST_METHOD": "GET"} | params, complete=True)
    wire = encode(UwsgiConnection(Side.WEB, DEFAULT), request)
    assert UwsgiConnection(Side.APP, DEFAULT).receive_data(wire) == [request]


@pytest.mark.parametrize(
    "block",
    [
        strings(b"HTTP_TRANSFER_ENCODING", b"chunked"),
        strings(b"CONTENT_LENGTH", b"", b"HTTP_TRANSFER_ENCODING", b"chunked"),
        strings(b"CONTENT_LENGTH", b"-1"),
    ],
)
def test_a_body_of_unknown_length(block: bytes) -> None:
    assert refused(packet(block)).status == 411


def test_transfer_encoding_does_not_matter_beside_a_length() -> None:
    block = strings(b"HTTP_TRANSFER_ENCODING", b"chunked", b"CONTENT_LENGTH", b"2")
    (request,) = UwsgiConnection(Side.APP, DEFAULT).receive_data(packet(block) + b"0\r\n")
    assert isinstance(request, Request)
    assert (request.body, request.complete) == (b"0\r", True)


@pytest.mark.parametrize("length", [b"+5", b"1_0", b"0x5", b" 5", b"\xb2", b"5,5", b"9" * 5000])
def test_content_length_is_digits_only(length: bytes) -> None:
    assert refused(packet(strings(b"CONTENT_LENGTH", length))).status == 400


def test_any_byte_may_stand_in_a_value() -> None:
    value = bytes(range(256))
    (request,) = UwsgiConnection(Side.APP, DEFAULT).receive_data(
        packet(strings(b"PATH_INFO", value))
    )
    assert isinstance(request, Request)
    assert request.params["PATH_INFO"].encode("latin-1") == value
