"""Which requests may go to an application: no more than fit, and none that nobody waits for.

Who is turned away is answered at once and without an application, so that a front end, or the
one behind it, can try again or elsewhere. Somebody who has gone is not worth the work at all.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from math import inf

from ..config import Config
from ..protocols.fastcgi.app_side import AppSide
from .exchange import ServerExchange

log = logging.getLogger("fcgikit.server")

RETRY_AFTER = 1
"""Seconds after which who was turned away may try again: what a queue needs to become shorter."""

LOOK_INTERVAL = 0.05
"""Seconds between looks whether all threads are busy and somebody has to be turned away."""

QUICK = 0.0005
"""Seconds a request may take for nobody to have given up behind it: to look costs 2 us."""

LOG_INTERVAL = 5.0
"""Seconds between lines of log on requests turned away: in an overload there are many."""

_REMOTE_HALF_CLOSED = getattr(select, "POLLRDHUP", 0)


class Admission:
    """Keeps ``max_requests_in_flight`` and ``queue_timeout`` of one worker. Any thread may ask."""

    def __init__(self, config: Config) -> None:
        self.limited = config.max_requests_in_flight > 0 or config.queue_timeout > 0
        """Whether anything has to be asked here."""
        self._most = config.max_requests_in_flight or inf
        self._patience = config.queue_timeout or inf
        self._bare = config.overload == "overloaded"
        self._since: dict[ServerExchange, float] = {}  # those admitted: when they came
        self._lock = threading.Lock()
        self._turned_away: dict[str, int] = {}  # by setting, since the last line of log
        self._quiet_until = -inf

    def admit(self, exchanges: list[ServerExchange]) -> list[ServerExchange]:
        """Those of the requests that have just come which may wait; the others are answered."""
        if not self.limited:
            return exchanges
        admitted = []
        for exchange in exchanges:
            with self._lock:
                # Whoever has its answer may ask again before we hear from the thread.
                room = len(self._since) < self._most or self._unanswered() < self._most
                if room:
                    self._since[exchange] = time.monotonic()
                    admitted.append(exchange)
            if not room:
                self._turn_away(exchange, "max_requests_in_flight")
        return admitted

    def wants(self, exchange: ServerExchange) -> bool:
        """Whether a request that may have waited shall run now; if not, it has come to its end."""
        connection = exchange.connection
        if has_left(exchange):
            log.debug("%s: left while its request waited, which is not run", connection.peer)
            with connection.lock:
                exchange.abort()
            return False
        return not self._waited_too_long(exchange)

    def turn_away_late(self, queue: deque[ServerExchange]) -> list[ServerExchange]:
        """Take those out of *queue* whose time is over, and answer them."""
        late = []
        with suppress(IndexError):
            while self._waited_too_long(exchange := queue.popleft()):
                late.append(exchange)
            queue.appendleft(exchange)
        return late

    def leave(self, exchange: ServerExchange) -> None:
        """A request is over."""
        with self._lock:
            self._since.pop(exchange, None)

    def tell(self) -> None:
        """Log how many were turned away, now and then."""
        now = time.monotonic()
        with self._lock:
            if not self._turned_away or now < self._quiet_until:
                return
            self._quiet_until = now + LOG_INTERVAL
            told, self._turned_away = self._turned_away, {}
        for setting, count in told.items():
            log.warning("overloaded: %d requests turned away (setting: %s)", count, setting)

    def _waited_too_long(self, exchange: ServerExchange) -> bool:
        since = self._since.get(exchange, inf)
        if time.monotonic() - since < self._patience:
            return False
        self._turn_away(exchange, "queue_timeout")
        return True

    def _unanswered(self) -> int:
        return sum([not exchange.answered for exchange in self._since])

    def _turn_away(self, exchange: ServerExchange, setting: str) -> None:
        # SCGI and uwsgi have no word for it but a status.
        bare = self._bare and isinstance(exchange.connection.chapter, AppSide)
        exchange.turn_away(None if bare else RETRY_AFTER)
        with self._lock:
            self._turned_away[setting] = self._turned_away.get(setting, 0) + 1
        self.tell()


def has_left(exchange: ServerExchange) -> bool:
    """Whether nobody is there any more to take the answer.

    On a Unix socket the kernel tells a peer that has closed from one that has only closed its
    half and still listens. On TCP both look the same until something is written: there, to close
    a half means to leave in FastCGI, whose records have an end of their own, and nothing else.
    SCGI and uwsgi clients may well end their request by it.
    """
    connection = exchange.connection
    fileno = connection.fileno
    if exchange.unwanted or fileno < 0:
        return True
    told_by_half = (
        isinstance(connection.chapter, AppSide) and connection.socket.family != socket.AF_UNIX
    )
    poller = select.poll()
    poller.register(fileno, _REMOTE_HALF_CLOSED if told_by_half else 0)  # POLLHUP is always told
    return bool(poller.poll(0))
