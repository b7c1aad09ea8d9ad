"""Both clients and servers that break the protocol, stall, or are not there."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fcgikit.client import (
    CannotMultiplex,
    ClientError,
    ClientTimeout,
    ConnectFailed,
    Overloaded,
    ServerProtocolError,
    Truncated,
)
from fcgikit.client.exchange import MAX_STDERR
from fcgikit.events import ProtocolStatus
from fcgikit.protocols.fastcgi import constants as fcgi
from fcgikit.protocols.fastcgi.records import encode_record
from tests import strategies
from tests.client.drivers import MakeClient
from tests.client.servers import OK, Scripted, end, read_request, read_to_end, sends, stdout

HEAD = b"Content-Type: text/plain\r\n\r\n"


@pytest.mark.parametrize(
    ("records", "error", "words"),
    [
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), ServerProtocolError, "version 72"),
        ((stdout(b"no header\r\n\r\n"), end()), ServerProtocolError, "bad line"),
        ([stdout(b"A: b\r\n" * 9999)] * 5, ServerProtocolError, "262144 bytes"),
        ((end(app=9),), ServerProtocolError, "appStatus 9"),
        ((encode_record(fcgi.FCGI_END_REQUEST, 1, b"short"),), ServerProtocolError, "5 bytes"),
        ((end(ProtocolStatus.OVERLOADED),), Overloaded, "FCGI_OVERLOADED"),
        ((end(ProtocolStatus.CANT_MPX_CONN),), CannotMultiplex, "FCGI_CANT_MPX_CONN"),
        ((), Truncated, "before it had answered"),
        ((stdout(HEAD),), Truncated, "before its answer was complete"),
        ((stdout(HEAD)[:12],), Truncated, "before it had answered"),
        ((stdout(HEAD + b"half")[:-3],), Truncated, "before its answer was complete"),
        ((stdout(b"Content-Length: 9\r\n\r\nhalf") + end(),), Truncated, "ended 5 bytes before"),
    ],
)
def test_answers_that_are_none(
    make_client: MakeClient, records: Sequence[bytes], error: type[ClientError], words: str
) -> None:
    with Scripted(sends(*records)) as server, make_client(server.address) as client:
        with pytest.raises(error, match=words) as caught:
            client.request("GET", "/").read()
        assert type(caught.value) is error
        assert caught.value.address == server.address
        assert str(caught.value).startswith(server.address)


def test_what_came_before_the_trouble_can_be_read(make_client: MakeClient) -> None:
    trouble = encode_record(fcgi.FCGI_STDERR, 1, b"trouble")
    with (
        Scripted(sends(trouble, stdout(HEAD + b"half"))) as server,
        make_client(server.address) as client,
    ):
        response = client.request("GET", "/")
        assert response.read(9) == b"half"
        with pytest.raises(Truncated) as caught:
            response.read(9)
        assert caught.value.stderr == b"trouble"


@pytest.mark.parametrize("protocol", ["scgi", "uwsgi"])
def test_a_reset_is_no_end(make_client: MakeClient, protocol: str) -> None:
    """Only a proper end of the connection says that such an answer is complete."""

    def resets(connection: socket.socket) -> None:
        connection.recv(1)  # closing with the rest unread makes the kernel reset the connection
        connection.sendall(HEAD + b"whole or half")

    with Scripted(resets) as server, make_client(server.address, protocol=protocol) as client:
        response = client.request("GET", "/")
        with pytest.raises(Truncated):
            response.read()


def test_records_of_nobody_are_skipped(make_client: MakeClient) -> None:
    stray = stdout(b"stray", 7) + end(request_id=7) + encode_record(99, 1, b"new type")
    with Scripted(sends(stray, OK)) as server, make_client(server.address) as client:
        assert client.request("GET", "/").read() == b"hello"


def test_a_refused_head_does_not_leak_into_the_next_answer(make_client: MakeClient) -> None:
    """The rest of the refused answer would come under the same id."""
    bad = stdout(b"bad\r\n\r\n") + OK

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(bad)
        read_to_end(connection)

    with Scripted(script, sends(OK)) as server, make_client(server.address) as client:
        with pytest.raises(ServerProtocolError):
            client.request("GET", "/")
        assert client.request("GET", "/").read() == b"hello"


def test_the_error_stream_is_bounded(make_client: MakeClient) -> None:
    record = encode_record(fcgi.FCGI_STDERR, 1, b"x" * 60_000)
    with Scripted(sends(*[record] * 40, OK)) as server, make_client(server.address) as client:
        response = client.request("GET", "/")
        assert (len(response.stderr), response.read()) == (MAX_STDERR, b"hello")


def test_endless_output_waits_for_its_reader(make_client: MakeClient) -> None:
    sent: list[int] = []

    def endless(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(stdout(HEAD))
        connection.settimeout(0.2)  # a stalled send is what is hoped for
        block = stdout(b"x" * 65528)
        try:
            while len(sent) < 1000:
                connection.sendall(block)
                sent.append(1)
        except OSError:
            pass

    with Scripted(endless) as server, make_client(server.address) as client:
        response = client.request("GET", "/")
        assert response.read(10) == b"x" * 10
        server.wait()
        response.close()
    assert len(sent) < 100


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(st.binary(max_size=300), strategies.mutations(st.just(OK))),
    protocol=st.sampled_from(["fastcgi", "scgi", "uwsgi"]),
)
def test_garbage_is_an_error_of_ours_or_an_answer(
    make_client: MakeClient, data: bytes, protocol: str
) -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(data)

    with (
        Scripted(script) as server,
        make_client(server.address, protocol=protocol, read_timeout=5) as client,
    ):
        try:
            client.request("POST", "/").read()
        except ClientError as error:
            assert error.address == server.address


def test_silence(make_client: MakeClient) -> None:
    def silent(connection: socket.socket) -> None:
        read_to_end(connection)

    def stops_halfway(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(stdout(HEAD + b"half"))
        read_to_end(connection)

    with Scripted(silent, stops_halfway, silent, silent) as server:
        with make_client(server.address, read_timeout=0.05) as client:
            with pytest.raises(ClientTimeout, match=r"silence for 0\.05 seconds") as caught:
                client.request("GET", "/")
            assert caught.value.phase == "read"
            assert isinstance(caught.value, TimeoutError)
            response = client.request("GET", "/")
            with pytest.raises(ClientTimeout):
                response.read()
            with pytest.raises(ClientTimeout, match="FCGI_GET_VALUES"):
                client.values()
        with make_client(server.address) as client:
            with pytest.raises(ClientTimeout) as caught:
                client.request("GET", "/", timeout=0.05)
            assert caught.value.phase == "total"


def test_a_total_time_ends_what_never_falls_silent(make_client: MakeClient) -> None:
    def drips(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(stdout(HEAD))
        try:
            while True:
                connection.sendall(stdout(b"x"))
        except OSError:
            pass

    with Scripted(drips) as server, make_client(server.address, timeout=0.1) as client:
        with pytest.raises(ClientTimeout) as caught:
            client.request("GET", "/").read()
        assert caught.value.phase == "total"


def test_values_from_one_who_hangs_up(make_client: MakeClient) -> None:
    def hangs_up(connection: socket.socket) -> None:
        connection.recv(1000)

    with (
        Scripted(hangs_up) as server,
        make_client(server.address) as client,
        pytest.raises(Truncated, match="FCGI_GET_VALUES"),
    ):
        client.values()


def test_nobody_there(make_client: MakeClient) -> None:
    with make_client("unix:/nonexistent/s") as client:
        with pytest.raises(ConnectFailed, match="No such file") as caught:
            client.request("GET", "/")
        assert isinstance(caught.value.__cause__, FileNotFoundError)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with make_client(f"127.0.0.1:{port}") as client, pytest.raises(ConnectFailed, match="127"):
        client.values()


def test_a_full_backlog_is_waited_for(make_client: MakeClient) -> None:
    directory = Path(tempfile.mkdtemp(prefix="fk"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "s"))
    listener.listen(0)
    waiting: list[socket.socket] = []
    try:
        while True:  # until the kernel takes no further one
            one = socket.socket(socket.AF_UNIX)
            waiting.append(one)
            one.setblocking(False)
            one.connect(str(directory / "s"))
    except BlockingIOError:
        pass
    with make_client(f"unix:{directory}/s", connect_timeout=0.05) as client:
        with pytest.raises(ClientTimeout) as caught:
            client.request("GET", "/")
        assert caught.value.phase == "connect"

    def accept() -> None:
        for _ in range(len(waiting)):
            connection, _ = listener.accept()
            if len(accepted) == len(waiting) - 1:  # the client's; the others have gone
                sends(OK)(connection)
            accepted.append(connection)

    accepted: list[socket.socket] = []
    with make_client(f"unix:{directory}/s") as client:
        thread = threading.Thread(target=accept)
        thread.start()
        assert client.request("GET", "/").read() == b"hello"
        thread.join()
    for one in (*waiting, *accepted, listener):
        one.close()
    shutil.rmtree(directory)
