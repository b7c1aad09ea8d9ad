"""Kept connections to one worker address."""

from __future__ import annotations

import asyncio

from ..config import DEFAULT, Config
from .connection import WorkerConnection, connect

MAX_IDLE_TIME = 60.0
"""Seconds a kept connection stays of use: shorter than a worker's ``keepalive_timeout``, so
that no request meets a connection that is just being closed."""


class Pool:
    """Connections that wait for their next request; the one used last is used first."""

    def __init__(
        self, address: str, *, size: int, connect_timeout: float, config: Config = DEFAULT
    ) -> None:
        self.address = address
        self._size = size
        self._connect_timeout = connect_timeout
        self._config = config
        self._idle: list[tuple[float, WorkerConnection]] = []

    def take(self) -> WorkerConnection | None:
        """A kept connection that was alive a moment ago, if there is one."""
        oldest = asyncio.get_running_loop().time() - MAX_IDLE_TIME
        while self._idle:
            since, connection = self._idle.pop()
            if since >= oldest and connection.reusable:
                return connection
            connection.abort()
        return None

    async def connect(self) -> WorkerConnection:
        """A fresh connection. Raises ``OSError`` (``TimeoutError`` is one)."""
        async with asyncio.timeout(self._connect_timeout):
            return await connect(self.address, config=self._config)

    async def put(self, connection: WorkerConnection) -> None:
        """Keep *connection* for the next request, or close it if that cannot be."""
        if connection.reusable and len(self._idle) < self._size:
            self._idle.append((asyncio.get_running_loop().time(), connection))
        else:
            await connection.aclose()

    async def aclose(self) -> None:
        """Close every kept connection."""
        while self._idle:
            await self._idle.pop()[1].aclose()
