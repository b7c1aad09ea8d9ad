"""What has broken other FastCGI servers, sent to ours: nothing may be raised, kept or believed."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcgikit.config import DEFAULT, Config
from fcgikit.events import (
    Closed,
    EndOfResponse,
    Event,
    ProtocolStatus,
    Refused,
    Request,
    Response,
    ResponseBody,
    Role,
    Side,
)
from fcgikit.protocols.fastcgi import FastCGIConnection, grammar
from fcgikit.protocols.fastcgi import constants as fcgi
from fcgikit.protocols.fastcgi.pairs import encode_pairs
from fcgikit.protocols.fastcgi.records import encode_begin_request, encode_record
from fcgikit.protocols.interface import Connection
from tests import strategies
from tests.conformance import Cut, bytewise, check_garbage, check_split, encode

EMPTY_PARAMS = encode_record(fcgi.FCGI_PARAMS, 1)
EMPTY_STDIN = encode_record(fcgi.FCGI_STDIN, 1)
BEGIN = encode_begin_request(1, Role.RESPONDER, keep_conn=True)
SIZES = [127, 128, 0xFFFF, 0x10000, 0x7FFFFFFF]


ANY_RECORD = st.builds(
    encode_record,
    st.integers(0, 13),
    st.integers(0, 3),
    st.one_of(
        st.just(b""),
        st.binary(max_size=12),
        st.sampled_from(
            [b"\0\1\1\0\0\0\0\0", b"\0\3\0\0\0\0\0\0", b"\1\1Ab", b"Status: 200 OK\n\nx"]
        ),
    ),
    st.integers(0, 9),
)
ANY_RECORDS = st.lists(ANY_RECORD, max_size=25).map(b"".join)


def new() -> Connection:
    return FastCGIConnection(Side.APP, DEFAULT)


def asking(block: bytes) -> bytes:
    """A GET whose variables are *block*."""
    return BEGIN + encode_record(fcgi.FCGI_PARAMS, 1, block) + EMPTY_PARAMS + EMPTY_STDIN


def error_of(events: list[Event]) -> str:
    (event,) = events
    assert isinstance(event, Closed | Refused)
    assert event.error is not None
    return str(event.error)


def long(size: int) -> bytes:
    return (size | 0x80000000).to_bytes(4, "big")


@given(wire=ANY_RECORDS, cut=strategies.chunks())
def test_any_records_in_any_order(wire: bytes, cut: Cut) -> None:
    check_split(new, wire, cut)
    check_garbage(new(), wire, cut)


@given(wire=ANY_RECORDS, cut=strategies.chunks())
def test_any_records_as_an_answer(wire: bytes, cut: Cut) -> None:
    def asked() -> Connection:
        web = FastCGIConnection(Side.WEB, DEFAULT)
        for request_id in (1, 2, 3):
            web.send(Request(request_id, {}, complete=True))
        return web

    check_split(asked, wire, cut)
    check_garbage(asked(), wire, cut)


def test_still_serves_after_a_refused_request() -> None:
    app = new()
    app.receive_data(asking(b"\x05"))
    assert app.data_to_send()
    (request,) = app.receive_data(asking(encode_pairs([("A", "b")])))
    assert request == Request(1, {"A": "b"}, keep_conn=True, complete=True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lying", ["name", "value"])
def test_lengths_beyond_what_came(size: int, lying: str) -> None:
    """The overflow of libfcgi and Perl FCGI: no length makes us allocate."""
    name, value = (long(size), b"\x01") if lying == "name" else (b"\x01", long(size))
    tracemalloc.start()
    try:
        events = new().receive_data(asking(name + value + b"Ab"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "pair" in error_of(events)
    assert peak < 64 * 1024


@pytest.mark.parametrize("block", [b"\x80\x00\x00\x00\x00", b"\x00\x80\x00\x00\x00"])
def test_the_top_bit_alone_is_a_length_of_zero(block: bytes) -> None:
    (request,) = new().receive_data(asking(block))
    assert isinstance(request, Request)
    assert request.params == {"": ""}


@pytest.mark.parametrize("size", [127, 128, 0xFFF0])
def test_lengths_that_tell_the_truth(size: int) -> None:
    (request,) = new().receive_data(asking(long(1) + long(size) + b"A" + b"v" * size))
    assert isinstance(request, Request)
    assert request.params == {"A": "v" * size}


def test_every_way_to_cut_a_pair_off() -> None:
    block = encode_pairs([("NAME", "value"), ("LONG", "v" * 200)])
    for size in range(1, len(block)):
        events = new().receive_data(asking(block[:size]))
        if size == 11:  # exactly the first pair
            assert isinstance(events[0], Request)
        else:
            assert "pair" in error_of(events)


def test_variables_one_byte_per_record() -> None:
    pairs = [("REQUEST_METHOD", "GET"), ("HTTP_LONG", "v" * 300)]
    wire = BEGIN + b"".join(
        encode_record(fcgi.FCGI_PARAMS, 1, byte) for byte in bytewise(encode_pairs(pairs))
    )
    (request,) = new().receive_data(wire + EMPTY_PARAMS + EMPTY_STDIN)
    assert isinstance(request, Request)
    assert request.params == dict(pairs)


def test_more_variables_than_the_limit() -> None:
    app = FastCGIConnection(Side.APP, Config(max_params_size=100))
    (event,) = app.receive_data(asking(encode_pairs([("A", "v" * 100)])))
    assert isinstance(event, Refused)
    assert (event.error.status, event.error.limit) == (431, "max_params_size")
    assert b"Status: 431 " in app.data_to_send()
    assert not app.must_close  # the connection is sound


def test_the_same_value_asked_for_again_and_again() -> None:
    app = new()
    for _ in range(10):
        block = encode_pairs([("FCGI_MPXS_CONNS", ""), ("X", "")] * 2500)
        assert app.receive_data(encode_record(fcgi.FCGI_GET_VALUES, 0, block)) == []
        (record,) = grammar.Records.parse(app.data_to_send())
        (pair,) = grammar.GetValuesResult.parse(record.contentData)
        assert (pair.nameData, pair.valueData) == ("FCGI_MPXS_CONNS", "1")


@pytest.mark.parametrize("value", ["/a\nb", "/a\0b", "%0a", "", "\r\nStatus: 200", "\u00ff"])
def test_any_byte_in_a_path_reaches_the_application_unchanged(value: str) -> None:
    pairs = [(name, value) for name in ("PATH_INFO", "SCRIPT_NAME", "SCRIPT_FILENAME")]
    (request,) = new().receive_data(asking(encode_pairs(pairs)))
    assert isinstance(request, Request)
    assert request.params == dict(pairs)


@pytest.mark.parametrize("padding", [0, 1, 7, 8, 254, 255])
def test_the_largest_record_with_any_padding(padding: int) -> None:
    """Content and padding together exceed 16 bits, where HAProxy's length wrapped."""
    body = (BEGIN * 4096)[:0xFFFF]
    stdin = encode_record(fcgi.FCGI_STDIN, 1, body, padding)
    (request,) = new().receive_data(BEGIN + EMPTY_PARAMS + stdin + EMPTY_STDIN)
    assert request == Request(1, {}, keep_conn=True, body=body, complete=True)


def test_padding_that_looks_like_records() -> None:
    stdin = bytearray(encode_record(fcgi.FCGI_STDIN, 1, b"x", 255))
    stdin[9:] = (BEGIN * 16)[:255]
    wire = BEGIN + EMPTY_PARAMS + bytes(stdin) + EMPTY_STDIN
    assert new().receive_data(wire) == [Request(1, {}, keep_conn=True, body=b"x", complete=True)]
    check_split(new, wire, bytewise)


@pytest.mark.parametrize("type_", range(fcgi.FCGI_BEGIN_REQUEST, fcgi.FCGI_DATA + 1))
def test_application_records_without_a_request_id(type_: int) -> None:
    app = new()
    assert "request id 0" in error_of(app.receive_data(encode_record(type_, 0, bytes(8))))
    assert app.must_close


@pytest.mark.parametrize("type_", [0, 12, 99, 255])
def test_management_records_of_unknown_type(type_: int) -> None:
    """The one record that took node-fastcgi down; it has an answer, and life goes on."""
    app = new()
    assert app.receive_data(encode_record(type_, 0, b"what")) == []
    (record,) = grammar.Records.parse(app.data_to_send())
    assert grammar.UnknownTypeBody.parse(record.contentData).type == type_
    assert isinstance(app.receive_data(asking(b""))[0], Request)


@pytest.mark.parametrize(
    "record",
    [
        b"\x02" + BEGIN[1:],
        encode_record(fcgi.FCGI_BEGIN_REQUEST, 1, b"\0\1"),
        encode_record(fcgi.FCGI_BEGIN_REQUEST, 1, bytes(9)),
        BEGIN + BEGIN,
        BEGIN + EMPTY_STDIN,
        BEGIN + EMPTY_PARAMS + encode_record(fcgi.FCGI_PARAMS, 1, b"\1\1ab"),
        encode_record(fcgi.FCGI_GET_VALUES, 0, b"\x05"),
    ],
)
def test_violations_close_the_connection(record: bytes) -> None:
    app = new()
    events = app.receive_data(record)
    closed = events[-1]
    assert isinstance(closed, Closed)
    assert closed.error is not None
    assert app.receive_data(asking(b"")) == app.receive_eof() == []


def test_requests_that_never_get_their_variables() -> None:
    """Go's net/http/fcgi keeps every one of them for ever."""
    app = FastCGIConnection(Side.APP, Config(max_requests_per_connection=8))
    refused = 0
    for first in range(1, 0x10000, 64):
        wire = b"".join(
            encode_begin_request(request_id, Role.RESPONDER, keep_conn=True)
            + encode_record(fcgi.FCGI_PARAMS, request_id, b"\x01")
            for request_id in range(first, min(first + 64, 0x10000))
        )
        events = app.receive_data(wire)
        assert all(isinstance(event, Refused) for event in events)
        refused += len(events)
        end = grammar.Record.parse(app.data_to_send()[-16:])
        status = grammar.EndRequestBody.parse(end.contentData).protocolStatus
        assert int(status) == ProtocolStatus.OVERLOADED
        assert app.open_requests == 8
    assert refused == 0xFFFF - 8
    # The newest are the ones that are kept, so an honest request still gets through.
    rest = encode_record(fcgi.FCGI_PARAMS, 0xFFFF, b"\x00A")
    (request,) = app.receive_data(rest + encode_record(fcgi.FCGI_PARAMS, 0xFFFF))
    assert request == Request(0xFFFF, {"A": ""}, keep_conn=True)


def test_we_never_send_an_empty_record_inside_a_stream() -> None:
    app = new()
    app.receive_data(asking(b""))
    assert encode(app, Response(1, 200, "OK", [("A", "b")]), ResponseBody(1, b"x"))
    assert app.send(ResponseBody(1, b"")) == []
    records = grammar.Records.parse(encode(app, EndOfResponse(1)))
    assert [str(record.type) for record in records] == ["STDOUT", "END_REQUEST"]
