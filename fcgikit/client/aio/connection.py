"""One asyncio connection to a server, and the tasks with a request on it.

It mirrors ``sync/connection.py``: bytes in and out here, their meaning in the link. The event
loop receives for everybody; a body that is not sent at once has a task of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import cast

from ...errors import ClientTimeout, ConnectFailed
from ...events import Event
from ...protocols.interface import Buffers
from ..exchange import Exchange
from ..link import Link
from ..outgoing import Outgoing
from ..patience import Patience
from ..settings import Settings, busy_delays


class Call:
    """A request on its way: its exchange, the task that sends the rest, and who waits."""

    __slots__ = ("exchange", "news", "upload")

    def __init__(self, exchange: Exchange, news: asyncio.Event):
        self.exchange = exchange
        self.news = news
        self.upload: asyncio.Task[None] | None = None


class Connection(asyncio.Protocol):
    """One connection to a server; :func:`connect` makes it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._transport: asyncio.Transport
        self._writable = asyncio.Event()
        self._writable.set()
        self._answered = asyncio.Event()  # FCGI_GET_VALUES
        self._lost = asyncio.Event()
        self._paused = False

    @property
    def idle(self) -> bool:
        """No request is unanswered."""
        return self._link.idle

    @property
    def shared(self) -> bool:
        """It carries several requests at a time."""
        return self._link.limit > 1

    @property
    def reusable(self) -> bool:
        """A further request may begin, as far as is known."""
        return self._link.room and not self._link.full and not self._transport.is_closing()

    def begin(self, outgoing: Outgoing, *, keep: bool) -> Call:
        """Send *outgoing*, as fast as the server takes it. What fails shows when one waits.

        Raises ``LocalProtocolError`` for what the protocol cannot carry.
        """
        news = asyncio.Event()
        exchange, buffers = self._link.begin(outgoing.first(), news.set, keep=keep)
        self._write(buffers)
        call = Call(exchange, news)
        if not exchange.uploaded:
            rest = outgoing.rest_async(exchange.request_id)
            call.upload = asyncio.create_task(self._upload(call, rest))
        return call

    async def wait(self, call: Call, ready: Callable[[], bool], patience: Patience) -> None:
        """Return when *ready*. Raises ``ClientTimeout``, and what the body raises."""
        loop = asyncio.get_running_loop()
        exchange, news = call.exchange, call.news
        since, moved = loop.time(), exchange.moved
        while not ready():
            if call.upload is not None and call.upload.done():
                upload, call.upload = call.upload, None
                upload.result()
            news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience.left(loop.time(), since)):
                    await news.wait()
            now = loop.time()
            if exchange.moved != moved:
                since, moved = now, exchange.moved
            if (late := patience.exhausted(now, since)) and not ready():
                reason = " while another answer here lies unread" if self._link.full else ""
                raise ClientTimeout(late[1] + reason, phase=late[0], **exchange.facts())
        if exchange.ended:
            _stop(call)

    def take(self, exchange: Exchange, size: int = -1) -> bytes:
        """See :meth:`~fcgikit.client.exchange.Exchange.take`."""
        piece = exchange.take(size)
        self._regulate()
        return piece

    async def ask_values(self, names: tuple[str, ...], patience: Patience) -> dict[str, str]:
        """FCGI_GET_VALUES. Raises ``ClientTimeout``, ``Truncated``, ``ServerProtocolError``."""
        link = self._link
        loop = asyncio.get_running_loop()
        since = loop.time()
        self._write(link.ask_values(names))
        while link.values is None and not link.ended:
            self._answered.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience.left(loop.time(), since)):
                    await self._answered.wait()
            late = patience.exhausted(loop.time(), since)
            if late and link.values is None:
                raise ClientTimeout(
                    f"FCGI_GET_VALUES: {late[1]}", phase=late[0], address=link.address
                )
        return link.known_values()

    def abandon(self, call: Call) -> None:
        """Give a request up; a connection that carries no other is closed."""
        _stop(call)
        ended = call.exchange.ended
        self._write(self._link.abandon(call.exchange))
        self._regulate()
        if not ended and not self.shared:
            self.close()

    def close(self) -> None:
        """Close it at once; whoever waits on it learns that."""
        self._transport.abort()
        self._link.lost()

    async def wait_closed(self) -> None:
        """Return when the transport is closed."""
        await self._lost.wait()

    async def _upload(self, call: Call, rest: AsyncIterator[Event]) -> None:
        try:
            async for event in rest:
                await self._writable.wait()
                if call.exchange.ended or self._transport.is_closing():
                    return
                self._write(self._link.send(call.exchange, event))
                await asyncio.sleep(0)  # an answer may be here, and a body need never wait
        finally:
            call.news.set()

    def _write(self, buffers: Buffers) -> None:
        if buffers and not self._transport.is_closing():
            self._transport.writelines(buffers)

    def _regulate(self) -> None:
        """Read on, or do not, as the unread answers say."""
        full = self._link.full
        if full and not self._paused:
            self._transport.pause_reading()
        elif self._paused and not full:
            self._transport.resume_reading()
        self._paused = full

    # -- what asyncio calls ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._link.receive(data)
        self._answered.set()
        self._regulate()

    def eof_received(self) -> None:
        self._link.receive(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.lost()
        self._answered.set()
        self._writable.set()
        self._lost.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()


async def connect(settings: Settings, *, limit: int = 1) -> Connection:
    """A new connection, for *limit* requests at a time.

    Raises ``ConnectFailed``, ``ClientTimeout``.
    """
    link = settings.link(limit)
    loop = asyncio.get_running_loop()
    target = settings.target
    try:
        async with asyncio.timeout(settings.connect_timeout):
            if isinstance(target, str):
                opened = await _open_unix(target)
                return (await loop.create_unix_connection(lambda: Connection(link), sock=opened))[1]
            return (await loop.create_connection(lambda: Connection(link), *target))[1]
    except TimeoutError as error:
        raise ClientTimeout(
            f"no connection within {settings.connect_timeout:g} seconds",
            phase="connect",
            address=settings.address,
        ) from error
    except OSError as error:
        raise ConnectFailed(
            f"cannot connect: {error.strerror or error}", address=settings.address
        ) from error


async def _open_unix(path: str) -> socket.socket:
    for delay in busy_delays():
        opened = socket.socket(socket.AF_UNIX)
        opened.setblocking(False)
        try:
            opened.connect(path)
            return opened
        except BlockingIOError:
            opened.close()
        except BaseException:
            opened.close()
            raise
        await asyncio.sleep(delay)
    raise AssertionError("the delays do not end")


def _stop(call: Call) -> None:
    if call.upload is not None:
        call.upload.cancel()
        call.upload = None
