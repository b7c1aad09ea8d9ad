"""The asyncio driver where it differs: reading stops and goes on, and closing is waited for."""

from __future__ import annotations

import asyncio
import socket

from fcgikit.client import AsyncClient
from fcgikit.client.aio.connection import connect
from fcgikit.client.outgoing import prepare
from fcgikit.client.patience import Patience
from tests.client.servers import Scripted, end, read_request, read_to_end, stdout
from tests.e2e.process import PATIENCE

SIZE = 65528
COUNT = 200


def large(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(stdout(b"A: b\r\n\r\n"))
    for _ in range(COUNT):
        connection.sendall(stdout(bytes(SIZE)))
    connection.sendall(end())
    read_to_end(connection)


def test_reading_stops_while_the_answer_lies_unread() -> None:
    async def main(address: str) -> None:
        async with AsyncClient(address) as client:
            connection = await connect(client._settings)
            call = connection.begin(prepare("fastcgi", "GET", "/"), keep=True)
            exchange = call.exchange
            await connection.wait(call, lambda: exchange.unread > 256 * 1024, Patience(PATIENCE))
            unread = exchange.unread
            await asyncio.sleep(0.05)  # whatever came now would be too much
            assert exchange.unread == unread < 2 << 20
            received = 0
            while True:
                await connection.wait(call, lambda: exchange.readable, Patience(PATIENCE))
                if not (piece := connection.take(exchange)):
                    break
                received += len(piece)
            assert received == SIZE * COUNT
            assert connection.reusable
            connection.close()
            await connection.wait_closed()
            assert not connection.reusable

    with Scripted(large) as server:
        asyncio.run(main(server.address))
