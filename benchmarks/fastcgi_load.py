"""Load on a FastCGI server directly, with no web server that could be the limit.

The requests are bytes made once; an answer is only counted, by its length, after the first one
has been looked at. So a request costs this program little beside what it costs any server.
``python -m benchmarks.fastcgi_load SOCKET SECONDS CONNECTIONS IN_FLIGHT`` prints how many
requests were answered.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time

from benchmarks.apps import BODY
from fcgikit.config import DEFAULT
from fcgikit.events import EndOfResponse, Request, Side
from fcgikit.protocols import PROTOCOLS

PARAMS = {
    "QUERY_STRING": "",
    "REQUEST_METHOD": "GET",
    "CONTENT_TYPE": "",
    "CONTENT_LENGTH": "",
    "SCRIPT_NAME": "/",
    "REQUEST_URI": "/",
    "DOCUMENT_URI": "/",
    "DOCUMENT_ROOT": "/usr/share/nginx/html",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REQUEST_SCHEME": "http",
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SERVER_SOFTWARE": "nginx/1.22.1",
    "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "37982",
    "REMOTE_USER": "",
    "SERVER_ADDR": "127.0.0.1",
    "SERVER_PORT": "8080",
    "SERVER_NAME": "",
    "REDIRECT_STATUS": "200",
    "HTTP_HOST": "127.0.0.1",
}
"""What nginx makes of a request without headers."""


def encode(request: Request) -> bytes:
    """*request* in FastCGI."""
    return b"".join(PROTOCOLS["fastcgi"](Side.WEB, DEFAULT).send(request))


def encode_get(request_id: int) -> bytes:
    """A request that keeps the connection."""
    return encode(Request(request_id, dict(PARAMS), keep_conn=True, complete=True))


def connect(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection


def ask(connection: socket.socket) -> int:
    """One request and its whole answer, which must be right; its length."""
    chapter = PROTOCOLS["fastcgi"](Side.WEB, DEFAULT)
    request = Request(1, dict(PARAMS), keep_conn=True, complete=True)
    connection.sendall(b"".join(chapter.send(request)))
    received = b""
    while data := connection.recv(65536):
        received += data
        if any(type(event) is EndOfResponse for event in chapter.receive_data(data)):
            break
    assert BODY in received, received
    return len(received)


def run(path: str, seconds: float, connections: int, in_flight: int) -> int:
    """Keep *connections* busy, with *in_flight* requests open on each at a time; how many answers.

    It ends with *seconds*, but not before the first answer.
    """
    with contextlib.ExitStack() as stack:
        opened: dict[int, socket.socket] = {}
        owed: dict[int, int] = {}  # bytes of answers that are to come
        poller = stack.enter_context(select.epoll())
        for _ in range(connections):
            connection = stack.enter_context(connect(path))
            size = ask(connection) * in_flight
            opened[connection.fileno()] = connection
            owed[connection.fileno()] = size
            poller.register(connection, select.EPOLLIN)
        block = b"".join(map(encode_get, range(1, in_flight + 1)))
        for connection in opened.values():
            connection.sendall(block)
        answered = 0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline or not answered:
            for fileno, _ in poller.poll():
                data = opened[fileno].recv(262_144)
                left = owed[fileno] - len(data)
                if left < 0 or not data:
                    raise SystemExit(f"an answer of another length, ending {data[-200:]!r}")
                if left == 0:
                    answered += in_flight
                    left = size
                    opened[fileno].sendall(block)
                owed[fileno] = left
        return answered


if __name__ == "__main__":
    _, path, seconds, connections, in_flight = sys.argv
    print(run(path, float(seconds), int(connections), int(in_flight)))
