"""A relay between a front end and the application, which writes down the records that pass."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from fcgikit.protocols.fastcgi.records import RecordReader
from tests.e2e import wire
from tests.e2e.process import PATIENCE

OURS = {wire.STDOUT, wire.STDERR, wire.END}
"""Types of the records that answer a request."""


@dataclass
class Line:
    """One connection: its records in the order they passed, ``(type, id, size)``."""

    records: list[tuple[int, int, int]] = field(default_factory=list)
    left: bool = False
    """The front end has closed it: what was open then needs no end."""

    def most_at_once(self) -> int:
        """How many requests have been open at the same time."""
        most = 0
        open_ids: set[int] = set()
        for kind, request_id, _ in list(self.records):
            if kind == wire.BEGIN:
                open_ids.add(request_id)
            elif kind == wire.END:
                open_ids.discard(request_id)
            most = max(most, len(open_ids))
        return most

    def faults(self) -> list[str]:
        """What the application should not have sent, and the ends that it has not sent."""
        found = []
        unended: dict[int, int] = {}  # id -> size of its last STDERR record
        for kind, request_id, size in list(self.records):
            if kind == wire.BEGIN:
                unended[request_id] = 0
            elif kind in OURS and request_id not in unended:
                found.append(f"record {kind} for request {request_id}, which is not open")
            elif kind == wire.STDERR:
                unended[request_id] = size
            elif kind == wire.END and unended.pop(request_id):
                found.append(f"the error stream of request {request_id} has no end")
            elif kind == wire.GET_VALUES_RESULT and (request_id or not size):
                found.append(f"values of {size} bytes with id {request_id}")
        if not self.left:
            found += [f"request {request_id} has no end" for request_id in unended]
        return found


class Recorder:
    """Listens on :attr:`path`; *connect* makes a connection to the application."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._directory = tempfile.mkdtemp(prefix="fk")
        self.path = f"{self._directory}/s"
        self.lines: list[Line] = []
        self._connect = connect
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(128)
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def faults(self) -> list[str]:
        """Those of all connections."""
        return [fault for line in self.lines for fault in line.faults()]

    def count(self, kind: int) -> int:
        """How many records of a type have passed."""
        return sum(record[0] == kind for line in self.lines for record in list(line.records))

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                front, _ = self._listener.accept()
            except OSError:
                return
            back = self._connect()
            back.settimeout(None)
            self._sockets += (front, back)
            line = Line()
            self.lines.append(line)
            self._start(self._pass_on, line, front, back, True)
            self._start(self._pass_on, line, back, front, False)

    def _pass_on(
        self, line: Line, source: socket.socket, target: socket.socket, from_front: bool
    ) -> None:
        reader = RecordReader()
        try:
            while data := source.recv(65536):
                records = reader.feed(data)
                line.records += [(kind, about, len(text)) for kind, about, text in records]
                target.sendall(data)
        except OSError:
            pass
        line.left = line.left or from_front
        _end(target, socket.SHUT_WR)
        _end(source, socket.SHUT_RD)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _end(self._listener, socket.SHUT_RDWR)
        for each in self._sockets:
            _end(each, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        for each in [*self._sockets, self._listener]:
            each.close()
        shutil.rmtree(self._directory)


def _end(which: socket.socket, how: int) -> None:
    with suppress(OSError):
        which.shutdown(how)
