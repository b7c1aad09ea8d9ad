"""How a test holds an application at a known point and lets it go on.

The application says that it has arrived by connecting to the test's socket, whose path
travels in the query string (``?gate=/path``), and waits there for one byte.
"""

from __future__ import annotations

import shutil
import socket
import struct
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.process import PATIENCE


class Visit:
    """An application at the gate: who it is, and what *message* it had on arrival."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        self._connection = connection
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        self.pid, self.user, self.group = struct.unpack("3i", credentials)
        with connection.makefile("rb") as lines:
            self.message = lines.readline().decode().rstrip("\n")

    def let_go(self) -> None:
        self._connection.close()


class Gate:
    """The test's end. Leaving the ``with`` block lets everybody go."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="fk"))
        self.path = str(self._directory / "gate")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(PATIENCE)
        self._listener.bind(self.path)
        self._listener.listen(128)
        self._visits: list[Visit] = []

    @property
    def query(self) -> str:
        """What to put behind the ``?`` of a URL."""
        return f"gate={self.path}"

    def wait(self) -> Visit:
        """The next application that arrives."""
        connection, _ = self._listener.accept()
        visit = Visit(connection)
        self._visits.append(visit)
        return visit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
        for visit in self._visits:
            visit.let_go()
        shutil.rmtree(self._directory)


def pass_gate(path: str, message: str = "") -> None:
    """The application's end: arrive, and return when the test lets it go."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(path)
        connection.sendall(message.encode() + b"\n")
        connection.recv(1)
