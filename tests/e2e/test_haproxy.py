"""HAProxy with conf/haproxy/haproxy.cfg: the one common front end that multiplexes and aborts."""

from __future__ import annotations

import concurrent.futures
import hashlib
import http.client
import json
import random
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from tests.e2e import wire
from tests.e2e.apps import pattern
from tests.e2e.checks import MEGABYTE, Requests, WebServer
from tests.e2e.client import fetch
from tests.e2e.gate import Gate
from tests.e2e.haproxy import HAProxy
from tests.e2e.process import PATIENCE
from tests.e2e.recorder import OURS, Recorder
from tests.e2e.worker import Worker

MOST = 64
"""What haproxy.cfg allows at a time on one connection."""

TURNS = 4


@pytest.fixture(scope="module")
def web_server(worker: Worker) -> Iterator[HAProxy]:
    with HAProxy(worker.path) as running:
        yield running


class TestHAProxy(Requests):
    """The checks that every front end has to pass, but for two where HAProxy has its own mind."""

    @pytest.mark.parametrize("size", [1, 8192])
    def test_a_chunked_upload_arrives_whole(self, web_server: WebServer, size: int) -> None:
        """It counts what fits into its buffer."""
        answer = fetch(web_server.address, "/digest", "POST", iter(pattern(size)))
        assert json.loads(answer.body)["length"] == size

    def test_a_larger_chunked_upload_is_refused_by_haproxy(self, web_server: WebServer) -> None:
        with socket.create_connection(web_server.address, timeout=PATIENCE) as connection:
            head = b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            connection.sendall(head + b"10000\r\n" + bytes(65536))
            assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")

    def test_an_answer_before_the_upload_is_read(self, web_server: WebServer) -> None:
        """The answer is passed on; the rest of the upload is neither read nor refused."""
        for _ in range(3):
            with socket.create_connection(web_server.address, timeout=PATIENCE) as connection:
                head = f"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {8 * MEGABYTE}\r\n\r\n"
                connection.sendall(head.encode() + bytes(32768))
                assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")
        assert fetch(web_server.address, "/hello").status == 200


@pytest.fixture(scope="module")
def crowded() -> Iterator[Worker]:
    """A worker with a thread for each request that may run, and one for the hurried."""
    with Worker(threads=MOST + 4) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def recorder(crowded: Worker) -> Iterator[Recorder]:
    with Recorder(crowded.connect) as running:
        yield running


@pytest.fixture
def haproxy(recorder: Recorder) -> Iterator[HAProxy]:
    """HAProxy, whose first connection is open: then it knows that it may share it."""
    with HAProxy(recorder.path) as running:
        assert fetch(running.address, "/hello").status == 200
        yield running
        assert fetch(running.address, "/hello").status == 200, "it has outlived everything"


@pytest.fixture
def clients() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    with concurrent.futures.ThreadPoolExecutor(MOST) as pool:
        yield pool


def test_64_requests_run_at_a_time_on_one_connection(
    haproxy: HAProxy,
    recorder: Recorder,
    gate: Gate,
    clients: concurrent.futures.ThreadPoolExecutor,
) -> None:
    answers = [clients.submit(waited, haproxy, gate, number) for number in range(MOST)]
    visits = [gate.wait() for _ in range(MOST)]
    (line,) = recorder.lines
    assert line.most_at_once() == MOST
    random.Random(64).shuffle(visits)
    for visit in visits:
        visit.let_go()
    for answer in answers:
        answer.result()
    assert recorder.lines == [line]
    assert recorder.faults() == []
    assert recorder.count(wire.GET_VALUES) == recorder.count(wire.GET_VALUES_RESULT) == 1


def test_everything_at_once(
    haproxy: HAProxy,
    recorder: Recorder,
    crowded: Worker,
    gate: Gate,
    clients: concurrent.futures.ThreadPoolExecutor,
) -> None:
    """Uploads, downloads, slow and fast ones, and clients that leave while they upload.

    None leaves a download: that may crash HAProxy 2.6 before 2.6.14 (haproxy/haproxy#2150).
    """
    memory = []
    for turn in range(TURNS):
        slow = [clients.submit(waited, haproxy, gate, number) for number in range(8)]
        visits = [gate.wait() for _ in slow]
        others = [
            clients.submit(work, haproxy, 100 * turn + number)
            for number in range(8)
            for work in (uploaded, downloaded, answered, left_an_upload)
        ]
        for other in others:
            other.result()
        for visit in visits:
            visit.let_go()
        for one in slow:
            one.result()
        memory.append(resident(crowded.pid))
    assert max(line.most_at_once() for line in recorder.lines) > 8
    wait_for_ends(recorder)
    assert recorder.count(wire.ABORT) == TURNS * 8
    # A turn carries more than 50 MB.
    assert memory[-1] - memory[0] < 24 * MEGABYTE


def test_uploads_and_downloads_interleave_on_one_connection(
    recorder: Recorder, clients: concurrent.futures.ThreadPoolExecutor
) -> None:
    """With uploads on the shared connection, too; some are refused by HAProxy itself."""
    shared = {"use_backend uploads if": "use_backend application if"}
    with HAProxy(recorder.path, shared) as haproxy:
        assert fetch(haproxy.address, "/hello").status == 200
        for turn in range(3):
            running = [
                clients.submit(work, haproxy, 100 * turn + number)
                for number in range(8)
                for work in (uploaded, downloaded, answered)
            ]
            for one in running:
                one.result()
        (line,) = recorder.lines
        assert line.most_at_once() > 8
        wait_for_ends(recorder)


def test_an_upload_is_aborted_beside_others(recorder: Recorder, gate: Gate) -> None:
    """On a connection that goes on being used, as long as it has other requests."""
    shared = {"use_backend uploads if": "use_backend application if"}
    with (
        HAProxy(recorder.path, shared) as haproxy,
        concurrent.futures.ThreadPoolExecutor(1) as client,
    ):
        assert fetch(haproxy.address, "/hello").status == 200
        slow = client.submit(waited, haproxy, gate, 1)
        visit = gate.wait()
        for number in range(20):
            left_an_upload(haproxy, number)
            answered(haproxy, number)
        visit.let_go()
        slow.result()
        wait_for_ends(recorder)
        assert len(recorder.lines) == 1
        assert recorder.count(wire.ABORT) == 20
        assert recorder.count(wire.END) == recorder.count(wire.BEGIN)


def test_what_has_crashed_haproxy_never_reaches_it(haproxy: HAProxy, recorder: Recorder) -> None:
    """No answer with id 0, and no error stream without an end (rules R18, R19)."""
    for _ in range(3):
        assert fetch(haproxy.address, "/errors").body == b"logged\n"
        assert fetch(haproxy.address, "/boom").status == 500
        for path in ("/boom-late", "/short"):
            with pytest.raises(http.client.IncompleteRead):
                fetch(haproxy.address, path)
    assert recorder.count(wire.STDERR) > 0
    ends = [record for line in recorder.lines for record in line.records if record[0] in OURS]
    assert 0 not in {request_id for _, request_id, _ in ends}
    for line in recorder.lines:
        sizes = [size for kind, _, size in line.records if kind == wire.STDERR]
        assert not sizes or sizes[-1] == 0


# -- clients ---------------------------------------------------------------------------------------


def ask(haproxy: HAProxy, target: str, method: str = "GET", body: bytes | None = None) -> bytes:
    """The body of an answer. What HAProxy refuses for want of room in its buffer is asked again."""
    while True:
        answer = fetch(haproxy.address, target, method, body)
        if answer.status == 200:
            return answer.body
        assert b"An internal server error occurred." in answer.body, "an error page of its own"


def waited(haproxy: HAProxy, gate: Gate, number: int) -> None:
    assert ask(haproxy, f"/wait?name={number}&{gate.query}") == b"waited %d" % number


def uploaded(haproxy: HAProxy, number: int) -> None:
    body = random.Random(number).randbytes(MEGABYTE + number)
    answer = json.loads(ask(haproxy, "/digest", "POST", body))
    assert (answer["length"], answer["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())


def downloaded(haproxy: HAProxy, number: int) -> None:
    size = 2 * MEGABYTE + number
    assert ask(haproxy, f"/big?size={size}") == b"".join(pattern(size))


def answered(haproxy: HAProxy, number: int) -> None:
    for turn in range(8):
        assert json.loads(ask(haproxy, f"/{number}/{turn}"))["PATH_INFO"] == f"/{number}/{turn}"


def left_an_upload(haproxy: HAProxy, number: int) -> None:
    """HAProxy sends FCGI_ABORT_REQUEST; the application learns of it as it reads on."""
    with Gate() as gate:
        with socket.create_connection(haproxy.address, timeout=PATIENCE) as connection:
            head = f"POST /cancelled?{gate.query} HTTP/1.1\r\nHost: a\r\n"
            length = b"Content-Length: 1000000\r\n\r\n"
            connection.sendall(head.encode() + length + bytes(100_000 + number))
            begun = gate.wait()
        begun.let_go()
        learned = gate.wait()
        assert learned.message == "ClientDisconnected, aborted: True"
        learned.let_go()


def wait_for_ends(recorder: Recorder) -> None:
    """Until each request has been ended, once, and nothing else was sent for it."""
    deadline = time.monotonic() + PATIENCE
    while recorder.faults() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert recorder.faults() == []


def resident(pid: int) -> int:
    """Resident memory of a process, in bytes."""
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()
