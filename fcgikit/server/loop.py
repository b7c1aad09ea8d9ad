"""The loop of one worker: leader and followers.

All threads are equal and share one poller. The leader waits for arrivals, receives, feeds the
chapters and, when a request is ready, runs the application itself: no request is handed from
thread to thread. Who leads while an application runs is decided in ``leadership.py``. With one
thread the same code is a plain single-threaded loop.

What a connection does is decided in ``connection.py``; here is only who does it, and when.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from math import inf

from ..config import Config
from ..errors import ClientDisconnected
from ..events import ProtocolStatus, Role
from ..gateways.interface import Gateway
from .admission import LOOK_INTERVAL, QUICK, Admission
from .connection import ServerConnection
from .entrance import Door, Entrance, stays
from .exchange import ServerExchange
from .handover import Handover
from .leadership import Leadership
from .listener import Accepted, Listener
from .poller import Poller, Report, best_poller
from .seats import Seats
from .table import Table

log = logging.getLogger("fcgikit.server")

SWEEP_INTERVAL = 1.0
"""Seconds between looks at the deadlines of all connections."""

_BATCH = 256  # reports taken at a time


class Loop:
    """Serves *listeners* with the gateway of each role until told to stop.

    ``run()`` is called by each of ``config.threads`` threads and returns when the loop has
    stopped. Each takes one of *seats*. Connections also come from *handover*, and leave by it
    on :meth:`retire`.
    """

    def __init__(
        self,
        gateways: dict[Role, Gateway],
        listeners: list[Listener],
        config: Config,
        poller: Poller | None = None,
        *,
        seats: Seats | None = None,
        handover: Handover | None = None,
    ) -> None:
        self._gateways = gateways
        self._config = config
        self._poller = poller or best_poller()
        self._ended = self._poller.ended
        self.received = self._poller.received
        self._admission = Admission(config)
        self._limited = self._admission.limited
        self._alone = config.threads == 1 and not self._limited
        self._leadership = Leadership()
        self._ready: deque[ServerExchange] = deque()
        self._reported: deque[Report] = deque()
        self._entrance = Entrance(listeners, handover, self._poller, config.max_connections)
        self._handover = handover
        self.table = Table()
        self._seats = seats or Seats(config.threads)
        self._seats.noting |= self._limited
        self._stale = self._limited  # what is found now may have waited, and its peer have left
        self._now = time.monotonic()
        self._housekeeping = threading.Lock()
        self._next_sweep = self._now
        self._draining = False
        self.retiring = False  # while draining: what is idle goes to other workers

    # -- for the worker ---------------------------------------------------------------------

    def run(self) -> None:
        """Find a request, answer it, find the next, until the loop has stopped."""
        seats, lead, alone = self._seats, self._leadership, self._alone
        seat = seats.take()
        me = seat.thread
        while True:
            if not alone and lead.leader != me:
                lead.take(me)
                if self._entrance.shared:
                    self._entrance.step_back()  # who led is at work for long: now the others' turn
            exchange = self._find()
            if exchange is None:
                lead.hand_over(me)
                return
            seat.requests += 1
            if alone:
                if seats.noting:
                    seats.begin(seat, exchange, time.monotonic())
                self._serve(exchange)
                now = time.monotonic()
                self._stale |= now - self._now > QUICK
                self._now = now
            else:
                began = lead.begin(me)
                if seats.noting:
                    seats.begin(seat, exchange, began)
                self._serve(exchange)
                self._stale |= lead.end(me, began) > QUICK
            if seats.noting:
                seats.end(seat)

    def stop(self) -> None:
        """Accept nothing more, finish what runs, close at request boundaries. Any thread."""
        self.retiring = False
        self._drain()

    def retire(self) -> None:
        """As :meth:`stop`, but kept connections go to the other workers. Any thread.

        To be called again from time to time: there may be no room for all of them at once.
        """
        self.retiring = self._handover is not None
        self._drain()

    def give_up(self, exchange: ServerExchange, status: int, explanation: str) -> None:
        """Answer a request in place of its application, which is not listened to any more."""
        exchange.give_up(status, explanation)
        self._admission.leave(exchange)
        self._now = time.monotonic()
        self._settle(exchange.connection)

    def give_up_waiting(self) -> None:
        """Refuse the requests that wait for a thread: there is none to come."""
        with suppress(IndexError):
            while True:
                self.give_up(self._ready.popleft(), 503, "the server is being replaced")

    def look_in(self, now: float) -> float:
        """In place of the threads, if all are busy: receive, so that who is too much hears it.

        When to do it again, ``inf`` for never. For a thread that runs no applications.
        """
        if not self._limited:
            return inf
        self._admission.tell()
        if not self._seats.all_busy:
            return now + LOOK_INTERVAL
        self._now = now
        self._reported.extend(self._poller.wait(0.0, _BATCH))
        found = len(self._reported)
        with suppress(IndexError):  # taken by a thread that has become free
            for _ in range(found):
                self._handle(*self._reported.popleft())
        for exchange in self._admission.turn_away_late(self._ready):
            self._serve(exchange)  # only its end
        if found or self._ready:
            self._poller.wake()  # that thread may have looked before there was anything
        return now + LOOK_INTERVAL if found < 2 else now  # one is our own wake-up

    @property
    def requests(self) -> int:
        """Requests handed to an application so far."""
        return self._seats.requests

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return len(self.table)

    def close(self) -> None:
        """Release the poller; after every thread has left :meth:`run`."""
        self._poller.close()

    # -- for the connections: see interface.Owner ---------------------------------------------

    def enqueue(self, exchanges: list[ServerExchange]) -> None:
        """Queue requests that somebody received who is busy with another one."""
        self._ready.extend(self._admission.admit(exchanges))
        self._poller.wake()

    def report(self, connection: ServerConnection) -> None:
        """Something may be left to receive on a connection whose report has been spent."""
        self._reported.append((connection.fileno, 0))
        self._poller.wake()

    def about_to_wait(self) -> None:
        """The thread that calls will wait for a peer: another one shall lead."""
        self._leadership.hand_over(threading.get_ident())

    def watch(self, fileno: int) -> None:
        """Report arrivals on this socket from now on."""
        self._poller.add(fileno)

    def forget(self, connection: ServerConnection, *, given_away: bool = False) -> None:
        """A connection is about to be closed here."""
        del self.table[connection.fileno]
        if connection.registered:
            (self._poller.release if given_away else self._poller.discard)(connection.fileno)
        if self._entrance.paused or (self._draining and not self.table):
            self._poller.wake()

    # -- finding the next request -------------------------------------------------------------

    def _find(self) -> ServerExchange | None:
        """Wait and receive until a request is ready; ``None`` when the loop has stopped."""
        ready, reported = self._ready, self._reported
        while True:
            if ready:
                try:
                    exchange = ready.popleft()
                except IndexError:  # another thread was faster
                    continue
                if not self._stale or self._wanted(exchange):
                    return exchange
                self._serve(exchange)  # only its end
            if reported:
                try:
                    fileno, bits = reported.popleft()
                except IndexError:
                    continue
                self._handle(fileno, bits)
            elif self._draining and not self.table:
                self._poller.wake()  # and so the next thread, and the last
                return None
            else:
                self._wait()

    def _wanted(self, exchange: ServerExchange) -> bool:
        """Whether a request that may have waited is still to be run; if not, it is marked so."""
        if not exchange.connection.eof:
            self._receive(exchange.connection)  # an abort, perhaps
        return self._admission.wants(exchange)

    def _wait(self) -> None:
        if self._stale and not self._limited:
            self._stale = False
            if reports := self._poller.wait(0.0, _BATCH):
                self._stale = True  # until nothing is waiting any more
                self._reported.extend(reports)
                return
        timeout = None
        if self.table or self._entrance.paused:
            timeout = self._next_sweep - self._now
            if timeout < 0.0:
                timeout = 0.0
        self._reported.extend(self._poller.wait(timeout, _BATCH))
        self._now = now = time.monotonic()
        if now >= self._next_sweep and self._housekeeping.acquire(False):
            try:
                self._sweep()
            finally:
                self._housekeeping.release()

    def _handle(self, fileno: int, bits: int) -> None:
        connection = self.table.get(fileno)
        if connection is not None:
            if bits & self._ended:
                connection.ending = True
            self._receive(connection)
        elif (door := self._entrance.door(fileno)) is None:
            self._poller.woken()  # or it was closed since it was reported
            if self._entrance.paused:
                self._entrance.resume(len(self.table))
        elif not self._entrance.paused:
            self._accept(door)

    def _accept(self, door: Door) -> None:
        if accepted := self._entrance.accept(door, len(self.table)):
            connection = self._enter(door, accepted)
            self._receive(connection)  # a front end has usually written already
            if self._entrance.shared and stays(connection):
                self._entrance.step_back(door)  # first: with its answer, the peer may come again

    def _enter(self, door: Door, accepted: Accepted) -> ServerConnection:
        sock, address = accepted
        connection = ServerConnection(sock, address, self._config, self, door.inherited)
        self.table[connection.fileno] = connection
        return connection

    def _receive(self, connection: ServerConnection) -> bool:
        """Receive what there is, as far as it is wanted; whether there was something."""
        ready = started = connection.receive()
        while connection.unreceived and started is not None:
            started = connection.receive()
            if started:
                ready = [*ready, *started] if ready else started
        received = ready is not None
        if ready and self._limited:
            ready = self._admission.admit(ready)
        if not ready:
            self._settle(connection)
            return received
        connection.deadline = inf
        connection.arriving = False
        if not (connection.registered or self._alone):
            self._settle(connection)
        self._ready.extend(ready)  # last: from here on another thread may end the connection
        return True

    def _settle(self, connection: ServerConnection) -> None:
        """After a step of a connection: close it, or see that it is watched and timed."""
        if connection.close_if_due(self._now) or (self._draining and self._part_with(connection)):
            return
        if not connection.exchanges and not connection.lingering:
            arriving = not connection.idle
            if not arriving:
                connection.deadline = self._now + self._config.keepalive_timeout
            elif not connection.arriving:
                connection.deadline = self._now + self._config.header_timeout
            connection.arriving = arriving
        if not connection.registered:  # alone, nobody waits while we are busy: only if it stays
            connection.register()

    def _serve(self, exchange: ServerExchange) -> None:
        """Run the application for one request."""
        connection = exchange.connection
        if not exchange.unwanted:
            gateway = self._gateways.get(exchange.request.role)
            try:
                if gateway is None:
                    role = exchange.request.role.name.lower()
                    exchange.refuse(500, f"no {role} here", ProtocolStatus.UNKNOWN_ROLE)
                else:
                    gateway(exchange)
            except ClientDisconnected:
                pass
            except Exception:
                log.exception("%s: the gateway failed", connection.peer)
        exchange.finish()
        if not exchange.released:
            self.answered(exchange)

    def answered(self, exchange: ServerExchange) -> None:
        """See interface.Owner."""
        if self._limited:
            self._admission.leave(exchange)
        connection = exchange.connection
        if connection.may_be_due() or self._draining:
            self._settle(connection)  # first, so that nobody waits for the end (rule R1)
            if connection.unreceived:
                self._receive(connection)
        elif not connection.arriving:
            connection.deadline = self._now + self._config.keepalive_timeout

    # -- time ---------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """End what has waited too long."""
        self._entrance.resume(len(self.table))
        for connection in self.table.overdue(self._now):
            self._expire(connection)
        self._next_sweep = self._now + SWEEP_INTERVAL

    def _expire(self, connection: ServerConnection) -> None:
        if not connection.lingering:
            if self._receive(connection):  # it came just in time
                return
            if connection.arriving:
                log.warning(
                    "%s: no complete request within %g s (setting: header_timeout)",
                    connection.peer, self._config.header_timeout,
                )  # fmt: skip
        connection.close()

    # -- stopping -----------------------------------------------------------------------------

    def _drain(self) -> None:
        """Accept nothing more; part with what is idle now, with the rest when it is answered.

        Any thread may do this, since all of ours may be busy; and again.
        """
        with self._housekeeping:
            self._draining = True
            taken = self._entrance.close(take=self.retiring)
        self._now = time.monotonic()
        for door, accepted in taken:
            self._settle(self._enter(door, accepted))
        for connection in list(self.table.values()):
            if self.retiring:
                self._part_with(connection)
            else:
                connection.finish()
                if not connection.exchanges:
                    self._receive(connection)  # what came in time is served
        self._poller.wake()

    def _part_with(self, connection: ServerConnection) -> bool:
        """While draining: give a connection away or close it, if it is idle; whether it is gone."""
        if self.retiring and self._handover is not None:
            return connection.give_away(self._handover.give)
        connection.finish()
        return connection.idle and not connection.exchanges and connection.close()
