"""An ASGI application that hands each request to a FastCGI worker, as a web server would."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

from ..config import DEFAULT, Config
from ..events import Request
from .pages import error_page
from .params import cgi_params
from .pool import Pool
from .relay import Relay, Stale, WorkerFailure

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

log = logging.getLogger("fcgikit.client")

# RFC 9110 section 9.2.2: doing these twice is the same as doing them once.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


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
        config: Config = DEFAULT,
    ) -> None:
        self._pool = Pool(address, size=max_idle, connect_timeout=connect_timeout, config=config)
        self._params = dict(params or {})
        self._read_timeout = read_timeout
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
        await self._pool.aclose()

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
        request = Request(
            request_id=1,
            params=params,
            keep_conn=True,
            body=message.get("body", b""),
            complete=not message.get("more_body", False),
        )
        try:
            await self._forward(request, receive, send)
        except WorkerFailure as failure:
            log.error("%s %s: %s", scope["method"], params["REQUEST_URI"], failure)
            if not failure.answered:
                reason = f"{failure}." if self._explain else ""
                await error_page(send, failure.status, reason)

    async def _forward(self, request: Request, receive: Receive, send: Send) -> None:
        kept = self._pool.take()
        if kept is not None:
            relay = Relay(kept, request, receive, send, self._read_timeout)
            try:
                await relay.run(retry=request.params["REQUEST_METHOD"] in _IDEMPOTENT)
            except Stale:
                pass
            else:
                return
            finally:
                await self._pool.put(kept)
        try:
            fresh = await self._pool.connect()
        except OSError as error:
            reason = str(error) or "the attempt timed out"
            raise WorkerFailure(
                502, f"no worker can be reached at {self._pool.address}: {reason}"
            ) from error
        try:
            await Relay(fresh, request, receive, send, self._read_timeout).run(retry=False)
        finally:
            await self._pool.put(fresh)
