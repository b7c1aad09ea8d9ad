"""A server in this process: a loop on threads of its own, driven through real sockets."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fcgikit.config import Config
from fcgikit.events import Response, ResponseBody, Role
from fcgikit.gateways.interface import Exchange, Gateway
from fcgikit.server.listener import Listener
from fcgikit.server.loop import Loop
from fcgikit.server.poller import Poller
from fcgikit.server.seats import Seats
from fcgikit.server.sockets import open_listener
from tests.e2e import wire
from tests.e2e.process import PATIENCE

HEADERS = [("Content-Type", "text/plain")]


class Place:
    """A Unix and a TCP socket to listen on; the directory goes when the ``with`` block ends."""

    def __init__(self, config: Config) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="fk"))
        self._path = str(self._directory / "s")
        self.address = f"unix:{self._path}"
        self.listeners: list[Listener] = [
            open_listener(f"unix:{self._path}", config),
            open_listener("127.0.0.1:0", config),
        ]
        self._port = self.listeners[1].socket.getsockname()[1]

    def connect(self, transport: str = "unix") -> socket.socket:
        """A connection, as a front end makes it."""
        if transport == "tcp":
            return socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        try:
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()
        shutil.rmtree(self._directory)


class Server:
    """A loop that serves *gateway* on ``config.threads`` threads (2, unless told otherwise).

    *settings* are fields of ``Config``. Leaving the ``with`` block stops it; a thread that does
    not end then is a failure.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        gateways: dict[Role, Gateway] | None = None,
        poller: Poller | None = None,
        seats: Seats | None = None,
        **settings: Any,
    ) -> None:
        self.config = Config(**{"threads": 2, **settings})
        self._place = Place(self.config)
        self.connect = self._place.connect
        self.address = self._place.address
        roles = {Role.RESPONDER: gateway, **(gateways or {})}
        noting = self.config.timeout > 0
        self.seats = seats or Seats(self.config.threads, noting=noting)
        self.loop = Loop(roles, self._place.listeners, self.config, poller, seats=self.seats)
        self._threads = [
            threading.Thread(target=self.loop.run, daemon=True) for _ in range(self.config.threads)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.loop.stop()
        for thread in self._threads:
            thread.join(PATIENCE)
        left = [thread for thread in self._threads if thread.is_alive()]
        if not left:
            self.loop.close()
        self._place.close()
        assert not left or error, "the loop did not stop"


class Gate:
    """Holds gateways until the test lets them go."""

    def __init__(self) -> None:
        self._arrived = threading.Semaphore(0)
        self._open = threading.Event()

    def pass_through(self) -> None:
        """The gateway's end: say that it is here, and wait."""
        self._arrived.release()
        assert self._open.wait(PATIENCE)

    def wait(self, count: int = 1) -> None:
        """Wait until *count* more gateways are here."""
        for _ in range(count):
            assert self._arrived.acquire(timeout=PATIENCE)

    def open(self) -> None:
        """Let everybody go, now and later."""
        self._open.set()


def answer(exchange: Exchange, body: bytes = b"", status: int = 200) -> None:
    """Answer with all of *body* at once."""
    request_id = exchange.request.request_id
    exchange.send(Response(request_id, status, "Reason", HEADERS, body, complete=True))


def begin_answer(exchange: Exchange, *blocks: bytes) -> None:
    """Send the head, then each of *blocks*; the end is still to come."""
    request_id = exchange.request.request_id
    exchange.send(Response(request_id, 200, "OK", HEADERS))
    for block in blocks:
        exchange.send(ResponseBody(request_id, block))


def read_body(exchange: Exchange) -> bytes:
    """All of the request's body."""
    pieces = [exchange.request.body]
    if not exchange.request.complete:
        while piece := exchange.read():
            pieces.append(piece)
    return b"".join(pieces)


def echo(exchange: Exchange) -> None:
    """Answer with the target and the body of the request."""
    answer(exchange, exchange.request.params["REQUEST_URI"].encode() + b" " + read_body(exchange))


def body_of(found: wire.Answer) -> bytes:
    return found.stdout.partition(b"\r\n\r\n")[2]


def ask(connection: socket.socket, target: str, request_id: int = 1, body: bytes = b"") -> bytes:
    """One request on a connection that is kept, and the body of its answer."""
    connection.sendall(wire.request(target, request_id, body, keep=True))
    found = wire.read_answer(connection, request_id)
    assert (found.app_status, found.protocol_status) == (0, 0)
    return body_of(found)
