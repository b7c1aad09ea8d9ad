"""One asyncio connection to a worker, seen from the web server's side.

This is the driver of a chapter under asyncio, as ``server/`` is its driver under threads:
bytes in and out here, their meaning in the chapter. It knows neither HTTP nor ASGI.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from ..addresses import socket_address
from ..config import DEFAULT, Config
from ..events import Event, Side
from ..protocols import PROTOCOLS
from ..protocols.interface import Connection


async def connect(
    address: str, *, protocol: str = "fastcgi", config: Config = DEFAULT
) -> WorkerConnection:
    """Connect to a worker at ``unix:PATH``, ``HOST:PORT`` or ``[IPV6]:PORT``.

    Raises ``OSError`` when nobody answers there, ``ConfigError`` for an address that is none.
    """
    target = socket_address(address, "address")

    def make() -> WorkerConnection:
        return WorkerConnection(PROTOCOLS[protocol](Side.WEB, config), config.body_window)

    loop = asyncio.get_running_loop()
    if isinstance(target, str):
        return (await loop.create_unix_connection(make, target))[1]
    return (await loop.create_connection(make, *target))[1]


class WorkerConnection(asyncio.Protocol):
    """Events out, events in, with back-pressure both ways.

    ``send`` waits while the worker does not take what was written; reading stops while
    more than *window* bytes of events wait for ``receive``.
    """

    def __init__(self, chapter: Connection, window: int) -> None:
        self._chapter = chapter
        self._window = window
        self._transport: asyncio.Transport
        self._events: deque[Event] = deque()
        self._waiting_bytes = 0
        self._progress = 0
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = asyncio.Event()

    @property
    def reusable(self) -> bool:
        """Every request is answered, and the worker will take another one."""
        return (
            not self._transport.is_closing()
            and not self._events
            and not self._chapter.must_close
            and self._chapter.input_complete
        )

    async def send(self, event: Event) -> None:
        """Write *event*; return when the worker may be sent more.

        Raises ``LocalProtocolError`` when the protocol does not allow it now, for instance
        a body piece after the answer has ended, and ``ConnectionError`` when the worker is gone.
        """
        self._check()
        self._write(b"".join(self._chapter.send(event)))
        await self._writable.wait()
        self._check()

    async def receive(self, timeout: float | None = None) -> Event:
        """The next event; ``Closed`` is the last one.

        Raises ``TimeoutError`` after *timeout* seconds in which no byte has moved either way.
        """
        while not self._events:
            self._arrived.clear()
            progress = self._progress
            try:
                async with asyncio.timeout(timeout):
                    await self._arrived.wait()
            except TimeoutError:
                if self._progress == progress:
                    raise
        event = self._events.popleft()
        if not self._events:
            self._transport.resume_reading()
        return event

    def abort(self, event: Event | None = None) -> None:
        """Leave at once, saying *event* as a last word if the kernel takes it without waiting."""
        if event is not None and not self._transport.is_closing():
            self._write(b"".join(self._chapter.send(event)))
        self._transport.abort()

    async def aclose(self) -> None:
        """Close, and wait until it is closed."""
        self._transport.abort()
        await self._lost.wait()

    def _check(self) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("the worker has closed the connection")

    def _write(self, data: bytes) -> None:
        if data:
            self._progress += len(data)
            self._transport.write(data)

    def _push(self, events: list[Event]) -> None:
        self._events += events
        self._arrived.set()

    # -- what asyncio calls ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._events:
            self._waiting_bytes = 0
        self._waiting_bytes += len(data)
        self._progress += len(data)
        self._push(self._chapter.receive_data(data))
        self._write(self._chapter.data_to_send())
        if self._waiting_bytes > self._window and self._events:
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._push(self._chapter.receive_eof())

    def connection_lost(self, exc: Exception | None) -> None:
        self._push(self._chapter.receive_eof())
        self._writable.set()
        self._lost.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()
