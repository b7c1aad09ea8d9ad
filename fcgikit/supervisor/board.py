"""The shared board: what each worker does, readable while every worker is busy.

Anonymous shared memory, divided into slots; a slot has a head and a seat for each thread, and
only the worker it belongs to writes there. Nothing is locked: a reader may see half of a change,
and a worker that an attacker has taken over may write anything (CVE-2021-21703 was php-fpm
trusting its scoreboard). So what is read is copied, bounded and escaped, and used for nothing
but numbers and text.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
import time

from .messages import View

SEATS = 64
"""Threads of one worker that have a seat; what further ones do is not shown."""

LINE_SIZE = 200
"""Bytes kept of a request line."""

_HEAD = struct.Struct("<qqdQQQ")  # pid, generation, last beat, requests, connections, slow ones
_BEAT = struct.Struct("<dQQQ")
_BEAT_OFFSET = 16
_SEAT = struct.Struct(f"<?7xd{LINE_SIZE}s")  # busy, since, request line
_SLOT_SIZE = 64 + SEATS * _SEAT.size

LAYOUT = f"2:{SEATS}:{LINE_SIZE}"
"""Told to the program that replaces this one: a board of another layout is not for it."""


class Line:
    """A worker's own slot, as it writes it: the ``Slot`` of :mod:`fcgikit.orders`."""

    def __init__(self, memory: mmap.mmap, slot: int, generation: int) -> None:
        start = slot * _SLOT_SIZE
        self._memory = memory
        self._beat = start + _BEAT_OFFSET
        self._seats = [start + 64 + seat * _SEAT.size for seat in range(SEATS)]
        self._write = _SEAT.pack_into
        _HEAD.pack_into(memory, start, os.getpid(), generation, 0.0, 0, 0, 0)

    def begin(self, seat: int, method: str, target: str, now: float) -> None:
        if seat < SEATS:
            line = f"{method} {target[:LINE_SIZE]}".encode("latin-1", "replace")
            self._write(self._memory, self._seats[seat], True, now, line)

    def end(self, seat: int) -> None:
        if seat < SEATS:
            self._memory[self._seats[seat]] = 0

    def beat(self, now: float, requests: int, connections: int, slow_requests: int) -> None:
        _BEAT.pack_into(self._memory, self._beat, now, requests, connections, slow_requests)


class Board:
    """*slots* slots in shared memory, all empty. Forked processes share them.

    *fd* is the memory of a board that an earlier image of this program has made.
    """

    def __init__(self, slots: int, fd: int | None = None) -> None:
        self.slots = slots
        self.fd = _memory(slots * _SLOT_SIZE) if fd is None else fd
        self._memory = mmap.mmap(self.fd, slots * _SLOT_SIZE)

    def line(self, slot: int, generation: int) -> Line:
        """The slot for this process to write, from now on and alone."""
        return Line(self._memory, slot, generation)

    def clear(self, slot: int) -> None:
        """Forget what the slot's last worker has written."""
        self._memory[slot * _SLOT_SIZE : (slot + 1) * _SLOT_SIZE] = bytes(_SLOT_SIZE)

    def view(self, slot: int, now: float | None = None) -> View:
        """What the slot says now. A worker that has not beaten yet has a beat age of 0."""
        head = slot * _SLOT_SIZE
        _, _, beat, requests, connections, slow_requests = _HEAD.unpack_from(self._memory, head)
        return View(
            slot=slot,
            busy=len(self._busy(slot)),
            requests=requests,
            connections=connections,
            beat_age=_age(beat, now) if beat else 0.0,
            slow_requests=slow_requests,
        )

    def running(self, slot: int, now: float | None = None) -> tuple[str, ...]:
        """The requests that the slot's worker runs: ``GET /report for 12.3 s``."""
        return tuple(f"{line} for {age:.1f} s" for line, age in self.requests(slot, now))

    def requests(self, slot: int, now: float | None = None) -> list[tuple[str, float]]:
        """The requests that the slot's worker runs, and for how many seconds each."""
        return [(_printable(line), _age(since, now)) for since, line in self._busy(slot)]

    def _busy(self, slot: int) -> list[tuple[float, bytes]]:
        first = slot * _SLOT_SIZE + 64
        seats = self._memory[first : first + SEATS * _SEAT.size]
        return [(since, line) for busy, since, line in _SEAT.iter_unpack(seats) if busy]

    def close(self) -> None:
        """Release the memory; processes that share it keep it."""
        self._memory.close()
        os.close(self.fd)


def _memory(size: int) -> int:
    """A descriptor of *size* zero bytes that no file system name leads to."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("fcgikit-board")
    else:
        import tempfile

        fd, path = tempfile.mkstemp(prefix="fcgikit-board-")
        os.unlink(path)
    os.ftruncate(fd, size)
    return fd


def _age(since: float, now: float | None) -> float:
    """Seconds from *since* to *now*; infinite where somebody has written nonsense."""
    now = time.monotonic() if now is None else now
    return max(0.0, now - since) if since >= 0.0 else math.inf


def _printable(line: bytes) -> str:
    """A request line with everything escaped that could break a log line."""
    text = line.rstrip(b"\0").decode("latin-1")
    return "".join(
        char if char.isascii() and char.isprintable() and char != "\\" else f"\\x{ord(char):02x}"
        for char in text
    )
