from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from fcgikit.client.connection import WorkerConnection, connect
from fcgikit.config import DEFAULT
from fcgikit.errors import ConfigError, LocalProtocolError
from fcgikit.events import (
    Body,
    Closed,
    EndOfResponse,
    Event,
    GetValues,
    Request,
    Response,
    ResponseBody,
    Side,
    Values,
)
from fcgikit.protocols import PROTOCOLS
from tests.client.peer import Peer, Worker

WINDOW = 1000


class Transport(asyncio.Transport):
    """Records what a connection asks of its transport."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True


class Pair:
    """A connection on a recorded transport, and an application's side to make its input."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.connection = WorkerConnection(PROTOCOLS["fastcgi"](Side.WEB, DEFAULT), WINDOW)
        self.connection.connection_made(self.transport)
        self._app = PROTOCOLS["fastcgi"](Side.APP, DEFAULT)

    async def request(self) -> None:
        await self.connection.send(Request(1, {}, keep_conn=True))
        self._app.receive_data(self.transport.written)

    def answer(self, *events: Event) -> None:
        for event in events:
            self.connection.data_received(b"".join(self._app.send(event)))


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 20))


async def blocked(pair: Pair) -> asyncio.Task[None]:
    """A send that waits because the transport is full."""
    await pair.request()
    pair.connection.pause_writing()
    sending = asyncio.create_task(pair.connection.send(Body(1, b"x")))
    await asyncio.sleep(0)
    assert not sending.done()
    return sending


def test_sending_waits_while_the_transport_is_full() -> None:
    async def main() -> None:
        pair = Pair()
        sending = await blocked(pair)
        pair.connection.resume_writing()
        await sending

    run(main())


def test_sending_ends_when_the_connection_is_lost() -> None:
    async def main() -> None:
        pair = Pair()
        sending = await blocked(pair)
        pair.transport.closing = True
        pair.connection.connection_lost(None)
        with pytest.raises(ConnectionError):
            await sending

    run(main())


def test_reading_stops_until_what_arrived_is_taken() -> None:
    async def main() -> None:
        pair = Pair()
        await pair.request()
        pair.answer(Response(1, 200, "OK", []))
        assert pair.transport.reading
        pair.answer(ResponseBody(1, b"x" * WINDOW))
        assert not pair.transport.reading
        await pair.connection.receive()
        assert not pair.transport.reading
        await pair.connection.receive()
        assert pair.transport.reading

    run(main())


def test_a_record_larger_than_the_window_is_still_received() -> None:
    async def main() -> None:
        pair = Pair()
        await pair.request()
        pair.answer(Response(1, 200, "OK", []))
        await pair.connection.receive()
        record = b"\1\6\0\1" + (5 * WINDOW).to_bytes(2, "big") + b"\0\0" + b"x" * 5 * WINDOW
        for at in range(0, len(record), 100):
            assert pair.transport.reading
            pair.connection.data_received(record[at : at + 100])
        assert await pair.connection.receive() == ResponseBody(1, b"x" * 5 * WINDOW)
        assert pair.transport.reading

    run(main())


def test_it_is_reusable_when_everything_is_answered_and_taken() -> None:
    async def main() -> None:
        pair = Pair()
        assert pair.connection.reusable
        await pair.request()
        assert not pair.connection.reusable
        pair.answer(Response(1, 200, "OK", []), EndOfResponse(1))
        assert not pair.connection.reusable
        await pair.connection.receive()
        await pair.connection.receive()
        assert pair.connection.reusable
        pair.connection.data_received(b"\1")  # a word nobody asked for
        assert not pair.connection.reusable

    run(main())


def test_a_timeout_needs_silence_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        pair = Pair()
        await pair.request()
        timeout, periods, sends = asyncio.timeout, 0, []

        def a_period(delay: float | None) -> asyncio.Timeout:
            nonlocal periods
            periods += 1
            if periods < 3:
                sends.append(asyncio.create_task(pair.connection.send(Body(1, b"x"))))
            return timeout(delay)

        monkeypatch.setattr(asyncio, "timeout", a_period)
        with pytest.raises(TimeoutError):
            await pair.connection.receive(0.01)
        assert periods == 3

    run(main())


def test_management_over_a_real_socket() -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            data = await peer.reader.read(100)
            assert data.startswith(b"\1\x09\0\0")
            peer.writer.write(b"\1\x0a\0\0\0\x12\0\0" + b"\x0f\1FCGI_MPXS_CONNS1")
            await peer.writer.drain()
            await peer.reader.read()

        async with Worker(script) as worker:
            connection = await connect(worker.address)
            await connection.send(GetValues(("FCGI_MPXS_CONNS",)))
            assert await connection.receive() == Values({"FCGI_MPXS_CONNS": "1"})
            await connection.aclose()
            assert isinstance(await connection.receive(), Closed)
            with pytest.raises(ConnectionError):
                await connection.send(GetValues(()))

    run(main())


def test_misuse_is_told() -> None:
    async def main() -> None:
        with pytest.raises(LocalProtocolError):
            await Pair().connection.send(Body(1, b"before any request"))

    run(main())


@pytest.mark.parametrize("address", ["", "localhost", ":9000", "localhost:http", "/run/app.sock"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ConfigError, match=r"^address .*: write unix:PATH, "):
        asyncio.run(connect(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_tcp(host: str) -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda _, w: w.close(), host.strip("[]"), 0)
        port = server.sockets[0].getsockname()[1]
        connection = await connect(f"{host}:{port}")
        assert isinstance(await connection.receive(), Closed)
        await connection.aclose()
        server.close()
        await server.wait_closed()

    run(main())
