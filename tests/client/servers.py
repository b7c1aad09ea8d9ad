"""What a client may meet: our own server with small gateways, and servers that keep to nothing."""

from __future__ import annotations

import hashlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from fcgikit.events import (
    Diagnostic,
    EndOfResponse,
    ProtocolStatus,
    Response,
    ResponseBody,
)
from fcgikit.gateways.interface import Exchange
from fcgikit.protocols.fastcgi import constants as fcgi
from fcgikit.protocols.fastcgi.records import encode_record
from tests.e2e.process import PATIENCE

Script = Callable[[socket.socket], object]


class Scripted:
    """Listens on a Unix socket; the connections are played by the scripts, one by one, in order.

    A connection is closed when its script returns. Leaving the ``with`` block waits for all of
    the scripts and raises what they raised.
    """

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self._directory = tempfile.mkdtemp(prefix="fk")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(PATIENCE)
        self._listener.bind(f"{self._directory}/s")
        self._listener.listen(16)
        self.address = f"unix:{self._directory}/s"
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def _play(self) -> None:
        try:
            for script in self._scripts:
                connection, _ = self._listener.accept()
                connection.settimeout(PATIENCE)
                with connection:
                    script(connection)
        except BaseException as error:
            self._error = error

    def wait(self) -> None:
        """Wait until every script has been played."""
        self._thread.join(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.join(PATIENCE)
        self._listener.close()
        shutil.rmtree(self._directory)
        if error is None:
            assert not self._thread.is_alive(), "a script still runs"
            if self._error is not None:
                raise self._error


def read_request(connection: socket.socket) -> bytes:
    """What a FastCGI client sends until its empty STDIN."""
    return read_until(connection, encode_record(fcgi.FCGI_STDIN, 1))


def read_until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        piece = connection.recv(65536)
        assert piece, f"the client has closed after {data[-100:]!r}"
        data += piece
    return data


def read_to_end(connection: socket.socket) -> bytes:
    data = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def sends(*records: bytes) -> Script:
    """A server that answers one request with *records* and then leaves."""

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"".join(records))

    return script


def stdout(data: bytes, request_id: int = 1) -> bytes:
    return encode_record(fcgi.FCGI_STDOUT, request_id, data)


def end(
    status: ProtocolStatus = ProtocolStatus.REQUEST_COMPLETE, app: int = 0, request_id: int = 1
) -> bytes:
    content = app.to_bytes(4, "big") + bytes((status, 0, 0, 0))
    return encode_record(fcgi.FCGI_END_REQUEST, request_id, content)


OK = stdout(b"Content-Type: text/plain\r\n\r\nhello") + end()


# -- gateways for our own server -------------------------------------------------------------


def echo(exchange: Exchange) -> None:
    """Answer with the body, piece by piece as it comes."""
    request = exchange.request
    exchange.send(Response(request.request_id, 200, "OK", [("X-Method", _method(exchange))]))
    if request.body:
        exchange.send(ResponseBody(request.request_id, request.body))
    while not request.complete and (piece := exchange.read()):
        exchange.send(ResponseBody(request.request_id, piece))
    exchange.send(EndOfResponse(request.request_id))


def digest(exchange: Exchange) -> None:
    """Answer with the length and the SHA-256 of the body; the query goes to the error stream."""
    request = exchange.request
    total = hashlib.sha256(request.body)
    size = len(request.body)
    while not request.complete and (piece := exchange.read()):
        total.update(piece)
        size += len(piece)
    if query := request.params["QUERY_STRING"]:
        exchange.send(Diagnostic(request.request_id, query.encode("latin-1")))
    body = f"{size} {total.hexdigest()}".encode()
    exchange.send(Response(request.request_id, 200, "OK", [], body, complete=True))


def filter_file(exchange: Exchange) -> None:
    """A filter: its body, a bar, its file, and what was said of the file."""
    request = exchange.request
    pieces = [request.body]
    if not request.complete:
        while piece := exchange.read():
            pieces.append(piece)
    pieces.append(b"|")
    while piece := exchange.read():
        pieces.append(piece)
    for name in ("FCGI_DATA_LENGTH", "FCGI_DATA_LAST_MOD"):
        pieces.append(f"|{request.params[name]}".encode())
    body = b"".join(pieces)
    exchange.send(Response(request.request_id, 200, "OK", [], body, complete=True))


def authorizer(exchange: Exchange) -> None:
    """Says yes."""
    exchange.send(
        Response(exchange.request.request_id, 200, "OK", [("Variable-WHO", "ann")], complete=True)
    )


def _method(exchange: Exchange) -> str:
    return exchange.request.params["REQUEST_METHOD"]


def digest_of(body: bytes) -> bytes:
    """What :func:`digest` answers to *body*."""
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()
