"""Both clients against our own server, over every protocol."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fcgikit.client import ServerProtocolError, Truncated, UnknownRole
from fcgikit.errors import ConfigError, LocalProtocolError
from fcgikit.events import EndOfResponse, Event, Request, Response, ResponseBody, Role
from fcgikit.gateways.interface import Exchange
from tests import strategies
from tests.client.drivers import MakeClient
from tests.client.servers import (
    OK,
    Script,
    Scripted,
    authorizer,
    digest,
    digest_of,
    echo,
    filter_file,
    read_request,
)
from tests.conformance import Cut
from tests.server.harness import Gate, Server

PROTOCOLS = ("fastcgi", "scgi", "uwsgi")
MIB = bytes(range(256)) * 4096

protocols = pytest.mark.parametrize("protocol", PROTOCOLS)


@pytest.fixture(scope="module")
def echoing() -> Iterator[str]:
    with Server(echo) as server:
        yield server.address


@pytest.fixture(scope="module")
def digesting() -> Iterator[str]:
    roles = {Role.FILTER: filter_file, Role.AUTHORIZER: authorizer}
    with Server(digest, gateways=roles) as server:
        yield server.address


@protocols
def test_bodies_of_every_kind(make_client: MakeClient, digesting: str, protocol: str) -> None:
    with make_client(digesting, protocol=protocol) as client:
        for body in (None, b"", b"x", MIB):
            expected = digest_of(body or b"")
            assert client.request("POST", "/", body=body).read() == expected
        assert client.request("PUT", "/", body=io.BytesIO(MIB)).read() == digest_of(MIB)
        pieces = (MIB[at : at + 99_999] for at in range(0, len(MIB), 99_999))
        length = {"Content-Length": str(len(MIB))}
        response = client.request("PUT", "/", body=pieces, headers=length)
        assert response.read() == digest_of(MIB)


@protocols
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=strategies.bodies(200_000), cut=strategies.chunks(), size=st.integers(1, 70_000))
def test_any_body_in_any_pieces_comes_back(
    make_client: MakeClient, echoing: str, protocol: str, body: bytes, cut: Cut, size: int
) -> None:
    with make_client(echoing, protocol=protocol) as client:
        headers = {"Content-Length": str(len(body))}
        response = client.request("POST", "/", body=iter(cut(body)), headers=headers)
        pieces = list(response.iter_bytes(size))
        assert b"".join(pieces) == body
        assert all(0 < len(piece) <= size for piece in pieces)


@protocols
def test_an_echo_larger_than_every_buffer(
    make_client: MakeClient, echoing: str, protocol: str
) -> None:
    with make_client(echoing, protocol=protocol) as client:
        headers = {"Content-Length": str(32 * len(MIB))}
        response = client.request("POST", "/", body=iter([MIB] * 32), headers=headers)
        received = sum(len(piece) for piece in response.iter_bytes())
        assert received == 32 * len(MIB)


def test_a_body_of_unknown_length(make_client: MakeClient, digesting: str) -> None:
    with make_client(digesting) as client:
        assert client.request("POST", "/", body=iter([b"a", b"bc"])).read() == digest_of(b"abc")
    with (
        make_client(digesting, protocol="scgi") as client,
        pytest.raises(ValueError, match="Content-Length"),
    ):
        client.request("POST", "/", body=iter([b"a"]))


def test_what_the_head_tells(make_client: MakeClient) -> None:
    headers = [("Set-Cookie", "a"), ("X-Name", "caf\xe9"), ("Set-Cookie", "b")]

    def gateway(exchange: Exchange) -> None:
        exchange.send(Response(exchange.request.request_id, 404, "Gone", headers, b"no"))
        exchange.send(EndOfResponse(exchange.request.request_id, 7))

    with Server(gateway) as server, make_client(server.address) as client:
        response = client.request("GET", "/")
        assert (response.status, response.reason) == (404, "Gone")
        assert response.headers["x-name"] == "caf\xe9"
        assert response.headers.get_all("set-cookie") == ["a", "b"]
        assert (response.read(), response.app_status) == (b"no", 7)
        assert repr(response).endswith("Response 404 Gone>")


@protocols
def test_a_head_request_has_no_body(make_client: MakeClient, protocol: str) -> None:
    def gateway(exchange: Exchange) -> None:
        number = exchange.request.request_id
        exchange.send(Response(number, 200, "OK", [("Content-Length", "5")], complete=True))

    with Server(gateway) as server, make_client(server.address, protocol=protocol) as client:
        response = client.request("HEAD", "/")
        assert (response.headers["Content-Length"], response.read()) == ("5", b"")


def test_the_error_stream_is_apart(make_client: MakeClient, digesting: str) -> None:
    with make_client(digesting) as client:
        response = client.request("GET", "/?trouble")
        assert (response.read(), response.stderr) == (digest_of(b""), b"trouble")


def test_the_other_roles(make_client: MakeClient, digesting: str) -> None:
    with make_client(digesting) as client:
        answer = client.request("GET", "/", role="authorizer")
        assert answer.headers["Variable-WHO"] == "ann"
        for data in (b"file", MIB):
            answer = client.request(
                "POST", "/", role=Role.FILTER, body=b"body", data=data, data_modified=99
            )
            assert answer.read() == b"body|" + data + f"|{len(data)}|99".encode()


def test_a_role_nobody_plays(make_client: MakeClient, echoing: str) -> None:
    with make_client(echoing) as client:
        with pytest.raises(UnknownRole) as caught:
            client.request("GET", "/", role="authorizer").read()
        assert caught.value.protocol_status == 3
        assert echoing in str(caught.value)
        assert client.request("GET", "/").status == 200


def test_connections_are_kept(make_client: MakeClient) -> None:
    kept: list[bool] = []

    def watch(direction: str, event: Event) -> None:
        if isinstance(event, Request):
            kept.append(event.keep_conn)

    with Server(digest) as server:
        with make_client(server.address, trace=watch) as client:
            for _ in range(3):
                client.request("PUT", "/", body=MIB).read()
            assert server.loop.connections == 1
        with make_client(server.address, max_idle=0, trace=watch) as client:
            client.request("GET", "/").read()
    assert kept == [True, True, True, False]


def test_values(make_client: MakeClient) -> None:
    with (
        Server(echo, max_connections=7, max_requests_per_connection=5) as server,
        make_client(server.address) as client,
    ):
        expected = {"FCGI_MAX_CONNS": "7", "FCGI_MAX_REQS": "5", "FCGI_MPXS_CONNS": "1"}
        assert client.values() == expected
        assert client.values("FCGI_MAX_CONNS", "OTHER") == {"FCGI_MAX_CONNS": "7"}


def test_only_fastcgi_has_values(make_client: MakeClient, echoing: str) -> None:
    with (
        make_client(echoing, protocol="scgi") as client,
        pytest.raises(ValueError, match="FCGI_GET_VALUES"),
    ):
        client.values()


def test_leaving_an_answer_tells_the_server(make_client: MakeClient) -> None:
    gate = Gate()

    def gateway(exchange: Exchange) -> None:
        number = exchange.request.request_id
        exchange.send(Response(number, 200, "OK", [], b"first"))
        if exchange.request.params["QUERY_STRING"]:
            try:
                while True:
                    exchange.send(ResponseBody(number, MIB))
            except OSError:
                gate.pass_through()
        else:
            exchange.send(EndOfResponse(number))

    gate.open()
    for shared in (False, True):
        with Server(gateway) as server, make_client(server.address, multiplex=shared) as client:
            response = client.request("GET", "/?endless")
            assert response.read(5) == b"first"
            response.close()
            assert client.request("GET", "/").read() == b"first"
            gate.wait()


def test_an_answer_before_the_upload_is_over(make_client: MakeClient) -> None:
    def gateway(exchange: Exchange) -> None:
        number = exchange.request.request_id
        exchange.send(Response(number, 413, "Too Large", [], b"enough", complete=True))

    def endless() -> Iterator[bytes]:
        while True:
            yield MIB

    with Server(gateway) as server, make_client(server.address) as client:
        for _ in range(2):
            response = client.request("POST", "/", body=endless())
            assert (response.status, response.read()) == (413, b"enough")


def test_a_body_that_fails_is_the_callers_error(make_client: MakeClient, echoing: str) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x"
        raise KeyError("mine")

    with make_client(echoing) as client:
        with pytest.raises(KeyError, match="mine"):
            client.request("POST", "/", body=failing()).read()
        assert client.request("POST", "/", body=b"y").read() == b"y"


def test_variables_of_more_than_64_kib(make_client: MakeClient, digesting: str) -> None:
    headers = {f"X-{number}": "v" * 10_000 for number in range(12)}
    for protocol in ("fastcgi", "scgi"):
        with make_client(digesting, protocol=protocol) as client:
            assert client.request("GET", "/", headers=headers).status == 200
    with make_client(digesting, protocol="uwsgi") as client:
        with pytest.raises(LocalProtocolError, match="65535"):
            client.request("GET", "/", headers=headers)
        assert client.request("GET", "/").status == 200


def test_a_long_head_is_taken_up_to_a_limit(make_client: MakeClient) -> None:
    def gateway(exchange: Exchange) -> None:
        number = exchange.request.request_id
        exchange.send(Response(number, 200, "OK", [("X", "v" * 65536)], complete=True))

    with Server(gateway) as server:
        with make_client(server.address) as client:
            assert client.request("GET", "/").headers["X"] == "v" * 65536
        with (
            make_client(server.address, max_head_size=65536) as client,
            pytest.raises(ServerProtocolError, match="65536"),
        ):
            client.request("GET", "/")


def answers(count: int) -> Script:
    """A server that answers *count* requests and leaves at the next."""

    def script(connection: socket.socket) -> None:
        for _ in range(count):
            read_request(connection)
            connection.sendall(OK)
        connection.recv(1)

    return script


def test_a_kept_connection_that_turns_out_closed(make_client: MakeClient) -> None:
    with Scripted(answers(2), answers(2)) as server, make_client(server.address) as client:
        for _ in range(4):  # doing it twice does no harm
            assert client.request("GET", "/").read() == b"hello"
        with pytest.raises(Truncated):
            client.request("POST", "/")


def test_a_request_that_must_not_fail_waits_for_proof_that_connections_are_kept(
    make_client: MakeClient,
) -> None:
    """uWSGI closes in spite of FCGI_KEEP_CONN, and perhaps only when we send again."""
    with Scripted(answers(1), answers(1)) as server, make_client(server.address) as client:
        for _ in range(2):
            assert client.request("POST", "/").read() == b"hello"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"address": "/run/app.sock"}, "address"),
        ({"protocol": "http"}, "protocol"),
        ({"protocol": "scgi", "multiplex": True}, "multiplex"),
    ],
)
def test_settings_that_cannot_work(
    make_client: MakeClient, settings: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        make_client(**{"address": "unix:/nonexistent", **settings})
