"""Which connections wait for their next request. No I/O; time is an argument."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

MAX_IDLE_TIME = 60.0
"""Seconds a kept connection stays of use: shorter than a worker's ``keepalive_timeout``, so
that no request meets a connection that is just being closed."""


class Keepable(Protocol):
    """What a pool asks of a connection."""

    @property
    def reusable(self) -> bool:
        """A further request may begin on it, as far as can be known."""

    @property
    def idle(self) -> bool:
        """No request runs on it."""

    def close(self) -> None:
        """Close it at once."""


C = TypeVar("C", bound=Keepable)


class Pool(Generic[C]):
    """Connections by the time of their last use; the one used last is used first.

    At most *size* of them are idle ones.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: dict[C, float] = {}

    def take(self, now: float, settled: float = 0.0) -> C | None:
        """A connection that was alive a moment ago and has room. It leaves the pool.

        Idle ones must have been so for *settled* seconds; one that has not is closed, since a
        server that takes one connection at a time would wait for it.
        """
        for connection, since in reversed(list(self._kept.items())):
            fresh = since <= now - settled and since >= now - MAX_IDLE_TIME
            if connection.idle and not (fresh and connection.reusable):
                del self._kept[connection]
                connection.close()
            elif connection.reusable:
                del self._kept[connection]
                return connection
        return None

    def put(self, connection: C, now: float) -> None:
        """Keep *connection*, or close it if that cannot be. It may be in the pool already."""
        self._kept.pop(connection, None)
        idle = sum(each.idle for each in self._kept)
        if not connection.idle or (connection.reusable and idle < self._size):
            self._kept[connection] = now
        else:
            connection.close()

    def drain(self) -> list[C]:
        """Every connection, which thereby leaves."""
        kept = list(self._kept)
        self._kept.clear()
        return kept
