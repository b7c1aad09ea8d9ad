"""Waiting for arrivals: epoll, and a portable stand-in with the same verbs.

Any number of threads may wait, and any thread may do the rest. An arrival on a connection is
reported once, to one thread; who gets the report must receive until nothing is left, or
remember that something may be. A listening socket is reported as long as somebody waits to
be accepted.
"""

from __future__ import annotations

import select
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

Report = tuple[int, int]
"""A descriptor, and ENDED bits if its peer has closed its half or all of the connection."""


class Poller(Protocol):
    """What the loop needs of the operating system."""

    @property
    def ended(self) -> int:
        """The bits of a report that say that the end has come."""

    def listen(self, fileno: int) -> None:
        """Report a listening socket, among processes that share it to one only."""

    def unlisten(self, fileno: int) -> None:
        """Do not report a listening socket any more."""

    def step_back(self, fileno: int) -> None:
        """Let the other processes that share a listening socket be told before this one."""

    def add(self, fileno: int) -> None:
        """Report each arrival on a connection once, and what has arrived already."""

    @property
    def received(self) -> Callable[[int], None] | None:
        """To be told, by whoever did it, when what was reported has been received to its end."""

    def discard(self, fileno: int) -> None:
        """Forget a connection, just before it is closed."""

    def release(self, fileno: int) -> None:
        """Forget a connection that stays open in another process."""

    def wait(self, timeout: float | None, most: int, /) -> list[Report]:
        """Up to *most* reports; none after *timeout* seconds. One may be of the poller's own."""

    def wake(self) -> None:
        """Make a :meth:`wait` return at once: one that is under way, or the next."""

    def woken(self) -> None:
        """A report of the poller's own has come: forget the wake-up."""

    def close(self) -> None:
        """Release what the poller itself holds."""


class _WakeUp:
    """A byte down a socket pair ends a wait, from any thread."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self.fileno = self._receiver.fileno()

    def wake(self) -> None:
        with suppress(BlockingIOError):  # a full pair is awake already
            self._sender.send(b"\0")

    def clear(self) -> None:
        with suppress(BlockingIOError):
            while self._receiver.recv(4096):
                pass

    def close(self) -> None:
        self._receiver.close()
        self._sender.close()


class EpollPoller:
    """Linux: the kernel wakes the thread that came last, whose data is still in the caches."""

    ended = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
    received = None  # the next arrival is an edge of its own

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.wait: Callable[[float | None, int], list[Report]] = self._epoll.poll
        self._wake_up = _WakeUp()
        self._epoll.register(self._wake_up.fileno, select.EPOLLIN)

    def listen(self, fileno: int) -> None:
        self._epoll.register(fileno, select.EPOLLIN | select.EPOLLEXCLUSIVE)

    def unlisten(self, fileno: int) -> None:
        self._epoll.unregister(fileno)

    def step_back(self, fileno: int) -> None:
        """The kernel tells the first that waits, in the order in which they began to listen."""
        self.unlisten(fileno)
        self.listen(fileno)  # which reports whoever has come in between

    def add(self, fileno: int) -> None:
        self._epoll.register(fileno, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)

    def discard(self, fileno: int) -> None:
        """Nothing to do: the kernel forgets a descriptor that is closed."""

    def release(self, fileno: int) -> None:
        """What the kernel forgets is a socket without any descriptor: here one is left."""
        self._epoll.unregister(fileno)

    def wake(self) -> None:
        self._wake_up.wake()

    def woken(self) -> None:
        self._wake_up.clear()

    def close(self) -> None:
        self._epoll.close()
        self._wake_up.close()


class SelectorPoller:
    """Everywhere else: the standard library's best selector, used by one thread at a time."""

    ended = 0  # not told apart from data: a receive that follows finds it

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._selector = selector or selectors.DefaultSelector()
        self._wake_up = _WakeUp()
        self._selector.register(self._wake_up.fileno, selectors.EVENT_READ)
        self._listening: set[int] = set()
        self._turn = threading.Lock()  # to wait
        self._lock = threading.Lock()
        self._wanted: dict[int, bool] = {}  # changes not yet applied: reported or not

    def listen(self, fileno: int) -> None:
        self._listening.add(fileno)
        self._change(fileno, True)

    def unlisten(self, fileno: int) -> None:
        self._listening.discard(fileno)
        self._change(fileno, False)

    def step_back(self, fileno: int) -> None:
        """Nothing to do: every process is told."""

    def add(self, fileno: int) -> None:
        self._change(fileno, True)

    def received(self, fileno: int) -> None:
        self._change(fileno, True)

    def discard(self, fileno: int) -> None:
        self._change(fileno, False)

    release = discard

    def wait(self, timeout: float | None, most: int) -> list[Report]:
        if not self._turn.acquire(blocking=timeout != 0.0):
            return []  # whoever waits already is told
        try:
            self._apply_changes()
            reports: list[Report] = []
            for key, _ in self._selector.select(timeout)[:most]:
                reports.append((key.fd, 0))
                if key.fd != self._wake_up.fileno and key.fd not in self._listening:
                    self._selector.unregister(key.fd)
            return reports
        finally:
            self._turn.release()

    def wake(self) -> None:
        self._wake_up.wake()

    def woken(self) -> None:
        self._wake_up.clear()

    def close(self) -> None:
        self._selector.close()
        self._wake_up.close()

    def _change(self, fileno: int, reported: bool) -> None:
        with self._lock:
            self._wanted[fileno] = reported
        self._wake_up.wake()

    def _apply_changes(self) -> None:
        with self._lock:
            wanted, self._wanted = self._wanted, {}
        registered = self._selector.get_map()
        for fileno, reported in wanted.items():
            if fileno in registered:
                # Taken out even to be put back: the number may stand for another socket now.
                self._selector.unregister(fileno)
            if reported:
                with suppress(OSError, ValueError):  # closed meanwhile
                    self._selector.register(fileno, selectors.EVENT_READ)


def best_poller() -> Poller:
    """The fastest poller of this platform."""
    return EpollPoller() if hasattr(select, "epoll") else SelectorPoller()
