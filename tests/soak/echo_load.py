"""Constant load on a front end before ``echo.py``: every answer is compared with its request.

One thread, one request in flight on each of its kept connections. A connection that the front
end closes between two requests, as its own settings may say, is made anew; everything else
that is not the right answer is a failure.
"""

from __future__ import annotations

import itertools
import selectors
import socket
import threading
import time

POST_EVERY = 5
STALLED = 10.0
"""Seconds without an answer after which a request has failed."""


class _Asker:
    """One kept connection and the request that is under way on it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._connect()
        self.since = 0.0

    def _connect(self) -> None:
        self.socket = socket.create_connection(self._address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def ask(self, number: int) -> None:
        self.wanted = b"n=%d" % number
        self._received = b""
        if number % POST_EVERY:
            request = b"GET /?%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % self.wanted
        else:
            self.wanted *= 1 + number % 200
            request = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (
                len(self.wanted), self.wanted,
            )  # fmt: skip
        self.since = time.monotonic()
        self.socket.sendall(request)

    def receive(self) -> str | None:
        """``None``: more is to come; empty: the right answer has arrived; else what is wrong."""
        try:
            data = self.socket.recv(65536)
        except OSError as error:
            return f"{type(error).__name__} in the answer"
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not data:
            return f"the connection ended after {self._received!r}"
        if not separator:
            return None
        lines = head.lower().split(b"\r\n")
        if b"transfer-encoding: chunked" in lines:
            if not body.endswith(b"0\r\n\r\n"):
                return None
            body = _joined(body)
        else:
            (length,) = (int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            if len(body) < length:
                return None
        if not head.startswith(b"HTTP/1.1 200 ") or body != self.wanted:
            return f"{lines[0].decode()} instead of {len(self.wanted)} bytes"
        if b"connection: close" in lines:
            self.renew()
        return ""

    def renew(self) -> None:
        self.socket.close()
        self._connect()


def _joined(chunks: bytes) -> bytes:
    body = b""
    while True:
        size, _, rest = chunks.partition(b"\r\n")
        if not int(size, 16):
            return body
        body += rest[: int(size, 16)]
        chunks = rest[int(size, 16) + 2 :]


class EchoLoad:
    """Load from its start to :meth:`stop`, in a thread of its own."""

    def __init__(self, address: tuple[str, int], connections: int) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self.slowest = 0.0
        self._stopping = threading.Event()
        self._numbers = itertools.count(1)
        self._askers = [_Asker(address) for _ in range(connections)]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Ask nothing more, and wait for the answers that are due."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for asker in self._askers:
                asker.ask(next(self._numbers))
                selector.register(asker.socket, selectors.EVENT_READ, asker)
            while selector.get_map():
                for key, _ in selector.select(1.0):
                    self._go_on(key.data, selector)
                stalled = time.monotonic() - STALLED
                for key in list(selector.get_map().values()):
                    if key.data.since < stalled:
                        self._fail(key.data, "no answer", selector)
        for asker in self._askers:
            asker.socket.close()

    def _go_on(self, asker: _Asker, selector: selectors.BaseSelector) -> None:
        before = asker.socket
        outcome = asker.receive()
        if outcome is None:
            return
        if outcome:
            self._fail(asker, outcome, selector)
            return
        self.answered += 1
        self.slowest = max(self.slowest, time.monotonic() - asker.since)
        self._next(asker, before, selector)

    def _fail(self, asker: _Asker, reason: str, selector: selectors.BaseSelector) -> None:
        kind = "POST" if len(asker.wanted) > 20 else "GET"
        self.failures.append(f"{kind}: {reason}")
        before = asker.socket
        asker.renew()
        self._next(asker, before, selector)

    def _next(
        self, asker: _Asker, before: socket.socket, selector: selectors.BaseSelector
    ) -> None:
        if self._stopping.is_set() or asker.socket is not before:
            selector.unregister(before)
        if self._stopping.is_set():
            return
        asker.ask(next(self._numbers))
        if asker.socket is not before:
            selector.register(asker.socket, selectors.EVENT_READ, asker)
