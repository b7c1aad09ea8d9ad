"""One connection of a front end: its socket, its chapter and the requests open on it.

Bytes come in through whoever holds the reader's place (the loop's leader, or an application
thread that waits for its body) and go out through whoever has something to say. Three rules
keep that sound:

* ``lock`` guards the chapter, the table of exchanges and the flags; it is held for moments.
* ``reading`` marks the one thread that may receive; it is never held across a wait by a
  thread that does not also receive.
* ``write_lock`` keeps records whole on the wire; it may be held while the peer is slow.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import struct
import threading
import time
from contextlib import suppress
from math import inf
from typing import Any, Protocol

from ..config import Config
from ..errors import ClientDisconnected, RemoteProtocolError
from ..events import (
    Abort,
    Body,
    Closed,
    EndOfBody,
    EndOfFilterData,
    Event,
    FilterData,
    Refused,
    Request,
    Side,
)
from ..protocols import PROTOCOLS, detect
from ..protocols.interface import Buffers
from ..protocols.interface import Connection as ChapterConnection
from .exchange import ServerExchange

log = logging.getLogger("fcgikit.server")

RECEIVE_SIZE = 64 * 1024
"""Bytes asked of the kernel at a time; nginx's largest STDIN burst is 64 KiB."""

_IOV_MAX = 512  # buffers per sendmsg; Linux takes 1024
_DONTWAIT = socket.MSG_DONTWAIT
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Owner(Protocol):
    """What a connection asks of the loop it belongs to; any thread may ask."""

    def enqueue(self, exchanges: list[ServerExchange]) -> None:
        """Run these requests as soon as a thread is free."""

    def pause(self, connection: ServerConnection) -> None:
        """Do not poll a connection."""

    def resume(self, connection: ServerConnection) -> None:
        """Poll a connection again that was paused."""

    def forget(self, connection: ServerConnection) -> None:
        """The connection is about to be closed."""


class ServerConnection:
    """An accepted connection; *address* as ``accept()`` gave it.

    *inherited* says that whoever started us owns the listening socket, as mod_fcgid does.
    """

    __slots__ = ("_address", "_discarded", "_unsent", "arrived", "arriving", "broken",
                 "chapter", "config", "deadline", "eof", "exchanges", "fileno", "inherited",
                 "lingering", "lock", "owner", "paused", "reading", "registered", "socket",
                 "waiting", "write_lock")  # fmt: skip

    def __init__(
        self, sock: socket.socket, address: Any, config: Config, owner: Owner, *, inherited: bool
    ) -> None:
        self.socket = sock
        self.fileno = sock.fileno()
        self._address = address
        self.config = config
        self.owner = owner
        self.inherited = inherited
        self.chapter: ChapterConnection | None = None
        if config.protocol != "auto":
            self.chapter = PROTOCOLS[config.protocol](Side.APP, config)
        self.exchanges: dict[int, ServerExchange] = {}
        self.lock = threading.Lock()
        self.arrived = threading.Condition(self.lock)
        self.write_lock = threading.Lock()
        self.waiting = 0  # threads in arrived.wait()
        self.reading = False
        self.registered = False  # the poller knows the socket
        self.paused = False  # the poller knows it, and is silent
        self.eof = False
        self.broken = False  # nothing more can be written
        self.lingering = False  # our half is closed; the peer's rest is discarded
        self.deadline = inf
        self.arriving = False  # a request has begun to arrive, and deadline is set for it
        self._unsent = b""  # answers of the chapter itself that found the way blocked
        self._discarded = 0

    @property
    def peer(self) -> str:
        """Who is at the other end, for the log."""
        if self.socket.family == socket.AF_UNIX:
            return "a peer on the Unix socket"
        return f"{self._address[0]}:{self._address[1]}"

    @property
    def idle(self) -> bool:
        """No request is open and none has begun to arrive."""
        chapter = self.chapter
        return chapter is None or (not chapter.open_requests and chapter.input_complete)

    # -- receiving ------------------------------------------------------------------------

    def take_reader_place(self) -> bool:
        """Become the one reader; if somebody is, or nobody should read now, be polled no more."""
        with self.lock:
            free = not self.reading
            if free and len(self.exchanges) == 1 and not self.lingering:
                (exchange,) = self.exchanges.values()
                free = not exchange.window_full
            if free:
                self.reading = True
            elif not self.paused and self.registered:
                self.paused = True
                self.owner.pause(self)
            return free

    def leave_reader_place(self) -> None:
        """Let others read, and be polled again if the poller was silenced meanwhile."""
        with self.lock:
            self.reading = False
            if self.paused:
                self.paused = False
                self.owner.resume(self)
            if self.waiting:
                self.arrived.notify_all()

    def wait_for_arrival(self, timeout: float) -> None:
        """With the lock held: wait until the present reader has received something."""
        self.waiting += 1
        self.arrived.wait(timeout)
        self.waiting -= 1

    def receive(self, timeout: float) -> list[ServerExchange] | None:
        """Receive once, as the reader, waiting up to *timeout* seconds; leave the place then.

        Returns the exchanges that begin with what has arrived; ``None`` if nothing has. The
        stream's end is something.
        """
        try:
            data = self._receive(timeout)
            if data is None:
                return None
            return self._discard(data) if self.lingering else self.feed(data)
        finally:
            self.leave_reader_place()

    def _receive(self, timeout: float) -> bytes | None:
        """Bytes, ``b""`` at the end of the stream, or ``None`` if nothing came in time."""
        while True:
            try:
                return self.socket.recv(RECEIVE_SIZE, _DONTWAIT)
            except BlockingIOError:
                if timeout <= 0 or not self._wait(select.POLLIN, timeout):
                    return None
            except OSError:  # a reset is an end like any other (rule R4)
                return b""

    def _discard(self, data: bytes) -> list[ServerExchange]:
        """What comes after our end of the connection: taken, so that nothing is reset (R2)."""
        self._discarded += len(data)
        self.eof = not data or self._discarded > self.config.drain_limit
        self.deadline = time.monotonic() + self.config.linger_timeout
        return []

    def feed(self, data: bytes) -> list[ServerExchange]:
        """Give *data* to the chapter and its events to whom they concern, as the reader.

        Returns the exchanges that begin. ``b""`` is the end of the stream.
        """
        started: list[ServerExchange] = []
        failure: Closed | None = None
        with self.lock:
            if self.chapter is None:
                if not data:
                    self.eof = True
                    return started
                self.chapter = detect(data[0])(Side.APP, self.config)
            chapter = self.chapter
            if data:
                events = chapter.receive_data(data)
            else:
                self.eof = True
                events = chapter.receive_eof()
            for event in events:
                if type(event) is Request:
                    exchange = ServerExchange(event, self)
                    self.exchanges[event.request_id] = exchange
                    started.append(exchange)
                elif type(event) is Closed:
                    failure = event
                else:
                    self._pass_on(event)
            reply = chapter.data_to_send()
            if failure is not None and failure.error is not None and data:
                for exchange in self.exchanges.values():
                    exchange.abort()
        if reply:
            self._reply(reply)
        if failure is not None and failure.error is not None:
            self._report(failure.error)
            if data:
                self._give_up()
        return started

    def _pass_on(self, event: Event) -> None:
        if isinstance(event, Refused):
            self._report(event.error)
            return
        exchange = self.exchanges.get(getattr(event, "request_id", 0))
        if exchange is None:
            return
        if isinstance(event, (Body, FilterData)):
            exchange.add(event.data, multiplexed=len(self.exchanges) > 1)
        elif isinstance(event, (EndOfBody, EndOfFilterData)):
            exchange.end_body()
        elif isinstance(event, Abort):
            if self.eof:
                exchange.lose_input()
            else:
                exchange.abort()

    def _report(self, error: RemoteProtocolError) -> None:
        hint = f" (setting: {error.limit})" if error.limit else ""
        log.warning("%s: %s%s", self.peer, error, hint)

    # -- sending --------------------------------------------------------------------------

    def send(self, event: Event) -> None:
        """Write what the chapter makes of *event*. Raises :class:`ClientDisconnected`."""
        assert self.chapter is not None
        with self.lock:
            buffers = self.chapter.send(event)
        if buffers:
            with self.write_lock:
                self.write_locked(buffers)
            if self._unsent:
                self._flush()

    def send_file(self, request_id: int, fileno: int, offset: int, count: int) -> int:
        """Send file bytes as body, at most one record; how many. Raises as :meth:`send`."""
        assert self.chapter is not None
        os.set_blocking(self.fileno, False)  # sendfile knows no MSG_DONTWAIT
        before, size, after = self.chapter.frame_body(request_id, count)
        with self.write_lock:
            if before:
                self.write_locked([before])
            sent = 0
            while sent < size:
                try:
                    some = os.sendfile(self.fileno, fileno, offset + sent, size - sent)
                except BlockingIOError:
                    self.wait_writable()
                    continue
                except OSError:
                    some = 0
                if not some:  # gone, or the file is shorter than it was: the record stays torn
                    self.broken = True
                    raise ClientDisconnected("the response could not be sent to its end")
                sent += some
            if after:
                self.write_locked([after])
        return size

    def write_locked(self, buffers: Buffers) -> None:
        """With ``write_lock`` held: write all, waiting for a slow peer up to ``write_timeout``.

        Raises :class:`ClientDisconnected`.
        """
        if self.broken:
            raise ClientDisconnected("the front end has closed the connection")
        try:
            if len(buffers) == 1:
                data = buffers[0]
                sent = self._send_some(data)
                while sent < len(data):
                    data = memoryview(data)[sent:]
                    self.wait_writable()
                    sent = self._send_some(data)
            else:
                self._send_many(buffers)
        except OSError as error:
            self.broken = True
            if isinstance(error, ClientDisconnected):
                raise
            raise ClientDisconnected("the front end has closed the connection") from None

    def _send_some(self, data: bytes | memoryview) -> int:
        try:
            return self.socket.send(data, _DONTWAIT)
        except BlockingIOError:
            return 0

    def _send_many(self, buffers: Buffers) -> None:
        pending = [memoryview(buffer) for buffer in buffers]
        first = 0
        while first < len(pending):
            try:
                sent = self.socket.sendmsg(pending[first : first + _IOV_MAX], [], _DONTWAIT)
            except BlockingIOError:
                self.wait_writable()
                continue
            while first < len(pending) and sent >= len(pending[first]):
                sent -= len(pending[first])
                first += 1
            if sent:
                pending[first] = pending[first][sent:]

    def wait_writable(self) -> None:
        """Wait until the peer takes more. Raises ``ClientDisconnected`` after write_timeout."""
        if not self._wait(select.POLLOUT, self.config.write_timeout):
            log.warning(
                "%s: took no output for %g s (setting: write_timeout)",
                self.peer, self.config.write_timeout,
            )  # fmt: skip
            raise ClientDisconnected("the front end does not take the response")

    def _wait(self, what: int, timeout: float) -> bool:
        poller = select.poll()
        poller.register(self.fileno, what)
        return bool(poller.poll(timeout * 1000))

    def _reply(self, reply: bytes) -> None:
        """Send what the chapter answers by itself, without ever waiting for the peer."""
        with self.lock:
            self._unsent += reply
        self._flush()
        if len(self._unsent) > RECEIVE_SIZE:
            log.warning("%s: does not read the answers to its records", self.peer)
            self._give_up()

    def _flush(self) -> None:
        """Write what waits, unless somebody is writing: then that thread does it after."""
        while self._unsent and not self.broken and self.write_lock.acquire(blocking=False):
            try:
                sent = self._send_some(self._unsent)
                with self.lock:
                    self._unsent = self._unsent[sent:]
                if not sent:
                    return
            except OSError:
                self.broken = True
            finally:
                self.write_lock.release()

    # -- ending ---------------------------------------------------------------------------

    def exchange_done(self, exchange: ServerExchange) -> None:
        """An application is through with a request: free it, and close if that is due."""
        with self.lock:
            self.exchanges.pop(exchange.request.request_id, None)
            if self.paused and not self.reading and not self.broken:
                self.paused = False
                self.owner.resume(self)

    def finish(self) -> None:
        """Take no further request after those that run."""
        with self.lock:
            if self.chapter is not None:
                self.chapter.finish()

    def close_if_due(self, now: float) -> bool:
        """End the connection if no further request can come; whether it is closed now.

        Whoever is the reader, or has just answered a request, must ask.
        """
        chapter = self.chapter
        if self.lingering:
            if not (self.eof or self.broken):
                return False
        elif self.broken or (self.eof and not self.exchanges):
            pass
        elif chapter is None or not chapter.must_close:
            return False
        elif not (self.eof or chapter.input_complete):
            self._linger(now)
            return False
        return self.close()

    def _linger(self, now: float) -> None:
        """Close our half and let the peer finish: to close with input unread resets (R2)."""
        self.lingering = True
        self.deadline = now + self.config.linger_timeout
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.eof = True
        if self.paused:
            self.paused = False
            self.owner.resume(self)

    def _give_up(self) -> None:
        """The peer broke the protocol: say goodbye after what has been answered."""
        with self.lock:
            self._linger(time.monotonic())

    def reset(self) -> None:
        """End so that the peer sees a cut: RST on TCP, an end without END_REQUEST elsewhere."""
        if self.socket.family != socket.AF_UNIX:
            with suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.broken = True

    def close(self) -> bool:
        """Close the socket, unless somebody is reading it: then the reader will ask again."""
        with self.lock:
            if self.reading or self.fileno < 0:
                return False
            self.broken = True
            self.eof = True
            for exchange in self.exchanges.values():
                exchange.abort()
            self.owner.forget(self)
            self.fileno = -1
            self.socket.close()
            return True
