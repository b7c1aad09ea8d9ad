from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from fcgikit.client import pool as pool_module
from fcgikit.client.pool import Pool
from tests.client.peer import Peer, Worker


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 20))


async def idle(peer: Peer) -> None:
    await peer.until_closed()


def test_the_connection_used_last_is_used_first_and_the_surplus_is_closed() -> None:
    async def main() -> None:
        async with Worker(idle, idle, idle) as worker:
            pool = Pool(worker.address, size=2, connect_timeout=5)
            connections = [await pool.connect() for _ in range(3)]
            for connection in connections:
                await pool.put(connection)
            assert pool.take() is connections[1]
            assert pool.take() is connections[0]
            assert pool.take() is None
            assert [connection.reusable for connection in connections] == [True, True, False]
            for connection in connections:
                await connection.aclose()

    run(main())


def test_a_connection_idle_for_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Worker(idle) as worker:
            pool = Pool(worker.address, size=2, connect_timeout=5)
            connection = await pool.connect()
            await pool.put(connection)
            monkeypatch.setattr(pool_module, "MAX_IDLE_TIME", -1.0)
            assert pool.take() is None
            await connection.aclose()

    run(main())


def test_closing_closes_what_is_kept() -> None:
    async def main() -> None:
        async with Worker(idle) as worker:
            pool = Pool(worker.address, size=2, connect_timeout=5)
            await pool.put(await pool.connect())
            await pool.aclose()
            assert pool.take() is None

    run(main())
