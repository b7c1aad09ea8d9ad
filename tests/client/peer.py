"""Both ends of a web server made of ASGI: a scripted worker behind it, a browser before it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fcgikit.config import DEFAULT
from fcgikit.events import Body, Closed, EndOfBody, EndOfResponse, Event, Request, Response, Side
from fcgikit.protocols import PROTOCOLS

Message = MutableMapping[str, Any]
Script = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The application's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._chapter = PROTOCOLS["fastcgi"](Side.APP, DEFAULT)
        self._events: deque[Event] = deque()

    async def receive(self) -> Event:
        while not self._events:
            try:
                data = await self.reader.read(65536)
            except ConnectionResetError:
                data = b""
            chapter = self._chapter
            self._events += chapter.receive_data(data) if data else chapter.receive_eof()
        return self._events.popleft()

    async def request(self) -> Request:
        """The next request, its body complete."""
        request = await self.receive()
        assert isinstance(request, Request)
        while not request.complete:
            event = await self.receive()
            if isinstance(event, Body):
                request.body += event.data
            else:
                assert isinstance(event, EndOfBody)
                request.complete = True
        return request

    async def until_closed(self) -> list[Event]:
        events: list[Event] = []
        while not events or not isinstance(events[-1], Closed):
            events.append(await self.receive())
        return events

    async def send(self, *events: Event) -> None:
        for event in events:
            self.writer.writelines(self._chapter.send(event))
        await self.writer.drain()


class Worker:
    """Listens on a Unix socket; each new connection is played by the next script."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self._directory = tempfile.mkdtemp(prefix="fk")
        self.address = f"unix:{self._directory}/s"
        self.connections = 0
        self._plays: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Worker:
        path = self.address.removeprefix("unix:")
        self._server = await asyncio.start_unix_server(self._accepted, path)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        try:
            await asyncio.gather(*self._plays)
        finally:
            shutil.rmtree(self._directory)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[self.connections]
        self.connections += 1
        self._plays.append(asyncio.create_task(self._play(script, reader, writer)))

    async def _play(
        self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await script(Peer(reader, writer))
        finally:
            writer.close()


def scope(method: str = "GET", target: bytes = b"/", *headers: tuple[bytes, bytes]) -> Message:
    path, _, query = target.partition(b"?")
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.decode(),
        "raw_path": path,
        "root_path": "",
        "query_string": query,
        "headers": [(b"host", b"app.example"), *headers],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 4000),
    }


class Browser:
    """What an ASGI server shows an application of a browser: ``receive`` and ``send``."""

    def __init__(self, *pieces: bytes) -> None:
        """*pieces* is the whole request body; use :meth:`upload` for more, or pass none."""
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: asyncio.Queue[Message] = asyncio.Queue()
        for piece in pieces[:-1]:
            self.upload(piece, more=True)
        if pieces:
            self.upload(pieces[-1], more=False)

    def upload(self, data: bytes, *, more: bool) -> None:
        self._incoming.put_nowait({"type": "http.request", "body": data, "more_body": more})

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> Message:
        return await self._incoming.get()

    async def send(self, message: Message) -> None:
        self.sent.put_nowait(message)

    def answer(self) -> tuple[int, dict[bytes, bytes], bytes, bool]:
        """Status, headers, body and whether it was complete, of what was sent so far."""
        start = self.sent.get_nowait()
        body, complete = b"", False
        while not self.sent.empty():
            assert not complete
            message = self.sent.get_nowait()
            body += message["body"]
            complete = not message["more_body"]
        return start["status"], dict(start["headers"]), body, complete


def ok(body: bytes = b"hello") -> tuple[Event, ...]:
    """The events of a small answer to request 1."""
    headers = [("Content-Type", "text/plain")]
    return Response(1, 200, "OK", headers, body), EndOfResponse(1)
