"""A whole request in one piece: told at a glance, and never another than its records tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcgikit.config import Config
from fcgikit.events import EndOfResponse, Refused, Request, Response, Role, Side
from fcgikit.protocols.fastcgi import FastCGIConnection
from fcgikit.protocols.fastcgi import constants as fcgi
from fcgikit.protocols.fastcgi.pairs import encode_pairs
from fcgikit.protocols.fastcgi.records import encode_begin_request, encode_record
from fcgikit.protocols.fastcgi.requests import bodiless_request
from fcgikit.protocols.interface import Connection
from tests.conformance import Cut, bytewise, check_split, coalesce, encode, receive, whole

GOLDEN = Path(__file__).parents[2] / "golden"
BLOCK = encode_pairs([("REQUEST_METHOD", "GET"), ("SCRIPT_NAME", "/"), ("QUERY_STRING", "a=b")])

QUESTIONS_BEFORE = {"haproxy-get-values", "haproxy-getvalues-mpxs-3req", "haproxy-getvalues-mpxs0"}
VARIABLES_IN_SEVERAL_RECORDS = {"apache-proxyfcgi-get-84k-params", "caddy-get-84k-params"}


def get(block: bytes = BLOCK, *, role: Role = Role.RESPONDER, id_: int = 1) -> bytes:
    """A request without a body, kept, whose variables are *block*."""
    records = [(fcgi.FCGI_PARAMS, block), (fcgi.FCGI_PARAMS, b""), (fcgi.FCGI_STDIN, b"")]
    return encode_begin_request(id_, role, keep_conn=True) + b"".join(
        encode_record(type_, id_, content) for type_, content in records
    )


def new(limit: int = 1000) -> Connection:
    return FastCGIConnection(Side.APP, Config(max_params_size=limit))


def gets_of_front_ends() -> list[str]:
    """Of each front end, what it sends for a GET that has nothing special about it."""
    names = {path.stem for path in GOLDEN.glob("*-get*.fcgi")}
    special = QUESTIONS_BEFORE | VARIABLES_IN_SEVERAL_RECORDS
    return sorted(name for name in names - special if "authorizer" not in name)


@pytest.mark.parametrize("name", gets_of_front_ends())
def test_so_does_every_front_end_ask(name: str) -> None:
    wire = (GOLDEN / f"{name}.fcgi").read_bytes()
    found = bodiless_request(wire, 100_000)
    assert coalesce(receive(new(100_000), wire, bytewise)) == [found]


def test_any_other_byte_tells_what_the_records_tell() -> None:
    wire = get(encode_pairs([("A", "b")]))
    for at in range(len(wire)):
        for value in {0, 1, 2, 3, 4, 5, 8, 127, 128, 255, wire[at] ^ 1} - {wire[at]}:
            check_split(new, wire[:at] + bytes([value]) + wire[at + 1 :], bytewise)


def test_any_other_size_tells_what_the_records_tell() -> None:
    wire = get()
    for other in (
        *(wire[:end] for end in range(len(wire))),
        *(wire[start:] for start in range(1, len(wire))),
        wire + wire[-8:],
        wire + wire,
        wire[:16] + wire[-16:],  # no variables at all
        get(b""),
        wire[:-16] + wire[-8:] + wire[-16:],
    ):
        check_split(new, other, bytewise)


@pytest.mark.parametrize(
    "wire",
    [
        get(id_=2),
        get(role=Role.AUTHORIZER),
        get(role=Role.FILTER),
        encode_record(fcgi.FCGI_GET_VALUES, 0, encode_pairs([("FCGI_MAX_REQS", "")])) + get(),
        get()[:-8] + encode_record(fcgi.FCGI_STDIN, 1, b"body") + get()[-8:],
    ],
    ids=["id", "authorizer", "filter", "question", "body"],
)
def test_what_is_left_to_the_records(wire: bytes) -> None:
    assert bodiless_request(wire, 100_000) is None
    check_split(new, wire, bytewise)


@pytest.mark.parametrize("cut", [whole, bytewise])
def test_variables_up_to_the_limit(cut: Cut) -> None:
    (request,) = coalesce(receive(new(len(BLOCK)), get(), cut))
    assert isinstance(request, Request)
    assert request.params["QUERY_STRING"] == "a=b"
    (refused,) = receive(new(len(BLOCK) - 1), get(), cut)
    assert isinstance(refused, Refused)
    assert refused.error.limit == "max_params_size"
    assert refused.error.status == 431


def test_variables_that_are_cut_off_cost_only_their_request() -> None:
    app = new()
    (refused,) = app.receive_data(get(BLOCK[:-1]))
    assert isinstance(refused, Refused)
    assert b"Status: 400 " in app.data_to_send()
    assert app.open_requests == 0
    (request,) = app.receive_data(get())
    assert isinstance(request, Request)


def test_one_after_the_other() -> None:
    app = new()
    for _ in range(3):
        (request,) = app.receive_data(get())
        assert isinstance(request, Request)
        assert request.complete
        assert app.open_requests == 1
        assert app.input_complete
        answer = encode(app, Response(1, 200, "OK", [], b"hello", complete=True))
        assert answer.endswith(encode(asked(), EndOfResponse(1))[-16:])
        assert app.open_requests == 0
        assert not app.must_close


def asked() -> Connection:
    """A connection whose request has had the beginning of its answer."""
    app = new()
    app.receive_data(get())
    app.send(Response(1, 200, "OK", []))
    return app


def test_while_another_is_open_the_id_is_taken() -> None:
    check_split(new, get() + get(), bytewise)
    app = new()
    app.receive_data(get())
    (closed,) = app.receive_data(get())
    assert "FCGI_BEGIN_REQUEST" in str(closed)


def test_what_looks_like_one_inside_a_record_is_none() -> None:
    """Of a stream that nobody listens to, and of a question."""
    for record in (encode_record(fcgi.FCGI_STDIN, 9, get()), encode_record(77, 0, get())):
        app = new()
        assert app.receive_data(record[:8]) == []
        assert app.receive_data(get()) == []
        assert app.open_requests == 0


def test_after_an_answer_that_came_early() -> None:
    """The peer still sends the body of the last request; a new one means that it does not."""
    app = new()
    app.receive_data(get()[:-8])
    encode(app, Response(1, 200, "OK", [], b"", complete=True))
    assert not app.input_complete
    (request,) = app.receive_data(get())
    assert isinstance(request, Request)
    assert app.input_complete


def test_one_more_comes_before_the_end() -> None:
    """What was sent before our end could be seen is served (rule R2)."""
    app = new()
    app.finish()
    assert app.must_close
    (request,) = app.receive_data(get())
    assert isinstance(request, Request)
    assert not app.must_close
    encode(app, Response(1, 200, "OK", [], b"", complete=True))
    assert app.must_close
