"""A stream cut into records, in whatever pieces it arrives. Their contents: test_grammar.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fcgikit.protocols.fastcgi import constants as fcgi
from fcgikit.protocols.fastcgi.records import Record, RecordReader, encode_record
from tests import strategies
from tests.conformance import Cut

FLOWING = {fcgi.FCGI_PARAMS, fcgi.FCGI_STDIN, fcgi.FCGI_STDOUT, fcgi.FCGI_DATA}
RECORDS = st.tuples(st.integers(0, 13), st.integers(0, 2), st.binary(max_size=40))


def joined(records: list[Record]) -> list[Record]:
    """With what follows each other in a stream in one piece."""
    whole: list[Record] = []
    for type_, request_id, content in records:
        if whole and content and type_ in FLOWING and request_id:
            last_type, last_id, last = whole[-1]
            if last and (last_type, last_id) == (type_, request_id):
                content = last + content
                del whole[-1]
        whole.append((type_, request_id, content))
    return whole


@given(records=st.lists(RECORDS, max_size=5), cut=strategies.chunks())
def test_records_in_pieces(records: list[Record], cut: Cut) -> None:
    """Streams come in more pieces, of which none is empty; and nothing else changes."""
    wire = b"".join(encode_record(*record) for record in records)
    reader = RecordReader()
    pieces = [piece for data in cut(wire) for piece in reader.feed(data)]
    assert joined(pieces) == joined(records)
    assert reader.empty
    assert reader.error is None


@given(record=RECORDS)
def test_what_is_held_back(record: Record) -> None:
    """Of a body, nothing: its first byte is there as soon as it has come."""
    type_, request_id, content = record
    flows = type_ in FLOWING and request_id
    wire = encode_record(type_, request_id, content, padding=2)
    reader = RecordReader()
    assert reader.feed(wire[:8]) == ([(type_, request_id, b"")] if flows and not content else [])
    for at in range(8, len(wire) - 1):
        byte = wire[at : at + 1] if at < 8 + len(content) else b""
        assert reader.feed(wire[at : at + 1]) == (
            [(type_, request_id, byte)] if flows and byte else []
        )
        assert not reader.empty
    assert reader.feed(wire[-1:]) == ([] if flows else [record])
    assert reader.empty
