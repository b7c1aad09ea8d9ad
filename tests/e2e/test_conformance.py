"""What other servers get wrong, row by row, said to ours as it runs.

The letters and numbers name the scenarios of a survey of other servers: P for what a peer does,
V for a published vulnerability. What the hostile peer tests already show is not repeated here.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
from collections.abc import Iterator

import pytest

from fcgikit.config import Config
from fcgikit.events import EndOfResponse, Event, Request, Response, Side
from fcgikit.protocols.fastcgi import FastCGIConnection
from tests.e2e import wire
from tests.e2e.apps import pattern
from tests.e2e.gate import Gate
from tests.e2e.wire import PARAMS, STDIN, begin, head, pair, record, request
from tests.e2e.worker import Worker

UNKNOWN_ROLE = 3
MAX_CONTENT = 65_528  # the largest multiple of eight


@pytest.fixture(scope="module")
def server() -> Iterator[Worker]:
    with Worker("--max-body-size", "1000000", threads=2) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def line(server: Worker) -> Iterator[socket.socket]:
    """A connection, which must be usable to the end of the test."""
    with server.connect() as connection:
        yield connection
        connection.sendall(request("/usable", 9, keep=True))
        assert environ_of(wire.read_answer(connection, 9))["PATH_INFO"] == "/usable"


def environ_of(answer: wire.Answer) -> dict[str, str]:
    found: dict[str, str] = json.loads(body_of(answer))
    return found


def head_of(answer: wire.Answer) -> bytes:
    return answer.stdout.partition(b"\r\n\r\n")[0]


def body_of(answer: wire.Answer) -> bytes:
    return answer.stdout.partition(b"\r\n\r\n")[2]


def ask(connection: socket.socket, data: bytes) -> wire.Answer:
    connection.sendall(data)
    return wire.read_answer(connection)


# -- FastCGI, the request side ---------------------------------------------------------------------


def test_p05_unknown_record_types_of_a_request_are_ignored(line: socket.socket) -> None:
    data = head("/digest", keep=True) + record(99, b"?") + record(STDIN, b"body") + record(77)
    assert json.loads(body_of(ask(line, data + record(STDIN))))["length"] == 4


@pytest.mark.parametrize("role", [2, 3, 9, 0xFFFF])
def test_p06_p07_p08_roles_that_nobody_plays(line: socket.socket, role: int) -> None:
    variables = record(PARAMS, wire.pairs(wire.params("/"))) + record(PARAMS)
    streams = record(STDIN, b"x" * 60_000) + record(STDIN)
    if role == 3:
        streams += record(wire.DATA, b"x" * 60_000) + record(wire.DATA)
    answer = ask(line, begin(role=role, keep=True) + variables + streams)
    assert answer.protocol_status == UNKNOWN_ROLE
    assert b"Status: 500" in head_of(answer)


def test_p12_p13_an_abort_is_answered_once(line: socket.socket) -> None:
    for received in (head("/digest", keep=True), head("/digest", keep=True) + record(STDIN, b"x")):
        line.sendall(received + record(wire.ABORT))
        assert wire.read_answer(line).protocol_status == 0
        answer = ask(line, request("/again", keep=True))
        assert environ_of(answer)["PATH_INFO"] == "/again"


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_p16_p17_variables_cut_anywhere(line: socket.socket, size: int) -> None:
    block = wire.pairs(wire.params("/cut?a=b", HTTP_LONG="x" * 300))
    cut = b"".join(record(PARAMS, block[at : at + size]) for at in range(0, len(block), size))
    environ = environ_of(ask(line, begin(keep=True) + cut + record(PARAMS) + record(STDIN)))
    assert environ["QUERY_STRING"] == "a=b"
    assert environ["HTTP_LONG"] == "x" * 300


def test_p18_a_parameter_of_100_kb(line: socket.socket, server: Worker) -> None:
    def with_value(size: int) -> bytes:
        block = wire.pairs(wire.params("/large", HTTP_LARGE="x" * size))
        starts = range(0, len(block), 60_000)
        cut = b"".join(record(PARAMS, block[at : at + 60_000]) for at in starts)
        return begin(keep=True) + cut + record(PARAMS) + record(STDIN)

    assert environ_of(ask(line, with_value(100_000)))["HTTP_LARGE"] == "x" * 100_000
    seen = server.mark
    assert b"Status: 431" in head_of(ask(line, with_value(1_100_000)))
    server.wait_for_log("setting: max_params_size", seen)


def test_p36_a_body_shorter_than_declared(line: socket.socket) -> None:
    data = request("/digest", body=b"123", keep=True, method="POST", CONTENT_LENGTH="8")
    assert b"Status: 400" in head_of(ask(line, data))


def test_p37_a_body_longer_than_declared(line: socket.socket) -> None:
    data = request("/digest", body=b"12345678", keep=True, method="POST", CONTENT_LENGTH="3")
    assert json.loads(body_of(ask(line, data)))["sha256"] == hashlib.sha256(b"123").hexdigest()


@pytest.mark.parametrize("declared", ["", "-1"])
def test_p38_a_body_of_unknown_length(line: socket.socket, declared: str) -> None:
    body = b"".join(pattern(300_000))
    answer = ask(line, request("/digest", body=body, keep=True, CONTENT_LENGTH=declared))
    assert json.loads(body_of(answer))["sha256"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("declared", ["", "1000001"])
def test_a_body_that_is_too_large(line: socket.socket, declared: str) -> None:
    data = request("/digest", body=bytes(1_000_001), keep=True, CONTENT_LENGTH=declared)
    assert b"Status: 413" in head_of(ask(line, data))


def test_p40_p41_the_path_is_decoded_once(line: socket.socket) -> None:
    for target, path in (("/a%20b", "/a b"), ("/a%2520b", "/a%20b")):
        # As nginx does with its fastcgi_params.
        environ = environ_of(ask(line, request(target, keep=True, SCRIPT_NAME=path)))
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", path)


def test_p43_a_server_without_a_name(line: socket.socket) -> None:
    environ = environ_of(ask(line, request("/", keep=True, SERVER_NAME="", SERVER_PORT="")))
    assert environ["SERVER_NAME"]
    assert environ["SERVER_PORT"] == "80"


def test_v22_repeated_headers_are_joined(line: socket.socket) -> None:
    """X_Forwarded_For next to X-Forwarded-For: one cannot hide the other."""
    block = wire.pairs(wire.params("/"))
    block += pair(b"HTTP_X_FORWARDED_FOR", b"198.51.100.1") + pair(b"HTTP_COOKIE", b"a=1")
    block += pair(b"HTTP_X_FORWARDED_FOR", b"127.0.0.1") + pair(b"HTTP_COOKIE", b"b=2")
    block += pair(b"CONTENT_LENGTH", b"3") + pair(b"CONTENT_LENGTH", b"")  # nginx auth_request
    environ = environ_of(
        ask(line, begin(keep=True) + record(PARAMS, block) + record(PARAMS) + record(STDIN))
    )
    assert environ["HTTP_X_FORWARDED_FOR"] == "198.51.100.1, 127.0.0.1"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ.get("CONTENT_LENGTH", "") == ""


def test_v4_requests_side_by_side_share_nothing(line: socket.socket, gate: Gate) -> None:
    """Multiplexed, aborted, and ids used again."""
    line.sendall(head("/digest", 1, keep=True, HTTP_SECRET="one"))
    line.sendall(request("/x", 3, keep=True))
    assert "HTTP_SECRET" not in environ_of(wire.read_answer(line, 3))
    line.sendall(record(wire.ABORT, b"", 1))
    assert wire.read_answer(line, 1).protocol_status == 0
    line.sendall(begin(5, keep=True) + record(PARAMS, pair(b"HTTP_SECRET", b"five"), 5))
    for request_id in (1, 3):
        line.sendall(request("/x", request_id, keep=True))
        assert "HTTP_SECRET" not in environ_of(wire.read_answer(line, request_id))
    rest = wire.pairs(wire.params("/x"))
    line.sendall(record(PARAMS, rest, 5) + record(PARAMS, b"", 5) + record(STDIN, b"", 5))
    assert environ_of(wire.read_answer(line, 5))["HTTP_SECRET"] == "five"


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/" + "x" * 15_000, "/./a//b/..", "//etc/passwd"], ids=len
)
def test_v8_a_path_is_only_text(line: socket.socket, path: str) -> None:
    environ = environ_of(ask(line, request(path, keep=True, PATH_TRANSLATED=path)))
    assert environ["PATH_INFO"] == path
    assert environ["PATH_TRANSLATED"] == path


# -- FastCGI, the answer's side --------------------------------------------------------------------


def records_of(connection: socket.socket, data: bytes) -> list[tuple[int, int, int, int]]:
    """Version, type, content length and padding of all records that answer *data*."""
    connection.sendall(data)
    found: list[tuple[int, int, int, int]] = []
    while not found or found[-1][1] != wire.END:
        version, kind, request_id, size, padding = struct.unpack(
            ">BBHHBx", wire.read_exactly(connection, 8)
        )
        assert request_id == 1
        wire.read_exactly(connection, size + padding)
        found.append((version, kind, size, padding))
    return found


@pytest.mark.parametrize(
    "target", ["/hello", "/errors", "/big?size=1000001", "/big?size=0", "/boom", "/early", "/split"]
)
def test_p34_v12_the_records_of_an_answer(line: socket.socket, target: str) -> None:
    found = records_of(line, request(target, keep=True))
    assert {version for version, *_ in found} == {1}
    assert {kind for _, kind, *_ in found} <= {wire.STDOUT, wire.STDERR, wire.END}
    for stream in (wire.STDOUT, wire.STDERR):
        sizes = [size for _, kind, size, _ in found if kind == stream]
        assert max(sizes, default=0) <= MAX_CONTENT
        assert 0 not in sizes[:-1], "an empty record ends the stream"
    assert found[-1][1:3] == (wire.END, 8)


@pytest.mark.parametrize(
    "target", ["/hello", "/repeated", "/boom", "/split", "/early", "/status?status=304+Not+There"]
)
def test_v12_every_line_of_a_head_is_a_header(line: socket.socket, target: str) -> None:
    lines = head_of(ask(line, request(target, keep=True))).split(b"\r\n")
    assert all(b":" in one for one in lines)
    names = [one.partition(b":")[0] for one in lines]
    assert all(name and b" " not in name for name in names)
    assert names.count(b"Status") == 1
    assert names[-1] == b"Status", "rule R6"


@pytest.mark.parametrize("size", [0, 60_000, 65_536, 200_000])
def test_v12_v14_a_long_header_comes_whole_or_not_at_all(server: Worker, size: int) -> None:
    """Through our own web side, as the development front reads it."""
    web = FastCGIConnection(Side.WEB, Config())
    params = wire.params(f"/header?size={size}")
    events: list[Event] = []
    with server.connect() as connection:
        connection.sendall(b"".join(web.send(Request(1, params, complete=True))))
        while not any(isinstance(event, EndOfResponse) for event in events):
            data = connection.recv(65_536)
            if not data:
                break
            events += web.receive_data(data)
            if any(isinstance(event, Response) and event.complete for event in events):
                break
    (answer,) = (event for event in events if isinstance(event, Response))
    assert answer.status == (200 if size <= 60_000 else 500), "max_head_size"
    if answer.status == 200:
        assert dict(answer.headers)["X-Long"] == "x" * size


def test_v17_no_content_type_is_invented(line: socket.socket) -> None:
    answer = ask(line, request("/bare", keep=True))
    assert body_of(answer) == b"<script>"
    assert b"content-type" not in head_of(answer).lower()


def test_p30_p32_p33_failures_are_told_on_stderr(line: socket.socket, server: Worker) -> None:
    seen = server.mark
    for target, told in (("/boom", b"the secret kettle"), ("/split", b"ValueError")):
        answer = ask(line, request(target, keep=True))
        assert b"Status: 500" in head_of(answer)
        assert told in answer.stderr
        assert told not in answer.stdout
        assert (answer.app_status, answer.protocol_status) == (0, 0)
    server.wait_for_log("the secret kettle", seen)


def test_p31_a_cut_answer_has_no_end(server: Worker) -> None:
    with server.connect() as connection:
        answer = ask(connection, request("/boom-late", keep=True))
        assert body_of(answer) == b"some"
        assert answer.app_status is None
        assert wire.read_all(connection) == b""


def test_p46_a_body_longer_than_its_content_length(line: socket.socket, server: Worker) -> None:
    seen = server.mark
    assert body_of(ask(line, request("/long", keep=True))) == b"0123"
    server.wait_for_log("Content-Length", seen)


@pytest.mark.parametrize("target", ["/hello", "/big?size=100000&length=1", "/repeated"])
def test_p48_head_has_no_body(line: socket.socket, target: str) -> None:
    answer = ask(line, request(target, keep=True, REQUEST_METHOD="HEAD"))
    assert b"Status: 200" in head_of(answer)
    assert body_of(answer) == b""


@pytest.mark.parametrize(
    "text", ["a%0d%0a[error] forged", "%1b[31mred%1b[0m", "nul%00 and bell%07", "%e2%82", "%f0%9f"]
)
def test_v10_the_log_cannot_be_forged(line: socket.socket, server: Worker, text: str) -> None:
    seen = server.mark
    answer = ask(line, request(f"/log?text={text}", keep=True))
    assert body_of(answer) == b"logged\n"
    ask(line, request("/log?text=afterwards", keep=True))
    server.wait_for_log("afterwards", seen)
    for told in (server.log(seen), answer.stderr.decode()):
        assert not [one for one in told if ord(one) < 32 and one != "\n"]
    # A line may end there, but the next one is marked as the application's, too.
    assert not [one for one in server.log(seen).splitlines() if one.startswith("[error] forged")]


# -- SCGI ------------------------------------------------------------------------------------------


def netstring(*texts: str) -> bytes:
    block = "".join(f"{text}\0" for text in texts).encode()
    return b"%d:%b," % (len(block), block)


SCGI = ("SCGI", "1", "REQUEST_METHOD", "POST", "REQUEST_URI", "/digest", "SCRIPT_NAME", "/digest")


def scgi(server: Worker, data: bytes, *, step: int = 0, end: bool = False) -> bytes:
    with server.connect() as connection:
        for at in range(0, len(data), step or len(data)):
            connection.sendall(data[at : at + (step or len(data))])
        if end:
            connection.shutdown(socket.SHUT_WR)
        return wire.read_all(connection)


@pytest.mark.parametrize("step", [0, 1])
def test_scgi_in_segments_stops_at_content_length(server: Worker, step: int) -> None:
    """nginx keeps its half open: ``read()`` must not wait for its end."""
    answer = scgi(server, netstring("CONTENT_LENGTH", "5", *SCGI) + b"12345", step=step)
    assert answer.startswith(b"Content-Type")
    assert hashlib.sha256(b"12345").hexdigest().encode() in answer


REFUSED = {
    "empty length": netstring("CONTENT_LENGTH", "", *SCGI),
    "length -1": netstring("CONTENT_LENGTH", "-1", *SCGI),
    "duplicate length": netstring("CONTENT_LENGTH", "1", *SCGI, "CONTENT_LENGTH", "2"),
    "SCGI is 2": netstring("CONTENT_LENGTH", "0", "SCGI", "2", *SCGI[2:]),
    "leading zero": b"0" + netstring("CONTENT_LENGTH", "0", *SCGI),
    "leading space": b" " + netstring("CONTENT_LENGTH", "0", *SCGI),
    "no comma": netstring("CONTENT_LENGTH", "0", *SCGI)[:-1] + b";",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_scgi_refuses(server: Worker, data: bytes) -> None:
    seen = server.mark
    assert b"200 OK" not in scgi(server, data + b"x" * 10, end=True)
    server.wait_for_log(r"\S", seen)


def test_scgi_100_kb_of_header_and_more_than_the_limit(server: Worker) -> None:
    large = netstring("CONTENT_LENGTH", "0", *SCGI, "HTTP_LARGE", "x" * 100_000)
    assert b"Status: 200" in scgi(server, large)
    seen = server.mark
    scgi(server, netstring("CONTENT_LENGTH", "0", *SCGI, "HTTP_LARGE", "x" * 1_100_000))
    server.wait_for_log("setting: max_params_size", seen)


def test_scgi_a_short_body(server: Worker) -> None:
    answer = scgi(server, netstring("CONTENT_LENGTH", "9", *SCGI) + b"123", end=True)
    assert b"Status: 400" in answer


def test_scgi_a_body_that_stops(server: Worker) -> None:
    with Worker("--body-timeout", "0.05") as impatient:
        answer = scgi(impatient, netstring("CONTENT_LENGTH", "9", *SCGI) + b"123")
    assert b"Status: 408" in answer


@pytest.mark.parametrize("target", ["/boom", "/split"])
def test_scgi_failures_are_a_500(server: Worker, target: str) -> None:
    answer = scgi(server, wire.scgi(target))
    assert b"Status: 500" in answer
    assert b"kettle" not in answer
    assert b"Evil" not in answer
