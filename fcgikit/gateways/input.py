"""``wsgi.input``: the request body as the binary file that PEP 3333 asks for.

And beside it, for a Filter, the file that it is to work on.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from typing import BinaryIO

from ..errors import BodyTruncated
from .interface import Exchange

_BUFFER_SIZE = io.DEFAULT_BUFFER_SIZE  # a read of more, as most are, passes it by
_NOTHING = memoryview(b"")


class _NoBody(io.BufferedIOBase):
    """Nothing to read and nothing to keep, so that all requests without a body share it."""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        return b""

    def read1(self, size: int = -1) -> bytes:
        return b""

    def close(self) -> None:
        pass


NO_BODY = _NoBody()


def open_body(exchange: Exchange, length: int | None) -> BinaryIO:
    """The body of *exchange*, never more than *length* bytes; ``None``: to the stream's end.

    Its methods raise what ``exchange.read()`` raises, ``BodyTruncated`` when a body ends
    short of *length*, and ``ValueError`` once it is closed.
    """
    body = exchange.request.body
    if length is None:
        if exchange.request.complete:
            return io.BytesIO(body)
    elif len(body) >= length:
        return io.BytesIO(body[:length])
    stream = _Stream(exchange.read, length, "the request body", body, exchange.request.complete)
    return io.BufferedReader(stream, _BUFFER_SIZE)


class FilterFile(io.BufferedReader):
    """The file a Filter works on: FCGI_DATA, FastCGI 1.0 section 6.4.

    It comes after the request body. Reading it drops what is left unread of ``wsgi.input``.
    """

    length: int | None
    """Bytes of it, as far as the front end tells. What is missing raises ``BodyTruncated``."""

    last_modified: datetime | None
    """When it was last modified, in UTC, as far as the front end tells."""

    def __init__(
        self, stream: io.RawIOBase, length: int | None, last_modified: datetime | None
    ) -> None:
        super().__init__(stream, _BUFFER_SIZE)
        self.length = length
        self.last_modified = last_modified


def open_filter(
    exchange: Exchange, length: int | None, data_length: int | None, last_modified: datetime | None
) -> tuple[BinaryIO, FilterFile]:
    """A Filter's body, as :func:`open_body` has it, and its file."""
    turns = _Turns(exchange)
    body = _Stream(turns.read_body, length, "the request body", exchange.request.body)
    data = _Stream(turns.read_data, data_length, "FCGI_DATA", must_come=True)
    return (
        io.BufferedReader(body, _BUFFER_SIZE),
        FilterFile(data, data_length, last_modified),
    )


def close_body(body: BinaryIO) -> None:
    """Make further reads raise ``ValueError``."""
    try:
        body.close()
    except ValueError:  # detached: what the application took apart is its own
        pass


class _Turns:
    """The two streams of a Filter, which arrive one after the other."""

    def __init__(self, exchange: Exchange) -> None:
        self._read = exchange.read
        self._body_ended = False

    def read_body(self) -> bytes:
        if self._body_ended:
            return b""
        piece = self._read()
        self._body_ended = not piece
        return piece

    def read_data(self) -> bytes:
        while self.read_body():
            pass
        return self._read()


class _Stream(io.RawIOBase):
    """A stream piece by piece, as the front end delivers it.

    *first* is its first piece, and all of it if *ended*. *name* is what an error calls it.
    """

    def __init__(
        self,
        read: Callable[[], bytes],
        length: int | None,
        name: str,
        first: bytes = b"",
        ended: bool = False,
        *,
        must_come: bool = False,
    ) -> None:
        self._read: Callable[[], bytes] | None = read
        self._length = length
        self._name = name
        self._piece = memoryview(first)
        self._ended = ended
        self._must_come = must_come
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill *buffer* with what there is, waiting only when there is nothing; 0 at the end."""
        if self._read is None:
            raise ValueError("the request is over")
        wanted = len(buffer)
        if self._length is not None:
            wanted = min(wanted, self._length - self._received)
            if not wanted:
                return 0
        piece = self._piece
        if not piece and not self._ended:
            piece = memoryview(self._read())
        count = len(piece)
        if not count:
            self._ended = True
            self._check_end()
            return 0
        if count <= wanted:
            buffer[:count] = piece
            self._piece = _NOTHING
        else:
            count = wanted
            buffer[:count] = piece[:count]
            self._piece = piece[count:]
        self._received += count
        return count

    def close(self) -> None:
        self._read = None  # an application may keep its environ; it shall not keep us
        self._piece = _NOTHING
        super().close()

    def _check_end(self) -> None:
        # Caddy's forward_auth announces the length of a body that it does not send at all.
        if self._length is not None and (self._received > 0 or self._must_come):
            raise BodyTruncated(
                f"{self._name} ended after {self._received} of {self._length} bytes"
            )
