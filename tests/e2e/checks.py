"""What is the same behind every front end: one list of checks, run for each of them.

A test module makes a subclass of :class:`Requests` whose name begins with ``Test``, and a fixture
``web_server`` that starts the front end. Where one of them is known to differ, it says so in its
:class:`Traits`.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.e2e.apps import pattern
from tests.e2e.client import Client, fetch
from tests.e2e.gate import Gate
from tests.e2e.process import PATIENCE

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Traits:
    """In what a front end differs; the default is what most of them do."""

    takes_chunked: bool = True
    """Takes a body of unknown length; otherwise it answers 411."""
    any_bytes: bool = True
    """Passes a path on that is not UTF-8; otherwise it answers 400."""
    cookies: str = "a=1; b=2"
    """What becomes of two Cookie headers, which HTTP/1 does not have."""


class WebServer(Protocol):
    """A front end that runs."""

    address: tuple[str, int]

    @property
    def traits(self) -> Traits: ...


def sha256(pieces: Iterator[bytes]) -> str:
    total = hashlib.sha256()
    for piece in pieces:
        total.update(piece)
    return total.hexdigest()


def cut_is_seen(address: tuple[str, int], target: str) -> bool:
    """Whether the client misses the end, or gets the front end's 502 (Apache: 503) instead."""
    try:
        # Apache would wait for another request before it hangs up.
        return fetch(address, target, headers={"Connection": "close"}).status in (502, 503)
    except (http.client.IncompleteRead, http.client.RemoteDisconnected):
        return True


class Variables:
    """What depends on the CGI variables the front end sends."""

    @pytest.mark.parametrize(
        ("target", "path", "query"),
        [
            ("/", "/", ""),
            ("/hello", "/hello", ""),
            ("/he%6Clo", "/hello", ""),
            ("/a%20b/c%2Fd", "/a b/c/d", ""),
            ("/100%25/%2525", "/100%/%25", ""),
            # PEP 3333: the bytes of the path, each as one character.
            ("/caf%C3%A9?q=%2F", "/caf\xc3\xa9", "q=%2F"),
            ("/%ff?a=1&a=2?", "/\xff", "a=1&a=2?"),
        ],
    )
    def test_the_path_is_decoded_once(
        self, web_server: WebServer, target: str, path: str, query: str
    ) -> None:
        answer = fetch(web_server.address, target)
        if "\xff" in path and not web_server.traits.any_bytes:
            assert answer.status == 400
            return
        environ = json.loads(answer.body)
        found = {name: environ[name] for name in ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")}
        assert found == {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query}

    def test_the_environ_says_who_asks_whom(self, web_server: WebServer) -> None:
        host, port = web_server.address
        environ = json.loads(fetch(web_server.address, "/hello?x=1").body)
        expected = {
            "REQUEST_METHOD": "GET",
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": host,
            "wsgi.url_scheme": "http",
            "wsgi.run_once": False,
        }
        assert {name: environ.get(name) for name in expected} == expected
        assert environ["SERVER_NAME"] in ("app.example", host)
        # Debian's nginx replaces the client's Host by its own idea of it, without the port.
        assert environ["HTTP_HOST"] in (host, f"{host}:{port}")

    @pytest.mark.parametrize("size", [0, 1, 64 * 1024, MEGABYTE, 5 * MEGABYTE])
    def test_an_upload_arrives_whole(self, web_server: WebServer, size: int) -> None:
        body = b"".join(pattern(size))
        answer = json.loads(fetch(web_server.address, "/digest", "POST", body).body)
        assert answer["length"] == size
        assert answer["sha256"] == hashlib.sha256(body).hexdigest()

    def test_the_proxy_header_does_not_reach_the_application(self, web_server: WebServer) -> None:
        headers = {"Proxy": "evil.example", "X-Kind": "kept"}
        environ = json.loads(fetch(web_server.address, "/x", headers=headers).body)
        assert "HTTP_PROXY" not in environ
        assert environ["HTTP_X_KIND"] == "kept"


class Answers:
    """What depends on how the front end passes bodies and answers on."""

    @pytest.mark.parametrize("size", [1, 64 * 1024, MEGABYTE, 5 * MEGABYTE])
    def test_a_chunked_upload_arrives_whole(self, web_server: WebServer, size: int) -> None:
        pieces = list(pattern(size))
        answer = fetch(web_server.address, "/digest", "POST", iter(pieces))
        if not web_server.traits.takes_chunked:
            assert answer.status == 411
            return
        found = json.loads(answer.body)
        assert found["length"] == size
        assert found["sha256"] == sha256(iter(pieces))

    @pytest.mark.parametrize("declared", ["", "&length=1"])
    def test_a_big_response_arrives_whole(self, web_server: WebServer, declared: str) -> None:
        size = 20 * MEGABYTE
        answer = fetch(web_server.address, f"/big?size={size}{declared}")
        assert len(answer.body) == size
        assert hashlib.sha256(answer.body).hexdigest() == sha256(pattern(size))

    def test_a_file_goes_out_from_where_it_stands(
        self, web_server: WebServer, tmp_path: Path
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"".join(pattern(3 * MEGABYTE + 17)))
        answer = fetch(web_server.address, f"/file?path={path}")
        assert answer.body == path.read_bytes()[1:]

    def test_head_has_the_head_only(self, web_server: WebServer) -> None:
        client = Client(web_server.address)
        head = client.request("HEAD", "/big?size=1000&length=1")
        assert (head.status, head.body) == (200, b"")
        assert head.all("Content-Length") == ["1000"]
        assert client.request("GET", "/status?status=200+OK").body == b"status\n"
        client.close()

    @pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
    def test_a_status_without_body(self, web_server: WebServer, status: str) -> None:
        client = Client(web_server.address)
        answer = client.request("GET", f"/status?status={status.replace(' ', '+')}")
        assert (answer.status, answer.body) == (int(status[:3]), b"")
        assert client.request("GET", "/status?status=404+Gone+Fishing").status == 404
        client.close()

    def test_an_exception_is_a_500_that_tells_nothing(self, web_server: WebServer) -> None:
        answer = fetch(web_server.address, "/boom")
        assert answer.status == 500
        assert b"kettle" not in answer.body
        assert b"Traceback" not in answer.body

    def test_a_response_streams(self, web_server: WebServer, gate: Gate) -> None:
        """The first piece is here while the application is still held."""
        client = Client(web_server.address)
        client.connection.request("GET", f"/stream?{gate.query}")
        visit = gate.wait()
        response = client.connection.getresponse()
        assert response.read1(100) == b"first"
        visit.let_go()
        assert response.read() == b"second"
        client.close()

    def test_an_answer_before_the_upload_is_read(self, web_server: WebServer) -> None:
        body = b"".join(pattern(8 * MEGABYTE))
        for _ in range(3):
            answer = fetch(web_server.address, "/early", "POST", body)
            assert (answer.status, answer.body) == (403, b"no\n")
        assert fetch(web_server.address, "/hello").status == 200

    def test_repeated_headers_both_ways(self, web_server: WebServer) -> None:
        answer = fetch(web_server.address, "/repeated")
        assert answer.all("Set-Cookie") == ["a=1", "b=2"]
        assert ", ".join(answer.all("X-Many")) == "one, two"
        assert answer.all("Status") == [], "it is for the front end"

        host, port = web_server.address
        lines = ["GET /x HTTP/1.0", f"Host: {host}:{port}", "X-Many: 1", "X-Many: 2"]
        request = "\r\n".join([*lines, "Cookie: a=1", "Cookie: b=2", "", ""])
        with socket.create_connection(web_server.address, timeout=PATIENCE) as connection:
            connection.sendall(request.encode())
            _, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
        environ = json.loads(body)
        assert environ["HTTP_X_MANY"] == "1, 2"
        assert environ["HTTP_COOKIE"] == web_server.traits.cookies


class Requests(Variables, Answers):
    """All of it."""
