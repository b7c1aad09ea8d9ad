"""One client, many tasks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from fcgikit.client import AsyncClient, ClientTimeout, Truncated
from fcgikit.events import EndOfResponse, Response, ResponseBody
from fcgikit.gateways.interface import Exchange
from tests.client.servers import digest, digest_of, echo
from tests.e2e.process import PATIENCE
from tests.server.harness import Gate, Server


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 4 * PATIENCE))


@pytest.mark.parametrize("multiplex", [True, False])
def test_hundreds_of_tasks_share_a_client(multiplex: bool) -> None:
    chosen = random.Random(1)
    sent = [chosen.randbytes(chosen.choice((0, 10, 5000, 200_000))) for _ in range(300)]

    async def main(address: str) -> None:
        async with AsyncClient(address, multiplex=multiplex) as client:

            async def work(body: bytes) -> None:
                async with await client.request("POST", "/", body=body) as response:
                    assert await response.read() == digest_of(body)

            await asyncio.gather(*map(work, sent))

    with Server(digest, threads=4) as server:
        run(main(server.address))


def test_an_asynchronous_body_streams() -> None:
    """Each piece is sent only after the one before has come back."""

    async def main(address: str) -> None:
        back = asyncio.Semaphore(1)

        async def pieces() -> AsyncIterator[bytes]:
            for number in range(20):
                await back.acquire()
                yield b"%d" % number

        async with AsyncClient(address) as client:
            response = await client.request("POST", "/", body=pieces())
            received = []
            async for piece in response:
                received.append(piece)
                back.release()
            assert received == [b"%d" % number for number in range(20)]

    with Server(echo) as server:
        run(main(server.address))


def test_a_cancelled_request_leaves_the_client_usable() -> None:
    gate = Gate()

    def gateway(exchange: Exchange) -> None:
        if exchange.request.params["QUERY_STRING"]:
            gate.pass_through()
        number = exchange.request.request_id
        try:
            exchange.send(Response(number, 200, "OK", [], b"hello", complete=True))
        except OSError:
            pass

    async def main(address: str, multiplex: bool) -> None:
        async with AsyncClient(address, multiplex=multiplex) as client:
            task = asyncio.create_task(client.request("GET", "/?wait"))
            await asyncio.to_thread(gate.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await (await client.request("GET", "/")).read() == b"hello"

    for multiplex in (False, True):
        with Server(gateway) as server:
            try:
                run(main(server.address, multiplex))
            finally:
                gate.open()
        gate = Gate()


def test_closing_the_client_ends_what_runs() -> None:
    gate = Gate()

    async def main(address: str) -> None:
        client = AsyncClient(address)
        task = asyncio.create_task(client.request("GET", "/"))
        await asyncio.to_thread(gate.wait)
        await client.close()
        with pytest.raises(Truncated):
            await task

    with Server(lambda exchange: gate.pass_through()) as server:
        try:
            run(main(server.address))
        finally:
            gate.open()


def test_a_full_shared_connection_says_why_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads the first answer, so the second on its connection cannot come."""
    monkeypatch.setattr("fcgikit.client.settings._UNREAD_SHARED", 1000)
    begun = Gate()

    def gateway(exchange: Exchange) -> None:
        number = exchange.request.request_id
        if exchange.request.params["QUERY_STRING"]:
            begun.pass_through()
        exchange.send(Response(number, 200, "OK", [], bytes(60_000)))
        try:
            for _ in range(100):
                exchange.send(ResponseBody(number, bytes(60_000)))
            exchange.send(EndOfResponse(number))
        except OSError:
            pass

    async def main(address: str) -> None:
        async with AsyncClient(address, multiplex=True, read_timeout=0.3) as client:
            second = asyncio.create_task(client.request("GET", "/?late"))
            await asyncio.to_thread(begun.wait)
            await client.request("GET", "/")
            begun.open()
            with pytest.raises(ClientTimeout, match="lies unread"):
                await second

    with Server(gateway) as server:
        run(main(server.address))
