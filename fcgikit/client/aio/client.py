"""AsyncClient and AsyncResponse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self, Unpack

from ...errors import ClientError, ConnectFailed, Truncated
from ..outgoing import Arguments, Outgoing
from ..patience import Patience
from ..response import Answer
from ..settings import ClientBase, requests_at_once
from .connection import Call, Connection, connect


class AsyncClient(ClientBase[Connection]):
    """``async with AsyncClient("unix:/run/app.sock") as client: ...``

    The tasks of one event loop may share a client. Its settings are those of
    :class:`ClientBase`.
    """

    def _set_up(self) -> None:
        self._growing = asyncio.Lock()  # so that a shared connection is not made twice

    async def request(
        self,
        method: str,
        url: str,
        *,
        timeout: float | None = None,
        **arguments: Unpack[Arguments],
    ) -> AsyncResponse:
        """Send a request and return when the head of its answer is here; its body streams.

        As :meth:`fcgikit.client.Client.request`; the rest of a body is sent by a task.
        """
        outgoing = self._prepare(method, url, **arguments)
        return await self.send(outgoing, self._patience(_now(), timeout))

    async def send(self, outgoing: Outgoing, patience: Patience) -> AsyncResponse:
        """Send a request that is prepared already."""
        connection = self._take(outgoing, _now())
        if connection is not None:
            response = self._begin(connection, outgoing, patience)
            try:
                await response.started()
            except Truncated:
                if not (response.untouched and outgoing.repeatable):
                    raise
            else:
                self._kept = True
                return response
        response = await self._begin_on_new(outgoing, patience)
        return await response.started()

    async def values(self, *names: str) -> dict[str, str]:
        """What the server says of itself (FCGI_GET_VALUES, FastCGI 1.0 section 4.1).

        Asks for *names*, or for the three of the specification.
        Raises ``ClientError``, of its kinds; ``ValueError`` for SCGI and uwsgi, which have none.
        """
        names = self._for_values(names)
        connection = await connect(self._settings)
        try:
            return await connection.ask_values(names, self._patience(_now()))
        finally:
            connection.close()
            await connection.wait_closed()

    async def close(self) -> None:
        """Close every connection; requests that run break off."""
        for connection in self._forget_all():
            connection.close()
            await connection.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # -- connections ------------------------------------------------------------------------

    async def _begin_on_new(self, outgoing: Outgoing, patience: Patience) -> AsyncResponse:
        if self._limit != 1:
            async with self._growing:
                self._limit = self._limit or await self._find_limit()
                if connection := self._take(outgoing, _now()):
                    return self._begin(connection, outgoing, patience)
                if self._limit > 1:
                    return await self._connect(outgoing, patience)
        return await self._connect(outgoing, patience)

    async def _find_limit(self) -> int:
        try:
            return requests_at_once(await self.values())
        except ConnectFailed:
            raise
        except ClientError:
            return 1

    async def _connect(self, outgoing: Outgoing, patience: Patience) -> AsyncResponse:
        connection = await connect(self._settings, limit=self._limit)
        return self._begin(connection, outgoing, patience)

    def _begin(
        self, connection: Connection, outgoing: Outgoing, patience: Patience
    ) -> AsyncResponse:
        try:
            call = connection.begin(outgoing, keep=self._settings.keep)
            self._busy.add(connection)
        finally:
            if connection.shared or connection.idle:
                self._pool.put(connection, _now())
        return AsyncResponse(self, connection, call, patience)

    def _release(self, connection: Connection) -> None:
        """An exchange on *connection* has ended."""
        if connection.idle:
            self._busy.discard(connection)
        self._pool.put(connection, _now())


class AsyncResponse(Answer):
    """An answer: its head at once, its body as it is read. Use it with ``async with``.

    Leaving it before its end aborts the request: with FCGI_ABORT_REQUEST on a shared
    connection, by closing it otherwise.
    """

    def __init__(
        self, client: AsyncClient, connection: Connection, call: Call, patience: Patience
    ) -> None:
        super().__init__(call.exchange)
        self._client = client
        self._connection = connection
        self._call = call
        self._patience = patience
        self._released = False

    async def started(self) -> Self:
        """Wait for the head. Raises ``ClientError``, of its kinds."""
        await self._wait(lambda: self._exchange.answered)
        if self._exchange.head is None:
            self._connection.take(self._exchange)  # raises the reason
        return self

    async def read(self, size: int = -1) -> bytes:
        """The rest of the body, or at most *size* bytes as soon as there are some.

        Empty at the end. Raises ``ClientError``, of its kinds.
        """
        if size < 0:
            return b"".join([piece async for piece in self])
        return await self._piece(size) if size else b""

    async def iter_bytes(self, size: int = -1) -> AsyncIterator[bytes]:
        """The body in pieces of at most *size* bytes; by default as they come."""
        while piece := await self._piece(size):
            yield piece

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.iter_bytes()

    async def close(self) -> None:
        """Leave the answer; nothing happens if it has ended."""
        self._leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    async def _piece(self, size: int) -> bytes:
        await self._wait(lambda: self._exchange.readable)
        return self._connection.take(self._exchange, size)

    async def _wait(self, ready: Callable[[], bool]) -> None:
        try:
            await self._connection.wait(self._call, ready, self._patience)
        except BaseException:
            self._leave()
            raise
        if self._exchange.ended and not self._released:
            self._release()

    def _leave(self) -> None:
        if not self._released:
            self._connection.abandon(self._call)
            self._release()

    def _release(self) -> None:
        self._released = True
        self._client._release(self._connection)


def _now() -> float:
    return asyncio.get_running_loop().time()
