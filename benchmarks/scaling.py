"""Contestants for what grows: idle connections and long bodies, against memory and CPU time."""

from __future__ import annotations

import contextlib
import resource
import socket
import tempfile
from abc import abstractmethod

from benchmarks.apps import PIECE
from benchmarks.contestants import Contestant, Direct, Turn
from benchmarks.fastcgi_load import PARAMS, ask, connect
from benchmarks.servers import Server
from benchmarks.usage import forget_peak, peak_resident, resident
from fcgikit.config import DEFAULT
from fcgikit.events import (
    Body,
    EndOfBody,
    EndOfResponse,
    Event,
    Request,
    Response,
    ResponseBody,
    Side,
)
from fcgikit.protocols import PROTOCOLS
from fcgikit.protocols.interface import Connection
from tests.e2e.process import Process

IDLE = 10_000
GIBIBYTE = 1 << 30

MANY_CONNECTIONS = ("--max-connections", str(2 * IDLE), "--keepalive-timeout", "3600")


def allow_descriptors() -> None:
    """As many as this process may have; servers inherit it. Raises ``SystemExit``: too few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < IDLE + 500:
        raise SystemExit(f"{IDLE} connections need ulimit -n {IDLE + 500}; the most here: {most}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def open_idle(path: str, count: int, stack: contextlib.ExitStack) -> None:
    """Connections that have carried one request each and are kept by both sides."""
    for _ in range(count):
        ask(stack.enter_context(connect(path)))


class AmongIdle(Direct):
    """Under load on 16 connections, with *count* more that are idle."""

    def __init__(self, server: Server, count: int) -> None:
        super().__init__(server, f"{count:,} idle")
        self._count = count

    def start(self, stack: contextlib.ExitStack) -> None:
        allow_descriptors()
        super().start(stack)
        open_idle(self.path, self._count, stack)


class Fresh(Contestant):
    """A server that is started anew for every turn, because memory never shrinks."""

    def start(self, stack: contextlib.ExitStack) -> None:
        allow_descriptors()

    def warm_up(self) -> None:
        pass

    def turn(self, seconds: int) -> Turn:
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="fk"))
            path = f"{directory}/s"
            return Turn(self.measure(self.server.start(stack, path), path, stack))

    @abstractmethod
    def measure(self, process: Process, path: str, stack: contextlib.ExitStack) -> float:
        """What one turn finds."""


class IdleMemory(Fresh):
    """KiB of the process for each idle connection."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, f"{IDLE:,} idle")

    def measure(self, process: Process, path: str, stack: contextlib.ExitStack) -> float:
        open_idle(path, 100, stack)  # what is made at first use does not belong to a connection
        before = resident(process.pid)
        open_idle(path, IDLE, stack)
        return (resident(process.pid) - before) / IDLE / 1024


class Bulk(Fresh):
    """MiB by which the process is larger at its largest, while 1 GiB passes through."""

    def measure(self, process: Process, path: str, stack: contextlib.ExitStack) -> float:
        connection = stack.enter_context(connect(path))
        self.pass_through(connection, 100)
        before = resident(process.pid)
        forget_peak(process.pid)
        assert self.pass_through(connection, GIBIBYTE // len(PIECE)) == GIBIBYTE
        return (peak_resident(process.pid) - before) / (1 << 20)

    @abstractmethod
    def pass_through(self, connection: socket.socket, pieces: int) -> int:
        """One request with a body of so many pieces, one way or the other; their bytes."""


class Upload(Bulk):
    def __init__(self, server: Server) -> None:
        super().__init__(server, "1 GiB in")

    def pass_through(self, connection: socket.socket, pieces: int) -> int:
        size = str(pieces * len(PIECE))
        chapter = PROTOCOLS["fastcgi"](Side.WEB, DEFAULT)
        params = {**PARAMS, "REQUEST_METHOD": "POST", "CONTENT_LENGTH": size}
        send(connection, chapter, Request(1, params, keep_conn=True))
        for _ in range(pieces):
            send(connection, chapter, Body(1, PIECE))
        send(connection, chapter, EndOfBody(1))
        _, answer = receive(connection, chapter)
        return int(answer)


class Download(Bulk):
    def __init__(self, server: Server) -> None:
        super().__init__(server, "1 GiB out")

    def pass_through(self, connection: socket.socket, pieces: int) -> int:
        chapter = PROTOCOLS["fastcgi"](Side.WEB, DEFAULT)
        params = {**PARAMS, "QUERY_STRING": str(pieces)}
        send(connection, chapter, Request(1, params, keep_conn=True, complete=True))
        size, _ = receive(connection, chapter)
        return size


def send(connection: socket.socket, chapter: Connection, event: Event) -> None:
    connection.sendall(b"".join(chapter.send(event)))


def receive(connection: socket.socket, chapter: Connection) -> tuple[int, bytes]:
    """A whole answer: the size of its body, and the last piece of it."""
    size, piece = 0, b""
    while True:
        data = connection.recv(1 << 20)
        for event in chapter.receive_data(data) if data else chapter.receive_eof():
            if isinstance(event, Response):
                assert event.status == 200, event
                piece = event.body
                size += len(piece)
            elif isinstance(event, ResponseBody):
                piece = event.data
                size += len(piece)
            else:
                assert type(event) is EndOfResponse, event
                return size, piece
