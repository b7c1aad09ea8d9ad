"""An ASGI application that hands each request to a FastCGI worker, as a web server would."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

from ..errors import ClientError, ClientTimeout, Overloaded
from ..events import Diagnostic, Event, Role
from .aio.client import AsyncClient, AsyncResponse
from .outgoing import Outgoing
from .pages import error_page
from .params import HOP_BY_HOP, cgi_params
from .patience import Patience

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

log = logging.getLogger("fcgikit.client")
stderr = logging.getLogger("fcgikit.client.stderr")


class FastCGIApp:
    """``FastCGIApp("unix:/run/app.sock")`` serves that worker under any ASGI server.

    Bodies stream both ways with back-pressure and connections are kept. When the browser
    leaves, the worker is told; when the worker fails, the browser gets 502 or 504, and an
    answer that breaks off is left incomplete for the browser to notice. A request that meets
    a kept connection just closed is sent once more if nothing can have happened twice.

    *address* is ``unix:PATH``, ``HOST:PORT`` or ``[IPV6]:PORT``. *params* are further CGI
    variables for every request (``{"DOCUMENT_ROOT": ...}``). *max_idle* is the number of
    connections kept open. *connect_timeout* and *read_timeout* are seconds; the latter is
    the silence allowed in both directions, ``None`` for any. *explain* puts the reason and
    the worker's address on error pages, for development.

    The worker's FCGI_STDERR goes to the log ``fcgikit.client.stderr``, failures to
    ``fcgikit.client``.
    """

    def __init__(
        self,
        address: str,
        *,
        params: Mapping[str, str] | None = None,
        max_idle: int = 16,
        connect_timeout: float = 5.0,
        read_timeout: float | None = 60.0,
        explain: bool = False,
    ) -> None:
        self._client = AsyncClient(
            address, max_idle=max_idle, connect_timeout=connect_timeout, trace=_log_stderr
        )
        self._patience = Patience(read_timeout)
        self._params = dict(params or {})
        self._explain = explain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope: HTTP, or the server's lifespan."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # before an accept it refuses with 403

    async def aclose(self) -> None:
        """Close the kept connections; only needed where the ASGI server runs no lifespan."""
        await self._client.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            phase = (await receive())["type"].removeprefix("lifespan.")
            if phase == "shutdown":
                await self.aclose()
            await send({"type": f"lifespan.{phase}.complete"})
            if phase == "shutdown":
                return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        params = cgi_params(scope, self._params)
        if "\0" in params["PATH_INFO"]:
            await error_page(send, 400, "The address contains a NUL character.")
            return
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        upload = _Upload(message, receive)
        body = upload.pieces() if upload.more else upload.first
        outgoing = Outgoing(params, Role.RESPONDER, body, b"")
        answering = asyncio.create_task(self._answer(outgoing, send))
        listening = asyncio.create_task(upload.listen())
        try:
            await asyncio.wait((answering, listening), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answering.cancel()
            listening.cancel()
            await asyncio.wait((answering, listening))
        for task in (answering, listening):
            if not task.cancelled():
                task.result()

    async def _answer(self, outgoing: Outgoing, send: Send) -> None:
        started = False
        try:
            async with await self._client.send(outgoing, self._patience) as response:
                started = True
                await _pass_on(response, send)
        except ClientError as failure:
            params = outgoing.params
            log.error("%s %s: %s", params["REQUEST_METHOD"], params["REQUEST_URI"], failure)
            if not started:
                await error_page(send, _status(failure), f"{failure}." if self._explain else "")


class _Upload:
    """The request's body as it comes, and the news that the browser has left."""

    def __init__(self, message: Message, receive: Receive) -> None:
        self.first: bytes = message.get("body", b"")
        self.more: bool = message.get("more_body", False)
        self._receive = receive
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, which does not end if the browser leaves."""
        yield self.first
        while (piece := await self._waiting.get()) is not None:
            yield piece

    async def listen(self) -> None:
        """Receive until the browser has left."""
        while (message := await self._receive())["type"] != "http.disconnect":
            if not self.more:
                continue
            await self._waiting.put(message.get("body", b""))
            self.more = message.get("more_body", False)
            if not self.more:
                await self._waiting.put(None)


async def _pass_on(response: AsyncResponse, send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers.items()
        if name.lower() not in HOP_BY_HOP
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    async for piece in response:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _status(failure: ClientError) -> int:
    if isinstance(failure, Overloaded):
        return 503
    if isinstance(failure, ClientTimeout) and failure.phase != "connect":
        return 504
    return 502


def _log_stderr(direction: str, event: Event) -> None:
    """Log what the application wrote to its error stream, a record a line, escaped."""
    if not isinstance(event, Diagnostic):
        return
    for line in event.data.decode("utf-8", "backslashreplace").splitlines():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
        stderr.warning("%s", text)
