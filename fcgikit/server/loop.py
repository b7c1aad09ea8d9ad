"""The loop of one worker: leader and followers.

All threads are equal and share one poller. The leader waits for arrivals, receives, feeds the
chapters and, when a request is ready, runs the application itself: no request is handed from
thread to thread. Who leads while an application runs is decided in ``leadership.py``. With one
thread the same code is a plain single-threaded loop.

What a connection does is decided in ``connection.py``; here is only who does it, and when.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections import deque
from math import inf

from ..config import Config
from ..errors import ClientDisconnected
from ..events import ProtocolStatus, Role
from ..gateways.interface import Gateway
from .connection import ServerConnection
from .exchange import ServerExchange
from .leadership import Leadership
from .listener import Listener
from .poller import Poller, Report, best_poller

log = logging.getLogger("fcgikit.server")

SWEEP_INTERVAL = 1.0
"""Seconds between looks at the deadlines of all connections."""

_BATCH = 256  # reports taken at a time

# The system is full; trying again at once would only spin.
_ACCEPT_CAPACITY = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}


class Loop:
    """Serves *listeners* with the gateway of each role until told to stop.

    ``run()`` is called by each thread of the worker and returns when the loop has stopped.
    """

    def __init__(
        self,
        gateways: dict[Role, Gateway],
        listeners: list[Listener],
        config: Config,
        poller: Poller | None = None,
    ) -> None:
        self._gateways = gateways
        self._config = config
        self._poller = poller or best_poller()
        self._ended = self._poller.ended
        self.received = self._poller.received
        self._alone = config.threads == 1
        self._leadership = Leadership()
        self._ready: deque[ServerExchange] = deque()
        self._reported: deque[Report] = deque()
        self._listeners = {listener.socket.fileno(): listener for listener in listeners}
        self._connections: dict[int, ServerConnection] = {}
        self._served: list[list[int]] = []  # a count for each thread
        self._now = time.monotonic()
        self._housekeeping = threading.Lock()
        self._next_sweep = inf
        self._accept_again = 0.0  # no listener is polled until then, unless zero
        self._stop_wanted = False
        self._draining = False
        for fileno in self._listeners:
            self._poller.listen(fileno)

    # -- for the worker ---------------------------------------------------------------------

    def run(self) -> None:
        """Find a request, answer it, find the next, until the loop has stopped."""
        served = [0]
        self._served.append(served)
        me = threading.get_ident()
        lead = self._leadership
        while True:
            lead.take(me)
            exchange = self._find()
            if exchange is None:
                lead.hand_over(me)
                return
            served[0] += 1
            if self._alone:
                self._serve(exchange)
            else:
                began = lead.begin(me)
                self._serve(exchange)
                lead.end(began)

    def stop(self) -> None:
        """Accept nothing more, finish what runs, close at request boundaries. Any thread."""
        self._stop_wanted = True
        self._poller.wake()

    @property
    def requests(self) -> int:
        """Requests handed to an application so far."""
        return sum(count for (count,) in self._served)

    @property
    def running(self) -> list[ServerExchange]:
        """The requests that applications are working on now, for the log."""
        connections = list(self._connections.values())
        return [exchange for one in connections for exchange in list(one.exchanges.values())]

    def close(self) -> None:
        """Release the poller; after every thread has left :meth:`run`."""
        self._poller.close()

    # -- for the connections: see connection.Owner --------------------------------------------

    def enqueue(self, exchanges: list[ServerExchange]) -> None:
        """Queue requests that somebody received who is busy with another one."""
        self._ready.extend(exchanges)
        self._poller.wake()

    def report(self, connection: ServerConnection) -> None:
        """Something may be left to receive on a connection whose report has been spent."""
        self._reported.append((connection.fileno, 0))
        self._poller.wake()

    def about_to_wait(self) -> None:
        """The thread that calls will wait for a peer: another one shall lead."""
        self._leadership.hand_over(threading.get_ident())

    def forget(self, connection: ServerConnection) -> None:
        """A connection is about to close."""
        del self._connections[connection.fileno]
        if connection.registered:
            self._poller.discard(connection.fileno)
        if self._accept_again or (self._draining and not self._connections):
            self._poller.wake()

    # -- finding the next request -------------------------------------------------------------

    def _find(self) -> ServerExchange | None:
        """Wait and receive until a request is ready; ``None`` when the loop has stopped."""
        while True:
            if self._ready:
                try:
                    exchange = self._ready.popleft()
                except IndexError:  # another thread was faster
                    continue
                return exchange
            if self._reported:
                try:
                    fileno, bits = self._reported.popleft()
                except IndexError:
                    continue
                self._handle(fileno, bits)
            elif self._stop_wanted and not self._draining:
                self._drain()
            elif self._draining and not self._connections:
                self._poller.wake()  # and so the next thread, and the last
                return None
            else:
                self._wait()

    def _wait(self) -> None:
        timeout = None
        if self._next_sweep != inf:
            timeout = self._next_sweep - self._now
            if timeout < 0.0:
                timeout = 0.0
        self._reported.extend(self._poller.wait(timeout, _BATCH))
        self._now = time.monotonic()
        if self._now >= self._next_sweep and self._housekeeping.acquire(blocking=False):
            try:
                self._sweep()
            finally:
                self._housekeeping.release()

    def _handle(self, fileno: int, bits: int) -> None:
        connection = self._connections.get(fileno)
        if connection is not None:
            if bits & self._ended:
                connection.ending = True
            self._receive(connection)
        elif fileno not in self._listeners:
            self._poller.woken()  # or it was closed since it was reported
            if self._accept_again:
                with self._housekeeping:
                    self._try_accepting_again()
        elif not self._accept_again:
            self._accept(self._listeners[fileno])

    def _receive(self, connection: ServerConnection) -> bool:
        """Receive what there is, as far as it is wanted; whether there was something."""
        ready: list[ServerExchange] = []
        received = False
        while connection.take_reader_place():
            started = connection.receive(0)
            if started is not None:
                received = True
                ready += started
            if not connection.unreceived:
                break
        if ready:
            connection.deadline = inf
            connection.arriving = False
        if not ready or not (connection.registered or self._alone):
            self._settle(connection)
        self._ready.extend(ready)  # last: from here on another thread may end the connection
        return received

    def _settle(self, connection: ServerConnection) -> None:
        """After a step of a connection: close it, or see that it is watched and timed."""
        if connection.close_if_due(self._now):
            return
        if not connection.exchanges and not connection.lingering:
            arriving = not connection.idle
            if not arriving:
                connection.deadline = self._now + self._config.keepalive_timeout
            elif not connection.arriving:
                connection.deadline = self._now + self._config.header_timeout
            connection.arriving = arriving
        if not connection.registered:  # alone, nobody waits while we are busy: only if it stays
            connection.registered = True
            self._poller.add(connection.fileno)
        if self._next_sweep == inf:
            self._next_sweep = self._now + SWEEP_INTERVAL

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
        if connection.exchange_done(exchange):
            self._settle(connection)  # first, so that nobody waits for the end (rule R1)
            if connection.unreceived:
                self._receive(connection)
        elif not connection.arriving:
            connection.deadline = self._now + self._config.keepalive_timeout

    # -- accepting ----------------------------------------------------------------------------

    def _accept(self, listener: Listener) -> None:
        if len(self._connections) >= self._config.max_connections:
            log.warning(
                "%d connections are open; further ones wait (setting: max_connections)",
                len(self._connections),
            )
            self._pause_accepting()
            return
        try:
            sock, address = listener.accept()
        except OSError as error:
            if error.errno in _ACCEPT_CAPACITY:
                log.error("cannot accept a connection: %s", error.strerror)
                self._pause_accepting()
            return  # else: another thread or process took it, or the peer has gone
        if not listener.admits(address):
            log.warning("%s may not connect (setting: allow)", address[0])
            sock.close()
            return
        connection = ServerConnection(
            sock, address, self._config, self, inherited=listener.inherited
        )
        self._connections[connection.fileno] = connection
        self._receive(connection)  # a front end has usually written already

    def _pause_accepting(self) -> None:
        with self._housekeeping:
            if not self._accept_again:
                self._accept_again = self._now + SWEEP_INTERVAL
                self._next_sweep = min(self._next_sweep, self._accept_again)
                for fileno in self._listeners:
                    self._poller.unlisten(fileno)

    def _try_accepting_again(self) -> None:
        if self._accept_again and len(self._connections) < self._config.max_connections:
            self._accept_again = 0.0
            for fileno in self._listeners:
                self._poller.listen(fileno)

    # -- time ---------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """End what has waited too long."""
        self._try_accepting_again()
        for connection in list(self._connections.values()):
            if connection.deadline <= self._now:
                self._expire(connection)
        busy = self._connections or self._accept_again
        self._next_sweep = self._now + SWEEP_INTERVAL if busy else inf

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

    def _drain(self) -> None:
        """Begin to stop: what is idle closes now, the rest when it is answered."""
        with self._housekeeping:
            if self._draining:
                return
            self._draining = True
            for fileno, listener in self._listeners.items():
                if not self._accept_again:
                    self._poller.unlisten(fileno)
                listener.close()
            self._listeners.clear()
        for connection in list(self._connections.values()):
            connection.finish()
            if not connection.exchanges and not self._receive(connection) and connection.idle:
                connection.close()
