"""The way out of a connection: whole records, in order, to a peer that may be slow.

Whoever has output writes it, when it has its ``turn``: a lock, which may be held while the
peer takes its time, up to ``write_timeout``.
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

log = logging.getLogger("fcgikit.server")

MAX_UNSENT = 64 * 1024
"""Bytes of automatic answers that may wait for a peer that sends but does not read."""

_IOV_MAX = 512  # buffers per sendmsg; Linux takes 1024
_DONTWAIT = socket.MSG_DONTWAIT
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def wait_for(fileno: int, what: int, timeout: float) -> bool:
    """Wait for ``select.POLLIN`` or ``POLLOUT`` on a descriptor; ``False`` after *timeout* s."""
    poller = select.poll()
    poller.register(fileno, what)
    return bool(poller.poll(timeout * 1000))


class Output:
    """Writes to one socket; any thread may call.

    *timeout* is ``write_timeout``, in seconds; *about_to_wait* is called before a wait.
    """

    __slots__ = ("_about_to_wait", "_may_block", "_queue", "_socket", "_timeout",
                 "_unsent_lock", "broken", "turn", "unsent")  # fmt: skip

    def __init__(
        self, sock: socket.socket, timeout: float, about_to_wait: Callable[[], None]
    ) -> None:
        self._socket = sock
        self._timeout = timeout
        self._about_to_wait = about_to_wait
        self.unsent = b""  # automatic answers that found the way blocked
        self._unsent_lock = threading.Lock()
        self.turn = threading.Lock()
        self._queue = threading.Lock()
        self.broken = False  # nothing more can be written
        self._may_block = True  # so far

    def take_turn(self, again: bool) -> None:
        """Wait for the turn; behind whoever waits already, if the caller takes it *again*.

        Without a queue a large answer would take its next turn before those who wait wake up.
        """
        if again or not self.turn.acquire(blocking=False):
            with self._queue:
                self.turn.acquire()

    def write(self, buffers: Buffers) -> None:
        """With the turn: write all of *buffers*, waiting as long as need be.

        What was ``unsent`` belongs before them: it may begin with the rest of a record. What is
        ``unsent`` after the turn is to be flushed. Raises ``ClientDisconnected``.
        """
        if self.broken:
            raise self._lost()
        try:
            if len(buffers) == 1:
                sent = self._socket.send(buffers[0], _DONTWAIT)
                if sent == len(buffers[0]):
                    return
            else:
                sent = self._socket.sendmsg(buffers[:_IOV_MAX], [], _DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            raise self._lost() from None
        self._write_rest(buffers, sent)

    def write_file(self, frame: tuple[bytes, int, bytes], fileno: int, offset: int) -> None:
        """With the turn: write ``(before, size, after)`` with *size* bytes of a file between.

        Raises ``ClientDisconnected``; also when the file has become shorter: what the peer was
        promised cannot be sent any more.
        """
        before, size, after = frame
        if self._may_block:
            os.set_blocking(self._socket.fileno(), False)  # sendfile knows no MSG_DONTWAIT
            self._may_block = False
        if before:
            self.write([before])
        while size:
            try:
                sent = os.sendfile(self._socket.fileno(), fileno, offset, size)
            except BlockingIOError:
                self.wait_for_room()
                continue
            except OSError:
                sent = 0
            if not sent:
                raise self._lost()
            offset += sent
            size -= sent
        if after:
            self.write([after])

    def reply(self, answer: bytes) -> bool:
        """Write what a chapter answers by itself, without ever waiting for the peer.

        What does not go out now goes with the next write; ``False`` if too much has gathered.
        """
        with self._unsent_lock:
            self.unsent += answer
        self.flush()
        return len(self.unsent) <= MAX_UNSENT

    def all_sent(self) -> bool:
        """Whether nothing waits for the peer, nor for the next write."""
        self.flush()
        return not self.unsent and not self.broken

    def reset_on_close(self) -> None:
        """Let the end be seen as a cut: RST on TCP; a Unix socket knows only its end."""
        self.broken = True
        if self._socket.family != socket.AF_UNIX:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def take_unsent(self) -> bytes:
        """With the turn: what is to be written before anything else."""
        with self._unsent_lock:
            unsent, self.unsent = self.unsent, b""
        return unsent

    def _write_rest(self, buffers: Buffers, sent: int) -> None:
        """Go on after the first *sent* bytes, at the pace of the peer."""
        pending = [memoryview(buffer) for buffer in buffers]
        first = 0
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

    def wait_for_room(self) -> None:
        """Wait until the peer has taken most of what was written. Raises ``ClientDisconnected``."""
        self._about_to_wait()
        fileno = self._socket.fileno()
        if fileno < 0:
            raise self._lost()
        if not wait_for(fileno, select.POLLOUT, self._timeout):
            log.warning("a peer took no output for %g s (setting: write_timeout)", self._timeout)
            raise self._lost()

    def _lost(self) -> ClientDisconnected:
        self.broken = True
        return ClientDisconnected("the front end does not take the response any more")

    def flush(self) -> None:
        """Write what waits, unless somebody is writing: then that thread does it after."""
        while self.unsent and not self.broken and self.turn.acquire(blocking=False):
            try:
                with self._unsent_lock:
                    sent = self._socket.send(self.unsent, _DONTWAIT)
                    self.unsent = self.unsent[sent:]
            except BlockingIOError:
                return
            except OSError:
                self.broken = True
            finally:
                self.turn.release()
