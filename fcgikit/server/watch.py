"""An eye on requests that take long.

The main thread looks now and then at what the threads have noted on their seats; so they
need no timers, and one that is busy does not have to watch itself.
"""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from math import inf
from types import FrameType

from ..config import Config
from ..gateways.diagnostics import one_line, request_name
from .exchange import ServerExchange
from .seats import Seat

log = logging.getLogger("fcgikit.slow")


class Watch:
    """Looks after the requests of *seats*, as ``slow_request`` and ``timeout`` want it.

    *give_up* is called for a request that has taken longer than ``timeout``.
    """

    def __init__(
        self, seats: list[Seat], config: Config, give_up: Callable[[ServerExchange], None]
    ) -> None:
        self._seats = seats
        self._slow = config.slow_request or inf
        self._timeout = config.timeout or inf
        self._give_up = give_up
        self.slow_requests = 0
        """How many have taken longer than ``slow_request``."""
        self._told: dict[int, ServerExchange] = {}  # by seat: it is in the slow log already

    def look(self, now: float) -> float:
        """See to what takes too long; when to look again, ``inf`` for never."""
        # A request that begins after this look cannot be late before then.
        again = now + min(self._slow, self._timeout)
        if again == inf:
            return inf
        for seat in self._seats:
            exchange = seat.exchange
            began = seat.began
            if exchange is None or exchange.given_up or seat.exchange is not exchange:
                continue
            if now >= began + self._timeout:
                _tell(seat, exchange, now - began, "given up (setting: timeout)")
                self._give_up(exchange)
                continue
            again = min(again, began + self._timeout)
            if self._told.get(seat.number) is not exchange:
                if now >= began + self._slow:
                    self._told[seat.number] = exchange
                    self.slow_requests += 1
                    _tell(seat, exchange, now - began, "still running (setting: slow_request)")
                else:
                    again = min(again, began + self._slow)
        return again


def _tell(seat: Seat, exchange: ServerExchange, duration: float, what: str) -> None:
    """Write one record: which request, whose, for how long, and where its thread is now."""
    frame = sys._current_frames().get(seat.thread)
    stack = "".join(_application_stack(frame)) if frame is not None else ""
    if seat.exchange is not exchange:  # it has ended meanwhile: the stack may be another's
        return
    params = exchange.request.params
    name = f"{request_name(params)} {one_line(params.get('SERVER_PROTOCOL', ''))}".rstrip()
    log.warning(
        "%s: %s: after %.3f s %s\n%s",
        exchange.connection.peer, name, duration, what, stack.rstrip(),
    )  # fmt: skip


def _application_stack(frame: FrameType) -> list[str]:
    """The stack, outermost call first, from where our own code has called the application."""
    frames = [*traceback.walk_stack(frame)][::-1]
    first = next((at for at, (one, _) in enumerate(frames) if not _ours(one)), 0)
    return traceback.StackSummary.extract(frames[first:]).format()


def _ours(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return module == threading.__name__ or module.startswith("fcgikit.")


def dump_on_crash(fileno: int) -> None:
    """Have the stacks of all threads written to a descriptor when the process crashes.

    That is at SIGSEGV, SIGFPE, SIGBUS, SIGILL, and at SIGABRT, which a supervisor may send to
    a worker that shows no life.
    """
    faulthandler.enable(fileno, all_threads=True)
