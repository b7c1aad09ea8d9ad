"""The socket pair between the supervisor and one worker: a word is a byte, and nothing waits.

Words that the other side has no room for are dropped: whoever has left hundreds of them unread
does not read, and is dealt with by signals. Bytes that are no words are skipped: a worker runs
an application, and its supervisor trusts it with nothing.
"""

from __future__ import annotations

import socket
from typing import Self

from ..orders import Order, Report

_AT_ONCE = 256  # words read at a time

_ORDERS = {int(order): order for order in Order}
_REPORTS = {int(report): report for report in Report}


class _End:
    """One end of the pair."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock

    @classmethod
    def of_fd(cls, fd: int) -> Self:
        """The end that an earlier image of this program has left open."""
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def _send(self, word: int) -> None:
        try:
            self._socket.send(bytes((word,)))
        except OSError:
            pass  # no room, or nobody there, which the reading side will notice

    def _receive(self) -> bytes | None:
        """What has come; ``None`` when the other end has gone."""
        try:
            return self._socket.recv(_AT_ONCE) or None
        except BlockingIOError:
            return b""
        except OSError:
            return None


class WorkerEnd(_End):
    """The supervisor, as a worker sees it: the ``Superior`` of :mod:`fcgikit.orders`."""

    def orders(self) -> list[Order] | None:
        words = self._receive()
        return None if words is None else [_ORDERS[word] for word in words if word in _ORDERS]

    def report(self, report: Report) -> None:
        self._send(report)


class SupervisorEnd(_End):
    """A worker, as the supervisor sees it."""

    def reports(self) -> list[Report] | None:
        """What it has said, without waiting; ``None`` when it has gone."""
        words = self._receive()
        return None if words is None else [_REPORTS[word] for word in words if word in _REPORTS]

    def give(self, order: Order) -> None:
        """Give it an order. Never waits and never fails."""
        self._send(order)


def channel() -> tuple[SupervisorEnd, WorkerEnd]:
    """The two ends of a new pair."""
    ours, theirs = socket.socketpair()
    return SupervisorEnd(ours), WorkerEnd(theirs)
