"""What other servers get wrong between requests: kept, shared, broken and idle connections.

The numbers are those of test_conformance.py.
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e import wire
from tests.e2e.gate import Gate
from tests.e2e.process import ROOT
from tests.e2e.wire import PARAMS, STDIN, begin, head, pair, record, request
from tests.e2e.worker import Worker

THREADS = 2
ROLES = ("examples.authorizer:check", "examples.filter:number")


@pytest.fixture(scope="module")
def server() -> Iterator[Worker]:
    options = ("--max-requests-per-connection", "10", "--max-connections", "123")
    with Worker(*ROLES, *options, threads=THREADS) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def line(server: Worker) -> Iterator[socket.socket]:
    """A connection, which must be usable to the end of the test."""
    with server.connect() as connection:
        yield connection
        assert_usable(connection)


def assert_usable(connection: socket.socket) -> None:
    answer = ask(connection, request("/usable", 9, keep=True), 9)
    assert json.loads(body_of(answer))["PATH_INFO"] == "/usable"


def ask(connection: socket.socket, data: bytes, request_id: int = 1) -> wire.Answer:
    connection.sendall(data)
    return wire.read_answer(connection, request_id)


def body_of(answer: wire.Answer) -> bytes:
    return answer.stdout.partition(b"\r\n\r\n")[2]


# -- management ------------------------------------------------------------------------------------


def test_p02_p03_what_is_asked_and_known_is_answered_as_it_is_set(line: socket.socket) -> None:
    names = (b"FCGI_MAX_CONNS", b"FCGI_WIBBLE", b"FCGI_MPXS_CONNS")
    line.sendall(record(wire.GET_VALUES, b"".join(pair(name, b"") for name in names), 0))
    told = pair(b"FCGI_MAX_CONNS", b"123") + pair(b"FCGI_MPXS_CONNS", b"1")
    assert wire.read_record(line) == (wire.GET_VALUES_RESULT, 0, told)


def test_p04_an_unknown_management_record_is_called_so(line: socket.socket) -> None:
    line.sendall(record(77, b"?", 0))
    assert wire.read_record(line) == (wire.UNKNOWN_TYPE, 0, bytes([77]) + bytes(7))


# -- roles -----------------------------------------------------------------------------------------


def test_p07_an_authorizer_has_no_body_to_wait_for(line: socket.socket) -> None:
    """Apache sends no STDIN at all."""
    params = wire.params("/private/", REMOTE_USER="ann", REMOTE_PASSWD="rosebud")
    variables = record(PARAMS, wire.pairs(params)) + record(PARAMS)
    answer = ask(line, begin(role=2, keep=True) + variables)
    assert b"Variable-MEMBER: ann\r\n" in answer.stdout
    params["REMOTE_PASSWD"] = "wrong"
    variables = record(PARAMS, wire.pairs(params)) + record(PARAMS)
    assert b"Status: 401" in ask(line, begin(role=2, keep=True) + variables).stdout


def test_p08_a_filter_has_a_file_behind_its_body(line: socket.socket) -> None:
    params = wire.params("/page", FCGI_DATA_LENGTH="4", FCGI_DATA_LAST_MOD="0")
    variables = record(PARAMS, wire.pairs(params)) + record(PARAMS)
    data = record(wire.DATA, b"one\n") + record(wire.DATA)
    answer = ask(line, begin(role=3, keep=True) + variables + record(STDIN) + data)
    assert body_of(answer) == b"     1  one\n"


# -- one after the other, and side by side ---------------------------------------------------------


def test_p09_many_requests_one_after_the_other(line: socket.socket) -> None:
    for number in range(200):
        answer = ask(line, request(f"/{number}", 1 + number % 2, keep=True), 1 + number % 2)
        assert json.loads(body_of(answer))["PATH_INFO"] == f"/{number}"


def test_p10_a_body_that_nobody_has_read_is_not_the_next_request(line: socket.socket) -> None:
    for size in (1, 70_000, 3_000_000):
        upload = request("/early", body=bytes(size), keep=True, method="POST")
        assert b"Status: 403" in ask(line, upload).stdout
        assert_usable(line)


def test_p49_an_answer_before_the_body_has_arrived(line: socket.socket) -> None:
    for _ in range(3):
        begun = head("/early", keep=True, REQUEST_METHOD="POST") + record(STDIN, bytes(1000))
        assert body_of(ask(line, begun)) == b"no\n"
        line.sendall(record(STDIN, bytes(1000)) + record(STDIN))


def test_p11_one_overtakes_another_on_its_connection(line: socket.socket, gate: Gate) -> None:
    line.sendall(request(f"/wait?{gate.query}", 1, keep=True))
    visit = gate.wait()
    assert_usable(line)
    visit.let_go()
    assert body_of(wire.read_answer(line, 1)) == b"waited "


def test_p47_a_file_between_the_records_of_others(line: socket.socket, gate: Gate) -> None:
    path = ROOT / "docs" / "reference.md"
    line.sendall(request(f"/wait?{gate.query}", 2, keep=True))
    visit = gate.wait()
    sent = body_of(ask(line, request(f"/file?path={path}", keep=True)))
    visit.let_go()
    assert hashlib.sha256(sent).digest() == hashlib.sha256(path.read_bytes()[1:]).digest()
    assert body_of(wire.read_answer(line, 2)) == b"waited "


# -- leaving ---------------------------------------------------------------------------------------


def test_p12_p13_an_abort_reaches_the_application(line: socket.socket, gate: Gate) -> None:
    line.sendall(head(f"/cancelled?{gate.query}", keep=True, REQUEST_METHOD="POST"))
    visit = gate.wait()
    line.sendall(record(wire.ABORT))
    visit.let_go()
    told = gate.wait()
    assert told.message == "ClientDisconnected, aborted: True"
    told.let_go()
    assert wire.read_answer(line).protocol_status == 0


def test_a_peer_that_leaves_reaches_the_application(server: Worker, gate: Gate) -> None:
    with server.connect() as connection:
        connection.sendall(head(f"/cancelled?{gate.query}", REQUEST_METHOD="POST"))
        visit = gate.wait()
    visit.let_go()
    told = gate.wait()
    assert told.message.endswith("aborted: True")
    told.let_go()


def test_p14_ten_thousand_leave_among_their_variables(server: Worker) -> None:
    begun = begin() + record(PARAMS, wire.pairs(wire.params("/")))
    for _ in range(20):
        for _ in range(500):  # fewer than the backlog holds
            with server.connect() as connection:
                connection.sendall(begun)
        with server.connect() as connection:
            assert_usable(connection)


def test_forty_idle_connections_hold_no_thread(server: Worker) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(40)]
        for connection in [*idle, *idle]:
            assert_usable(connection)


# -- nonsense --------------------------------------------------------------------------------------

BROKEN = {
    "P15 version 2": record(wire.BEGIN, bytes([0, 1]) + bytes(6), version=2),
    "P21 short BEGIN": record(wire.BEGIN, b"\0\1"),
    "P22 BEGIN twice": begin(keep=True) + begin(keep=True),
    "P25 variables of request 0": record(PARAMS, pair(b"A", b"b"), 0),
    "P24 HTTP": b"GET / HTTP/1.1\r\nHost: app.example\r\n\r\n",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_p15_p21_p22_p24_p25_what_breaks_the_protocol_ends_the_connection(
    server: Worker, data: bytes
) -> None:
    seen = server.mark
    with server.connect() as connection:
        connection.sendall(data)
        assert b"200 OK" not in wire.read_all(connection)
    told = server.wait_for_log(r"\S", seen)
    assert ("fastcgi_pass" in told) == data.startswith(b"GET")


LYING = {
    "name": bytes([200]) + bytes(3),
    "value": b"\1" + (0xFFFFFFFF).to_bytes(4, "big") + b"A",
    "cut": b"\x81\0",
    "value cut": b"\1\5Ab",
}


@pytest.mark.parametrize("block", LYING.values(), ids=LYING.keys())
def test_p19_p20_lengths_that_lie_are_refused_at_once(
    line: socket.socket, server: Worker, block: bytes
) -> None:
    seen = server.mark
    answer = ask(line, begin(keep=True) + record(PARAMS, block) + record(PARAMS) + record(STDIN))
    assert b"Status: 400" in answer.stdout
    assert answer.protocol_status == 0
    server.wait_for_log("a peer on the Unix socket", seen)


def test_p42_the_proxy_header_is_no_setting(line: socket.socket) -> None:
    answer = ask(line, request("/", keep=True, HTTP_PROXY="evil.example"))
    assert "HTTP_PROXY" not in json.loads(body_of(answer))
