"""Waiting for readable descriptors: epoll, and a portable stand-in with the same verbs.

One thread waits; any thread may add, pause, resume or wake. Level-triggered: what nobody
receives is reported again, so a stale report costs one empty receive and nothing else.
"""

from __future__ import annotations

import select
import selectors
import socket
import threading
from contextlib import suppress
from typing import Protocol


class Poller(Protocol):
    """What the loop needs of the operating system."""

    def add(self, fileno: int, *, shared: bool = False) -> None:
        """Report *fileno* when it is readable; *shared*: among processes, wake only some."""

    def pause(self, fileno: int) -> None:
        """Do not report it until :meth:`resume`."""

    def resume(self, fileno: int) -> None:
        """Report it again."""

    def discard(self, fileno: int) -> None:
        """Forget it, just before it is closed."""

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Descriptors that are readable or at their end, each with a mask of no meaning here.

        Empty after *timeout* seconds. A descriptor of the poller's own may be among them.
        """

    def wake(self) -> None:
        """Make a :meth:`wait` under way return at once, or the next one."""

    def woken(self) -> None:
        """The descriptor that was reported is the poller's own: forget the wake-up."""

    def close(self) -> None:
        """Release what the poller itself holds."""


class _WakeUp:
    """A byte down a socket pair ends a wait, from any thread and from signal handlers."""

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
    """Linux: adding and removing cost one system call, whatever the number of connections."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake_up = _WakeUp()
        self._shared: set[int] = set()
        self.add(self._wake_up.fileno)

    def add(self, fileno: int, *, shared: bool = False) -> None:
        if shared:
            self._shared.add(fileno)
        self._epoll.register(fileno, select.EPOLLIN | (select.EPOLLEXCLUSIVE if shared else 0))

    def pause(self, fileno: int) -> None:
        if fileno in self._shared:  # the kernel refuses to modify an exclusive entry
            self._epoll.unregister(fileno)
        else:
            # A hang-up is reported whatever the mask says; so, at least, only once.
            self._epoll.modify(fileno, select.EPOLLONESHOT | select.EPOLLET)

    def resume(self, fileno: int) -> None:
        if fileno in self._shared:
            self._epoll.register(fileno, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        else:
            self._epoll.modify(fileno, select.EPOLLIN)

    def discard(self, fileno: int) -> None:
        """The kernel forgets a descriptor that is closed; only our own note must go."""
        self._shared.discard(fileno)

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        return self._epoll.poll(timeout)

    def wake(self) -> None:
        self._wake_up.wake()

    def woken(self) -> None:
        self._wake_up.clear()

    def close(self) -> None:
        self._epoll.close()
        self._wake_up.close()


class SelectorPoller:
    """Everywhere else: the standard library's best selector, changed only between waits."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._selector = selector or selectors.DefaultSelector()
        self._wake_up = _WakeUp()
        self._lock = threading.Lock()
        self._wanted: dict[int, bool] = {}  # changes not yet applied: reported or not
        self._selector.register(self._wake_up.fileno, selectors.EVENT_READ)

    def add(self, fileno: int, *, shared: bool = False) -> None:
        self._change(fileno, True)

    def pause(self, fileno: int) -> None:
        self._change(fileno, False)

    def resume(self, fileno: int) -> None:
        self._change(fileno, True)

    def discard(self, fileno: int) -> None:
        self._change(fileno, False)

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

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        self._apply_changes()
        return [(key.fd, mask) for key, mask in self._selector.select(timeout)]

    def wake(self) -> None:
        self._wake_up.wake()

    def woken(self) -> None:
        self._wake_up.clear()

    def close(self) -> None:
        self._selector.close()
        self._wake_up.close()


def best_poller() -> Poller:
    """The fastest poller of this platform."""
    return EpollPoller() if hasattr(select, "epoll") else SelectorPoller()
