"""One ASGI request and its answer, carried over one worker connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ..errors import FcgikitError, LocalProtocolError
from ..events import (
    Abort,
    Body,
    Closed,
    Diagnostic,
    EndOfBody,
    EndOfResponse,
    ProtocolStatus,
    Refused,
    Request,
    Response,
    ResponseBody,
)
from .connection import WorkerConnection
from .params import HOP_BY_HOP

Message = MutableMapping[str, Any]

stderr = logging.getLogger("fcgikit.client.stderr")

_BODILESS = (204, 304)


class WorkerFailure(FcgikitError):
    """The worker gave no answer, or not a whole one. *answered*: its head is out already."""

    def __init__(self, status: int, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.answered = answered


class Stale(FcgikitError):
    """A kept connection closed before anything was answered, and the request can be repeated."""


class Relay:
    """Body up, answer down, at the same time; either side may finish first."""

    def __init__(
        self,
        connection: WorkerConnection,
        request: Request,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
        timeout: float | None,
    ) -> None:
        self._connection = connection
        self._request = request
        self._receive = receive
        self._send = send
        self._timeout = timeout
        self._bodiless = request.params["REQUEST_METHOD"] == "HEAD"
        self._uploaded = request.complete
        self._replayable = True
        self._started = False
        self._disconnected = False

    async def run(self, *, retry: bool) -> None:
        """Carry the exchange to its end. Leaves the connection reusable, or closed.

        Raises :class:`WorkerFailure`, or :class:`Stale` where *retry* allows it.
        """
        upload = asyncio.create_task(self._upload())
        whole = False
        try:
            whole = await self._download(retry)
        finally:
            upload.cancel()
            await asyncio.wait((upload,))
            if not whole or not self._uploaded:
                self._connection.abort()
        if not upload.cancelled():
            upload.result()

    # -- browser to worker ------------------------------------------------------------------

    async def _upload(self) -> None:
        """Send the body, then go on listening: the browser may leave at any time."""
        accepted = await self._pass_on(self._request)
        more = not self._request.complete
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._disconnected = True
                self._leave()
                return
            if not more:
                continue
            self._replayable = False
            more = message.get("more_body", False)
            # What comes after an early answer is taken from the browser and dropped: many
            # browsers read no answer before they have sent everything.
            accepted = accepted and await self._pass_on(Body(1, message.get("body", b"")))
            if accepted and not more:
                self._uploaded = await self._pass_on(EndOfBody(1))

    async def _pass_on(self, event: Request | Body | EndOfBody) -> bool:
        """Whether the worker still takes the body; if not, the download knows the reason."""
        try:
            await self._connection.send(event)
        except (LocalProtocolError, ConnectionError):
            return False
        return True

    def _leave(self) -> None:
        try:
            self._connection.abort(Abort(1))
        except LocalProtocolError:  # it has just been answered
            self._connection.abort()

    # -- worker to browser ------------------------------------------------------------------

    async def _download(self, retry: bool) -> bool:
        """Pass the answer on; whether it was a whole one. False also if nobody wants it."""
        while True:
            try:
                event = await self._connection.receive(self._timeout)
            except TimeoutError as error:
                raise self._failure(504, f"no answer for {self._timeout:g} seconds") from error
            if self._disconnected:
                return False
            if isinstance(event, Response):
                await self._start(event)
            elif isinstance(event, ResponseBody):
                await self._send_body(event.data)
            elif isinstance(event, Diagnostic):
                retry = False
                log_stderr(event.data)
            elif isinstance(event, EndOfResponse):
                if not self._started:
                    raise self._refusal(event.protocol_status)
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
                return True
            elif isinstance(event, Refused):
                raise self._failure(502, str(event.error))
            elif isinstance(event, (Abort, Closed)):
                if retry and self._replayable and not self._started:
                    raise Stale
                reason = event.error if isinstance(event, Closed) else None
                raise self._failure(502, str(reason or "the worker closed the connection"))

    async def _start(self, event: Response) -> None:
        self._started = True
        self._bodiless = self._bodiless or event.status in _BODILESS
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in event.headers
            if name.lower() not in HOP_BY_HOP
        ]
        await self._send(
            {"type": "http.response.start", "status": event.status, "headers": headers}
        )
        await self._send_body(event.body)

    async def _send_body(self, data: bytes) -> None:
        if data and not self._bodiless:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    def _refusal(self, status: ProtocolStatus) -> WorkerFailure:
        if status is ProtocolStatus.OVERLOADED:
            return self._failure(503, "the worker is overloaded")
        return self._failure(502, f"the worker ended the request unanswered ({status.name})")

    def _failure(self, status: int, message: str) -> WorkerFailure:
        return WorkerFailure(status, message, answered=self._started)


def log_stderr(data: bytes) -> None:
    """Log what the application wrote to its error stream, a record a line, escaped."""
    for line in data.decode("utf-8", "backslashreplace").splitlines():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
        stderr.warning("%s", text)
