"""What a supervisor and its workers say to each other. Imports nothing of ours.

Each word is one byte down the socket pair that joins the two, so that nothing has to be parsed
and no request is interrupted. When the pair ends, the other one has gone: a worker then stops
gracefully, and the supervisor learns the reason from ``waitpid``.
"""

from __future__ import annotations

import enum
from typing import Protocol


class Order(enum.IntEnum):
    """The supervisor to a worker."""

    RETIRE = 1
    """Finish what runs and leave; give kept connections to the other workers."""
    STOP = 2
    """Finish what runs and leave; idle connections are closed."""
    QUIT = 3
    """Leave at once; requests in flight are lost."""
    REOPEN_LOGS = 4
    """Somebody has moved the log files away."""


class Report(enum.IntEnum):
    """A worker to its supervisor."""

    READY = 1
    """The application is loaded and requests are served."""
    MAX_REQUESTS = 2
    """As many requests served as one worker shall: replace me."""
    MAX_MEMORY = 3
    """Grown beyond the limit: replace me."""
    TIMEOUT = 4
    """A request does not end and holds a thread for good: replace me."""


class Superior(Protocol):
    """The supervisor, as a worker sees it."""

    def fileno(self) -> int:
        """Readable when there are orders, or when the supervisor has gone."""

    def orders(self) -> list[Order] | None:
        """What it has ordered, without waiting; ``None`` when it has gone."""

    def report(self, report: Report) -> None:
        """Tell it something. Never waits and never fails."""


class Slot(Protocol):
    """A worker's own line on the board. A *seat* is the number of one of its threads, from 0.

    Times are ``time.monotonic()``.
    """

    def begin(self, seat: int, method: str, target: str, now: float) -> None:
        """The thread takes on a request, named by its method and its URL."""

    def end(self, seat: int) -> None:
        """The thread is free again."""

    def beat(self, now: float, requests: int, connections: int, slow_requests: int) -> None:
        """A sign of life: requests served so far, connections open now, and how many of the
        requests were slow."""
