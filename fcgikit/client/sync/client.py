"""Client and Response for programs with threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, Unpack

from ...errors import ClientError, ConnectFailed, Truncated
from ..outgoing import Arguments, Outgoing
from ..patience import Patience
from ..response import Answer
from ..settings import ClientBase, requests_at_once
from .connection import Call, Connection


class Client(ClientBase[Connection]):
    """``with Client("unix:/run/app.sock") as client: client.request("GET", "/").read()``

    Threads may share one client. Its settings are those of :class:`ClientBase`.
    """

    def _set_up(self) -> None:
        self._lock = threading.Lock()  # of the pool and the busy ones
        self._growing = threading.Lock()  # so that a shared connection is not made twice

    def request(
        self,
        method: str,
        url: str,
        *,
        timeout: float | None = None,
        **arguments: Unpack[Arguments],
    ) -> Response:
        """Send a request and return when the head of its answer is here; its body streams.

        See :class:`~fcgikit.client.outgoing.Arguments` for *arguments*; *timeout* overrides the
        client's. A request that meets a kept connection just closed is sent once more if nothing
        can have happened twice. Read the answer to its end or close it: its connection is taken
        until then.

        Raises ``ClientError``, of its kinds; ``ValueError`` for arguments that make no request;
        ``LocalProtocolError`` for what the protocol cannot carry.
        """
        outgoing = self._prepare(method, url, **arguments)
        patience = self._patience(time.monotonic(), timeout)
        response = self._begin_on_kept(outgoing, patience)
        if response is not None:
            try:
                response.started()
            except Truncated:
                if not (response.untouched and outgoing.repeatable):
                    raise
            else:
                self._kept = True
                return response
        return self._begin_on_new(outgoing, patience).started()

    def values(self, *names: str) -> dict[str, str]:
        """What the server says of itself (FCGI_GET_VALUES, FastCGI 1.0 section 4.1).

        Asks for *names*, or for the three of the specification.
        Raises ``ClientError``, of its kinds; ``ValueError`` for SCGI and uwsgi, which have none.
        """
        names = self._for_values(names)
        connection = Connection(self._settings)
        try:
            return connection.ask_values(names, self._patience(time.monotonic()))
        finally:
            connection.close()

    def close(self) -> None:
        """Close every connection; requests that run break off."""
        with self._lock:
            connections = self._forget_all()
        for connection in connections:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- connections ------------------------------------------------------------------------

    def _begin_on_kept(self, outgoing: Outgoing, patience: Patience) -> Response | None:
        with self._lock:
            connection = self._take(outgoing, time.monotonic())
            return None if connection is None else self._begin(connection, outgoing, patience)

    def _begin_on_new(self, outgoing: Outgoing, patience: Patience) -> Response:
        if self._limit != 1:
            with self._growing:
                self._limit = self._limit or self._find_limit()
                response = self._begin_on_kept(outgoing, patience)
                if response is not None:
                    return response
                if self._limit > 1:
                    return self._connect(outgoing, patience)
        return self._connect(outgoing, patience)

    def _find_limit(self) -> int:
        try:
            return requests_at_once(self.values())
        except ConnectFailed:
            raise
        except ClientError:
            return 1

    def _connect(self, outgoing: Outgoing, patience: Patience) -> Response:
        connection = Connection(self._settings, limit=self._limit)
        with self._lock:
            return self._begin(connection, outgoing, patience)

    def _begin(self, connection: Connection, outgoing: Outgoing, patience: Patience) -> Response:
        """Begin a request; holding the lock."""
        try:
            call = connection.begin(outgoing, keep=self._settings.keep)
            self._busy.add(connection)
        finally:
            if connection.shared or connection.idle:
                self._pool.put(connection, time.monotonic())
        return Response(self, connection, call, patience)

    def _release(self, connection: Connection) -> None:
        """An exchange on *connection* has ended."""
        with self._lock:
            if connection.idle:
                self._busy.discard(connection)
            self._pool.put(connection, time.monotonic())


class Response(Answer):
    """An answer: its head at once, its body as it is read. Use it as a context manager.

    Leaving it before its end aborts the request: with FCGI_ABORT_REQUEST on a shared
    connection, by closing it otherwise.
    """

    def __init__(
        self, client: Client, connection: Connection, call: Call, patience: Patience
    ) -> None:
        super().__init__(call.exchange)
        self._client = client
        self._connection = connection
        self._call = call
        self._patience = patience
        self._released = False

    def started(self) -> Self:
        """Wait for the head. Raises ``ClientError``, of its kinds."""
        self._wait(lambda: self._exchange.answered)
        if self._exchange.head is None:
            self._connection.take(self._exchange)  # raises the reason
        return self

    def read(self, size: int = -1) -> bytes:
        """The rest of the body, or at most *size* bytes as soon as there are some.

        Empty at the end. Raises ``ClientError``, of its kinds.
        """
        if size < 0:
            return b"".join(self)
        return self._piece(size) if size else b""

    def iter_bytes(self, size: int = -1) -> Iterator[bytes]:
        """The body in pieces of at most *size* bytes; by default as they come."""
        while piece := self._piece(size):
            yield piece

    def __iter__(self) -> Iterator[bytes]:
        return self.iter_bytes()

    def close(self) -> None:
        """Leave the answer; nothing happens if it has ended."""
        if not self._released:
            self._connection.abandon(self._exchange)
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _piece(self, size: int) -> bytes:
        self._wait(lambda: self._exchange.readable)
        return self._connection.take(self._exchange, size)

    def _wait(self, ready: Callable[[], bool]) -> None:
        try:
            self._connection.wait(self._call, ready, self._patience)
        except BaseException:
            self.close()
            raise
        if self._exchange.ended and not self._released:
            self._release()

    def _release(self) -> None:
        self._released = True
        self._client._release(self._connection)
