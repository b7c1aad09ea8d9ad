"""``wsgi.input``: the request body as the binary file that PEP 3333 asks for."""

from __future__ import annotations

import io
from typing import BinaryIO

from ..errors import BodyTruncated
from .interface import Exchange

# nginx sends a buffered body in pieces of this size.
_BUFFER_SIZE = 32 * 1024


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
    return io.BufferedReader(_BodyStream(exchange, length), _BUFFER_SIZE)


def close_body(body: BinaryIO) -> None:
    """Make further reads raise ``ValueError``."""
    try:
        body.close()
    except ValueError:  # detached: what the application took apart is its own
        pass


class _BodyStream(io.RawIOBase):
    """The body piece by piece, as the front end delivers it."""

    def __init__(self, exchange: Exchange, length: int | None) -> None:
        self._exchange: Exchange | None = exchange
        self._piece = memoryview(exchange.request.body)
        self._length = length
        self._received = 0
        self._ended = exchange.request.complete

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill *buffer* with what there is, waiting only when there is nothing; 0 at the end."""
        if self._exchange is None:
            raise ValueError("the request is over")
        wanted = len(buffer)
        if self._length is not None:
            wanted = min(wanted, self._length - self._received)
            if not wanted:
                return 0
        if not self._piece and not self._ended:
            self._piece = memoryview(self._exchange.read())
        if not self._piece:
            self._ended = True
            self._check_end()
            return 0
        count = min(wanted, len(self._piece))
        buffer[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        self._received += count
        return count

    def close(self) -> None:
        self._exchange = None  # an application may keep its environ; it shall not keep us
        self._piece = memoryview(b"")
        super().close()

    def _check_end(self) -> None:
        # Caddy's forward_auth announces the length of a body that it does not send at all.
        if self._length is not None and self._received > 0:
            raise BodyTruncated(
                f"the request body ended after {self._received} of {self._length} bytes"
            )
