"""The way out of a connection: whole records, in order, to a peer that may be slow.

Whoever has output writes it, with the connection's lock held. What the peer takes at once is
gone then; while it is waited for, up to ``write_timeout``, the writer lets go of the lock and
has its *turn* instead: others who want to write queue up.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

from ..errors import ClientDisconnected
from ..protocols.interface import Buffers
from .splice import give_back, take_way

log = logging.getLogger("fcgikit.server")

MAX_UNSENT = 64 * 1024
"""Bytes of automatic answers that may wait for a peer that sends but does not read."""

FILE_BUFFER = 512 * 1024
"""Bytes of a file that may wait for the peer on a Unix socket (Linux doubles it, and limits it by
net.core.wmem_max). By default there is room for three records, so each few cost a sleep."""

_IOV_MAX = 512  # buffers per sendmsg; Linux takes 1024
_DONTWAIT = socket.MSG_DONTWAIT
_TIMEVAL = struct.Struct("ll")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

# A front end writes a body in small pieces (nginx: 8 KiB) and wakes us with the first of them. If
# it runs on our processor, it goes on first, and what it wrote is received at once.
_give_way = getattr(os, "sched_yield", lambda: None)


def wait_for(fileno: int, what: int, timeout: float) -> bool:
    """Wait for ``select.POLLIN`` or ``POLLOUT`` on a descriptor; ``False`` after *timeout* s."""
    poller = select.poll()
    poller.register(fileno, what)
    ready = bool(poller.poll(timeout * 1000))
    if ready and what == select.POLLIN:
        _give_way()
    return ready


class Output:
    """Writes to one socket; any thread may call, with *lock* held.

    *timeout* is ``write_timeout``, in seconds; *about_to_wait* is called before a wait.
    """

    __slots__ = ("_about_to_wait", "_lock", "_prepared", "_queue", "_socket", "_timeout",
                 "_waiting", "broken", "taken", "unsent")  # fmt: skip

    def __init__(
        self,
        sock: socket.SocketType,
        timeout: float,
        about_to_wait: Callable[[], None],
        lock: threading.Lock,
    ) -> None:
        self._socket = sock
        self._timeout = timeout
        self._about_to_wait = about_to_wait
        self._lock = lock
        self.unsent = b""  # automatic answers that found the way blocked
        self.taken = False  # it is somebody's turn, who has let go of the lock
        self._queue: threading.Condition | None = None  # those who wait for their turn
        self._waiting = 0  # how many they are
        self.broken = False  # nothing more can be written
        self._prepared = False  # to wait in the kernel

    def wait_for_turn(self) -> None:
        """Where the way is ``taken``: wait until it is free. Who came first goes first."""
        self._queue = self._queue or threading.Condition(self._lock)
        self._waiting += 1
        self._queue.wait()  # and the way is still taken, by us

    def end_turn(self) -> None:
        """Let the next go on who waits."""
        self._flush()
        if self._waiting and self._queue is not None:
            self._waiting -= 1
            self._queue.notify()
        else:
            self.taken = False

    def write(self, buffers: Buffers) -> None:
        """Write all of *buffers*, waiting as long as need be, after what is ``unsent``.

        That may begin with the rest of a record. To be called when the way is not ``taken``, or
        in turn; afterwards it may be taken. Raises ``ClientDisconnected``.
        """
        if self.broken:
            raise self._lost()
        if self.unsent:
            buffers = [self.unsent, *buffers]
            self.unsent = b""
        try:
            if len(buffers) == 1:
                (data,) = buffers
                sent = self._socket.send(data, _DONTWAIT)
                if sent == len(data):
                    return
            else:
                sent = self._socket.sendmsg(buffers[:_IOV_MAX], [], _DONTWAIT)
                if sent == sum([len(buffer) for buffer in buffers]):
                    return
        except BlockingIOError:
            sent = 0
        except OSError:
            raise self._lost() from None
        self._write_rest(buffers, sent)

    def write_file(
        self, frame: tuple[bytes, int, bytes], times: int, fileno: int, offset: int
    ) -> int:
        """Write ``(before, size, after)`` with *size* bytes of a file between, so many *times*.

        Once at least; no more when somebody else has something to write. Returns how often. It is
        called like :meth:`write`, and waits in the kernel: to be woken for each bit of room would
        cost more than to send. Raises ``ClientDisconnected``; also when the file has become
        shorter: what the peer was promised cannot be sent any more.
        """
        if self.unsent:
            self.write([])
        before, size, after = frame
        to = self._socket.fileno()
        written = 0
        way = take_way()
        self.taken = True
        self._lock.release()  # the disk, too, may be slow
        try:
            self._wait_in_kernel()
            while written < times and not (written and (self._waiting or self.unsent)):
                if before:
                    way.put(to, before)
                way.put_file(to, fileno, offset, size)
                if after:
                    way.put(to, after)
                offset += size
                written += 1
            way.flush(to)
        except BlockingIOError:
            way.close()
            raise self._too_slow() from None
        except OSError:
            way.close()
            raise self._lost() from None
        finally:
            self._lock.acquire()
        give_back(way)
        return written

    def reply(self, answer: bytes) -> bool:
        """Write what a chapter answers by itself, without ever waiting for the peer.

        What does not go out now goes with the next write; ``False`` if too much has gathered.
        """
        self.unsent += answer
        if not self.taken:
            self._flush()
        return len(self.unsent) <= MAX_UNSENT

    def all_sent(self) -> bool:
        """Whether nothing waits for the peer, nor for the next write."""
        if not self.taken:
            self._flush()
        return not (self.unsent or self.broken or self.taken)

    def reset_on_close(self) -> None:
        """Let the end be seen as a cut: RST on TCP; a Unix socket knows only its end."""
        self.broken = True
        if self._socket.family != socket.AF_UNIX:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def _write_rest(self, buffers: Buffers, sent: int) -> None:
        """Go on after the first *sent* bytes, at the pace of the peer."""
        pending = [memoryview(buffer) for buffer in buffers]
        first = 0
        self.taken = True
        self._lock.release()
        try:
            while True:
                while first < len(pending) and sent >= len(pending[first]):
                    sent -= len(pending[first])
                    first += 1
                if first == len(pending):
                    return
                pending[first] = pending[first][sent:]
                try:
                    sent = self._socket.sendmsg(pending[first : first + _IOV_MAX], [], _DONTWAIT)
                except BlockingIOError:
                    sent = 0
                    self.wait_for_room()
                except OSError:
                    raise self._lost() from None
        finally:
            self._lock.acquire()

    def wait_for_room(self) -> None:
        """Wait until the peer has taken most of what was written, without the lock.

        Raises ``ClientDisconnected``.
        """
        self._about_to_wait()
        fileno = self._socket.fileno()
        if fileno < 0:
            raise self._lost()
        if not wait_for(fileno, select.POLLOUT, self._timeout):
            raise self._too_slow()

    def _wait_in_kernel(self) -> None:
        """From here on what is not sent with MSG_DONTWAIT waits for room."""
        self._about_to_wait()
        if not self._prepared:
            seconds, fraction = divmod(self._timeout, 1)
            limit = _TIMEVAL.pack(int(seconds), int(fraction * 1e6) or 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            if self._socket.family == socket.AF_UNIX:  # TCP finds a size by itself
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, FILE_BUFFER)
            self._prepared = True

    def _too_slow(self) -> ClientDisconnected:
        log.warning("a peer took no output for %g s (setting: write_timeout)", self._timeout)
        return self._lost()

    def _lost(self) -> ClientDisconnected:
        self.broken = True
        return ClientDisconnected("the front end does not take the response any more")

    def _flush(self) -> None:
        """Send of what is ``unsent`` as much as there is room for."""
        if self.unsent and not self.broken:
            try:
                sent = self._socket.send(self.unsent, _DONTWAIT)
                self.unsent = self.unsent[sent:]
            except BlockingIOError:
                return
            except OSError:
                self.broken = True
