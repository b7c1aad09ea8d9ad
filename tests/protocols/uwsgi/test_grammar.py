"""The codec against the declared grammar: neither shares code with the other."""

from __future__ import annotations

from construct import ConstructError
from hypothesis import given
from hypothesis import strategies as st

from fcgikit.config import DEFAULT
from fcgikit.events import Refused, Request, Side
from fcgikit.protocols.uwsgi import UwsgiConnection, grammar
from tests import strategies
from tests.conformance import encode


@given(request=strategies.requests())
def test_the_grammar_reads_what_the_codec_writes(request: Request) -> None:
    wire = encode(UwsgiConnection(Side.WEB, DEFAULT), request)
    parsed = grammar.Request.parse(wire)
    assert {var.key: var.value for var in parsed.packet.vars} == request.params
    assert parsed.body == request.body
    assert grammar.Request.build(parsed) == wire


@given(block=strategies.mutations(st.just(b"\1\0A\1\0b\2\0HI\0\0")))
def test_the_codec_accepts_what_the_grammar_accepts(block: bytes) -> None:
    wire = bytes((0, len(block), 0, 0)) + block
    (event,) = UwsgiConnection(Side.APP, DEFAULT).receive_data(wire)
    try:
        parsed = grammar.Packet.parse(wire)
    except ConstructError:
        assert not isinstance(event, Request)
    else:
        if not block:  # sound, and yet no request: see the codec
            assert isinstance(event, Refused)
            return
        assert isinstance(event, Request)
        assert {var.key for var in parsed.vars} == set(event.params)
