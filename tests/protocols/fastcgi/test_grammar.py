"""The codec against the declared grammar: neither shares code with the other."""

from __future__ import annotations

from typing import Any

import pytest
from construct import ConstructError
from hypothesis import given
from hypothesis import strategies as st

from fcgikit.errors import RemoteProtocolError
from fcgikit.events import ProtocolStatus, Role
from fcgikit.protocols.fastcgi import constants as fcgi
from fcgikit.protocols.fastcgi import grammar
from fcgikit.protocols.fastcgi.pairs import decode_pairs, encode_pairs
from fcgikit.protocols.fastcgi.records import (
    RecordReader,
    decode_begin_request,
    decode_end_request,
    encode_begin_request,
    encode_end_of_response,
    encode_record,
    encode_unknown_type,
)
from tests import strategies

pairs = st.lists(st.tuples(strategies.names(), strategies.values()), max_size=6)


def read_one(wire: bytes) -> tuple[int, int, bytes]:
    (record,) = RecordReader().feed(wire)
    return record


@given(
    type_=st.integers(0, 255),
    request_id=st.integers(0, 0xFFFF),
    content=st.binary(max_size=300),
    padding=st.integers(0, 255),
)
def test_records(type_: int, request_id: int, content: bytes, padding: int) -> None:
    wire = encode_record(type_, request_id, content, padding)
    parsed = grammar.Record.parse(wire)
    assert (parsed.version, parsed.requestId, parsed.contentLength) == (1, request_id, len(content))
    assert int(parsed.type) == type_
    assert (parsed.contentData, parsed.paddingLength) == (content, padding)
    assert grammar.Record.build(parsed) == wire
    assert read_one(wire) == (type_, request_id, content)


@given(items=pairs)
def test_pairs(items: list[tuple[str, str]]) -> None:
    block = encode_pairs(items)
    parsed = grammar.NameValuePairs.parse(block)
    assert [(pair.nameData, pair.valueData) for pair in parsed] == items == decode_pairs(block)
    assert grammar.NameValuePairs.build(parsed) == block


@given(block=strategies.mutations(pairs.map(encode_pairs)))
def test_spoilt_pairs(block: bytes) -> None:
    """Both accept the same blocks and read the same out of them."""
    try:
        parsed = [(p.nameData, p.valueData) for p in grammar.NameValuePairs.parse(block)]
    except ConstructError:
        with pytest.raises(RemoteProtocolError):
            decode_pairs(block)
    else:
        assert decode_pairs(block) == parsed


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 65535, 65536])
def test_lengths_of_one_and_of_four_bytes(size: int) -> None:
    block = encode_pairs([("N" * size, "v" * size)])
    assert len(block) == 2 * size + (2 if size < 128 else 8)
    (pair,) = grammar.NameValuePairs.parse(block)
    assert (pair.nameLength, pair.valueLength) == (size, size)


def content_of(wire: bytes) -> tuple[Any, bytes]:
    """The parsed content of the one record in *wire*, which must build again to itself."""
    record = grammar.Record.parse(wire)
    declared = grammar.CONTENTS[str(record.type)]
    parsed = declared.parse(record.contentData)
    assert declared.build(parsed) == record.contentData
    return parsed, record.contentData


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("keep_conn", [False, True])
def test_begin_request(role: Role, keep_conn: bool) -> None:
    parsed, content = content_of(encode_begin_request(7, role, keep_conn))
    assert (int(parsed.role), bool(parsed.flags.KEEP_CONN)) == (role, keep_conn)
    assert decode_begin_request(content) == (role, keep_conn)


@pytest.mark.parametrize("status", ProtocolStatus)
def test_end_request(status: ProtocolStatus) -> None:
    wire = encode_end_of_response(7, 0xDEADBEEF, status)
    end_of_stdout, end_request = grammar.Records.parse(wire)
    assert (str(end_of_stdout.type), end_of_stdout.contentData) == ("STDOUT", b"")
    parsed, content = content_of(grammar.Record.build(end_request))
    assert (parsed.appStatus, int(parsed.protocolStatus)) == (0xDEADBEEF, status)
    assert decode_end_request(content) == (0xDEADBEEF, status)


def test_unknown_type() -> None:
    assert content_of(encode_unknown_type(99))[0].type == 99


def test_every_record_type_has_a_content() -> None:
    assert {f"FCGI_{name}" for name in grammar.CONTENTS} == set(fcgi.RECORD_NAMES.values())
    assert set(grammar.CONTENTS) == set(grammar.RecordType.encmapping)
