"""Request bodies between the wire and the application: in memory, then in a temporary file.

On a connection with one request the memory is bounded by not reading on (``body_window``).
With several requests on one connection that would let one stall the others, so what exceeds
``spool_size`` waits in a file.
"""

from __future__ import annotations

from collections import deque
from typing import IO

_PIECE = 64 * 1024  # bytes read back from the file at a time


class Spool:
    """A queue of bytes, first in first out. Not locked: its connection's lock guards it."""

    __slots__ = ("_file", "_pieces", "_read_at", "_written", "in_memory")

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._file: IO[bytes] | None = None
        self._read_at = 0
        self._written = 0
        self.in_memory = 0

    def __bool__(self) -> bool:
        return bool(self._pieces) or self._read_at < self._written

    def append(self, data: bytes, memory_limit: int | None) -> None:
        """Add *data*; to the file when memory would hold more than *memory_limit* bytes.

        Raises ``OSError`` when the disk does not take it.
        """
        in_file = self._read_at < self._written  # what follows must not overtake it
        if not in_file and (memory_limit is None or self.in_memory + len(data) <= memory_limit):
            self._pieces.append(data)
            self.in_memory += len(data)
            return
        if self._file is None:
            import tempfile  # late: few need it, and it imports every compression there is

            self._file = tempfile.TemporaryFile(prefix="fcgikit-body-")  # noqa: SIM115
        self._file.seek(self._written)
        self._file.write(data)
        self._written += len(data)

    def take(self) -> bytes:
        """The next piece; ``b""`` when there is none."""
        if self._pieces:
            data = self._pieces.popleft()
            self.in_memory -= len(data)
            return data
        if self._file is None or self._read_at >= self._written:
            return b""
        self._file.seek(self._read_at)
        data = self._file.read(min(_PIECE, self._written - self._read_at))
        self._read_at += len(data)
        if self._read_at == self._written:  # empty: begin again at the front of the file
            self._read_at = self._written = 0
            self._file.truncate(0)
        return data

    def close(self) -> None:
        """Drop everything."""
        self._pieces.clear()
        self.in_memory = self._read_at = self._written = 0
        if self._file is not None:
            self._file.close()
            self._file = None
