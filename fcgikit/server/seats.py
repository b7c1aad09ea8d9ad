"""What each thread of a worker is doing: its notes, for who watches and for the board.

Each thread has a seat and writes there alone, so that nothing has to be locked; the main
thread and, by way of the board, the supervisor read it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ..orders import Slot
from .exchange import ServerExchange


class Seat:
    """One thread's notes. *number* is that of the seat on the board.

    ``exchange`` is the request it runs, since ``began`` (``time.monotonic()``), as far as
    anybody wants to know; ``requests`` says how many it has taken on.
    """

    __slots__ = ("began", "exchange", "number", "requests", "thread")

    def __init__(self, number: int) -> None:
        self.number = number
        self.thread = 0  # its identifier
        self.requests = 0
        self.began = 0.0
        self.exchange: ServerExchange | None = None

    @property
    def stuck(self) -> bool:
        """The thread runs a request that has been given up: it may never be free again."""
        exchange = self.exchange
        return exchange is not None and exchange.given_up


class Seats:
    """The seats of *threads* threads.

    *slot* is told who runs what. *enough* is called, by a thread of the loop and perhaps more
    than once, when *max_requests* requests have begun. *noting*: somebody watches the seats.
    """

    def __init__(
        self,
        threads: int,
        *,
        slot: Slot | None = None,
        max_requests: int = 0,
        enough: Callable[[], None] = lambda: None,
        noting: bool = False,
    ) -> None:
        self.all = [Seat(number) for number in range(threads)]
        self._free = deque(self.all)
        self._slot = slot
        self._max_requests = max_requests
        self._enough = enough
        self.noting = noting or slot is not None or max_requests > 0
        """Whether :meth:`begin` and :meth:`end` have to be called: they cost some time."""

    def take(self) -> Seat:
        """A seat for the thread that calls, for good."""
        seat = self._free.popleft()
        seat.thread = threading.get_ident()
        return seat

    @property
    def requests(self) -> int:
        """Requests begun so far."""
        return sum([seat.requests for seat in self.all])

    @property
    def stuck(self) -> int:
        """Threads that may never be free again."""
        return sum([seat.stuck for seat in self.all])

    @property
    def all_busy(self) -> bool:
        """Every thread runs a request. Known only while :attr:`noting`."""
        return None not in [seat.exchange for seat in self.all]

    def begin(self, seat: Seat, exchange: ServerExchange, now: float) -> None:
        """Note what the seat's thread is going to run."""
        seat.began = now  # first: who finds the exchange believes it
        seat.exchange = exchange
        if self._slot is not None:
            params = exchange.request.params
            target = params.get("REQUEST_URI") or params.get("PATH_INFO", "")
            self._slot.begin(seat.number, params.get("REQUEST_METHOD", ""), target, now)
        if self._max_requests and self.requests >= self._max_requests:
            self._max_requests = 0
            self._enough()

    def end(self, seat: Seat) -> None:
        """Note that the thread is free again."""
        seat.exchange = None
        if self._slot is not None:
            self._slot.end(seat.number)
