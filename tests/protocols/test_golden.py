"""What real front ends sent, through the chapters: ``tests/golden/README.md`` says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcgikit.config import DEFAULT
from fcgikit.events import Abort, Event, Request, Response, Role, Side
from fcgikit.protocols import PROTOCOLS, detect
from fcgikit.protocols.fastcgi import grammar as fastcgi
from fcgikit.protocols.fastcgi.pairs import decode_pairs, encode_pairs
from fcgikit.protocols.fastcgi.records import encode_record
from fcgikit.protocols.interface import Chapter
from fcgikit.protocols.params import merge
from fcgikit.protocols.scgi import grammar as scgi
from fcgikit.protocols.uwsgi import grammar as uwsgi
from tests import strategies
from tests.conformance import Cut, bytewise, coalesce, encode, receive, whole

GOLDEN = Path(__file__).parents[1] / "golden"
CHAPTERS = {".fcgi": "fastcgi", ".scgi": "scgi", ".uwsgi": "uwsgi"}
STREAMS = {path.name: path.read_bytes() for path in GOLDEN.iterdir() if path.suffix in CHAPTERS}

streams = pytest.mark.parametrize("name", sorted(STREAMS))


def chapter_of(name: str) -> Chapter:
    return PROTOCOLS[CHAPTERS[Path(name).suffix]]


def named(suffix: str) -> list[str]:
    return sorted(name for name in STREAMS if name.endswith(suffix))


# -- what the grammars, which share no code with the codecs, make of a stream --------------------


def grammar_events(name: str) -> list[list[Event]]:
    """The events of a stream, one list for each turn: until the next request needs an answer."""
    wire = STREAMS[name]
    if name.endswith(".scgi"):
        parsed = scgi.Request.parse(wire)
        pairs = [(header.name, header.value) for header in parsed.headers]
        return [[Request(1, merge(pairs), body=parsed.body, complete=True)]]
    if name.endswith(".uwsgi"):
        parsed = uwsgi.Request.parse(wire)
        pairs = [(var.key, var.value) for var in parsed.packet.vars]
        return [[Request(1, merge(pairs), body=parsed.body, complete=True)]]
    return [_events_of(records) for records in record_turns(wire)]


def record_turns(wire: bytes) -> list[list[Any]]:
    """The records, parted where a request id is used again."""
    turns: list[list[Any]] = [[]]
    used: set[int] = set()
    for record in fastcgi.Records.parse(wire):
        if str(record.type) == "BEGIN_REQUEST":
            if record.requestId in used:
                turns.append([])
                used.clear()
            used.add(record.requestId)
        turns[-1].append(record)
    return turns


def _events_of(records: list[Any]) -> list[Event]:
    events: list[Event] = []
    blocks: dict[int, bytes] = {}
    requests: dict[int, Request] = {}
    for record in records:
        key, content = record.requestId, record.contentData
        match str(record.type):
            case "BEGIN_REQUEST":
                begin = fastcgi.BeginRequestBody.parse(content)
                requests[key] = Request(key, {}, Role(int(begin.role)), bool(begin.flags.KEEP_CONN))
                blocks[key] = b""
            case "PARAMS" if content:
                blocks[key] += content
            case "PARAMS":
                pairs = fastcgi.NameValuePairs.parse(blocks[key])
                requests[key].params = merge([(p.nameData, p.valueData) for p in pairs])
                requests[key].complete = requests[key].role is Role.AUTHORIZER
                events.append(requests[key])
            case "STDIN" if content:
                requests[key].body += content
            case "STDIN":
                requests[key].complete = True
            case "ABORT_REQUEST":
                events.append(Abort(key))
    return events


def chapter_events(name: str, cut: Cut) -> list[list[Event]]:
    """The events that the chapter makes of a stream; every turn is answered."""
    connection = chapter_of(name)(Side.APP, DEFAULT)
    wire = STREAMS[name]
    turns: list[list[Event]] = []
    position = 0
    for size in turn_sizes(name):
        turns.append(coalesce(receive(connection, wire[position : position + size], cut)))
        position += size
        for event in turns[-1]:
            if isinstance(event, Request):
                encode(connection, Response(event.request_id, 200, "OK", [], complete=True))
        connection.data_to_send()
        assert connection.open_requests == 0
    assert connection.input_complete
    return turns


def turn_sizes(name: str) -> list[int]:
    if not name.endswith(".fcgi"):
        return [len(STREAMS[name])]
    return [sum(map(_size, records)) for records in record_turns(STREAMS[name])]


def _size(record: Any) -> int:
    return 8 + int(record.contentLength) + int(record.paddingLength)


EXPECTED = {name: grammar_events(name) for name in STREAMS}


@streams
def test_the_first_byte_tells_the_protocol(name: str) -> None:
    assert detect(STREAMS[name][0]) is chapter_of(name)


@streams
def test_decoded_whole(name: str) -> None:
    assert chapter_events(name, whole) == EXPECTED[name]


@streams
def test_decoded_byte_by_byte(name: str) -> None:
    assert chapter_events(name, bytewise) == EXPECTED[name]


@given(name=st.sampled_from(sorted(STREAMS)), cut=strategies.chunks())
def test_decoded_in_any_pieces(name: str, cut: Cut) -> None:
    assert chapter_events(name, cut) == EXPECTED[name]


@streams
def test_the_grammar_builds_what_it_parsed(name: str) -> None:
    wire = STREAMS[name]
    grammar = {".fcgi": fastcgi.Records, ".scgi": scgi.Request, ".uwsgi": uwsgi.Request}
    declared = grammar[Path(name).suffix]
    assert declared.build(declared.parse(wire)) == wire


@pytest.mark.parametrize("name", named(".fcgi"))
def test_fastcgi_records_are_written_as_they_were_read(name: str) -> None:
    records = [record for turn in record_turns(STREAMS[name]) for record in turn]
    written = b"".join(
        encode_record(int(r.type), r.requestId, r.contentData, r.paddingLength) for r in records
    )
    assert written == STREAMS[name]
    for record in records:
        content = fastcgi.CONTENTS[str(record.type)]
        assert content.build(content.parse(record.contentData)) == record.contentData
        if str(record.type) in ("PARAMS", "GET_VALUES"):  # these front ends cut between pairs
            pairs = decode_pairs(record.contentData)
            assert encode_pairs(pairs) == record.contentData


@pytest.mark.parametrize("name", named(".scgi") + named(".uwsgi"))
def test_requests_survive_being_written(name: str) -> None:
    """Not byte for byte: we repeat no name, and put ``SCGI`` second, as Apache does."""
    ((request,),) = EXPECTED[name]
    written = encode(chapter_of(name)(Side.WEB, DEFAULT), request)
    assert chapter_of(name)(Side.APP, DEFAULT).receive_data(written) == [request]
    if name.startswith("apache-") or name == "nginx-post.uwsgi":
        assert written == STREAMS[name]
