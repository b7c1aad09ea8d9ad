"""What a gateway may do with a request, and what the front end sees of it."""

from __future__ import annotations

import logging
import queue
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from fcgikit.errors import (
    BodyTimeout,
    BodyTooLarge,
    BodyTruncated,
    ClientDisconnected,
    FcgikitError,
)
from fcgikit.events import Diagnostic, EndOfResponse, ProtocolStatus, Response, ResponseBody, Role
from fcgikit.gateways.interface import Exchange, Gateway
from tests.e2e import wire
from tests.e2e.process import PATIENCE
from tests.server.harness import (
    HEADERS,
    Gate,
    Server,
    answer,
    ask,
    begin_answer,
    body_of,
    echo,
)

THREADS = pytest.mark.parametrize("threads", [1, 4])


class Noting:
    """A gateway that keeps what *work* raises, and tells when it has begun."""

    def __init__(self, work: Gateway) -> None:
        self._work = work
        self._raised = queue.Queue[Exception]()
        self._began = threading.Semaphore(0)

    def __call__(self, exchange: Exchange) -> None:
        self._began.release()
        try:
            self._work(exchange)
        except Exception as error:
            self._raised.put(error)
            answer(exchange, type(error).__name__.encode(), getattr(error, "status", 500))

    def await_begin(self) -> None:
        assert self._began.acquire(timeout=PATIENCE)

    def raised(self) -> Exception:
        return self._raised.get(timeout=PATIENCE)


# -- reading ---------------------------------------------------------------------------------------


@THREADS
def test_a_body_is_read_while_it_arrives(threads: int) -> None:
    """One thread is enough: whoever waits for its body receives it."""
    pieces = queue.Queue[bytes]()

    def work(exchange: Exchange) -> None:
        assert not exchange.request.complete
        if exchange.request.body:  # the first piece may have come along
            pieces.put(exchange.request.body)
        while piece := exchange.read():
            pieces.put(piece)
        pieces.put(b"")
        answer(exchange, exchange.read())  # and once more: still the end

    with Server(work, threads=threads) as server, server.connect() as connection:
        connection.sendall(wire.head("/", keep=True))
        for piece in (b"one", b"two", b"three"):
            connection.sendall(wire.record(wire.STDIN, piece))
            assert pieces.get(timeout=PATIENCE) == piece
        connection.sendall(wire.record(wire.STDIN))
        assert pieces.get(timeout=PATIENCE) == b""
        assert wire.read_answer(connection).app_status == 0


@THREADS
@pytest.mark.parametrize("make", [wire.scgi, wire.uwsgi])
def test_uploads_of_the_other_protocols(threads: int, make: Callable[..., bytes]) -> None:
    data = make("/up", body=b"0123456789" * 50_000)
    with Server(echo, threads=threads) as server, server.connect() as connection:
        connection.sendall(data[:300])
        connection.sendall(data[300:])
        assert wire.read_all(connection).endswith(b"/up " + b"0123456789" * 50_000)


def test_a_body_that_is_too_large() -> None:
    noting = Noting(echo)
    with Server(noting, max_body_size=1000) as server, server.connect() as connection:
        connection.sendall(wire.head("/", keep=True))
        noting.await_begin()
        connection.sendall(wire.record(wire.STDIN, b"x" * 1001) + wire.record(wire.STDIN))
        assert b"Status: 413" in wire.read_answer(connection).stdout
        error = noting.raised()
        assert isinstance(error, BodyTooLarge)
        assert "setting: max_body_size" in str(error)
        assert ask(connection, "/", body=b"x" * 1000) == b"/ " + b"x" * 1000


def filter_request(body: bytes, data: bytes) -> bytes:
    """A Filter's two streams, in records of 1,000 bytes."""
    streams = b"".join(
        wire.record(kind, stream[at : at + 1000])
        for kind, stream in ((wire.STDIN, body), (wire.DATA, data))
        for at in range(0, len(stream) + 1000, 1000)
    )
    variables = wire.record(wire.PARAMS, wire.pairs(wire.params("/"))) + wire.record(wire.PARAMS)
    return wire.begin(role=Role.FILTER, keep=True) + variables + streams


def read_stream(exchange: Exchange) -> bytes:
    return b"".join(iter(exchange.read, b""))


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("body", [b"", b"x" * 5000])
@pytest.mark.parametrize("together", [True, False])
def test_a_filter_reads_two_streams_one_after_the_other(
    threads: int, body: bytes, together: bool
) -> None:
    def work(exchange: Exchange) -> None:
        found = exchange.request.body + read_stream(exchange)
        answer(exchange, found + b"|" + read_stream(exchange) + b"|" + exchange.read())

    data = bytes(range(250)) * 14
    request = filter_request(body, data)
    with Server(
        echo, gateways={Role.FILTER: work}, threads=threads
    ) as server, server.connect() as connection:
        for _ in range(2):
            for piece in [request] if together else (request[:-4500], request[-4500:]):
                connection.sendall(piece)
            assert body_of(wire.read_answer(connection)) == body + b"|" + data + b"|"


@pytest.mark.parametrize(("body", "data"), [(b"x" * 2000, b""), (b"x", b"y" * 2000)])
def test_the_streams_of_a_filter_are_limited_together(body: bytes, data: bytes) -> None:
    def work(exchange: Exchange) -> None:
        read_stream(exchange)
        read_stream(exchange)

    noting = Noting(work)
    with Server(
        echo, gateways={Role.FILTER: noting}, max_body_size=1000
    ) as server, server.connect() as connection:
        connection.sendall(filter_request(body, data))
        assert b"Status: 413" in wire.read_answer(connection).stdout
        assert isinstance(noting.raised(), BodyTooLarge)


def test_a_body_that_is_too_large_and_came_along_with_its_request() -> None:
    noting = Noting(echo)
    with Server(noting, max_body_size=1000) as server, server.connect() as connection:
        connection.sendall(wire.request("/", body=b"x" * 1001, keep=True))
        assert b"Status: 413" in wire.read_answer(connection).stdout
        assert isinstance(noting.raised(), BodyTooLarge)


def test_a_body_that_stops_arriving() -> None:
    noting = Noting(echo)
    with Server(noting, body_timeout=0.05) as server, server.connect() as connection:
        connection.sendall(wire.head("/", keep=True) + wire.record(wire.STDIN, b"some"))
        found = wire.read_answer(connection)
        assert b"Status: 408" in found.stdout
        error = noting.raised()
        assert isinstance(error, BodyTimeout)
        assert "setting: body_timeout" in str(error)
        connection.sendall(wire.record(wire.STDIN))
        assert ask(connection, "/next") == b"/next "


def test_two_readers_of_one_connection_both_time_out() -> None:
    noting = Noting(echo)
    with Server(noting, body_timeout=0.05) as server, server.connect() as connection:
        connection.sendall(wire.head("/", 1, keep=True) + wire.head("/", 2, keep=True))
        ended: set[int] = set()
        while len(ended) < 2:
            record = wire.read_record(connection)
            assert record is not None
            if record[0] == wire.END:
                ended.add(record[1])
        assert {type(noting.raised()), type(noting.raised())} == {BodyTimeout}


def test_a_connection_that_ends_inside_the_body() -> None:
    noting = Noting(echo)
    with Server(noting) as server, server.connect() as connection:
        connection.sendall(wire.head("/") + wire.record(wire.STDIN, b"some"))
        connection.shutdown(socket.SHUT_WR)
        found = wire.read_answer(connection)
        assert b"Status: 400" in found.stdout, "the other half is still open"
        assert isinstance(noting.raised(), BodyTruncated)


# -- answering -------------------------------------------------------------------------------------


def test_nothing_can_follow_the_end() -> None:
    def work(exchange: Exchange) -> None:
        answer(exchange, b"all")
        for event in (ResponseBody(1, b"more"), EndOfResponse(1), Diagnostic(1, b"text")):
            with pytest.raises(ClientDisconnected):
                exchange.send(event)

    noting = Noting(work)
    with Server(noting) as server, server.connect() as connection:
        assert ask(connection, "/") == b"all"
        assert ask(connection, "/") == b"all"


def test_an_answer_in_pieces_arrives_piece_by_piece() -> None:
    gate = Gate()

    def work(exchange: Exchange) -> None:
        exchange.send(Diagnostic(exchange.request.request_id, b"note\n"))
        begin_answer(exchange, b"first")
        gate.pass_through()
        exchange.send(ResponseBody(exchange.request.request_id, b""))
        exchange.send(ResponseBody(exchange.request.request_id, b"second"))
        exchange.send(EndOfResponse(exchange.request.request_id))

    with Server(work) as server, server.connect() as connection:
        connection.sendall(wire.request("/", keep=True))
        stdout = b""
        while not stdout.endswith(b"first"):
            record = wire.read_record(connection)
            assert record is not None
            stdout += record[2]
        gate.open()
        rest = []
        while (record := wire.read_record(connection)) is not None:
            rest.append(record)
            if record[0] == wire.END:
                break
        assert [content for kind, _, content in rest if kind == wire.STDOUT and content] == [
            b"second"
        ]
        errors = [content for kind, _, content in rest if kind == wire.STDERR]
        assert errors == [b"note\n", b""], "with the end, and the stream is ended (rule R19)"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 1_000_000])
@pytest.mark.parametrize("protocol", ["fastcgi", "scgi"])
def test_a_file_as_body(size: int, protocol: str) -> None:
    data = bytes(range(256)) * (size // 256 + 1)

    def work(exchange: Exchange) -> None:
        with tempfile.TemporaryFile() as file:
            file.write(b"skipped" + data[:size])
            file.flush()
            begin_answer(exchange)
            assert exchange.send_file(file.fileno(), 7, size) == size
            exchange.send(EndOfResponse(exchange.request.request_id))

    with Server(work) as server, server.connect() as connection:
        if protocol == "fastcgi":
            assert ask(connection, "/") == data[:size]
        else:
            connection.sendall(wire.scgi("/"))
            assert wire.read_all(connection).partition(b"\r\n\r\n")[2] == data[:size]


# -- answers that fail -----------------------------------------------------------------------------


def cut(exchange: Exchange) -> None:
    begin_answer(exchange, b"some")
    exchange.truncate()
    exchange.truncate()  # twice is no harm


@pytest.mark.parametrize("from_file", [False, True])
def test_a_large_answer_that_nobody_reads_does_not_hold_up_a_small_one(from_file: bool) -> None:
    """It waits for room before it takes its turn, not while it has it."""
    large = bytes(range(256)) * 16384
    small_done = threading.Event()
    began = threading.Event()

    def work(exchange: Exchange) -> None:
        request_id = exchange.request.request_id
        if request_id == 2:
            answer(exchange, b"small")
            small_done.set()
            return
        begin_answer(exchange)
        began.set()
        if from_file:
            with tempfile.TemporaryFile() as file:
                file.write(large)
                file.flush()
                assert exchange.send_file(file.fileno(), 0, len(large)) == len(large)
        else:
            exchange.send(ResponseBody(request_id, large))
        exchange.send(EndOfResponse(request_id))

    hold = Gate()

    def held(exchange: Exchange) -> None:
        if exchange.request.request_id == 3:  # keeps company, so that the connection is shared
            hold.pass_through()
            answer(exchange, b"held")
        else:
            work(exchange)

    with Server(held, threads=4) as server, server.connect() as connection:
        connection.sendall(wire.request("/held", 3, keep=True))
        hold.wait()
        connection.sendall(wire.request("/large", 1, keep=True))
        assert began.wait(PATIENCE)
        connection.sendall(wire.request("/small", 2, keep=True))
        assert small_done.wait(PATIENCE)
        hold.open()
        bodies = {1: b"", 2: b"", 3: b""}
        ended: list[int] = []
        while len(ended) < 3:
            record = wire.read_record(connection)
            assert record is not None
            kind, request_id, content = record
            if kind == wire.END:
                ended.append(request_id)
            else:
                bodies[request_id] += content
        assert ended[-1] == 1
        assert bodies[2].endswith(b"small")
        assert bodies[1].partition(b"\r\n\r\n")[2] == large


def test_a_cut_alone_on_its_connection_has_no_end_request() -> None:
    with Server(cut) as server, server.connect() as connection:
        connection.sendall(wire.request("/", keep=True))
        found = wire.read_answer(connection)
        assert found.stdout.endswith(b"some")
        assert found.app_status is None


def test_a_cut_ends_the_error_stream() -> None:
    """A connection that ended without has crashed HAProxy (rule R19)."""

    def work(exchange: Exchange) -> None:
        begin_answer(exchange)
        exchange.send(Diagnostic(1, b"failed"))
        exchange.truncate()

    with Server(work) as server, server.connect() as connection:
        connection.sendall(wire.request("/", keep=True))
        found = []
        while record := wire.read_record(connection):
            found.append(record)
    stderr = [(wire.STDERR, 1, b"failed"), (wire.STDERR, 1, b"")]
    assert found[1:] == [*stderr, (wire.GET_VALUES_RESULT, 0, b"")]


def test_a_cut_alone_on_tcp_is_a_reset() -> None:
    with Server(cut) as server, server.connect("tcp") as connection:
        connection.sendall(wire.request("/", keep=True))
        with pytest.raises(ConnectionResetError):
            while connection.recv(1000):
                pass


def test_a_cut_beside_others_leaves_them_alone() -> None:
    gate = Gate()

    def work(exchange: Exchange) -> None:
        if exchange.request.request_id == 1:
            gate.pass_through()
            echo(exchange)
        else:
            cut(exchange)

    with Server(work) as server, server.connect() as connection:
        connection.sendall(wire.request("/sibling", 1, keep=True))
        gate.wait()
        connection.sendall(wire.request("/cut", 2, keep=True))
        found = wire.read_answer(connection, 2)
        assert (found.app_status, found.protocol_status) == (1, 0)
        gate.open()
        assert body_of(wire.read_answer(connection, 1)) == b"/sibling "
        assert ask(connection, "/sibling", 1) == b"/sibling "


def test_a_head_without_an_end_is_a_cut() -> None:
    with Server(begin_answer) as server, server.connect() as connection:
        connection.sendall(wire.request("/", keep=True))
        assert wire.read_answer(connection).app_status is None


def test_no_answer_at_all_is_a_500() -> None:
    with Server(lambda exchange: None) as server, server.connect() as connection:
        for _ in range(2):
            connection.sendall(wire.request("/", keep=True))
            found = wire.read_answer(connection)
            assert b"Status: 500" in found.stdout
            assert found.protocol_status == ProtocolStatus.REQUEST_COMPLETE


def test_a_gateway_that_fails_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    def work(exchange: Exchange) -> None:
        raise FcgikitError("the secret kettle")

    with Server(work, threads=1) as server, server.connect() as connection:
        for _ in range(2):
            connection.sendall(wire.request("/", keep=True))
            found = wire.read_answer(connection)
            assert b"Status: 500" in found.stdout
            assert b"kettle" not in found.stdout
    assert "the secret kettle" in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR


@pytest.mark.parametrize("role", [Role.AUTHORIZER, Role.FILTER])
def test_a_role_that_nobody_plays(role: Role) -> None:
    variables = wire.record(wire.PARAMS, wire.pairs(wire.params("/"))) + wire.record(wire.PARAMS)
    streams = b""
    if role is Role.FILTER:
        streams = wire.record(wire.STDIN) + wire.record(wire.DATA, b"file") + wire.record(wire.DATA)
    with Server(echo) as server, server.connect() as connection:
        for _ in range(2):
            connection.sendall(wire.begin(role=role, keep=True) + variables + streams)
            found = wire.read_answer(connection)
            assert b"Status: 500" in found.stdout
            assert found.protocol_status == ProtocolStatus.UNKNOWN_ROLE
        assert ask(connection, "/next") == b"/next "


def test_each_role_has_its_gateway() -> None:
    roles = queue.Queue[Role]()

    def authorize(exchange: Exchange) -> None:
        roles.put(exchange.request.role)
        answer(exchange, b"come in")

    with (
        Server(echo, gateways={Role.AUTHORIZER: authorize}) as server,
        server.connect() as connection,
    ):
        variables = wire.record(wire.PARAMS, wire.pairs({"REQUEST_METHOD": "GET"}))
        # Apache sends an authorizer no STDIN at all (rule R10).
        connection.sendall(wire.begin(role=2, keep=True) + variables + wire.record(wire.PARAMS))
        assert body_of(wire.read_answer(connection)) == b"come in"
        assert roles.get(timeout=PATIENCE) is Role.AUTHORIZER
        assert ask(connection, "/") == b"/ "


def test_sending_to_a_peer_that_has_left() -> None:
    gate, raised = Gate(), queue.Queue[bool]()

    def work(exchange: Exchange) -> None:
        gate.pass_through()
        with suppress(ClientDisconnected):
            request_id = exchange.request.request_id
            exchange.send(Response(request_id, 200, "OK", HEADERS))
            for _ in range(10_000):
                exchange.send(ResponseBody(request_id, b"x" * 10_000))
            raised.put(False)
        raised.put(True)

    with Server(work) as server:
        with server.connect() as connection:
            connection.sendall(wire.request("/", keep=True))
            gate.wait()
        gate.open()
        assert raised.get(timeout=PATIENCE)
