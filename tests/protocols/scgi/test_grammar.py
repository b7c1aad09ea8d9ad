"""The codec against the declared grammar: neither shares code with the other."""

from __future__ import annotations

import pytest
from construct import ConstructError
from hypothesis import given
from hypothesis import strategies as st

from fcgikit.config import DEFAULT
from fcgikit.events import Request, Side
from fcgikit.protocols.scgi import SCGIConnection, grammar
from tests import strategies
from tests.conformance import encode


@given(request=strategies.requests())
def test_the_grammar_reads_what_the_codec_writes(request: Request) -> None:
    wire = encode(SCGIConnection(Side.WEB, DEFAULT), request)
    parsed = grammar.Request.parse(wire)
    assert {header.name: header.value for header in parsed.headers} == request.params
    assert [header.name for header in parsed.headers[:2]] == ["CONTENT_LENGTH", "SCGI"]
    assert parsed.body == request.body
    assert grammar.Request.build(parsed) == wire


@given(block=strategies.mutations(st.just(b"CONTENT_LENGTH\x000\x00SCGI\x001\x00A\x00b\x00")))
def test_what_the_codec_accepts_the_grammar_accepts(block: bytes) -> None:
    """Not the other way round: the grammar knows the form, the codec also what it means."""
    wire = b"%d:%b," % (len(block), block)
    (event,) = SCGIConnection(Side.APP, DEFAULT).receive_data(wire)
    if isinstance(event, Request):
        headers = grammar.Headers.parse(block)
        assert {header.name for header in headers} == set(event.params)


@pytest.mark.parametrize("wire", [b"", b"x:", b"5:a\0b", b"5:a\0b\0\0,", b"4:a\0b\0;", b"3:a\0b,"])
def test_the_grammar_refuses(wire: bytes) -> None:
    with pytest.raises(ConstructError):
        grammar.Request.parse(wire)
