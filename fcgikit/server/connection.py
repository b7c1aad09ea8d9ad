"""One connection of a front end: its socket, its chapter and the requests open on it.

Bytes come in through the loop's leader, or through an application thread that waits for its body
and then receives for everybody on the connection. They go out through whoever has something to
say (``output.py``). Two rules keep that sound:

* ``lock`` guards it all and is held for moments: whoever has to wait lets go of it.
* ``reading`` marks a thread that waits for an arrival: meanwhile nobody else receives, nor
  closes the socket.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any

from ..config import Config
from ..errors import ClientDisconnected, RemoteProtocolError, Scope
from ..events import (
    APP,
    Abort,
    Body,
    Closed,
    CutOff,
    EndOfBody,
    EndOfFilterData,
    Event,
    FilterData,
    Refused,
    Request,
    RequestEvent,
)
from ..protocols import PROTOCOLS, detect
from ..protocols.interface import Connection as ChapterConnection
from .exchange import ServerExchange
from .interface import Owner
from .output import Output, wait_for

log = logging.getLogger("fcgikit.server")

RECEIVE_SIZE = 256 * 1024
"""Bytes asked of the kernel at a time for a body: more than a Unix socket holds, 208 KiB."""

FIRST_SIZE = 16 * 1024
"""Bytes asked for while no request is open: most requests are smaller, and the buffer, which is
made anew each time, then stays in the processor's caches."""

_DONTWAIT = socket.MSG_DONTWAIT


class ServerConnection:
    """An accepted connection; *address* as ``accept()`` gave it.

    *inherited* says that whoever started us owns the listening socket, as mod_fcgid does.
    """

    __slots__ = ("_address", "_arrived", "_discarded", "arriving", "chapter", "config",
                 "deadline", "ending", "eof", "exchanges", "fileno", "inherited",
                 "lingering", "lock", "multiplexed", "output", "owner", "reading", "registered",
                 "socket", "unreceived")  # fmt: skip

    def __init__(
        self, sock: socket.SocketType, address: Any, config: Config, owner: Owner, inherited: bool
    ) -> None:
        self.socket = sock
        self.fileno = sock.fileno()
        self._address = address
        self.config = config
        self.owner = owner
        self.inherited = inherited
        self.chapter: ChapterConnection | None = None
        if config.protocol != "auto":
            self.chapter = PROTOCOLS[config.protocol](APP, config)
        self.exchanges: dict[int, ServerExchange] = {}
        # Only a front end that multiplexes uses other ids than 1 (rule R16). From then on no
        # request may stop the reading for want of room: others may stand behind its body.
        self.multiplexed = False
        self.lock = threading.Lock()
        self.output = Output(sock, config.write_timeout, owner.about_to_wait, self.lock)
        self._arrived: threading.Condition | None = None
        self.reading = False
        self.unreceived = False  # something may have arrived that no report will tell of
        self.registered = False  # the poller knows the socket
        self.ending = False  # the poller has seen the end, which may stand behind data
        self.eof = False  # we have received the end
        self.lingering = False  # our half is closed; the peer's rest is discarded
        self.deadline = inf
        self.arriving = False  # a request has begun to arrive, and deadline is set for it
        self._discarded = 0

    @property
    def peer(self) -> str:
        """Who is at the other end, for the log."""
        if isinstance(self._address, tuple):
            return f"{self._address[0]}:{self._address[1]}"
        return "a peer on the Unix socket"

    @property
    def idle(self) -> bool:
        """No request is open and none has begun to arrive."""
        chapter = self.chapter
        return chapter is None or (not chapter.open_requests and chapter.input_complete)

    # -- receiving ------------------------------------------------------------------------

    def receive(self) -> list[ServerExchange] | None:
        """Receive once what has arrived, unless somebody waits for it or nobody should read now.

        Returns the exchanges that begin with it; ``None`` if nothing was received. The stream's
        end is something. ``unreceived`` says whether to come back.
        """
        self.lock.acquire()
        try:
            if self.fileno < 0:
                return None
            if self.reading or (self.exchanges and (self._window_full or self._may_leave)):
                self.unreceived = True
                return None
            return self._receive()
        finally:
            self.lock.release()

    def receive_in(self, timeout: float) -> list[ServerExchange] | None:
        """As :meth:`receive`, for who is ``reading``, which ends: wait for an arrival first."""
        while True:
            with self.lock:
                started = self._receive()
                if started is not None or timeout <= 0:
                    self.reading = False
                    self.notify_readers()
                    return started
            self.owner.about_to_wait()
            if not wait_for(self.fileno, select.POLLIN, timeout):
                timeout = 0.0  # and a last look

    @property
    def _window_full(self) -> bool:
        """A lone request has body enough to read; more would only fill memory."""
        if len(self.exchanges) != 1 or self.lingering:
            return False
        (exchange,) = self.exchanges.values()
        return exchange.window_full and not self.multiplexed

    @property
    def _may_leave(self) -> bool:
        """All that was received is whole requests; what follows is for the next worker.

        Else a connection that is never without a request could not be given away.
        """
        chapter = self.chapter
        return (
            self.owner.retiring
            and chapter is not None
            and chapter.input_complete
            and chapter.open_requests <= len(self.exchanges)
            and all(exchange.body_ended for exchange in self.exchanges.values())
        )

    def notify_readers(self) -> None:
        """With the lock held: wake whoever waits for an arrival."""
        if self._arrived is not None:
            self._arrived.notify_all()

    def wait_for_arrival(self, timeout: float) -> None:
        """With the lock held: wait until the present reader has received something."""
        if self._arrived is None:
            self._arrived = threading.Condition(self.lock)
        self.owner.about_to_wait()
        self._arrived.wait(timeout)

    def _receive(self) -> list[ServerExchange] | None:
        """With the lock held, and nobody else reading: receive once, without waiting."""
        size = RECEIVE_SIZE if self.exchanges else FIRST_SIZE
        started = None
        more = False
        try:
            data = self.socket.recv(size, _DONTWAIT)
        except BlockingIOError:
            pass
        except OSError:  # a reset is an end like any other (rule R4)
            started = self._take_in(b"")
        else:
            started = self._take_in(data)
            more = (len(data) == size or self.ending) and not self.eof
        self.unreceived = more
        if not more and self.owner.received is not None:
            self.owner.received(self.fileno)
        return started

    def _take_in(self, data: bytes) -> list[ServerExchange]:
        """Pass on what *data* means, ``b""`` being the end. Returns the exchanges that begin."""
        started: list[ServerExchange] = []
        if self.lingering:
            self._discard(data)
            return started
        chapter = self.chapter
        if data:
            if chapter is None:
                chapter = self.chapter = detect(data[0])(APP, self.config)
            events = chapter.receive_data(data)
        else:
            self.eof = True
            if chapter is None:
                return started
            events = chapter.receive_eof()
        if (reply := chapter.data_to_send()) and not self.output.reply(reply):
            self._report(RemoteProtocolError("does not read the answers it asks for"))
        for event in events:
            if type(event) is Request:
                request_id = event.request_id
                exchange = self.exchanges[request_id] = ServerExchange(event, self)
                if request_id != 1 or len(self.exchanges) > 1:
                    self.multiplexed = True
                started.append(exchange)
            elif type(event) is Body or type(event) is FilterData:
                if (concerned := self.exchanges.get(event.request_id)) is not None:
                    concerned.add(event.data, multiplexed=self.multiplexed)
            else:
                self._pass_on(event)
        return started

    def _pass_on(self, event: Event) -> None:
        """Tell the exchange that another event concerns, and the log what it should say."""
        if isinstance(event, Refused):
            self._report(event.error)
        elif isinstance(event, Closed):
            if event.error is not None:
                for exchange in self.exchanges.values():
                    exchange.abort()
                self._report(event.error)
        elif isinstance(event, RequestEvent):
            concerned = self.exchanges.get(event.request_id)
            if concerned is None:
                return
            if isinstance(event, (EndOfBody, EndOfFilterData)):
                concerned.end_body()
            elif isinstance(event, Abort):
                concerned.lose_input() if self.eof else concerned.abort()

    def _report(self, error: RemoteProtocolError) -> None:
        """Log what the peer did wrong, and part with it if nothing can follow."""
        hint = f" (setting: {error.limit})" if error.limit else ""
        log.warning("%s: %s%s", self.peer, error, hint)
        if error.scope is Scope.CONNECTION and not self.eof:
            self._linger(time.monotonic())

    # -- sending --------------------------------------------------------------------------

    def send(self, exchange: ServerExchange, event: Event) -> None:
        """Write what the chapter makes of *event*. Raises ``ClientDisconnected``."""
        output = self.output
        self.lock.acquire()
        try:
            if output.taken:
                output.wait_for_turn()  # records go out in the order in which they are framed
            if exchange.given_up:
                raise ClientDisconnected("the request has been given up")
            assert self.chapter is not None
            buffers = self.chapter.send(event)
            if buffers:
                output.write(buffers)
        finally:
            if output.taken:
                output.end_turn()
            if exchange.answered:  # and its last byte is written
                self._remove(exchange)
            self.lock.release()

    def send_file(self, exchange: ServerExchange, fileno: int, offset: int, count: int) -> int:
        """Send whole records of a file as body; how many bytes. Raises as :meth:`send`."""
        assert self.chapter is not None
        output = self.output
        with self.lock:
            try:
                if output.taken:
                    output.wait_for_turn()
                if exchange.given_up:
                    raise ClientDisconnected("the request has been given up")
                frame = self.chapter.frame_body(exchange.request.request_id, count)
                return frame[1] * output.write_file(frame, count // frame[1], fileno, offset)
            finally:
                if output.taken:
                    output.end_turn()

    # -- ending ---------------------------------------------------------------------------

    def remove(self, exchange: ServerExchange) -> None:
        """A request is over, however it ended."""
        with self.lock:
            self._remove(exchange)

    def _remove(self, exchange: ServerExchange) -> None:
        request_id = exchange.request.request_id
        # The front end may have used the id again as soon as it saw the end.
        if self.exchanges.get(request_id) is exchange:
            del self.exchanges[request_id]

    def may_be_due(self) -> bool:
        """After an answer: whether :meth:`close_if_due` must be asked."""
        assert self.chapter is not None
        return (
            self.chapter.must_close
            or self.unreceived
            or self.eof
            or self.output.broken
            or self.lingering
            or not self.registered
        )

    def cut_off(self, exchange: ServerExchange, event: CutOff) -> None:
        """End in the middle of an answer, so that the peer sees it (rule R22)."""
        with suppress(ClientDisconnected):
            self.send(exchange, event)
        self.output.reset_on_close()
        self.remove(exchange)  # from here on the connection may be closed

    def finish(self) -> None:
        """Take no further request after those that run."""
        with self.lock:
            if self.chapter is not None:
                self.chapter.finish()

    def close_if_due(self, now: float) -> bool:
        """End the connection if no further request can come; whether it is closed now."""
        chapter = self.chapter
        if self.fileno < 0:
            return True
        if self.lingering:
            if not (self.eof or self.output.broken):
                return False
        elif self.output.broken or (self.eof and not self.exchanges):
            pass
        elif self.exchanges or chapter is None or not chapter.must_close:
            return False  # an exchange is there until its last byte is written
        elif not (self.eof or chapter.input_complete):
            with self.lock:
                self._linger(now)
            return False
        return self.close()

    def register(self) -> None:
        """Have arrivals reported, unless they are or the connection has gone."""
        with self.lock:
            if not self.registered and self.fileno >= 0:
                self.registered = True
                self.owner.watch(self.fileno)

    def close(self) -> bool:
        """Close the socket, unless somebody is reading it: then the reader will ask again."""
        with self.lock:
            if self.reading or self.fileno < 0:
                return False
            for exchange in self.exchanges.values():
                exchange.abort()
            self._leave()
            return True

    def give_away(self, give: Callable[[socket.SocketType], bool]) -> bool:
        """Pass the socket to *give* at a boundary between requests; whether it was taken.

        A fresh chapter can go on there: nothing is open, nothing is half received or half sent.
        """
        with self.lock:
            chapter = self.chapter
            going_on = not (self.eof or self.lingering or (chapter and chapter.must_close))
            at_boundary = self.idle and not (self.exchanges or self.reading)
            if going_on and at_boundary and self.output.all_sent() and give(self.socket):
                self._leave(given_away=True)
                return True
            return False

    def _leave(self, *, given_away: bool = False) -> None:
        """With the lock held: this process has done with the socket."""
        self.eof = True
        self.output.broken = True
        self.owner.forget(self, given_away=given_away)
        self.fileno = -1
        self.socket.close()

    def _linger(self, now: float) -> None:
        """Close our half and let the peer finish: to close with input unread resets (R2)."""
        self.lingering = True
        self.deadline = now + self.config.linger_timeout
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.eof = True

    def _discard(self, data: bytes) -> None:
        """What comes after our end: taken, within a limit, so that nothing is reset (R2)."""
        self._discarded += len(data)
        self.eof = not data or self._discarded > self.config.drain_limit
        self.deadline = time.monotonic() + self.config.linger_timeout
