"""The loop of one worker: leader and followers.

All threads are equal and share one poller. One at a time is the leader: it waits, accepts,
receives and feeds the chapters. When a request is ready the leader gives its place away and
runs the application itself, so that no request is handed from thread to thread. With one
thread nobody takes over, and the same code is a plain single-threaded loop.

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
from .poller import Poller, best_poller
from .sockets import Listener

log = logging.getLogger("fcgikit.server")

SWEEP_INTERVAL = 1.0
"""Seconds between looks at the deadlines of all connections."""

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
        self.requests = 0  # handed to an application so far
        self._gateways = gateways
        self._config = config
        self._poller = poller or best_poller()
        self._leadership = threading.Lock()
        self._ready: deque[ServerExchange] = deque()
        self._reported: list[tuple[int, int]] = []
        self._listeners = {listener.socket.fileno(): listener for listener in listeners}
        self._connections: dict[int, ServerConnection] = {}
        self._alone = config.threads == 1
        self._now = time.monotonic()
        self._next_sweep = inf
        self._accept_again = 0.0  # listeners are paused, at least until then, unless zero
        self._stop_wanted = False
        self._draining = False
        self._stopped = False
        for fileno in self._listeners:
            self._poller.add(fileno, shared=True)

    # -- for the worker ---------------------------------------------------------------------

    def run(self) -> None:
        """Lead, run a request, lead again, until the loop has stopped."""
        while True:
            with self._leadership:
                exchange = self._lead()
            if exchange is None:
                return
            self._serve(exchange)

    def stop(self) -> None:
        """Accept nothing more, finish what runs, close at request boundaries. Any thread."""
        self._stop_wanted = True
        self._poller.wake()

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
        """Queue requests that an application thread has received, and wake the leader."""
        self._ready.extend(exchanges)
        self._poller.wake()

    def pause(self, connection: ServerConnection) -> None:
        """Do not poll a connection."""
        self._poller.pause(connection.fileno)

    def resume(self, connection: ServerConnection) -> None:
        """Poll a connection again."""
        self._poller.resume(connection.fileno)

    def forget(self, connection: ServerConnection) -> None:
        """A connection is about to close."""
        del self._connections[connection.fileno]
        if connection.registered:
            self._poller.discard(connection.fileno)
        if self._accept_again or (self._draining and not self._connections):
            self._poller.wake()

    # -- leading ------------------------------------------------------------------------------

    def _lead(self) -> ServerExchange | None:
        """Wait and receive until a request is ready; ``None`` when the loop has stopped."""
        while True:
            if self._ready:
                self.requests += 1
                return self._ready.popleft()
            if self._reported:
                self._handle(self._reported.pop()[0])
            elif self._stop_wanted and not self._draining:
                self._drain()
            elif self._draining and not self._connections:
                return None
            else:
                self._wait()

    def _wait(self) -> None:
        timeout = None if self._next_sweep == inf else max(0.0, self._next_sweep - self._now)
        self._reported = self._poller.wait(timeout)
        self._now = time.monotonic()
        if self._now >= self._next_sweep:
            self._sweep()
        if self._accept_again:
            self._try_accepting_again()

    def _handle(self, fileno: int) -> None:
        connection = self._connections.get(fileno)
        if connection is not None:
            self._receive(connection)
        elif fileno not in self._listeners:
            self._poller.woken()  # or it was closed since it was reported
        elif not self._accept_again:
            self._accept(self._listeners[fileno])

    def _receive(self, connection: ServerConnection) -> bool:
        """Receive what there is; whether there was something."""
        if not connection.take_reader_place():
            return True
        started = connection.receive(0)
        if started:
            self._ready.extend(started)
            connection.deadline = inf
            connection.arriving = False
            if connection.registered or self._alone:  # alone: nobody polls while we are busy
                return True
        self._settle(connection)
        return started is not None

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
        if not connection.registered:
            connection.registered = True
            self._poller.add(connection.fileno)
        if self._next_sweep == inf:
            self._next_sweep = self._now + SWEEP_INTERVAL

    def _serve(self, exchange: ServerExchange) -> None:
        """Run the application for one request, on a thread that leads nobody."""
        connection = exchange.connection
        if not exchange.aborted or not exchange.body_ended:
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
        if connection.exchange_done(exchange) or not connection.registered:
            self._settle(connection)
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
            sock, address = listener.socket.accept()
        except OSError as error:
            if error.errno in _ACCEPT_CAPACITY:
                log.error("cannot accept a connection: %s", error.strerror)
                self._pause_accepting()
            return  # else: another process took it, or the peer has gone
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
        self._accept_again = self._now + SWEEP_INTERVAL
        self._next_sweep = min(self._next_sweep, self._accept_again)
        for fileno in self._listeners:
            self._poller.pause(fileno)

    def _try_accepting_again(self) -> None:
        if len(self._connections) >= self._config.max_connections:
            return
        if self._now >= self._accept_again or self._connections:
            self._accept_again = 0.0
            for fileno in self._listeners:
                self._poller.resume(fileno)

    # -- time ---------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """End what has waited too long."""
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
        self._draining = True
        for fileno, listener in self._listeners.items():
            self._poller.discard(fileno)
            listener.close()
        self._listeners.clear()
        for connection in list(self._connections.values()):
            connection.finish()
            if not connection.exchanges and not self._receive(connection) and connection.idle:
                connection.close()
