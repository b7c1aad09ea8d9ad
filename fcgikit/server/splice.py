"""Files on their way to a socket: by splice(2), and by sendfile(2) where there is none.

``sendfile`` takes nothing but the file, so a record costs two system calls on the socket, and each
wakes the peer. With ``splice``, headers and pieces of the file meet in a pipe, and its pages go to
the socket when it is full. The file is copied in neither case.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import Protocol

PIPE_SIZE = 1024 * 1024
"""Bytes a pipe can hold: the most that Linux allows everybody (fs.pipe-max-size)."""


class Way(Protocol):
    """Takes what goes to the socket *to*, in order. All methods raise ``OSError``."""

    def put(self, to: int, data: bytes) -> None:
        """A few bytes."""

    def put_file(self, to: int, fileno: int, offset: int, count: int) -> None:
        """*count* bytes of a file from *offset* on. Raises ``OSError`` if there are fewer."""

    def flush(self, to: int) -> None:
        """Have the kernel take all of it, waiting for room in the socket."""

    def close(self) -> None:
        """Drop what has been put and not flushed."""


class Pipe:
    """For one socket at a time, and for the next when it has been flushed."""

    __slots__ = ("_filled", "_reader", "_writer")

    def __init__(self, size: int = PIPE_SIZE) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        with suppress(OSError):  # with less room it has to be emptied more often
            fcntl.fcntl(self._writer, fcntl.F_SETPIPE_SZ, size)
        self._filled = 0

    def put(self, to: int, data: bytes) -> None:
        while data:
            try:
                count = os.write(self._writer, data)
            except BlockingIOError:
                self.flush(to)
                continue
            self._filled += count
            data = data[count:]

    def put_file(self, to: int, fileno: int, offset: int, count: int) -> None:
        while count:
            try:
                put = os.splice(fileno, self._writer, count, offset)
            except BlockingIOError:
                self.flush(to)
                continue
            if not put:
                raise _shorter()
            self._filled += put
            offset += put
            count -= put

    def flush(self, to: int) -> None:
        while self._filled:
            self._filled -= os.splice(self._reader, to, self._filled)

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


class Direct:
    """Everywhere else: nothing is kept back."""

    def put(self, to: int, data: bytes) -> None:
        while data:
            data = data[os.write(to, data) :]

    def put_file(self, to: int, fileno: int, offset: int, count: int) -> None:
        while count:
            sent = os.sendfile(to, fileno, offset, count)
            if not sent:
                raise _shorter()
            offset += sent
            count -= sent

    def flush(self, to: int) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


_idle: list[Pipe] = []  # no more of them than threads that have sent a file at the same time


def take_way() -> Way:
    """A way that is empty; to be closed, or given back when it has been flushed."""
    try:
        return _idle.pop()
    except IndexError:
        if hasattr(os, "splice"):
            with suppress(OSError):  # no descriptors left, it may be
                return Pipe()
        return Direct()


def give_back(way: Way) -> None:
    """Keep a way for the next file."""
    if isinstance(way, Pipe):
        _idle.append(way)


def _shorter() -> OSError:
    return OSError("the file has become shorter")
