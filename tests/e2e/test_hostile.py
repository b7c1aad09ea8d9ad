"""One hostile peer: nothing it sends may stop the others being served.

The numbers V1 to V22 name the published vulnerabilities, of other servers, that taught each
case. All of it happens to one worker, one after the other.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from tests.e2e import wire
from tests.e2e.process import PATIENCE
from tests.e2e.wire import PARAMS, STDIN, begin, head, pair, record, request
from tests.e2e.worker import Worker


@pytest.fixture(scope="module")
def victim() -> Iterator[Worker]:
    """A worker with one thread: if that is lost, so is everything."""
    with Worker(threads=1) as running:
        yield running
        assert running.stop() == 0


def ask(worker: Worker, data: bytes) -> bytes:
    """Send *data* on a new connection, end it, and read what comes back."""
    with worker.connect() as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before the end: as good an answer as any
        return wire.read_all(connection)


def assert_serving(worker: Worker) -> None:
    with worker.connect() as connection:
        connection.sendall(request("/alive"))
        assert b'"PATH_INFO": "/alive"' in wire.read_answer(connection).stdout
    assert worker.running


def environ_of(answer: wire.Answer) -> dict[str, object]:
    found: dict[str, object] = json.loads(answer.stdout.partition(b"\r\n\r\n")[2])
    return found


def long(size: int) -> bytes:
    """A four-byte length, whatever is behind it."""
    return struct.pack(">I", size | 1 << 31)


def scgi_head(block: bytes) -> bytes:
    return b"%d:%b," % (len(block), block)


def uwsgi_vars(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<H", len(text)) + text for text in texts)


def with_params(block: bytes) -> bytes:
    """A FastCGI request whose variables are *block*."""
    return begin() + record(PARAMS, block) + record(PARAMS) + record(STDIN)


def post(declared: str, body: bytes) -> bytes:
    """A FastCGI upload that declares *declared* as its length."""
    return request("/digest", body=body, method="POST", CONTENT_LENGTH=declared)


REFUSED = {
    # V1: lengths that overflow a sum or claim what never comes.
    **{
        f"V1 {side} length {size:#x}": with_params(
            long(size) + b"\x01" + b"x" * 20 if side == "name" else b"\x01" + long(size) + b"x" * 20
        )
        for side in ("name", "value")
        for size in (127, 128, 0xFFFF, 0x10000, 0x7FFFFFFF)
    },
    "V1 both lengths huge": with_params(long(0x7FFFFFFF) + long(0x7FFFFFFF)),
    "V1 lengths cut": with_params(b"\x81\x00"),
    "V5 NUL in the path": request("/a\0b"),
    "V16 NUL in PATH_INFO": request("/a", PATH_INFO="/a\0b"),
    "V7 unknown role": begin(role=9) + record(PARAMS) + record(STDIN),
    "V9 uwsgi pair beyond the packet": struct.pack("<BHB", 0, 6, 0) + b"\x04\x00abcd",
    "V9 uwsgi length beyond the packet": struct.pack("<BHB", 0, 4, 0) + b"\xff\xff" + b"ab",
    "V9 uwsgi modifier": struct.pack("<BHB", 5, 0, 0),
    "V15 application record on id 0": record(PARAMS, pair(b"A", b"b"), 0),
    "V15 BEGIN on id 0": begin(0),
    "V19 short BEGIN": record(wire.BEGIN, b"\0\1"),
    "V19 version 2": record(wire.BEGIN, bytes(8), version=2),
    "V19 BEGIN twice": begin() + begin(),
    "V19 SCGI endless digits": b"1" * 100_000,
    "V19 SCGI length of 93 GiB": b"99999999999:",
    "V19 SCGI signed length": b"+10:" + b"x" * 10,
    "V19 SCGI odd strings": scgi_head(b"CONTENT_LENGTH\x000\0SCGI\x001\0X\0"),
    "V19 SCGI no final NUL": scgi_head(b"CONTENT_LENGTH\x000\0SCGI\x001"),
    "V19 SCGI without SCGI=1": scgi_head(b"CONTENT_LENGTH\x000\0"),
    "V19 SCGI without length": scgi_head(b"SCGI\x001\0"),
    "V21 SCGI length +5": scgi_head(b"CONTENT_LENGTH\0+5\0SCGI\x001\0") + b"12345",
    "V21 SCGI length 1_0": scgi_head(b"CONTENT_LENGTH\x001_0\0SCGI\x001\0") + b"1234567890",
    "V21 SCGI length 0x5": scgi_head(b"CONTENT_LENGTH\x000x5\0SCGI\x001\0") + b"12345",
    "V21 length +5": post("+5", b"12345"),
    "V21 length 1_0": post("1_0", b"1234567890"),
    "V21 length 0x5": post("0x5", b"12345"),
    "V21 length in Arabic digits": post("\u0665".encode().decode("latin-1"), b"12345"),
    "V21 body shorter than declared": post("5", b"123"),
    "too many variables": begin()
    + b"".join(record(PARAMS, pair(b"HTTP_X%d" % n, b"x" * 65000)) for n in range(20))
    + record(PARAMS)
    + record(STDIN),
    "HTTP": b"GET /hello HTTP/1.1\r\nHost: app.example\r\n\r\n",
    "TLS": bytes.fromhex("16030100c4010000c00303") + bytes(190),
    "noise": bytes(range(255, 0, -1)) * 64,
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_logged_and_the_next_peer_served(victim: Worker, data: bytes) -> None:
    seen = victim.mark
    ask(victim, data)
    victim.wait_for_log(r"\S", seen)
    # Only where the application itself was reading may it have seen an exception.
    assert b"/digest" in data or "Traceback" not in victim.log(seen)
    assert_serving(victim)


def test_http_on_the_socket_is_told_what_to_write(victim: Worker) -> None:
    seen = victim.mark
    answer = ask(victim, REFUSED["HTTP"])
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"fastcgi_pass" in answer
    victim.wait_for_log("fastcgi_pass", seen)


def test_v2_a_question_repeated_is_answered_once(victim: Worker) -> None:
    names = pair(b"FCGI_MPXS_CONNS", b"") * 3000 + pair(b"FCGI_WIBBLE", b"")
    with victim.connect() as connection:
        connection.sendall(record(wire.GET_VALUES, names, 0))
        assert wire.read_record(connection) == (
            wire.GET_VALUES_RESULT, 0, pair(b"FCGI_MPXS_CONNS", b"1"),
        )  # fmt: skip
        connection.sendall(record(200, b"", 0))
        assert wire.read_record(connection) == (wire.UNKNOWN_TYPE, 0, bytes([200]) + bytes(7))
        connection.sendall(request("/still"))
        assert environ_of(wire.read_answer(connection))["PATH_INFO"] == "/still"


def test_v4_nothing_of_a_request_is_left_for_the_next(victim: Worker) -> None:
    with victim.connect() as connection:
        connection.sendall(request("/a", keep=True, HTTP_SECRET="kettle"))
        assert environ_of(wire.read_answer(connection))["HTTP_SECRET"] == "kettle"
        # One that is aborted half-way, then the same id again.
        aborted = begin(keep=True) + record(PARAMS, pair(b"HTTP_SECRET", b"half"))
        connection.sendall(aborted + record(wire.ABORT))
        assert wire.read_answer(connection).protocol_status == 0
        connection.sendall(request("/b", keep=True))
        assert "HTTP_SECRET" not in environ_of(wire.read_answer(connection))


def test_v6_v7_variables_change_nothing_but_the_environ(victim: Worker) -> None:
    hostile = {
        "HTTP_PROXY": "evil.example",
        "UWSGI_FILE": "/etc/passwd",
        "UWSGI_SCHEME": "https",
        "PHP_VALUE": "auto_prepend_file=x",
        "PYTHONPATH": "/nowhere",
        "wsgi.url_scheme": "gopher",
        "wsgi.input": "text",
        "fcgikit.x": "y",
    }
    with victim.connect() as connection:
        connection.sendall(with_params(wire.pairs(wire.params("/x") | hostile)))
        environ = environ_of(wire.read_answer(connection))
    assert "HTTP_PROXY" not in environ
    assert environ["wsgi.url_scheme"] == "http"
    assert "wsgi.input" not in environ, "the test application shows text only: it is an object"
    assert_serving(victim)


def test_v15_a_body_that_looks_like_records_stays_a_body(victim: Worker) -> None:
    body = request("/smuggled") * 400
    for padding in (0, 1, 7, 8, 255):
        first, rest = body[:65535], body[65535:]
        data = head("/digest", method="POST", CONTENT_LENGTH=str(len(body)))
        data += record(STDIN, first, padding=padding) + record(STDIN, rest, padding=padding)
        with victim.connect() as connection:
            connection.sendall(data + record(STDIN))
            answer = wire.read_answer(connection)
            assert environ_of(answer)["length"] == len(body)
            assert wire.read_all(connection) == b"", "one answer and no more"


def test_v13_peers_that_leave_in_the_middle_leave_nothing(victim: Worker) -> None:
    """Half-closed after every prefix of a request, and reset after some of them."""
    data = post("5", b"12345")
    assert_serving(victim)
    before = len(os.listdir(f"/proc/{victim.pid}/fd"))
    for size in range(len(data)):
        ask(victim, data[:size])
    for size in range(0, len(data), 7):
        with victim.connect("tcp") as connection:
            connection.sendall(data[:size])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # The worker hears of the last ends when it comes to them: give it as many turns as it takes.
    deadline = time.monotonic() + PATIENCE
    while len(os.listdir(f"/proc/{victim.pid}/fd")) > before and time.monotonic() < deadline:
        assert_serving(victim)
    assert len(os.listdir(f"/proc/{victim.pid}/fd")) <= before


def test_v18_requests_that_only_begin_are_limited(victim: Worker) -> None:
    """The oldest that has not even got its variables makes room for the newest."""
    overloaded = 2
    with victim.connect() as connection:
        connection.sendall(b"".join(begin(number, keep=True) for number in range(1, 1001)))
        oldest = wire.read_answer(connection, 1)
        assert oldest.protocol_status == overloaded
        assert b"Status: 503" in oldest.stdout
    assert_serving(victim)


@pytest.mark.parametrize(
    "path",
    ["/a\nb", "/a\r\nSet-Cookie: x=1", "/\u0130\u212a".encode().decode("latin-1"), "/\x1b[2J"],
)
def test_v5_v16_odd_paths_arrive_unchanged(victim: Worker, path: str) -> None:
    with victim.connect() as connection:
        connection.sendall(request("/x", SCRIPT_NAME=path, REQUEST_URI="/x"))
        assert environ_of(wire.read_answer(connection))["PATH_INFO"] == path


def test_v20_headers_cannot_be_split(victim: Worker) -> None:
    with victim.connect() as connection:
        connection.sendall(request("/split"))
        answer = wire.read_answer(connection)
    assert b"Status: 500" in answer.stdout
    assert b"Evil" not in answer.stdout
    assert b"ValueError" in answer.stderr


def test_one_socket_serves_all_three_protocols(victim: Worker) -> None:
    assert b"Status: 200 OK" in ask(victim, request("/hello"))
    assert b"Status: 200 OK" in ask(victim, wire.scgi("/hello"))
    assert ask(victim, wire.uwsgi("/hello")).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("protocol", ["fastcgi", "scgi", "uwsgi"])
def test_a_named_protocol_is_the_only_one(protocol: str) -> None:
    requests = {
        "fastcgi": request("/hello"),
        "scgi": wire.scgi("/hello"),
        "uwsgi": wire.uwsgi("/hello"),
    }
    with Worker("--protocol", protocol) as worker:
        for name, data in requests.items():
            seen = worker.mark
            served = b"200 OK" in ask(worker, data)
            assert served == (name == protocol)
            if not served:
                worker.wait_for_log(r"\S", seen)
