"""Ordinary requests through nginx, with every file of conf/nginx and its stock params."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.apps import pattern
from tests.e2e.client import Client, fetch
from tests.e2e.gate import Gate
from tests.e2e.nginx import CONF, Front, Nginx
from tests.e2e.process import PATIENCE
from tests.e2e.worker import Worker

MEGABYTE = 1 << 20


def sha256(pieces: Iterator[bytes]) -> str:
    total = hashlib.sha256()
    for piece in pieces:
        total.update(piece)
    return total.hexdigest()


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
def test_the_path_is_decoded_once_under_stock_params(
    stock_nginx: Nginx, target: str, path: str, query: str
) -> None:
    environ = json.loads(fetch(stock_nginx.address, target).body)
    found = {name: environ[name] for name in ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")}
    assert found == {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query}


def test_the_environ_says_who_asks_whom(stock_nginx: Nginx, stock_front: Front) -> None:
    host, port = stock_nginx.address
    environ = json.loads(fetch(stock_nginx.address, "/hello?x=1").body)
    expected = {
        "REQUEST_METHOD": "GET",
        "SERVER_NAME": "app.example",
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": host,
        # Debian's params replace the client's Host by nginx's own idea of it, without the port.
        "HTTP_HOST": environ["HTTP_HOST"],
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    assert {name: environ.get(name) for name in expected} == expected
    if stock_front.params == "upstream":
        assert environ["HTTP_HOST"] == f"{host}:{port}"
    else:
        assert environ["HTTP_HOST"] in (host, f"{host}:{port}")


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 5 * MEGABYTE])
def test_an_upload_arrives_whole(stock_nginx: Nginx, size: int) -> None:
    body = b"".join(pattern(size))
    answer = json.loads(fetch(stock_nginx.address, "/digest", "POST", body).body)
    assert answer["length"] == size
    assert answer["sha256"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("size", [1, 5 * MEGABYTE])
def test_a_chunked_upload_arrives_whole(nginx: Nginx, front: Front, size: int) -> None:
    pieces = list(pattern(size))
    answer = json.loads(fetch(nginx.address, "/digest", "POST", iter(pieces)).body)
    assert answer["length"] == size
    assert answer["sha256"] == sha256(iter(pieces))
    if front.file == "fastcgi-streaming.conf" and size > MEGABYTE:
        assert answer["declared"] == "", "the length came only with the end of the stream"


def test_a_chunked_upload_is_read_while_it_arrives(worker: Worker, gate: Gate) -> None:
    front = Front("fastcgi-streaming.conf", "unix")
    with Nginx(front, worker.address("unix")) as nginx:
        visits = []

        def pieces() -> Iterator[bytes]:
            yield b"start"
            visits.append(gate.wait())
            visits[0].let_go()
            yield b" and end"

        answer = fetch(nginx.address, f"/digest?{gate.query}", "POST", pieces())
    assert visits[0].message == "start", "the application had it before the rest was sent"
    assert json.loads(answer.body)["length"] == len("start and end")


@pytest.mark.parametrize("declared", ["", "&length=1"])
def test_a_big_response_arrives_whole(nginx: Nginx, declared: str) -> None:
    size = 20 * MEGABYTE
    answer = fetch(nginx.address, f"/big?size={size}{declared}")
    assert len(answer.body) == size
    assert hashlib.sha256(answer.body).hexdigest() == sha256(pattern(size))


def test_a_file_goes_out_from_where_it_stands(nginx: Nginx, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"".join(pattern(3 * MEGABYTE + 17)))
    answer = fetch(nginx.address, f"/file?path={path}")
    assert answer.body == path.read_bytes()[1:]


def test_head_has_the_head_only(nginx: Nginx) -> None:
    client = Client(nginx.address)
    head = client.request("HEAD", "/big?size=1000&length=1")
    assert (head.status, head.body) == (200, b"")
    assert head.all("Content-Length") == ["1000"]
    assert client.request("GET", "/status?status=200+OK").body == b"status\n"
    client.close()


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_body(nginx: Nginx, status: str) -> None:
    client = Client(nginx.address)
    answer = client.request("GET", f"/status?status={status.replace(' ', '+')}")
    assert (answer.status, answer.body) == (int(status[:3]), b"")
    assert client.request("GET", "/status?status=404+Gone+Fishing").status == 404
    client.close()


def test_a_response_streams(nginx: Nginx, gate: Gate) -> None:
    """The first piece is here while the application is still held."""
    client = Client(nginx.address)
    client.connection.request("GET", f"/stream?{gate.query}")
    visit = gate.wait()
    response = client.connection.getresponse()
    assert response.read1(100) == b"first"
    visit.let_go()
    assert response.read() == b"second"
    client.close()


def test_an_answer_before_the_upload_is_read(nginx: Nginx) -> None:
    body = b"".join(pattern(8 * MEGABYTE))
    for _ in range(3):
        answer = fetch(nginx.address, "/early", "POST", body)
        assert (answer.status, answer.body) == (403, b"no\n")
    assert fetch(nginx.address, "/hello").status == 200


def test_repeated_headers_both_ways(nginx: Nginx) -> None:
    answer = fetch(nginx.address, "/repeated")
    assert answer.all("Set-Cookie") == ["a=1", "b=2"]
    assert ", ".join(answer.all("X-Many")) == "one, two"

    request = b"GET /x HTTP/1.0\r\nX-Many: 1\r\nX-Many: 2\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n"
    with socket.create_connection(nginx.address, timeout=PATIENCE) as connection:
        connection.sendall(request)
        _, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    environ = json.loads(body)
    assert environ["HTTP_X_MANY"] == "1, 2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"


def test_the_proxy_header_does_not_reach_the_application(stock_nginx: Nginx) -> None:
    answer = fetch(stock_nginx.address, "/x", headers={"Proxy": "evil.example", "X-Kind": "kept"})
    environ = json.loads(answer.body)
    assert "HTTP_PROXY" not in environ
    assert environ["HTTP_X_KIND"] == "kept"


def test_every_ready_file_is_started_here() -> None:
    from tests.e2e.conftest import FRONTS

    assert {front.file for front in FRONTS} == {path.name for path in CONF.glob("*.conf")}
