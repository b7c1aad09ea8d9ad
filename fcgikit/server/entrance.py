"""Where connections come in: the listening sockets, and the way from other workers."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
from typing import TYPE_CHECKING

from .handover import Handover
from .listener import Accepted, Listener
from .poller import Poller

if TYPE_CHECKING:
    from .connection import ServerConnection

log = logging.getLogger("fcgikit.server")

Door = Listener | Handover

# The system is full; trying again at once would only spin.
_CAPACITY = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}

# The end of a process that leaves at once closes the doors under its threads.
_CLOSED = {errno.EBADF, errno.ENOENT}

_REPORTED = 8
"""More than can be reported to one worker at a time: only a thread that waits is told."""


class Entrance:
    """Accepts what *poller* reports, while fewer than *most* are inside."""

    def __init__(
        self, listeners: list[Listener], handover: Handover | None, poller: Poller, most: int
    ) -> None:
        self.paused = False
        self.shared = handover is not None or any(one.inherited for one in listeners)
        """Other processes may wait at the same doors."""
        self._doors: dict[int, Door] = {one.socket.fileno(): one for one in listeners}
        if handover is not None:
            self._doors[handover.socket.fileno()] = handover
        self._poller = poller
        self._most = most
        self._lock = threading.Lock()
        for fileno in self._doors:
            poller.listen(fileno)

    def door(self, fileno: int) -> Door | None:
        """The one with this descriptor, unless it is closed."""
        return self._doors.get(fileno)

    def accept(self, door: Door, inside: int) -> Accepted | None:
        """A connection; ``None`` if there is none, if it is not admitted, or if we are full.

        In the last case we are ``paused`` from then on.
        """
        if inside >= self._most:
            log.warning(
                "%d connections are open; further ones wait (setting: max_connections)", inside
            )
            self._pause()
            return None
        try:
            return _let_in(door)
        except OSError as error:
            if error.errno in _CAPACITY:
                log.error("cannot accept a connection: %s", error.strerror)
                self._pause()
            return None  # else: another thread or process took it, or the peer has gone

    def step_back(self, door: Door | None = None) -> None:
        """Let the other processes be told before us of who comes next: to *door*, or to any.

        The kernel tells the same one as long as it waits. For who comes and goes that is good:
        everything is in its caches. But who stays would stay there, with everybody else.
        """
        with self._lock:
            if self.paused:
                return
            try:
                for fileno, one in self._doors.items():
                    if door is None or one is door:
                        self._poller.step_back(fileno)
            except OSError as error:
                if error.errno not in _CLOSED:
                    raise

    def resume(self, inside: int) -> None:
        """Accept again, if there is room."""
        with self._lock:
            if self.paused and inside < self._most:
                self.paused = False
                for fileno in self._doors:
                    self._poller.listen(fileno)

    def close(self, *, take: bool = False) -> list[tuple[Door, Accepted]]:
        """Accept nothing more.

        With *take*, what has been reported to us and is not accepted yet: the kernel has told
        nobody else of it, so the other workers would sleep on.
        """
        taken: list[tuple[Door, Accepted]] = []
        with self._lock:
            while self._doors:
                fileno, door = self._doors.popitem()
                if not self.paused:
                    self._poller.unlisten(fileno)
                with contextlib.suppress(OSError):
                    while take and len(taken) < _REPORTED:
                        if accepted := _let_in(door):
                            taken.append((door, accepted))
                door.close()
        return taken

    def _pause(self) -> None:
        with self._lock:
            if not self.paused:
                self.paused = True
                for fileno in self._doors:
                    self._poller.unlisten(fileno)


def stays(connection: ServerConnection) -> bool:
    """Whether the peer means to use it again, as far as it has said anything."""
    return all(one.request.keep_conn for one in tuple(connection.exchanges.values()))


def _let_in(door: Door) -> Accepted | None:
    """A connection, or ``None`` for one that is not admitted. Raises ``OSError``: there is none."""
    sock, address = door.accept()
    if door.admits(address):
        return sock, address
    log.warning("%s may not connect (setting: allow)", address[0])
    sock.close()
    return None
